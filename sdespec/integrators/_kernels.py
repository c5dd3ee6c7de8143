"""Compiled steps of the matrix and of its spectrum; ``_reference`` holds the same in NumPy."""

from __future__ import annotations

import numpy as np

from sdespec.core._philox import BLOCKS, fill_chi_square, fill_normal, fill_words, normal_pair
from sdespec.core.jit import kernel
from sdespec.core.lapack import squared_singular_values
from sdespec.integrators._cauchy_sums import FAST_FROM, cauchy_sums

__all__ = ["eigenvalues_of", "exact_spectra", "linear_steps", "sorted_euler_steps"]

_CHI = np.uint64(1 << 25)  # added to a tag: purposes of chi-squares are those of the normals plus 2
_ONE = np.uint64(1)


@kernel
def linear_steps(
    weight: np.ndarray,
    factor: float,
    deviation: float,
    count: int,
    step: np.uint64,
    replicate: np.uint64,
    tag: np.uint64,
    key0: np.uint64,
    key1: np.uint64,
) -> None:
    """``count`` steps W -> factor W + deviation Z in place, all steps of a tile of entries at a time."""
    flat = weight.reshape(-1)
    words = np.empty((4, BLOCKS), np.uint64)
    for start in range(0, flat.shape[0], 2 * BLOCKS):
        tile = flat[start : start + 2 * BLOCKS]
        whole, odd = tile.shape[0] // 2, tile.shape[0] % 2
        for k in range(count):
            fill_words(words, start // 2, whole + odd, step + np.uint64(k), replicate, tag, key0, key1)
            for i in range(whole):
                a, b = normal_pair(words[0, i], words[1, i], words[2, i], words[3, i])
                tile[2 * i] = factor * tile[2 * i] + deviation * a
                tile[2 * i + 1] = factor * tile[2 * i + 1] + deviation * b
            if odd:
                a = normal_pair(words[0, whole], words[1, whole], words[2, whole], words[3, whole])[0]
                tile[2 * whole] = factor * tile[2 * whole] + deviation * a


@kernel
def eigenvalues_of(weight: np.ndarray, out: np.ndarray) -> int:
    """Squared singular values of a matrix that is left alone; LAPACK's info, or -1 where an entry is not finite."""
    copy = weight.copy()
    if not np.isfinite(copy.sum()):
        return -1
    return squared_singular_values(copy, out)


@kernel
def exact_spectra(
    out: np.ndarray,
    start: np.ndarray,
    larger_side: int,
    factors: np.ndarray,
    deviations: np.ndarray,
    step: np.uint64,
    replicate: np.uint64,
    tag: np.uint64,
    key0: np.uint64,
    key1: np.uint64,
) -> int:
    """Chains of spectra, out[r, i] after step i of replicate + r; factor 1 without noise changes nothing."""
    n = out.shape[2]
    wide = larger_side - n >= n
    matrix = np.empty((n, 2 * n if wide else larger_side))
    chi = np.empty(n)
    degrees = (larger_side - n - np.arange(n)).astype(np.float64)
    for r in range(out.shape[0]):
        own = replicate + np.uint64(r)
        spectrum = start[r].copy()
        for i in range(out.shape[1]):
            if factors[i] != 1.0 or deviations[i] > 0.0:
                fill_normal(matrix.reshape(-1), 0, step + np.uint64(i), own, tag, key0, key1)
                if wide:
                    fill_chi_square(chi, degrees, step + np.uint64(i), own, tag + _CHI, key0, key1)
                    for row in range(n):
                        matrix[row, n + row] = np.sqrt(chi[row])
                        matrix[row, n + row + 1 :] = 0.0
                matrix *= deviations[i]
                for row in range(n):
                    matrix[row, row] += factors[i] * np.sqrt(spectrum[row])
                info = squared_singular_values(matrix, spectrum)
                if info != 0:
                    return info
            for k in range(n):  # entry by entry: an assignment of arrays takes two seconds to compile
                out[r, i, k] = spectrum[k]
    return 0


@kernel
def _repulsion(spectrum: np.ndarray, out: np.ndarray) -> None:
    """Sum over the others of (x_i + x_j) / (x_i - x_j) for descending values; equal ones leave each other out."""
    n = len(spectrum)
    if n >= FAST_FROM:
        cauchy_sums(spectrum, out)
        start = 0
        for i in range(n):
            if spectrum[i] != spectrum[start]:
                start = i
            end = start
            while end < n and spectrum[end] == spectrum[start]:
                end += 1
            out[i] = 2.0 * spectrum[i] * out[i] - (n - (end - start))
        return
    out[:] = 0.0
    for j in range(n):  # this order leaves no sum in the inner loop, so it vectorises
        other = spectrum[j]
        for i in range(n):
            gap = spectrum[i] - other
            out[i] += (spectrum[i] + other) / gap if gap != 0.0 else 0.0


@kernel
def sorted_euler_steps(
    spectrum: np.ndarray,
    larger_side: int,
    decay: float,
    diffusion: float,
    length: float,
    count: int,
    step: np.uint64,
    replicate: np.uint64,
    tag: np.uint64,
    key0: np.uint64,
    key1: np.uint64,
) -> int:
    """``count`` Euler steps of descending eigenvalues in place; the number of steps that broke order or sign."""
    n = spectrum.shape[0]
    noise, repulsion = np.empty(n), np.empty(n)
    violations = 0
    for k in range(count):
        fill_normal(noise, 0, step + np.uint64(k), replicate, tag, key0, key1)
        _repulsion(spectrum, repulsion)
        broken = False
        for i in range(n):
            drift = -2.0 * decay * spectrum[i] + 2.0 * diffusion * (larger_side + repulsion[i])
            kick = 2.0 * np.sqrt(2.0 * diffusion * spectrum[i] * length) * noise[i]
            spectrum[i] = spectrum[i] + drift * length + kick
        for i in range(n):
            broken |= spectrum[i] < 0.0 or (i > 0 and spectrum[i] > spectrum[i - 1])
            spectrum[i] = abs(spectrum[i])
        if broken:
            violations += 1
            spectrum.sort()
            for i in range(n // 2):
                spectrum[i], spectrum[n - 1 - i] = spectrum[n - 1 - i], spectrum[i]
    return violations

"""Compiled exact steps of spectra of complex and quaternion matrices; ``_reference`` holds the same in NumPy."""

from __future__ import annotations

import numpy as np

from sdespec.core._philox import fill_chi_square, fill_normal
from sdespec.core.jit import kernel
from sdespec.core.lapack import squared_singular_values_complex

__all__ = ["division_spectra"]

_CHI = np.uint64(1 << 25)  # as in the steps of real matrices


@kernel
def _lay_out(entries: np.ndarray, matrix: np.ndarray) -> None:
    """Complex matrix of complex entries, or of quaternions as blocks (a, b; -b*, a*); real and imaginary part last."""
    if entries.shape[2] == 2:
        for row in range(entries.shape[0]):
            for col in range(entries.shape[1]):
                matrix[row, col, 0], matrix[row, col, 1] = entries[row, col, 0], entries[row, col, 1]
        return
    for row in range(entries.shape[0]):
        for col in range(entries.shape[1]):
            a, b, c, d = entries[row, col]
            i, j = 2 * row, 2 * col
            matrix[i, j, 0], matrix[i, j, 1] = a, b
            matrix[i, j + 1, 0], matrix[i, j + 1, 1] = c, d
            matrix[i + 1, j, 0], matrix[i + 1, j, 1] = -c, d
            matrix[i + 1, j + 1, 0], matrix[i + 1, j + 1, 1] = a, -b


@kernel
def division_spectra(
    out: np.ndarray,
    start: np.ndarray,
    larger_side: int,
    beta: int,
    factors: np.ndarray,
    deviations: np.ndarray,
    step: np.uint64,
    replicate: np.uint64,
    tag: np.uint64,
    key0: np.uint64,
    key1: np.uint64,
) -> int:
    """Chains of spectra of matrices with 2 or 4 real numbers an entry: out[r, i] after step i of replicate + r."""
    n = out.shape[2]
    wide = larger_side - n >= n
    cols, size = 2 * n if wide else larger_side, beta // 2
    entries, matrix = np.empty((n, cols, beta)), np.empty((size * n, size * cols, 2))
    chi, values = np.empty(n), np.empty(size * n)
    degrees = beta * (larger_side - n - np.arange(n)).astype(np.float64)
    for r in range(out.shape[0]):
        own = replicate + np.uint64(r)
        spectrum = start[r].copy()
        for i in range(out.shape[1]):
            if factors[i] != 1.0 or deviations[i] > 0.0:
                fill_normal(entries.reshape(-1), 0, step + np.uint64(i), own, tag, key0, key1)
                if wide:
                    fill_chi_square(chi, degrees, step + np.uint64(i), own, tag + _CHI, key0, key1)
                    for row in range(n):
                        entries[row, n + row :] = 0.0
                        entries[row, n + row, 0] = np.sqrt(chi[row])
                entries *= deviations[i]
                for row in range(n):
                    entries[row, row, 0] += factors[i] * np.sqrt(spectrum[row])
                _lay_out(entries, matrix)
                info = squared_singular_values_complex(matrix, values)
                if info != 0:
                    return info
                for row in range(n):
                    spectrum[row] = values[size * row]
            for k in range(n):  # entry by entry: an assignment of arrays takes two seconds to compile
                out[r, i, k] = spectrum[k]
    return 0

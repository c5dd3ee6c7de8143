"""The compiled steps of ``_kernels`` in NumPy, with the noise given; for tests and for sdeint."""

from __future__ import annotations

import numpy as np

__all__ = ["cauchy_sums", "division_step", "linear_steps", "sorted_euler_steps", "spectral_step"]


def linear_steps(weight: np.ndarray, factor: float, deviation: float, noise: np.ndarray) -> np.ndarray:
    """Steps W -> factor W + deviation Z, one for each Z of ``noise`` (steps, n, m)."""
    out = weight.copy()
    for drawn in noise:
        out = factor * out + deviation * drawn
    return out


def spectral_step(
    spectrum: np.ndarray, factor: float, deviation: float, noise: np.ndarray, chi: np.ndarray | None
) -> np.ndarray:
    """One exact step; ``noise`` is (n, m), or (n, 2n) with the chi-squares (n,) of the Bartlett factor."""
    n = len(spectrum)
    matrix = noise.copy()
    if chi is not None:
        matrix[:, n:] = np.tril(noise[:, n:], -1) + np.diag(np.sqrt(chi))
    matrix *= deviation
    matrix[np.arange(n), np.arange(n)] += factor * np.sqrt(spectrum)
    values: np.ndarray = np.linalg.svd(matrix, compute_uv=False) ** 2
    return values


def division_step(
    spectrum: np.ndarray, factor: float, deviation: float, noise: np.ndarray, chi: np.ndarray | None
) -> np.ndarray:
    """One exact step of the spectrum of a complex or quaternion matrix; ``noise`` is (n, cols, 2) or (n, cols, 4)."""
    n = len(spectrum)
    parts = noise.copy()
    if chi is not None:
        parts[:, n:] *= np.tri(n, k=-1)[:, :, None]
        parts[np.arange(n), n + np.arange(n), 0] = np.sqrt(chi)
    parts *= deviation
    parts[np.arange(n), np.arange(n), 0] += factor * np.sqrt(spectrum)
    matrix = parts[..., 0] + 1j * parts[..., 1]
    if parts.shape[2] == 4:
        other = parts[..., 2] + 1j * parts[..., 3]
        matrix = np.block([[matrix, other], [-other.conj(), matrix.conj()]])
    values: np.ndarray = np.linalg.svd(matrix, compute_uv=False) ** 2
    return values[:: parts.shape[2] // 2]


def cauchy_sums(x: np.ndarray) -> np.ndarray:
    """Sum over the others of 1/(x_i - x_j), pair by pair; equal points leave each other out."""
    gaps = x[:, None] - x[None, :]
    return np.asarray(np.divide(1.0, gaps, out=np.zeros_like(gaps), where=gaps != 0.0).sum(axis=1))


def sorted_euler_steps(
    spectrum: np.ndarray, larger_side: int, decay: float, diffusion: float, length: float, noise: np.ndarray
) -> tuple[np.ndarray, int]:
    """Euler steps of descending eigenvalues, one for each row of ``noise`` (steps, n), and the violations."""
    values, violations = spectrum.copy(), 0
    for drawn in noise:
        gaps = values[:, None] - values[None, :]
        gaps[gaps == 0.0] = np.inf
        repulsion = ((values[:, None] + values[None, :]) / gaps).sum(axis=1)
        drift = -2.0 * decay * values + 2.0 * diffusion * (larger_side + repulsion)
        values = values + drift * length + 2.0 * np.sqrt(2.0 * diffusion * values * length) * drawn
        violations += bool(values.min() < 0.0 or np.any(np.diff(values) > 0.0))
        values = np.sort(np.abs(values))[::-1]
    return values, violations

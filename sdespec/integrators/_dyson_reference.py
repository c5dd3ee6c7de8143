"""The steps of Dyson processes of any repulsion in NumPy and SciPy; the compiled ones are held against them."""

from __future__ import annotations

import numpy as np
from scipy.optimize import root

__all__ = ["implicit_gradient", "implicit_midpoint"]


def implicit_gradient(y: np.ndarray, x: np.ndarray, inverse: float, pair: float, shrink: float) -> np.ndarray:
    """Gradient whose zero in the chamber an implicit step looks for."""
    gaps = y[:, None] ** 2 - y[None, :] ** 2
    np.fill_diagonal(gaps, np.inf)
    return np.asarray(y * (1.0 + shrink) - x - inverse / y - pair * (y[:, None] / gaps).sum(axis=1))


def implicit_midpoint(x: np.ndarray, length: float, inverse: float, pair: float) -> np.ndarray:
    """One step of the midpoint rule for dx_k/dt = inverse / x_k + pair sum_j x_k / (x_k^2 - x_j^2)."""
    guess = x + 1e-2 * np.arange(1, len(x) + 1)
    half = 0.5 * length
    found = root(implicit_gradient, guess, args=(x, half * inverse, half * pair, 0.0), tol=1e-13)
    return np.asarray(2.0 * found.x - x)

"""The steps of Dyson processes of any repulsion in NumPy and SciPy; the compiled ones are held against them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import root

__all__ = ["adaptive_path", "implicit_gradient", "implicit_midpoint", "trapezoid"]


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


def trapezoid(x: np.ndarray, kick: np.ndarray, length: float, forces: tuple[float, float, float]) -> np.ndarray:
    """One step of the implicit trapezoidal rule; forces are inverse, pair and decay."""
    inverse, pair, decay = forces
    half = 0.5 * length
    drift = -implicit_gradient(x, x, inverse, pair, decay)
    moved = x + kick + half * drift
    for gap in (1e-3, 1e-2, 1e-1, 1.0):  # a zero of the gradient outside the chamber is none
        guess = np.maximum.accumulate(np.abs(moved)) + gap * np.arange(1, len(x) + 1)
        y = root(implicit_gradient, guess, args=(moved, half * inverse, half * pair, half * decay), tol=1e-13).x
        if y[0] > 0.0 and (np.diff(y) > 0.0).all():
            return np.asarray(y)
    raise ArithmeticError("no root in the chamber")


def adaptive_path(
    x: np.ndarray,
    kick: np.ndarray,
    length: float,
    forces: tuple[float, float, float],
    tolerance: float,
    normal: Callable[[int], np.ndarray],
    node: int = 1,
) -> tuple[np.ndarray, int]:
    """The end of an interval and the number of steps; ``normal(node)`` is scaled to the noise of unit time."""
    left = 0.5 * (kick + np.sqrt(length) * normal(node))
    whole = trapezoid(x, kick, length, forces)
    first = trapezoid(x, left, 0.5 * length, forces)
    second = trapezoid(first, kick - left, 0.5 * length, forces)
    if np.abs(whole - second).max() <= tolerance:
        return second, 1
    middle, some = adaptive_path(x, left, 0.5 * length, forces, tolerance, normal, 2 * node)
    end, more = adaptive_path(middle, kick - left, 0.5 * length, forces, tolerance, normal, 2 * node + 1)
    return end, some + more

"""Search for the maximum of a function of one variable, for many functions at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["golden_rows"]

_RATIO = (np.sqrt(5.0) - 1.0) / 2.0


def golden_rows(
    function: Callable[[np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray, *, steps: int = 40
) -> np.ndarray:
    """Place of the maximum of each of many functions between two bounds, by golden sections.

    Parameters
    ----------
    function : callable
        Values of all functions at one place each, (rows,) to (rows,); each with one maximum between its bounds.
    low, high : ndarray, (rows,)
        Bounds.
    steps : int
        Sections; each shortens the brackets by the factor 0.618.

    Returns
    -------
    ndarray, (rows,)

    Examples
    --------
    >>> centers = np.array([0.2, 0.7])
    >>> golden_rows(lambda x: -((x - centers) ** 2), np.zeros(2), np.ones(2)).round(6)
    array([0.2, 0.7])
    """
    low, high = np.array(low, dtype=np.float64), np.array(high, dtype=np.float64)
    left, right = high - _RATIO * (high - low), low + _RATIO * (high - low)
    at_left, at_right = function(left), function(right)
    for _ in range(steps):
        up = at_left < at_right
        low, high = np.where(up, left, low), np.where(up, high, right)
        new = np.where(up, low + _RATIO * (high - low), high - _RATIO * (high - low))
        value = function(new)
        left, right = np.where(up, right, new), np.where(up, new, left)
        at_left, at_right = np.where(up, at_right, value), np.where(up, value, at_left)
    return np.asarray(np.where(at_left > at_right, left, right))

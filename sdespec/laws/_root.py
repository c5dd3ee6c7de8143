"""A vectorised root finder for increasing functions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sdespec.core.errors import NumericalError

__all__ = ["invert"]

_MAX_ITERATIONS = 200
_TOLERANCE = 1e-10
"""Relative size of a last Newton step: its own error is of the order of its square."""


def invert(
    function: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    target: np.ndarray,
    nodes: np.ndarray,
    values: np.ndarray,
    start: np.ndarray,
) -> np.ndarray:
    """Solve function(x) = target for each target: Newton steps inside a bracket, bisection where they leave it.

    ``function`` returns the value and the slope of an increasing function; ``values`` are its values at the ascending
    ``nodes``, which must enclose every target; ``start`` is a first guess.
    """
    index = np.clip(np.searchsorted(values, target, side="right"), 1, nodes.size - 1)
    lower, upper = nodes[index - 1], nodes[index]
    x = np.clip(start, lower, upper)
    open_ = np.arange(target.size)
    for _ in range(_MAX_ITERATIONS):
        here = x[open_]
        value, slope = function(here)
        excess = value - target[open_]
        lower[open_] = np.where(excess <= 0.0, here, lower[open_])
        upper[open_] = np.where(excess >= 0.0, here, upper[open_])
        low, high = lower[open_], upper[open_]
        step = here - excess / slope
        step = np.where((step >= low) & (step <= high), step, 0.5 * (low + high))
        x[open_] = step
        open_ = open_[np.abs(step - here) > _TOLERANCE * np.abs(step)]
        if not open_.size:
            return np.asarray(x)
    raise NumericalError(f"{open_.size} quantiles did not converge in {_MAX_ITERATIONS} iterations")

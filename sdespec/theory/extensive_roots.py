"""What the theories of extensive outputs share: roots on the line and in the upper half plane, and refinement."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

import numpy as np
from scipy.optimize import brentq

from sdespec.core.errors import NumericalError

__all__ = ["SpectralLaw", "blocks", "refined", "root", "upper_half_plane"]

Inverse = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

_HEIGHT = 1e-9
_DESCENT = 0.05
_NEWTON_STEPS = 80
_HALVINGS = 60
_FINAL_PASSES = 3
_RESIDUAL = 1e-8
_EDGE_ERROR = 1e-7
_DENSITY_ERROR = 1e-3
_PROBES = 24
_BLOCK = 1 << 18  # products of points and nodes that are formed at once


class SpectralLaw(Protocol):
    """Law of squared singular values."""

    @property
    def edges(self) -> tuple[float, float]:
        """Lowest and highest edge of the spectrum."""
        ...

    @property
    def outlier(self) -> float:
        """Squared singular value beyond the upper edge, or NaN."""
        ...

    @property
    def atom(self) -> float:
        """Mass at 0."""
        ...

    @property
    def escape(self) -> float:
        """What exceeds 1 where there is an outlier, or NaN."""
        ...

    def density(self, grid: np.ndarray) -> np.ndarray:
        """Continuous part of the density at points, (k,)."""
        ...


Law = TypeVar("Law", bound=SpectralLaw)


def upper_half_plane(
    inverse: Inverse, target: np.ndarray, scale: np.ndarray, prepare: Callable[[np.ndarray], None] | None = None
) -> np.ndarray:
    r"""Point of the upper half plane at which an inverse takes each target, just above the real line.

    Parameters
    ----------
    inverse : callable
        From points (k,) and the indices of their targets to values and derivatives; value minus point must tend to
        a constant at infinity, or to one after division by a positive number.
    target : ndarray of float, (k,)
        Positive.
    scale : ndarray of float, (k,)
        Size of all that matters, at least ``target``; the search starts at this height.
    prepare : callable, optional
        Called with the present points before the work at each height, to adapt the inverse to them.

    Returns
    -------
    ndarray of complex, (k,)

    Raises
    ------
    NumericalError
        If Newton's method does not converge somewhere.

    Notes
    -----
    Newton's method, carried down from a large imaginary part to 1e-9 of the target, all points at once. At every
    height the solution in the upper half plane is unique.
    """
    end = _HEIGHT * target
    height = 4.0 * scale
    omega: np.ndarray = target + 1j * height
    final = 0
    while final < (1 if prepare is None else _FINAL_PASSES):
        final += bool(np.all(height <= end))
        if prepare is not None:
            prepare(omega)
        omega = _newton(inverse, target + 1j * height, omega)
        height = np.maximum(height * _DESCENT, end)
    return omega


def _newton(inverse: Inverse, target: np.ndarray, omega: np.ndarray) -> np.ndarray:
    """Solve from a nearby start; steps that would leave the upper half plane are halved."""
    omega = omega.copy()
    active = np.arange(omega.size)
    for _ in range(_NEWTON_STEPS):
        value, slope = inverse(omega[active], active)
        step = (value - target[active]) / slope
        for _ in range(_HALVINGS):
            below = omega[active].imag - step.imag <= 0.0
            if not below.any():
                break
            step[below] *= 0.5
        omega[active] -= step
        active = active[~(np.abs(step) <= 1e-13 * np.abs(omega[active]))]
        if not active.size:
            return omega
    value, _ = inverse(omega[active], active)
    lost = ~(np.abs(value - target[active]) <= _RESIDUAL * np.abs(target[active]))
    if lost.any():
        raise NumericalError(f"the density did not converge at {lost.sum()} of {omega.size} points")
    return omega


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Root between two points at which a function has different signs.

    Parameters
    ----------
    function : callable
        Continuous.
    low, high : float
        The bracket.

    Returns
    -------
    float
        To about 14 digits.

    Raises
    ------
    NumericalError
        If the signs do not differ, or a value is not finite.

    Examples
    --------
    >>> round(root(lambda x: x * x - 2.0, 0.0, 2.0), 12)
    1.414213562373
    """
    ends = function(low), function(high)
    if not (math.isfinite(ends[0]) and math.isfinite(ends[1])) or ends[0] * ends[1] > 0.0:
        raise NumericalError(f"no change of sign between {low:g} and {high:g}: {ends[0]:g}, {ends[1]:g}")
    return float(brentq(function, low, high, xtol=1e-300, rtol=1e-14, maxiter=500))


def blocks(indices: np.ndarray, nodes: int) -> Iterator[np.ndarray]:
    """Cut indices of points into parts whose products with the nodes fit into a cache."""
    size = max(1, _BLOCK // nodes)
    for start in range(0, len(indices), size):
        yield indices[start : start + size]


def refined(build: Callable[[int], Law], fewest: int, most: int) -> Law:
    """Law with as many quadrature nodes as it takes.

    Parameters
    ----------
    build : callable
        From a number of nodes to the law.
    fewest, most : int
        Numbers of nodes to begin with, and not to exceed.

    Returns
    -------
    SpectralLaw
        The first one whose edges, relative to the upper one, moved by less than 1e-7 when the nodes were doubled, and
        whose density of singular values moved by less than 1e-3 of its maximum.

    Raises
    ------
    NumericalError
        If there is none.
    """
    count = fewest
    law = build(count)
    while 2 * count <= most:
        count *= 2
        finer = build(count)
        if _agree(law, finer):
            return finer
        law = finer
    raise NumericalError(f"the law of the weights is not resolved by {count} nodes")


def _agree(law: SpectralLaw, finer: SpectralLaw) -> bool:
    """Whether more nodes leave edges and density where they are."""
    low, high = finer.edges
    if max(abs(law.edges[0] - low), abs(law.edges[1] - high)) > _EDGE_ERROR * high:
        return False
    middle = (np.arange(_PROBES) + 0.5) / _PROBES
    singular = math.sqrt(low) + (math.sqrt(high) - math.sqrt(low)) * middle
    # the density of singular values is bounded at a hard edge
    first, second = (one.density(singular**2) * singular for one in (law, finer))
    return bool(np.abs(first - second).max() <= _DENSITY_ERROR * second.max())

"""Tracy-Widom laws of the largest eigenvalue, and its finite-size centring."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
from scipy import interpolate

from sdespec.laws._base import Array, Law, require

__all__ = ["TracyWidom", "edge_centering"]

_MOMENTS = {1: (-1.2065335745820, 1.6077810345810), 2: (-1.7710868074116, 0.8131947928329)}


@dataclass(frozen=True)
class _Table:
    """Splines of log cdf and log sf on a grid, and constants that continue both beyond it."""

    low: float
    high: float
    log_cdf: interpolate.BSpline
    log_sf: interpolate.BSpline


@lru_cache(maxsize=2)
def _table(beta: int) -> _Table:
    with (files("sdespec.laws") / "data" / "tracy_widom.npz").open("rb") as stream, np.load(stream) as archive:
        grid, log_cdf, log_sf = archive["grid"], archive[f"log_cdf_{beta}"], archive[f"log_sf_{beta}"]
    return _Table(
        low=float(grid[0]),
        high=float(grid[-1]),
        log_cdf=interpolate.make_interp_spline(grid, log_cdf, k=5),
        log_sf=interpolate.make_interp_spline(grid, log_sf, k=5),
    )


def _left(x: Array, beta: int) -> Array:
    """Logarithm of the distribution function far to the left, without its constant."""
    z = np.abs(x)
    if beta == 1:
        return -(z**3) / 24.0 - z**1.5 / (3.0 * math.sqrt(2.0)) - np.log(z) / 16.0
    return -(z**3) / 12.0 - np.log(z) / 8.0


def _right(x: Array, beta: int) -> Array:
    """Logarithm of the survival function far to the right, without its constant."""
    return -(2.0 * beta / 3.0) * x**1.5 - 0.75 * beta * np.log(x)


@dataclass(frozen=True)
class TracyWidom(Law):
    r"""Tracy-Widom law of the centred and scaled largest eigenvalue.

    .. math:: F_1(s) = \det(1 - B_s), \quad F_2(s) = \det(1 - B_s^2), \qquad B_s(x, y) = \mathrm{Ai}(x + y + s)

    on the half line.

    Parameters
    ----------
    beta : {1, 2}
        1 for real, 2 for complex matrices.

    Raises
    ------
    UsageError
        If beta is not 1 or 2.

    Notes
    -----
    Splines of a table of Fredholm determinants on [-7, 10], errors near 1e-9; leading asymptotics beyond.

    References
    ----------
    Ferrari and Spohn, Journal of Physics A 38 (2005) L557; Bornemann, Mathematics of Computation 79 (2010) 871.

    Examples
    --------
    >>> round(float(TracyWidom(1).ppf(0.99)), 4)
    2.0234
    """

    beta: int

    def __post_init__(self) -> None:
        """Check the parameter."""
        require(self.beta in (1, 2), "beta", self.beta, "1 or 2")

    def support(self) -> tuple[float, float]:
        """Lower and upper end of the support."""
        return -np.inf, np.inf

    def mean(self) -> float:
        """Mean."""
        return _MOMENTS[self.beta][0]

    def var(self) -> float:
        """Variance."""
        return _MOMENTS[self.beta][1]

    def _log(self, x: Array, side: str, derivative: int) -> Array:
        """Derivative 0, 1 or 2 of log cdf ("cdf") or log sf ("sf")."""
        table, beta = _table(self.beta), self.beta
        spline = table.log_cdf if side == "cdf" else table.log_sf
        inner = np.clip(x, table.low, table.high)
        out = spline(inner, nu=derivative)
        if side == "cdf":
            far, edge, form = x < table.low, table.low, _left
        else:
            far, edge, form = x > table.high, table.high, _right
        if far.any():
            out[far] = _continued(form, x[far], edge, float(spline(edge)), beta, derivative)
        return np.asarray(out)

    def _cdf(self, x: Array) -> Array:
        lower = x < -1.0
        out = np.empty_like(x)
        out[lower] = np.exp(self._log(x[lower], "cdf", 0))
        out[~lower] = -np.expm1(self._log(x[~lower], "sf", 0))
        return out

    def _sf(self, x: Array) -> Array:
        lower = x < -1.0
        out = np.empty_like(x)
        out[lower] = -np.expm1(self._log(x[lower], "cdf", 0))
        out[~lower] = np.exp(self._log(x[~lower], "sf", 0))
        return out

    def _logpdf(self, x: Array) -> Array:
        lower = x < -1.0
        out = np.empty_like(x)
        for mask, side, sign in ((lower, "cdf", 1.0), (~lower, "sf", -1.0)):
            out[mask] = self._log(x[mask], side, 0) + np.log(sign * self._log(x[mask], side, 1))
        return out

    def _score(self, x: Array) -> Array:
        lower = x < -1.0
        out = np.empty_like(x)
        for mask, side in ((lower, "cdf"), (~lower, "sf")):
            first = self._log(x[mask], side, 1)
            out[mask] = first + self._log(x[mask], side, 2) / first
        return out

    def _ppf(self, p: Array) -> Array:
        low, high = np.full(p.shape, -40.0), np.full(p.shape, 120.0)
        for _ in range(64):  # bisection: monotone whatever the branch, and quick enough for what it serves
            middle = 0.5 * (low + high)
            below = np.where(p < 0.5, self._cdf(middle) < p, self._sf(middle) > 1.0 - p)
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.where(p == 0.0, -np.inf, np.where(p == 1.0, np.inf, 0.5 * (low + high)))


def _continued(form: object, x: Array, edge: float, value: float, beta: int, derivative: int) -> Array:
    """Asymptotic form shifted to meet the table at its edge, or its derivative by central differences."""
    assert callable(form)
    if derivative == 0:
        return np.asarray(form(x, beta) - form(np.array(edge), beta) + value)
    h = 1e-4
    if derivative == 1:
        return np.asarray((form(x + h, beta) - form(x - h, beta)) / (2.0 * h))
    return np.asarray((form(x + h, beta) - 2.0 * form(x, beta) + form(x - h, beta)) / h**2)


def edge_centering(n_rows: int, n_cols: int) -> tuple[float, float]:
    r"""Centre and scale of the largest squared singular value of a real Gaussian matrix of unit variance.

    With :math:`a = \sqrt{\max - 1}` and :math:`b = \sqrt{\min}`: centre :math:`(a + b)^2`, scale
    :math:`(a + b)(1/a + 1/b)^{1/3}`; standardised so, the value follows ``TracyWidom(1)`` to O(min^(-2/3)).

    Parameters
    ----------
    n_rows, n_cols : int
        Shape, each at least 1, in either order.

    Returns
    -------
    center, scale : float

    References
    ----------
    Johnstone, Annals of Statistics 29 (2001) 295.

    Examples
    --------
    >>> center, scale = edge_centering(300, 600)
    >>> round(center), round(scale, 1)
    (1747, 19.2)
    """
    require(min(n_rows, n_cols) >= 1, "the smaller side", min(n_rows, n_cols), "at least 1")
    a = math.sqrt(max(max(n_rows, n_cols) - 1.0, 0.5))
    b = math.sqrt(min(n_rows, n_cols))
    return (a + b) ** 2, (a + b) * (1.0 / a + 1.0 / b) ** (1.0 / 3.0)

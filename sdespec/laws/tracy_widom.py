"""Tracy-Widom laws of the largest eigenvalue, and the centring that makes them good at finite size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.polynomial import Chebyshev
from scipy import special

from sdespec.core.checks import require, whole
from sdespec.laws._base import Array, Law
from sdespec.laws._root import invert

__all__ = ["TracyWidom", "edge_centering"]

_MOMENTS = {
    1: (-1.2065335745820, 1.6077810345810),
    2: (-1.7710868074116, 0.8131947928329),
    4: (-2.0552007942857, 0.4109175894917),
}
"""Mean and variance, by quadrature of the same determinants."""

_STRETCH = {1: 1.0, 2: 1.0, 4: 2.0 ** (2.0 / 3.0)}
"""Argument of the determinants of the table for a unit of s."""

_QUANTILE_NODES = np.linspace(-30.0, 20.0, 501)
"""Wide enough for the log-odds of every p that float64 can hold."""


class _Tail(NamedTuple):
    """cube z^3 + power z^(3/2) + log log z + constant + correction z^(-3/2), with z = abs(s)."""

    cube: float
    power: float
    log: float
    constant: float
    correction: float

    def value(self, z: Array) -> Array:
        """Logarithm of the small probability beyond z."""
        root = z**1.5
        series = self.cube * z**3 + self.power * root + self.log * np.log(z)
        return np.asarray(series + self.constant + self.correction / root)

    def slope(self, z: Array) -> Array:
        """First derivative in z."""
        root = np.sqrt(z)
        series = 3.0 * self.cube * z**2 + 1.5 * self.power * root + self.log / z
        return np.asarray(series - 1.5 * self.correction / (z**2 * root))

    def curvature(self, z: Array) -> Array:
        """Second derivative in z."""
        root = np.sqrt(z)
        series = 6.0 * self.cube * z + 0.75 * self.power / root - self.log / z**2
        return np.asarray(series + 3.75 * self.correction / (z**3 * root))

    def matched(self, z: float, value: float, slope: float) -> _Tail:
        """The same form with the last two terms chosen to meet a value and a slope at z."""
        base = self._replace(constant=0.0, correction=0.0)
        at = np.array(z)
        correction = (float(base.slope(at)) - slope) * z**2.5 / 1.5
        return base._replace(constant=value - float(base.value(at)) - correction / z**1.5, correction=correction)


class _Table(NamedTuple):
    """log(F / (1 - F)) on an interval, with two derivatives, and its continuation to both sides."""

    low: float
    high: float
    center: tuple[Chebyshev, Chebyshev, Chebyshev]
    left: _Tail
    right: _Tail

    def log_odds(self, s: Array) -> tuple[Array, Array, Array]:
        """Log-odds of F and its first two derivatives."""
        inner = np.clip(s, self.low, self.high)
        out = tuple(series(inner) for series in self.center)
        for tail, far, sign in ((self.left, s < self.low, 1.0), (self.right, s > self.high, -1.0)):
            z = np.abs(s[far])
            # sign: odds are F to the left, 1/(1 - F) to the right; one more for each derivative of abs(s)
            out[0][far] = sign * tail.value(z)
            out[1][far] = -tail.slope(z)
            out[2][far] = sign * tail.curvature(z)
        return out[0], out[1], out[2]


@lru_cache(maxsize=3)
def _table(beta: int) -> _Table:
    with (files("sdespec.laws") / "data" / "tracy_widom.npz").open("rb") as stream, np.load(stream) as archive:
        low, high = (archive["interval"] / _STRETCH[beta]).tolist()
        series = Chebyshev(archive[f"beta_{beta}"], domain=[low, high])
    first, second = series.deriv(1), series.deriv(2)
    left = _Tail(
        -beta / 24.0, math.sqrt(2.0) / 3.0 * (beta / 2.0 - 1.0), (beta / 2.0 + 2.0 / beta - 3.0) / 8.0, 0.0, 0.0
    )
    right = _Tail(0.0, -2.0 * beta / 3.0, -0.75 * beta, 0.0, 0.0)
    return _Table(
        low,
        high,
        (series, first, second),
        left.matched(-low, float(series(low)), -float(first(low))),
        right.matched(high, -float(series(high)), -float(first(high))),
    )


@lru_cache(maxsize=3)
def _quantile_values(beta: int) -> Array:
    return _table(beta).log_odds(_QUANTILE_NODES)[0]


@dataclass(frozen=True)
class TracyWidom(Law):
    r"""Tracy-Widom law of the centred and scaled largest eigenvalue.

    .. math:: F_1(s) = \det(1 - B_s), \quad F_2(s) = \det(1 - B_s^2), \quad
        F_4(2^{-2/3} s) = \tfrac12 [\det(1 - B_s) + \det(1 + B_s)],

    with :math:`B_s(x, y) = \mathrm{Ai}(x + y + s)` on the half line.

    Parameters
    ----------
    beta : {1, 2, 4}
        1 for real, 2 for complex, 4 for quaternion matrices.

    Raises
    ------
    UsageError
        If beta is none of these.

    Notes
    -----
    For every beta the scale is that of the stochastic Airy operator: the largest value of ``LaguerreEnsemble`` of
    variance 1/beta tends to (a + b)^2 + (a + b)(1/a + 1/b)^(1/3) s with a, b the roots of the sides; shifting both
    sides by 1/2 - 1/beta is more accurate. Other authors stretch :math:`s` at beta = 4 by :math:`2^{2/3}` or
    :math:`2^{1/6}`. The log-odds of F are a Chebyshev series, made
    from the determinants in multiple precision, correct to 1e-11; where F or 1 - F is below about 1e-13 (beta = 1, to
    the right; less elsewhere) they are continued by their asymptotic forms, with value and slope matched.

    References
    ----------
    Ferrari and Spohn, J. Phys. A 38 (2005) L557; Bornemann, Markov Processes Relat. Fields 16 (2010) 803; Borot,
    Eynard, Majumdar and Nadal, J. Stat. Mech. (2011) P11024, left tail.

    Examples
    --------
    >>> round(float(TracyWidom(beta=1).ppf(0.99)), 4)
    2.0234
    """

    beta: int

    def __post_init__(self) -> None:
        """Check the parameter."""
        require(self.beta in _MOMENTS, "beta", self.beta, "1, 2 or 4")

    def support(self) -> tuple[float, float]:
        """Lower and upper end of the support."""
        return -np.inf, np.inf

    def mean(self) -> float:
        """Mean."""
        return _MOMENTS[self.beta][0]

    def var(self) -> float:
        """Variance."""
        return _MOMENTS[self.beta][1]

    def _log_odds(self, x: Array) -> tuple[Array, Array, Array]:
        return _table(int(self.beta)).log_odds(x)

    def _cdf(self, x: Array) -> Array:
        return np.asarray(special.expit(self._log_odds(x)[0]))

    def _sf(self, x: Array) -> Array:
        return np.asarray(special.expit(-self._log_odds(x)[0]))

    def _logpdf(self, x: Array) -> Array:
        odds, slope, _ = self._log_odds(x)
        return np.asarray(np.log(slope) - np.logaddexp(0.0, odds) - np.logaddexp(0.0, -odds))

    def _score(self, x: Array) -> Array:
        odds, slope, curvature = self._log_odds(x)
        return np.asarray(curvature / slope - slope * np.tanh(0.5 * odds))

    def _ppf(self, p: Array) -> Array:
        odds = special.logit(p)
        out = odds.copy()
        finite = np.isfinite(odds)
        values = _quantile_values(int(self.beta))
        start = np.interp(odds[finite], values, _QUANTILE_NODES)
        out[finite] = invert(lambda s: self._log_odds(s)[:2], odds[finite], _QUANTILE_NODES, values, start)
        return out


def edge_centering(n_rows: int, n_cols: int) -> tuple[float, float]:
    r"""Centre and scale of the largest squared singular value of a real Gaussian matrix of unit variance.

    .. math:: \mu = (a + b)^2, \quad \sigma = (a + b)\Big(\frac1a + \frac1b\Big)^{1/3}, \qquad
        a = \sqrt{\max(n, m) - 1}, \quad b = \sqrt{\min(n, m)}

    Parameters
    ----------
    n_rows, n_cols : int
        Shape in either order, positive, not both 1.

    Returns
    -------
    center, scale : float
        For entries of variance v multiply both by v; (largest - center) / scale follows about ``TracyWidom(1)``.

    Raises
    ------
    UsageError
        If a side is no positive integer, or the matrix has one entry only.

    References
    ----------
    Johnstone, Annals of Statistics 29 (2001) 295, equation (1.3).

    Examples
    --------
    >>> center, scale = edge_centering(5, 4)
    >>> float(center), round(scale, 6)
    (16.0, 4.0)
    """
    small, large = sorted((whole(n_rows, "n_rows", 1), whole(n_cols, "n_cols", 1)))
    require(large > 1, "the larger side", large, "at least 2")
    a, b = math.sqrt(large - 1), math.sqrt(small)
    return (a + b) ** 2, (a + b) * (1.0 / a + 1.0 / b) ** (1.0 / 3.0)

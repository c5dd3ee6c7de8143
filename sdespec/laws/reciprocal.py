"""Law of the reciprocal of a positive value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sdespec.core.errors import UsageError
from sdespec.laws._base import Array, Law
from sdespec.laws.gamma_pareto import GammaPareto

__all__ = ["Reciprocal"]

_TINY = float(np.finfo(np.float64).tiny)
_ALMOST_ZERO = 1e-305
_FAR = 1e-4
"""Probability below which the quantile is searched: 1 - p would lose its digits."""
_BISECTIONS = 70
_ENDS = np.array([1e-300, 1.0 - 1e-15])
"""Quantiles of x between which a moment of 1/x is integrated."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
_PANELS = 400


@dataclass(frozen=True)
class Reciprocal(Law):
    r"""Law of 1/x where x follows a law of positive values.

    .. math:: \rho(y) = y^{-2}\, \rho_x(1/y)

    Parameters
    ----------
    law : Law
        Law of x, with a support that does not reach below 0.

    Raises
    ------
    UsageError
        If ``law`` is no law or reaches below 0.

    Notes
    -----
    A density of x that grows as :math:`x^a` at 0 gives 1/x a power-law tail of exponent a + 2. The moments are
    integrals over log x, with the power law below the quantile 1e-300 added in closed form; relative error below 1e-8.
    ``parameters`` are those of ``law``.

    Examples
    --------
    >>> from sdespec.laws import Gamma, InverseGamma
    >>> law = Reciprocal(Gamma(shape=3.0, scale=0.5))
    >>> round(float(law.pdf(0.7) / InverseGamma(shape=3.0, scale=2.0).pdf(0.7)), 12)
    1.0
    >>> round(law.mean(), 9)
    1.0
    """

    law: Law

    def __post_init__(self) -> None:
        """Check the law."""
        if not isinstance(self.law, Law) or self.law.support()[0] < 0.0:
            raise UsageError(
                f"law is {self.law!r}; it must be a one-body law of positive values such as Gamma(shape=2.0, scale=1.0)"
            )

    @property
    def parameters(self) -> dict[str, float]:
        """Parameters of the law of x."""
        return self.law.parameters

    def support(self) -> tuple[float, float]:
        """Lower and upper end of the support."""
        low, high = self.law.support()
        return 1.0 / high, 1.0 / low if low > 0.0 else np.inf

    def mean(self) -> float:
        """Mean; infinite where it does not exist."""
        return self._moment(1)

    def var(self) -> float:
        """Variance; infinite where it does not exist."""
        return self._moment(2, about=self._moment(1))

    def _moment(self, order: int, about: float = 0.0) -> float:
        """Moment of 1/x about a point."""
        if isinstance(self.law, Reciprocal):
            return self.law.law.mean() if order == 1 else self.law.law.var()
        if self.law.support()[0] == 0.0 and not self._rise_at_zero() > order + 1e-9:
            return math.inf
        low, high = (max(float(x), _TINY) for x in self.law.ppf(_ENDS))
        ends = [low, high]
        if isinstance(self.law, GammaPareto) and low < self.law.minimum < high:
            # the density has a kink there
            ends.insert(1, self.law.minimum)
        total = sum(self._piece(order, about, a, b) for a, b in pairwise(ends))
        if self.law.support()[0] == 0.0:
            power = 1.0 + low * float(self.law.score(low))
            total += low ** (1 - order) * float(self.law.pdf(low)) / (power - order)
        return total

    def _rise_at_zero(self) -> float:
        """Exponent of the distribution function at 0."""
        slope = float(self.law.score(_ALMOST_ZERO))
        return 1.0 + _ALMOST_ZERO * slope if math.isfinite(slope) else math.inf

    def _piece(self, order: int, about: float, low: float, high: float) -> float:
        """Integral of (1/x - about)^order between two places.

        In log x = middle - half cos(angle) a square root at an edge is smooth.
        """
        middle, half = 0.5 * (math.log(high) + math.log(low)), 0.5 * (math.log(high) - math.log(low))
        width = 0.5 * np.pi / _PANELS
        angle = (width * (2 * np.arange(_PANELS)[:, None] + 1 + _NODES)).ravel()
        x = np.clip(np.exp(middle - half * np.cos(angle)), low, high)
        values = self.law.pdf(x) * x * (1.0 / x - about) ** order * half * np.sin(angle)
        return float(width * (values.reshape(_PANELS, -1) @ _WEIGHTS).sum())

    def _inverse(self, y: Array) -> Array:
        """1/y within the range of float64."""
        return np.asarray(1.0 / np.maximum(y, _TINY))

    def _logpdf(self, y: Array) -> Array:
        out = np.asarray(self.law.logpdf(self._inverse(y)) - 2.0 * np.log(np.maximum(y, _TINY)))
        at_zero = y == 0.0
        if at_zero.any():
            near, far = (float(self.law.logpdf(1.0 / x)) - 2.0 * math.log(x) for x in (2.0 * _TINY, 4.0 * _TINY))
            change = far - near if math.isfinite(near) else math.inf
            out[at_zero] = near if abs(change) < 1e-9 else math.copysign(math.inf, -change)
        return out

    def _cdf(self, y: Array) -> Array:
        return np.where(y == 0.0, 0.0, self.law.sf(self._inverse(y)))

    def _sf(self, y: Array) -> Array:
        return np.where(y == 0.0, 1.0, self.law.cdf(self._inverse(y)))

    def _ppf(self, p: Array) -> Array:
        out = np.asarray(1.0 / self.law.ppf(1.0 - p))
        far = (p < _FAR) & (p > 0.0)
        out[far] = 1.0 / self._upper_quantile(p[far])
        return out

    def _upper_quantile(self, p: Array) -> Array:
        """Place beyond which the law of x has a small mass, by bisection of log x."""
        low = np.full(p.shape, math.log(float(self.law.ppf(1.0 - 2.0 * _FAR))))
        high = np.full(p.shape, math.log(min(self.law.support()[1], 1.0 / _TINY)))
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            beyond = self.law.sf(np.exp(middle)) > p
            low, high = np.where(beyond, middle, low), np.where(beyond, high, middle)
        return np.asarray(np.exp(0.5 * (low + high)))

    def _score(self, y: Array) -> Array:
        x = self._inverse(y)
        return np.asarray(-x * (x * self.law.score(x) + 2.0))

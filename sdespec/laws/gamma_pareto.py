"""Gamma law with a Pareto tail."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from sdespec.core.checks import positive, require
from sdespec.laws._base import Array, Law
from sdespec.laws.gamma import Gamma

__all__ = ["GammaPareto"]

_LEAST_MASS = 1e-290
"""Least gamma probability below the threshold that leaves room for relative accuracy in float64."""


@dataclass(frozen=True)
class GammaPareto(Law):
    r"""Gamma law below a threshold, Pareto law above it.

    .. math:: \rho(x) = A \begin{cases} g(x) & x < x_{min} \\ g(x_{min})\,(x/x_{min})^{-\alpha} & x \ge x_{min}
        \end{cases}, \qquad A^{-1} = G(x_{min}) + \frac{x_{min}\, g(x_{min})}{\alpha - 1}

    with g and G the density and the distribution function of ``Gamma(shape, scale)``.

    Parameters
    ----------
    shape, scale : float
        Of the gamma law, positive.
    exponent : float
        Exponent :math:`\alpha > 1` of the density of the tail.
    minimum : float
        Threshold :math:`x_{min} > 0` where the tail begins, in the unit of ``x``.

    Raises
    ------
    UsageError
        If a parameter is not allowed, or the gamma law holds less than 1e-290 below the threshold.

    Notes
    -----
    The density is continuous; its slope is free. The score jumps at the threshold (its value there is that of the
    tail) unless ``exponent == minimum / scale - shape + 1``. The share of the tail follows from the continuity and is
    no parameter. A description, not the law of a known process.

    Examples
    --------
    >>> law = GammaPareto(shape=1.0, scale=1.0, exponent=3.0, minimum=2.0)
    >>> round(law.tail_mass, 6) == round(float(law.sf(2.0)), 6)
    True
    """

    shape: float
    scale: float
    exponent: float
    minimum: float

    def __post_init__(self) -> None:
        """Check the parameters."""
        require(positive(self.shape), "shape", self.shape, "positive")
        require(positive(self.scale), "scale", self.scale, "positive")
        require(positive(self.exponent) and self.exponent > 1.0, "exponent", self.exponent, "above 1")
        require(positive(self.minimum), "minimum", self.minimum, "positive")
        allowed = f"a threshold with a gamma probability of at least {_LEAST_MASS:g} below it, or use Pareto"
        require(self._body.cdf(self.minimum) >= _LEAST_MASS, "minimum", self.minimum, allowed)

    def support(self) -> tuple[float, float]:
        """Lower and upper end of the support."""
        return 0.0, np.inf

    @property
    def _body(self) -> Gamma:
        return Gamma(self.shape, self.scale)

    @property
    def _tail_odds(self) -> float:
        """Tail mass over body mass."""
        ratio = math.exp(float(self._body.logpdf(self.minimum)) - math.log(float(self._body.cdf(self.minimum))))
        return self.minimum * ratio / (self.exponent - 1.0)

    @property
    def tail_mass(self) -> float:
        """Probability beyond the threshold."""
        odds = self._tail_odds
        return odds / (1.0 + odds)

    @property
    def _weight(self) -> float:
        """Factor A of the gamma density."""
        return 1.0 / (1.0 + self._tail_odds) / float(self._body.cdf(self.minimum))

    def mean(self) -> float:
        """Mean; infinite for ``exponent <= 2``."""
        return self._moment(1)

    def var(self) -> float:
        """Variance; infinite for ``exponent <= 3``."""
        second = self._moment(2)
        return second - self._moment(1) ** 2 if math.isfinite(second) else np.inf

    def _moment(self, order: int) -> float:
        if self.exponent <= order + 1.0:
            return np.inf
        below = special.gammainc(self.shape + order, self.minimum / self.scale)
        body = self._weight * self.scale**order * special.poch(self.shape, order) * below
        tail = self.tail_mass * self.minimum**order * (self.exponent - 1.0) / (self.exponent - 1.0 - order)
        return float(body + tail)

    def _log_ratio(self, x: Array) -> Array:
        return np.asarray(np.log(x) - math.log(self.minimum))

    def _logpdf(self, x: Array) -> Array:
        body = np.asarray(self._body.logpdf(np.minimum(x, self.minimum)))
        tail = self.exponent * np.maximum(self._log_ratio(x), 0.0)
        return np.asarray(math.log(self._weight) + body - tail)

    def _tail_sf(self, x: Array) -> Array:
        return np.asarray(self.tail_mass * np.exp((1.0 - self.exponent) * np.maximum(self._log_ratio(x), 0.0)))

    def _cdf(self, x: Array) -> Array:
        return np.where(x < self.minimum, self._weight * self._body.cdf(x), 1.0 - self._tail_sf(x))

    def _sf(self, x: Array) -> Array:
        body = self._weight * (self._body.sf(x) - self._body.sf(self.minimum)) + self.tail_mass
        return np.where(x < self.minimum, body, self._tail_sf(x))

    def _ppf(self, p: Array) -> Array:
        rest, tail = 1.0 - p, self.tail_mass
        low = self._body.ppf(np.minimum(p / self._weight, 1.0))
        share = np.clip((rest - tail) / self._weight + float(self._body.sf(self.minimum)), 0.0, 1.0)
        high = self.scale * special.gammainccinv(self.shape, share)
        body = np.minimum(np.where(p < 0.5, low, high), self.minimum)
        beyond = self.minimum * np.exp(np.log(tail / rest) / (self.exponent - 1.0))
        return np.where(p == 1.0, np.inf, np.where(rest > tail, body, beyond))

    def _score(self, x: Array) -> Array:
        return np.where(x < self.minimum, self._body.score(x), -self.exponent / x)

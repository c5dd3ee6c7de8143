"""Pareto law between two bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from sdespec.core.checks import positive, require
from sdespec.laws._base import Array, Law

__all__ = ["TruncatedPareto"]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(40)
_NARROW = 1.0
"""Logarithmic width below which the variance is integrated: the difference of moments would cancel."""
_STEEP = 20.0
"""Change of the log-density up to which 40 nodes integrate to double precision."""


@dataclass(frozen=True)
class TruncatedPareto(Law):
    r"""Pareto law cut at a maximum: the power law that a finite spectrum can show.

    .. math:: \rho(x) = \frac{(\alpha - 1)\, x^{-\alpha}}{x_{min}^{1-\alpha} - x_{max}^{1-\alpha}}, \qquad
       x_{min} \le x \le x_{max}

    Parameters
    ----------
    exponent : float
        Exponent :math:`\alpha > 0` of the density. Unlike that of ``Pareto`` it may be 1 (uniform logarithm) or less.
    minimum, maximum : float
        :math:`0 < x_{min} < x_{max}`, in the unit of ``x``.

    Raises
    ------
    UsageError
        If a parameter is not positive or the maximum not above the minimum.

    Examples
    --------
    >>> law = TruncatedPareto(exponent=2.0, minimum=1.0, maximum=3.0)
    >>> round(float(law.ppf(0.75)), 12)
    2.0
    """

    exponent: float
    minimum: float
    maximum: float

    def __post_init__(self) -> None:
        """Check the parameters."""
        require(positive(self.exponent), "exponent", self.exponent, "positive")
        require(positive(self.minimum), "minimum", self.minimum, "positive")
        above = positive(self.maximum) and self.maximum > self.minimum
        require(above, "maximum", self.maximum, f"finite and above the minimum {self.minimum!r}")

    def support(self) -> tuple[float, float]:
        """Lower and upper end of the support."""
        return self.minimum, self.maximum

    def mean(self) -> float:
        """Mean."""
        return self._moment(1)

    def var(self) -> float:
        """Variance; infinite where it leaves the range of float64."""
        decay, width = self._decay, self._width
        if width < _NARROW and abs(decay) * width < _STEEP:
            log_ratio = 0.5 * width * (1.0 + _NODES)
            weight = _WEIGHTS * np.exp(-decay * log_ratio)
            above = np.expm1(log_ratio)
            mean = np.average(above, weights=weight)
            return float(self.minimum**2 * np.average((above - mean) ** 2, weights=weight))
        second = self._moment(2)
        return second - self._moment(1) ** 2 if math.isfinite(second) else math.inf

    @property
    def _decay(self) -> float:
        """Decay rate of the density of log x."""
        return float(self.exponent) - 1.0

    @property
    def _width(self) -> float:
        return float(_log_quotient(np.array(self.maximum), np.array(self.minimum)))

    def _moment(self, order: int) -> float:
        log_moment = order * math.log(self.minimum)
        log_moment += _log_mass(self._decay - order, self._width) - _log_mass(self._decay, self._width)
        return math.exp(log_moment) if log_moment < 709.0 else math.inf

    def _distances(self, x: Array) -> tuple[Array, Array]:
        """log(x/minimum) and log(maximum/x)."""
        return _log_quotient(x, np.array(self.minimum)), _log_quotient(np.array(self.maximum), x)

    def _logpdf(self, x: Array) -> Array:
        up = self._distances(x)[0]
        return np.asarray(-math.log(self.minimum) - self.exponent * up - _log_mass(self._decay, self._width))

    def _cdf(self, x: Array) -> Array:
        up, down = self._distances(x)
        return _share(up, down, self._decay, self._width)

    def _sf(self, x: Array) -> Array:
        up, down = self._distances(x)
        return _share(down, up, -self._decay, self._width)

    def _ppf(self, p: Array) -> Array:
        if self._decay >= 0.0:
            x = self.minimum * np.exp(_quantile(p, self._decay, self._width))
        else:
            x = self.maximum * np.exp(-_quantile(1.0 - p, -self._decay, self._width))
        x = np.where(p == 1.0, self.maximum, np.where(p == 0.0, self.minimum, x))
        return np.asarray(np.clip(x, self.minimum, self.maximum))

    def _score(self, x: Array) -> Array:
        return np.asarray(-self.exponent / x)


def _log_quotient(high: Array, low: Array) -> Array:
    """log(high/low) for high >= low > 0, accurate next to 1 and without overflow."""
    with np.errstate(over="ignore"):
        excess = (high - low) / low
    return np.asarray(np.where(excess < 1.0, np.log1p(np.minimum(excess, 1.0)), np.log(high) - np.log(low)))


def _log_mass(decay: float, width: float) -> float:
    """Logarithm of the integral of exp(-decay t) over [0, width]."""
    growth = max(-decay, 0.0) * width
    return growth + math.log(width) + math.log(float(special.exprel(-abs(decay) * width)))


def _share(near: Array, far: Array, decay: float, width: float) -> Array:
    """Share of the mass of exp(-decay t) on [0, width] in its first ``near = width - far``."""
    whole = width * special.exprel(-abs(decay) * width)
    if decay >= 0.0:
        return np.asarray(near * special.exprel(-decay * near) / whole)
    return np.asarray(np.exp(decay * far) * near * special.exprel(decay * near) / whole)


def _quantile(p: Array, decay: float, width: float) -> Array:
    """Point of [0, width] below which a share p of the mass of exp(-decay t), decay >= 0, lies."""
    if decay * width < 1e-300:
        return np.asarray(p * width)
    return np.asarray(-np.log1p(p * np.expm1(-decay * width)) / decay)

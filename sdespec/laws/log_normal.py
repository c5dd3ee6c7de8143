"""Log-normal law."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from sdespec.core.checks import positive, require
from sdespec.laws._base import Array, Law

__all__ = ["LogNormal"]

_LARGEST_EXPONENT = 709.0
"""exp() of more leaves the range of float64."""


@dataclass(frozen=True)
class LogNormal(Law):
    r"""Log-normal law.

    .. math:: \rho(x) = \frac{1}{x s \sqrt{2\pi}} \exp\Big(-\frac{\log^2(x/m)}{2 s^2}\Big), \qquad x > 0

    Parameters
    ----------
    shape : float
        :math:`s > 0`, the standard deviation of the logarithm.
    scale : float
        :math:`m > 0`, the median, in the unit of ``x``.

    Raises
    ------
    UsageError
        If a parameter is not positive.

    Examples
    --------
    >>> float(LogNormal(shape=0.5, scale=3.0).ppf(0.5))
    3.0
    """

    shape: float
    scale: float

    def __post_init__(self) -> None:
        """Check the parameters."""
        require(positive(self.shape), "shape", self.shape, "positive")
        require(positive(self.scale), "scale", self.scale, "positive")

    def support(self) -> tuple[float, float]:
        """Lower and upper end of the support."""
        return 0.0, np.inf

    def mean(self) -> float:
        """Mean; infinite where it leaves the range of float64."""
        exponent = self.shape**2 / 2.0 + math.log(self.scale)
        return math.exp(exponent) if exponent < _LARGEST_EXPONENT else math.inf

    def var(self) -> float:
        """Variance; infinite where it leaves the range of float64."""
        exponent = 2.0 * (self.shape**2 + math.log(self.scale))
        return -math.expm1(-(self.shape**2)) * math.exp(exponent) if exponent < _LARGEST_EXPONENT else math.inf

    def _standard(self, x: Array) -> Array:
        return np.asarray((np.log(x) - math.log(self.scale)) / self.shape)

    def _logpdf(self, x: Array) -> Array:
        z = self._standard(x)
        density = -0.5 * z * z - np.log(x) - math.log(self.shape * math.sqrt(2.0 * math.pi))
        return np.asarray(np.where(x == 0.0, -np.inf, density))

    def _cdf(self, x: Array) -> Array:
        return np.asarray(special.ndtr(self._standard(x)))

    def _sf(self, x: Array) -> Array:
        return np.asarray(special.ndtr(-self._standard(x)))

    def _ppf(self, p: Array) -> Array:
        return np.asarray(self.scale * np.exp(self.shape * special.ndtri(p)))

    def _score(self, x: Array) -> Array:
        return np.asarray(-(1.0 + self._standard(x) / self.shape) / x)

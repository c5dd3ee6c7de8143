"""Pareto law."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sdespec.core.checks import positive, require
from sdespec.laws._base import Array, Law

__all__ = ["Pareto"]


@dataclass(frozen=True)
class Pareto(Law):
    r"""Pareto law, a pure power law beyond a minimum.

    .. math:: \rho(x) = \frac{\alpha - 1}{x_{min}} \Big(\frac{x}{x_{min}}\Big)^{-\alpha}, \qquad x \ge x_{min}

    Parameters
    ----------
    exponent : float
        Exponent :math:`\alpha > 1` of the density (one more than that of the survival function).
    minimum : float
        :math:`x_{min} > 0`, in the unit of ``x``.

    Raises
    ------
    UsageError
        If the exponent is not above 1 or the minimum not positive.

    Examples
    --------
    >>> float(Pareto(exponent=3.0, minimum=2.0).mean())
    4.0
    """

    exponent: float
    minimum: float

    def __post_init__(self) -> None:
        """Check the parameters."""
        require(positive(self.exponent) and self.exponent > 1.0, "exponent", self.exponent, "above 1")
        require(positive(self.minimum), "minimum", self.minimum, "positive")

    def support(self) -> tuple[float, float]:
        """Lower and upper end of the support."""
        return self.minimum, np.inf

    def mean(self) -> float:
        """Mean; infinite for ``exponent <= 2``."""
        if self.exponent <= 2.0:
            return np.inf
        return self.minimum * (self.exponent - 1.0) / (self.exponent - 2.0)

    def var(self) -> float:
        """Variance; infinite for ``exponent <= 3``."""
        if self.exponent <= 3.0:
            return np.inf
        a = self.exponent - 1.0
        return self.minimum**2 * a / ((a - 1.0) ** 2 * (a - 2.0))

    def _log_ratio(self, x: Array) -> Array:
        ratio = x / self.minimum
        return np.where(np.isinf(ratio), np.log(x) - np.log(self.minimum), np.log(ratio))

    def _logpdf(self, x: Array) -> Array:
        constant = np.log(self.exponent - 1.0) - np.log(self.minimum)
        return np.asarray(constant - self.exponent * self._log_ratio(x))

    def _cdf(self, x: Array) -> Array:
        return np.asarray(-np.expm1(-(self.exponent - 1.0) * self._log_ratio(x)))

    def _sf(self, x: Array) -> Array:
        return np.asarray((x / self.minimum) ** (1.0 - self.exponent))

    def _ppf(self, p: Array) -> Array:
        return np.asarray(self.minimum * np.exp(-np.log1p(-p) / (self.exponent - 1.0)))

    def _score(self, x: Array) -> Array:
        return np.asarray(-self.exponent / x)

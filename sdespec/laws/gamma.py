"""Gamma law."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from sdespec.core.checks import positive, require
from sdespec.laws._base import Array, Law

__all__ = ["Gamma"]


@dataclass(frozen=True)
class Gamma(Law):
    r"""Gamma law, the stationary law of one squared singular value without repulsion.

    .. math:: \rho(x) = \frac{x^{k-1} e^{-x/\theta}}{\Gamma(k)\,\theta^k}, \qquad x > 0

    Parameters
    ----------
    shape : float
        :math:`k > 0`.
    scale : float
        :math:`\theta > 0`, in the unit of ``x``.

    Raises
    ------
    UsageError
        If a parameter is not positive.

    Examples
    --------
    >>> float(Gamma(shape=2.0, scale=3.0).mean())
    6.0
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
        """Mean."""
        return self.shape * self.scale

    def var(self) -> float:
        """Variance."""
        return self.shape * self.scale**2

    def _logpdf(self, x: Array) -> Array:
        power = special.xlogy(self.shape - 1.0, x) - self.shape * np.log(self.scale)
        return np.asarray(power - x / self.scale - special.gammaln(self.shape))

    def _cdf(self, x: Array) -> Array:
        return np.asarray(special.gammainc(self.shape, x / self.scale))

    def _sf(self, x: Array) -> Array:
        return np.asarray(special.gammaincc(self.shape, x / self.scale))

    def _ppf(self, p: Array) -> Array:
        return np.asarray(self.scale * special.gammaincinv(self.shape, p))

    def _score(self, x: Array) -> Array:
        return np.asarray((self.shape - 1.0) / x - 1.0 / self.scale)

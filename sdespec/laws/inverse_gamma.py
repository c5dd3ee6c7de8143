"""Inverse gamma law."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from sdespec.core.checks import positive, require
from sdespec.laws._base import Array, Law

__all__ = ["InverseGamma"]


@dataclass(frozen=True)
class InverseGamma(Law):
    r"""Inverse gamma law, with a power-law tail of density exponent ``shape + 1``.

    .. math:: \rho(x) = \frac{b^a}{\Gamma(a)}\, x^{-a-1} e^{-b/x}, \qquad x > 0

    Parameters
    ----------
    shape : float
        :math:`a > 0`.
    scale : float
        :math:`b > 0`, in the unit of ``x``.

    Raises
    ------
    UsageError
        If a parameter is not positive.

    Examples
    --------
    >>> float(InverseGamma(shape=3.0, scale=4.0).mean())
    2.0
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
        """Mean; infinite for ``shape <= 1``."""
        return self.scale / (self.shape - 1.0) if self.shape > 1.0 else np.inf

    def var(self) -> float:
        """Variance; infinite for ``shape <= 2``."""
        if self.shape <= 2.0:
            return np.inf
        return self.scale**2 / ((self.shape - 1.0) ** 2 * (self.shape - 2.0))

    def _logpdf(self, x: Array) -> Array:
        z = self.scale / x
        log_z = np.log(self.scale) - np.log(x)  # of z itself it is infinite where z underflows
        density = (self.shape + 1.0) * log_z - z - special.gammaln(self.shape) - np.log(self.scale)
        return np.asarray(np.where(np.isinf(z), -np.inf, density))

    def _cdf(self, x: Array) -> Array:
        return np.asarray(special.gammaincc(self.shape, self.scale / x))

    def _sf(self, x: Array) -> Array:
        return np.asarray(special.gammainc(self.shape, self.scale / x))

    def _ppf(self, p: Array) -> Array:
        return np.asarray(self.scale / special.gammainccinv(self.shape, p))

    def _score(self, x: Array) -> Array:
        return np.asarray(-(self.shape + 1.0) / x + self.scale / x**2)

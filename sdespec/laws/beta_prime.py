"""Beta prime law."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from sdespec.core.checks import positive, require
from sdespec.laws._base import Array, Law

__all__ = ["BetaPrime"]

_NEGLIGIBLE = 1e-17


@dataclass(frozen=True)
class BetaPrime(Law):
    r"""Beta prime law: gamma-like at small values, a power law at large ones.

    .. math:: \rho(x) = \frac{(x/s)^{a-1} (1 + x/s)^{-a-b}}{s\,B(a, b)}, \qquad x > 0

    Parameters
    ----------
    a : float
        :math:`a > 0`; the density grows as :math:`x^{a-1}` at 0.
    b : float
        :math:`b > 0`, the exponent of the survival function; the density falls as :math:`x^{-b-1}`.
    scale : float
        :math:`s > 0`, in the unit of ``x``.

    Raises
    ------
    UsageError
        If a parameter is not positive.

    Notes
    -----
    The stationary law of the squared norm of one row of length m that diffuses under weight decay g, additive noise
    of diffusion D and a common multiplicative Ito noise of amplitude :math:`\sigma` is
    ``BetaPrime(m / 2, 1 / 2 + g / sigma**2, 2 * D / sigma**2)``. As b grows at fixed ``scale / b`` the law tends to
    ``Gamma(a, scale / b)``.

    Examples
    --------
    >>> float(BetaPrime(a=2.0, b=3.0, scale=5.0).mean())
    5.0
    """

    a: float
    b: float
    scale: float

    def __post_init__(self) -> None:
        """Check the parameters."""
        require(positive(self.a), "a", self.a, "positive")
        require(positive(self.b), "b", self.b, "positive")
        require(positive(self.scale), "scale", self.scale, "positive")

    def support(self) -> tuple[float, float]:
        """Lower and upper end of the support."""
        return 0.0, np.inf

    def mean(self) -> float:
        """Mean; infinite for ``b <= 1``."""
        return self.scale * self.a / (self.b - 1.0) if self.b > 1.0 else np.inf

    def var(self) -> float:
        """Variance; infinite for ``b <= 2``."""
        if self.b <= 2.0:
            return np.inf
        return self.scale**2 * self.a * (self.a + self.b - 1.0) / ((self.b - 1.0) ** 2 * (self.b - 2.0))

    def _shares(self, x: Array) -> tuple[Array, Array]:
        """x/(s + x) and s/(s + x), neither by subtraction, without overflow."""
        odds = np.log(x) - np.log(self.scale)
        return np.asarray(special.expit(odds)), np.asarray(special.expit(-odds))

    def _logpdf(self, x: Array) -> Array:
        odds = np.log(x) - np.log(self.scale)
        # 0 * -inf at the origin is the constant density of a = 1
        rise = np.where(x > 0.0, (self.a - 1.0) * odds, special.xlogy(self.a - 1.0, x))
        fall = (self.a + self.b) * np.logaddexp(0.0, odds)
        return np.asarray(rise - fall - special.betaln(self.a, self.b) - np.log(self.scale))

    def _cdf(self, x: Array) -> Array:
        low, high = self._shares(x)
        return np.where(low < 0.5, special.betainc(self.a, self.b, low), special.betaincc(self.b, self.a, high))

    def _sf(self, x: Array) -> Array:
        low, high = self._shares(x)
        return np.where(low < 0.5, special.betaincc(self.a, self.b, low), special.betainc(self.b, self.a, high))

    def _ppf(self, p: Array) -> Array:
        low = special.betaincinv(self.a, self.b, p)
        high = special.betainccinv(self.b, self.a, p)
        odds = np.where(low < 0.5, low / (1.0 - low), (1.0 - high) / high)
        # the leading term next to 0, where the inverse of the beta function gives up
        leading = np.exp((np.log(p) + np.log(self.a) + special.betaln(self.a, self.b)) / self.a)
        return np.asarray(self.scale * np.where(leading * (self.a + self.b) < _NEGLIGIBLE, leading, odds))

    def _score(self, x: Array) -> Array:
        return np.asarray((self.a - 1.0) / x - (self.a + self.b) / (self.scale + x))

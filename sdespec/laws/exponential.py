"""Exponential law."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sdespec.core.checks import positive, require
from sdespec.laws._base import Array, Law

__all__ = ["Exponential"]


@dataclass(frozen=True)
class Exponential(Law):
    r"""Exponential law.

    .. math:: \rho(x) = e^{-x/\theta} / \theta, \qquad x \ge 0

    Parameters
    ----------
    scale : float
        :math:`\theta > 0`, the mean, in the unit of ``x``.

    Raises
    ------
    UsageError
        If the scale is not positive.

    Examples
    --------
    >>> float(Exponential(scale=2.0).var())
    4.0
    """

    scale: float

    def __post_init__(self) -> None:
        """Check the parameter."""
        require(positive(self.scale), "scale", self.scale, "positive")

    def support(self) -> tuple[float, float]:
        """Lower and upper end of the support."""
        return 0.0, np.inf

    def mean(self) -> float:
        """Mean."""
        return self.scale

    def var(self) -> float:
        """Variance."""
        return self.scale**2

    def _logpdf(self, x: Array) -> Array:
        return np.asarray(-x / self.scale - np.log(self.scale))

    def _cdf(self, x: Array) -> Array:
        return np.asarray(-np.expm1(-x / self.scale))

    def _sf(self, x: Array) -> Array:
        return np.asarray(np.exp(-x / self.scale))

    def _ppf(self, p: Array) -> Array:
        return np.asarray(-self.scale * np.log1p(-p))

    def _score(self, x: Array) -> Array:
        return np.asarray(np.full_like(x, -1.0 / self.scale))

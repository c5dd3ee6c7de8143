"""Gradient noises."""

from __future__ import annotations

from dataclasses import dataclass

from sdespec.core.checks import not_negative, require
from sdespec.models._base import Model

__all__ = ["IsotropicNoise"]


@dataclass(frozen=True, eq=False, repr=False)
class IsotropicNoise(Model):
    r"""Independent noise of equal strength on every entry.

    .. math:: \sqrt{2D}\, dB_{ij}

    Parameters
    ----------
    diffusion : float
        :math:`D \ge 0`, in weight^2 per unit of the clock.

    Raises
    ------
    UsageError
        If the diffusion is negative or not finite.

    Examples
    --------
    >>> IsotropicNoise(diffusion=0.5)
    IsotropicNoise(diffusion=0.5): sqrt(2*diffusion) dB
    """

    diffusion: float

    def __post_init__(self) -> None:
        """Check the field."""
        require(not_negative(self.diffusion), "diffusion", self.diffusion, "at least 0 and finite")

    def __repr__(self) -> str:
        return f"IsotropicNoise(diffusion={self.diffusion:g}): sqrt(2*diffusion) dB"

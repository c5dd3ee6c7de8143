"""SGD on a weight matrix as a stochastic differential equation."""

from __future__ import annotations

from dataclasses import dataclass

from sdespec.core.checks import not_negative, require
from sdespec.core.errors import UsageError
from sdespec.models._base import Model
from sdespec.models.noise import IsotropicNoise

__all__ = ["MatrixSGD"]


@dataclass(frozen=True, eq=False, repr=False)
class MatrixSGD(Model):
    r"""Weight matrix under weight decay and gradient noise.

    .. math:: dW = -g W\,dt + \sqrt{2D}\,dB

    Parameters
    ----------
    n_rows, n_cols : int
        Shape, each at least 1.
    weight_decay : float
        g >= 0.
    noise : IsotropicNoise or tuple of one
        Gradient noise.
    loss : None
        A loss beside the weight decay; only None is implemented.

    Raises
    ------
    UsageError
        If a field is not allowed.

    Examples
    --------
    >>> MatrixSGD(4, 6, weight_decay=1.0, noise=IsotropicNoise(0.5)).diffusion
    0.5
    """

    n_rows: int
    n_cols: int
    weight_decay: float = 0.0
    noise: IsotropicNoise | tuple[IsotropicNoise, ...] = IsotropicNoise(1.0)  # noqa: RUF009 - frozen, so shared safely
    loss: None = None

    def __post_init__(self) -> None:
        """Check the fields."""
        for name in ("n_rows", "n_cols"):
            value = getattr(self, name)
            require(isinstance(value, int) and value >= 1, name, value, "an integer of at least 1")
        require(not_negative(self.weight_decay), "weight_decay", self.weight_decay, "at least 0 and finite")
        noises = self.noise if isinstance(self.noise, tuple) else (self.noise,)
        if len(noises) != 1 or not isinstance(noises[0], IsotropicNoise):
            raise UsageError(f"noise is {self.noise!r}; it must be one IsotropicNoise(diffusion)")
        if self.loss is not None:
            raise UsageError(f"loss is {self.loss!r}; only None is allowed: weight decay is the only drift")

    @property
    def diffusion(self) -> float:
        """Diffusion D of one entry."""
        return self.noise[0].diffusion if isinstance(self.noise, tuple) else self.noise.diffusion

    def __repr__(self) -> str:
        return (
            f"MatrixSGD(n_rows={self.n_rows}, n_cols={self.n_cols}, weight_decay={self.weight_decay:g}, "
            f"noise=IsotropicNoise(diffusion={self.diffusion:g})): "
            "dW = -weight_decay*W dt + sqrt(2*diffusion) dB; Ito calculus"
        )

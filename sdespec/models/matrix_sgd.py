"""SGD on a weight matrix as a stochastic differential equation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, get_args

from sdespec.core.checks import not_negative, require
from sdespec.core.errors import UsageError
from sdespec.models._base import Model
from sdespec.models.losses import Loss, QuadraticLoss, SpectralLoss, name_of
from sdespec.models.noise import (
    IsotropicNoise,
    LeftMultiplicativeNoise,
    Noise,
    RightMultiplicativeNoise,
    ScalarMultiplicativeNoise,
    SeparableNoise,
)

__all__ = ["MatrixSGD"]

_Kind = TypeVar("_Kind", bound=Noise)


@dataclass(frozen=True, eq=False, repr=False)
class MatrixSGD(Model):
    r"""Weight matrix under a loss, weight decay and gradient noise, in Ito calculus.

    .. math:: dW = -(\nabla L(W) + g W)\,dt + \text{noise}

    Parameters
    ----------
    n_rows, n_cols : int
        Shape, each at least 1.
    weight_decay : float
        g >= 0.
    noise : noise or tuple of noises
        ``IsotropicNoise``, ``SeparableNoise``, ``ScalarMultiplicativeNoise``, ``RightMultiplicativeNoise``,
        ``LeftMultiplicativeNoise``, or several, which are independent and add up.
    loss : None, QuadraticLoss, SpectralLoss or callable
        Loss beside the weight decay. A callable takes the matrix (n_rows, n_cols) to the gradient, an array of that
        shape; plain Python or compiled by Numba (then from C-contiguous float64 to the same).

    Raises
    ------
    UsageError
        If a field is not allowed, or shapes do not fit.

    Examples
    --------
    >>> MatrixSGD(4, 6, weight_decay=1.0, noise=IsotropicNoise(0.5)).diffusion
    0.5
    >>> both = MatrixSGD(1, 3, weight_decay=1.0, noise=(IsotropicNoise(0.5), RightMultiplicativeNoise(0.1)))
    >>> repr(both).split(": ")[1]
    "dW = -weight_decay*W dt + sqrt(2*diffusion) dB + sqrt(2*diffusion) W dB'; Ito calculus"
    """

    n_rows: int
    n_cols: int
    weight_decay: float = 0.0
    noise: Noise | tuple[Noise, ...] = IsotropicNoise(1.0)  # noqa: RUF009 - frozen, so shared safely
    loss: Loss | None = None

    def __post_init__(self) -> None:
        """Check the fields."""
        for name in ("n_rows", "n_cols"):
            value = getattr(self, name)
            require(isinstance(value, int) and value >= 1, name, value, "an integer of at least 1")
        require(not_negative(self.weight_decay), "weight_decay", self.weight_decay, "at least 0 and finite")
        if not self.noises or not all(isinstance(noise, get_args(Noise)) for noise in self.noises):
            kinds = ", ".join(kind.__name__ for kind in get_args(Noise))
            raise UsageError(f"noise is {self.noise!r}; it must be one or a tuple of {kinds}")
        for noise in self.of_kind(SeparableNoise):
            sides = len(noise.row_covariance), len(noise.col_covariance)
            if sides != (self.n_rows, self.n_cols):
                raise UsageError(
                    f"the covariances of the separable noise have the sides {sides}; they must be those of the "
                    f"matrix, {(self.n_rows, self.n_cols)}"
                )
        if isinstance(self.loss, QuadraticLoss):
            if self.loss.target.shape != (self.n_rows, self.n_cols):
                raise UsageError(
                    f"the target of the loss has the shape {self.loss.target.shape}; it must be that of the matrix, "
                    f"{(self.n_rows, self.n_cols)}"
                )
        elif not (self.loss is None or isinstance(self.loss, SpectralLoss) or callable(self.loss)):
            raise UsageError(
                f"loss is {self.loss!r}; allowed: None, QuadraticLoss, SpectralLoss, or a function of the matrix "
                "that gives the gradient"
            )

    @property
    def noises(self) -> tuple[Noise, ...]:
        """The independent noises that add up."""
        return self.noise if isinstance(self.noise, tuple) else (self.noise,)

    def of_kind(self, kind: type[_Kind]) -> list[_Kind]:
        """The noises of one kind."""
        return [noise for noise in self.noises if isinstance(noise, kind)]

    @property
    def linear_isotropic(self) -> bool:
        """Whether weight decay is the only drift and isotropic noise the only noise."""
        return self.loss is None and len(self.of_kind(IsotropicNoise)) == len(self.noises)

    @property
    def diffusion(self) -> float:
        """Diffusion D of one entry, where weight decay is the only drift and isotropic noise the only noise.

        Raises
        ------
        UsageError
            For any other model.
        """
        if not self.linear_isotropic:
            raise UsageError(
                f"{self!r} has no single diffusion: that needs loss=None and noise=IsotropicNoise(diffusion); "
                "what rests on it, such as the exact theory of the spectrum, is not for this model"
            )
        return sum(noise.diffusion for noise in self.of_kind(IsotropicNoise))

    def require_stationary(self) -> None:
        r"""Raise if no stationary law is known to exist.

        Raises
        ------
        UsageError
            With the condition that fails. For losses None and quadratic it is :math:`g + \min K + d > k_{left} (n - 2)
            + k_{right} (m - 2)`, where n and m are n_rows and n_cols: the matrix contracts in the mean of its
            logarithm. It is sharp unless right-multiplicative noise meets a curvature of unequal eigenvalues.
        """
        rate, growth, contraction, growing = self._rates()
        if rate <= growth:
            raise UsageError(
                f"there is no stationary law: it needs {' + '.join(contraction)} > {' + '.join(growing) or '0'}, and "
                f"{rate:g} is not above {growth:g}; raise weight_decay or lower the multiplicative noise"
            )

    @property
    def relaxation_rate(self) -> float:
        r"""Rate at which the start is forgotten, in the mean of its logarithm; not positive where it never is.

        .. math:: g + \min K + d - k_{left} (n - 2) - k_{right} (m - 2)

        Raises
        ------
        UsageError
            If the loss is neither None nor quadratic.
        """
        rate, growth, _, _ = self._rates()
        return rate - growth

    def _rates(self) -> tuple[float, float, list[str], list[str]]:
        """Contraction and growth of the logarithm of the matrix, and the names of their parts."""
        if not (self.loss is None or isinstance(self.loss, QuadraticLoss)):
            raise UsageError(
                "no condition is known for the stationary law of this loss; start from a matrix and let it relax"
            )
        left = sum(noise.diffusion for noise in self.of_kind(LeftMultiplicativeNoise))
        right = sum(noise.diffusion for noise in self.of_kind(RightMultiplicativeNoise))
        scalar = sum(noise.diffusion for noise in self.of_kind(ScalarMultiplicativeNoise))
        contraction, growing = ["weight_decay"], []
        rate, growth = self.weight_decay + scalar, left * (self.n_rows - 2) + right * (self.n_cols - 2)
        if isinstance(self.loss, QuadraticLoss):
            contraction.append("smallest eigenvalue of the curvature")
            rate += self.loss.smallest_curvature
        if scalar > 0.0:
            contraction.append("d")
        if left > 0.0:
            growing.append("k_left*(n_rows - 2)")
        if right > 0.0:
            growing.append("k_right*(n_cols - 2)")
        return rate, growth, contraction, growing

    def __repr__(self) -> str:
        fields, terms = zip(*(repr(noise).split(": ", 1) for noise in self.noises), strict=True)
        noise = fields[0] if len(fields) == 1 else f"({', '.join(fields)})"
        drift, loss = "weight_decay*W", ""
        if self.loss is not None:
            known = isinstance(self.loss, (QuadraticLoss, SpectralLoss))
            loss = f", loss={repr(self.loss).split(': ', 1)[0] if known else name_of(self.loss)}"
            drift = "(grad L + weight_decay*W)"
        return (
            f"MatrixSGD(n_rows={self.n_rows}, n_cols={self.n_cols}, weight_decay={self.weight_decay:g}, "
            f"noise={noise}{loss}): dW = -{drift} dt + {' + '.join(terms)}; Ito calculus"
        )

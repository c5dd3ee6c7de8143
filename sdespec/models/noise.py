"""Gradient noises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sdespec.core.checks import not_negative, require
from sdespec.core.errors import UsageError
from sdespec.models._base import Model

__all__ = [
    "IsotropicNoise",
    "LeftMultiplicativeNoise",
    "Noise",
    "RightMultiplicativeNoise",
    "ScalarMultiplicativeNoise",
    "SeparableNoise",
]

_ROUNDING = 1e-10


class _Scalar(Model):
    """A noise whose only field is its diffusion."""

    diffusion: float

    def __post_init__(self) -> None:
        """Check the field."""
        require(not_negative(self.diffusion), "diffusion", self.diffusion, "at least 0 and finite")


@dataclass(frozen=True, eq=False, repr=False)
class IsotropicNoise(_Scalar):
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

    def __repr__(self) -> str:
        return f"IsotropicNoise(diffusion={self.diffusion:g}): sqrt(2*diffusion) dB"


@dataclass(frozen=True, eq=False, repr=False)
class ScalarMultiplicativeNoise(_Scalar):
    r"""One Brownian motion that scales the whole matrix.

    .. math:: \sqrt{2d}\, W\, d\xi

    Parameters
    ----------
    diffusion : float
        :math:`d \ge 0`, per unit of the clock; Ito calculus.

    Raises
    ------
    UsageError
        If the diffusion is negative or not finite.

    Notes
    -----
    Beside isotropic noise of diffusion D and weight decay g the stationary matrix is :math:`\sqrt V Z` with standard
    normal Z and V of the inverse gamma law of shape 1/2 + g/(2d) and scale D/(2d): a power law over many matrices,
    and no tail within one. In the Stratonovich reading g becomes g - d.

    Examples
    --------
    >>> ScalarMultiplicativeNoise(diffusion=0.5)
    ScalarMultiplicativeNoise(diffusion=0.5): sqrt(2*diffusion) W dxi
    """

    diffusion: float

    def __repr__(self) -> str:
        return f"ScalarMultiplicativeNoise(diffusion={self.diffusion:g}): sqrt(2*diffusion) W dxi"


@dataclass(frozen=True, eq=False, repr=False)
class RightMultiplicativeNoise(_Scalar):
    r"""Independent random mixing of the columns, the same for every row.

    .. math:: \sqrt{2k}\, W\, dB', \qquad dB' \ \text{of n\_cols x n\_cols independent entries}

    Parameters
    ----------
    diffusion : float
        :math:`k \ge 0`, per unit of the clock; Ito calculus.

    Raises
    ------
    UsageError
        If the diffusion is negative or not finite.

    Notes
    -----
    Beside isotropic noise of diffusion D and weight decay g the stationary matrix has the density
    :math:`\propto \det(1 + (k/D) W W^T)^{-(n+1)/2 - g/(2k)}`, a matrix F law of the spectrum, which exists for
    g > k (n_cols - 2).

    Examples
    --------
    >>> RightMultiplicativeNoise(diffusion=0.5)
    RightMultiplicativeNoise(diffusion=0.5): sqrt(2*diffusion) W dB'
    """

    diffusion: float

    def __repr__(self) -> str:
        return f"RightMultiplicativeNoise(diffusion={self.diffusion:g}): sqrt(2*diffusion) W dB'"


@dataclass(frozen=True, eq=False, repr=False)
class LeftMultiplicativeNoise(_Scalar):
    r"""Independent random mixing of the rows, the same for every column.

    .. math:: \sqrt{2k}\, dB'\, W, \qquad dB' \ \text{of n\_rows x n\_rows independent entries}

    Parameters
    ----------
    diffusion : float
        :math:`k \ge 0`, per unit of the clock; Ito calculus.

    Raises
    ------
    UsageError
        If the diffusion is negative or not finite.

    Notes
    -----
    This is the right-multiplicative noise of the transposed matrix; beside isotropic noise and weight decay g the
    stationary density is :math:`\propto \det(1 + (k/D) W W^T)^{-(m+1)/2 - g/(2k)}`, for g > k (n_rows - 2).

    Examples
    --------
    >>> LeftMultiplicativeNoise(diffusion=0.5)
    LeftMultiplicativeNoise(diffusion=0.5): sqrt(2*diffusion) dB' W
    """

    diffusion: float

    def __repr__(self) -> str:
        return f"LeftMultiplicativeNoise(diffusion={self.diffusion:g}): sqrt(2*diffusion) dB' W"


@dataclass(frozen=True, eq=False, repr=False)
class SeparableNoise(Model):
    r"""Additive noise with one covariance of the rows and one of the columns.

    .. math:: A^{1/2}\, dB\, C^{1/2}, \qquad \mathrm{Cov}(dW_{ij}, dW_{kl}) = A_{ik} C_{jl}\, dt

    Parameters
    ----------
    row_covariance : array_like, (n_rows, n_rows)
        A, symmetric and positive semi-definite.
    col_covariance : array_like, (n_cols, n_cols)
        C, symmetric and positive semi-definite; A times C is in weight^2 per unit of the clock. ``IsotropicNoise(D)``
        is ``SeparableNoise(2 * D * identity, identity)``.

    Raises
    ------
    UsageError
        If a matrix is not square, symmetric, finite and positive semi-definite.

    Examples
    --------
    >>> SeparableNoise([[1.0, 0.5], [0.5, 1.0]], np.eye(3))
    SeparableNoise(row_covariance=<2 x 2, trace 2>, col_covariance=<3 x 3, trace 3>): A^(1/2) dB C^(1/2)
    """

    row_covariance: Any
    col_covariance: Any

    def __post_init__(self) -> None:
        """Check the fields, and keep arrays that nobody can change."""
        for name in ("row_covariance", "col_covariance"):
            matrix = symmetric(getattr(self, name), name)
            values = np.linalg.eigvalsh(matrix)
            if values[0] < -_ROUNDING * max(abs(values[-1]), abs(values[0])):
                raise UsageError(
                    f"{name} has the eigenvalue {values[0]:.3g}; a covariance must be positive semi-definite"
                )
            object.__setattr__(self, name, matrix)

    def __repr__(self) -> str:
        fields = ", ".join(
            f"{name}=<{len(matrix)} x {len(matrix)}, trace {np.trace(matrix):g}>"
            for name, matrix in (
                ("row_covariance", self.row_covariance), ("col_covariance", self.col_covariance),
            )
        )  # fmt: skip
        return f"SeparableNoise({fields}): A^(1/2) dB C^(1/2)"


def symmetric(value: Any, name: str) -> np.ndarray:
    """A finite symmetric matrix as a read-only float64 copy."""
    try:
        matrix = np.array(value, dtype=np.float64, order="C")
    except (TypeError, ValueError):
        raise UsageError(f"{name} is {value!r}; give a symmetric matrix of numbers") from None
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.size == 0:
        raise UsageError(f"{name} has the shape {matrix.shape}; it must be a square matrix")
    if not np.isfinite(matrix).all():
        raise UsageError(f"{name} holds NaN or infinite entries; all must be finite")
    if np.abs(matrix - matrix.T).max() > _ROUNDING * np.abs(matrix).max():
        raise UsageError(f"{name} is not symmetric; give (matrix + matrix.T) / 2")
    matrix = 0.5 * (matrix + matrix.T)
    matrix.setflags(write=False)
    return matrix


Noise = IsotropicNoise | SeparableNoise | ScalarMultiplicativeNoise | RightMultiplicativeNoise | LeftMultiplicativeNoise

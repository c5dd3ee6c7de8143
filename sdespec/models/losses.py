"""Losses of a weight matrix, known by their gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sdespec.core.errors import UsageError
from sdespec.models._base import Model
from sdespec.models.noise import symmetric

__all__ = ["Loss", "QuadraticLoss", "SpectralLoss"]


@dataclass(frozen=True, eq=False, repr=False)
class QuadraticLoss(Model):
    r"""Quadratic loss around a target, with a curvature that all rows share.

    .. math:: L(W) = \tfrac12 \mathrm{tr}\, (W - T) K (W - T)^T, \qquad \nabla L = (W - T) K

    Parameters
    ----------
    target : array_like, (n_rows, n_cols)
        T, finite.
    curvature : array_like, (n_cols, n_cols)
        K, symmetric and finite, in units of 1 over the clock.

    Raises
    ------
    UsageError
        If a shape does not fit, an entry is not finite, or the curvature is not symmetric.

    Notes
    -----
    With additive noise the matrix is Gaussian at all times, so simulation is exact at any step.

    Examples
    --------
    >>> QuadraticLoss(np.zeros((2, 3)), np.diag([1.0, 2.0, 3.0]))
    QuadraticLoss(target=<2 x 3>, curvature=<3 x 3, eigenvalues 1 to 3>): gradient (W - T) K
    """

    target: Any
    curvature: Any

    def __post_init__(self) -> None:
        """Check the fields, and keep arrays that nobody can change."""
        curvature = symmetric(self.curvature, "curvature")
        target = np.array(self.target, dtype=np.float64, order="C")
        if target.ndim != 2 or target.shape[1] != len(curvature) or target.size == 0:
            raise UsageError(
                f"target has the shape {target.shape} and curvature {curvature.shape}; they must be (n_rows, n_cols) "
                "and (n_cols, n_cols)"
            )
        if not np.isfinite(target).all():
            raise UsageError("target holds NaN or infinite entries; all must be finite")
        target.setflags(write=False)
        object.__setattr__(self, "target", target)
        object.__setattr__(self, "curvature", curvature)

    @property
    def smallest_curvature(self) -> float:
        """Smallest eigenvalue of the curvature."""
        return float(np.linalg.eigvalsh(self.curvature)[0])

    def __repr__(self) -> str:
        n, m = self.target.shape
        values = np.linalg.eigvalsh(self.curvature)
        curvature = f"<{m} x {m}, eigenvalues {values[0]:.4g} to {values[-1]:.4g}>"
        return f"QuadraticLoss(target=<{n} x {m}>, curvature={curvature}): gradient (W - T) K"


@dataclass(frozen=True, eq=False, repr=False)
class SpectralLoss(Model):
    r"""Loss that depends on the singular values only.

    .. math:: W = U \mathrm{diag}(s) V^T, \qquad \nabla L = U\, \mathrm{diag}(\partial\Phi/\partial s)\, V^T

    Parameters
    ----------
    derivative : callable
        :math:`s \mapsto \partial\Phi/\partial s`, of arrays (..., rank) and of their shape. It is the derivative of a
        symmetric function, and odd in each :math:`s_k` if the loss is smooth at zero; ``numpy`` functions of single
        values will do. Plain Python or compiled by Numba.

    Raises
    ------
    UsageError
        If it is not callable.

    Notes
    -----
    With isotropic noise the squared singular values are a Markov process by themselves.

    Examples
    --------
    >>> SpectralLoss(lambda s: s**3)
    SpectralLoss(derivative=<lambda>): gradient U diag(derivative(s)) V^T
    """

    derivative: Callable[[Any], Any]

    def __post_init__(self) -> None:
        """Check the field."""
        if not callable(self.derivative):
            raise UsageError(f"derivative is {self.derivative!r}; it must be a function of the singular values")

    def __repr__(self) -> str:
        return f"SpectralLoss(derivative={name_of(self.derivative)}): gradient U diag(derivative(s)) V^T"


def name_of(function: Any) -> str:
    """Name of a function for a repr, without its address."""
    return str(getattr(function, "__name__", type(function).__name__))


Loss = QuadraticLoss | SpectralLoss | Callable[[Any], Any]

"""Whole spectra of a Gaussian matrix with a mean and separable covariance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sdespec.core.checks import require
from sdespec.core.errors import UsageError
from sdespec.core.linalg import eigenvalues
from sdespec.laws._base import Array, stream

__all__ = ["GaussianMatrixEnsemble"]

Covariance = float | np.ndarray


@dataclass(frozen=True, eq=False)
class GaussianMatrixEnsemble:
    r"""Squared singular values of a Gaussian matrix with a mean and separable covariance.

    .. math:: W = M + A^{1/2} Z C^{1/2}, \qquad \mathrm{Cov}(W_{ij}, W_{kl}) = A_{ik} C_{jl}

    Parameters
    ----------
    mean : ndarray, (n, m)
        Mean M.
    row_covariance, col_covariance : float or ndarray
        A and C: a number times the identity, a diagonal, or a symmetric matrix without negative eigenvalues.

    Raises
    ------
    UsageError
        If a shape or a covariance is not allowed.

    Examples
    --------
    >>> GaussianMatrixEnsemble(np.zeros((3, 5)), 2.0, 1.0).rvs(4, seed=0).shape
    (4, 3)
    """

    mean: np.ndarray
    row_covariance: Covariance
    col_covariance: Covariance

    def __post_init__(self) -> None:
        """Check mean and covariances."""
        mean = np.asarray(self.mean, dtype=np.float64)
        require(mean.ndim == 2 and mean.size > 0, "the shape of the mean", mean.shape, "that of a matrix")
        require(bool(np.isfinite(mean).all()), "the mean", "not finite", "finite")
        object.__setattr__(self, "mean", mean)
        _root(self.row_covariance, mean.shape[0], "row_covariance")
        _root(self.col_covariance, mean.shape[1], "col_covariance")

    @property
    def rank(self) -> int:
        """Number of values in a spectrum."""
        return int(min(self.mean.shape))

    def rvs(self, size: int, *, seed: int) -> Array:
        """Draw whole spectra.

        Parameters
        ----------
        size : int
            Number of spectra.
        seed : int
            Spectrum i depends on ``(seed, i)`` only.

        Returns
        -------
        ndarray, (size, rank)
            Each row descending.
        """
        require(size >= 0, "size", size, "at least 0")
        rows = _root(self.row_covariance, self.mean.shape[0], "row_covariance")
        cols = _root(self.col_covariance, self.mean.shape[1], "col_covariance")
        out = np.empty((size, self.rank))
        for i in range(size):
            noise = stream(seed, i).standard_normal(self.mean.shape)
            noise = rows @ noise if rows.ndim == 2 else rows[:, None] * noise
            noise = noise @ cols.T if cols.ndim == 2 else noise * cols[None, :]
            out[i] = eigenvalues(self.mean + noise)
        return out


def _root(covariance: Covariance, side: int, name: str) -> Array:
    """Diagonal of, or a matrix whose product with its transpose is, the covariance."""
    value = np.asarray(covariance, dtype=np.float64)
    if value.ndim == 0:
        value = np.full(side, float(value))
    if value.shape == (side,):
        require(bool(np.isfinite(value).all() and (value >= 0.0).all()), name, covariance, "finite and at least 0")
        return np.sqrt(value)
    if value.shape != (side, side) or not np.allclose(value, value.T):
        raise UsageError(f"{name} has the shape {value.shape}; give a number, {side} numbers or a symmetric matrix")
    spectrum, vectors = np.linalg.eigh(value)
    if spectrum[0] < -1e-10 * max(spectrum[-1], 0.0):
        raise UsageError(f"{name} has the eigenvalue {spectrum[0]:.3g}; a covariance has none below 0")
    return np.asarray(vectors * np.sqrt(np.maximum(spectrum, 0.0)))

"""Law of a weight matrix under a linear drift and additive noise: its mean and its covariance at any time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sdespec.core.errors import UsageError
from sdespec.laws import GaussianMatrixEnsemble

__all__ = ["GaussianTransition", "linear_transition"]


@dataclass(frozen=True, eq=False)
class GaussianTransition:
    r"""Gaussian law of a matrix, :math:`\mathrm{Cov}(W_{ij}, W_{kl}) = \sum_r A^r_{ik} C^r_{jl}`.

    Parameters
    ----------
    mean : ndarray, (n, m)
        Mean.
    covariances : tuple of (ndarray (n, n), ndarray (m, m))
        Pairs (A, C).
    """

    mean: np.ndarray
    covariances: tuple[tuple[np.ndarray, np.ndarray], ...]

    @property
    def trace_mean(self) -> float:
        """Mean of the sum of the squared singular values."""
        noise = sum(float(np.trace(rows) * np.trace(cols)) for rows, cols in self.covariances)
        return float((self.mean**2).sum()) + noise

    @property
    def trace_variance(self) -> float:
        r"""Its variance.

        .. math:: \sum_{rs} 2 \mathrm{tr}(A^r A^s) \mathrm{tr}(C^r C^s) + 4 \sum_r \mathrm{tr} M^T A^r M C^r
        """
        pairs = self.covariances
        noise = 2.0 * sum(float((a * b).sum() * (c * d).sum()) for a, c in pairs for b, d in pairs)
        cross = 4.0 * sum(float(((self.mean.T @ rows @ self.mean) * cols).sum()) for rows, cols in pairs)
        return noise + cross

    def _separable(self) -> tuple[np.ndarray, np.ndarray] | None:
        """One pair (A, C) of all, where noises share the one or the other up to a factor."""
        rows, cols = self.covariances[0]
        for other, more in self.covariances[1:]:
            if np.allclose(other * np.trace(rows), rows * np.trace(other), rtol=1e-12, atol=0.0):
                cols = cols + more * (np.trace(other) / np.trace(rows))
            elif np.allclose(more * np.trace(cols), cols * np.trace(more), rtol=1e-12, atol=0.0):
                rows = rows + other * (np.trace(more) / np.trace(cols))
            else:
                return None
        return rows, cols

    @property
    def is_separable(self) -> bool:
        """Whether the covariance is a product of one of rows and one of columns."""
        return self._separable() is not None

    @property
    def ensemble(self) -> GaussianMatrixEnsemble:
        """Ensemble of the spectra.

        Raises
        ------
        UsageError
            If the covariance is a sum of several that are not separable together.
        """
        pair = self._separable()
        if pair is None:
            raise UsageError(
                "the covariance of the sum of noises is not separable; give noises that share their row or their "
                "column covariance up to a factor"
            )
        return GaussianMatrixEnsemble(self.mean, *pair)


def linear_transition(
    start: np.ndarray,
    time: float,
    *,
    decay: np.ndarray,
    force: np.ndarray,
    noises: Sequence[tuple[np.ndarray, np.ndarray]],
) -> GaussianTransition:
    r"""Law at a time of a matrix with linear drift and additive noise.

    .. math:: dW = (F - W K) dt + \sum_r (A^r)^{1/2} dB^r (C^r)^{1/2}, \quad
        M_t = W_0 e^{-Kt} + F \int_0^t e^{-Ks} ds, \quad C^r_t = \int_0^t e^{-Ks} C^r e^{-Ks} ds

    Parameters
    ----------
    start : ndarray, (n, m)
        W at time 0.
    time : float
        At least 0; may be infinite where all eigenvalues of the decay are positive.
    decay : ndarray, (m, m)
        Symmetric K without negative eigenvalues.
    force : ndarray, (n, m)
        F.
    noises : sequence of (ndarray (n, n), ndarray (m, m))
        Row and column covariances of the increments, per unit of time.

    Returns
    -------
    GaussianTransition

    Raises
    ------
    UsageError
        If the time is infinite and there is no stationary law.

    Notes
    -----
    In the eigenbasis of K the integrals are elementary. Cost O(m^3).

    Examples
    --------
    >>> one = np.eye(1)
    >>> law = linear_transition(0.0 * one, 1.0, decay=one, force=one, noises=[(one, 2.0 * one)])
    >>> law.mean.round(4).item(), law.covariances[0][1].round(4).item()
    (0.6321, 0.8647)
    """
    rates, basis = np.linalg.eigh(decay)
    rates = np.where(rates > 1e-14 * max(float(rates[-1]), 0.0), rates, 0.0)
    if math.isinf(time):
        if rates[0] == 0.0:
            raise UsageError(
                "there is no stationary law: the drift leaves a direction free; take weight_decay > 0 or a curvature "
                "whose eigenvalues are all positive"
            )
        left = np.zeros_like(rates)
    else:
        left = np.exp(-rates * time)
    mean = ((start @ basis) * left + (force @ basis) * _gained(rates, time)) @ basis.T
    sums = rates[:, None] + rates[None, :]
    weights = _gained(sums, time)
    pairs = tuple((rows, basis @ ((basis.T @ cols @ basis) * weights) @ basis.T) for rows, cols in noises)
    return GaussianTransition(mean, pairs)


def _gained(rates: np.ndarray, time: float) -> np.ndarray:
    """Integral of exp(-rate s) over the time."""
    if math.isinf(time):
        return 1.0 / rates
    x = rates * time
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(x > 0.0, -np.expm1(-x) / np.where(rates > 0.0, rates, 1.0), time))

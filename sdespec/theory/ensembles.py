"""Exact ensembles of the linear SDE."""

from __future__ import annotations

import math

import numpy as np

from sdespec.core.errors import UsageError
from sdespec.laws import GaussianMatrixEnsemble, LaguerreEnsemble, MatrixFEnsemble
from sdespec.models import MatrixSGD
from sdespec.theory._process import LinearModel, process_of
from sdespec.theory.predict_matrix import matrix_process

__all__ = ["stationary_ensemble", "transition_ensemble"]


def stationary_ensemble(model: LinearModel) -> LaguerreEnsemble | GaussianMatrixEnsemble | MatrixFEnsemble:
    r"""Stationary law of the whole spectrum: the Laguerre ensemble of variance D/g, unless the model has more to it.

    Parameters
    ----------
    model : DysonLaguerre or MatrixSGD
        With positive weight decay, or a drift that holds the matrix in another way.

    Returns
    -------
    LaguerreEnsemble, GaussianMatrixEnsemble or MatrixFEnsemble
        The second with a quadratic loss or separable noise, the last with isotropic and right-multiplicative noise.

    Raises
    ------
    UsageError
        If there is no stationary law, or none that is known.

    Examples
    --------
    >>> from sdespec.models import DysonLaguerre
    >>> stationary_ensemble(DysonLaguerre(4, 6, weight_decay=2.0, diffusion=1.0)).variance
    0.5
    """
    if isinstance(model, MatrixSGD) and not model.linear_isotropic:
        return matrix_process(model).stationary()
    p = process_of(model)
    return LaguerreEnsemble(p.n, p.m, p.variance(math.inf), beta=p.beta)


def transition_ensemble(
    model: LinearModel, time: float, initial: np.ndarray | None = None
) -> LaguerreEnsemble | GaussianMatrixEnsemble:
    r"""Law of the whole spectrum at a time, given the spectrum at time 0.

    .. math:: W_t \sim e^{-gt} \mathrm{diag}(s_0) + \sqrt{v_t}\, Z

    Parameters
    ----------
    model : DysonLaguerre or MatrixSGD
        Of any beta from zero, of beta = 1 from anything else.
    time : float
        Positive; may be infinite where a stationary law exists.
    initial : ndarray, (n,), optional
        Eigenvalues at time 0; zero by default. With a quadratic loss or separable noise the matrix (n_rows, n_cols).

    Returns
    -------
    LaguerreEnsemble or GaussianMatrixEnsemble

    Raises
    ------
    UsageError
        If the time is not positive, or no matrix stands behind the process.

    Examples
    --------
    >>> from sdespec.models import DysonLaguerre
    >>> ensemble = transition_ensemble(DysonLaguerre(4, 6, 0.0, 1.0), 0.5, initial=np.ones(4))
    >>> ensemble.rvs(3, seed=0).shape
    (3, 4)
    """
    if not time > 0.0:
        raise UsageError(f"time is {time}; the law at a time needs a positive time")
    if isinstance(model, MatrixSGD) and not model.linear_isotropic:
        return _of_matrix(model, time, initial)
    p = process_of(model)
    decay, variance = p.decay(time), p.variance(time)
    if initial is None or decay == 0.0 or not np.any(initial):
        return LaguerreEnsemble(p.n, p.m, variance, beta=p.beta)
    if p.beta != 1.0 or not float(p.m).is_integer():
        raise UsageError(f"beta is {p.beta:g} and the larger side {p.m:g}; only a real matrix has this transition law")
    mean = np.zeros((p.n, int(p.m)))
    np.fill_diagonal(mean, np.sqrt(decay * np.asarray(initial, dtype=np.float64)))
    return GaussianMatrixEnsemble(mean, variance, 1.0)


def _of_matrix(model: MatrixSGD, time: float, initial: np.ndarray | None) -> GaussianMatrixEnsemble:
    """Law at a time of a matrix under any linear drift and additive noise."""
    process = matrix_process(model)
    if process.multiplicative:
        raise UsageError("under noise that multiplies the matrix only the stationary law is known; simulate the others")
    shape = (model.n_rows, model.n_cols)
    start = np.zeros(shape) if initial is None else np.asarray(initial, dtype=np.float64)
    if start.shape != shape:
        raise UsageError(f"initial has the shape {start.shape}; the law depends on singular vectors: give {shape}")
    return process.transition(start, time).ensemble

"""Exact ensembles of the linear SDE."""

from __future__ import annotations

import math

import numpy as np

from sdespec.core.errors import UsageError
from sdespec.laws import GaussianMatrixEnsemble, LaguerreEnsemble
from sdespec.theory._process import LinearModel, process_of

__all__ = ["stationary_ensemble", "transition_ensemble"]


def stationary_ensemble(model: LinearModel) -> LaguerreEnsemble:
    r"""Stationary law of the whole spectrum: the Laguerre ensemble of variance D/g.

    Parameters
    ----------
    model : DysonLaguerre or MatrixSGD
        With positive weight decay.

    Returns
    -------
    LaguerreEnsemble

    Raises
    ------
    UsageError
        If there is no weight decay.

    Examples
    --------
    >>> from sdespec.models import DysonLaguerre
    >>> stationary_ensemble(DysonLaguerre(4, 6, weight_decay=2.0, diffusion=1.0)).variance
    0.5
    """
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
        Eigenvalues at time 0; zero by default.

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
    p = process_of(model)
    if not time > 0.0:
        raise UsageError(f"time is {time}; the law at a time needs a positive time")
    decay, variance = p.decay(time), p.variance(time)
    if initial is None or decay == 0.0 or not np.any(initial):
        return LaguerreEnsemble(p.n, p.m, variance, beta=p.beta)
    if p.beta != 1.0 or not float(p.m).is_integer():
        raise UsageError(f"beta is {p.beta:g} and the larger side {p.m:g}; only a real matrix has this transition law")
    mean = np.zeros((p.n, int(p.m)))
    np.fill_diagonal(mean, np.sqrt(decay * np.asarray(initial, dtype=np.float64)))
    return GaussianMatrixEnsemble(mean, variance, 1.0)

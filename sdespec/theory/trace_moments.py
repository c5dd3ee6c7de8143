"""First two moments of the trace where noise multiplies the matrix."""

from __future__ import annotations

import math

import numpy as np
from scipy.linalg import expm

__all__ = ["trace_mean_of", "trace_variance_of"]


def trace_mean_of(
    start: np.ndarray,
    time: float,
    *,
    decay: np.ndarray,
    force: np.ndarray,
    added: np.ndarray,
    right: float,
    left: float,
    scalar: float,
) -> float:
    r"""Mean trace at a time under any linear drift F - W K, exact for every size; infinite where it does not exist.

    In the eigenbasis of K, of eigenvalues :math:`\kappa_i`, with the squares :math:`p_i` of the columns of W, their
    means :math:`M_i` and :math:`q_i = F_i \cdot M_i`,

    .. math:: \dot q_i = |F_i|^2 - \kappa_i q_i, \qquad
        \dot p_i = 2 (k_L n + d - \kappa_i)\, p_i + 2 k_R \sum_j p_j + 2 q_i + C_{ii}

    Parameters
    ----------
    start : ndarray, (n, m)
        Matrix at time 0.
    time : float
        At least 0; infinite for the stationary law.
    decay, force : ndarray, (m, m) and (n, m)
        K, symmetric, and F.
    added : ndarray, (m, m)
        C, the sum of tr(A) C over the additive noises.
    right, left, scalar : float
        Diffusions :math:`k_R`, :math:`k_L` and d of the noises that multiply the matrix.

    Returns
    -------
    float

    Notes
    -----
    One matrix exponential of the side 2m + 1, or one linear system for the stationary law.

    Examples
    --------
    >>> start, noises = np.array([[2.0]]), {"right": 0.0, "left": 0.0, "scalar": 0.25}
    >>> trace_mean_of(start, math.inf, decay=np.eye(1), force=np.zeros((1, 1)), added=np.eye(1), **noises)
    0.6666666666666666
    """
    n, m = start.shape
    rates, basis = np.linalg.eigh(decay)
    pushed, first = force @ basis, start @ basis
    drift = np.zeros((2 * m, 2 * m))
    drift[:m, :m] = np.diag(-rates)
    drift[m:, :m] = 2.0 * np.eye(m)
    drift[m:, m:] = np.diag(2.0 * (left * n + scalar - rates)) + 2.0 * right
    gain = np.concatenate([(pushed**2).sum(axis=0), np.einsum("ij,ik,kj->j", basis, added, basis)])
    if math.isinf(time):
        if np.linalg.eigvalsh(drift[m:, m:])[-1] >= 0.0:
            return math.inf
        return float(-np.linalg.solve(drift, gain)[m:].sum())
    generator = np.zeros((2 * m + 1, 2 * m + 1))
    generator[1:, 0], generator[1:, 1:] = gain, drift
    state = np.concatenate([[1.0], (pushed * first).sum(axis=0), (first**2).sum(axis=0)])
    return float((expm(generator * time) @ state)[m + 1 :].sum())


def trace_variance_of(
    start: np.ndarray, time: float, *, decay: float, diffusion: float, right: float, left: float, scalar: float
) -> float:
    r"""Variance of the trace at a time, exact for every size; infinite where it does not exist.

    With S = W W^T the means of :math:`p_1 = \mathrm{tr} S`, :math:`p_2 = \mathrm{tr} S^2` and :math:`p_1^2` obey

    .. math:: \dot p_1 &= r\, p_1 + 2Dnm, \qquad r = 2 (k_R m + k_L n + d - g) \\
        \dot p_2 &= (2r + 4k + 8d)\, p_2 + 4k\, p_1^2 + 4D (n + m + 1)\, p_1, \qquad k = k_R + k_L \\
        \tfrac{d}{dt} p_1^2 &= (2r + 8d)\, p_1^2 + 8k\, p_2 + 4D (nm + 2)\, p_1

    Parameters
    ----------
    start : ndarray, (n, m)
        Matrix at time 0.
    time : float
        At least 0; infinite for the stationary law.
    decay, diffusion : float
        g and D.
    right, left, scalar : float
        Diffusions :math:`k_R`, :math:`k_L` and d of the noises that multiply the matrix.

    Returns
    -------
    float

    Examples
    --------
    Without them the stationary trace has the variance 2nm (D/g)^2:

    >>> noises = {"right": 0.0, "left": 0.0, "scalar": 0.0}
    >>> round(trace_variance_of(np.zeros((2, 3)), math.inf, decay=1.0, diffusion=0.5, **noises), 12)
    3.0
    """
    n, m = start.shape
    k, rate = right + left, 2.0 * (right * m + left * n + scalar - decay)
    drift = np.array(
        [
            [rate, 0.0, 0.0],
            [4.0 * diffusion * (n + m + 1), 2.0 * rate + 4.0 * k + 8.0 * scalar, 4.0 * k],
            [4.0 * diffusion * (n * m + 2), 8.0 * k, 2.0 * rate + 8.0 * scalar],
        ]
    )
    gain = np.array([2.0 * diffusion * n * m, 0.0, 0.0])
    if math.isinf(time):
        if np.linalg.eigvals(drift).real.max() >= 0.0:
            return math.inf
        first, _, square = -np.linalg.solve(drift, gain)
    else:
        gram = start @ start.T
        trace = float(np.trace(gram))
        generator = np.zeros((4, 4))
        generator[1:, 0], generator[1:, 1:] = gain, drift
        state = expm(generator * time) @ np.array([1.0, trace, float((gram**2).sum()), trace**2])
        _, first, _, square = state
    return max(float(square - first**2), 0.0)

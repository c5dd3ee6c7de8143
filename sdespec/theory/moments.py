"""Exact moments of the linear SDE, at any time, repulsion and size."""

from __future__ import annotations

import numpy as np
from scipy import special

from sdespec.core.errors import UsageError
from sdespec.theory._process import LinearModel, process_of

__all__ = ["log_elementary_moment", "square_trace_mean", "trace_cdf", "trace_mean", "trace_variance"]


def _initial(model: LinearModel, initial: np.ndarray | None) -> np.ndarray:
    n = process_of(model).n
    if initial is None:
        return np.zeros(n)
    values = np.asarray(initial, dtype=np.float64)
    if values.shape != (n,) or not np.isfinite(values).all() or values.min() < 0.0:
        raise UsageError(f"initial has the shape {values.shape}; give {n} finite eigenvalues of at least 0")
    return values


def trace_mean(model: LinearModel, time: float, initial: np.ndarray | None = None) -> float:
    r"""Mean of the sum of the eigenvalues.

    .. math:: E\,\mathrm{tr} S_t = e^{-2gt}\,\mathrm{tr} S_0 + \beta n m v_t, \qquad v_t = \frac{D}{g}(1 - e^{-2gt})

    Parameters
    ----------
    model : DysonLaguerre or MatrixSGD
        The process.
    time : float
        In the clock of the model; may be infinite where a stationary law exists.
    initial : ndarray, (n,), optional
        Eigenvalues at time 0; zero by default.

    Returns
    -------
    float

    Raises
    ------
    UsageError
        If the initial eigenvalues are invalid, or the time is infinite without weight decay.

    Examples
    --------
    >>> from sdespec.models import DysonLaguerre
    >>> trace_mean(DysonLaguerre(2, 3, weight_decay=1.0, diffusion=0.5), float("inf"))
    3.0
    """
    p = process_of(model)
    start = float(_initial(model, initial).sum())
    return p.decay(time) * start + p.beta * p.n * p.m * p.variance(time)


def trace_variance(model: LinearModel, time: float, initial: np.ndarray | None = None) -> float:
    r"""Variance of the sum of the eigenvalues, which is a square-root diffusion of its own.

    .. math:: \mathrm{Var}\,\mathrm{tr} S_t = 2\beta n m v_t^2 + 4 v_t e^{-2gt}\,\mathrm{tr} S_0

    Parameters
    ----------
    model : DysonLaguerre or MatrixSGD
        The process.
    time : float
        In the clock of the model; may be infinite where a stationary law exists.
    initial : ndarray, (n,), optional
        Eigenvalues at time 0; zero by default.

    Returns
    -------
    float

    Raises
    ------
    UsageError
        As for ``trace_mean``.

    Notes
    -----
    The trace over :math:`v_t` is a noncentral chi-square variable with :math:`\beta n m` degrees of freedom and
    noncentrality :math:`e^{-2gt}\,\mathrm{tr} S_0 / v_t`.

    Examples
    --------
    >>> from sdespec.models import DysonLaguerre
    >>> trace_variance(DysonLaguerre(2, 3, weight_decay=1.0, diffusion=0.5), float("inf"))
    3.0
    """
    p = process_of(model)
    start, v = float(_initial(model, initial).sum()), p.variance(time)
    return 2.0 * p.beta * p.n * p.m * v**2 + 4.0 * v * p.decay(time) * start


def trace_cdf(model: LinearModel, time: float, values: np.ndarray, initial: np.ndarray | None = None) -> np.ndarray:
    r"""Distribution function of the sum of the eigenvalues: a scaled noncentral chi-square law.

    .. math:: \mathrm{tr} S_t / v_t \sim \chi^2_{\beta n m}\big(e^{-2gt}\,\mathrm{tr} S_0 / v_t\big)

    Parameters
    ----------
    model : DysonLaguerre or MatrixSGD
        The process.
    time : float
        Positive; may be infinite where a stationary law exists.
    values : ndarray
        Where to evaluate.
    initial : ndarray, (n,), optional
        Eigenvalues at time 0; zero by default.

    Returns
    -------
    ndarray

    Raises
    ------
    UsageError
        As for ``trace_mean``, and where no time has passed.

    Examples
    --------
    >>> from sdespec.models import DysonLaguerre
    >>> float(trace_cdf(DysonLaguerre(2, 3, 1.0, 0.5), float("inf"), np.array(3.0)).round(2))
    0.58
    """
    p = process_of(model)
    start, v = float(_initial(model, initial).sum()), p.variance(time)
    if v <= 0.0:
        raise UsageError(f"time is {time}; the trace has a law of positive width at positive times only")
    scaled = np.maximum(np.asarray(values, dtype=np.float64), 0.0) / v
    return np.asarray(special.chndtr(scaled, p.beta * p.n * p.m, p.decay(time) * start / v))


def square_trace_mean(model: LinearModel, time: float, initial: np.ndarray | None = None) -> float:
    r"""Mean of the sum of the squared eigenvalues, for real matrices.

    .. math:: E\,\mathrm{tr} S_t^2 = \mathrm{tr} M^2 + 2 v_t (n + m + 1)\,\mathrm{tr} M + v_t^2\, n m (n + m + 1),
        \qquad M = e^{-2gt} S_0

    Parameters
    ----------
    model : DysonLaguerre or MatrixSGD
        The process, of beta = 1.
    time : float
        In the clock of the model; may be infinite where a stationary law exists.
    initial : ndarray, (n,), optional
        Eigenvalues at time 0; zero by default.

    Returns
    -------
    float

    Raises
    ------
    UsageError
        As for ``trace_mean``, and for any other beta.

    Examples
    --------
    >>> from sdespec.models import DysonLaguerre
    >>> square_trace_mean(DysonLaguerre(2, 3, 1.0, 1.0), float("inf"))
    36.0
    """
    p = process_of(model)
    if p.beta != 1.0:
        raise UsageError(f"beta is {p.beta:g}; this moment is known for beta = 1 only")
    decayed, v = p.decay(time) * _initial(model, initial), p.variance(time)
    sides = p.n + p.m + 1.0
    return float((decayed**2).sum() + 2.0 * v * sides * decayed.sum() + v**2 * p.n * p.m * sides)


def log_elementary_moment(model: LinearModel, time: float, initial: np.ndarray | None = None) -> np.ndarray:
    r"""Logarithms of the means of the elementary symmetric polynomials of the eigenvalues.

    .. math:: E\,e_j(S_t) = \sum_{k \le j} (\beta v_t)^{j-k} \binom{n-k}{j-k} \frac{\Gamma(m-k+1)}{\Gamma(m-j+1)}
        e^{-2gkt} e_k(S_0)

    Parameters
    ----------
    model : DysonLaguerre or MatrixSGD
        The process.
    time : float
        In the clock of the model; may be infinite where a stationary law exists.
    initial : ndarray, (n,), optional
        Eigenvalues at time 0; zero by default.

    Returns
    -------
    ndarray, (n + 1,)
        Orders 0 to n; -inf where the moment is zero.

    Raises
    ------
    UsageError
        As for ``trace_mean``.

    Notes
    -----
    All terms are positive and summed in logarithms, so nothing overflows or cancels at any size. The hierarchy of
    these moments closes for every beta. Cost O(n^2).

    Examples
    --------
    >>> from sdespec.models import DysonLaguerre
    >>> model = DysonLaguerre(2, 3, weight_decay=1.0, diffusion=0.5)
    >>> np.exp(log_elementary_moment(model, float("inf"))).round(12)
    array([1. , 3. , 1.5])
    """
    p = process_of(model)
    start = _log_elementary(_initial(model, initial))
    v, decay = p.variance(time), p.decay(time)
    j, k = np.arange(p.n + 1)[:, None], np.arange(p.n + 1)[None, :]
    rise = j - k
    with np.errstate(divide="ignore", invalid="ignore"):
        log_choose = special.gammaln(p.n - k + 1) - special.gammaln(np.abs(rise) + 1) - special.gammaln(p.n - j + 1)
        log_falling = special.gammaln(p.m - k + 1) - special.gammaln(p.m - j + 1)
        terms = special.xlogy(rise, p.beta * v) + special.xlogy(k, decay) + start[None, :] + log_choose + log_falling
    terms = np.where(rise < 0, -np.inf, terms)
    return np.asarray(special.logsumexp(terms, axis=1))


def _log_elementary(values: np.ndarray) -> np.ndarray:
    """Logarithms of the elementary symmetric polynomials of non-negative numbers, one factor at a time."""
    out = np.full(len(values) + 1, -np.inf)
    out[0] = 0.0
    with np.errstate(divide="ignore"):
        logs = np.log(values)
    for log_value in logs:
        out[1:] = np.logaddexp(out[1:], out[:-1] + log_value)
    return out

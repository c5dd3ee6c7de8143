"""Fits of whole spectra by the joint density of their eigenvalues: Marchenko-Pastur with spikes, and Wachter."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy import special
from scipy.interpolate import CubicSpline

from sdespec.core.errors import SpectrumError, UsageError
from sdespec.fits.bulk import outliers
from sdespec.fits.estimate import Estimate
from sdespec.fits.row_search import golden_rows
from sdespec.laws import LaguerreEnsemble, MarchenkoPastur, MatrixFEnsemble, Wachter

__all__ = ["marchenko_pastur_estimate", "matrix_f_rows", "wachter_estimate", "wachter_law"]

_LEAST_SPARE, _MOST_SPARE = 1e-3, 1e7
"""Degrees of freedom of the denominator beyond n - 1, in units of 1 + n, between which they are searched."""
_NODES = 1200
_PROFILE_POINTS = 400


def marchenko_pastur_estimate(values: np.ndarray, n_rows: int, n_cols: int, level: float) -> Estimate:
    r"""Fit the variance of a Gaussian matrix to a spectrum without its outliers.

    .. math:: \hat v = \frac{\sum_{i > k} \lambda_i}{(n - k)(m - k)}

    Parameters
    ----------
    values : ndarray, (rank,)
        The whole spectrum, largest first.
    n_rows, n_cols : int
        Shape of the matrix.
    level : float
        Probability of the interval, exact for Gaussian entries without outliers.

    Returns
    -------
    Estimate
        The law is that of the (n - k) x (m - k) matrix that k outliers leave.

    Raises
    ------
    SpectrumError
        If all values but the outliers are zero.
    """
    bulk = outliers(values, n_rows, n_cols)
    k = bulk.n_outliers
    rows, cols, rest = n_rows - k, n_cols - k, values[k:]
    freedom = float(rows * cols)
    trace = float(rest.sum())
    if trace <= 0.0:
        raise SpectrumError("all values of the bulk are zero; a Marchenko-Pastur law has a positive variance")
    variance = trace / freedom
    high, low = (float(v) for v in special.chdtri(freedom, [(1.0 - level) / 2.0, (1.0 + level) / 2.0]))
    return Estimate(
        law=MarchenkoPastur(rows, cols, variance),
        parameters={"n_rows": float(n_rows), "n_cols": float(n_cols), "variance": variance},
        intervals={"variance": (trace / high, trace / low)},
        log_likelihood=float(LaguerreEnsemble(rows, cols, variance).logpdf(rest)),
        notes=(f"{k} outlier{'s' if k != 1 else ''} left out",) if k else (),
        joint=True,
        n_removed=k,
    )


@lru_cache(maxsize=64)
def _constants(n: int, m: float) -> tuple[CubicSpline, CubicSpline, float, float]:
    """Degrees of freedom beyond n - 1 in terms of the mean of log(1 + x/s), and the constant of the joint density.

    Both as functions of logarithms; and the range of the first.
    """
    spare = np.geomspace(_LEAST_SPARE * (n + 1.0), _MOST_SPARE * (n + 1.0), _NODES)
    j = np.arange(n)
    mean = np.empty(_NODES)
    constant = np.empty(_NODES)
    for i, extra in enumerate(spare):
        low, high = 0.5 * (extra + j), 0.5 * (m + extra + j)
        mean[i] = np.mean(special.psi(high) - special.psi(low))
        constant[i] = float(np.sum(special.gammaln(high) - special.gammaln(low)))
    log_mean = np.log(mean)[::-1]
    return (
        CubicSpline(log_mean, np.log(spare)[::-1]),
        CubicSpline(np.log(spare), constant),
        float(log_mean[0]),
        float(log_mean[-1]),
    )


def _profile(values: np.ndarray, n: int, m: float, log_scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Joint log-density at given scales up to a constant, and the likeliest degrees of freedom of the denominator."""
    to_spare, constant, least, most = _constants(n, m)
    mean = np.mean(np.log1p(values / np.exp(log_scale)[..., None]), axis=-1)
    log_spare = to_spare(np.clip(np.log(mean), least, most))
    denominator = n - 1.0 + np.exp(log_spare)
    value = constant(log_spare) - 0.5 * (m + denominator) * n * mean - 0.5 * n * m * log_scale
    return np.asarray(value), np.asarray(denominator)


def _scale_range(values: np.ndarray, n: int, m: float) -> tuple[np.ndarray, np.ndarray]:
    """Logs of the scale between which the profile is searched."""
    middle = np.log(np.median(values, axis=-1))
    return middle - math.log(100.0 * m), middle + math.log(_MOST_SPARE / 10.0)


def matrix_f_rows(rows: np.ndarray, n_rows: int, n_cols: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit the matrix F ensemble to each spectrum by its joint density.

    Parameters
    ----------
    rows : ndarray, (rows, rank)
        Whole spectra, positive.
    n_rows, n_cols : int
        Shape of the matrix.

    Returns
    -------
    n_denominator, scale, value : ndarray, (rows,)
        Degrees of freedom of the denominator above rank - 1, the scale, and the joint log-density up to a constant
        of the data.

    Notes
    -----
    At a given scale the degrees of freedom are those whose mean of log(1 + x/s) is the observed one: a function of
    the shape that is tabulated once. The profile over the scale is searched on a grid, then by golden sections.
    """
    n, m = min(n_rows, n_cols), float(max(n_rows, n_cols))
    low, high = _scale_range(rows, n, m)
    count = 60
    grid = np.linspace(0.0, 1.0, count)
    best, at = np.full(len(rows), -np.inf), low.copy()
    for share in grid:
        place = low + share * (high - low)
        value = _profile(rows, n, m, place)[0]
        at = np.where(value > best, place, at)
        best = np.maximum(value, best)
    step = (high - low) / (count - 1)
    log_scale = golden_rows(
        lambda s: _profile(rows, n, m, s)[0], np.maximum(at - step, low), np.minimum(at + step, high), steps=36
    )
    value, denominator = _profile(rows, n, m, log_scale)
    return denominator, np.exp(log_scale), value


def wachter_law(n_rows: int, n_cols: int, denominator: float, scale: float) -> Wachter:
    """Limit law of a matrix F ensemble, which needs more degrees of freedom than the ensemble by one.

    Parameters
    ----------
    n_rows, n_cols : int
        Shape of the matrix.
    denominator : float
        Above min(n_rows, n_cols) - 1; taken as at least half a degree above min(n_rows, n_cols).
    scale : float
        Positive.

    Returns
    -------
    Wachter
    """
    n, m = min(n_rows, n_cols), max(n_rows, n_cols)
    return Wachter(n, m, max(denominator, n + 0.5), scale)


def wachter_estimate(values: np.ndarray, n_rows: int, n_cols: int, level: float) -> Estimate:
    """Fit degrees of freedom of the denominator and scale of a Wachter law by the joint density of matrix F.

    Parameters
    ----------
    values : ndarray, (rank,)
        The whole spectrum, positive.
    n_rows, n_cols : int
        Shape of the matrix.
    level : float
        Probability of the intervals, from the profile of the joint likelihood.

    Returns
    -------
    Estimate
        With the note ``no denominator`` where the likelihood grows up to the Laguerre ensemble; then the degrees of
        freedom and the scale are infinite and the law is Marchenko-Pastur.

    Raises
    ------
    UsageError
        If a value is zero.
    """
    if values.min() <= 0.0:
        raise UsageError("a Wachter law needs a spectrum without zeros; drop the zero modes and their rows first")
    n, m = min(n_rows, n_cols), float(max(n_rows, n_cols))
    found, scales, best = matrix_f_rows(values[None], n_rows, n_cols)
    denominator, scale = float(found[0]), float(scales[0])
    low, high = (float(v[0]) for v in _scale_range(values[None], n, m))
    places = np.linspace(low, high, _PROFILE_POINTS)
    width = 8.0 * (high - low) / _PROFILE_POINTS
    places = np.sort(np.append(places, np.linspace(math.log(scale) - width, math.log(scale) + width, 400)))
    value, along = _profile(values, n, m, places)
    inside = value >= float(best[0]) - float(special.gammaincinv(0.5, level))
    open_end = bool(inside[-1])
    intervals = {
        "n_denominator": _denominator_interval(along[inside], places[inside], values, n, m, level, open_end),
        "scale": (math.exp(places[inside].min()), math.inf if open_end else math.exp(places[inside].max())),
    }
    shape = {"n_rows": float(n_rows), "n_cols": float(n_cols)}
    if denominator > 0.05 * _MOST_SPARE * n or float(best[0]) - value[-1] < 1e-3:
        variance = float(values.sum()) / (n * m)
        return Estimate(
            law=MarchenkoPastur(n_rows, n_cols, variance),
            parameters={**shape, "n_denominator": math.inf, "scale": math.inf},
            intervals=intervals,
            log_likelihood=float(LaguerreEnsemble(n, m, variance).logpdf(values)),
            notes=("no denominator: the likelihood grows up to its limit, a Marchenko-Pastur law",),
            joint=True,
        )
    return Estimate(
        law=wachter_law(n_rows, n_cols, denominator, scale),
        parameters={**shape, "n_denominator": denominator, "scale": scale},
        intervals=intervals,
        log_likelihood=float(MatrixFEnsemble(n, m, denominator, scale).logpdf(values)),
        joint=True,
    )


def _denominator_interval(
    along: np.ndarray, places: np.ndarray, values: np.ndarray, n: int, m: float, level: float, open_end: bool
) -> tuple[float, float]:
    """Ends of the region of the degrees of freedom; at a given scale an interval of its logarithm beyond n - 1."""
    drop = float(special.gammaincinv(0.5, level))
    value = _profile(values, n, m, places)[0]
    slack = np.maximum(value - (value.max() - drop), 0.0)
    spare = along - (n - 1.0)
    j = np.arange(n)
    information = np.array(
        [
            float(np.sum(special.zeta(2.0, 0.5 * (s + j)) - special.zeta(2.0, 0.5 * (m + s + j)))) * 0.25 * s * s
            for s in spare
        ]
    )
    width = np.sqrt(2.0 * slack / information)
    lower, upper = float(np.min(spare * np.exp(-width))), float(np.max(spare * np.exp(width)))
    return n - 1.0 + lower, math.inf if open_end else n - 1.0 + upper

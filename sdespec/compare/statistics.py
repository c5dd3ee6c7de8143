"""Estimates from replicates with honest error bars, the raw material of a comparison."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

__all__ = ["Band", "Estimate", "cdf_band", "ks_distance", "log_elementary", "mean", "student", "variance"]

_GRID = 256  # points at which the fluctuation of a pooled cdf is followed
_RESAMPLES = 200
_LIMIT = 0.2  # standard error of a logarithm beyond which it is not normal, and no verdict is given
_SHARE = 0.1  # the same for the share of one replicate in a mean


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error and the degrees of freedom of that error; infinite where it is exact."""

    value: float
    stderr: float = 0.0
    freedom: float = math.inf


@dataclass(frozen=True)
class Band:
    """Fluctuation of a pooled cdf: the mean of its supremum, and the largest pointwise standard error."""

    level: float
    spread: float


def mean(values: np.ndarray) -> Estimate:
    """Mean over replicates.

    Parameters
    ----------
    values : ndarray, (replicates,)

    Returns
    -------
    Estimate
        With an unknown error (NaN) for a single replicate.

    Examples
    --------
    >>> mean(np.array([1.0, 2.0, 3.0])).value
    2.0
    """
    size = len(values)
    if size < 2:
        return Estimate(float(values.mean()), math.nan, math.nan)
    return Estimate(float(values.mean()), float(values.std(ddof=1)) / math.sqrt(size), size - 1.0)


def variance(values: np.ndarray) -> Estimate:
    r"""Variance over replicates; its relative error is the jackknife error of its logarithm.

    .. math:: s^2 = \frac{R - 1}{R} \sum_i \big(\log v_{(i)} - \overline{\log v_{(\cdot)}}\big)^2

    Parameters
    ----------
    values : ndarray, (replicates,)

    Returns
    -------
    Estimate
        ``stderr`` is that of the logarithm of the variance.

    Examples
    --------
    >>> variance(np.array([1.0, 2.0, 3.0])).value
    1.0
    """
    size = len(values)
    if size < 2:
        return Estimate(math.nan, math.nan, math.nan)
    deviation = values - values.mean()
    total = float(deviation @ deviation)
    if total == 0.0:
        return Estimate(0.0, 0.0, size - 1.0)
    if size < 4:
        return Estimate(total / (size - 1), math.nan, math.nan)
    left_out = np.maximum(total - deviation**2 * (size / (size - 1)), total * 1e-12) / (size - 2)
    logs = np.log(left_out)
    stderr = math.sqrt((size - 1) / size * float(np.sum((logs - logs.mean()) ** 2)))
    return Estimate(total / (size - 1), stderr, size - 1.0)


def log_elementary(spectra: np.ndarray) -> list[Estimate]:
    r"""Logarithms of the mean elementary symmetric polynomials, for every order from 0.

    .. math:: \log \overline{e_j}, \qquad e_j = \sum_{i_1 < \dots < i_j} \lambda_{i_1} \cdots \lambda_{i_j}

    Parameters
    ----------
    spectra : ndarray, (replicates, rank)

    Returns
    -------
    list of Estimate
        One for each order; the error is NaN beyond 0.2, or where one replicate carries over a tenth of the mean.

    Examples
    --------
    >>> [round(math.exp(one.value), 6) for one in log_elementary(np.array([[3.0, 2.0], [3.0, 2.0]]))]
    [1.0, 5.0, 6.0]
    """
    size, rank = spectra.shape
    logs = np.full((rank + 1, size), -np.inf)
    logs[0] = 0.0
    with np.errstate(divide="ignore"):
        log_values = np.log(spectra)
    for k in range(rank):
        logs[1 : k + 2] = np.logaddexp(logs[1 : k + 2], logs[: k + 1] + log_values[:, k])
    return [_log_mean(one) for one in logs]


def _log_mean(logs: np.ndarray) -> Estimate:
    """Logarithm of a mean given logarithms, by the delta method."""
    top = float(logs.max())
    if top == -math.inf:
        return Estimate(-math.inf, 0.0)
    weights = np.exp(logs - top)
    center = float(weights.mean())
    value = top + math.log(center)
    if len(logs) < 2:
        return Estimate(value, math.nan, math.nan)
    stderr = float(weights.std(ddof=1)) / center / math.sqrt(len(logs))
    heavy = stderr > _LIMIT or (stderr > 0 and len(logs) * center * _SHARE < 1.0 and len(logs) > 1.0 / _SHARE)
    return Estimate(value, math.nan if heavy else stderr, len(logs) - 1.0)


def cdf_band(spectra: np.ndarray, *, size: int, seed: int) -> Band:
    """Fluctuation of the pooled cdf of ``size`` replicates, by a bootstrap over whole replicates.

    Parameters
    ----------
    spectra : ndarray, (replicates, rank)
        Replicates to resample; the eigenvalues of one replicate stay together, since they repel.
    size : int
        Number of replicates that are pooled.
    seed : int
        Seed of the resamples.

    Returns
    -------
    Band
    """
    count, rank = spectra.shape
    if count < 2:
        return Band(math.nan, math.nan)
    ordered = np.sort(spectra.ravel())
    grid = np.unique(ordered[np.linspace(0, len(ordered) - 1, _GRID).astype(np.int64)])
    ascending = np.sort(spectra, axis=1)
    single = np.array([np.searchsorted(one, grid, side="right") for one in ascending]) / rank
    single -= single.mean(axis=0)
    spread = float(single.std(axis=0, ddof=1).max()) / math.sqrt(size)
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, count])))
    counts = generator.multinomial(count, np.full(count, 1.0 / count), size=_RESAMPLES)
    suprema = np.abs(counts @ single / count).max(axis=1)
    return Band(float(suprema.mean()) * math.sqrt(count / size), spread)


def ks_distance(spectra: np.ndarray, cdf: Callable[[np.ndarray], np.ndarray]) -> float:
    """Two-sided Kolmogorov-Smirnov distance of pooled eigenvalues to a cdf.

    Parameters
    ----------
    spectra : ndarray, (replicates, rank)
    cdf : callable
        Vectorised, right-continuous; an atom must lie where eigenvalues are exactly equal.

    Returns
    -------
    float

    Examples
    --------
    >>> ks_distance(np.array([[0.25, 0.75]]), lambda x: x)
    0.25
    """
    values, counts = np.unique(spectra, return_counts=True)
    above = np.cumsum(counts) / counts.sum()
    expected = np.asarray(cdf(values))
    before = np.asarray(cdf(np.nextafter(values, -np.inf)))  # the left limit
    return float(max(np.abs(above - expected).max(), np.abs(above - counts / counts.sum() - before).max()))


def student(freedom: float, level: float) -> float:
    """Two-sided quantile of Student's law: the interval of probability 1 - level is the estimate +- it errors.

    Parameters
    ----------
    freedom : float
        Degrees of freedom; infinite for the normal law.
    level : float
        Probability outside.

    Returns
    -------
    float

    Examples
    --------
    >>> round(student(math.inf, 0.05), 2)
    1.96
    """
    if math.isinf(freedom):
        return float(-special.ndtri(level / 2.0))
    return float(-special.stdtrit(max(freedom, 1.0), level / 2.0))

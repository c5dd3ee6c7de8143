"""Power-law tails: the exact search for the threshold, the exponent and its interval."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from sdespec.core.errors import SpectrumError, UsageError
from sdespec.fits import _kernels
from sdespec.fits.sample import SMALLEST_TAIL, Ks, PositiveSample, check_options, no_candidate, positive_sample

__all__ = ["Ks", "PowerLawTail", "power_law_tail", "power_law_tails"]

STEEP_EXPONENT = 8.0
# Share of the chosen thresholds left out at either end, in units of (1 - level) / 2: set by simulation, so that a 95 %
# interval covers 94 and 98 % of samples of 1000 values, gamma bulks with 200 Pareto values of exponent 2 and 3.
_OUTER_THRESHOLDS = 3.0


@dataclass(frozen=True)
class PowerLawTail:
    """A power law fitted beyond a threshold.

    Attributes
    ----------
    exponent : float
        Maximum-likelihood exponent of the density, 1 + n_tail / S with S the sum of log(value / threshold).
    exponent_corrected : float
        The same without bias, 1 + (n_tail - 2) / S; NaN with two values.
    threshold : float
        Smallest value of the tail.
    n_tail : int
        Number of values in the tail.
    ks_distance : float
        Kolmogorov-Smirnov distance in the tail.
    log_likelihood : float
        Log-likelihood of the tail at ``exponent``.
    interval : tuple of float
        Confidence interval of the exponent.
    decades : float
        log10 of the largest value over the threshold.
    n_zeros : int
        Zeros that were dropped.
    n_distinct : int
        Distinct positive values.
    notes : tuple of str
        What a reader should know: ``zeros dropped``, ``ties``, ``not heavy`` (exponent above 8), ``whole sample``
        (the threshold is the smallest value), ``shortest tail`` (it is the largest threshold that was allowed),
        ``under a decade`` (the tail is shorter than one decade).
    """

    exponent: float
    exponent_corrected: float
    threshold: float
    n_tail: int
    ks_distance: float
    log_likelihood: float
    interval: tuple[float, float]
    decades: float
    n_zeros: int
    n_distinct: int
    notes: tuple[str, ...]


def _exact_interval(degrees: int, log_sum: float, level: float) -> tuple[float, float]:
    """Interval of the exponent from 2 (exponent - 1) S ~ chi-square with 2 ``degrees``."""
    lower, upper = special.gammaincinv(float(degrees), [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return 1.0 + float(lower) / log_sum, 1.0 + float(upper) / log_sum


def _resamples(
    logs: np.ndarray, min_tail: int, two_sided: bool, bootstrap: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Exponents and log thresholds of resamples, each searched anew; resample b depends on (seed, b) only."""
    n = len(logs)
    exponents, starts = [], []
    for b in range(bootstrap):
        stream = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, b])))
        counts = np.bincount(stream.integers(0, n, size=n), minlength=n)
        start, _, log_sum, n_tail, _ = _kernels.scan(logs, counts, min_tail, two_sided)
        if start >= 0:
            exponents.append(1.0 + n_tail / log_sum)
            starts.append(start)
    return np.array(exponents), logs[starts]


def _bootstrap_interval(
    logs: np.ndarray,
    resamples: tuple[np.ndarray, np.ndarray],
    level: float,
    exact: tuple[float, float],
) -> tuple[float, float]:
    """Hull of three intervals: exact, resampled exponents, and exact ones at the thresholds that resamples chose."""
    exponents, thresholds = resamples
    if len(exponents) == 0:
        return exact
    y, _, below, sums = _kernels.tails(logs, np.ones(len(logs), np.int64))
    chosen = np.searchsorted(y, thresholds)
    half = (1.0 - level) / 2.0
    degrees = below[-1] - below[chosen] - 1.0
    lowest = 1.0 + special.gammaincinv(degrees, half) / sums[chosen]
    highest = 1.0 + special.gammaincinv(degrees, 1.0 - half) / sums[chosen]
    share = min(0.5, _OUTER_THRESHOLDS * half)
    lower, upper = np.quantile(exponents, [half, 1.0 - half])
    return (
        float(min(exact[0], lower, np.quantile(lowest, share))),
        float(max(exact[1], upper, np.quantile(highest, 1.0 - share))),
    )


def _at_threshold(sample: PositiveSample, threshold: float, two_sided: bool) -> tuple[int, float, float]:
    """Start of the tail, distance and S at a threshold that is given."""
    if not (math.isfinite(threshold) and threshold > 0.0):
        raise UsageError(f"threshold is {threshold}; it must be a positive finite number")
    start = int(np.searchsorted(sample.values, threshold, side="left"))
    n_tail = len(sample.values) - start
    excess = sample.logs[start:] - math.log(threshold)
    log_sum = float(excess.sum())
    if n_tail < SMALLEST_TAIL or log_sum <= 0.0:
        raise SpectrumError(
            f"{n_tail} values at or above the threshold {threshold:g} (largest value {sample.values[-1]:g}); "
            f"at least {SMALLEST_TAIL} that are not all equal to it are needed"
        )
    tail = sample.values[start:]
    before = np.searchsorted(tail, tail, side="left") / n_tail
    upto = np.searchsorted(tail, tail, side="right") / n_tail if two_sided else before
    model = -np.expm1(-(n_tail / log_sum) * excess)
    return start, float(max((model - before).max(), (upto - model).max())), log_sum


def _notes(sample: PositiveSample, exponent: float, start: int, n_distinct: int, *, last: bool) -> tuple[str, ...]:
    decades = (sample.logs[-1] - sample.logs[start]) / math.log(10.0)
    flags = (
        ("zeros dropped", sample.n_zeros > 0),
        ("ties", n_distinct < len(sample.values)),
        ("not heavy", exponent > STEEP_EXPONENT),
        ("whole sample", start == 0),
        ("shortest tail", last),
        ("under a decade", decades < 1.0),
    )
    return tuple(text for text, holds in flags if holds)


def power_law_tail(
    values: ArrayLike,
    *,
    threshold: float | None = None,
    min_tail: int = 10,
    ks: Ks = "two-sided",
    bootstrap: int = 0,
    level: float = 0.95,
    seed: int = 0,
) -> PowerLawTail:
    r"""Fit a power law to the tail, with the threshold of least Kolmogorov-Smirnov distance.

    .. math:: \rho(x) = \frac{\alpha - 1}{x_{min}} \Big(\frac{x}{x_{min}}\Big)^{-\alpha}, \quad
              \hat\alpha = 1 + \frac{n}{S}, \quad S = \sum_{x_i \ge x_{min}} \log\frac{x_i}{x_{min}}

    Parameters
    ----------
    values : array_like, (n,)
        Values, at least 0, in any order and unit; zeros are dropped and counted.
    threshold : float, optional
        Start of the tail. Without it every distinct value is tried that leaves at least ``min_tail`` values, the
        largest value apart; of equal distances the smallest threshold is taken.
    min_tail : int
        Smallest number of values in a tail that is searched, at least 2; no part in a threshold that is given.
    ks : {"two-sided", "left"}
        ``two-sided``: the distance of Kolmogorov and Smirnov, both sides of every step of the empirical
        distribution. ``left``: only its limit from the left at each value, the convention of powerlaw, plfit and
        WeightWatcher.
    bootstrap : int
        Number of resamples for the interval; the threshold is searched anew in each.
    level : float
        Confidence level, between 0 and 1.
    seed : int
        Seed of the resamples; resample b depends on (seed, b) only.

    Returns
    -------
    PowerLawTail

    Raises
    ------
    SpectrumError
        If a value is NaN, infinite or negative, if fewer than 3 distinct values are positive, or if fewer than
        ``min_tail`` values are there.
    UsageError
        If an option is not allowed.

    Notes
    -----
    The search is exact. S of all tails follows from one recursion; a candidate is given up at the first value
    whose deviation is not below the best distance so far; candidates are visited coarse to fine, so few of them
    set a record; and since both distribution functions grow, blocks of values are bounded by their ends. Cost:
    one sort and about one exponential for each value, 0.03 ms at n = 1e3, 50 ms at 1e6.

    Without resamples the interval is exact for independent values and a threshold fixed beforehand:
    2 (exponent - 1) S is chi-square with 2 (n_tail - 1) degrees of freedom where the threshold is one of the
    values, 2 n_tail where it is not. It ignores the choice of the threshold and covers too little. With resamples the
    interval is the hull of this one, of the central part of the resampled exponents, and of the exact intervals at
    the thresholds that the resamples choose, the outer 7.5 % of them left out at either end. Cover of 95 % intervals
    (1000 samples each, standard error 0.7 %; 200 resamples), and their median width:

    ===================================  =====  ============  ==============
    sample                               n      exact         with resamples
    ===================================  =====  ============  ==============
    gamma bulk, 20 % Pareto, exponent 2  1000   0.689 (0.25)  0.941 (0.39)
    the same, exponent 3                 1000   0.832 (0.55)  0.978 (0.99)
    the same, exponent 4                 1000   0.897 (0.85)  0.985 (1.40)
    gamma bulk, 20 % Pareto, exponent 2  200    0.775 (0.40)  0.957 (0.65)
    the same, exponent 3                 200    0.438 (0.65)  0.895 (1.40)
    the same, exponent 4                 200    0.633 (1.68)  0.933 (3.06)
    Pareto, exponent 2.5                 100    0.922 (0.63)  0.993 (0.99)
    Pareto, exponent 2.5                 1000   0.908 (0.19)  0.986 (0.29)
    ===================================  =====  ============  ==============

    No part of the hull can be left out, nor be replaced by the mixture of the exact laws at the thresholds of the
    resamples, without losing the cases with a bulk. ``splice`` covers 94 to 96 % in all of them, with intervals
    that are 18 to 40 % shorter on the samples of 1000 and on Pareto values; where the bulk may be a gamma law, take
    its interval. All suppose independent values, which
    the eigenvalues of one matrix are not. A threshold that is given leaves nothing to search: then the interval is the
    exact one.

    An exponent alone is no evidence for a power law: Gaussian matrices give exponents between 3 and 14.

    References
    ----------
    Clauset, Shalizi, Newman, SIAM Review 51 (2009) 661, sections 3.1 and 3.3.

    Examples
    --------
    >>> draws = (1.0 - np.random.default_rng(0).random(1000)) ** (-1.0 / 1.5)
    >>> tail = power_law_tail(draws)
    >>> round(tail.exponent, 1), tail.n_tail > 500
    (2.5, True)
    """
    check_options(min_tail, ks, level, bootstrap)
    sample = positive_sample(values)
    two_sided = ks == "two-sided"
    if threshold is None:
        return _search(sample, min_tail, two_sided, bootstrap, level, seed)
    start, distance, log_sum = _at_threshold(sample, float(threshold), two_sided)
    n_tail = len(sample.values) - start
    return _tail(
        sample,
        start,
        float(threshold),
        (n_tail, log_sum, distance, _count_distinct(sample)),
        _exact_interval(n_tail - int(sample.values[start] == threshold), log_sum, level),
        last=False,
    )


def _count_distinct(sample: PositiveSample) -> int:
    return 1 + int(np.count_nonzero(np.diff(sample.values)))


def _search(
    sample: PositiveSample, min_tail: int, two_sided: bool, bootstrap: int, level: float, seed: int
) -> PowerLawTail:
    n = len(sample.values)
    counts = np.ones(n, np.int64)
    start, distance, log_sum, n_tail, n_distinct = _kernels.scan(sample.logs, counts, min_tail, two_sided)
    if start < 0:
        raise no_candidate(n, min_tail)
    interval = _exact_interval(n_tail - 1, log_sum, level)
    if bootstrap:
        resamples = _resamples(sample.logs, min_tail, two_sided, bootstrap, seed)
        interval = _bootstrap_interval(sample.logs, resamples, level, interval)
    follower = int(np.searchsorted(sample.logs, sample.logs[start], side="right"))
    return _tail(
        sample,
        start,
        float(sample.values[start]),
        (n_tail, log_sum, distance, n_distinct),
        interval,
        last=n - follower < min_tail or sample.logs[follower] == sample.logs[-1],
    )


def _tail(
    sample: PositiveSample,
    start: int,
    threshold: float,
    numbers: tuple[int, float, float, int],
    interval: tuple[float, float],
    *,
    last: bool,
) -> PowerLawTail:
    n_tail, log_sum, distance, n_distinct = numbers
    slope = n_tail / log_sum
    log_threshold = math.log(threshold)
    free = n_tail - 1 - int(sample.values[start] == threshold)
    return PowerLawTail(
        exponent=1.0 + slope,
        exponent_corrected=1.0 + free / log_sum if free > 0 else math.nan,
        threshold=threshold,
        n_tail=n_tail,
        ks_distance=distance,
        log_likelihood=n_tail * (math.log(slope) - log_threshold - 1.0) - log_sum,
        interval=interval,
        decades=(float(sample.logs[-1]) - log_threshold) / math.log(10.0),
        n_zeros=sample.n_zeros,
        n_distinct=n_distinct,
        notes=_notes(sample, 1.0 + slope, start, n_distinct, last=last),
    )


def power_law_tails(
    spectra: Sequence[ArrayLike] | np.ndarray,
    *,
    min_tail: int = 10,
    ks: Ks = "two-sided",
    bootstrap: int = 0,
    level: float = 0.95,
    seed: int = 0,
    threads: int | None = None,
) -> list[PowerLawTail]:
    """Fit a power law to the tail of each of many spectra.

    Parameters
    ----------
    spectra : sequence of array_like, or array_like of two dimensions
        One spectrum an item or a row, as ``power_law_tail`` takes it.
    min_tail, ks, bootstrap, level
        As in ``power_law_tail``.
    seed : int
        The resamples of spectrum i depend on (seed, i) only.
    threads : int, optional
        Number of threads; all cores by default. The result does not depend on it.

    Returns
    -------
    list of PowerLawTail

    Raises
    ------
    SpectrumError
        As in ``power_law_tail``; the message begins with the index of the spectrum.
    UsageError
        If an option is not allowed.

    Examples
    --------
    >>> draws = (1.0 - np.random.default_rng(0).random((3, 1000))) ** (-1.0 / 2.0)
    >>> [round(tail.exponent) for tail in power_law_tails(draws)]
    [3, 3, 3]
    """
    check_options(min_tail, ks, level, bootstrap)
    if threads is not None and threads < 1:
        raise UsageError(f"threads is {threads}; it must be at least 1")

    def fit(index: int) -> PowerLawTail:
        own = int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0]) if bootstrap else 0
        try:
            return _search(positive_sample(spectra[index]), min_tail, ks == "two-sided", bootstrap, level, own)
        except SpectrumError as error:
            raise SpectrumError(f"spectrum {index}: {error}") from error

    workers = min(threads or os.cpu_count() or 1, max(len(spectra), 1))
    if workers == 1:
        return [fit(index) for index in range(len(spectra))]
    size = max(1, len(spectra) // (8 * workers))
    chunks = [range(start, min(start + size, len(spectra))) for start in range(0, len(spectra), size)]
    with ThreadPoolExecutor(workers) as pool:
        done = pool.map(lambda chunk: [fit(index) for index in chunk], chunks)
        return [tail for part in done for tail in part]

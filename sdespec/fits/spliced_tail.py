"""Gamma bulk and Pareto tail in one likelihood: exponent and threshold averaged over all thresholds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from sdespec.core.errors import SpectrumError
from sdespec.fits import _kernels
from sdespec.fits.power_law import STEEP_EXPONENT
from sdespec.fits.sample import PositiveSample, check_options, no_candidate, positive_sample

__all__ = ["SplicedTail", "splice"]

_LEAST_BULK = 10
# Set by simulation of gamma bulks with Pareto tails of exponent 2 to 4, 200 and 1000 values: see Notes of ``splice``.
_TEMPER = 0.7
_SHORT_TAIL = 20.0
# Thresholds that weigh less than this beside the heaviest are left out of averages and intervals.
_NEGLIGIBLE = 1e-9
_UNCLEAR = 3.0
_NARROW = 0.01


@dataclass(frozen=True)
class SplicedTail:
    """A gamma bulk with a Pareto tail.

    Attributes
    ----------
    exponent : float
        Exponent of the density of the tail, averaged over the thresholds.
    interval : tuple of float
        Confidence interval of the exponent; it holds the doubt about the threshold.
    threshold : float
        Where the tail begins: median of the weights of the thresholds.
    threshold_interval : tuple of float
        Where the threshold lies, at the same level.
    likeliest_threshold : float
        Threshold of greatest likelihood.
    n_tail : int
        Values at or above ``threshold``.
    tail_weight : float
        Their share.
    shape, scale : float
        Gamma law of the bulk below ``threshold``; NaN where there is no bulk, infinite scale where the density of the
        bulk is a growing power up to the threshold.
    log_likelihood : float
        At ``threshold``, all else at its maximum.
    n_zeros : int
        Zeros that were dropped.
    notes : tuple of str
        ``zeros dropped``, ``ties``, ``not heavy`` (exponent above 8), ``no bulk`` (the whole sample is the tail),
        ``no scale`` (infinite scale), ``narrow bulk`` (its values lie within 1 %: neither its law nor the
        threshold is to be relied on), ``threshold unclear`` (its interval is wider than a factor of 3).
    """

    exponent: float
    interval: tuple[float, float]
    threshold: float
    threshold_interval: tuple[float, float]
    likeliest_threshold: float
    n_tail: int
    tail_weight: float
    shape: float
    scale: float
    log_likelihood: float
    n_zeros: int
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Thresholds:
    """All thresholds that weigh anything: place among the values, weight, size of the tail, S, likelihood, bulk."""

    start: np.ndarray
    weight: np.ndarray
    n_tail: np.ndarray
    log_sum: np.ndarray
    log_likelihood: np.ndarray
    shape: np.ndarray
    rate: np.ndarray


def splice(values: ArrayLike, *, min_tail: int = 10, level: float = 0.95) -> SplicedTail:
    r"""Fit a gamma law below and a Pareto law beyond a threshold, averaged over all thresholds.

    .. math:: \rho(x) = (1 - \pi)\, \frac{x^{k-1} e^{-x/\theta}}{\int_0^{x_{min}} z^{k-1} e^{-z/\theta} dz}
        \;\; (x < x_{min}), \qquad
        \pi\, \frac{\alpha - 1}{x_{min}} \Big(\frac{x}{x_{min}}\Big)^{-\alpha} \;\; (x \ge x_{min})

    Parameters
    ----------
    values : array_like, (n,)
        Values, at least 0, in any order and unit; zeros are dropped and counted.
    min_tail : int
        Smallest number of values in a tail, at least 2.
    level : float
        Confidence level, between 0 and 1.

    Returns
    -------
    SplicedTail

    Raises
    ------
    SpectrumError
        If a value is NaN, infinite or negative, if fewer than 3 distinct values are positive, or if there are fewer
        than ``min_tail`` + 10 of them.
    UsageError
        If an option is not allowed.

    Notes
    -----
    The likelihood has no maximum worth trusting where the two laws meet smoothly. So every value is taken as the
    threshold, all else at its maximum, and the thresholds are averaged with the weights

    .. math:: w \propto L^{0.7} \, \frac{1}{n_{tail}} \, e^{-20 / n_{tail}},

    a prior that is flat in the logarithm of the size of the tail and holds back from tails of a few values, and a power
    below 1 against bulks that are no exact gamma law. The tail alone, without a bulk, is one of the candidates, with
    n^2.5 in its favour for three parameters and one threshold fewer. At one threshold 2 (exponent - 1) S is chi-square
    with 2 (n_tail - 1) degrees of freedom; the interval is read off the mixture of these laws, without resampling.

    Measured on samples of 80 % gamma(3) below 6 and 20 % Pareto beyond: error (root mean square) alone and over that
    of ``power_law_tail``, and cover of 95 % intervals; 3000 samples or more each (cover 7000, standard error 0.3 %):

    ========  =====  =====  =======================  =====
    exponent  n      error  over error of the scan   cover
    ========  =====  =====  =======================  =====
    2         1000   0.085  0.80                     0.945
    3         1000   0.169  0.73                     0.942
    4         1000   0.219  0.73                     0.957
    2         200    0.183  0.99                     0.957
    3         200    0.426  0.92                     0.949
    4         200    0.690  0.72                     0.962
    ========  =====  =====  =======================  =====

    On 100 and 1000 Pareto values without a bulk the error is 0.65 and 0.73 times that of the scan and the cover 0.950
    and 0.956. At n = 200 a few samples make most of the error: its median is 0.84, 0.65 and 0.58 times the scan's.
    With bulks that are no gamma law it is mostly still better, but not always: beside a log-normal bulk 1000 values
    with exponent 2 cost 10 % in error and their interval covers 73 % only (84 % with exponent 3); beside a
    Marchenko-Pastur bulk 200 values with exponent 2 cost 30 % in error. The median threshold is 1.00 to 1.05 of the
    true one from 1000 values on, but 0.78 with 200 values and exponent 2, where the bulk runs smoothly into the tail.

    All suppose independent values, which the eigenvalues of one matrix are not, and like the exponent of the scan this
    one is no evidence for a power law: any sample gets one. Cost: one sort, then 0.2 microseconds for each value, and
    2 ms for the interval.

    References
    ----------
    Scarrott, MacDonald, REVSTAT 10 (2012) 33 (spliced bulk and tail).
    Miller, Dunson, Journal of the American Statistical Association 114 (2019) 1113 (powers of a likelihood).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> bulk, tail = rng.gamma(2.0, 1.0, 3200), 6.0 * (1.0 - rng.random(800)) ** (-1.0 / 2.0)
    >>> fit = splice(np.concatenate([bulk[bulk < 6.0], tail]))
    >>> fit.interval[0] < 3.0 < fit.interval[1], round(fit.threshold / 6.0, 1)
    (True, 1.0)
    """
    check_options(min_tail, level=level)
    sample = positive_sample(values)
    if len(sample.values) < min_tail + _LEAST_BULK:
        raise SpectrumError(
            f"{len(sample.values)} positive values; a splice needs at least {min_tail + _LEAST_BULK}: "
            f"{_LEAST_BULK} in the bulk and min_tail={min_tail} in the tail"
        )
    thresholds, n_distinct = _weigh(sample, min_tail)
    shares = np.cumsum(thresholds.weight)
    half = (1.0 - level) / 2.0
    low, middle, high = np.minimum(np.searchsorted(shares, [half, 0.5, 1.0 - half]), len(shares) - 1)
    starts = sample.values[thresholds.start]
    start, n_tail = int(thresholds.start[middle]), int(thresholds.n_tail[middle])
    exponent = 1.0 + float(thresholds.weight @ ((thresholds.n_tail - 1.0) / thresholds.log_sum))
    scale = _scale(float(starts[middle]), float(thresholds.rate[middle]))
    flags = (
        ("zeros dropped", sample.n_zeros > 0),
        ("ties", n_distinct < len(sample.values)),
        ("not heavy", exponent > STEEP_EXPONENT),
        ("no bulk", n_tail == len(sample.values)),
        ("no scale", math.isinf(scale)),
        ("narrow bulk", start > 0 and sample.logs[start - 1] - sample.logs[0] < _NARROW),
        ("threshold unclear", starts[high] > _UNCLEAR * starts[low]),
    )
    return SplicedTail(
        exponent=exponent,
        interval=_interval(thresholds, half),
        threshold=float(starts[middle]),
        threshold_interval=(float(starts[low]), float(starts[high])),
        likeliest_threshold=float(starts[np.argmax(thresholds.log_likelihood)]),
        n_tail=n_tail,
        tail_weight=n_tail / len(sample.values),
        shape=float(thresholds.shape[middle]),
        scale=scale,
        log_likelihood=float(thresholds.log_likelihood[middle]),
        n_zeros=sample.n_zeros,
        notes=tuple(text for text, holds in flags if holds),
    )


def _scale(threshold: float, rate: float) -> float:
    return math.inf if rate == 0.0 else threshold / rate


def _weigh(sample: PositiveSample, min_tail: int) -> tuple[_Thresholds, int]:
    """Weights of all thresholds, and the number of distinct values."""
    n = len(sample.values)
    y, position, below, sums = _kernels.tails(sample.logs, np.ones(n, np.int64))
    likelihood, shape, rate = _kernels.splice_profile(y, below, sums, _LEAST_BULK, min_tail)
    usable = np.flatnonzero(np.isfinite(likelihood))
    if len(usable) == 0:
        raise no_candidate(n, min_tail)
    n_tail = n - below[usable]
    log_weight = _TEMPER * likelihood[usable] - np.log(n_tail) - _SHORT_TAIL / n_tail
    if usable[0] == 0:  # three parameters fewer, and one threshold against n
        log_weight[0] += _TEMPER * 2.5 * math.log(n)
    weight = np.exp(log_weight - log_weight.max())
    kept = weight > _NEGLIGIBLE
    chosen = usable[kept]
    return _Thresholds(
        start=position[chosen],
        weight=weight[kept] / weight[kept].sum(),
        n_tail=n_tail[kept],
        log_sum=sums[chosen],
        log_likelihood=likelihood[chosen],
        shape=shape[chosen],
        rate=rate[chosen],
    ), len(y)


def _interval(thresholds: _Thresholds, half: float) -> tuple[float, float]:
    """Quantiles of the mixture of the exact laws of the exponent at each threshold."""
    degrees = thresholds.n_tail - 1.0

    def quantile(share: float) -> float:
        each = special.gammaincinv(degrees, share) / thresholds.log_sum
        low, high = float(each.min()), float(each.max())
        if high <= low * (1.0 + 1e-12):
            return low

        def excess(slope: float) -> float:
            return float(thresholds.weight @ special.gammainc(degrees, slope * thresholds.log_sum)) - share

        return float(optimize.brentq(excess, low * (1.0 - 1e-9), high * (1.0 + 1e-9), rtol=1e-10))

    return 1.0 + quantile(half), 1.0 + quantile(1.0 - half)

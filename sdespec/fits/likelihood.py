"""Maximum likelihood for the one-body laws, and likelihood ratios between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from sdespec.core.errors import SpectrumError, UsageError
from sdespec.fits import _kernels
from sdespec.fits.truncated import truncated_logpdf
from sdespec.fits.validation import check_spectrum
from sdespec.laws import Exponential, Gamma, InverseGamma, Law, LogNormal, Pareto

__all__ = ["FITTED_LAWS", "LawComparison", "LawFit", "compare_laws", "exponential_z", "fit_gamma", "law"]

Interval = tuple[float, float]

# A law and the one that holds it as a special case (inside) or as a limit (at the boundary), beyond a threshold.
_LIMIT = (frozenset({"pareto", "log_normal"}), frozenset({"pareto", "inverse_gamma"}))
_SPECIAL_CASE = (frozenset({"exponential", "gamma"}),)
# Log-densities below this are cut off, so that ratios of laws that exclude a value stay finite.
_IMPOSSIBLE = -1e150


@dataclass(frozen=True)
class LawFit:
    """A law fitted by maximum likelihood.

    Attributes
    ----------
    law : Law
        The fitted law.
    parameters : mapping
        Its parameters by the names of the constructor.
    intervals : mapping
        Interval of each parameter for independent values; not right for the eigenvalues of one matrix.
    log_likelihood : float
        At the estimate.
    ks_distance : float
        Two-sided Kolmogorov-Smirnov distance of the values to the law.
    n : int
        Number of positive values.
    n_zeros : int
        Zeros that were dropped.
    """

    law: Law
    parameters: Mapping[str, float]
    intervals: Mapping[str, Interval]
    log_likelihood: float
    ks_distance: float
    n: int
    n_zeros: int = 0


@dataclass(frozen=True)
class LawComparison:
    """Likelihood ratio of two laws.

    Attributes
    ----------
    log_likelihood_ratio : float
        Positive favours the first law.
    z_score : float
        The ratio over its standard deviation (Vuong); 0 where the fitted laws agree on every value.
    p_value : float
        For independent values: of a normal ``z_score``, two-sided; where ``nested``, of the smaller law.
    n_tail : int
        Number of values compared.
    nested : bool
        True where one law is a special case or a limit of the other.
    """

    log_likelihood_ratio: float
    z_score: float
    p_value: float
    n_tail: int
    nested: bool


def fit_gamma(values: np.ndarray) -> tuple[float, float]:
    r"""Shape and scale of a gamma law by maximum likelihood, with no check of the values.

    .. math:: \log k - \psi(k) = \log \bar x - \overline{\log x}, \qquad \theta = \bar x / k

    Parameters
    ----------
    values : ndarray of float64, (n,)
        Positive, not all equal, with a finite sum.

    Returns
    -------
    shape, scale : float

    Raises
    ------
    SpectrumError
        If the values are equal to rounding.

    Notes
    -----
    The two sums cost O(n); the root takes about four steps of Newton's method in 1 / k.

    Examples
    --------
    >>> shape, scale = fit_gamma(np.array([1.0, 2.0, 3.0]))
    >>> round(shape * scale, 12)
    2.0
    """
    # Without the methods of arrays, which cost more than the sum of a thousand values.
    n = len(values)
    return _gamma_parameters(values, float(np.add.reduce(values)) / n, float(np.add.reduce(np.log(values))) / n)


def _mean(x: np.ndarray) -> float:
    """Mean, also where the sum overflows."""
    with np.errstate(over="ignore"):
        total = float(np.add.reduce(x))
    return total / len(x) if math.isfinite(total) else float(np.add.reduce(x / len(x)))


def _gamma_parameters(x: np.ndarray, mean: float, mean_log: float) -> tuple[float, float]:
    contrast = math.log(mean) - mean_log
    if contrast < 1e-4:  # the difference cancels
        deviation = (x - mean) / mean
        contrast = float((deviation - np.log1p(deviation)).mean())
    if not contrast > 0.0:
        raise SpectrumError(f"{len(x)} values that are equal to rounding (mean {mean:g}); no law can be fitted to them")
    shape = float(_kernels.gamma_shape(contrast))
    return shape, mean / shape


def _gamma(x: np.ndarray) -> Gamma:
    return Gamma(*_gamma_parameters(x, _mean(x), float(np.log(x).mean())))


def _inverse_gamma(x: np.ndarray) -> InverseGamma:
    """A gamma law of the reciprocals, in units of the largest, so that they do not overflow."""
    smallest = float(x.min())
    ratios = smallest / x
    shape, scale = _gamma_parameters(ratios, _mean(ratios), math.log(smallest) - float(np.log(x).mean()))
    return InverseGamma(shape, smallest / scale)


def _log_normal(x: np.ndarray) -> LogNormal:
    logs = np.log(x)
    return LogNormal(float(logs.std()), math.exp(float(logs.mean())))


def _exponential(x: np.ndarray) -> Exponential:
    return Exponential(_mean(x))


def _pareto(x: np.ndarray) -> Pareto:
    minimum = float(x.min())
    return Pareto(1.0 + 1.0 / (float(np.log(x).mean()) - math.log(minimum)), minimum)


FITTED_LAWS: Mapping[str, Callable[[np.ndarray], Law]] = MappingProxyType(
    {
        "gamma": _gamma,
        "inverse_gamma": _inverse_gamma,
        "log_normal": _log_normal,
        "exponential": _exponential,
        "pareto": _pareto,
    }
)
"""Laws that ``law`` fits, by their names in snake case."""


def _intervals(fitted: Law, n: int, level: float) -> dict[str, Interval]:
    """Exact where a pivot exists; else from the Fisher information in the logs of the parameters."""
    half = (1.0 - level) / 2.0
    if isinstance(fitted, (Gamma, InverseGamma)):
        k = fitted.shape
        trigamma = float(special.zeta(2.0, k))
        determinant = n * (k * trigamma - 1.0) if k < 1e6 else 0.5 * n / k
        z = -float(special.ndtri(half))
        return {
            "shape": _scaled(k, z / math.sqrt(k * determinant)),
            "scale": _scaled(fitted.scale, z * math.sqrt(trigamma / determinant)),
        }
    if isinstance(fitted, LogNormal):
        high, low = (float(v) for v in special.chdtri(n - 1.0, [half, 1.0 - half]))
        width = float(special.stdtrit(n - 1.0, 1.0 - half)) * fitted.shape / math.sqrt(n - 1.0)
        return {
            "shape": (fitted.shape * math.sqrt(n / high), fitted.shape * math.sqrt(n / low)),
            "scale": _scaled(fitted.scale, width),
        }
    if isinstance(fitted, Pareto):
        slope = fitted.exponent - 1.0
        low, high = (float(v) for v in special.gammaincinv(n - 1.0, [half, 1.0 - half]))
        # n (n - 1) log(smallest / minimum) over the sum of the logs has the F law with 2 and 2 (n - 1) degrees.
        below = math.expm1(-math.log1p(-level) / (n - 1.0)) / slope
        return {
            "exponent": (1.0 + low * slope / n, 1.0 + high * slope / n),
            "minimum": (fitted.minimum * math.exp(-below), fitted.minimum),
        }
    low, high = (float(v) for v in special.gammaincinv(float(n), [half, 1.0 - half]))
    scale = fitted.parameters["scale"]
    return {"scale": (n * scale / high, n * scale / low)}


def _scaled(value: float, log_factor: float) -> Interval:
    factor = math.exp(min(log_factor, 700.0))
    return value / factor, value * factor


def _check_name(name: str) -> None:
    if name not in FITTED_LAWS:
        raise UsageError(f"law is {name!r}; allowed: {', '.join(FITTED_LAWS)}")


def law(values: ArrayLike, name: str, *, level: float = 0.95) -> LawFit:
    """Fit one law to all values by maximum likelihood.

    Parameters
    ----------
    values : array_like, (n,)
        At least 0, in any order; zeros are dropped and counted.
    name : {"gamma", "inverse_gamma", "log_normal", "exponential", "pareto"}
        The law; ``pareto`` takes the smallest value as its minimum, so give it a tail.
    level : float
        Probability of the intervals, between 0 and 1.

    Returns
    -------
    LawFit

    Raises
    ------
    SpectrumError
        If a value is NaN, infinite or negative, or fewer than 3 distinct values are positive.
    UsageError
        If the law is not one of those.

    Notes
    -----
    Intervals hold for independent values: exact for exponential, log-normal and Pareto laws, from the Fisher
    information in the logs of the parameters for gamma and inverse gamma laws. The eigenvalues of one matrix are
    not independent: sums over its bulk fluctuate less by a factor of order sqrt(n). Cost O(n log n), by the distance.

    Examples
    --------
    >>> from sdespec.laws import Gamma
    >>> fitted = law(Gamma(shape=2.0, scale=3.0).rvs(5000, seed=1), "gamma")
    >>> 1.9 < fitted.parameters["shape"] < 2.1
    True
    """
    _check_name(name)
    if not 0.0 < level < 1.0:
        raise UsageError(f"level is {level}; it must lie between 0 and 1")
    checked = check_spectrum(np.asarray(values))
    x = np.sort(checked[checked > 0.0])
    fitted = FITTED_LAWS[name](x)
    cdf = np.asarray(fitted.cdf(x))
    steps = np.arange(len(x)) / len(x)
    return LawFit(
        law=fitted,
        parameters=MappingProxyType(fitted.parameters),
        intervals=MappingProxyType(_intervals(fitted, len(x), level)),
        log_likelihood=float(np.sum(fitted.logpdf(x))),
        ks_distance=float(max((cdf - steps).max(), (steps + 1.0 / len(x) - cdf).max())),
        n=len(x),
        n_zeros=len(checked) - len(x),
    )


def exponential_z(values: np.ndarray, threshold: float) -> float:
    """Likelihood ratio of a power law against an exponential law beyond a threshold, over its standard deviation.

    Parameters
    ----------
    values : ndarray, (n,)
        In any order.
    threshold : float
        Positive; values below it are left out.

    Returns
    -------
    float
        Positive favours the power law; NaN where fewer than 3 values are left or all are equal.

    Examples
    --------
    >>> exponential_z(np.array([1.0, 1.1, 1.5, 2.0, 9.0, 60.0]), 1.0) > 0
    True
    """
    x = values[values >= threshold]
    if len(x) < 3 or x.max() <= threshold:
        return math.nan
    return _normalised(truncated_logpdf(x, "pareto", threshold) - truncated_logpdf(x, "exponential", threshold))


def _normalised(ratio: np.ndarray) -> float:
    spread = float(ratio.std())
    if spread <= 1e-12 * (1.0 + float(np.abs(ratio).max())):
        return 0.0
    return float(ratio.sum()) / (math.sqrt(len(ratio)) * spread)


def _p_value(ratio: float, z: float, pair: frozenset[str], truncated: bool) -> tuple[float, bool]:
    """P-value and whether the pair is nested: Wilks' law inside, its even mixture with 0 at the boundary."""
    wilks = math.erfc(math.sqrt(abs(ratio)))  # twice the ratio is chi-square with 1 degree of freedom
    if pair in _SPECIAL_CASE:
        return wilks, True
    if truncated and pair in _LIMIT:
        return (0.5 * wilks if ratio != 0.0 else 1.0), True
    return math.erfc(abs(z) / math.sqrt(2.0)), False


def compare_laws(values: ArrayLike, a: str, b: str, *, threshold: float | None = None) -> LawComparison:
    r"""Compare two laws by their likelihood ratio, on all values or beyond a threshold.

    .. math:: R = \sum_i [\log p_a(x_i) - \log p_b(x_i)], \qquad z = R / (\sqrt n\, \hat\sigma)

    Parameters
    ----------
    values : array_like, (n,)
        At least 0, in any order; zeros are dropped.
    a, b : {"gamma", "inverse_gamma", "log_normal", "exponential", "pareto"}
        The laws; beyond a threshold each is truncated there and refitted.
    threshold : float, optional
        Values below it are left out.

    Returns
    -------
    LawComparison

    Raises
    ------
    SpectrumError
        If the values are invalid or fewer than 3 distinct ones lie beyond the threshold.
    UsageError
        If a law is not one of those, or the threshold is not positive.

    Notes
    -----
    The p-value supposes independent values and a threshold fixed beforehand; the eigenvalues of one matrix need a
    calibrated one. Without nesting it is Vuong's, two-sided.

    Beyond a threshold a power law is the limit of a truncated log-normal law whose centre goes to zero, and of a
    truncated inverse gamma law of scale zero; an exponential law is a gamma law of shape 1. In such a pair the
    smaller law cannot win: the p-value is that of the smaller law being true, by Wilks' theorem, at the boundary
    by an even mixture of chi-square laws with 0 and 1 degrees of freedom. A small one rejects the power law; a
    large one says that the two cannot be told apart.

    References
    ----------
    Vuong, Econometrica 57 (1989) 307. Self, Liang, Journal of the American Statistical Association 82 (1987) 605.

    Examples
    --------
    >>> from sdespec.laws import LogNormal
    >>> x = LogNormal(shape=1.0, scale=1.0).rvs(2000, seed=0)
    >>> compare_laws(x, "log_normal", "exponential").log_likelihood_ratio > 0
    True
    """
    _check_name(a)
    _check_name(b)
    x = check_spectrum(np.asarray(values))
    x = x[x > 0.0]
    if threshold is None:
        one, two = (np.asarray(FITTED_LAWS[name](x).logpdf(x)) for name in (a, b))
    else:
        if not (math.isfinite(threshold) and threshold > 0.0):
            raise UsageError(f"threshold is {threshold}; it must be a positive finite number")
        largest = float(x.max())
        x = x[x >= threshold]
        if len(np.unique(x)) < 3:
            raise SpectrumError(
                f"{len(x)} values at or above the threshold {threshold:g} (largest value {largest:g}); "
                "at least 3 distinct ones are needed"
            )
        one, two = (truncated_logpdf(x, name, threshold) for name in (a, b))
    difference = np.maximum(one, _IMPOSSIBLE) - np.maximum(two, _IMPOSSIBLE)
    ratio, z = float(difference.sum()), _normalised(difference)
    p_value, nested = _p_value(ratio, z, frozenset({a, b}), threshold is not None)
    return LawComparison(log_likelihood_ratio=ratio, z_score=z, p_value=p_value, n_tail=len(x), nested=nested)

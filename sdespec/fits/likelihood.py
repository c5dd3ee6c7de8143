"""Maximum likelihood for the one-body laws, and likelihood-ratio comparison in the tail."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy import special

from sdespec.core.errors import NumericalError, SpectrumError, UsageError
from sdespec.fits.validation import check_spectrum
from sdespec.laws import Exponential, Gamma, InverseGamma, Law, LogNormal, Pareto

__all__ = ["FITTED_LAWS", "LawComparison", "LawFit", "compare_laws", "exponential_z", "gamma_shape", "law"]

_NEWTON_STEPS = 30


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
        Interval of each parameter for independent values; those of one matrix are not independent.
    log_likelihood : float
        At the estimate.
    ks_distance : float
        Two-sided KS distance of the values to the law.
    n : int
        Number of values.
    """

    law: Law
    parameters: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    log_likelihood: float
    ks_distance: float
    n: int


@dataclass(frozen=True)
class LawComparison:
    """Likelihood ratio of two laws beyond a threshold.

    Attributes
    ----------
    log_likelihood_ratio : float
        Positive favours the first law.
    z_score : float
        The ratio over its standard deviation (Vuong).
    p_value : float
        Two-sided, for independent values.
    n_tail : int
        Number of values compared.
    nested : bool
        True where the first law is a limit of the second, so that the ratio cannot be positive.
    """

    log_likelihood_ratio: float
    z_score: float
    p_value: float
    n_tail: int
    nested: bool


def gamma_shape(gap: float) -> float:
    r"""Solve :math:`\log k - \psi(k) = g` for the shape of a gamma law.

    Parameters
    ----------
    gap : float
        Logarithm of the mean minus the mean of the logarithms, positive.

    Returns
    -------
    float
        The unique root, by Newton's method in 1/k.

    Examples
    --------
    >>> from scipy.special import psi
    >>> round(gamma_shape(float(np.log(2.5) - psi(2.5))), 12)
    2.5
    """
    shape = (3.0 - gap + math.sqrt((gap - 3.0) ** 2 + 24.0 * gap)) / (12.0 * gap)
    for _ in range(_NEWTON_STEPS):
        value = math.log(shape) - float(special.psi(shape)) - gap
        slope = 1.0 / shape - float(special.zeta(2.0, shape))  # zeta(2, k) is the trigamma function
        new = 1.0 / (1.0 / shape + value / (shape * shape * slope))
        if not new > 0.0:
            new = shape / 2.0
        if abs(new - shape) <= 1e-13 * shape:
            return new
        shape = new
    raise NumericalError(f"the shape of a gamma law did not converge at log mean - mean log = {gap:g}")


def _gamma(x: np.ndarray) -> Gamma:
    mean = float(x.mean())
    shape = gamma_shape(max(math.log(mean) - float(np.log(x).mean()), 1e-14))
    return Gamma(shape, mean / shape)


def _inverse_gamma(x: np.ndarray) -> InverseGamma:
    smallest = float(x.min())
    fitted = _gamma(smallest / x)  # within (0, 1], so that tiny values do not overflow
    return InverseGamma(fitted.shape, smallest / fitted.scale)


def _log_normal(x: np.ndarray) -> LogNormal:
    logs = np.log(x)
    return LogNormal(max(float(logs.std()), 1e-12), math.exp(float(logs.mean())))


def _exponential(x: np.ndarray) -> Exponential:
    return Exponential(float(x.mean()))


def _pareto(x: np.ndarray) -> Pareto:
    minimum = float(x.min())
    return Pareto(1.0 + len(x) / float(np.sum(np.log(x / minimum))), minimum)


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


def _log_errors(fitted: Law, n: int) -> dict[str, float]:
    """Standard errors of the logarithms of the parameters, from the Fisher information."""
    if isinstance(fitted, (Gamma, InverseGamma)):
        k = fitted.shape
        trigamma = float(special.zeta(2.0, k))
        determinant = k * trigamma - 1.0
        return {"shape": 1.0 / math.sqrt(n * k * determinant), "scale": math.sqrt(trigamma / (n * determinant))}
    if isinstance(fitted, LogNormal):
        return {"shape": 1.0 / math.sqrt(2.0 * n), "scale": fitted.shape / math.sqrt(n)}
    return {"scale": 1.0 / math.sqrt(n)}


def _intervals(fitted: Law, n: int, level: float) -> dict[str, tuple[float, float]]:
    if isinstance(fitted, Pareto):
        tail = (1.0 - level) / 2.0
        bounds = special.gammaincinv(n - 1, [tail, 1.0 - tail]) * (fitted.exponent - 1.0) / n
        low = fitted.minimum * tail ** (1.0 / (n * (fitted.exponent - 1.0)))
        return {"exponent": (1.0 + float(bounds[0]), 1.0 + float(bounds[1])), "minimum": (low, fitted.minimum)}
    z = float(special.ndtri(0.5 + level / 2.0))
    return {
        name: (fitted.parameters[name] * math.exp(-z * error), fitted.parameters[name] * math.exp(z * error))
        for name, error in _log_errors(fitted, n).items()
    }


def law(values: np.ndarray, name: str, *, level: float = 0.95) -> LawFit:
    """Fit one law to all values by maximum likelihood.

    Parameters
    ----------
    values : ndarray, (n,)
        Positive, in any order.
    name : {"gamma", "inverse_gamma", "log_normal", "exponential", "pareto"}
        The law; ``pareto`` takes the smallest value as its minimum.
    level : float
        Probability of the intervals.

    Returns
    -------
    LawFit

    Raises
    ------
    SpectrumError
        If a value is not positive and finite, or fewer than 3 are distinct.
    UsageError
        If the law is not one of those.

    Notes
    -----
    Intervals come from the Fisher information in the logarithms of the parameters, for independent values. Linear
    statistics of the eigenvalues of one matrix fluctuate less, their tails more: see ``sdespec.fit`` for p-values
    that know it. Cost O(n).

    Examples
    --------
    >>> from sdespec.laws import Gamma
    >>> fitted = law(Gamma(shape=2.0, scale=3.0).rvs(5000, seed=1), "gamma")
    >>> 1.9 < fitted.parameters["shape"] < 2.1
    True
    """
    if name not in FITTED_LAWS:
        raise UsageError(f"law is {name!r}; allowed: {', '.join(FITTED_LAWS)}")
    if not 0.0 < level < 1.0:
        raise UsageError(f"level is {level}; it must lie between 0 and 1")
    x = check_spectrum(values)
    if x.min() <= 0.0:
        raise SpectrumError(f"value 0 at index {int(np.argmin(x))}; the laws live on positive values, drop zeros first")
    fitted = FITTED_LAWS[name](x)
    return LawFit(
        law=fitted,
        parameters=MappingProxyType(fitted.parameters),
        intervals=MappingProxyType(_intervals(fitted, len(x), level)),
        log_likelihood=float(np.sum(fitted.logpdf(x))),
        ks_distance=_ks_distance(fitted, x),
        n=len(x),
    )


def _ks_distance(fitted: Law, x: np.ndarray) -> float:
    cdf = np.asarray(fitted.cdf(np.sort(x)))
    steps = np.arange(len(x)) / len(x)
    return float(max(np.max(cdf - steps), np.max(steps + 1.0 / len(x) - cdf)))


def refitted_distances(name: str, drawn: np.ndarray) -> np.ndarray:
    """KS distance of each row of draws to the law refitted to it.

    Parameters
    ----------
    name : str
        Name of the law.
    drawn : ndarray, (draws, n)
        Positive values, ascending along each row.

    Returns
    -------
    ndarray, (draws,)
    """
    return np.array([_ks_distance(FITTED_LAWS[name](row), row) for row in drawn])


def exponential_z(values: np.ndarray, threshold: float) -> float:
    """Likelihood ratio of a power law against an exponential law beyond a threshold, over its standard deviation.

    Parameters
    ----------
    values : ndarray, (n,)
        In any order.
    threshold : float
        Values below it are left out.

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
    logs = np.log(x / threshold)
    rate = 1.0 / float(logs.mean())
    mean = float((x - threshold).mean())
    ratio = (math.log(rate / threshold) - (rate + 1.0) * logs) - (-math.log(mean) - (x - threshold) / mean)
    return _normalised(ratio)


def _normalised(ratio: np.ndarray) -> float:
    spread = float(ratio.std())
    return float(ratio.sum()) / (math.sqrt(len(ratio)) * spread) if spread > 0.0 else 0.0


def compare_laws(values: np.ndarray, a: str, b: str, *, threshold: float | None = None) -> LawComparison:
    r"""Compare two laws by their likelihood ratio, on all values or beyond a threshold.

    .. math:: R = \sum_i [\log p_a(x_i) - \log p_b(x_i)], \qquad z = R / (\sqrt n\, \hat\sigma)

    Parameters
    ----------
    values : ndarray, (n,)
        Positive, in any order.
    a, b : str
        Names of laws; beyond a threshold each is truncated there and refitted.
    threshold : float, optional
        Values below it are left out.

    Returns
    -------
    LawComparison
        ``p_value`` is that of a normal z for independent values.

    Raises
    ------
    SpectrumError
        If the values are invalid or too few lie beyond the threshold.
    UsageError
        If a law is not one of those that ``law`` fits.

    Notes
    -----
    A Pareto law is a limit of the log-normal and of the inverse gamma law truncated at the threshold; against them
    the ratio cannot be positive, and only a small p-value says anything.

    References
    ----------
    Vuong, Econometrica 57 (1989) 307.

    Examples
    --------
    >>> from sdespec.laws import LogNormal
    >>> x = LogNormal(shape=1.0, scale=1.0).rvs(2000, seed=0)
    >>> compare_laws(x, "log_normal", "exponential").log_likelihood_ratio > 0
    True
    """
    for name in (a, b):
        if name not in FITTED_LAWS:
            raise UsageError(f"law is {name!r}; allowed: {', '.join(FITTED_LAWS)}")
    x = check_spectrum(values)
    x = x[x > 0.0]
    if threshold is None:
        logs = [np.asarray(FITTED_LAWS[name](x).logpdf(x)) for name in (a, b)]
    else:
        x = x[x >= threshold]
        if len(np.unique(x)) < 3:
            raise SpectrumError(f"{len(x)} values at or above the threshold {threshold:g}; at least 3 are needed")
        from sdespec.fits.truncated import truncated_logpdf

        logs = [truncated_logpdf(x, name, threshold) for name in (a, b)]
    ratio = logs[0] - logs[1]
    z = _normalised(ratio)
    return LawComparison(
        log_likelihood_ratio=float(ratio.sum()),
        z_score=z,
        p_value=math.erfc(abs(z) / math.sqrt(2.0)),
        n_tail=len(x),
        nested=threshold is not None and a == "pareto" and b in ("log_normal", "inverse_gamma"),
    )

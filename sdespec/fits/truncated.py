"""Laws truncated below at a threshold, fitted to a tail by maximum likelihood."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy import optimize, special

from sdespec.core.errors import UsageError

__all__ = ["TRUNCATED_LAWS", "truncated_logpdf"]

# Beyond this depth of the centre below the threshold, in standard deviations, a log-normal tail is a power law.
_DEEPEST = 1e3
_ASYMPTOTIC = 50.0
_TINY = 1e-200


@dataclass(frozen=True, eq=False)
class _Tail:
    """A tail in units in which nothing overflows.

    Attributes
    ----------
    logs : ndarray
        log(x / threshold).
    excess : ndarray
        (x - threshold) over its mean, so that its own mean is 1.
    log_start : float
        log of the threshold over the mean excess.
    """

    logs: np.ndarray
    excess: np.ndarray
    log_start: float


def _pareto(tail: _Tail) -> np.ndarray:
    slope = 1.0 / float(tail.logs.mean())
    return np.asarray(math.log(slope) - (slope + 1.0) * tail.logs)


def _exponential(tail: _Tail) -> np.ndarray:
    return np.asarray(tail.log_start - tail.excess)


def _gap(depth: float) -> float:
    """Mean of a normal law with its centre ``depth`` standard deviations below 0, given that it is above 0."""
    if depth > _ASYMPTOTIC:  # the closed form cancels
        q = 1.0 / (depth * depth)
        return (1.0 - q * (2.0 - q * (10.0 - q * (74.0 - q * 706.0)))) / depth
    return math.sqrt(2.0 / math.pi) / float(special.erfcx(depth / math.sqrt(2.0))) - depth


def _moment_ratio(depth: float) -> float:
    """Second moment of that law over the square of its mean: from 1, far above 0, to 2, the exponential limit."""
    if depth > _ASYMPTOTIC:
        q = 1.0 / (depth * depth)
        second = 2.0 * q * (1.0 - q * (5.0 - q * (37.0 - q * (353.0 - q * 4081.0))))
    else:
        second = 1.0 - depth * _gap(depth)
    return second / _gap(depth) ** 2


def _log_normal(tail: _Tail) -> np.ndarray:
    """A normal law of the log: its depth below the threshold solves one equation in the ratio of two moments."""
    first = float(tail.logs.mean())
    ratio = float(np.mean((tail.logs / first) ** 2))
    if ratio >= _moment_ratio(_DEEPEST):
        return _pareto(tail)
    shallowest = -10.0 - 2.0 / math.sqrt(ratio - 1.0)
    depth = float(optimize.brentq(lambda h: _moment_ratio(h) - ratio, shallowest, _DEEPEST, xtol=1e-13, rtol=1e-14))
    deviation = first / _gap(depth)
    z = tail.logs / deviation
    constant = math.log(deviation * math.sqrt(2.0 * math.pi))
    if depth < 0.0:
        return np.asarray(-0.5 * (z + depth) ** 2 - constant - float(special.log_ndtr(-depth)) - tail.logs)
    # The mass beyond the threshold and exp(-depth^2 / 2) in one piece: each alone underflows.
    log_mass = math.log(0.5 * float(special.erfcx(depth / math.sqrt(2.0))))
    return np.asarray(-0.5 * z * z - z * depth - constant - log_mass - tail.logs)


def _log_upper(shape: float, rate: float) -> float:
    r"""Logarithm of :math:`\int_1^\infty v^{k-1} e^{-b(v-1)} dv`."""
    share = float(special.gammaincc(shape, rate))
    if share > _TINY:
        return math.log(share) + float(special.gammaln(shape)) - shape * math.log(rate) + rate
    # Continued fraction of the incomplete gamma function by Lentz's method; far beyond the mode it converges fast.
    b = rate + 1.0 - shape
    c, d = math.inf, 1.0 / b
    value = d
    for k in range(1, 500):
        a = -k * (k - shape)
        b += 2.0
        d = 1.0 / (a * d + b)
        c = b + a / c
        value *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return math.log(value)


def _gamma(tail: _Tail) -> np.ndarray:
    mean_log = float(tail.logs.mean())
    start = max(math.exp(tail.log_start), 1e-270)

    def cost(point: np.ndarray) -> float:
        shape, rate = math.exp(float(point[0])), math.exp(float(point[1]))  # rate in units of the mean excess
        return rate - (shape - 1.0) * mean_log + _log_upper(shape, rate * start)

    shape, rate = _least(cost, (0.0, 0.0), ((-25.0, 16.0), (-25.0, 16.0)))
    constant = _log_upper(shape, rate * start)
    return np.asarray((shape - 1.0) * tail.logs - rate * tail.excess - constant)


def _log_lower(shape: float, scale: float) -> float:
    r"""Logarithm of :math:`\int_1^\infty v^{-k-1} e^{-s/v} dv`."""
    share = float(special.gammainc(shape, scale))
    if share > _TINY:
        return math.log(share) + float(special.gammaln(shape)) - shape * math.log(scale)
    term = total = 1.0 / shape
    for k in range(1, 10_000):
        term *= scale / (shape + k)
        total += term
        if term < 1e-17 * total:
            break
    return math.log(total) - scale


def _inverse_gamma(tail: _Tail) -> np.ndarray:
    inverse = np.exp(-tail.logs)
    mean_log, mean_inverse = float(tail.logs.mean()), float(inverse.mean())

    def cost(point: np.ndarray) -> float:
        shape, scale = math.exp(float(point[0])), math.exp(float(point[1]))
        return (shape + 1.0) * mean_log + scale * mean_inverse + _log_lower(shape, scale)

    shape, scale = _least(cost, (-math.log(mean_log), 0.0), ((-25.0, 16.0), (-25.0, 16.0)))
    fitted = np.asarray(-(shape + 1.0) * tail.logs - scale * inverse - _log_lower(shape, scale))
    limit = _pareto(tail)  # scale 0
    return fitted if fitted.sum() > limit.sum() else limit


def _least(
    cost: Callable[[np.ndarray], float],
    start: tuple[float, float],
    bounds: tuple[tuple[float, float], tuple[float, float]],
) -> tuple[float, float]:
    """Minimise over the logs of two parameters; a second simplex starts where the first one stopped.

    The likelihoods are those of exponential families, so that there is one minimum.
    """
    point = np.clip(start, *np.transpose(bounds))
    for _ in range(2):
        point = optimize.minimize(
            cost, point, method="Nelder-Mead", bounds=bounds, options={"xatol": 1e-9, "fatol": 1e-13}
        ).x
    return math.exp(float(point[0])), math.exp(float(point[1]))


TRUNCATED_LAWS: Mapping[str, Callable[[_Tail], np.ndarray]] = MappingProxyType(
    {
        "gamma": _gamma,
        "inverse_gamma": _inverse_gamma,
        "log_normal": _log_normal,
        "exponential": _exponential,
        "pareto": _pareto,
    }
)
"""Log-density of x / threshold under each law at its maximum likelihood in a tail."""


def truncated_logpdf(x: np.ndarray, name: str, threshold: float) -> np.ndarray:
    """Log-density of each value of a tail under a law truncated below at the threshold, at its maximum likelihood.

    Parameters
    ----------
    x : ndarray, (n,)
        Values at or above the threshold, not all equal to it.
    name : {"gamma", "inverse_gamma", "log_normal", "exponential", "pareto"}
        The law.
    threshold : float
        Positive.

    Returns
    -------
    ndarray, (n,)

    Raises
    ------
    UsageError
        If the law is not one of those.

    Notes
    -----
    Pareto and exponential are closed forms. The logarithm of a log-normal tail is a normal law truncated at 0; its
    depth below the threshold is the root of one monotone function, and where the second moment of the logs is at
    least twice the square of the first the maximum is the power law itself. Gamma (shape above 0) and inverse gamma
    are two-dimensional searches over sufficient statistics, a few milliseconds at any n.

    Examples
    --------
    >>> x = np.array([1.0, 2.0, 4.0])
    >>> float(truncated_logpdf(x, "exponential", 1.0).sum().round(4))
    -3.863
    """
    if name not in TRUNCATED_LAWS:
        raise UsageError(f"law is {name!r}; allowed: {', '.join(TRUNCATED_LAWS)}")
    log_threshold = math.log(threshold)
    excess = x - threshold
    largest = float(excess.max())
    unit = largest * float(np.mean(excess / largest))
    tail = _Tail(
        logs=np.log(x) - log_threshold,
        excess=excess / unit,
        log_start=log_threshold - math.log(unit),
    )
    return np.asarray(TRUNCATED_LAWS[name](tail) - log_threshold)

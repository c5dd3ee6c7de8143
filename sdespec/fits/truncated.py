"""Laws truncated below at a threshold, refitted to the tail."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import optimize, special

__all__ = ["truncated_logpdf"]

_DEEP = 60.0  # how many standard deviations a log-normal centre may lie below the threshold


def truncated_logpdf(x: np.ndarray, name: str, threshold: float) -> np.ndarray:
    """Log-density of each tail value under the law truncated at the threshold, at its maximum likelihood.

    Parameters
    ----------
    x : ndarray, (n,)
        Values at or above the threshold.
    name : str
        One of ``FITTED_LAWS``.
    threshold : float
        Positive.

    Returns
    -------
    ndarray, (n,)
    """
    z = np.log(x / threshold)
    return _FORMS[name](z) - math.log(threshold)


def _pareto(z: np.ndarray) -> np.ndarray:
    rate = 1.0 / float(z.mean())
    return math.log(rate) - (rate + 1.0) * z


def _exponential(z: np.ndarray) -> np.ndarray:
    excess = np.expm1(z)
    mean = float(excess.mean())
    return np.asarray(-math.log(mean) - excess / mean)


def _log_normal(z: np.ndarray) -> np.ndarray:
    """A normal law of the logarithm, truncated at 0; from sums of z and z^2 alone."""
    first, second = float(z.mean()), float((z * z).mean())

    def cost(parameters: np.ndarray) -> float:
        depth, log_sigma = float(parameters[0]), float(parameters[1])
        sigma = math.exp(log_sigma)
        mu = depth * sigma
        square = (second - 2.0 * mu * first + mu * mu) / (2.0 * sigma * sigma)
        return square + log_sigma + float(special.log_ndtr(depth))

    spread = math.sqrt(max(second - first * first, 1e-300))
    starts = [(0.0, math.log(math.sqrt(second))), (first / spread, math.log(spread)), (-5.0, math.log(5.0 * first))]
    depth, log_sigma = _least(cost, starts, ((-_DEEP, _DEEP), (-30.0, 30.0)))
    sigma = math.exp(log_sigma)
    constant = log_sigma + 0.5 * math.log(2.0 * math.pi) + float(special.log_ndtr(depth))
    return np.asarray(-0.5 * (z / sigma - depth) ** 2 - constant - z)


def _gamma(z: np.ndarray) -> np.ndarray:
    """A gamma law of shape k and rate r (in thresholds), truncated at 1; k may be as small as it likes above 0."""
    x = np.exp(z)
    mean, mean_log = float(x.mean()), float(z.mean())

    def log_mass(shape: float, rate: float) -> float:
        upper = float(special.gammaincc(shape, rate))
        return math.log(max(upper, 1e-300)) + float(special.gammaln(shape)) - shape * math.log(rate)

    def cost(parameters: np.ndarray) -> float:
        shape, rate = math.exp(float(parameters[0])), math.exp(float(parameters[1]))
        return -((shape - 1.0) * mean_log - rate * mean - log_mass(shape, rate))

    starts = [(0.0, -math.log(mean)), (-3.0, -math.log(mean)), (2.0, 2.0 - math.log(mean))]
    log_shape, log_rate = _least(cost, starts, ((-12.0, 12.0), (-20.0, 6.0)))
    shape, rate = math.exp(log_shape), math.exp(log_rate)
    return np.asarray((shape - 1.0) * z - rate * x - log_mass(shape, rate))


def _inverse_gamma(z: np.ndarray) -> np.ndarray:
    """An inverse gamma law of shape a and scale b (in thresholds), truncated at 1."""
    inverse = np.exp(-z)
    mean, mean_log = float(inverse.mean()), float(z.mean())

    def log_mass(shape: float, scale: float) -> float:
        below = float(special.gammainc(shape, scale))
        return math.log(max(below, 1e-300)) + float(special.gammaln(shape)) - shape * math.log(scale)

    def cost(parameters: np.ndarray) -> float:
        shape, scale = math.exp(float(parameters[0])), math.exp(float(parameters[1]))
        return (shape + 1.0) * mean_log + scale * mean + log_mass(shape, scale)

    rate = math.log(1.0 / mean_log)
    starts = [(rate, -3.0), (rate, 0.0), (rate + 0.5, 1.0)]
    log_shape, log_scale = _least(cost, starts, ((-12.0, 8.0), (-14.0, 8.0)))
    shape, scale = math.exp(log_shape), math.exp(log_scale)
    return np.asarray(-(shape + 1.0) * z - scale * inverse - log_mass(shape, scale))


def _least(
    cost: Callable[[np.ndarray], float],
    starts: list[tuple[float, float]],
    bounds: tuple[tuple[float, float], tuple[float, float]],
) -> tuple[float, float]:
    """Best of local searches; simplex, since the ridge towards the power-law limit misleads gradients."""
    results = [
        optimize.minimize(cost, start, method="Nelder-Mead", bounds=bounds, options={"xatol": 1e-7, "fatol": 1e-11})
        for start in (tuple(np.clip(start, *np.transpose(bounds))) for start in starts)
    ]
    best = min(results, key=lambda result: float(result.fun))
    return float(best.x[0]), float(best.x[1])


_FORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "pareto": _pareto,
    "exponential": _exponential,
    "log_normal": _log_normal,
    "gamma": _gamma,
    "inverse_gamma": _inverse_gamma,
}

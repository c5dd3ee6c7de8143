"""Maximum likelihood of the Pareto law between two bounds."""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize, special

from sdespec.fits.estimate import Estimate, Interval
from sdespec.laws import TruncatedPareto

__all__ = ["truncated_pareto_estimate"]

_STEEPEST = 1e4
"""Largest decay of the log-density over the whole width that is searched."""
_FLAT = 1e-9
_LEAST_EXPONENT = 1e-9
_LEAST_INTERIOR = 3


def _mean_share(decay: float) -> float:
    """Mean of the law exp(-decay t) on [0, 1]."""
    if abs(decay) < 1e-4:
        return 0.5 - decay / 12.0
    return 1.0 / decay - math.exp(-decay) / -math.expm1(-decay) if decay > 0.0 else 1.0 - _mean_share(-decay)


def _log_mass(decay: float) -> float:
    """Logarithm of the integral of exp(-decay t) over [0, 1]."""
    return max(-decay, 0.0) + math.log(float(special.exprel(-abs(decay))))


def _root(share: float) -> float:
    """Decay at which the mean share is a given one."""
    low, high = _mean_share(_STEEPEST), _mean_share(-_STEEPEST)
    if not low < share < high:
        return _STEEPEST if share <= low else -_STEEPEST
    return float(optimize.brentq(lambda d: _mean_share(d) - share, -_STEEPEST, _STEEPEST, xtol=1e-12, rtol=1e-14))


def _decay_interval(share: float, count: int, level: float) -> Interval:
    """Decays whose log-likelihood lies at most a chi-square quantile below the best of the values between the ends."""
    best = _root(share)
    limit = -best * share - _log_mass(best) - float(special.gammaincinv(0.5, level)) / count

    def excess(decay: float) -> float:
        return -decay * share - _log_mass(decay) - limit

    ends = []
    for far in (-_STEEPEST, _STEEPEST):
        if excess(far) >= 0.0 or far == best:
            ends.append(math.copysign(math.inf, far))
        else:
            ends.append(float(optimize.brentq(excess, min(far, best), max(far, best))))
    return ends[0], ends[1]


def truncated_pareto_estimate(x: np.ndarray, level: float) -> Estimate:
    r"""Fit a Pareto law between two bounds: they are the smallest and the largest value.

    .. math:: \frac1\delta - \frac{w}{e^{\delta w} - 1} = \overline{\log(x / x_{min})}, \qquad
       w = \log\frac{x_{max}}{x_{min}}, \quad \alpha = 1 + \delta

    Parameters
    ----------
    x : ndarray, (n,)
        Positive values, not all equal, ascending.
    level : float
        Probability of the intervals for independent values.

    Returns
    -------
    Estimate
        An infinite end of the interval of the maximum means that no truncation is established. With the note
        ``rising`` where the likeliest exponent is not positive.

    Notes
    -----
    Given the ends, the values between them are independent with the same law, so that the interval of the exponent
    comes from their likelihood ratio. Those of the bounds come from the laws of the ends at the fitted exponent.
    """
    low, high, n = float(x[0]), float(x[-1]), len(x)
    width = math.log(high) - math.log(low)
    logs = np.log(x) - math.log(low)
    share = float(logs.mean()) / width
    decay = _root(share) / width
    notes: tuple[str, ...] = ()
    if 1.0 + decay < _LEAST_EXPONENT:
        decay = _LEAST_EXPONENT - 1.0
        notes = ("rising: the likeliest exponent is not positive",)
    ends: Interval = (-math.inf, math.inf)
    if n >= _LEAST_INTERIOR:
        ends = _decay_interval((float(logs.sum()) - width) / ((n - 2) * width), n - 2, level)
    # the interval leaves the two ends out, which the estimate does not: ties there can part them
    slopes = (min(ends[0] / width, decay), max(ends[1] / width, decay))
    lower, upper = _bounds(decay, width, n, level)
    return Estimate(
        law=TruncatedPareto(1.0 + decay, low, high),
        parameters={"exponent": 1.0 + decay, "minimum": low, "maximum": high},
        intervals={
            "exponent": (1.0 + slopes[0], 1.0 + slopes[1]),
            "minimum": (low * math.exp(-lower), low),
            "maximum": (high, high * math.exp(upper) if upper < 700.0 else math.inf),
        },
        notes=notes,
    )


def _bounds(decay: float, width: float, n: int, level: float) -> tuple[float, float]:
    """Distances in log x of the true bounds beyond the ends that are reached with probability ``level``."""
    share = -math.expm1(math.log1p(-level) / n)  # the first value leaves this much below it with this probability
    if abs(decay) * width < _FLAT:
        return width * share / (1.0 - share), width * share / (1.0 - share)
    mass = -math.expm1(-decay * width)
    # below the minimum the density continues, so that the mass there is share / (1 - share) of the rest
    odds = share / (1.0 - share)
    below = math.log1p(odds * mass) / decay if odds * mass > -1.0 else math.inf
    above = 1.0 - odds * mass * math.exp(decay * width) if decay * width < 700.0 else -math.inf
    return below, (math.inf if above <= 0.0 else -math.log(above) / decay)

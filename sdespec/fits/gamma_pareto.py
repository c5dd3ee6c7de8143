"""Maximum likelihood of the continuous splice of a gamma law and a Pareto tail."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from sdespec.core.errors import SpectrumError
from sdespec.fits.closed_forms import CLOSED_FORMS
from sdespec.fits.estimate import Estimate
from sdespec.laws import GammaPareto

__all__ = ["gamma_pareto_estimate"]

_LEAST_BULK = 10
_LEAST_TAIL = 10
_THRESHOLDS = 40
_GAIN = 3.5
"""Gain over a gamma law that 5 % of gamma samples of 300 values reach, by simulation."""
_STEEPEST = 1e3
"""Largest slope of the tail; a steeper one is none."""


@dataclass(frozen=True, eq=False)
class _Profile:
    """Sufficient statistics at a threshold, in units of it."""

    n_body: int
    n_tail: int
    log_body: float
    sum_body: float
    log_tail: float
    threshold: float

    def slope(self, ratio: float) -> float:
        """Likeliest exponent of the survival function; ``ratio`` is threshold * density / distribution of the body."""
        n = self.n_body + self.n_tail
        return min(0.5 * (math.sqrt(ratio * (ratio + 4.0 * n / max(self.log_tail, 1e-300))) - ratio), _STEEPEST)

    def value(self, point: np.ndarray) -> tuple[float, float]:
        """Log-likelihood of x / threshold at the logs of shape and of rate, and the slope of the tail."""
        shape, rate = math.exp(float(point[0])), math.exp(float(point[1]))
        below = float(special.gammainc(shape, rate))
        if not below > 1e-280:
            return -math.inf, 1.0
        constant = shape * math.log(rate) - float(special.gammaln(shape))
        at = constant - rate  # log-density of the body at the threshold
        ratio = math.exp(at) / below
        slope = self.slope(ratio)
        if slope <= 0.0:
            return -math.inf, 1.0
        n = self.n_body + self.n_tail
        total = constant * self.n_body + (shape - 1.0) * self.log_body - rate * self.sum_body
        total += self.n_tail * at - (slope + 1.0) * self.log_tail
        return total - n * math.log(below * (1.0 + ratio / slope)), slope


def _profile(x: np.ndarray, threshold: float) -> _Profile:
    split = int(np.searchsorted(x, threshold, side="left"))
    scaled = np.log(x) - math.log(threshold)
    return _Profile(
        n_body=split,
        n_tail=len(x) - split,
        log_body=float(scaled[:split].sum()),
        sum_body=float((x[:split] / threshold).sum()),
        log_tail=float(scaled[split:].sum()),
        threshold=threshold,
    )


def _at(x: np.ndarray, threshold: float, start: np.ndarray) -> tuple[float, np.ndarray, _Profile]:
    """Best log-likelihood at a threshold, in the unit of x, with the logs of shape and rate."""
    profile = _profile(x, threshold)

    def cost(point: np.ndarray) -> float:
        return min(-profile.value(point)[0], 1e300)

    found = optimize.minimize(
        cost,
        (float(start[0]), float(start[1])),
        method="Nelder-Mead",
        bounds=((-7.0, 9.0), (-16.0, 9.0)),
        options={"xatol": 1e-6, "fatol": 1e-9},
    )
    return -float(found.fun) - len(x) * math.log(threshold), np.asarray(found.x), profile


def gamma_pareto_estimate(x: np.ndarray, level: float) -> Estimate:
    r"""Fit a continuous splice of a gamma law and a Pareto tail by profile likelihood over the threshold.

    .. math:: \ell(x_{min}) = \max_{k, \theta, \alpha} \sum_i \log \rho(x_i; k, \theta, \alpha, x_{min})

    Parameters
    ----------
    x : ndarray, (n,)
        Positive values, ascending.
    level : float
        Probability of the intervals for independent values.

    Returns
    -------
    Estimate

    Raises
    ------
    SpectrumError
        If there are fewer than 20 values, too few for a bulk and a tail of 10 each.

    Notes
    -----
    At a threshold the exponent is the root of a quadratic, so that two parameters are searched, over sufficient
    statistics. Thresholds are 40 quantiles that leave 10 values on either side, then the continuous place between the
    neighbours of the best; about 0.1 s at any n. Intervals are the ends of the region of thresholds whose profile lies
    within a chi-square quantile of the best, widened at each by the curvature in the other parameters. On 1000 values
    95 % intervals cover 92 to 97 %, of the threshold 80 to 93 %: its likelihood has kinks and its estimate lies too
    low where the tail is small. ``splice`` differs: a free tail weight, and an average over thresholds.
    """
    n = len(x)
    if n < _LEAST_BULK + _LEAST_TAIL:
        raise SpectrumError(f"{n} values; a bulk and a tail of {_LEAST_BULK} each need at least 20")
    ranks = np.unique(np.linspace(_LEAST_BULK, n - _LEAST_TAIL, _THRESHOLDS).astype(np.int64))
    places = np.unique(x[ranks])
    points = []
    start = np.array([0.0, 0.0])
    for place in places[::-1]:  # from the whole gamma law inwards, each from its neighbour
        value, best, profile = _at(x, float(place), start)
        points.append((value, best, profile))
        start = best
    points.reverse()
    top = int(np.argmax([value for value, _, _ in points]))
    low, high = (float(places[min(max(top + side, 0), len(places) - 1)]) for side in (-1, 1))
    if low < high:
        refined = optimize.minimize_scalar(
            lambda t: -_at(x, math.exp(t), points[top][1])[0],
            bounds=(math.log(low), math.log(high)),
            method="bounded",
            options={"xatol": 1e-4},
        )
        points.append(_at(x, math.exp(float(refined.x)), points[top][1]))
    value, best, profile = max(points, key=lambda point: point[0])
    shape, rate = (math.exp(float(part)) for part in best)
    slope = profile.value(best)[1]
    law = GammaPareto(shape, profile.threshold / rate, 1.0 + slope, profile.threshold)
    return Estimate(
        law=law,
        parameters=law.parameters,
        intervals=_intervals(points, value, level),
        log_likelihood=float(np.sum(law.logpdf(x))),
        notes=_notes(x, value, slope),
    )


def _notes(x: np.ndarray, value: float, slope: float) -> tuple[str, ...]:
    gamma = float(np.sum(CLOSED_FORMS["gamma"](x).logpdf(x)))
    notes = []
    if slope >= 7.0:
        notes.append("not heavy: the exponent is above 8")
    if value - gamma < _GAIN:
        notes.append(f"no tail needed: a gamma law is within {_GAIN:g} units of log-likelihood")
    return tuple(notes)


def _intervals(
    points: list[tuple[float, np.ndarray, _Profile]], best: float, level: float
) -> dict[str, tuple[float, float]]:
    drop = float(special.gammaincinv(0.5, level))
    ends: dict[str, list[float]] = {"shape": [], "scale": [], "exponent": [], "minimum": []}
    for value, point, profile in points:
        slack = value - (best - drop)
        if slack < 0.0:
            continue
        for name, (center, width) in _widths(profile, point).items():
            spread = width * math.sqrt(2.0 * slack)
            ends[name] += [center - spread, center + spread]
    out = {name: (math.exp(max(min(logs), -700.0)), math.exp(min(max(logs), 700.0))) for name, logs in ends.items()}
    low, high = out["exponent"]
    out["exponent"] = (1.0 + low, 1.0 + high)
    return out


def _widths(profile: _Profile, point: np.ndarray) -> dict[str, tuple[float, float]]:
    """Logs of the parameters at a threshold with their standard errors; the exponent as that of the survival."""
    step = 1e-3
    shifts = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1], [1, 1], [-1, -1]]) * step
    v = [profile.value(point + shift)[0] for shift in shifts]
    aa, bb = (v[1] - 2 * v[0] + v[2]) / step**2, (v[3] - 2 * v[0] + v[4]) / step**2
    ab = (v[5] - v[1] - v[3] + 2 * v[0] - v[2] - v[4] + v[6]) / (2 * step**2)
    determinant = aa * bb - ab * ab
    shape, rate = float(point[0]), float(point[1])
    slope = profile.value(point)[1]
    if not (math.isfinite(determinant) and determinant > 0.0 and aa < 0.0):
        errors = (0.0, 0.0)
    else:
        errors = (math.sqrt(-bb / determinant), math.sqrt(-aa / determinant))
    log_threshold = math.log(profile.threshold)
    return {
        "shape": (shape, errors[0]),
        "scale": (log_threshold - rate, errors[1]),
        "exponent": (math.log(slope), 1.0 / math.sqrt(profile.n_tail)),
        "minimum": (log_threshold, 0.0),
    }

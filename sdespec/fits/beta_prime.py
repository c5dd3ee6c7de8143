"""Maximum likelihood of the beta prime law, whose limits are the gamma and the inverse gamma law."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from sdespec.fits.estimate import Estimate, Interval
from sdespec.fits.row_search import golden_rows
from sdespec.laws import BetaPrime, Gamma, InverseGamma, Law

__all__ = ["BetaPrimeRows", "beta_prime_estimate", "beta_prime_rows", "gamma_likelihood", "log_mean"]

_FARTHEST = 11.5
"""log of b, and of a, beyond which the law is its limit: 1e5, where the likelihoods differ by less than 1e-5 n."""
_GRID_STEP = 0.7
_PROFILE_POINTS = 300
_SAME = 1e-7
"""Gain of the mean log-density below which the limit is the better law."""


@dataclass(frozen=True, eq=False)
class BetaPrimeRows:
    """Fits of many samples, one entry each.

    Attributes
    ----------
    a, b, scale : ndarray, (rows,)
        The estimates; ``b`` and ``scale`` are infinite where the gamma law is likelier than any beta prime law, ``a``
        is infinite and ``scale`` 0 where the inverse gamma law is.
    log_likelihood : ndarray, (rows,)
        At the estimate or in the limit.
    gamma : ndarray, (rows,)
        Log-likelihood of the fitted gamma law.
    """

    a: np.ndarray
    b: np.ndarray
    scale: np.ndarray
    log_likelihood: np.ndarray
    gamma: np.ndarray


def _beta(
    first: np.ndarray, second: np.ndarray, a: np.ndarray, b: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Likeliest beta law given the means of log u and of log(1 - u), by Newton's method in log a and log b."""
    for _ in range(steps):
        total = special.psi(a + b)
        slope_a, slope_b = a * (first - special.psi(a) + total), b * (second - special.psi(b) + total)
        shared = special.zeta(2.0, a + b)
        # in the logs the information has the diagonal of the gradient added, which is dropped: it vanishes at the root
        aa = a * a * (special.zeta(2.0, a) - shared)
        bb = b * b * (special.zeta(2.0, b) - shared)
        ab = -a * b * shared
        determinant = np.maximum(aa * bb - ab * ab, 1e-300)
        step_a = (bb * slope_a - ab * slope_b) / determinant
        step_b = (aa * slope_b - ab * slope_a) / determinant
        a = a * np.exp(np.clip(step_a, -1.5, 1.5))
        b = b * np.exp(np.clip(step_b, -1.5, 1.5))
    return a, b


def gamma_likelihood(mean_log: np.ndarray, log_mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shape and mean log-density of the gamma law with these statistics.

    Parameters
    ----------
    mean_log, log_mean : ndarray, (rows,)
        Mean of the logs and log of the mean.

    Returns
    -------
    shape, value : ndarray, (rows,)
    """
    gap = np.maximum(log_mean - mean_log, 1e-10)
    shape = (3.0 - gap + np.sqrt((gap - 3.0) ** 2 + 24.0 * gap)) / (12.0 * gap)
    for _ in range(6):
        value = np.log(shape) - special.psi(shape) - gap
        slope = 1.0 / shape - special.zeta(2.0, shape)  # zeta(2, k) is the trigamma function
        shape = 1.0 / (1.0 / shape + value / (shape * shape * slope))
    log_scale = log_mean - np.log(shape)
    return shape, (shape - 1.0) * mean_log - shape - special.gammaln(shape) - shape * log_scale


def log_mean(t: np.ndarray) -> np.ndarray:
    """Logarithm of the mean of exp(t) along the last axis."""
    highest = t.max(axis=-1)
    return np.asarray(highest + np.log(np.mean(np.exp(t - highest[..., None]), axis=-1)))


class _Profile:
    """Mean log-density of t = log x at given logs of the scale, with a and b at their likeliest."""

    def __init__(self, t: np.ndarray) -> None:
        self.t = t
        self.mean = t.mean(axis=-1)
        self.gamma_shape, self.gamma = gamma_likelihood(self.mean, log_mean(t))
        inverse_shape, self.inverse = gamma_likelihood(-self.mean, log_mean(-t))
        self.inverse_shape = inverse_shape
        self.inverse = self.inverse - 2.0 * self.mean  # the Jacobian of the reciprocal
        self.high = log_mean(t) - np.log(self.gamma_shape) + _FARTHEST
        self.low = -(log_mean(-t) - np.log(inverse_shape)) - _FARTHEST
        self.a, self.b = self.gamma_shape, np.full_like(self.mean, math.exp(_FARTHEST))

    def value(self, log_scale: np.ndarray, steps: int = 8) -> np.ndarray:
        """Mean log-density of x at the likeliest a and b, which are kept as the next start."""
        fall = np.logaddexp(0.0, self.t - log_scale[..., None]).mean(axis=-1)
        self.a, self.b = _beta(self.mean - log_scale - fall, -fall, self.a, self.b, steps)
        out = self.a * (self.mean - log_scale) - (self.a + self.b) * fall - special.betaln(self.a, self.b)
        return np.asarray(out - self.mean)


def beta_prime_rows(rows: np.ndarray) -> BetaPrimeRows:
    r"""Fit a beta prime law to each row by maximum likelihood.

    .. math:: \ell(s) = \max_{a, b} \sum_i \log \rho(x_i; a, b, s)

    Parameters
    ----------
    rows : ndarray, (rows, n)
        Positive values.

    Returns
    -------
    BetaPrimeRows

    Notes
    -----
    At a given scale x/(s + x) has a beta law, whose likelihood has one maximum (Newton); the profile over the scale is
    searched from the gamma limit to the inverse gamma limit, first on a grid, then by golden sections. About 90 passes
    over the data.

    Examples
    --------
    >>> fitted = beta_prime_rows(BetaPrime(2.0, 3.0, 1.0).rvs(5000, seed=1)[None])
    >>> 2.5 < float(fitted.b[0]) < 3.5
    True
    """
    profile = _Profile(np.log(rows))
    size = profile.mean.shape[0]
    count = 2 + int(np.max(profile.high - profile.low) / _GRID_STEP)
    width = (profile.high - profile.low) / (count - 1)
    best, at = np.full(size, -np.inf), np.zeros(size)
    kept = (profile.a, profile.b)
    for j in range(count):
        place = profile.high - j * width
        value = profile.value(place, steps=6)
        better = value > best
        best, at = np.where(better, value, best), np.where(better, place, at)
        kept = (np.where(better, profile.a, kept[0]), np.where(better, profile.b, kept[1]))
    profile.a, profile.b = kept
    log_scale = golden_rows(profile.value, at - width, np.minimum(at + width, profile.high), steps=34)
    best = profile.value(log_scale)
    no_tail = best <= profile.gamma + _SAME
    no_rise = ~no_tail & (best <= profile.inverse + _SAME)
    n = rows.shape[1]
    value = np.where(no_tail, profile.gamma, np.where(no_rise, profile.inverse, best))
    return BetaPrimeRows(
        a=np.where(no_tail, profile.gamma_shape, np.where(no_rise, np.inf, profile.a)),
        b=np.where(no_tail, np.inf, np.where(no_rise, profile.inverse_shape, profile.b)),
        scale=np.where(no_tail, np.inf, np.where(no_rise, 0.0, np.exp(log_scale))),
        log_likelihood=n * value,
        gamma=n * profile.gamma,
    )


def beta_prime_estimate(x: np.ndarray, level: float) -> Estimate:
    """Fit a beta prime law to one sample, with intervals from the profile of the likelihood.

    Parameters
    ----------
    x : ndarray, (n,)
        Positive values.
    level : float
        Probability of the intervals for independent values.

    Returns
    -------
    Estimate
        With the note ``no tail`` where the likelihood grows up to the gamma law, and then with that law; with
        ``no rise`` and the inverse gamma law in the other limit. An infinite end of an interval means that the limit
        is inside it.
    """
    fitted = beta_prime_rows(x[None])
    a, b, scale = (float(part[0]) for part in (fitted.a, fitted.b, fitted.scale))
    law: Law
    notes: tuple[str, ...] = ()
    if math.isinf(b):
        law = Gamma(a, float(np.mean(x / x.max())) * float(x.max()) / a)
        notes = ("no tail: the likelihood grows with b up to its limit, a gamma law",)
    elif math.isinf(a):
        law = InverseGamma(b, b / float(np.mean(x.min() / x)) * float(x.min()))
        notes = ("no rise: the likelihood grows with a up to its limit, an inverse gamma law",)
    else:
        law = BetaPrime(a, b, scale)
    return Estimate(
        law=law,
        parameters={"a": a, "b": b, "scale": scale},
        intervals=_profile_intervals(np.log(x), float(fitted.log_likelihood[0]), level),
        log_likelihood=float(fitted.log_likelihood[0]),
        notes=notes,
    )


def _profile_intervals(t: np.ndarray, best: float, level: float) -> dict[str, Interval]:
    """Ends of the region of parameters whose log-likelihood lies at most a chi-square quantile below the best.

    At a given scale the region in log a and log b is taken for an ellipse.
    """
    n = len(t)
    drop = float(special.gammaincinv(0.5, level))
    one = _Profile(t[None])
    places = np.linspace(float(one.high[0]), float(one.low[0]), _PROFILE_POINTS)
    falls = np.array([np.logaddexp(0.0, t - place).mean() for place in places])
    mean = float(t.mean())
    # a and b change along the scale as in the two limits: b grows with it, a falls
    start_b = np.maximum(np.exp(places - float(one.high[0]) + _FARTHEST), float(one.inverse_shape[0]))
    start_a = np.maximum(np.exp(float(one.low[0]) + _FARTHEST - places), float(one.gamma_shape[0]))
    a, b = _beta(mean - places - falls, -falls, start_a, start_b, 60)
    value = n * (a * (mean - places) - (a + b) * falls - special.betaln(a, b) - mean)
    slack = np.maximum(value - (best - drop), 0.0)
    shared = special.zeta(2.0, a + b)
    aa, bb = a * a * (special.zeta(2.0, a) - shared), b * b * (special.zeta(2.0, b) - shared)
    determinant = np.maximum(aa * bb - (a * b * shared) ** 2, 1e-300)
    inside = value >= best - drop
    if not inside.any():
        inside[int(np.argmax(value))] = True
    tail, rise = (n * float(edge[0]) >= best - drop for edge in (one.gamma, one.inverse))
    width_a, width_b = (np.sqrt(2.0 * slack / n * part / determinant) for part in (bb, aa))
    step = abs(float(places[0] - places[1]))
    return {
        "a": (
            float(np.min((a * np.exp(-width_a))[inside])),
            math.inf if rise else float(np.max((a * np.exp(width_a))[inside])),
        ),
        "b": (
            float(np.min((b * np.exp(-width_b))[inside])),
            math.inf if tail else float(np.max((b * np.exp(width_b))[inside])),
        ),
        "scale": (
            0.0 if rise else math.exp(float(places[inside].min()) - 0.5 * step),
            math.inf if tail else math.exp(float(places[inside].max()) + 0.5 * step),
        ),
    }

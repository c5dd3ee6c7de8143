r"""Rivals of a power-law tail: log-normal and cut-off laws that cannot become the power law itself.

A power law is a limit of the log-normal law and of the power law with an exponential cutoff, so that neither can be
rejected in its favour as a whole. What the data can reject are the members that differ from a power law within the
observed range: log-normal laws whose centre lies not below the centre of the spectrum, and cutoffs within the lower
half, in decades, of the tail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy import special

from sdespec.fits.row_search import golden_rows

__all__ = ["RIVALS", "Rival", "Tails", "cutoff_ratio", "log_normal_ratio", "rival", "tails_of_rows"]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
_FAR = 45.0
"""Fall of the logarithm of a density after which its mass is left out."""
_WEAKEST = 1e-6
"""Weakest cutoff that the free law tries, as a share of the strongest one that counts as a rival."""
_DEEPEST = 1e3
"""Depth of the centre below the threshold, in standard deviations, after which a log-normal tail is a power law."""


@dataclass(frozen=True, eq=False)
class Tails:
    """Sufficient statistics of tails, one entry a spectrum; t is log(value / threshold).

    Attributes
    ----------
    n_tail : ndarray, (rows,)
        Values in the tail.
    first, second : ndarray, (rows,)
        Means of t and of t squared.
    excess : ndarray, (rows,)
        Mean of exp(t) - 1.
    top : ndarray, (rows,)
        Largest t.
    center : ndarray, (rows,)
        t of the median of the whole spectrum where it lies below the threshold, else 0.
    """

    n_tail: np.ndarray
    first: np.ndarray
    second: np.ndarray
    excess: np.ndarray
    top: np.ndarray
    center: np.ndarray

    @property
    def pareto(self) -> np.ndarray:
        """Mean log-density of t under the fitted power law."""
        return np.asarray(-np.log(self.first) - 1.0)


def tails_of_rows(rows: np.ndarray, thresholds: np.ndarray) -> Tails:
    """Collect the statistics of each spectrum beyond its own threshold.

    Parameters
    ----------
    rows : ndarray, (rows, n)
        Positive values, ascending along each row.
    thresholds : ndarray, (rows,)
        Positive.

    Returns
    -------
    Tails
    """
    t = np.log(rows) - np.log(thresholds)[:, None]
    inside = t >= 0.0
    n_tail = inside.sum(axis=1)
    t_tail = np.where(inside, t, 0.0)
    return Tails(
        n_tail=n_tail.astype(np.float64),
        first=t_tail.sum(axis=1) / n_tail,
        second=(t_tail * t_tail).sum(axis=1) / n_tail,
        excess=np.expm1(np.minimum(t_tail, 700.0)).sum(axis=1) / n_tail,
        top=t[:, -1],
        center=np.minimum(np.median(t, axis=1), 0.0),
    )


def _log_normal_value(tails: Tails, depth: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Mean log-density of t: normal, its centre ``depth`` standard deviations below 0, truncated at 0."""
    z, z2 = tails.first / deviation, tails.second / deviation**2
    mass = np.where(
        depth > 0.0,
        np.log(0.5 * special.erfcx(np.maximum(depth, 0.0) / np.sqrt(2.0))),
        special.log_ndtr(-np.minimum(depth, 0.0)) + 0.5 * np.minimum(depth, 0.0) ** 2,
    )
    return np.asarray(-0.5 * z2 - z * depth - np.log(deviation * np.sqrt(2.0 * np.pi)) - mass)


def _fixed_center(tails: Tails) -> tuple[np.ndarray, np.ndarray]:
    """Depth and deviation of the likeliest log-normal tail with its centre at ``tails.center``."""
    scale = np.sqrt(tails.second) + np.abs(tails.center)
    log_deviation = golden_rows(
        lambda s: _log_normal_value(tails, -tails.center / np.exp(s), np.exp(s)),
        np.log(0.02 * scale),
        np.log(50.0 * scale),
    )
    deviation = np.exp(log_deviation)
    return -tails.center / deviation, deviation


def _free_log_normal(tails: Tails) -> tuple[np.ndarray, np.ndarray]:
    """Depth and deviation of the likeliest log-normal tail, at most the depth of the power-law limit."""

    def deviation(depth: np.ndarray) -> np.ndarray:
        # likeliest deviation at a depth: the root of deviation^2 - depth m1 deviation - m2
        half = 0.5 * depth * tails.first
        return np.asarray(half + np.sqrt(half**2 + tails.second))

    def value(position: np.ndarray) -> np.ndarray:
        depth = np.sinh(position)
        return _log_normal_value(tails, depth, deviation(depth))

    end = np.full_like(tails.first, np.arcsinh(_DEEPEST))
    depth = np.sinh(golden_rows(value, -np.full_like(end, np.arcsinh(30.0)), end))
    return depth, deviation(depth)


def log_normal_ratio(tails: Tails) -> np.ndarray:
    """Log-likelihood ratio of the power law against the free log-normal tail; at most 0, which is its limit.

    Parameters
    ----------
    tails : Tails
        Of any number of spectra.

    Returns
    -------
    ndarray, (rows,)
    """
    return np.asarray(np.minimum(tails.n_tail * (tails.pareto - _log_normal_value(tails, *_free_log_normal(tails))), 0))


def _log_normal_rival(tails: Tails) -> tuple[np.ndarray, np.ndarray]:
    """Depth and deviation of the likeliest log-normal tail with its centre at or above ``tails.center``."""
    free, fixed = _free_log_normal(tails), _fixed_center(tails)
    allowed = -free[0] * free[1] >= tails.center
    return np.where(allowed, free[0], fixed[0]), np.where(allowed, free[1], fixed[1])


def _cutoff_moments(slope: np.ndarray, strength: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logarithm of the mass of exp(-slope t - strength (exp(t) - 1)) on t > 0, and mean and variance of t."""
    end = np.log1p((_FAR + 4.0 * np.maximum(-slope, 0.0)) / strength)
    end = np.where(slope > 0.0, np.minimum(end, _FAR / np.maximum(slope, 1e-300)), end)
    t = 0.5 * end[:, None] * (1.0 + _NODES)
    exponent = -slope[:, None] * t - strength[:, None] * np.expm1(t)
    highest = exponent.max(axis=1, keepdims=True)
    weight = np.exp(exponent - highest) * (0.5 * end[:, None] * _WEIGHTS)
    mass = weight.sum(axis=1)
    mean = (weight * t).sum(axis=1) / mass
    variance = (weight * (t - mean[:, None]) ** 2).sum(axis=1) / mass
    return np.log(mass) + highest[:, 0], mean, variance


def _cutoff_slope(tails: Tails, strength: np.ndarray, start: np.ndarray, steps: int) -> np.ndarray:
    """Likeliest slope at a cutoff, by Newton's method."""
    slope = start
    for _ in range(steps):
        _, mean, variance = _cutoff_moments(slope, strength)
        step = (mean - tails.first) / np.maximum(variance, 1e-300)
        slope = slope + np.clip(step, -2.0 - 0.5 * np.abs(slope), 2.0 + 0.5 * np.abs(slope))
    return slope


def _cutoff_fit(tails: Tails, weakest: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slope, strength and mean log-density of the likeliest power law with a cutoff at least this strong."""
    last = [1.0 / tails.first - weakest * (1.0 + tails.excess)]

    def value(log_strength: np.ndarray) -> np.ndarray:
        strength = np.exp(log_strength)
        last[0] = _cutoff_slope(tails, strength, last[0], 4)
        mass, _, _ = _cutoff_moments(last[0], strength)
        return np.asarray(-last[0] * tails.first - strength * tails.excess - mass)

    strongest = np.maximum(50.0 / tails.excess, 10.0 * weakest)
    log_strength = golden_rows(value, np.log(weakest), np.log(strongest), steps=26)
    strength = np.exp(log_strength)
    slope = _cutoff_slope(tails, strength, last[0], 8)
    mass, _, _ = _cutoff_moments(slope, strength)
    return slope, strength, -slope * tails.first - strength * tails.excess - mass


def _rival_strength(tails: Tails) -> np.ndarray:
    """Threshold over the cutoff in the middle of the tail on a logarithmic scale."""
    return np.asarray(np.exp(-0.5 * tails.top))


def cutoff_ratio(tails: Tails) -> np.ndarray:
    """Log-likelihood ratio of the power law against the one with a free exponential cutoff; at most 0.

    Parameters
    ----------
    tails : Tails
        Of any number of spectra.

    Returns
    -------
    ndarray, (rows,)
    """
    value = _cutoff_fit(tails, _WEAKEST * _rival_strength(tails))[2]
    return np.asarray(np.minimum(tails.n_tail * (tails.pareto - value), 0.0))


@dataclass(frozen=True, eq=False)
class Rival:
    """A rival fitted to tails.

    Attributes
    ----------
    ratio : ndarray, (rows,)
        Log-likelihood ratio of the power law against it; positive favours the power law.
    quantile : callable
        t beyond which the first of the fitted tails has the given shares of its mass.
    """

    ratio: np.ndarray
    quantile: Callable[[np.ndarray], np.ndarray]


def _log_normal(tails: Tails) -> Rival:
    depth, deviation = _log_normal_rival(tails)
    ratio = tails.n_tail * (tails.pareto - _log_normal_value(tails, depth, deviation))
    first_depth, first_deviation = float(depth[0]), float(deviation[0])

    def quantile(survival: np.ndarray) -> np.ndarray:
        log_mass = special.log_ndtr(-first_depth) + np.log(survival)
        return np.asarray(np.maximum(-_ndtri_exp(log_mass) - first_depth, 0.0) * first_deviation)

    return Rival(ratio, quantile)


def _ndtri_exp(log_p: np.ndarray) -> np.ndarray:
    return np.asarray(special.ndtri_exp(log_p))


def _cutoff(tails: Tails) -> Rival:
    slope, strength, value = _cutoff_fit(tails, _rival_strength(tails))
    first_slope, first_strength = float(slope[0]), float(strength[0])

    def quantile(survival: np.ndarray) -> np.ndarray:
        t = np.linspace(0.0, np.log1p((_FAR + 4.0 * max(-first_slope, 0.0)) / first_strength), 20_001)
        exponent = -first_slope * t - first_strength * np.expm1(t)
        weight = np.exp(exponent - exponent.max())
        steps = 0.5 * (weight[1:] + weight[:-1])
        beyond = np.append(np.cumsum(steps[::-1])[::-1], 0.0) / steps.sum()
        return np.asarray(np.interp(-survival, -beyond, t))

    return Rival(tails.n_tail * (tails.pareto - value), quantile)


RIVALS: Mapping[str, Callable[[Tails], Rival]] = MappingProxyType({"log_normal": _log_normal, "cutoff": _cutoff})
"""Rivals that must be rejected before a tail is called a power law."""


def rival(name: str, tails: Tails) -> Rival:
    """Fit a rival to tails.

    Parameters
    ----------
    name : {"log_normal", "cutoff"}
        ``log_normal``: its centre not below the median of the spectrum. ``cutoff``: a power law times
        exp(-x / cutoff), the cutoff at most half way, in decades, from the threshold to the largest value.
    tails : Tails
        Of any number of spectra.

    Returns
    -------
    Rival
    """
    return RIVALS[name](tails)

"""Fits of many spectra at once, for nulls and intervals drawn from whole spectra."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy import special

from sdespec.core.errors import SpectrumError
from sdespec.fits.beta_prime import beta_prime_rows, gamma_likelihood, log_mean
from sdespec.fits.likelihood import SMALLEST_SPREAD, LawFit, law, law_parameters
from sdespec.laws import Law

__all__ = ["Refits", "p_value", "percentile_intervals", "refit_rows", "rows_of"]

_SMALLEST = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True, eq=False)
class Refits:
    """A law fitted to many spectra.

    Attributes
    ----------
    parameters : mapping of ndarray, (rows,)
        Estimates by the names of the constructor.
    log_likelihood, ks_distance : ndarray, (rows,)
        Of each fit.
    """

    parameters: Mapping[str, np.ndarray]
    log_likelihood: np.ndarray
    ks_distance: np.ndarray


def _distance(cdf: np.ndarray) -> np.ndarray:
    """Two-sided KS distance of each ascending row from the values of its distribution function."""
    n = cdf.shape[1]
    steps = np.arange(n) / n
    return np.asarray(np.maximum((cdf - steps).max(axis=1), (steps + 1.0 / n - cdf).max(axis=1)))


def _gamma(rows: np.ndarray) -> Refits:
    logs = np.log(rows)
    log_of_mean = log_mean(logs)
    shape, value = gamma_likelihood(logs.mean(axis=1), log_of_mean)
    scale = np.exp(log_of_mean) / shape
    cdf = special.gammainc(shape[:, None], rows / scale[:, None])
    return Refits({"shape": shape, "scale": scale}, rows.shape[1] * value, _distance(np.asarray(cdf)))


def _inverse_gamma(rows: np.ndarray) -> Refits:
    base = _gamma(1.0 / rows[:, ::-1])
    jacobian = 2.0 * np.log(rows).sum(axis=1)
    parameters = {"shape": base.parameters["shape"], "scale": 1.0 / base.parameters["scale"]}
    return Refits(parameters, base.log_likelihood - jacobian, base.ks_distance)


def _reciprocal_gamma(rows: np.ndarray) -> Refits:
    base = _gamma(1.0 / rows[:, ::-1])
    return Refits(base.parameters, base.log_likelihood - 2.0 * np.log(rows).sum(axis=1), base.ks_distance)


def _log_normal(rows: np.ndarray) -> Refits:
    logs = np.log(rows)
    center, deviation = logs.mean(axis=1), logs.std(axis=1)
    cdf = special.ndtr((logs - center[:, None]) / deviation[:, None])
    value = -np.log(deviation * np.sqrt(2.0 * np.pi)) - 0.5 - center
    return Refits({"shape": deviation, "scale": np.exp(center)}, rows.shape[1] * value, _distance(np.asarray(cdf)))


def _exponential(rows: np.ndarray) -> Refits:
    scale = rows.mean(axis=1)
    cdf = -np.expm1(-rows / scale[:, None])
    return Refits({"scale": scale}, -rows.shape[1] * (np.log(scale) + 1.0), _distance(cdf))


def _beta_prime(rows: np.ndarray) -> Refits:
    fitted = beta_prime_rows(rows)
    finite = np.isfinite(fitted.b) & np.isfinite(fitted.a)
    a, b, scale = (np.where(finite, part, 1.0)[:, None] for part in (fitted.a, fitted.b, fitted.scale))
    odds = np.log(rows) - np.log(scale)
    low, high = special.expit(odds), special.expit(-odds)
    cdf = np.where(low < 0.5, special.betainc(a, b, low), special.betaincc(b, a, high))
    distance = _distance(cdf)
    for limit, refit in ((np.isinf(fitted.b), _gamma), (np.isinf(fitted.a), _inverse_gamma)):
        if limit.any():
            distance[limit] = refit(rows[limit]).ks_distance
    return Refits({"a": fitted.a, "b": fitted.b, "scale": fitted.scale}, fitted.log_likelihood, distance)


_AT_ONCE: Mapping[str, Callable[[np.ndarray], Refits]] = MappingProxyType(
    {
        "gamma": _gamma,
        "inverse_gamma": _inverse_gamma,
        "reciprocal_gamma": _reciprocal_gamma,
        "log_normal": _log_normal,
        "exponential": _exponential,
        "beta_prime": _beta_prime,
    }
)


def refit_rows(name: str, rows: np.ndarray) -> Refits:
    """Fit a one-body law to each row.

    Parameters
    ----------
    name : str
        Name of a law that needs no shape.
    rows : ndarray, (rows, n)
        Positive, ascending along each row, not all equal.

    Returns
    -------
    Refits
        NaN where a row cannot be fitted.

    Examples
    --------
    >>> refit_rows("exponential", np.array([[1.0, 2.0, 3.0]])).parameters["scale"]
    array([2.])
    """
    # below this spread the means of logs cancel
    if name in _AT_ONCE and (np.log(rows[:, -1]) - np.log(rows[:, 0])).min() > SMALLEST_SPREAD:
        return _AT_ONCE[name](rows)
    fits = [_fit_or_none(row, name) for row in rows]
    return Refits(
        {key: np.array([math.nan if f is None else f.parameters[key] for f in fits]) for key in law_parameters(name)},
        np.array([math.nan if f is None else f.log_likelihood for f in fits]),
        np.array([math.nan if f is None else f.ks_distance for f in fits]),
    )


def _fit_or_none(row: np.ndarray, name: str) -> LawFit | None:
    try:
        return law(row, name)
    except SpectrumError:
        return None


def rows_of(fitted: Law, u: np.ndarray) -> np.ndarray:
    """Spectra that a law has at given scores.

    Parameters
    ----------
    fitted : Law
        Of positive values.
    u : ndarray, (draws, r)
        Scores, ascending.

    Returns
    -------
    ndarray, (draws, r)
        Ascending; values that are no normal numbers are set to the nearest that is one, and whose reciprocal is.
    """
    return np.asarray(np.clip(fitted.ppf(u), _SMALLEST, 1.0 / _SMALLEST))


def p_value(observed: float, null: np.ndarray) -> float:
    """Share of draws at least as large as what was observed, which counts as one of them.

    Parameters
    ----------
    observed : float
        The statistic.
    null : ndarray, (draws,)
        That of the draws; NaN, where a draw could not be fitted, counts as larger.

    Returns
    -------
    float
        At least 1 / (draws + 1); NaN without draws.
    """
    if len(null) == 0:
        return math.nan
    return (1.0 + float(np.count_nonzero(~(null < observed)))) / (len(null) + 1.0)


def percentile_intervals(
    name: str, estimates: Mapping[str, float], draws: Mapping[str, np.ndarray], level: float
) -> dict[str, tuple[float, float]]:
    """Intervals of parameters from fits to draws of the fitted law.

    Parameters
    ----------
    name : str
        Name of the law.
    estimates : mapping
        The estimates from which the draws were made.
    draws : mapping of ndarray
        Estimates from the draws.
    level : float
        Probability of the intervals.

    Returns
    -------
    dict
        Percentiles reflected at the estimate on a logarithmic scale, estimate^2 / draw, which undoes the bias. For a
        beta prime law plain percentiles of b and of the scale, and reflected reciprocals of a: by simulation these
        cover best where the limits of the law are near. NaN where a draw could not be fitted.
    """
    shares = [0.5 * (1.0 - level), 0.5 * (1.0 + level)]
    out = {}
    for key, values in draws.items():
        if np.isnan(values).any():
            out[key] = (math.nan, math.nan)
            continue
        # without interpolation, which has no meaning next to infinity
        low, high = (float(v) for v in np.quantile(values, shares, method="inverted_cdf"))
        estimate = estimates[key]
        regular = bool(np.isfinite(values).all() and (values > 0.0).all())
        if not (regular and np.isfinite(estimate) and estimate > 0.0) or (name == "beta_prime" and key != "a"):
            out[key] = (low, high)
        elif name == "beta_prime":
            lower, upper = 2.0 / estimate - 1.0 / low, 2.0 / estimate - 1.0 / high
            out[key] = (1.0 / upper, 1.0 / lower if lower > 0.0 else np.inf)
        else:
            out[key] = (estimate * (estimate / high), estimate * (estimate / low))
    return out

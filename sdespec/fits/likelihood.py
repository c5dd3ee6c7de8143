"""Fits of the laws by name, and the likelihood ratio of power law and exponential law in a tail."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike

from sdespec.core.errors import SpectrumError, UsageError
from sdespec.fits.beta_laguerre import beta_laguerre_estimate
from sdespec.fits.beta_prime import beta_prime_estimate
from sdespec.fits.bulk import two_sided_distance
from sdespec.fits.closed_forms import CLOSED_FORMS, closed_form_intervals, fit_gamma
from sdespec.fits.estimate import Estimate, Interval
from sdespec.fits.gamma_pareto import gamma_pareto_estimate
from sdespec.fits.matrix_laws import marchenko_pastur_estimate, wachter_estimate
from sdespec.fits.truncated import truncated_logpdf
from sdespec.fits.truncated_pareto import truncated_pareto_estimate
from sdespec.fits.validation import check_spectrum
from sdespec.laws import (
    BetaLaguerre,
    BetaPrime,
    GammaPareto,
    Law,
    MarchenkoPastur,
    Reciprocal,
    TruncatedPareto,
    Wachter,
    law_class,
)

__all__ = [
    "FITTED_LAWS",
    "MATRIX_LAWS",
    "SMALLEST_SPREAD",
    "TAIL_LAWS",
    "LawFit",
    "check_range",
    "estimate_law",
    "exponential_z",
    "fit_gamma",
    "law",
    "law_parameters",
]

_RECIPROCAL = "reciprocal_"
MATRIX_LAWS: tuple[str, ...] = ("marchenko_pastur", "wachter")
"""Laws of whole spectra, whose fit needs the shape of the matrix."""
TAIL_LAWS: tuple[str, ...] = ("pareto", "truncated_pareto")
"""Laws that begin at a threshold."""
SMALLEST_SPREAD = 1e-4
"""Logarithm of the largest over the smallest value below which laws without a closed form are not told apart."""
_LARGEST = 1e250
_ITERATIVE: Mapping[str, Callable[[np.ndarray, float], Estimate]] = MappingProxyType(
    {
        "beta_prime": beta_prime_estimate,
        "truncated_pareto": truncated_pareto_estimate,
        "gamma_pareto": gamma_pareto_estimate,
        "beta_laguerre": beta_laguerre_estimate,
    }
)
_INVERTED: tuple[str, ...] = ("gamma", "exponential", "beta_laguerre", "gamma_pareto")
FITTED_LAWS: tuple[str, ...] = (
    *CLOSED_FORMS,
    *_ITERATIVE,
    *MATRIX_LAWS,
    *(_RECIPROCAL + name for name in _INVERTED),
)
"""Laws that ``law`` fits, by their names in snake case."""
_CLASSES: Mapping[str, type[Law]] = MappingProxyType(
    {law.law_name(): law for law in (BetaLaguerre, BetaPrime, GammaPareto, MarchenkoPastur, TruncatedPareto, Wachter)}
)


@dataclass(frozen=True)
class LawFit:
    """A fitted law.

    Attributes
    ----------
    law : Law
        The fitted law; a limit of the family, named in ``notes``, where the likelihood grows towards one.
    parameters : mapping
        Its parameters by the names of the constructor; infinite in a limit.
    intervals : mapping
        Interval of each estimated parameter. For independent values unless ``joint``; then for a whole spectrum.
    log_likelihood : float
        At the estimate.
    ks_distance : float
        Two-sided Kolmogorov-Smirnov distance of the values, without those removed, to the law.
    n : int
        Number of positive values.
    n_zeros : int
        Zeros that were dropped.
    notes : tuple of str
        What a reader should know, such as ``no tail: ...``.
    joint : bool
        Whether the likelihood is the joint density of all eigenvalues; not comparable with the others.
    n_removed : int
        Outliers that were left out.
    """

    law: Law
    parameters: Mapping[str, float]
    intervals: Mapping[str, Interval]
    log_likelihood: float
    ks_distance: float
    n: int
    n_zeros: int = 0
    notes: tuple[str, ...] = ()
    joint: bool = False
    n_removed: int = 0


def law_parameters(name: str) -> tuple[str, ...]:
    """Names of the parameters of a law that ``law`` fits.

    Parameters
    ----------
    name : str
        Name in snake case.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> law_parameters("reciprocal_beta_laguerre")
    ('c', 'a', 'scale')
    """
    _check_name(name)
    base = name.removeprefix(_RECIPROCAL)
    return (_CLASSES[base] if base in _CLASSES else law_class(base)).parameter_names()


def _check_name(name: str) -> None:
    if name not in FITTED_LAWS:
        raise UsageError(f"law is {name!r}; allowed: {', '.join(FITTED_LAWS)}")


def estimate_law(x: np.ndarray, name: str, level: float) -> Estimate:
    """Fit a law that needs no shape to values that have been checked.

    Parameters
    ----------
    x : ndarray, (n,)
        Positive, ascending, not all equal.
    name : str
        Name in snake case.
    level : float
        Probability of the intervals.

    Returns
    -------
    Estimate

    Raises
    ------
    SpectrumError
        If the law cannot be fitted to these values.
    """
    if name not in CLOSED_FORMS:
        check_range(x)
    if name.startswith(_RECIPROCAL):
        base = estimate_law(1.0 / x[::-1], name.removeprefix(_RECIPROCAL), level)
        return Estimate(Reciprocal(base.law), base.parameters, base.intervals, notes=base.notes)
    if name in CLOSED_FORMS:
        fitted = CLOSED_FORMS[name](x)
        return Estimate(fitted, fitted.parameters, closed_form_intervals(fitted, len(x), level))
    return _ITERATIVE[name](x, level)


def check_range(x: np.ndarray) -> None:
    """Refuse values for which the search for a law overflows or cancels.

    Parameters
    ----------
    x : ndarray, (n,)
        Positive.

    Raises
    ------
    SpectrumError
        If a value lies beyond 1e250 or below 1e-250, or all lie within 0.01 %.
    """
    low, high = float(x.min()), float(x.max())
    if low < 1.0 / _LARGEST or high > _LARGEST:
        raise SpectrumError(
            f"values from {low:g} to {high:g}; this fit takes {1.0 / _LARGEST:g} to {_LARGEST:g}: change the unit"
        )
    if high < 2.0 * low and math.log(high / low) < SMALLEST_SPREAD:
        raise SpectrumError(
            f"the values agree to {high / low - 1.0:.1g}; this fit needs a spread of {SMALLEST_SPREAD:g}"
        )


def law(
    values: ArrayLike,
    name: str,
    *,
    level: float = 0.95,
    n_rows: int | None = None,
    n_cols: int | None = None,
) -> LawFit:
    r"""Fit one law to all values by maximum likelihood.

    .. math:: \hat\theta = \arg\max_\theta \sum_i \log \rho(x_i; \theta)

    Parameters
    ----------
    values : array_like, (n,)
        At least 0, in any order; zeros are dropped and counted.
    name : str
        ``gamma, inverse_gamma, log_normal, exponential, pareto, beta_prime, truncated_pareto, gamma_pareto,
        beta_laguerre``; ``reciprocal_gamma``, ``_exponential``, ``_beta_laguerre``, ``_gamma_pareto``: that law for
        1/x, with its parameters;
        ``marchenko_pastur`` and ``wachter``: whole spectra of a matrix. ``pareto`` and ``truncated_pareto`` take the
        smallest value as their minimum, so give them a tail.
    level : float
        Probability of the intervals, between 0 and 1.
    n_rows, n_cols : int, optional
        Shape of the matrix, needed by ``marchenko_pastur`` and ``wachter``, used by no other law; ``values`` are then
        the whole spectrum.

    Returns
    -------
    LawFit

    Raises
    ------
    SpectrumError
        If a value is NaN, infinite or negative, or fewer than 3 distinct values are positive; for laws other
        than the first five also if values lie beyond 1e250 or below 1e-250, or all within 0.01 %.
    UsageError
        If the law is not one of those, or the shape is missing or does not fit.

    Notes
    -----
    The two matrix laws have edges that depend on the parameters and are fitted by the joint density of the
    eigenvalues, of the Laguerre ensemble without its outliers (Tracy-Widom edge of the median bulk), or of the matrix
    F ensemble. Their intervals hold for the spectrum of one matrix.

    All other intervals hold for independent values: exact for exponential, log-normal and Pareto laws, from the Fisher
    information in the logs of the parameters for gamma and inverse gamma laws, else from the profile of the
    likelihood. The eigenvalues of one matrix are not independent: sums over its bulk fluctuate less by a factor of
    order sqrt(n); ``sdespec.fit`` draws whole spectra instead. Cost O(n log n), by the distance;
    ``beta_laguerre`` tabulates about 80 laws at its first use, some seconds.

    References
    ----------
    Forrester, Log-Gases and Random Matrices (2010), chapter 3, for the joint densities.

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
    n_zeros = len(checked) - len(x)
    if name in MATRIX_LAWS:
        fitted = _matrix_estimate(np.sort(checked)[::-1], name, n_rows, n_cols, level)
        x = np.sort(checked)[: len(checked) - fitted.n_removed]
    else:
        fitted = estimate_law(x, name, level)
    log_likelihood = fitted.log_likelihood
    notes = fitted.notes
    if fitted.joint and log_likelihood == -math.inf:
        notes = (*notes, "equal or zero eigenvalues: their joint density is zero")
    return LawFit(
        law=fitted.law,
        parameters=MappingProxyType(dict(fitted.parameters)),
        intervals=MappingProxyType(dict(fitted.intervals)),
        log_likelihood=float(np.sum(fitted.law.logpdf(x))) if log_likelihood is None else log_likelihood,
        ks_distance=two_sided_distance(np.asarray(fitted.law.cdf(x))),
        n=len(checked) - n_zeros,
        n_zeros=n_zeros,
        notes=notes,
        joint=fitted.joint,
        n_removed=fitted.n_removed,
    )


def _matrix_estimate(values: np.ndarray, name: str, n_rows: int | None, n_cols: int | None, level: float) -> Estimate:
    if n_rows is None or n_cols is None:
        raise UsageError(f"law {name!r} needs the shape of the matrix; give n_rows and n_cols")
    if len(values) != min(n_rows, n_cols):
        raise UsageError(
            f"{len(values)} values for a {n_rows} x {n_cols} matrix; exactly {min(n_rows, n_cols)} are needed"
        )
    check_range(values[values > 0.0])
    if name == "wachter":
        return wachter_estimate(values, n_rows, n_cols, level)
    return marchenko_pastur_estimate(values, n_rows, n_cols, level)


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
    return normalised_ratio(truncated_logpdf(x, "pareto", threshold) - truncated_logpdf(x, "exponential", threshold))


def normalised_ratio(ratio: np.ndarray) -> float:
    """Sum of log-density differences over its standard deviation; 0 where they all agree."""
    spread = float(ratio.std())
    if spread <= 1e-12 * (1.0 + float(np.abs(ratio).max())):
        return 0.0
    return float(ratio.sum()) / (math.sqrt(len(ratio)) * spread)

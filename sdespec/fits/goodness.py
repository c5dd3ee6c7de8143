"""Goodness of fit of whole spectra, by draws from named ensembles that are fitted anew."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike

from sdespec.core.errors import SpectrumError, UsageError
from sdespec.fits.bulk import outliers, two_sided_distance
from sdespec.fits.calibration import CALIBRATIONS, Calibration, scores
from sdespec.fits.likelihood import FITTED_LAWS, MATRIX_LAWS, TAIL_LAWS, LawFit, check_range, estimate_law, law
from sdespec.fits.matrix_laws import matrix_f_rows, wachter_law
from sdespec.fits.power_law import Ks, power_law_tail
from sdespec.fits.refits import p_value, percentile_intervals, refit_rows, rows_of
from sdespec.fits.tail_evidence import body_and_tail
from sdespec.fits.validation import check_resamples, check_spectrum
from sdespec.laws import GaussianMatrixEnsemble, LaguerreEnsemble, Law, MarchenkoPastur, MatrixFEnsemble

__all__ = ["ENSEMBLES", "GoodnessOfFit", "calibrate_law", "goodness_of_fit", "tail_law_p_value"]

Shape = tuple[int, int]


@dataclass(frozen=True, eq=False)
class GoodnessOfFit:
    """Whether a spectrum looks like a draw of an ensemble fitted to it.

    Attributes
    ----------
    p_value : float
        Share of draws, fitted anew, at least as far from their law; at least 1 / (draws + 1).
    ks_distance : float
        Two-sided KS distance of the spectrum, without outliers where the ensemble has them, to the fitted law.
    law : Law
        The fitted one-body law.
    ensemble : str
        What the draws were.
    calibration : str
        ``ensemble``, or ``iid`` where the draws were independent values.
    null : ndarray, (draws,)
        Distances of the draws.
    """

    p_value: float
    ks_distance: float
    law: Law
    ensemble: str
    calibration: str
    null: np.ndarray


@dataclass(frozen=True, eq=False)
class _Fit:
    """Distances of whole spectra to the law fitted to each, with what is needed to draw from the first."""

    distances: np.ndarray
    law: Law
    draw: Callable[[int, int], np.ndarray]


def _bulk_distance(values: np.ndarray, shape: Shape, k: int) -> tuple[float, MarchenkoPastur]:
    """Distance of a descending spectrum without its k largest values to Marchenko-Pastur at their mean."""
    rows, cols, rest = shape[0] - k, shape[1] - k, values[k:]
    fitted = MarchenkoPastur(rows, cols, float(rest.sum()) / (rows * cols))
    return two_sided_distance(np.asarray(fitted.cdf(rest[::-1]))), fitted


def _laguerre(rows: np.ndarray, shape: Shape) -> _Fit:
    fits = [_bulk_distance(row, shape, 0) for row in rows]
    first = fits[0][1]
    ensemble = LaguerreEnsemble(*shape, first.variance)
    return _Fit(np.array([distance for distance, _ in fits]), first, lambda size, seed: ensemble.rvs(size, seed=seed))


def _matrix_f(rows: np.ndarray, shape: Shape) -> _Fit:
    denominators, scales, _ = matrix_f_rows(rows, *shape)
    laws = [wachter_law(*shape, float(d), float(s)) for d, s in zip(denominators, scales, strict=True)]
    distances = [two_sided_distance(np.asarray(fitted.cdf(row[::-1]))) for fitted, row in zip(laws, rows, strict=True)]
    ensemble = MatrixFEnsemble(min(shape), max(shape), float(denominators[0]), float(scales[0]))
    return _Fit(np.array(distances), laws[0], lambda size, seed: ensemble.rvs(size, seed=seed))


def _spiked(rows: np.ndarray, shape: Shape) -> _Fit:
    bulks = [outliers(row, *shape) for row in rows]
    fits = [_bulk_distance(row, shape, bulk.n_outliers) for row, bulk in zip(rows, bulks, strict=True)]
    variance = fits[0][1].variance
    strengths = LaguerreEnsemble(*shape, variance).strength(bulks[0].outlier)
    mean = np.zeros(shape)
    index = np.arange(len(strengths))
    mean[index, index] = np.nan_to_num(strengths)
    ensemble = GaussianMatrixEnsemble(mean, variance, 1.0)
    return _Fit(
        np.array([distance for distance, _ in fits]), fits[0][1], lambda size, seed: ensemble.rvs(size, seed=seed)
    )


ENSEMBLES: Mapping[str, Callable[[np.ndarray, Shape], _Fit]] = MappingProxyType(
    {"laguerre": _laguerre, "matrix_f": _matrix_f, "spiked": _spiked}
)
"""Matrix ensembles whose draws judge a spectrum."""


def goodness_of_fit(
    eigenvalues: ArrayLike,
    n_rows: int,
    n_cols: int,
    *,
    ensemble: str,
    draws: int = 400,
    calibration: Calibration = "ensemble",
    seed: int = 0,
) -> GoodnessOfFit:
    r"""Test whether a spectrum is a draw of an ensemble, with the ensemble's own rigidity.

    .. math:: p = \frac{1 + \#\{b : D_b \ge D\}}{1 + B}

    Parameters
    ----------
    eigenvalues : array_like, (min(n_rows, n_cols),)
        Squared singular values of one matrix, positive, in any order.
    n_rows, n_cols : int
        Shape of the matrix.
    ensemble : str
        ``laguerre``: Gaussian entries. ``matrix_f``: a Gaussian matrix over another. ``spiked``: a low-rank matrix,
        as many spikes as ``outliers`` finds, and Gaussian noise. A one-body law that ``law`` fits to whole spectra,
        such as ``gamma``: spectra with that law as rigid as those of a Gaussian matrix (``TransportedEnsemble``).
    draws : int
        Spectra drawn from the fitted ensemble, at least 20.
    calibration : {"ensemble", "iid"}
        ``iid`` draws independent values of the fitted law instead, as every textbook p-value does: wrong for
        eigenvalues, kept to show it. Not for ``spiked``.
    seed : int
        Draw i depends on (seed, i) only.

    Returns
    -------
    GoodnessOfFit

    Raises
    ------
    SpectrumError
        If the eigenvalues are invalid or one is zero.
    UsageError
        If an option is not allowed.

    Notes
    -----
    Every draw is fitted by the same procedure as the spectrum, the search for outliers included. Under the null the
    p-values are uniform, up to the error of the estimated parameters. Eigenvalues are rigid: the distance of a true
    spectrum to its law is three to seven times less than that of independent values, so that iid p-values of a true
    null lie near 1 and can hardly ever reject. Cost: one spectrum and one fit a draw; ``spiked`` draws matrices,
    ``matrix_f`` solves O(n^3) problems.

    Examples
    --------
    >>> values = LaguerreEnsemble(20, 30, 1.0).rvs(1, seed=3)[0]
    >>> goodness_of_fit(values, 20, 30, ensemble="laguerre", draws=40).p_value > 0.05
    True
    """
    allowed = (*ENSEMBLES, *(name for name in FITTED_LAWS if name not in (*MATRIX_LAWS, *TAIL_LAWS)))
    if ensemble not in allowed:
        raise UsageError(f"ensemble is {ensemble!r}; allowed: {', '.join(allowed)}")
    if calibration not in CALIBRATIONS:
        raise UsageError(f"calibration is {calibration!r}; allowed: {', '.join(CALIBRATIONS)}")
    check_resamples(draws)
    if draws == 0:
        raise UsageError("draws is 0; at least 20 are needed")
    values = np.sort(check_spectrum(np.asarray(eigenvalues)))[::-1]
    if len(values) != min(n_rows, n_cols):
        raise UsageError(
            f"{len(values)} eigenvalues for a {n_rows} x {n_cols} matrix; exactly {min(n_rows, n_cols)} are needed"
        )
    if values[-1] <= 0.0:
        raise SpectrumError("the spectrum has zeros; the ensembles have none: drop the zero modes with their rows")
    shape = (n_rows, n_cols)
    if ensemble not in ENSEMBLES:
        fitted = law(values, ensemble)
        rows = rows_of(fitted.law, scores(*shape, draws, calibration, seed))
        null = refit_rows(ensemble, rows).ks_distance
        p = p_value(fitted.ks_distance, null)
        return GoodnessOfFit(p, fitted.ks_distance, fitted.law, ensemble, calibration, null)
    check_range(values)
    fit = ENSEMBLES[ensemble](values[None], shape)
    if calibration == "iid":
        if ensemble == "spiked":
            raise UsageError("calibration 'iid' has no spikes; use ensemble='laguerre' or calibration='ensemble'")
        rows = np.asarray(fit.law.ppf(scores(*shape, draws, "iid", seed)))[:, ::-1]
    else:
        rows = fit.draw(draws, seed)
    null = ENSEMBLES[ensemble](rows, shape).distances
    distance = float(fit.distances[0])
    return GoodnessOfFit(p_value(distance, null), distance, fit.law, ensemble, calibration, null)


def calibrate_law(
    name: str, fitted: LawFit, u: np.ndarray, level: float
) -> tuple[float, dict[str, tuple[float, float]]]:
    """Calibrated p-value and intervals of a one-body law: scores mapped through it and fitted anew.

    Parameters
    ----------
    name : str
        Name of the law, in snake case.
    fitted : LawFit
        Its fit to a whole spectrum.
    u : ndarray, (draws, r)
        Scores, ascending.
    level : float
        Probability of the intervals.

    Returns
    -------
    p_value : float
        In (0, 1]; at least 1 / (draws + 1).
    intervals : dict
    """
    refits = refit_rows(name, rows_of(fitted.law, u))
    intervals = percentile_intervals(name, fitted.parameters, refits.parameters, level)
    return p_value(fitted.ks_distance, refits.ks_distance), intervals


def tail_law_p_value(
    name: str,
    fitted: LawFit,
    values: np.ndarray,
    threshold: float,
    u: np.ndarray,
    *,
    min_tail: int,
    ks: Ks,
    searched: bool,
) -> float:
    """Calibrated p-value of a law that begins at the threshold of a tail, searched anew in each draw.

    Parameters
    ----------
    name : str
        Name of the law, in snake case.
    fitted : LawFit
        Its fit to the tail.
    values : ndarray, (r,)
        The whole spectrum, positive.
    threshold : float
        Where the tail begins.
    u : ndarray, (draws, r)
        Scores, ascending.
    min_tail : int
        As in the search.
    ks : {"two-sided", "left"}
        As in the search.
    searched : bool
        Whether the threshold was searched; else it is kept.

    Returns
    -------
    float
        In (0, 1]; NaN where no draw has three distinct values beyond a threshold that is kept.
    """

    def quantile(survival: np.ndarray) -> np.ndarray:
        return np.asarray(np.log(fitted.law.ppf(1.0 - survival)) - math.log(threshold))

    null = []
    for row in body_and_tail(values, threshold, quantile, u):
        start = power_law_tail(row, min_tail=min_tail, ks=ks).threshold if searched else threshold
        tail = row[row >= start]
        if len(np.unique(tail)) >= 3:
            estimate = estimate_law(tail, name, 0.95)
            null.append(two_sided_distance(np.asarray(estimate.law.cdf(tail))))
    return p_value(fitted.ks_distance, np.array(null))

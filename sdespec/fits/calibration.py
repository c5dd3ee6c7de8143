"""Nulls for one spectrum: what random matrices of the same shape give, and calibrated p-values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import special

from sdespec.core.errors import SpectrumError, UsageError
from sdespec.fits.bulk import ks_marchenko_pastur
from sdespec.fits.likelihood import exponential_z, law
from sdespec.fits.power_law import Ks, PowerLawTail, power_law_tail
from sdespec.laws import LaguerreEnsemble, Law, rigid_scores

__all__ = [
    "CALIBRATIONS",
    "Calibration",
    "ShapeNull",
    "law_p_value",
    "scores",
    "shape_null",
    "spike_removed_z",
    "tail_p_value",
]

Calibration = Literal["ensemble", "iid"]
CALIBRATIONS: tuple[str, ...] = ("ensemble", "iid")

NULL_DRAWS = 200
_NULL_SEED = 20_250_717


@dataclass(frozen=True)
class ShapeNull:
    """Quantiles of statistics of Gaussian matrices of one shape.

    Attributes
    ----------
    ks_quantile : float
        95 % quantile of the KS distance to Marchenko-Pastur at the mean square entry.
    z_quantile : float
        97.5 % quantile of the likelihood ratio of power law against exponential, largest eigenvalue removed.
    draws : int
        Number of spectra drawn.
    """

    ks_quantile: float
    z_quantile: float
    draws: int


def spike_removed_z(values: np.ndarray, *, min_tail: int, ks: Ks) -> tuple[float, PowerLawTail | None]:
    """Likelihood ratio of power law against exponential in the tail, with the largest eigenvalue taken out.

    Parameters
    ----------
    values : ndarray, (r,)
        Squared singular values, largest first.
    min_tail : int
        Smallest number of values in a tail.
    ks : {"two-sided", "left"}
        Distance that chooses the threshold.

    Returns
    -------
    z : float
        Positive favours the power law; NaN where no tail can be fitted.
    tail : PowerLawTail or None
    """
    try:
        tail = power_law_tail(values[1:], min_tail=min_tail, ks=ks)
    except SpectrumError:
        return float("nan"), None
    return exponential_z(values[1:], tail.threshold), tail


@lru_cache(maxsize=256)
def shape_null(n_rows: int, n_cols: int, *, min_tail: int = 10, ks: Ks = "two-sided") -> ShapeNull:
    """Statistics of Gaussian matrices of a shape, from 200 exact draws of their spectrum.

    Parameters
    ----------
    n_rows, n_cols : int
        Shape of the matrix.
    min_tail : int
        Smallest number of values in a tail.
    ks : {"two-sided", "left"}
        Distance that chooses the threshold of the tail.

    Returns
    -------
    ShapeNull

    Notes
    -----
    The seed is fixed, so the quantiles belong to the shape alone. Cost: 200 tridiagonal eigenvalue problems of
    size min(n, m), once for each shape in a process.

    Examples
    --------
    >>> 0.02 < shape_null(64, 128).ks_quantile < 0.06
    True
    """
    draws = LaguerreEnsemble(min(n_rows, n_cols), max(n_rows, n_cols), 1.0).rvs(NULL_DRAWS, seed=_NULL_SEED)
    distances = [ks_marchenko_pastur(values, n_rows, n_cols) for values in draws]
    ratios = [spike_removed_z(values, min_tail=min_tail, ks=ks)[0] for values in draws]
    finite = [z for z in ratios if np.isfinite(z)]
    return ShapeNull(
        ks_quantile=float(np.quantile(distances, 0.95)),
        z_quantile=float(np.quantile(finite, 0.975)) if finite else float("inf"),
        draws=NULL_DRAWS,
    )


@lru_cache(maxsize=16)
def scores(n_rows: int, n_cols: int, draws: int, calibration: Calibration, seed: int) -> np.ndarray:
    """Uniform scores of whole spectra under a null, ascending along the last axis.

    Parameters
    ----------
    n_rows, n_cols : int
        Shape of the matrix.
    draws : int
        Number of spectra.
    calibration : {"ensemble", "iid"}
        ``ensemble``: scores as rigid as eigenvalues of a random matrix of this shape. ``iid``: independent ones,
        as every textbook p-value assumes; wrong for the eigenvalues of one matrix.
    seed : int
        Draw i depends on (seed, i) only.

    Returns
    -------
    ndarray, (draws, min(n_rows, n_cols))
        In (0, 1), read-only.
    """
    if calibration not in CALIBRATIONS:
        raise UsageError(f"calibration is {calibration!r}; allowed: {', '.join(CALIBRATIONS)}")
    if calibration == "ensemble":
        out = rigid_scores(n_rows, n_cols, draws, seed=seed)
    else:
        streams = (np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, i]))) for i in range(draws))
        out = np.sort([stream.random(min(n_rows, n_cols)) for stream in streams], axis=-1)
    out.setflags(write=False)
    return out


def _p_value(observed: float, null: np.ndarray) -> float:
    return (1.0 + float(np.count_nonzero(null >= observed))) / (len(null) + 1.0)


def tail_p_value(values: np.ndarray, tail: PowerLawTail, u: np.ndarray, *, min_tail: int, ks: Ks) -> float:
    """Calibrated p-value of a power-law tail.

    The null keeps the spectrum below the threshold and replaces the tail by the fitted power law; each draw of
    the scores is mapped through this law, and the threshold is searched anew.

    Parameters
    ----------
    values : ndarray, (r,)
        Squared singular values.
    tail : PowerLawTail
        The fit to be judged.
    u : ndarray, (draws, r)
        Scores, ascending.
    min_tail : int
        As in the fit.
    ks : {"two-sided", "left"}
        As in the fit.

    Returns
    -------
    float
        In (0, 1]; at least 1 / (draws + 1).

    References
    ----------
    Clauset, Shalizi, Newman, SIAM Review 51 (2009) 661, section 4, with rigid instead of independent draws.
    """
    body = np.sort(values[values < tail.threshold])
    split = len(body) / len(values)
    survival = np.clip((1.0 - u) / (1.0 - split), np.finfo(float).tiny, 1.0)
    drawn = tail.threshold * survival ** (-1.0 / (tail.exponent - 1.0))
    if len(body):
        grid = (np.arange(len(body)) + 0.5) / len(values)
        drawn = np.where(u < split, np.interp(u, grid, body), drawn)
    null = np.array([power_law_tail(row, min_tail=min_tail, ks=ks).ks_distance for row in drawn])
    return _p_value(tail.ks_distance, null)


def law_p_value(name: str, fitted: Law, ks_distance: float, u: np.ndarray) -> float:
    """Calibrated p-value of a law: scores mapped through it, refitted, and their KS distances compared.

    Parameters
    ----------
    name : str
        Name of the law, in snake case.
    fitted : Law
        The fitted law.
    ks_distance : float
        Its two-sided distance to the spectrum.
    u : ndarray, (draws, r)
        Scores, ascending.

    Returns
    -------
    float
        In (0, 1]; at least 1 / (draws + 1).
    """
    drawn = np.asarray(fitted.ppf(u))
    if name in _REFITTED_CDF:
        cdf = _REFITTED_CDF[name](drawn)
        steps = np.arange(cdf.shape[1]) / cdf.shape[1]
        null = np.maximum((cdf - steps).max(axis=1), (steps + 1.0 / cdf.shape[1] - cdf).max(axis=1))
    else:
        null = np.array([law(row, name).ks_distance for row in drawn])
    return _p_value(ks_distance, null)


def _gamma_shapes(gap: np.ndarray) -> np.ndarray:
    """Shapes with log k - psi(k) = gap, all at once, by Newton's method in 1/k."""
    shape = (3.0 - gap + np.sqrt((gap - 3.0) ** 2 + 24.0 * gap)) / (12.0 * gap)
    for _ in range(6):
        value = np.log(shape) - special.psi(shape) - gap
        slope = 1.0 / shape - special.zeta(2.0, shape)  # zeta(2, k) is the trigamma function
        shape = 1.0 / (1.0 / shape + value / (shape * shape * slope))
    return shape[:, None]


def _gamma_cdf(x: np.ndarray) -> np.ndarray:
    mean = x.mean(axis=1)
    gap = np.maximum(np.log(mean) - np.log(x).mean(axis=1), 1e-10)  # all but equal values: the difference is rounding
    shape = _gamma_shapes(gap)
    return np.asarray(special.gammainc(shape, x * shape / mean[:, None]))


def _inverse_gamma_cdf(x: np.ndarray) -> np.ndarray:
    return 1.0 - _gamma_cdf(x[:, :1] / x)


def _log_normal_cdf(x: np.ndarray) -> np.ndarray:
    logs = np.log(x)
    return np.asarray(special.ndtr((logs - logs.mean(axis=1, keepdims=True)) / logs.std(axis=1, keepdims=True)))


def _exponential_cdf(x: np.ndarray) -> np.ndarray:
    return np.asarray(-np.expm1(-x / x.mean(axis=1, keepdims=True)))


# distribution function of each ascending row under the law refitted to that row
_REFITTED_CDF: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "gamma": _gamma_cdf,
    "inverse_gamma": _inverse_gamma_cdf,
    "log_normal": _log_normal_cdf,
    "exponential": _exponential_cdf,
}

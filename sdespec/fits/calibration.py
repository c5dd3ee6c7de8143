"""Nulls for spectra: what random matrices of the same shape give, and scores of whole spectra."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from sdespec.core.errors import SpectrumError, UsageError
from sdespec.fits.bulk import ks_marchenko_pastur
from sdespec.fits.likelihood import exponential_z
from sdespec.fits.power_law import Ks, PowerLawTail, power_law_tail
from sdespec.laws import LaguerreEnsemble, rigid_scores

__all__ = [
    "CALIBRATIONS",
    "Calibration",
    "ShapeNull",
    "scores",
    "shape_null",
    "spike_removed_z",
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
def scores(n_rows: int, n_cols: int, draws: int, calibration: Calibration, seed: int, copies: int = 1) -> np.ndarray:
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
        Draw i depends on (seed, i) and the number of copies only.
    copies : int
        Independent matrices whose spectra are pooled in each draw.

    Returns
    -------
    ndarray, (draws, copies * min(n_rows, n_cols))
        In (0, 1), read-only.
    """
    if calibration not in CALIBRATIONS:
        raise UsageError(f"calibration is {calibration!r}; allowed: {', '.join(CALIBRATIONS)}")
    rank = min(n_rows, n_cols)
    if calibration == "ensemble":
        out = rigid_scores(n_rows, n_cols, draws * copies, seed=seed).reshape(draws, copies * rank)
    else:
        streams = (np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, i]))) for i in range(draws))
        out = np.array([stream.random(copies * rank) for stream in streams]).reshape(draws, copies * rank)
    out = np.sort(out, axis=-1)
    out.setflags(write=False)
    return out

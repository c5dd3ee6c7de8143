"""Bulk, outliers and regime of single matrices, and their means where matrices are pooled."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
from scipy import special

from sdespec.fits.bulk import BeyondBulk, Outliers, beyond_refitted_bulk, ks_marchenko_pastur, outliers, variance_error
from sdespec.fits.calibration import shape_null, spike_removed_z
from sdespec.fits.regime import Evidence, Regime, decide_regime
from sdespec.fits.spectrum_fit import FitOptions, SpectrumFit
from sdespec.fits.strength import SpikeStrengths, spike_strengths

__all__ = ["fit_bulk", "mean_of_bulks"]


def fit_bulk(
    values: np.ndarray,
    n_rows: int,
    n_cols: int,
    options: FitOptions,
    null: np.ndarray | None,
    reference_variance: float,
) -> SpectrumFit:
    """Bulk, outliers and regime of one matrix."""
    bulk = outliers(values, n_rows, n_cols, edge=options.edge)
    reference = shape_null(n_rows, n_cols, min_tail=options.min_tail, ks=options.ks)
    z_exponential, rest_tail = spike_removed_z(values, min_tail=options.min_tail, ks=options.ks)
    count = bulk.n_outliers
    n_null, top_null = _null_outliers(null, n_rows, n_cols, options)
    upper = bulk.bulk_edge[1]
    evidence = Evidence(
        rank=len(values),
        n_outliers=count,
        identifiable=bulk.identifiable,
        ks_mp=ks_marchenko_pastur(values, n_rows, n_cols),
        ks_rest=ks_marchenko_pastur(values[count:], n_rows - count, n_cols - count),
        ks_null=reference.ks_quantile,
        n_tail=0 if rest_tail is None else rest_tail.n_tail,
        decades=0.0 if rest_tail is None else rest_tail.decades,
        z_exponential=z_exponential,
        z_null=reference.z_quantile,
        variance_ratio=bulk.variance / reference_variance,
        n_outliers_null=n_null,
        top_over_edge=float(values[0]) / upper if upper > 0.0 else math.inf,
        top_over_edge_null=top_null,
        beyond=beyond_refitted_bulk(values, n_rows, n_cols, edge=options.edge) if count else BeyondBulk(),
        faint=count > 0 and _is_faint(values, n_rows, n_cols, options),
    )
    n_zeros = int(np.count_nonzero(values == 0.0))
    if n_zeros:
        regime = Regime("undecided", f"rank-deficient: {n_zeros} of {len(values)} eigenvalues are zero")
    else:
        regime = decide_regime(evidence)
    return SpectrumFit(
        status="ok",
        bulk=bulk,
        variance_interval=_variance_interval(bulk, n_rows, n_cols, options.level, 1),
        spikes=spike_strengths(values, n_rows, n_cols, edge=options.edge, level=options.level),
        ks_mp=evidence.ks_mp,
        ks_mp_rest=evidence.ks_rest,
        ks_mp_shuffled=_mean_ks(null, n_rows, n_cols),
        ks_mp_null_quantile=reference.ks_quantile,
        n_outliers_shuffled=n_null,
        tail_exponent_without_largest=math.nan if rest_tail is None else rest_tail.exponent,
        tail_z_exponential=z_exponential,
        tail_z_null_quantile=reference.z_quantile,
        regime=regime,
    )


def mean_of_bulks(fits: list[SpectrumFit], n_rows: int, n_cols: int, level: float) -> SpectrumFit:
    """One fit for matrices that are pooled: means of numbers, all outliers together, the regime of most."""
    if len(fits) == 1:
        return fits[0]
    bulks = [fitted.bulk for fitted in fits if fitted.bulk is not None]
    together = np.sort(np.concatenate([bulk.outlier for bulk in bulks]))[::-1]

    def mean(name: str) -> float:
        return float(np.mean([getattr(bulk, name) for bulk in bulks]))

    counts = Counter(fitted.regime.name for fitted in fits if fitted.regime is not None)
    name, count = counts.most_common(1)[0]
    listed = ", ".join(f"{number} {regime}" for regime, number in counts.most_common())
    regime = Regime(name if 2 * count > len(fits) else "undecided", f"of {len(fits)} matrices: {listed}")
    bulk = replace(
        bulks[0],
        n_outliers=len(together),
        outlier=together,
        below=np.sort(np.concatenate([bulk.below for bulk in bulks])),
        lower_cutoff=mean("lower_cutoff"),
        variance=mean("variance"),
        bulk_edge=(
            float(np.mean([bulk.bulk_edge[0] for bulk in bulks])),
            float(np.mean([bulk.bulk_edge[1] for bulk in bulks])),
        ),
        cutoff=mean("cutoff"),
        outlier_energy=mean("outlier_energy"),
        identifiable=all(bulk.identifiable for bulk in bulks),
    )
    return replace(
        fits[0],
        bulk=bulk,
        variance_interval=_variance_interval(bulk, n_rows, n_cols, level, len(fits)),
        spikes=_together([fitted.spikes for fitted in fits if fitted.spikes is not None]),
        regime=regime,
        ks_mp=float(np.mean([fitted.ks_mp for fitted in fits])),
        ks_mp_rest=float(np.mean([fitted.ks_mp_rest for fitted in fits])),
        ks_mp_shuffled=float(np.mean([fitted.ks_mp_shuffled for fitted in fits])),
        tail_exponent_without_largest=float(np.mean([fitted.tail_exponent_without_largest for fitted in fits])),
        tail_z_exponential=float(np.mean([fitted.tail_z_exponential for fitted in fits])),
    )


def _together(found: list[SpikeStrengths]) -> SpikeStrengths:
    """Spikes of all matrices in the order of their outliers; none that stayed inside is bounded for all at once."""
    outlier = np.concatenate([one.outlier for one in found])
    order = np.argsort(-outlier, kind="stable")
    return replace(
        found[0],
        strength=np.concatenate([one.strength for one in found])[order],
        interval=np.concatenate([one.interval for one in found])[order],
        outlier=outlier[order],
        standard_error=np.concatenate([one.standard_error for one in found])[order],
        undetected=math.nan,
        threshold=float(np.mean([one.threshold for one in found])),
        variance=float(np.mean([one.variance for one in found])),
    )


def _variance_interval(bulk: Outliers, n_rows: int, n_cols: int, level: float, matrices: int) -> tuple[float, float]:
    """Interval of the variance of the bulk, mean of some matrices; NaN where there is no bulk."""
    if not bulk.identifiable or bulk.variance == 0.0:
        return math.nan, math.nan
    error = variance_error(n_rows, n_cols, "median") / math.sqrt(matrices)
    half = math.exp(float(special.ndtri(0.5 * (1.0 + level))) * error)
    return bulk.variance / half, bulk.variance * half


def _is_faint(values: np.ndarray, n_rows: int, n_cols: int, options: FitOptions) -> bool:
    """Whether no outlier is left at the 99.9 % quantile; other edges have no level."""
    return options.edge == "tracy_widom" and outliers(values, n_rows, n_cols, level=0.999).n_outliers == 0


def _null_outliers(null: np.ndarray | None, n_rows: int, n_cols: int, options: FitOptions) -> tuple[int, float]:
    """Most outliers among the draws of the null, and the median of largest eigenvalue over edge."""
    if null is None or len(null) == 0 or not np.isfinite(null).all():
        return 0, 0.0
    bulks = [outliers(draw, n_rows, n_cols, edge=options.edge) for draw in null]
    tops = [
        float(draw.max()) / bulk.bulk_edge[1] for draw, bulk in zip(null, bulks, strict=True) if bulk.variance > 0.0
    ]
    return max(bulk.n_outliers for bulk in bulks), float(np.median(tops)) if tops else 0.0


def _mean_ks(null: np.ndarray | None, n_rows: int, n_cols: int) -> float:
    if null is None or len(null) == 0:
        return math.nan
    return float(np.mean([ks_marchenko_pastur(draw, n_rows, n_cols) for draw in null]))

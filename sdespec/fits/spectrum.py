"""All estimates for one spectrum, with its null and its verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from sdespec.core.errors import SpectrumError, UsageError
from sdespec.fits.bulk import EDGE_RULES, Edge, Outliers, ks_marchenko_pastur, outliers
from sdespec.fits.calibration import (
    CALIBRATIONS,
    Calibration,
    law_p_value,
    scores,
    shape_null,
    spike_removed_z,
    tail_p_value,
)
from sdespec.fits.likelihood import FITTED_LAWS, LawFit, compare_laws, law
from sdespec.fits.power_law import Ks, PowerLawTail, power_law_tail
from sdespec.fits.regime import Evidence, Regime, decide_regime
from sdespec.fits.validation import check_resamples, check_spectrum

__all__ = ["FitOptions", "SpectrumFit", "fit_spectrum"]

TAIL_LAW = "pareto"


@dataclass(frozen=True)
class FitOptions:
    """Options of a fit; see ``sdespec.fit`` for their meaning."""

    laws: tuple[str, ...] = ("gamma", "inverse_gamma", "log_normal", "pareto")
    min_tail: int = 10
    ks: Ks = "two-sided"
    threshold: float | None = None
    bootstrap: int = 200
    calibration: Calibration = "ensemble"
    edge: Edge = "tracy_widom"
    level: float = 0.95

    def __post_init__(self) -> None:
        """Refuse what is not allowed, before any work is done."""
        unknown = [name for name in self.laws if name not in FITTED_LAWS]
        if unknown:
            raise UsageError(f"unknown law {unknown[0]!r}; allowed: {', '.join(FITTED_LAWS)}")
        for name, value, allowed in (
            ("ks", self.ks, ("two-sided", "left")),
            ("calibration", self.calibration, CALIBRATIONS),
            ("edge", self.edge, EDGE_RULES),
        ):
            if value not in allowed:
                raise UsageError(f"{name} is {value!r}; allowed: {', '.join(allowed)}")
        if self.min_tail < 3:
            raise UsageError(f"min_tail is {self.min_tail}; a tail needs at least 3 values")
        check_resamples(self.bootstrap)
        if not 0.0 < self.level < 1.0:
            raise UsageError(f"level is {self.level}; it must lie between 0 and 1")


@dataclass(frozen=True, eq=False)
class SpectrumFit:
    """Everything that is estimated from one spectrum; NaN and empty text where there is no estimate."""

    status: str
    bulk: Outliers | None = None
    ks_mp: float = math.nan
    ks_mp_rest: float = math.nan
    ks_mp_shuffled: float = math.nan
    ks_mp_null_quantile: float = math.nan
    n_outliers_shuffled: int = 0
    tail: PowerLawTail | None = None
    tail_p_value: float = math.nan
    tail_exponent_shuffled: float = math.nan
    tail_z_exponential: float = math.nan
    tail_z_null_quantile: float = math.nan
    laws: Mapping[str, LawFit] = field(default_factory=dict)
    law_p_values: Mapping[str, float] = field(default_factory=dict)
    preferred_law: str = ""
    regime: Regime | None = None
    verdict: str = ""


def _shuffled_exponent(null: np.ndarray, options: FitOptions) -> float:
    exponents = []
    for draw in null:
        try:
            exponents.append(power_law_tail(draw, min_tail=options.min_tail, ks=options.ks).exponent)
        except SpectrumError:
            continue
    return float(np.median(exponents)) if exponents else math.nan


def _fit_laws(values: np.ndarray, tail: PowerLawTail | None, options: FitOptions) -> dict[str, LawFit]:
    """Whole-spectrum fits, except the Pareto law, which is the fitted tail."""
    positive = values[values > 0.0]
    fitted = {name: law(positive, name, level=options.level) for name in options.laws if name != TAIL_LAW}
    if TAIL_LAW in options.laws and tail is not None:
        fitted[TAIL_LAW] = law(positive[positive >= tail.threshold], TAIL_LAW, level=options.level)
    return {name: fitted[name] for name in options.laws if name in fitted}


def _preferred(laws: Mapping[str, LawFit]) -> str:
    """Whole-spectrum law of least Akaike criterion, undecided within 2 units."""
    criteria = sorted(
        (2.0 * len(fitted.parameters) - 2.0 * fitted.log_likelihood, name)
        for name, fitted in laws.items()
        if name != TAIL_LAW
    )
    if not criteria:
        return ""
    if len(criteria) > 1 and criteria[1][0] - criteria[0][0] < 2.0:
        return "undecided"
    return criteria[0][1]


def _verdict(regime: Regime, bulk: Outliers, values: np.ndarray, tail: PowerLawTail | None, initial: str) -> str:
    if regime.name == "random":
        start = f"still its initial {initial} law; " if initial in ("uniform", "normal") else ""
        return f"{start}Marchenko-Pastur, variance {bulk.variance:.2g}"
    if regime.name == "spikes":
        return f"{bulk.n_outliers} spike{'s' if bulk.n_outliers != 1 else ''} on an intact bulk"
    if regime.name == "broad_tail" and tail is not None:
        comparison = compare_laws(values, "pareto", "log_normal", threshold=tail.threshold)
        # beyond a threshold a power law is a limit of the log-normal law, so the ratio can never exclude the latter
        return "log-normal not excluded" if comparison.p_value > 0.05 else "log-normal preferred to a power law"
    return regime.reason


def fit_spectrum(
    eigenvalues: np.ndarray,
    n_rows: int,
    n_cols: int,
    *,
    options: FitOptions,
    null: np.ndarray | None = None,
    seed: int = 0,
    reference_variance: float = math.nan,
    initial: str = "",
) -> SpectrumFit:
    """Fit bulk, outliers, tail and laws of one spectrum, and decide its regime.

    Parameters
    ----------
    eigenvalues : ndarray, (min(n_rows, n_cols),)
        Squared singular values.
    n_rows, n_cols : int
        Shape of the matrix.
    options : FitOptions
        What to fit, and how.
    null : ndarray, (draws, rank), optional
        Spectra of the null of this very matrix.
    seed : int
        Seed of the resamples.
    reference_variance : float
        Bulk variance that ``inflated_bulk`` is judged against.
    initial : str
        ``at_initialization`` of the matrix.

    Returns
    -------
    SpectrumFit
    """
    try:
        values = np.sort(check_spectrum(eigenvalues))[::-1]
    except SpectrumError as error:
        return SpectrumFit(status=str(error), regime=Regime("undecided", str(error)), verdict=str(error))
    bulk = outliers(values, n_rows, n_cols, edge=options.edge)
    reference = shape_null(n_rows, n_cols, min_tail=options.min_tail, ks=options.ks)
    ks_mp = ks_marchenko_pastur(values, n_rows, n_cols)
    status, tail = "ok", None
    try:
        tail = power_law_tail(
            values,
            threshold=options.threshold,
            min_tail=options.min_tail,
            ks=options.ks,
            bootstrap=options.bootstrap,
            level=options.level,
            seed=seed,
        )
    except SpectrumError as error:
        status = f"no tail: {error}"
    z_exponential, rest_tail = spike_removed_z(values, min_tail=options.min_tail, ks=options.ks)
    count = bulk.n_outliers
    n_null, top_null = _null_outliers(null, n_rows, n_cols, options)
    evidence = Evidence(
        rank=len(values),
        n_outliers=count,
        identifiable=bulk.identifiable,
        ks_mp=ks_mp,
        ks_rest=ks_marchenko_pastur(values[count:], n_rows - count, n_cols - count),
        ks_null=reference.ks_quantile,
        n_tail=0 if rest_tail is None else rest_tail.n_tail,
        decades=0.0 if rest_tail is None else rest_tail.decades,
        z_exponential=z_exponential,
        z_null=reference.z_quantile,
        variance_ratio=bulk.variance / reference_variance,
        n_outliers_null=n_null,
        top_ratio_null=top_null / float(values[0]),
    )
    n_zeros = int(np.count_nonzero(values == 0.0))
    if n_zeros:
        regime = Regime("undecided", f"rank-deficient: {n_zeros} of {len(values)} eigenvalues are zero")
    else:
        regime = decide_regime(evidence)
    laws = _fit_laws(values, tail, options)
    p_tail, p_laws = _p_values(values, (n_rows, n_cols), tail, laws, options)
    return SpectrumFit(
        status=status,
        bulk=bulk,
        ks_mp=ks_mp,
        ks_mp_rest=evidence.ks_rest,
        ks_mp_shuffled=_mean_ks(null, n_rows, n_cols),
        ks_mp_null_quantile=reference.ks_quantile,
        n_outliers_shuffled=n_null,
        tail=tail,
        tail_p_value=p_tail,
        tail_exponent_shuffled=math.nan if null is None else _shuffled_exponent(null, options),
        tail_z_exponential=z_exponential,
        tail_z_null_quantile=reference.z_quantile,
        laws=laws,
        law_p_values=p_laws,
        preferred_law=_preferred(laws),
        regime=regime,
        verdict=_verdict(regime, bulk, values, tail, initial),
    )


def _null_outliers(null: np.ndarray | None, n_rows: int, n_cols: int, options: FitOptions) -> tuple[int, float]:
    """Most outliers, and largest eigenvalue, among the draws of the null."""
    if null is None or len(null) == 0 or not np.isfinite(null).all():
        return 0, 0.0
    counts = [outliers(draw, n_rows, n_cols, edge=options.edge).n_outliers for draw in null]
    return max(counts), float(null.max())


def _mean_ks(null: np.ndarray | None, n_rows: int, n_cols: int) -> float:
    if null is None or len(null) == 0:
        return math.nan
    return float(np.mean([ks_marchenko_pastur(draw, n_rows, n_cols) for draw in null]))


def _p_values(
    values: np.ndarray,
    shape: tuple[int, int],
    tail: PowerLawTail | None,
    laws: Mapping[str, LawFit],
    options: FitOptions,
) -> tuple[float, dict[str, float]]:
    """Calibrated p-values of the tail and of each law; NaN without resamples or with zero eigenvalues."""
    if options.bootstrap == 0 or values[-1] <= 0.0:
        return math.nan, dict.fromkeys(laws, math.nan)
    u = scores(*shape, options.bootstrap, options.calibration, 0)
    p_tail = math.nan
    if tail is not None and options.threshold is None:
        p_tail = tail_p_value(values, tail, u, min_tail=options.min_tail, ks=options.ks)
    p_laws = {
        name: p_tail if name == TAIL_LAW else law_p_value(name, fitted.law, fitted.ks_distance, u)
        for name, fitted in laws.items()
    }
    return p_tail, p_laws

"""All estimates for one spectrum, or for several that are pooled, with their nulls and a verdict."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from sdespec.core.errors import SpectrumError, UsageError
from sdespec.fits.bulk import (
    EDGE_RULES,
    BeyondBulk,
    Edge,
    Outliers,
    beyond_refitted_bulk,
    ks_marchenko_pastur,
    outliers,
)
from sdespec.fits.calibrated_tail import CalibratedTail, calibrated_tail
from sdespec.fits.calibration import CALIBRATIONS, Calibration, scores, shape_null, spike_removed_z
from sdespec.fits.goodness import calibrate_law, goodness_of_fit, tail_law_p_value
from sdespec.fits.likelihood import FITTED_LAWS, MATRIX_LAWS, TAIL_LAWS, LawFit, law
from sdespec.fits.power_law import Ks, PowerLawTail, power_law_tail
from sdespec.fits.refits import p_value, refit_rows, rows_of
from sdespec.fits.regime import Evidence, Regime, decide_regime
from sdespec.fits.spliced_tail import SplicedTail, splice
from sdespec.fits.tail_evidence import TailEvidence, tail_evidence
from sdespec.fits.validation import check_resamples, check_spectrum
from sdespec.laws import Gamma, MarchenkoPastur

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
    calibrated: CalibratedTail | None = None
    spliced: SplicedTail | None = None
    tail_note: str = ""
    tail_evidence: TailEvidence = field(default_factory=TailEvidence)
    tail_exponent_without_largest: float = math.nan
    tail_exponent_shuffled: float = math.nan
    tail_z_exponential: float = math.nan
    tail_z_null_quantile: float = math.nan
    laws: Mapping[str, LawFit] = field(default_factory=dict)
    law_p_values: Mapping[str, float] = field(default_factory=dict)
    law_notes: Mapping[str, str] = field(default_factory=dict)
    no_tail_p_value: float = math.nan
    preferred_law: str = ""
    regime: Regime | None = None
    verdict: str = ""
    n_pooled: int = 1


@dataclass(frozen=True, eq=False)
class _Sample:
    """The spectra of a fit: one, or several independent ones of the same shape."""

    spectra: tuple[np.ndarray, ...]
    n_rows: int
    n_cols: int

    @property
    def pooled(self) -> np.ndarray:
        """All values, largest first."""
        return np.asarray(np.sort(np.concatenate(self.spectra))[::-1])

    def scores(self, options: FitOptions) -> np.ndarray:
        """Scores of as many spectra as there are, pooled in each draw."""
        return scores(self.n_rows, self.n_cols, options.bootstrap, options.calibration, 0, len(self.spectra))


def _shuffled_exponent(null: np.ndarray, options: FitOptions) -> float:
    exponents = []
    for draw in null:
        try:
            exponents.append(power_law_tail(draw, min_tail=options.min_tail, ks=options.ks).exponent)
        except SpectrumError:
            continue
    return float(np.median(exponents)) if exponents else math.nan


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
    """Fit bulk, outliers, tail and laws of one spectrum, or of several pooled ones, and decide the regime.

    Parameters
    ----------
    eigenvalues : ndarray, (min(n_rows, n_cols),) or (matrices, min(n_rows, n_cols))
        Squared singular values; those of several independent matrices of one shape are pooled.
    n_rows, n_cols : int
        Shape of a matrix.
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

    Notes
    -----
    Pooled: tail and laws are fitted to all values at once, and the draws of their p-values pool as many rigid spectra.
    Bulk and regime are those of single matrices: numbers are means, outliers are all of them together, the regime is
    that of more than half of the matrices.
    """
    try:
        rows = tuple(np.sort(check_spectrum(row))[::-1] for row in np.atleast_2d(eigenvalues))
    except SpectrumError as error:
        return SpectrumFit(status=str(error), regime=Regime("undecided", str(error)), verdict=str(error))
    sample = _Sample(rows, n_rows, n_cols)
    fit = _mean_of_bulks([_fit_bulk(row, n_rows, n_cols, options, null, reference_variance) for row in rows])
    values = sample.pooled
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
    fit = replace(fit, status=status, tail=tail)
    if tail is not None and options.bootstrap:
        fit = _with_other_exponents(fit, sample, options)
    fit = _with_laws(fit, sample, options)
    return replace(
        fit,
        tail_exponent_shuffled=math.nan if null is None else _shuffled_exponent(null, options),
        preferred_law=_preferred(fit.laws),
        verdict=_verdict(fit, initial, len(rows)),
        n_pooled=len(rows),
    )


def _with_other_exponents(fit: SpectrumFit, sample: _Sample, options: FitOptions) -> SpectrumFit:
    """Add the estimates that do not search for the threshold of least distance, and what is to be said of each."""
    calibrated, spliced, notes = None, None, []
    try:
        calibrated = calibrated_tail(
            np.array(sample.spectra),
            sample.n_rows,
            sample.n_cols,
            calibration=options.calibration,
            level=options.level,
            draws=options.bootstrap,
        )
        if calibrated.n_accepted == 0:
            notes.append("calibrated: no size of the tail passes for a power law")
    except SpectrumError as error:
        notes.append(f"calibrated: {error}")
    try:
        spliced = splice(sample.pooled, min_tail=options.min_tail, level=options.level)
        notes += [f"spliced: {note}" for note in spliced.notes]
    except SpectrumError as error:
        notes.append(f"spliced: {error}")
    return replace(fit, calibrated=calibrated, spliced=spliced, tail_note="; ".join(notes))


def _fit_bulk(
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


def _mean_of_bulks(fits: list[SpectrumFit]) -> SpectrumFit:
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
        regime=regime,
        ks_mp=float(np.mean([fitted.ks_mp for fitted in fits])),
        ks_mp_rest=float(np.mean([fitted.ks_mp_rest for fitted in fits])),
        ks_mp_shuffled=float(np.mean([fitted.ks_mp_shuffled for fitted in fits])),
        tail_exponent_without_largest=float(np.mean([fitted.tail_exponent_without_largest for fitted in fits])),
        tail_z_exponential=float(np.mean([fitted.tail_z_exponential for fitted in fits])),
    )


def _with_laws(fit: SpectrumFit, sample: _Sample, options: FitOptions) -> SpectrumFit:
    """Add the laws with their notes, and the calibrated p-values and intervals of laws and tail."""
    values = sample.pooled
    laws, notes = _fit_laws(values, fit.tail, sample, options)
    if options.bootstrap == 0 or values[-1] <= 0.0:
        return replace(fit, laws=laws, law_p_values=dict.fromkeys(laws, math.nan), law_notes=notes)
    u = sample.scores(options)
    evidence = TailEvidence()
    if fit.tail is not None:
        broad = fit.regime is not None and fit.regime.name == "broad_tail"
        evidence = tail_evidence(
            values,
            fit.tail,
            u,
            min_tail=options.min_tail,
            ks=options.ks,
            threshold=options.threshold,
            rivals=broad,
        )
    p_values: dict[str, float] = {}
    for name, fitted in laws.items():
        if name == TAIL_LAW:
            p_values[name] = evidence.power_law
        elif name in TAIL_LAWS and fit.tail is not None:
            p_values[name] = _tail_p(name, fitted, values, fit.tail, u, options)
        elif name in MATRIX_LAWS:
            p_values[name] = _matrix_p(fitted, sample, options)
        else:
            p_values[name], intervals = calibrate_law(name, fitted, u, options.level)
            laws[name] = replace(fitted, intervals=intervals)
    return replace(
        fit,
        laws=laws,
        law_p_values=p_values,
        law_notes=notes,
        tail_evidence=evidence,
        no_tail_p_value=_no_tail_p(values, u) if "beta_prime" in laws else math.nan,
    )


def _fit_laws(
    values: np.ndarray, tail: PowerLawTail | None, sample: _Sample, options: FitOptions
) -> tuple[dict[str, LawFit], dict[str, str]]:
    """Whole-spectrum fits, except the laws that begin at the threshold of the tail; and why one is missing."""
    positive = values[values > 0.0]
    fitted: dict[str, LawFit] = {}
    notes: dict[str, str] = {}
    for name in options.laws:
        try:
            if name in MATRIX_LAWS:
                if len(sample.spectra) > 1:
                    raise SpectrumError("a law of whole spectra is fitted to single matrices, not to pooled ones")
                fitted[name] = law(values, name, level=options.level, n_rows=sample.n_rows, n_cols=sample.n_cols)
            elif name not in TAIL_LAWS:
                fitted[name] = law(positive, name, level=options.level)
            elif tail is not None:
                fitted[name] = law(positive[positive >= tail.threshold], name, level=options.level)
            else:
                raise SpectrumError("no tail")
        except (SpectrumError, UsageError) as error:
            notes[name] = f"not fitted: {error}"
        else:
            notes[name] = "; ".join(fitted[name].notes)
    return fitted, notes


def _tail_p(
    name: str, fitted: LawFit, values: np.ndarray, tail: PowerLawTail, u: np.ndarray, options: FitOptions
) -> float:
    return tail_law_p_value(
        name,
        fitted,
        values,
        tail.threshold,
        u,
        min_tail=options.min_tail,
        ks=options.ks,
        searched=options.threshold is None,
    )


def _matrix_p(fitted: LawFit, sample: _Sample, options: FitOptions) -> float:
    """P-value of a matrix ensemble; of the bulk that outliers leave, as a matrix of its own."""
    k = fitted.n_removed
    ensemble = "laguerre" if isinstance(fitted.law, MarchenkoPastur) else "matrix_f"
    return goodness_of_fit(
        sample.spectra[0][k:],
        sample.n_rows - k,
        sample.n_cols - k,
        ensemble=ensemble,
        draws=options.bootstrap,
        calibration=options.calibration,
    ).p_value


def _no_tail_p(values: np.ndarray, u: np.ndarray) -> float:
    """Calibrated p-value of the gamma law from its likelihood ratio against the beta prime law."""
    ascending = values[::-1][None]
    gamma = refit_rows("gamma", ascending)
    ratio = float((refit_rows("beta_prime", ascending).log_likelihood - gamma.log_likelihood)[0])
    null_law = Gamma(float(gamma.parameters["shape"][0]), float(gamma.parameters["scale"][0]))
    rows = rows_of(null_law, u)
    null = refit_rows("beta_prime", rows).log_likelihood - refit_rows("gamma", rows).log_likelihood
    return p_value(ratio - 1e-9, null)


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


def _preferred(laws: Mapping[str, LawFit]) -> str:
    """Whole-spectrum law of least Akaike criterion, undecided within 2 units; one law under two names counts once."""
    criteria = sorted(
        (2.0 * len(fitted.intervals) - 2.0 * fitted.log_likelihood, name)
        for name, fitted in laws.items()
        if name not in TAIL_LAWS and not fitted.joint and (name != "reciprocal_gamma" or "inverse_gamma" not in laws)
    )
    if not criteria:
        return ""
    if len(criteria) > 1 and criteria[1][0] - criteria[0][0] < 2.0:
        return "undecided"
    return criteria[0][1]


def _verdict(fit: SpectrumFit, initial: str, n_pooled: int) -> str:
    bulk, regime = fit.bulk, fit.regime
    if bulk is None or regime is None:
        return ""
    if regime.name == "random":
        start = f"still its initial {initial} law; " if initial in ("uniform", "normal") else ""
        return f"{start}Marchenko-Pastur, variance {bulk.variance:.2g}"
    if regime.name == "spikes" and n_pooled == 1:
        return f"{bulk.n_outliers} spike{'s' if bulk.n_outliers != 1 else ''} on an intact bulk"
    if regime.name == "broad_tail" and fit.tail is not None and not regime.heavy_entries:
        return fit.tail_evidence.sentence()
    return regime.reason

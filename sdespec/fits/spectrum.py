"""All estimates for one spectrum, or for several that are pooled, with their nulls and a verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from sdespec.core.errors import SpectrumError, UsageError
from sdespec.fits.bulk_fit import fit_bulk, mean_of_bulks
from sdespec.fits.calibrated_tail import calibrated_tail
from sdespec.fits.calibration import scores
from sdespec.fits.goodness import calibrate_law, goodness_of_fit, tail_law_p_value
from sdespec.fits.likelihood import MATRIX_LAWS, TAIL_LAWS, LawFit, law
from sdespec.fits.power_law import PowerLawTail, power_law_tail
from sdespec.fits.refits import p_value, refit_rows, rows_of
from sdespec.fits.regime import Regime
from sdespec.fits.spectrum_fit import FitOptions, SpectrumFit
from sdespec.fits.spliced_tail import splice
from sdespec.fits.tail_evidence import TailEvidence, tail_evidence
from sdespec.fits.validation import check_spectrum
from sdespec.laws import Gamma, MarchenkoPastur

__all__ = ["fit_spectrum"]

TAIL_LAW = "pareto"


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
    singles = [fit_bulk(row, n_rows, n_cols, options, null, reference_variance) for row in rows]
    fit = mean_of_bulks(singles, n_rows, n_cols, options.level)
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

"""The verb compare: differences with simultaneous intervals, and a four-valued verdict for each quantity."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from sdespec.compare.quantities import QUANTITIES, Row, rows_of
from sdespec.compare.sides import SCALARS, pairs
from sdespec.core.dataset import Entry, build
from sdespec.core.errors import InputError, UsageError
from sdespec.core.provenance import record

__all__ = ["compare"]


def compare(
    observed: xr.Dataset,
    predicted: Any,
    *,
    quantities: Sequence[str] | None = None,
    tolerance: float | Mapping[str, float] | None = None,
    significance: float = 1e-3,
) -> xr.Dataset:
    r"""Hold observed spectra against a prediction, and give a verdict with an error bar for each quantity.

    With the difference :math:`d`, its standard error over replicates :math:`s` and the number of rows :math:`q`,

    .. math:: I = d \pm t_{1 - \alpha/2q}\, s

    Parameters
    ----------
    observed : xarray.Dataset
        Result of ``simulate`` or ``measure``, with ``eigenvalue``, or of ``integrators.simulate_statistics``.
    predicted : xarray.Dataset, ensemble or law
        Result of ``predict``, or another one of ``simulate`` or ``simulate_statistics``; an object with ``rvs`` and
        ``rank``, which gives whole spectra; or a law of one eigenvalue, with ``cdf`` and ``mean``.
    quantities : sequence of str, optional
        Some of ``trace_mean, trace_variance, log_elementary_moment, density, outlier, eigenvalue, train_loss,
        test_loss, test_score, ntk_top, sharpness``; all by default.
    tolerance : float or mapping, optional
        Largest difference that still counts as agreement, relative to the prediction; for ``density`` it is a KS
        distance, for ``log_elementary_moment`` a difference of logarithms. A mapping gives one for each quantity.
    significance : float
        Probability that one or more true predictions of the whole result are called ``disagree``.

    Returns
    -------
    xarray.Dataset
        Over the dim ``quantity``: ``observed, predicted, difference, interval, z_score, relative_error, distance,
        verdict``, with the coordinates ``quantity_name, layer, time``. Verdicts: ``agree`` where the interval lies
        inside +- tolerance; ``disagree`` where it excludes zero and does not; ``not_comparable`` where no common
        ground exists (other rank, a density whose grid lacks mass, a run that diverged, an outlier whose order
        parameter ``escape`` is within rank^(-1/3) of 1); ``undecided`` otherwise. Without a tolerance
        nothing can agree: the verdict is ``disagree`` or ``undecided``.

    Raises
    ------
    InputError
        A ValueError, if the sides store other matrices or clocks or have nothing in common.
    UsageError
        A ValueError, if an option is not allowed.

    Notes
    -----
    Intervals are simultaneous over the rows (Bonferroni): Student's law for means, Welch for two samples, a
    jackknife of the logarithm for variances, the delta method for ``log_elementary_moment`` (orders 2, 3, powers of
    two and the rank; no interval where its error exceeds 0.2 or one replicate dominates). The interval of a KS
    distance comes from a bootstrap over whole replicates and Borell's inequality for its tail, never from independent
    eigenvalues. A density, an outlier or a one-body law is a limit law, so its interval is widened by 1/rank,
    relative for places, and for a density by as much for each outlier.
    Of a result of ``simulate_statistics`` everything but ``log_elementary_moment`` is compared; its density is that of
    bins, and has a row for each bin of 25 eigenvalues or more.
    A single replicate has no error of its own: it borrows that of the predicted replicates, of
    the predicted trace variance or of ``<name>_stderr`` (see ``sdespec.finite_width``), and is undecided otherwise.

    References
    ----------
    Adler and Taylor, Random Fields and Geometry (2007), section 2.1 (Borell's inequality).

    Examples
    --------
    >>> import numpy as np
    >>> import sdespec as sd
    >>> ds = sd.measure({"w": np.random.default_rng(0).normal(size=(20, 30))}, null="none")
    >>> check = sd.compare(ds, sd.laws.LaguerreEnsemble(20, 30, 1.0), quantities=["trace_mean"], tolerance=0.5)
    >>> str(check.verdict.item())
    'agree'
    """
    names = _quantities(quantities)
    limits = _tolerances(tolerance)
    if not 0.0 < significance < 1.0:
        raise UsageError(f"significance is {significance!r}; it must lie between 0 and 1")
    known = ("eigenvalue", "eigenvalue_mean", *SCALARS)
    if not isinstance(observed, xr.Dataset) or not any(name in observed for name in known):
        raise InputError("observed must be a Dataset with 'eigenvalue' or losses; give a result of simulate or measure")
    rows = [row for label, mine, other in pairs(observed, predicted) for row in rows_of(label, mine, other, names)]
    if not rows:
        raise InputError(
            f"observed and predicted have none of the quantities {', '.join(names)} in common; nothing is compared"
        )
    provenance = record(
        "sdespec.compare",
        {"observed": observed, "predicted": predicted, "quantities": names, "tolerance": tolerance,
         "significance": significance},
    )  # fmt: skip
    attrs: dict[str, Any] = {"significance": significance, "correction": "Bonferroni", "n_comparisons": len(rows)}
    return _dataset(rows, limits, significance, provenance, attrs)


def _hint(name: str) -> str:
    close = difflib.get_close_matches(name, QUANTITIES, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; allowed: {', '.join(QUANTITIES)}"


def _known(names: Iterable[str]) -> list[str]:
    """The names, each of them a quantity."""
    found = list(names)
    for name in found:
        if name not in QUANTITIES:
            raise UsageError(f"{name!r} is no quantity that can be compared{_hint(name)}")
    return found


def _quantities(quantities: Sequence[str] | None) -> list[str]:
    if quantities is None:
        return list(QUANTITIES)
    if isinstance(quantities, str) or not quantities:
        raise UsageError(f"quantities is {quantities!r}; give a list with one or more of {', '.join(QUANTITIES)}")
    return [name for name in QUANTITIES if name in _known(quantities)]


def _tolerances(tolerance: float | Mapping[str, float] | None) -> dict[str, float]:
    """A tolerance for each quantity that has one."""
    if tolerance is None:
        return {}
    given = tolerance if isinstance(tolerance, Mapping) else dict.fromkeys(QUANTITIES, tolerance)
    for name in _known(given):
        if not (given[name] >= 0.0 and math.isfinite(given[name])):
            raise UsageError(f"the tolerance of {name!r} is {given[name]!r}; it must be a number of at least 0")
    return {name: float(value) for name, value in given.items()}


def _verdict(row: Row, bounds: tuple[float, float], tolerance: float | None) -> str:
    """The four-valued verdict of one row."""
    if not row.comparable:
        return "not_comparable"
    low, high = bounds
    if not (math.isfinite(low) and math.isfinite(high)):
        return "undecided"
    if tolerance is not None:
        unit = 1.0 if row.scale in ("logarithm", "distance") else abs(row.predicted.value)
        limit = tolerance * unit + 1e-12 * unit
        if -limit <= low and high <= limit:
            return "agree"
        if row.scale == "distance" and high <= limit:  # a distance is never negative
            return "agree"
    return "disagree" if low > 0.0 or high < 0.0 else "undecided"


def _ratio(top: float, bottom: float) -> float:
    return top / bottom if math.isfinite(top) and bottom != 0.0 else math.nan


def _dataset(
    rows: list[Row], limits: Mapping[str, float], significance: float, provenance: str, attrs: dict[str, Any]
) -> xr.Dataset:
    """Intervals, scores and verdicts of all rows."""
    bounds = [row.bounds(significance / len(rows)) for row in rows]
    difference = [_minus(row) for row in rows]
    places = [row.scale in ("difference", "ratio") for row in rows]
    one = ("quantity",)
    kind = {"ci_kind": "simultaneous", "ci_prob": 1.0 - significance}
    variables: dict[str, Entry] = {
        "observed": (one, [row.observed.value for row in rows]),
        "observed_stderr": (one, [_shown_error(row) for row in rows]),
        "predicted": (one, [row.predicted.value for row in rows]),
        "difference": (one, difference),
        "interval": (("quantity", "ci_bound"), np.array(bounds), kind),
        "z_score": (one, [_ratio(d, row.stderr) if row.band is None else math.nan
                          for d, row in zip(difference, rows, strict=True)]),
        "relative_error": (one, [_ratio(d, row.predicted.value) if place else math.nan
                                 for d, row, place in zip(difference, rows, places, strict=True)]),
        "distance": (one, [row.observed.value if row.scale == "distance" else math.nan for row in rows]),
        "tolerance": (one, [limits.get(row.quantity, math.nan) * (abs(row.predicted.value) if place else 1.0)
                            for row, place in zip(rows, places, strict=True)]),
        "verdict": (one, [_verdict(row, bound, limits.get(row.quantity))
                          for row, bound in zip(rows, bounds, strict=True)]),
    }  # fmt: skip
    coords: dict[str, Entry] = {
        "quantity": (one, [row.name for row in rows]),
        "quantity_name": (one, [row.quantity for row in rows]),
        "ci_bound": (("ci_bound",), ["lower", "upper"]),
    }
    labels = [dict(row.label) for row in rows]
    if all("layer" in label for label in labels):
        coords["layer"] = (one, [str(label["layer"]) for label in labels])
    if all("time" in label for label in labels):
        coords["time"] = (one, [float(label["time"]) for label in labels])
    return build(variables, coords, source="compare", provenance=provenance, attrs=attrs)


def _shown_error(row: Row) -> float:
    """Standard error of the observed value, on its own scale."""
    if row.band is not None:
        return row.band.spread
    return row.observed.stderr * (row.observed.value if row.scale == "ratio" else 1.0)


def _minus(row: Row) -> float:
    """The difference; NaN where a logarithm is infinite."""
    if not (math.isfinite(row.observed.value) and math.isfinite(row.predicted.value)):
        return math.nan
    return row.observed.value - row.predicted.value

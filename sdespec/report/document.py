"""The JSON documents of the command line, as typed models; numbers are finite or null."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal

import xarray as xr
from pydantic import BaseModel, ConfigDict, Field

from sdespec.core.errors import InputError
from sdespec.verbs import without_pooled

__all__ = ["FitDocument", "MeasureDocument", "fit_document", "measure_document"]

Number = float | None


class _Document(BaseModel):
    """Frozen, with no unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class CalibratedTailDocument(_Document):
    """The largest tail that passes for a power law, and the exponent of its inner part."""

    exponent: Number
    interval: tuple[Number, Number]
    threshold: Number
    n_tail: int
    n_accepted: int


class SplicedTailDocument(_Document):
    """A Pareto tail beyond a gamma bulk."""

    exponent: Number
    interval: tuple[Number, Number]
    threshold: Number


class TailDocument(_Document):
    """The power-law tail of one matrix."""

    exponent: float
    exponent_corrected: Number
    interval: tuple[Number, Number]
    threshold: float
    n_tail: int
    decades: Number
    ks_distance: Number
    p_value: Number
    shuffled_exponent: Number
    exponent_without_largest: Number = None
    p_value_against_log_normal: Number = None
    p_value_against_cutoff: Number = None
    log_normal_p_value: Number = None
    cutoff_p_value: Number = None
    calibrated: CalibratedTailDocument | None = None
    spliced: SplicedTailDocument | None = None
    note: str | None = None


class LawDocument(_Document):
    """One law fitted to one matrix; ``pareto`` describes the tail alone, the others the whole spectrum."""

    parameters: dict[str, float]
    intervals: dict[str, tuple[Number, Number]]
    ks_distance: Number
    log_likelihood: Number
    p_value: Number
    note: str | None = None


class SpacingDocument(_Document):
    """Ratio of neighbouring spacings, with its tests of level repulsion."""

    ratio: float
    stderr: Number
    p_independent: Number
    p_repulsion: Number


class VectorsDocument(_Document):
    """Singular vectors of one side held against random directions."""

    p_value: Number
    n_rejected: int
    n_tested: int | None = None


class SpikeDocument(_Document):
    """One outlier, and the strength of the spike behind it."""

    outlier: float
    strength: Number
    interval: tuple[Number, Number]


class MatrixDocument(_Document):
    """One tensor of the source: a matrix with its estimates, or the reason why there is none."""

    name: str
    time: Number
    replicate: int | None
    n_rows: int
    n_cols: int
    role: str | None
    status: str
    reason: str
    n_eigenvalues: int
    entry_variance: Number
    at_initialization: str | None
    spacing: SpacingDocument | None = None
    vectors: dict[str, VectorsDocument] | None = None


class FittedMatrixDocument(MatrixDocument):
    """A matrix with everything that ``fit`` estimated."""

    variance: Number
    variance_interval: tuple[Number, Number] | None = None
    bulk_edge: tuple[Number, Number] | None
    n_outliers: int | None
    n_outliers_shuffled: int | None
    outlier_cutoff: Number
    outlier_energy: Number
    spikes: list[SpikeDocument] | None = None
    spike_undetected: Number = None
    n_below: int | None = None
    ks_mp: Number
    ks_mp_rest: Number
    ks_mp_shuffled: Number
    ks_mp_null_quantile: Number
    tail: TailDocument | None
    laws: dict[str, LawDocument]
    preferred_law: str | None
    regime: str | None
    regime_reason: str | None = None
    verdict: str | None


class FitDocument(_Document):
    """Document ``sdespec.fit/1``."""

    schema_: Literal["sdespec.fit/1"] = Field(default="sdespec.fit/1", alias="schema")
    version: str
    file: str | None
    seed: int | None
    min_tail: int
    null: str | None
    ks: str
    calibration: str
    matrices: list[FittedMatrixDocument]


class MeasureDocument(_Document):
    """Document ``sdespec.measure/1``."""

    schema_: Literal["sdespec.measure/1"] = Field(default="sdespec.measure/1", alias="schema")
    version: str
    file: str | None
    null: str | None
    matrices: list[MatrixDocument]


def _number(value: Any) -> float | None:
    out = float(value)
    return out if math.isfinite(out) else None


def _pair(values: Any) -> tuple[float | None, float | None]:
    return _number(values[0]), _number(values[1])


def _text(one: xr.Dataset, name: str) -> str | None:
    return (str(one[name].values) or None) if name in one.variables else None


def _optional(one: xr.Dataset, name: str) -> float | None:
    return _number(one[name].values) if name in one.variables else None


def _cells(ds: xr.Dataset) -> Iterator[xr.Dataset]:
    """One Dataset for each (layer, replicate, time)."""
    for dim in ("layer", "replicate", "time"):
        if dim in ds.dims:
            for index in range(ds.sizes[dim]):
                yield from _cells(ds.isel({dim: index}))
            return
    yield ds


def _matrix(one: xr.Dataset) -> dict[str, Any]:
    return {
        "name": str(one["layer"].values),
        "time": _optional(one, "time"),
        "replicate": int(one["replicate"]) if "replicate" in one.coords else None,
        "n_rows": int(one["n_rows"]),
        "n_cols": int(one["n_cols"]),
        "role": _text(one, "role"),
        "status": _text(one, "status") or "ok",
        "reason": _text(one, "reason") or "",
        "n_eigenvalues": int(one["rank_count"]) if "rank_count" in one else 0,
        "entry_variance": _optional(one, "entry_variance"),
        "at_initialization": _text(one, "at_initialization"),
        "spacing": _spacing(one),
        "vectors": _vectors(one),
    }


def _spacing(one: xr.Dataset) -> SpacingDocument | None:
    ratio = _optional(one, "spacing_ratio")
    if ratio is None:
        return None
    return SpacingDocument(
        ratio=ratio,
        stderr=_optional(one, "spacing_ratio_stderr"),
        p_independent=_optional(one, "spacing_p_independent"),
        p_repulsion=_optional(one, "spacing_p_repulsion"),
    )


def _vectors(one: xr.Dataset) -> dict[str, VectorsDocument] | None:
    if "porter_thomas_p" not in one:
        return None
    sides = {str(side): one.sel(vector=side) for side in one["vector"].values}
    return {
        side: VectorsDocument(
            p_value=_optional(found, "porter_thomas_p"),
            n_rejected=int(found["porter_thomas_rejected"]),
            n_tested=int(found["porter_thomas_mode_p"].count()) if "porter_thomas_mode_p" in found else None,
        )
        for side, found in sides.items()
        if _optional(found, "porter_thomas_p") is not None
    }


def _tail(one: xr.Dataset) -> TailDocument | None:
    if _optional(one, "tail_exponent") is None:
        return None
    return TailDocument(
        exponent=float(one["tail_exponent"]),
        exponent_corrected=_optional(one, "tail_exponent_corrected"),
        interval=_pair(one["tail_interval"].values),
        threshold=float(one["threshold"]),
        n_tail=int(one["n_tail"]),
        decades=_optional(one, "tail_decades"),
        ks_distance=_optional(one, "ks_distance"),
        p_value=_optional(one, "tail_p_value"),
        shuffled_exponent=_optional(one, "tail_exponent_shuffled"),
        exponent_without_largest=_optional(one, "tail_exponent_without_largest"),
        p_value_against_log_normal=_optional(one, "tail_p_against_log_normal"),
        p_value_against_cutoff=_optional(one, "tail_p_against_cutoff"),
        log_normal_p_value=_optional(one, "log_normal_p_value"),
        cutoff_p_value=_optional(one, "cutoff_p_value"),
        calibrated=_calibrated(one),
        spliced=_spliced(one),
        note=_text(one, "tail_note"),
    )


def _calibrated(one: xr.Dataset) -> CalibratedTailDocument | None:
    if _optional(one, "calibrated_exponent") is None:
        return None
    return CalibratedTailDocument(
        exponent=_optional(one, "calibrated_exponent"),
        interval=_pair(one["calibrated_interval"].values),
        threshold=_optional(one, "calibrated_threshold"),
        n_tail=int(one["n_calibrated"]),
        n_accepted=int(one["n_accepted"]),
    )


def _spliced(one: xr.Dataset) -> SplicedTailDocument | None:
    if _optional(one, "spliced_exponent") is None:
        return None
    return SplicedTailDocument(
        exponent=_optional(one, "spliced_exponent"),
        interval=_pair(one["spliced_interval"].values),
        threshold=_optional(one, "spliced_threshold"),
    )


def _laws(one: xr.Dataset) -> dict[str, LawDocument]:
    out = {}
    for i, name in enumerate(map(str, one["law"].values)):
        law = one.isel(law=i)
        estimates = {
            str(key): (float(value), _pair(bounds))
            for key, value, bounds in zip(
                one["parameter"].values,
                law["parameter_estimate"].values,
                law["parameter_interval"].values,
                strict=True,
            )
            if math.isfinite(value)
        }
        if estimates:
            out[name] = LawDocument(
                parameters={key: value for key, (value, _) in estimates.items()},
                intervals={key: bounds for key, (_, bounds) in estimates.items()},
                ks_distance=_number(law["law_ks_distance"]),
                log_likelihood=_number(law["log_likelihood"]),
                p_value=_number(law["p_value"]),
                note=_text(law, "law_note"),
            )
    return out


def _spikes(one: xr.Dataset) -> list[SpikeDocument] | None:
    if "spike_strength" not in one:
        return None
    found = zip(one["outlier"].values, one["spike_strength"].values, one["spike_strength_interval"].values, strict=True)
    return [
        SpikeDocument(outlier=float(place), strength=_number(strength), interval=_pair(bounds))
        for place, strength, bounds in found
        if math.isfinite(place)
    ]


def _fitted(one: xr.Dataset) -> FittedMatrixDocument:
    fitted = _text(one, "regime") is not None
    edges = _pair(one["bulk_edge"].values)
    return FittedMatrixDocument(
        **_matrix(one),
        variance=_optional(one, "variance"),
        variance_interval=_pair(one["variance_interval"].values) if "variance_interval" in one else None,
        bulk_edge=None if edges[1] is None else edges,
        n_outliers=int(one["n_outliers"]) if fitted and _optional(one, "variance") is not None else None,
        n_outliers_shuffled=int(one["n_outliers_shuffled"]) if fitted else None,
        outlier_cutoff=_optional(one, "outlier_cutoff"),
        outlier_energy=_optional(one, "outlier_energy"),
        spikes=_spikes(one) if fitted else None,
        spike_undetected=_optional(one, "spike_undetected"),
        n_below=int(one["n_below"]) if fitted and "n_below" in one else None,
        ks_mp=_optional(one, "ks_mp"),
        ks_mp_rest=_optional(one, "ks_mp_rest"),
        ks_mp_shuffled=_optional(one, "ks_mp_shuffled"),
        ks_mp_null_quantile=_optional(one, "ks_mp_null_quantile"),
        tail=_tail(one),
        laws=_laws(one),
        preferred_law=_text(one, "preferred_law"),
        regime=_text(one, "regime"),
        regime_reason=_text(one, "regime_reason"),
        verdict=_text(one, "verdict_text"),
    )


def _attribute(ds: xr.Dataset, name: str) -> str | None:
    return str(ds.attrs[name]) if name in ds.attrs else None


def fit_document(ds: xr.Dataset) -> FitDocument:
    """Make the document ``sdespec.fit/1`` of a fitted Dataset; one entry for each (layer, replicate, time), or pool.

    Parameters
    ----------
    ds : xarray.Dataset
        Result of ``fit``.

    Returns
    -------
    FitDocument

    Raises
    ------
    InputError
        If the Dataset holds no fits.
    """
    if "regime" not in ds:
        raise InputError("the Dataset holds no fits; call fit first")
    return FitDocument(
        version=str(ds.attrs["sdespec_version"]),
        file=_attribute(ds, "file"),
        seed=int(ds.attrs["fit_seed"]),
        min_tail=int(ds.attrs["min_tail"]),
        null=_attribute(ds, "null"),
        ks=str(ds.attrs["ks"]),
        calibration=str(ds.attrs["calibration"]),
        matrices=[_fitted(one) for one in _cells(without_pooled(ds))],
    )


def measure_document(ds: xr.Dataset) -> MeasureDocument:
    """Make the document ``sdespec.measure/1`` of measured spectra.

    Parameters
    ----------
    ds : xarray.Dataset
        Result of ``measure``.

    Returns
    -------
    MeasureDocument
    """
    return MeasureDocument(
        version=str(ds.attrs["sdespec_version"]),
        file=_attribute(ds, "file"),
        null=_attribute(ds, "null"),
        matrices=[MatrixDocument(**_matrix(one)) for one in _cells(ds)],
    )

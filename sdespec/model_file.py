"""MODEL.toml: a model and what to run, strictly read; and the JSON documents of its results."""

from __future__ import annotations

import dataclasses
import math
import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from pydantic import BaseModel, ConfigDict, Field

from sdespec.core.errors import UsageError
from sdespec.core.toml import read_toml
from sdespec.dispatch import predict, simulate
from sdespec.models import model_from_table

__all__ = ["CompareDocument", "ModelFile", "RunDocument", "compare_document", "load_model_file", "run_document"]

Number = float | None


class _Strict(BaseModel):
    """Frozen, with no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RunTable(_Strict):
    """The table ``[run]``."""

    times: list[float] = Field(min_length=1)
    seed: int = 0
    replicates: int = Field(default=1, ge=1)
    method: str = "auto"
    time_step: float | None = None
    initial: Literal["stationary"] | list[list[float]] | None = None


class _File(_Strict):
    """The whole file."""

    model: dict[str, Any]
    run: RunTable


@dataclasses.dataclass(frozen=True)
class ModelFile:
    """A model and what to run.

    Attributes
    ----------
    model : model
        One of ``sdespec.models``.
    run : RunTable
        Times, seed, replicates, method, longest step and start.
    """

    model: Any
    run: RunTable

    def simulate(self, *, seed: int | None = None) -> xr.Dataset:
        """Draw the spectra; a given seed wins over that of the file."""
        run = self.run
        own = run.seed if seed is None else seed
        step = {} if run.time_step is None else {"time_step": run.time_step}
        options = step | {"replicates": run.replicates, "method": run.method}
        return simulate(self.model, run.times, seed=own, **options, **self._start)

    def predict(self) -> xr.Dataset:
        """Calculate what there is to know."""
        return predict(self.model, self.run.times, **self._start)

    @property
    def _start(self) -> dict[str, Any]:
        """Where the run starts, if the file says so."""
        initial = self.run.initial
        if initial is None or isinstance(initial, str):
            return {} if initial is None else {"initial": initial}
        if len({len(row) for row in initial}) != 1:
            raise UsageError("run.initial has rows of unequal lengths; it must be a matrix")
        return {"initial": np.array(initial)}


def load_model_file(path: str | os.PathLike[str]) -> ModelFile:
    """Read MODEL.toml.

    Parameters
    ----------
    path : path
        A file with the tables ``[model]`` (``type`` and the fields of that model, with noises and a quadratic loss as
        tables of their own; see ``sdespec.models.model_from_table``) and ``[run]`` (``times``, which may hold ``inf``,
        ``seed``, ``replicates``, ``method``, ``time_step``, and ``initial``, "stationary" or a matrix).

    Returns
    -------
    ModelFile

    Raises
    ------
    FormatError
        If the file is missing or not valid TOML.
    UsageError
        If a key is unknown or has a wrong value.
    """
    file = Path(path)
    content = read_toml(file, _File, lambda place: RunTable.model_fields if len(place) > 1 else _File.model_fields)
    try:
        return ModelFile(model_from_table(content.model), content.run)
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from error


class _Document(BaseModel):
    """Frozen, with no unknown fields; numbers are finite or null."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)


class CellDocument(_Document):
    """One matrix at one time; the time is null where it is infinite."""

    layer: str
    n_rows: int
    n_cols: int
    time: Number
    trace_mean: Number
    trace_stderr: Number = None
    trace_variance: Number = None
    largest: Number = None
    smallest: Number = None
    bulk_edge: tuple[Number, Number] | None = None
    n_outliers: int | None = None
    outliers: list[float] | None = None


class NetworkDocument(_Document):
    """A whole network at one time: means over replicates."""

    time: Number
    converged: int | None = None
    train_loss: Number = None
    test_loss: Number = None
    ntk_top: Number = None
    sharpness: Number = None


class RunDocument(_Document):
    """Result of simulate or predict; ``network`` is null where the model is a single matrix."""

    schema_: Literal["sdespec.simulate/1", "sdespec.predict/1"] = Field(alias="schema")
    model: str
    clock: str
    method: str | None = None
    seed: int | None = None
    replicates: int | None = None
    cells: list[CellDocument]
    network: list[NetworkDocument] | None = None


def _finite(value: Any) -> Number:
    number = float(value)
    return number if math.isfinite(number) else None


def run_document(ds: xr.Dataset) -> RunDocument:
    """Document of a result of simulate or predict.

    Parameters
    ----------
    ds : xarray.Dataset

    Returns
    -------
    RunDocument
    """
    simulated = "eigenvalue" in ds
    describe = _simulated if simulated else _predicted
    cells = []
    for i in range(ds.sizes["layer"]):
        for j in range(ds.sizes["time"]):
            one = ds.isel(layer=i, time=j)
            place: dict[str, Any] = {"layer": str(one["layer"].values), "n_rows": int(one["n_rows"])}
            place |= {"n_cols": int(one["n_cols"]), "time": _finite(one["time"])}
            cells.append(CellDocument(**place, **describe(one)))
    return RunDocument(
        schema="sdespec.simulate/1" if simulated else "sdespec.predict/1",
        model=str(ds.attrs.get("model", "")),
        clock=str(ds["time"].attrs["clock"]),
        method=ds.attrs.get("method"),
        seed=int(ds.attrs["seed"]) if "seed" in ds.attrs else None,
        replicates=ds.sizes.get("replicate") if simulated else None,
        cells=cells,
        network=[_network(ds.isel(time=j)) for j in range(ds.sizes["time"])] if "test_loss" in ds else None,
    )


def _network(one: xr.Dataset) -> NetworkDocument:
    """Losses and sharpness at one time; the number of replicates that have not diverged."""
    names = ("train_loss", "test_loss", "ntk_top", "sharpness")
    numbers: dict[str, Any] = {name: _finite(one[name].mean()) for name in names if name in one}
    return NetworkDocument(time=_finite(one["time"]), converged=int(one["converged"].sum()), **numbers)


def _simulated(one: xr.Dataset) -> dict[str, Any]:
    """Trace and extreme eigenvalues, over replicates."""
    values = np.atleast_2d(one["eigenvalue"].values)
    values = values[np.isfinite(values).any(axis=1)]  # without replicates that diverged
    values = values[:, np.isfinite(values).all(axis=0)]
    if not values.size:
        return {"trace_mean": None}
    trace, size = values.sum(axis=1), len(values)
    spread = float(trace.var(ddof=1)) if size > 1 else None
    return {
        "trace_mean": _finite(trace.mean()),
        "trace_stderr": None if spread is None else math.sqrt(spread / size),
        "trace_variance": spread,
        "largest": _finite(values[:, 0].mean()),
        "smallest": _finite(values[:, -1].mean()),
    }


def _predicted(one: xr.Dataset) -> dict[str, Any]:
    """Moments of the trace, edges and outliers."""
    found: dict[str, Any] = {name: _finite(one[name]) for name in ("trace_mean", "trace_variance") if name in one}
    found.setdefault("trace_mean", None)
    if "bulk_edge" in one:
        low, high = (_finite(edge) for edge in one["bulk_edge"].values)
        found["bulk_edge"] = (low, high)
    if "n_outliers" in one:
        found["n_outliers"] = int(one["n_outliers"])
    if "outlier" in one:
        found["outliers"] = [float(place) for place in one["outlier"].values.ravel() if math.isfinite(place)]
    return found


class QuantityDocument(_Document):
    """One compared quantity."""

    name: str
    quantity: str
    observed: Number
    observed_stderr: Number
    predicted: Number
    difference: Number
    interval: tuple[Number, Number]
    z_score: Number
    relative_error: Number
    distance: Number
    verdict: str


class CompareDocument(_Document):
    """Result of compare."""

    schema_: Literal["sdespec.compare/1"] = Field(alias="schema")
    significance: float
    correction: str
    quantities: list[QuantityDocument]


_NUMBERS = ("observed", "observed_stderr", "predicted", "difference", "z_score", "relative_error", "distance")


def compare_document(ds: xr.Dataset) -> CompareDocument:
    """Document of a result of compare.

    Parameters
    ----------
    ds : xarray.Dataset

    Returns
    -------
    CompareDocument
    """
    lines = []
    for i in range(ds.sizes["quantity"]):
        one = ds.isel(quantity=i)
        low, high = (_finite(bound) for bound in one["interval"].values)
        numbers: dict[str, Any] = {name: _finite(one[name]) for name in _NUMBERS}
        lines.append(
            QuantityDocument(
                name=str(one["quantity"].values),
                quantity=str(one["quantity_name"].values),
                verdict=str(one["verdict"].values),
                interval=(low, high),
                **numbers,
            )
        )
    return CompareDocument(
        schema="sdespec.compare/1",
        significance=float(ds.attrs["significance"]),
        correction=str(ds.attrs["correction"]),
        quantities=lines,
    )

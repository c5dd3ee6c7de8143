"""Tables of comparisons and of runs as text."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr

__all__ = ["comparison_closing", "comparison_rows", "is_comparison", "is_run", "run_closing", "run_rows"]

VERDICTS = ("agree", "disagree", "undecided", "not_comparable")


def is_comparison(ds: xr.Dataset) -> bool:
    """Whether the Dataset is a result of compare."""
    return "quantity" in ds.dims and "verdict" in ds and "regime" not in ds


def is_run(ds: xr.Dataset) -> bool:
    """Whether the Dataset is an unfitted result of simulate or predict."""
    return ds.attrs.get("source") in ("simulate", "predict") and "regime" not in ds


def _text(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "-"


def comparison_rows(ds: xr.Dataset) -> tuple[list[str], list[list[str]]]:
    """Header and one row for each compared quantity.

    Parameters
    ----------
    ds : xarray.Dataset
        Result of ``compare``.

    Returns
    -------
    header : list of str
    rows : list of list of str
    """
    header = ["quantity", "observed", "predicted", "difference", "interval", "verdict"]
    body = []
    for i in range(ds.sizes["quantity"]):
        one = ds.isel(quantity=i)
        error = float(one["observed_stderr"]) if "observed_stderr" in one else math.nan
        low, high = (float(bound) for bound in one["interval"].values)
        body.append(
            [
                str(one["quantity"].values),
                _text(float(one["observed"])) + (f" ± {error:.2g}" if math.isfinite(error) else ""),
                _text(float(one["predicted"])),
                _text(float(one["difference"])),
                f"[{low:.2g}, {high:.2g}]" if math.isfinite(low) else "-",
                str(one["verdict"].values).replace("_", " "),
            ]
        )
    return header, body


def comparison_closing(ds: xr.Dataset) -> str:
    """Count of verdicts in one line."""
    verdicts = ds["verdict"].values.astype(str)
    counts = [(name, int((verdicts == name).sum())) for name in VERDICTS]
    parts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts if count)
    return f"{len(verdicts)} {'quantity' if len(verdicts) == 1 else 'quantities'}: {parts}"


def run_rows(ds: xr.Dataset) -> tuple[list[str], list[list[str]]]:
    """Header and one row for each layer and time of a simulation or a prediction.

    Parameters
    ----------
    ds : xarray.Dataset
        Result of ``simulate`` or ``predict``.

    Returns
    -------
    header : list of str
    rows : list of list of str
    """
    dims = [str(dim) for dim in ds.dims if str(dim) not in _INNER]
    simulated = "eigenvalue" in ds
    numbers = ["trace", "largest", "smallest"] if simulated else ["lower edge", "upper edge", "outliers"]
    if "trace_mean" in ds:
        numbers.insert(0, "trace")
    network = [name for name in ("largest outlier", "escape", "test loss") if _column(ds, name) is not None]
    body = []
    for index in np.ndindex(*(ds.sizes[dim] for dim in dims)):
        one = ds.isel(dict(zip(dims, index, strict=True)))
        names = [_label(one, dim) for dim in dims]
        more = [_text(_mean(_column(one, name))) for name in network]
        body.append([*names, *(_simulated(one) if simulated else _predicted(one)), *more])
    return [*dims, *numbers, *network], body


def _column(ds: xr.Dataset, name: str) -> np.ndarray | None:
    """Values of a column that only networks have: of the first mode, of all replicates."""
    if "test_loss" not in ds:
        return None
    variable = {"largest outlier": "outlier"}.get(name, name.replace(" ", "_"))
    if variable not in ds:
        return None
    array = ds[variable].isel(mode=0) if "mode" in ds[variable].dims else ds[variable]
    return np.asarray(array.values, dtype=np.float64)


_INNER = ("replicate", "rank", "mode", "order", "x", "side", "ci_bound", "row", "col", "null_draw")


def _label(one: xr.Dataset, dim: str) -> str:
    """Value of a coordinate as text."""
    value = one[dim].values.item()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _simulated(one: xr.Dataset) -> list[str]:
    """Mean and spread over replicates of the trace, and the mean extreme eigenvalues."""
    values = np.atleast_2d(np.asarray(one["eigenvalue"].values, dtype=np.float64))
    values = values[:, np.isfinite(values).all(axis=0)]
    if not values.size:
        return ["-", "-", "-"]
    trace = values.sum(axis=1)
    spread = f" ± {trace.std(ddof=1) / math.sqrt(len(trace)):.2g}" if len(trace) > 1 else ""
    return [_text(float(trace.mean())) + spread, _text(values[:, 0].mean()), _text(values[:, -1].mean())]


def _predicted(one: xr.Dataset) -> list[str]:
    """Mean trace, edges and number of outliers."""
    edges = one["bulk_edge"].values if "bulk_edge" in one else (math.nan, math.nan)
    trace = [_text(float(one["trace_mean"]))] if "trace_mean" in one else []
    count = str(int(one["n_outliers"])) if "n_outliers" in one else "-"
    return [*trace, _text(float(edges[0])), _text(float(edges[1])), count]


def _mean(values: np.ndarray | None) -> float:
    """Mean of the finite values; NaN where there are none."""
    if values is None or not np.isfinite(values).any():
        return math.nan
    return float(values[np.isfinite(values)].mean())


def run_closing(ds: xr.Dataset) -> str:
    """What was run, in one line."""
    kind = "simulated" if ds.attrs.get("source") == "simulate" else "predicted"
    parts = [f"{ds.sizes['layer']} {'matrix' if ds.sizes['layer'] == 1 else 'matrices'} {kind}"]
    if "time" in ds.dims:
        parts.append(f"{ds.sizes['time']} times" if ds.sizes["time"] > 1 else "1 time")
    if "replicate" in ds.dims:
        parts.append(f"{ds.sizes['replicate']} replicates" if ds.sizes["replicate"] > 1 else "1 replicate")
    if "method" in ds.attrs:
        parts.append(f"method {ds.attrs['method']}")
    return ", ".join(parts)

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
    numbers = ["trace", "largest", "smallest"] if simulated else ["trace", "lower edge", "upper edge", "outliers"]
    body = []
    for index in np.ndindex(*(ds.sizes[dim] for dim in dims)):
        one = ds.isel(dict(zip(dims, index, strict=True)))
        names = [_label(one, dim) for dim in dims]
        body.append([*names, *(_simulated(one) if simulated else _predicted(one))])
    return [*dims, *numbers], body


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
    trace = _text(float(one["trace_mean"])) if "trace_mean" in one else "-"
    count = str(int(one["n_outliers"])) if "n_outliers" in one else "-"
    return [trace, _text(float(edges[0])), _text(float(edges[1])), count]


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

"""One self-contained HTML page of a simulation or a prediction: table, figures, provenance."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from sdespec.core.schema import DIMS
from sdespec.plots import outliers, spectrum, trajectories
from sdespec.report.page import environment, figure_address, options_of
from sdespec.tables import run_closing, run_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["run_page"]


def run_page(ds: xr.Dataset, *, title: str | None, max_figures: int) -> str:
    """Make the page of a result of simulate or predict.

    Parameters
    ----------
    ds : xarray.Dataset
        The result; of a sweep, all members have rows in the table and none has figures.
    title : str or None
        Heading; the model by default.
    max_figures : int
        Number of figures at most.

    Returns
    -------
    str
        HTML that needs nothing else.
    """
    header, rows = run_rows(ds)
    return (
        environment()
        .get_template("run.html.j2")
        .render(
            title=title or str(ds.attrs.get("model", "run")).split(":")[0],
            closing=run_closing(ds),
            simulated="eigenvalue" in ds,
            header=header,
            rows=rows,
            figures={caption: figure_address(draw) for caption, draw in _plots(ds)[:max_figures]},
            options=options_of(ds),
            version=str(ds.attrs["sdespec_version"]),
            provenance=json.dumps(json.loads(ds.attrs["provenance"]), indent=1),
        )
    )


def _plots(ds: xr.Dataset) -> list[tuple[str, Callable[[Axes], object]]]:
    """Captions and plots of each matrix."""
    if any(dim not in DIMS for dim in ds.dims):
        return []
    found: list[tuple[str, Callable[[Axes], object]]] = []
    several = ds.sizes.get("time", 1) > 1
    for layer in map(str, ds["layer"].values):
        if "eigenvalue" in ds and several:
            found.append((f"{layer}: eigenvalues in time", _bound(trajectories, ds, layer)))
        elif "eigenvalue" in ds and float(ds["eigenvalue"].sel(layer=layer).max()) > 0.0:
            one = ds.isel({dim: 0 for dim in ("replicate",) if dim in ds.dims})
            found.append((f"{layer}: spectrum", _bound(spectrum, one, layer)))
        if "outlier" in ds and several and np.isfinite(ds["bulk_edge"].sel(layer=layer).values).any():
            found.append((f"{layer}: outliers and bulk in time", _bound(outliers, ds, layer)))
    return found


def _bound(plot: Callable[..., object], ds: xr.Dataset, layer: str) -> Callable[[Axes], object]:
    return lambda ax: plot(ds, layer=layer, ax=ax)

"""One self-contained HTML page of a result: table, figures, skipped tensors, provenance."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from sdespec.core.dataset import write_atomically
from sdespec.core.errors import UsageError
from sdespec.plots import spectrum, tail
from sdespec.report.document import FittedMatrixDocument, MatrixDocument, fit_document, measure_document
from sdespec.report.page import environment, figure_address, options_of
from sdespec.report.run import run_page
from sdespec.tables import comparison_closing, comparison_rows, is_run
from sdespec.verbs import closing

__all__ = ["write_report"]

Progress = Callable[[int, int, str], None]

_INTEREST = ("broad_tail", "inflated_bulk", "spikes", "undecided", "random")


@dataclass(frozen=True)
class _Panel:
    """What the page shows of one matrix."""

    name: str
    matrix: MatrixDocument
    figures: tuple[str, ...]


def _chosen(ds: xr.Dataset, limit: int) -> list[int]:
    """Layers that get figures: the most telling regimes first, then the heaviest outliers."""
    status = ds["status"].values.astype(str) if "status" in ds.coords else np.full(ds.sizes["layer"], "ok")
    usable = [i for i in range(ds.sizes["layer"]) if status[i] == "ok"]
    if "regime" in ds:
        regimes = ds["regime"].values.astype(str)
        energy = ds["outlier_energy"].values
        usable.sort(key=lambda i: (_INTEREST.index(regimes[i]) if regimes[i] in _INTEREST else 9, -energy[i]))
    return sorted(usable[:limit])


def write_report(
    ds: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
    max_figures: int = 24,
    progress: Progress | None = None,
) -> Path:
    """Write one HTML page that needs nothing else: no script, no network, light and dark.

    Parameters
    ----------
    ds : xarray.Dataset
        Result of ``measure``, ``fit``, ``simulate``, ``predict`` or ``compare``; of fits with a time axis, the page
        shows the last time and the course of the outliers.
    path : path
        The file; it appears whole or not at all.
    title : str, optional
        Heading; the name of the source by default.
    max_figures : int
        Number of matrices that get figures; the most telling ones come first. All have a row in the table.
    progress : callable, optional
        Called with (done, total, layer).

    Returns
    -------
    pathlib.Path

    Raises
    ------
    UsageError
        If ``max_figures`` is negative, or a replicate must be chosen.
    OutputError
        If the file cannot be written.
    """
    if max_figures < 0:
        raise UsageError(f"max_figures is {max_figures}; it must not be negative")
    if "layer" not in ds.dims:
        if "verdict" not in ds:
            raise UsageError(
                "the Dataset holds neither matrices nor verdicts; give a result of measure, fit or compare"
            )
        alone = _page(ds, title, [], [])
        return write_atomically(path, lambda name: Path(name).write_text(alone, encoding="utf-8"))
    if is_run(ds):
        page = run_page(ds, title=title, max_figures=max_figures)
        return write_atomically(path, lambda name: Path(name).write_text(page, encoding="utf-8"))
    if "replicate" in ds.dims:
        raise UsageError("select one replicate first, with ds.isel(replicate=0)")
    last = ds.isel(time=-1) if "time" in ds.dims else ds
    fitted = "regime" in ds
    matrices: list[Any] = list((fit_document(last) if fitted else measure_document(last)).matrices)
    chosen = _chosen(last, max_figures)
    panels = []
    for done, index in enumerate(chosen):
        panels.append(_panel(last, matrices[index], index))
        if progress is not None:
            progress(done + 1, len(chosen), matrices[index].name)
    page = _page(ds, title, matrices, panels)
    return write_atomically(path, lambda name: Path(name).write_text(page, encoding="utf-8"))


def _page(ds: xr.Dataset, title: str | None, matrices: list[Any], panels: list[_Panel]) -> str:
    fitted = "regime" in ds
    compared = comparison_rows(ds) if "verdict" in ds else None
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            title=title or str(ds.attrs.get("file") or ("spectra" if matrices else "comparison")),
            closing=closing(ds),
            fitted=fitted,
            matrices=[matrix for matrix in matrices if matrix.status == "ok"],
            others=[matrix for matrix in matrices if matrix.status != "ok"],
            vectors=any(matrix.vectors for matrix in matrices),
            panels=panels,
            options=options_of(ds),
            history=_history(ds) if fitted and "time" in ds.dims else None,
            compared=compared,
            compared_closing=comparison_closing(ds) if compared else "",
            version=str(ds.attrs["sdespec_version"]),
            provenance=json.dumps(json.loads(ds.attrs["provenance"]), indent=1),
        )
    )


def _panel(last: xr.Dataset, matrix: FittedMatrixDocument | MatrixDocument, index: int) -> _Panel:
    figures = [figure_address(lambda ax: spectrum(last, layer=index, ax=ax))]
    if isinstance(matrix, FittedMatrixDocument) and matrix.tail is not None:
        figures.append(figure_address(lambda ax: tail(last, layer=index, ax=ax)))
    return _Panel(matrix.name, matrix, tuple(figures))


def _history(ds: xr.Dataset) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Regime and number of outliers of each matrix at each time."""
    times = [f"{time:g}" for time in ds["time"].values]
    table = []
    for index in range(ds.sizes["layer"]):
        one = ds.isel(layer=index)
        regimes = one["regime"].values.astype(str)
        if any(regimes):
            cells = [
                f"{regime} ({count})" if regime else "–"
                for regime, count in zip(regimes, one["n_outliers"].values, strict=True)
            ]
            table.append((str(one["layer"].values), cells))
    return times, table

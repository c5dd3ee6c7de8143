"""Assemble the cells of ``measure`` into a Dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from sdespec.core.dataset import build
from sdespec.networks._cells import N_MODES, VECTORS, Cell, Options
from sdespec.networks.matrices import Part

__all__ = ["Row", "Table"]

_STATISTICS = ("mean", "variance", "kurtosis", "max_abs")
_SPACING = {
    "spacing_ratio": "mean",
    "spacing_ratio_stderr": "standard_error",
    "spacing_p_independent": "p_independent",
    "spacing_p_repulsion": "p_repulsion",
}
_PORTER_THOMAS = {"porter_thomas_p": "p_overall", "porter_thomas_rejected": "n_rejected"}


@dataclass(frozen=True)
class Row:
    """What the coordinates say of a row; it holds no reference to the tensor, so that its memory is free."""

    layer: str
    n_rows: int
    n_cols: int
    role: str
    tensor: str
    tensor_shape: str
    tensor_dtype: str

    @classmethod
    def of(cls, part: Part) -> Row:
        """Describe a part."""
        shape = " x ".join(map(str, part.tensor.shape)) or "scalar"
        return cls(part.layer, part.n_rows, part.n_cols, part.role, part.tensor.name, shape, part.tensor.dtype)


class Table:
    """Rows in the order of their first appearance, and their cells at each time.

    Parameters
    ----------
    steps : sequence of int
        Steps of the checkpoints; empty for a single one.
    """

    def __init__(self, steps: Sequence[int]) -> None:
        self.steps = list(steps)
        self.rows: dict[str, Row] = {}
        self._cells: dict[tuple[str, int], Cell] = {}
        self._unreadable: dict[int, str] = {}

    def lose(self, time: int, why: str) -> None:
        """Mark a whole checkpoint as unreadable."""
        self._unreadable[time] = why

    def add(self, row: Row, time: int, cell: Cell) -> None:
        """Put a cell; a row whose shape differs from its first one is skipped at that time."""
        name = row.layer
        first = self.rows.setdefault(name, row)
        if (first.n_rows, first.n_cols) != (row.n_rows, row.n_cols):
            was, now = f"{first.n_rows} x {first.n_cols}", f"{row.n_rows} x {row.n_cols}"
            cell = Cell("skipped", f"{now} here, but {was} at first")
        self._cells[name, time] = cell

    def dataset(self, options: Options, *, file: str, provenance: str) -> xr.Dataset:
        """Build the Dataset."""
        rows = list(self.rows.values())
        dims: tuple[str, ...] = ("layer", "time") if self.steps else ("layer",)
        cells = np.empty((len(rows), max(1, len(self.steps))), dtype=object)
        for i, row in enumerate(rows):
            for j in range(cells.shape[1]):
                step = f" of step {self.steps[j]}" if self.steps else ""
                absent = Cell("skipped", f"not in the checkpoint{step}")
                if j in self._unreadable:
                    absent = Cell("invalid", self._unreadable[j])
                cells[i, j] = self._cells.get((row.layer, j), absent)
        if not self.steps:
            cells = cells[:, 0]
        coords = _coords(rows, cells, dims)
        if self.steps:
            coords["time"] = ("time", np.array(self.steps, dtype=np.float64), {"clock": "step"})
            coords["step"] = ("time", np.array(self.steps, dtype=np.int64))
        variables = _variables(cells, dims, coords, options)
        return build(variables, coords, source="measure", provenance=provenance, attrs=_attrs(options, file))


def _fill(cells: np.ndarray, get: Callable[[Cell], Any], dtype: Any, inner: tuple[int, ...] = ()) -> np.ndarray:
    out = np.empty(cells.shape + inner, dtype=dtype)
    for place, cell in np.ndenumerate(cells):
        out[place] = get(cell)
    return out


def _padded(values: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    out = np.full(shape, np.nan)
    if values is not None:
        out[..., : values.shape[-1]] = values
    return out


def _coords(rows: list[Row], cells: np.ndarray, dims: tuple[str, ...]) -> dict[str, Any]:
    per_row = ("role", "tensor", "tensor_shape", "tensor_dtype")
    coords: dict[str, Any] = {
        "layer": ("layer", [row.layer for row in rows]),
        "n_rows": ("layer", np.array([row.n_rows for row in rows], dtype=np.int64)),
        "n_cols": ("layer", np.array([row.n_cols for row in rows], dtype=np.int64)),
        "matrix": ("layer", ["W"] * len(rows)),
        "status": (dims, _fill(cells, lambda cell: cell.status, object)),
        "reason": (dims, _fill(cells, lambda cell: cell.reason, object)),
    }
    return coords | {name: ("layer", [getattr(row, name) for row in rows]) for name in per_row}


def _variables(cells: np.ndarray, dims: tuple[str, ...], coords: dict[str, Any], options: Options) -> dict[str, Any]:
    """All variables; the coordinates of their inner dims are added to ``coords``."""
    width = max(1, max((len(cell.spectrum) for cell in cells.flat), default=1))
    coords["rank"] = ("rank", np.arange(width))
    variables: dict[str, Any] = {
        "eigenvalue": ((*dims, "rank"), _fill(cells, lambda c: _padded(c.spectrum, (width,)), float, (width,))),
        "rank_count": (dims, _fill(cells, lambda cell: len(cell.spectrum), np.int64)),
        "at_initialization": (dims, _fill(cells, lambda cell: cell.initialization, object)),
    }
    for name in _STATISTICS:
        variables[f"entry_{name}"] = (dims, _fill(cells, _field("statistics", name), float))
    for variable, field in _SPACING.items():
        variables[variable] = (dims, _fill(cells, _field("spacing", field), float))
    if options.vectors:
        coords["vector"] = ("vector", list(VECTORS))
        for variable, field in _PORTER_THOMAS.items():
            values = _fill(cells, _of_vectors(field), float, (len(VECTORS),))
            variables[variable] = ((*dims, "vector"), values)
        inner = (len(VECTORS), width)
        values = _fill(cells, lambda cell: _of_modes(cell, width), float, inner)
        variables["porter_thomas_mode_p"] = ((*dims, "vector", "rank"), values)
    if options.null != "none":
        inner = (options.null_draws, width)
        coords["null_draw"] = ("null_draw", np.arange(options.null_draws))
        values = _fill(cells, lambda cell: _padded(cell.null, inner), float, inner)
        variables["null_eigenvalue"] = ((*dims, "null_draw", "rank"), values)
    if options.directions:
        names = list(dict.fromkeys(name for group in options.directions.values() for name in group))
        empty = np.full(N_MODES, np.nan)
        coords["direction"] = ("direction", names)
        coords["mode"] = ("mode", np.arange(N_MODES))
        values = _fill(
            cells,
            lambda cell: np.stack([cell.alignment.get(name, empty) for name in names]),
            float,
            (len(names), N_MODES),
        )
        variables["alignment"] = ((*dims, "direction", "mode"), values)
    return variables


def _field(part: str, name: str) -> Callable[[Cell], float]:
    return lambda cell: float("nan") if getattr(cell, part) is None else float(getattr(getattr(cell, part), name))


def _of_vectors(name: str) -> Callable[[Cell], list[float]]:
    return lambda cell: [float(getattr(cell.vectors.get(side), name, float("nan"))) for side in VECTORS]


def _of_modes(cell: Cell, width: int) -> np.ndarray:
    """Verdict on each vector by side and rank."""
    found = [cell.vectors.get(side) for side in VECTORS]
    return np.stack([_padded(None if one is None else one.p_mode, (width,)) for one in found])


def _attrs(options: Options, file: str) -> dict[str, Any]:
    return {
        "file": file,
        "conv": options.conv,
        "fused": options.fused,
        "null": options.null,
        "vectors": int(options.vectors),
        "null_draws": options.null_draws if options.null != "none" else 0,
        "minimum_side": int(options.minimum_side),
        "max_bytes": int(options.max_bytes),
        "include": ", ".join(options.include or ("*",)),
        "exclude": ", ".join(options.exclude),
        "seed": int(options.seed),
    }

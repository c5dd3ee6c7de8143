"""Where a simulation starts: all the forms of ``initial``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from sdespec.core.errors import UsageError
from sdespec.core.linalg import eigenvalues

__all__ = ["Start", "start_of"]


@dataclass(frozen=True, eq=False)
class Start:
    """State at the first moment of a simulation.

    Attributes
    ----------
    stationary : bool
        Whether it is drawn from the stationary law.
    spectra : ndarray or None, (1 or replicates, n)
        Eigenvalues, descending.
    weights : ndarray or None, (1 or replicates, n_rows, n_cols)
        Matrices, where they were given.
    time : float
        The clock of the start; above 0 in a continuation.
    steps : int
        Number of steps that earlier runs have drawn noise for.
    """

    stationary: bool = False
    spectra: np.ndarray | None = None
    weights: np.ndarray | None = None
    time: float = 0.0
    steps: int = 0


def start_of(initial: Any, *, n_rows: int, n_cols: int, replicates: range) -> Start:
    """Read ``initial``.

    Parameters
    ----------
    initial : None, "stationary", array, Dataset or mapping
        See ``sdespec.simulate``.
    n_rows, n_cols : int
        Shape of the matrix.
    replicates : range
        Indices of the replicates of this run; a Dataset with several must have just these.

    Returns
    -------
    Start

    Raises
    ------
    UsageError
        If it has a form or shape that is not allowed.
    """
    if initial is None:
        return Start(spectra=np.zeros((1, min(n_rows, n_cols))))
    if isinstance(initial, str):
        if initial != "stationary":
            raise UsageError(f"initial is {initial!r}; the only text allowed is 'stationary'")
        return Start(stationary=True)
    if isinstance(initial, (xr.Dataset, Mapping)):
        return _from_mapping(initial, n_rows, n_cols, replicates)
    return _from_weights(np.asarray(initial, dtype=np.float64), n_rows, n_cols, len(replicates))


def _from_weights(array: np.ndarray, n_rows: int, n_cols: int, count: int, **more: Any) -> Start:
    weights = array[None] if array.ndim == 2 else array
    if weights.ndim != 3 or weights.shape[1:] != (n_rows, n_cols) or len(weights) not in (1, count):
        raise UsageError(
            f"initial has the shape {array.shape}; give ({n_rows}, {n_cols}) or ({count}, {n_rows}, {n_cols})"
        )
    spectra = np.array([eigenvalues(weight) for weight in weights])
    return Start(spectra=spectra, weights=weights, **more)


def _from_mapping(initial: Any, n_rows: int, n_cols: int, replicates: range) -> Start:
    given = [name for name in ("eigenvalue", "weight") if name in initial]
    if len(given) == 2 and isinstance(initial, xr.Dataset):
        given = ["weight"]  # a saved run holds both; the matrix says more
    if len(given) != 1:
        raise UsageError(f"initial holds {given}; give exactly one of 'eigenvalue' and 'weight'")
    entry, more = initial[given[0]], dict[str, Any]()
    if isinstance(entry, xr.DataArray):
        if "layer" in entry.dims:
            if entry.sizes["layer"] != 1:
                raise UsageError(f"initial has {entry.sizes['layer']} layers; select one first")
            entry = entry.isel(layer=0)
        if "replicate" in entry.dims and "replicate" in entry.coords:
            missing = set(replicates) - {int(index) for index in entry["replicate"].values}
            if missing and entry.sizes["replicate"] != 1:
                raise UsageError(f"initial has no replicate {min(missing)}; continue the replicates that it has")
            entry = entry.sel(replicate=list(replicates)) if not missing else entry
        if "time" in entry.dims:
            more = {"time": float(entry["time"].values[-1]), "steps": int(initial.attrs.get("steps_done", 0))}
            entry = entry.isel(time=-1)
    array = np.asarray(entry, dtype=np.float64)
    if given[0] == "weight":
        return _from_weights(array, n_rows, n_cols, len(replicates), **more)
    spectra = np.atleast_2d(array)
    rank = min(n_rows, n_cols)
    if spectra.ndim != 2 or spectra.shape[1] != rank or len(spectra) not in (1, len(replicates)):
        raise UsageError(
            f"initial eigenvalues have the shape {array.shape}; give ({rank},) or ({len(replicates)}, {rank})"
        )
    if not np.isfinite(spectra).all() or spectra.min() < 0.0:
        raise UsageError("the initial eigenvalues must be finite and at least 0")
    return Start(spectra=-np.sort(-spectra, axis=1), **more)

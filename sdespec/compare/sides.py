"""The two sides of a comparison, cut into cells: one matrix at one time of one member of a sweep."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from sdespec.core.errors import InputError, UsageError
from sdespec.core.schema import DIMS

__all__ = [
    "SCALARS",
    "Cell",
    "Label",
    "cells",
    "check_alike",
    "ensemble_cell",
    "is_ensemble",
    "is_law",
    "law_cell",
    "pairs",
]

Label = tuple[tuple[str, Any], ...]
"""Dims and their values that name a cell, such as (("layer", "W"), ("time", 0.5))."""

SCALARS: tuple[str, ...] = ("train_loss", "test_loss", "test_score", "ntk_top", "sharpness")
"""Numbers of a whole network, which have no layer."""

_DRAWS = 2000  # of an ensemble
_SEED = 0x5EED
_MASS = 0.02  # mass of a density that may lie outside its grid


@dataclass(frozen=True)
class Cell:
    """What one side says: replicates of a spectrum, numbers, a cdf, and whether that cdf is a limit law.

    A cell of a whole network has neither a layer nor spectra; ``scalars`` holds replicates of its numbers, and
    ``errors`` the standard errors that a prediction gives.
    """

    spectra: np.ndarray | None
    numbers: xr.Dataset | None = None
    cdf: Callable[[np.ndarray], np.ndarray] | None = None
    limit: bool = False
    law_mean: float = math.nan
    scalars: Mapping[str, np.ndarray] | None = None
    errors: Mapping[str, float] = field(default_factory=dict)

    @property
    def has_replicates(self) -> bool:
        """Whether there are spectra, or statistics of them."""
        return self.spectra is not None or (self.numbers is not None and "eigenvalue_mean" in self.numbers)


def is_ensemble(source: Any) -> bool:
    """Whether whole spectra can be drawn from it."""
    return not isinstance(source, xr.Dataset) and hasattr(source, "rvs") and hasattr(source, "rank")


def is_law(source: Any) -> bool:
    """Whether it is a law of one eigenvalue."""
    return not isinstance(source, xr.Dataset) and hasattr(source, "cdf")


def ensemble_cell(ensemble: Any) -> Cell:
    """Draws of an ensemble; always the same ones."""
    return Cell(np.asarray(ensemble.rvs(_DRAWS, seed=_SEED), dtype=np.float64))


def law_cell(law: Any) -> Cell:
    """A one-body law: a cdf and a mean."""
    center = law.mean() if callable(law.mean) else law.mean
    return Cell(None, cdf=law.cdf, law_mean=float(center), limit=True)


def cells(ds: xr.Dataset) -> Iterator[tuple[Label, Cell]]:
    """All cells of a Dataset with their labels: those of matrices, then those of the whole network."""
    names = [name for name in SCALARS if name in ds]
    errors = [f"{name}_stderr" for name in names if f"{name}_stderr" in ds]
    matrices = ds.drop_vars([*names, *errors])
    if matrices.data_vars or not names:
        for label, one in _split(matrices):
            yield label, _cell(one)
    if names:
        network = ds[[*names, *errors]]
        for label, one in _split(network.drop_vars([name for name in network.coords if name not in network.dims])):
            scalars = {name: _replicates(one[name]) for name in names}
            given = {name.removesuffix("_stderr"): float(one[name]) for name in errors if one[name].ndim == 0}
            yield label, Cell(None, scalars=scalars, errors=given)


def _replicates(array: xr.DataArray) -> np.ndarray:
    """A number of every replicate."""
    return np.atleast_1d(np.asarray(array.values, dtype=np.float64)).ravel()


def _split(ds: xr.Dataset) -> Iterator[tuple[Label, xr.Dataset]]:
    """One matrix, or the network, at one time of one member of a sweep."""
    dims = [str(dim) for dim in ds.dims if dim not in DIMS] + [dim for dim in ("layer", "time") if dim in ds.dims]
    fixed: list[tuple[str, Any]] = [
        (name, _plain(ds[name].values)) for name in ("layer", "time") if name in ds.coords and ds[name].ndim == 0
    ]
    for index in itertools.product(*(range(ds.sizes[dim]) for dim in dims)):
        one = ds.isel(dict(zip(dims, index, strict=True)))
        label = [(dim, _plain(one[dim].values) if dim in one.coords else i) for dim, i in zip(dims, index, strict=True)]
        yield tuple(sorted(label + fixed, key=lambda item: (item[0] in DIMS, item[0]))), one


def _plain(value: Any) -> Any:
    """A number or a text out of a 0-d array."""
    item = np.asarray(value).item()
    return item if isinstance(item, (int, float)) else str(item)


def _cell(one: xr.Dataset) -> Cell:
    counted = "eigenvalue" in one or "eigenvalue_mean" in one  # a density over replicates is no law
    cdf = _density_cdf(one) if "density" in one and not counted else None
    return Cell(_spectra(one), one, cdf, limit=True)


def _spectra(one: xr.Dataset) -> np.ndarray | None:
    """Replicates of the spectrum without padding, or nothing where there is none."""
    if "eigenvalue" not in one:
        return None
    values = np.asarray(one["eigenvalue"].values, dtype=np.float64)
    values = values.reshape(-1, values.shape[-1])
    real = np.isfinite(values)
    if not real.any():
        return None
    if not np.array_equal(real, np.broadcast_to(real[0], real.shape)):
        raise InputError("the replicates of a spectrum have different numbers of eigenvalues; select those that agree")
    return values[:, real[0]]


def _density_cdf(one: xr.Dataset) -> Callable[[np.ndarray], np.ndarray] | None:
    """The cdf of a density on a grid with its atom at zero; nothing where its mass is not 1."""
    x, density = one["x"].values, np.asarray(one["density"].values, dtype=np.float64)
    atom = float(one["atom"]) if "atom" in one else 0.0
    if not (np.isfinite(density).all() and math.isfinite(atom)) or len(x) < 2:
        return None
    mass = np.concatenate([[0.0], np.cumsum(np.diff(x) * (density[1:] + density[:-1]) / 2.0)])
    if abs(mass[-1] + atom - 1.0) > _MASS:
        return None
    if mass[-1] > 0.0:
        mass *= (1.0 - atom) / mass[-1]

    def cdf(points: np.ndarray) -> np.ndarray:
        return np.asarray(np.where(points >= 0.0, atom, 0.0) + np.interp(points, x, mass))

    return cdf


def check_alike(observed: xr.Dataset, predicted: xr.Dataset) -> None:
    """Refuse unlike matrices or clocks.

    Parameters
    ----------
    observed, predicted : xarray.Dataset

    Raises
    ------
    InputError
        If a common layer stores another matrix, or the clocks differ.
    """
    clocks = [ds["time"].attrs.get("clock") for ds in (observed, predicted) if "time" in ds.coords]
    if len(clocks) == 2 and clocks[0] != clocks[1]:
        raise InputError(f"the clocks differ: {clocks[0]!r} and {clocks[1]!r}; convert one with sdespec.rescale")
    names = [_matrices(ds) for ds in (observed, predicted)]
    for layer in names[0].keys() & names[1].keys():
        if names[0][layer] != names[1][layer]:
            raise InputError(
                f"layer {layer!r} stores the matrix {names[0][layer]!r} on one side and {names[1][layer]!r} on the "
                "other; convert one with sdespec.rescale"
            )


def _matrices(ds: xr.Dataset) -> Mapping[str, str]:
    if "layer" not in ds.coords or "matrix" not in ds.coords:
        return {}
    layers, names = np.atleast_1d(ds["layer"].values), np.atleast_1d(ds["matrix"].values)
    return {str(layer): str(name) for layer, name in zip(layers, names.ravel(), strict=False)}


def pairs(observed: xr.Dataset, predicted: Any) -> list[tuple[Label, Cell, Cell]]:
    """Cells that both sides have.

    Parameters
    ----------
    observed : xarray.Dataset
    predicted : xarray.Dataset, ensemble or law
        An ensemble or a law is held against every cell.

    Returns
    -------
    list of (label, observed cell, predicted cell)

    Raises
    ------
    InputError
        If nothing is common, or the matrices or clocks differ.
    UsageError
        If ``predicted`` is none of the three.
    """
    mine = list(cells(observed))
    if is_ensemble(predicted) or is_law(predicted):
        other = ensemble_cell(predicted) if is_ensemble(predicted) else law_cell(predicted)
        return [(label, cell, other) for label, cell in mine if cell.has_replicates]
    if not isinstance(predicted, xr.Dataset):
        raise UsageError(
            f"predicted is a {type(predicted).__name__}; allowed: a Dataset, an ensemble (with rvs), a law (with cdf)"
        )
    check_alike(observed, predicted)
    theirs = list(cells(predicted))
    found = [(a, cell, other) for a, cell in mine for b, other in theirs if _same(a, b)]
    if not found:
        raise InputError(
            f"observed and predicted have nothing in common; observed: {_shown(mine)}; predicted: {_shown(theirs)}"
        )
    return found


def _same(a: Label, b: Label) -> bool:
    """Whether two labels name the same cell."""
    if len(a) != len(b):
        return False
    for (name, value), (other_name, other) in zip(a, b, strict=True):
        numbers = all(isinstance(item, (int, float)) for item in (value, other))
        equal = value == other or (numbers and math.isclose(value, other, rel_tol=1e-9, abs_tol=1e-300))
        if name != other_name or not equal:
            return False
    return True


def _shown(found: list[tuple[Label, Cell]]) -> str:
    """The first labels, for a message."""
    texts = [", ".join(f"{name}={value}" for name, value in label) or "no dims" for label, _ in found[:3]]
    return "; ".join(texts) + ("; ..." if len(found) > 3 else "")

"""What every plot needs: axes to draw on, and one spectrum out of a Dataset."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from sdespec.core.errors import InputError, UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "COLORS",
    "axes",
    "histogram",
    "logarithmic",
    "one_layer",
    "one_spectrum",
    "positive_values",
    "style",
    "text_of",
    "time_labels",
]

COLORS: Mapping[str, str] = {
    "data": "#3b6ea8",
    "null": "#8c8c8c",
    "bulk": "#1b1b1b",
    "outlier": "#c8452f",
    "tail": "#c8452f",
    "rival": "#2a8f6d",
}


def axes(ax: Axes | None) -> Axes:
    """The given axes, or those of a new figure."""
    if ax is not None:
        return ax
    from matplotlib import pyplot as plt

    return plt.subplots(figsize=(5.2, 3.6), layout="constrained")[1]


def one_layer(ds: xr.Dataset, layer: str | int | None, *, name: str = "eigenvalue") -> xr.Dataset:
    """Select one layer; a lone one needs no name."""
    if name not in ds:
        source = "measure, simulate or fit" if name == "eigenvalue" else "predict or fit"
        raise InputError(f"the Dataset holds no {name!r} to plot; give a result of {source}")
    if "layer" in ds.dims:
        names = [str(name) for name in ds["layer"].values]
        if layer is None:
            usable = [name for name, count in zip(names, _counts(ds, name), strict=True) if count]
            if len(usable) != 1:
                raise UsageError(f"choose a layer: {', '.join(usable[:12])}{', ...' if len(usable) > 12 else ''}")
            layer = usable[0]
        if isinstance(layer, str) and layer not in names:
            raise UsageError(f"there is no layer {layer!r}; layers: {', '.join(names[:12])}")
        ds = ds.isel(layer=names.index(layer) if isinstance(layer, str) else layer)
    return ds


def one_spectrum(
    ds: xr.Dataset, layer: str | int | None, time: int, replicate: int, *, pooled: bool = False
) -> xr.Dataset:
    """Select one layer, replicate and time; a lone layer needs no name; ``pooled`` keeps dims that a fit pooled."""
    ds = one_layer(ds, layer)
    kept = str(ds.attrs.get("pool", "")).split() if pooled else []
    for dim, index in (("replicate", replicate), ("time", time)):
        if dim in ds.dims and dim not in kept:
            ds = ds.isel({dim: index})
    if not len(positive_values(ds)):
        raise InputError(f"layer {str(ds['layer'].values)!r} has no spectrum: {_reason(ds)}")
    return ds


def _counts(ds: xr.Dataset, name: str) -> np.ndarray:
    finite = ds[name].notnull()
    return np.asarray(finite.any([dim for dim in finite.dims if dim != "layer"]).values)


def _reason(ds: xr.Dataset) -> str:
    return str(ds["reason"].values) if "reason" in ds.coords else "all values are missing"


def positive_values(one: xr.Dataset, name: str = "eigenvalue") -> np.ndarray:
    """Finite positive values, ascending."""
    values = np.sort(one[name].values.ravel())
    return np.asarray(values[np.isfinite(values) & (values > 0.0)])


def text_of(one: xr.Dataset, name: str) -> str:
    """A text variable, empty where it is missing."""
    return str(one[name].values) if name in one else ""


def style(ax: Axes, *, title: str, note: str, **labels: Any) -> None:
    """Plain axes: no box at the top and right, labels, and a title with a wrapped note below it."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.set(**labels)
    ax.set_title("\n".join([title, *textwrap.wrap(note, 50)]), fontsize="medium")


def logarithmic(ax: Axes, low: float, high: float) -> None:
    """Logarithmic horizontal axis whose labels never meet, also where it spans less than a decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.set_xscale("log")
    ax.set_xlim(low, high)
    ax.xaxis.set_minor_formatter(NullFormatter())
    if high < 30.0 * low:
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def time_labels(ax: Axes, times: np.ndarray) -> np.ndarray:
    """Places of times on the horizontal axis; an infinite last time gets a labelled place after the others."""
    places = np.asarray(times, dtype=np.float64).copy()
    if len(places) > 1 and np.isinf(places[-1]):
        last = places[-2]
        places[-1] = last + 0.12 * max(last - places[0], abs(last), 1e-300)
        shown = [
            tick for tick in ax.xaxis.get_major_locator().tick_values(places[0], last) if places[0] <= tick <= last
        ]
        ax.set_xticks([*shown, places[-1]], [*(f"{tick:g}" for tick in shown), "∞"])
    return places


def histogram(ax: Axes, values: np.ndarray, bins: np.ndarray, log: bool, **options: object) -> None:
    """Density per unit of the axis: eigenvalue, or its decimal logarithm."""
    widths = np.diff(np.log10(bins) if log else bins)
    counts = np.histogram(values, bins)[0]
    heights = counts / (len(values) * widths)
    options.setdefault("histtype", "stepfilled")
    ax.hist(bins[:-1], bins, weights=heights, **options)  # type: ignore[arg-type]  # keyword names are fixed above

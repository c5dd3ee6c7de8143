"""Outliers in time with the edge of the bulk, as predicted and as they came out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from sdespec.core.dataset import refuse_swept
from sdespec.core.errors import InputError
from sdespec.plots._common import COLORS, axes, one_layer, style, time_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["outliers"]

_RANKS = 3  # largest observed eigenvalues that are drawn at least


def outliers(
    ds: xr.Dataset,
    *,
    observed: xr.Dataset | None = None,
    layer: str | int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw outliers in time over the shaded bulk, and the largest eigenvalues of replicates as bands.

    Parameters
    ----------
    ds : xarray.Dataset
        Result of ``predict``, or of ``fit`` on a folder of steps, with ``outlier``, ``bulk_edge`` and the dim ``time``.
    observed : xarray.Dataset, optional
        Result of ``simulate`` or ``measure`` with ``eigenvalue``: the medians of the largest eigenvalues over
        replicates, and the bands that hold 90 % of them.
    layer : str or int, optional
        Name or index of the matrix; may be left out where only one has outliers.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    UsageError
        If the layer does not exist or must be chosen.
    InputError
        If there is no time axis, or a swept field is left that must be selected first.

    Examples
    --------
    >>> import sdespec as sd
    >>> from matplotlib.figure import Figure
    >>> net = sd.models.DeepLinearNetwork(1, float("inf"), 2, feature_strength=8, learning_rate=0.008)
    >>> theory = sd.predict(net, range(0, 41, 10))
    >>> sd.plot.outliers(theory, layer="W1", ax=Figure().subplots()).get_xlabel()
    'updates'
    """
    one = one_layer(ds, layer, name="outlier")
    _check(one, "outlier")
    ax = axes(ax)
    places = time_labels(ax, one["time"].values)
    edges = one["bulk_edge"].transpose("time", "side").values
    ax.fill_between(places, edges[:, 0], edges[:, 1], color=COLORS["null"], alpha=0.25, lw=0, label="bulk")
    note = ""
    if observed is not None:
        note = _bands(ax, observed.sel(layer=str(one["layer"].values)) if "layer" in observed.dims else observed, one)
    for mode, values in enumerate(one["outlier"].transpose("mode", "time").values):
        if np.isfinite(values).any():
            label = {0: "outlier"}.get(mode)
            ax.plot(places, values, color=COLORS["outlier"], lw=1.6, marker="o", ms=2.5, label=label)
    low, high = _window(ax, one)
    steps = one["time"].attrs.get("clock") == "step"
    style(
        ax, title=f"{one['layer'].values!s}: {one['matrix'].values!s}" if "matrix" in one.coords else "", note=note,
        xlabel="updates" if steps else "time (learning_rate*step)", ylabel="squared singular value", ylim=(low, high),
    )  # fmt: skip
    ax.legend(frameon=False, fontsize="small")
    return ax


def _check(one: xr.Dataset, name: str) -> None:
    """Only dims that can be drawn may be left."""
    refuse_swept(one[name], repr(name))
    if "time" not in one.dims:
        raise InputError("the Dataset has no dim 'time'; give several times")


def _bands(ax: Axes, observed: xr.Dataset, one: xr.Dataset) -> str:
    """The largest eigenvalues of the replicates; says what they are."""
    _check(observed, "eigenvalue")
    values = observed["eigenvalue"].transpose(..., "time", "rank").values
    values = values.reshape(-1, *values.shape[-2:])
    times = observed["time"].values
    modes = int(np.isfinite(one["outlier"].values).any(axis=one["outlier"].dims.index("time")).sum())
    for k in range(min(max(_RANKS, modes + 1), values.shape[-1])):
        with np.errstate(all="ignore"):
            low, middle, high = np.nanquantile(values[:, :, k], [0.05, 0.5, 0.95], axis=0)
        if len(values) > 1:
            ax.fill_between(times, low, high, color=COLORS["data"], alpha=0.25, lw=0)
        ax.plot(times, middle, color=COLORS["data"], lw=0.8, label="largest eigenvalues" if k == 0 else None)
    return f"bands: 90 % of {len(values)} networks" if len(values) > 1 else ""


def _window(ax: Axes, one: xr.Dataset) -> tuple[float, float]:
    """Vertical range: from somewhat below the upper edge to above everything that is drawn."""
    upper = one["bulk_edge"].sel(side="upper").values
    top = float(ax.dataLim.y1)
    bottom = float(np.nanmin(upper))
    margin = 0.35 * max(top - bottom, 0.1 * bottom)
    return max(0.0, bottom - margin), top + 0.3 * margin

"""Eigenvalues in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from sdespec.core.errors import InputError
from sdespec.plots._common import COLORS, axes, one_layer, style, time_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["trajectories"]

_LINES = 64  # eigenvalues that are drawn at most


def trajectories(ds: xr.Dataset, *, layer: str | int | None = None, ax: Axes | None = None) -> Axes:
    """Draw each eigenvalue in time: its median over replicates, and the band that holds 90 % of them.

    Parameters
    ----------
    ds : xarray.Dataset
        Result of ``simulate`` or of ``measure`` on a folder of steps, with the dim ``time``.
    layer : str or int, optional
        Name or index of the matrix; may be left out where there is only one.
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
        If there is no time axis.

    Notes
    -----
    Of more than 64 eigenvalues, 64 evenly spaced ones are drawn. An infinite time is drawn after the last finite one.

    Examples
    --------
    >>> import numpy as np
    >>> import sdespec as sd
    >>> from matplotlib.figure import Figure
    >>> ds = sd.measure({"w": np.eye(10)}, null="none").expand_dims(time=[0.0, 1.0]).transpose("layer", "time", "rank")
    >>> ds["time"].attrs["clock"] = "step"
    >>> sd.plot.trajectories(ds, ax=Figure().subplots()).get_xlabel()
    'time (step)'
    """
    one = one_layer(ds, layer)
    if "time" not in one.dims:
        raise InputError("the Dataset has no dim 'time'; give a simulation with several times or a folder of steps")
    values = one["eigenvalue"].transpose(..., "time", "rank").values
    values = values.reshape(-1, *values.shape[-2:])
    ax = axes(ax)
    places = time_labels(ax, one["time"].values)
    size = values.shape[-1]
    ranks = np.unique(np.linspace(0, size - 1, min(size, _LINES)).round().astype(int))
    low, middle, high = np.quantile(values[:, :, ranks], [0.05, 0.5, 0.95], axis=0)
    for k in range(len(ranks)):
        color = COLORS["outlier"] if ranks[k] == 0 else COLORS["data"]
        label = {0: "largest", 1: "other eigenvalues"}.get(k)
        if len(values) > 1:
            ax.fill_between(places, low[:, k], high[:, k], color=color, alpha=0.12, lw=0)
        ax.plot(places, middle[:, k], color=color, lw=0.9, label=label)
    count = len(values)
    style(
        ax,
        title=f"{one['layer'].values!s}   {int(one['n_rows'])} x {int(one['n_cols'])}",
        note=f"median and 90 % band of {count} replicates" if count > 1 else "",
        xlabel=f"time ({one['time'].attrs.get('clock', '')})",
        ylabel="eigenvalue",
    )
    ax.legend(frameon=False, fontsize="small")
    return ax

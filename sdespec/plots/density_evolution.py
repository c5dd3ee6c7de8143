"""The density of eigenvalues at each time, with its prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from sdespec.core.errors import InputError
from sdespec.plots._common import COLORS, axes, one_layer, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["density_evolution"]

_CURVES = 8  # times that are drawn at most


def density_evolution(
    run: xr.Dataset,
    prediction: xr.Dataset | None = None,
    *,
    layer: str | int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a histogram of all replicates at each time, one above the other, with predicted density and edges.

    Parameters
    ----------
    run : xarray.Dataset
        Result of ``simulate``, with the dim ``time``.
    prediction : xarray.Dataset, optional
        Result of ``predict``; drawn at the times that both have.
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
        If there is no time axis, or nothing but zeros.

    Notes
    -----
    Each curve is scaled to its own largest value, since densities of different times differ by orders of magnitude.
    Times at which all eigenvalues vanish are left out; of more than eight, eight are drawn.

    Examples
    --------
    >>> import numpy as np
    >>> import sdespec as sd
    >>> from matplotlib.figure import Figure
    >>> weights = np.random.default_rng(0).normal(size=(20, 30))
    >>> ds = sd.measure({"w": weights}, null="none").expand_dims(time=[0.0, 1.0]).transpose("layer", "time", "rank")
    >>> ds["time"].attrs["clock"] = "step"
    >>> sd.plot.density_evolution(ds, ax=Figure().subplots()).get_xlabel()
    'eigenvalue'
    """
    one = one_layer(run, layer)
    if "time" not in one.dims:
        raise InputError("the Dataset has no dim 'time'; give a simulation with several times")
    predicted = None if prediction is None else prediction.sel(layer=str(one["layer"].values))
    used = [i for i, _ in enumerate(one["time"].values) if float(one["eigenvalue"].isel(time=i).max()) > 0.0]
    if not used:
        raise InputError("all eigenvalues vanish; there is no density to draw")
    chosen = [used[i] for i in np.unique(np.linspace(0, len(used) - 1, min(len(used), _CURVES)).round().astype(int))]
    ax = axes(ax)
    ticks = []
    for level, index in enumerate(chosen):
        at_time = one.isel(time=index)
        values = at_time["eigenvalue"].values.ravel()
        scale = _histogram(ax, values[np.isfinite(values)], level)
        time = float(one["time"].values[index])
        ticks.append(f"{time:g}")
        if predicted is not None:
            _predicted(ax, predicted, time, level, scale)
    ax.set_yticks(range(len(chosen)), ticks)
    ax.set_xlim(left=0.0)
    style(
        ax,
        title=f"{one['layer'].values!s}   {int(one['n_rows'])} x {int(one['n_cols'])}",
        note="each density over its maximum",
        xlabel="eigenvalue",
        ylabel=f"time ({one['time'].attrs.get('clock', '')})",
    )
    if ax.get_legend_handles_labels()[1]:
        ax.legend(frameon=False, fontsize="small")
    return ax


def _histogram(ax: Axes, values: np.ndarray, level: int) -> float:
    """Draw one histogram at its height; return the density that the height 0.85 stands for."""
    bins = np.linspace(0.0, float(values.max()), int(np.clip(2.0 * np.sqrt(len(values)), 12, 60)) + 1)
    density = np.histogram(values, bins, density=True)[0]
    top = float(density.max())
    label = "simulated" if level == 0 else None
    ax.stairs(
        level + 0.85 * density / top, bins, baseline=level, fill=True, color=COLORS["data"], alpha=0.5, label=label
    )
    return top


def _predicted(ax: Axes, predicted: xr.Dataset, time: float, level: int, scale: float) -> None:
    """Draw the predicted density and edges of one time, where there are any."""
    found = np.flatnonzero(np.isclose(predicted["time"].values, time, rtol=1e-9, atol=0.0))
    if not len(found):
        return
    one = predicted.isel(time=int(found[0]))
    first = level == 0
    if "density" in one:
        density = np.minimum(one["density"].values / scale, 1.1)  # a hard edge diverges
        shown = density > 0.0
        x = one["x"].values
        height = np.where(shown, level + 0.85 * density, np.nan)
        ax.plot(x, height, color=COLORS["bulk"], lw=1.2, label="predicted density" if first else None)
    if "bulk_edge" in one:
        edges = one["bulk_edge"].values
        ax.vlines(
            edges[np.isfinite(edges)], level, level + 0.3, color=COLORS["outlier"], lw=1.2,
            label="predicted edges" if first else "",
        )  # fmt: skip

"""Histogram of one spectrum with its bulk, outliers and null."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr

from sdespec.core.errors import UsageError
from sdespec.laws import MarchenkoPastur
from sdespec.plots._common import COLORS, axes, histogram, logarithmic, one_spectrum, positive_values, style, text_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["spectrum"]

_WIDE = 8.0  # largest eigenvalue over upper edge beyond which "auto" takes logarithms


def spectrum(
    ds: xr.Dataset,
    *,
    layer: str | int | None = None,
    time: int = -1,
    replicate: int = 0,
    scale: Literal["auto", "linear", "log"] = "auto",
    ax: Axes | None = None,
) -> Axes:
    r"""Draw the density of one spectrum with the fitted Marchenko-Pastur bulk, the outliers and the null.

    On a logarithmic axis the density is that of :math:`\log_{10}\lambda`, so that areas are still shares.

    Parameters
    ----------
    ds : xarray.Dataset
        Result of ``measure``, ``simulate`` or ``fit``; bulk and outliers are drawn where ``fit`` has been called.
    layer : str or int, optional
        Name or index of the matrix; may be left out where there is only one.
    time, replicate : int
        Index along these dims, where they exist.
    scale : {"auto", "linear", "log"}
        Scale of the horizontal axis.
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
        If there is nothing to plot.

    Examples
    --------
    >>> import numpy as np
    >>> import sdespec as sd
    >>> from matplotlib.figure import Figure
    >>> fits = sd.fit({"w": np.random.default_rng(0).normal(size=(60, 90))}, bootstrap=0)
    >>> sd.plot.spectrum(fits, ax=Figure().subplots()).get_xlabel()
    'eigenvalue'
    """
    if scale not in ("auto", "linear", "log"):
        raise UsageError(f"scale is {scale!r}; allowed: 'auto', 'linear', 'log'")
    one = one_spectrum(ds, layer, time, replicate)
    ax = axes(ax)
    values = positive_values(one)
    n_rows, n_cols = int(one["n_rows"]), int(one["n_cols"])
    variance = float(one["variance"]) if "variance" in one else float(values.sum()) / (n_rows * n_cols)
    bulk = MarchenkoPastur(n_rows, n_cols, variance)
    log = scale == "log" or (scale == "auto" and values[-1] > _WIDE * bulk.edges[1])
    bins = _bins(values, log)
    histogram(ax, values, bins, log, color=COLORS["data"], alpha=0.55, label="eigenvalues")
    if "null_eigenvalue" in one:
        null = positive_values(one, "null_eigenvalue")
        if len(null):
            histogram(ax, null, bins, log, histtype="step", color=COLORS["null"], label="null")
    _draw_bulk(ax, one, bulk, values, log)
    if log:
        logarithmic(ax, bins[0], bins[-1])
    style(
        ax,
        title=f"{one['layer'].values!s}   {n_rows} x {n_cols}",
        note=text_of(one, "regime").replace("_", " "),
        xlabel="eigenvalue",
        ylabel="density of log10 eigenvalue" if log else "density",
    )
    ax.legend(frameon=False, fontsize="small")
    return ax


def _bins(values: np.ndarray, log: bool) -> np.ndarray:
    """Equal bins, about twice the root of the number of values; a log axis leaves the lowest percent out."""
    count = int(np.clip(2.0 * np.sqrt(len(values)), 12, 80))
    if not log:
        return np.linspace(0.0, values[-1] * 1.02, count + 1)
    low = np.quantile(values, 0.01)
    return np.geomspace(low, values[-1] * 1.1, count + 1)


def _draw_bulk(ax: Axes, one: xr.Dataset, bulk: MarchenkoPastur, values: np.ndarray, log: bool) -> None:
    lower, upper = bulk.edges
    start = max(lower, upper * 1e-4) if log else max(lower, upper * 1e-3)
    grid = np.geomspace(start, upper, 400) if log else np.linspace(start, upper, 400)
    count = int(one["n_outliers"]) if "n_outliers" in one else 0
    share = 1.0 - count / len(values)
    density = share * np.asarray(bulk.pdf(grid)) * (grid * np.log(10.0) if log else 1.0)
    top = ax.get_ylim()[1]
    ax.plot(grid, density, color=COLORS["bulk"], lw=1.3, label="Marchenko-Pastur bulk")
    ax.set_ylim(0.0, max(top, min(density.max() * 1.1, 1.5 * top)))
    if count:
        found = values[-count:]
        ax.plot(
            found, np.zeros(count), "|", color=COLORS["outlier"], ms=12, mew=1.4, clip_on=False,
            label=f"{count} outlier{'s' if count > 1 else ''}",
        )  # fmt: skip
    if "outlier_cutoff" in one:
        ax.axvline(float(one["outlier_cutoff"]), color=COLORS["outlier"], lw=0.8, ls=":")

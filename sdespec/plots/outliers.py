"""Outliers with the edge of the bulk: in time, as predicted and as they came out, or of one spectrum by rank."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from sdespec.core.dataset import refuse_swept
from sdespec.core.errors import InputError
from sdespec.plots._common import COLORS, axes, one_layer, positive_values, style, text_of, time_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["outliers"]

_MORE = 12  # eigenvalues drawn beside three times the outliers
_WIDE = 8.0  # largest over smallest eigenvalue shown beyond which the axis is logarithmic
_RANKS = 3  # largest observed eigenvalues that are drawn at least


def outliers(
    ds: xr.Dataset,
    *,
    observed: xr.Dataset | None = None,
    layer: str | int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw outliers over the shaded bulk: in time with the largest eigenvalues of replicates as bands, or by rank.

    Without a dim ``time`` the largest eigenvalues of one spectrum are drawn against their rank, with the edge of the
    bulk, the cutoff beyond which one is an outlier, and the largest values of the null.

    Parameters
    ----------
    ds : xarray.Dataset
        Result of ``predict``, or of ``fit``, with ``outlier`` and ``bulk_edge``.
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
        If a swept field is left that must be selected first, or ``observed`` is given without a time axis.

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
    ax = axes(ax)
    if "time" not in one.dims and observed is None:
        return _by_rank(ax, one)
    _check(one, "outlier")
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


def _by_rank(ax: Axes, one: xr.Dataset) -> Axes:
    """Largest eigenvalues of one spectrum: those of the bulk, the outliers, and those of the null."""
    if "eigenvalue" not in one:
        raise InputError("the Dataset holds no 'eigenvalue' and no dim 'time'; give several times, or a result of fit")
    refuse_swept(one["outlier"], "'outlier'")
    values = positive_values(one)[::-1]
    found = int(one["n_outliers"]) if "n_outliers" in one else int(np.isfinite(one["outlier"].values).sum())
    shown = min(len(values), 3 * found + _MORE)
    ranks = np.arange(1, shown + 1)
    lower, upper = (float(edge) for edge in one["bulk_edge"].values)
    if np.isfinite(upper):
        ax.axhspan(lower, upper, color=COLORS["null"], alpha=0.18, lw=0, label="bulk")
    if "outlier_cutoff" in one:
        ax.axhline(float(one["outlier_cutoff"]), color=COLORS["outlier"], lw=0.9, ls=":", label="cutoff")
    if "null_eigenvalue" in one:
        null = -np.sort(-one["null_eigenvalue"].transpose(..., "rank").values.reshape(-1, one.sizes["rank"]), axis=1)
        ax.plot(ranks, null[:, :shown].T, color=COLORS["null"], lw=0.9)
        ax.plot([], [], color=COLORS["null"], lw=0.9, label=f"null, {len(null)} draw{'s' if len(null) > 1 else ''}")
    ax.plot(ranks[found:], values[found:shown], "o", color=COLORS["data"], ms=3, label="eigenvalues")
    if found:
        label = f"{found} outlier{'s' if found > 1 else ''}"
        ax.plot(ranks[:found], values[:found], "o", color=COLORS["outlier"], ms=4, label=label)
    if values[0] > _WIDE * values[shown - 1]:
        ax.set_yscale("log")
    ax.set_ylim(0.9 * values[shown - 1], 1.15 * values[0])
    style(
        ax, title=str(one["layer"].values) if "layer" in one.coords else "", note=text_of(one, "regime_reason"),
        xlabel="rank", ylabel="squared singular value",
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

"""Density of one spectrum with every law that was fitted to it, and the null."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from sdespec.core.errors import InputError, SpectrumError, UsageError
from sdespec.fits import law
from sdespec.fits.likelihood import MATRIX_LAWS, TAIL_LAWS
from sdespec.laws import Law
from sdespec.plots._common import COLORS, axes, histogram, logarithmic, one_spectrum, positive_values, style, text_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["laws"]

_CYCLE = ("#2a8f6d", "#8a5fb0", "#c78a1b", "#1f9ac0", "#b0476a", "#6b7f2a", "#5a5a9c", "#a06040")
_POINTS = 500


def laws(
    ds: xr.Dataset,
    *,
    layer: str | int | None = None,
    time: int = -1,
    replicate: int = 0,
    names: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    r"""Draw the density of one spectrum with the fitted laws, best first, their p-values, and the null.

    The density is that of :math:`\log_{10}\lambda`, so that areas are shares. A law of the tail begins at the threshold
    and holds the share of the tail; the preferred law is drawn thick.

    Parameters
    ----------
    ds : xarray.Dataset
        Result of ``fit``.
    layer : str or int, optional
        Name or index of the matrix; may be left out where there is only one.
    time, replicate : int
        Index along these dims, where they exist; of no account for a dim that the fit pooled.
    names : sequence of str, optional
        Laws to draw; all that were fitted by default.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    UsageError
        If the layer does not exist or must be chosen, or a law was not fitted.
    InputError
        If the Dataset holds no fitted laws.

    Examples
    --------
    >>> import numpy as np
    >>> import sdespec as sd
    >>> from matplotlib.figure import Figure
    >>> fits = sd.fit({"w": np.random.default_rng(0).normal(size=(60, 60))}, bootstrap=0)
    >>> len(sd.plot.laws(fits, names=["gamma", "log_normal"], ax=Figure().subplots()).lines)
    2
    """
    if "log_likelihood" not in ds:
        raise InputError("the Dataset holds no fitted laws; call fit first")
    one = one_spectrum(ds, layer, time, replicate, pooled=True)
    ax = axes(ax)
    values = positive_values(one)
    low = float(np.quantile(values, 0.01))
    bins = np.geomspace(
        min(low, 0.9 * values[-1]), values[-1] * 1.1, int(np.clip(2.0 * np.sqrt(len(values)), 12, 80)) + 1
    )
    histogram(ax, values, bins, True, color=COLORS["data"], alpha=0.45, label="eigenvalues")
    null = positive_values(one, "null_eigenvalue") if "null_eigenvalue" in one else np.empty(0)
    if len(null):
        histogram(ax, null, bins, True, histtype="step", color=COLORS["null"], label="null")
    top = ax.get_ylim()[1]
    _draw(ax, one, values, bins, _chosen(one, names))
    ax.set_ylim(0.0, 1.25 * top)
    logarithmic(ax, bins[0], bins[-1])
    preferred = text_of(one, "preferred_law").replace("_", " ")
    style(
        ax, title=str(one["layer"].values), note=f"preferred: {preferred}" if preferred else "",
        xlabel="eigenvalue", ylabel="density of log10 eigenvalue",
    )  # fmt: skip
    ax.legend(frameon=False, fontsize="x-small", loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    return ax


def _chosen(one: xr.Dataset, names: Sequence[str] | None) -> list[str]:
    """Laws to draw: those of greatest likelihood first, laws of the tail last, as theirs is that of fewer values."""
    fitted = {str(name): float(one["log_likelihood"].sel(law=name)) for name in one["law"].values}
    for name in names or ():
        if name not in fitted:
            raise UsageError(f"the law {name!r} was not fitted; fitted: {', '.join(fitted)}")
    finite = [name for name in (names or fitted) if math.isfinite(fitted[name])]
    return sorted(finite, key=lambda name: (name in TAIL_LAWS, -fitted[name]))


def _draw(ax: Axes, one: xr.Dataset, values: np.ndarray, bins: np.ndarray, names: Sequence[str]) -> None:
    grid = np.geomspace(bins[0], bins[-1], _POINTS)
    for i, name in enumerate(names):
        start = float(one["threshold"]) if name in TAIL_LAWS else 0.0
        found = _law(one, values, name, start)
        if found is None:
            continue
        share = float(np.mean(values >= start))
        with np.errstate(all="ignore"):
            density = np.where(grid >= start, share * np.asarray(found.pdf(grid)) * grid * math.log(10.0), np.nan)
        chosen = name == text_of(one, "preferred_law")
        ax.plot(grid, density, color=_CYCLE[i % len(_CYCLE)], lw=2.2 if chosen else 1.1,
                ls=":" if name in TAIL_LAWS else "-", label=_label(one.sel(law=name), name))  # fmt: skip


def _law(one: xr.Dataset, values: np.ndarray, name: str, start: float) -> Law | None:
    """The law at its estimate; fitted again, since a limit of a family cannot be built from stored parameters."""
    shape = {"n_rows": int(one["n_rows"]), "n_cols": int(one["n_cols"])} if name in MATRIX_LAWS else {}
    try:
        return law(values[values >= start], name, **shape).law
    except SpectrumError:
        return None


def _label(one: xr.Dataset, name: str) -> str:
    p = float(one["p_value"]) if "p_value" in one else math.nan
    text = f"{name.replace('_', ' ')}, KS {float(one['law_ks_distance']):.3f}"
    return f"{text}, p = {p:.2g}" if math.isfinite(p) else text

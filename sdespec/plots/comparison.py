"""Differences with their intervals, coloured by verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from sdespec.core.errors import InputError
from sdespec.plots._common import axes, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["comparison"]

VERDICT_COLORS = {"agree": "#2a8f6d", "disagree": "#c8452f", "undecided": "#c28f1d", "not_comparable": "#8c8c8c"}
_ROWS = 60  # quantities that are drawn at most


def comparison(check: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw the difference of each quantity with its simultaneous interval, coloured by its verdict.

    Parameters
    ----------
    check : xarray.Dataset
        Result of ``compare``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If it is not the result of a comparison.

    Notes
    -----
    The unit is the tolerance where every quantity has one that is not zero, else half the interval. Quantities
    without an interval are drawn as crosses at zero. Beyond 60 quantities, those that disagree come first and the
    title counts what is left out.

    Examples
    --------
    >>> import numpy as np
    >>> import sdespec as sd
    >>> from matplotlib.figure import Figure
    >>> ds = sd.measure({"w": np.random.default_rng(0).normal(size=(20, 30))}, null="none")
    >>> check = sd.compare(ds, sd.laws.LaguerreEnsemble(20, 30, 1.0))
    >>> sd.plot.comparison(check, ax=Figure().subplots()).get_xlabel()
    'difference over half its interval'
    """
    if "verdict" not in check or "interval" not in check:
        raise InputError("the Dataset holds no comparison; give a result of compare")
    verdicts = check["verdict"].values.astype(str)
    order = np.arange(len(verdicts))
    if len(order) > _ROWS:
        order = np.sort(np.argsort(verdicts != "disagree", kind="stable")[:_ROWS])
    one = check.isel(quantity=order)
    bounds = one["interval"].transpose("quantity", "ci_bound").values
    difference = one["difference"].values
    tolerance = one["tolerance"].values if "tolerance" in one else np.full(len(order), np.nan)
    toleranced = bool(np.all(tolerance > 0.0))
    unit = tolerance if toleranced else (bounds[:, 1] - bounds[:, 0]) / 2.0
    unit = np.where(np.isfinite(unit) & (unit > 0.0), unit, np.nan)
    if ax is None:
        ax = axes(None)
        ax.figure.set_size_inches(6.4, max(2.4, 1.2 + 0.22 * len(order)))  # type: ignore[union-attr]  # a Figure here
    _bars(ax, verdicts[order], difference / unit, bounds / unit[:, None])
    ax.axvline(0.0, color="#1b1b1b", lw=0.8)
    if toleranced:
        ax.axvspan(-1.0, 1.0, color=VERDICT_COLORS["agree"], alpha=0.1, lw=0)
    ax.set_yticks(range(len(order)), [str(name) for name in one["quantity"].values], fontsize="x-small")
    ax.invert_yaxis()
    left_out = len(verdicts) - len(order)
    style(
        ax,
        title=f"{len(verdicts)} quantities",
        note=f"{left_out} not shown" if left_out else "",
        xlabel="difference over tolerance" if toleranced else "difference over half its interval",
    )
    ax.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def _bars(ax: Axes, verdicts: np.ndarray, center: np.ndarray, bounds: np.ndarray) -> None:
    """Intervals and their centres, one colour a verdict; a cross where there is no interval."""
    for verdict, color in VERDICT_COLORS.items():
        rows = np.flatnonzero(verdicts == verdict)
        if not len(rows):
            continue
        known = np.isfinite(center[rows]) & np.isfinite(bounds[rows]).all(axis=1)
        there, missing = rows[known], rows[~known]
        label = f"{verdict.replace('_', ' ')} ({len(rows)})"
        ax.hlines(there, bounds[there, 0], bounds[there, 1], color=color, lw=1.6)
        ax.plot(center[there], there, "o", ms=4, color=color, label=label if len(there) else None)
        ax.plot(np.zeros(len(missing)), missing, "x", ms=4, color=color, label=None if len(there) else label)

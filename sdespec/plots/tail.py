"""Tail of one spectrum: survival function, fitted power law with its band, null and rival."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from sdespec.core.errors import InputError
from sdespec.plots._common import COLORS, axes, logarithmic, one_spectrum, positive_values, style, text_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["tail"]


def tail(
    ds: xr.Dataset,
    *,
    layer: str | int | None = None,
    time: int = -1,
    replicate: int = 0,
    ax: Axes | None = None,
) -> Axes:
    r"""Draw the survival function of one spectrum on logarithmic axes with the fitted power law.

    The band is the interval of the exponent, the line starts at the threshold, and the null is the survival
    function of the random matrix that the spectrum must be told from.

    Parameters
    ----------
    ds : xarray.Dataset
        Result of ``fit``.
    layer : str or int, optional
        Name or index of the matrix; may be left out where there is only one.
    time, replicate : int
        Index along these dims, where they exist; of no account for a dim that the fit pooled, whose values are drawn
        together.
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
        If the Dataset holds no fits.

    Examples
    --------
    >>> import numpy as np
    >>> import sdespec as sd
    >>> from matplotlib.figure import Figure
    >>> fits = sd.fit({"w": np.random.default_rng(0).normal(size=(60, 90))}, bootstrap=0)
    >>> sd.plot.tail(fits, ax=Figure().subplots()).get_yscale()
    'log'
    """
    if "tail_exponent" not in ds:
        raise InputError("the Dataset holds no fitted tail; call fit first")
    one = one_spectrum(ds, layer, time, replicate, pooled=True)
    ax = axes(ax)
    values = positive_values(one)
    _survival(ax, values, ".", color=COLORS["data"], ms=4, label="eigenvalues")
    if "null_eigenvalue" in one:
        null = positive_values(one, "null_eigenvalue")
        if len(null):
            _survival(ax, null, "-", color=COLORS["null"], lw=1, label="null")
    exponent = float(one["tail_exponent"])
    if np.isfinite(exponent):
        _draw_power_law(ax, one, values, exponent)
    ax.set(yscale="log", ylim=(0.5 / len(values), 1.5))
    logarithmic(ax, max(values[0], float(np.quantile(values, 0.05))) / 1.1, values[-1] * 1.3)
    style(
        ax,
        title=str(one["layer"].values),
        note=text_of(one, "verdict_text"),
        xlabel="eigenvalue",
        ylabel="share at or above",
    )
    ax.legend(frameon=False, fontsize="small", loc="lower left")
    return ax


def _survival(ax: Axes, values: np.ndarray, form: str, **options: object) -> None:
    share = 1.0 - np.arange(len(values)) / len(values)
    ax.plot(values, share, form, **options)  # type: ignore[arg-type]  # keyword names are fixed by the callers


def _draw_power_law(ax: Axes, one: xr.Dataset, values: np.ndarray, exponent: float) -> None:
    threshold, n_tail = float(one["threshold"]), int(one["n_tail"])
    grid = np.geomspace(threshold, values[-1], 50)
    start = n_tail / len(values)

    def line(slope: float) -> np.ndarray:
        return start * (grid / threshold) ** (1.0 - slope)

    lower, upper = (float(bound) for bound in one["tail_interval"].values)
    label = f"exponent {exponent:.2f} [{lower:.1f}, {upper:.1f}], {n_tail} values"
    ax.plot(grid, line(exponent), color=COLORS["tail"], lw=1.4, label=label)
    ax.fill_between(grid, line(upper), line(lower), color=COLORS["tail"], alpha=0.15, lw=0)
    ax.axvline(threshold, color=COLORS["tail"], lw=0.8, ls=":")

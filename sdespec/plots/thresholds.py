"""Exponent of the tail against its threshold: where it is steady, and what was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr
from scipy import special

from sdespec.core.errors import UsageError
from sdespec.fits import ThresholdCurve, threshold_curve
from sdespec.plots._common import COLORS, axes, logarithmic, one_spectrum, positive_values, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["thresholds"]

_POINTS = 1000


def thresholds(
    ds: xr.Dataset,
    *,
    layer: str | int | None = None,
    time: int = -1,
    replicate: int = 0,
    min_tail: int = 10,
    ks: Literal["two-sided", "left"] = "two-sided",
    level: float = 0.95,
    ax: Axes | None = None,
) -> Axes:
    r"""Draw the exponent of the tail against its threshold, its distance from a power law, and the chosen fit.

    A power law shows as a stretch over which the exponent is steady within its band and the distance small; a tail of
    another form as an exponent that keeps rising.

    Parameters
    ----------
    ds : xarray.Dataset
        Spectra: result of ``measure``, ``simulate`` or ``fit``; the last also shows the chosen threshold with the
        interval of its exponent.
    layer : str or int, optional
        Name or index of the matrix; may be left out where there is only one.
    time, replicate : int
        Index along these dims, where they exist; of no account for a dim that the fit pooled, whose values are drawn
        together.
    min_tail : int
        Smallest number of values in a tail.
    ks : {"two-sided", "left"}
        The distance, as in ``fits.power_law_tail``.
    level : float
        Level of the band: at each threshold the exact interval for independent values, 2 (exponent - 1) S chi-square
        with 2 (n_tail - 1) degrees of freedom, which takes that threshold as given.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default. The distance is drawn on a second axis at the right.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    UsageError
        If the layer does not exist or must be chosen, or an option is not allowed.
    InputError
        If the Dataset holds no spectra.
    SpectrumError
        If the spectrum has too few values for a tail.

    Examples
    --------
    >>> import sdespec as sd
    >>> from matplotlib.figure import Figure
    >>> spectra = sd.measure({"w": np.random.default_rng(0).normal(size=(60, 90))})
    >>> thresholds(spectra, ax=Figure().subplots()).get_ylabel()
    'exponent of the tail'
    """
    if not 0.0 < level < 1.0:
        raise UsageError(f"level is {level}; it must lie between 0 and 1")
    one = one_spectrum(ds, layer, time, replicate, pooled=True)
    curve = threshold_curve(positive_values(one), min_tail=min_tail, ks=ks, points=_POINTS)
    ax = axes(ax)
    lower, upper = _band(curve, level)
    label = f"exponent, {100.0 * level:g} % at a given threshold"
    ax.fill_between(curve.threshold, lower, upper, color=COLORS["data"], alpha=0.18, lw=0)
    ax.plot(curve.threshold, curve.exponent, color=COLORS["data"], lw=1.2, label=label)
    chosen = float(one["tail_exponent"]) if "tail_exponent" in one else np.nan
    top = float(np.quantile(curve.exponent, 0.9))
    if np.isfinite(chosen):
        _draw_choice(ax, one, chosen)
        top = max(top, float(one["tail_interval"].values[1]))
    ax.set_ylim(1.0, 1.0 + 1.35 * (top - 1.0))  # the legend is above the interval
    logarithmic(ax, float(curve.threshold[0]) / 1.05, float(curve.threshold[-1]) * 1.05)
    style(ax, title=str(one["layer"].values), note="", xlabel="threshold", ylabel="exponent of the tail")
    _draw_distance(ax, curve)
    ax.legend(frameon=False, fontsize="small", loc="upper left")
    return ax


def _band(curve: ThresholdCurve, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Exact interval of the exponent at each threshold."""
    degrees = curve.n_tail - 1.0
    log_sum = curve.n_tail / (curve.exponent - 1.0)
    half = (1.0 - level) / 2.0
    return (
        np.asarray(1.0 + special.gammaincinv(degrees, half) / log_sum),
        np.asarray(1.0 + special.gammaincinv(degrees, 1.0 - half) / log_sum),
    )


def _draw_choice(ax: Axes, one: xr.Dataset, exponent: float) -> None:
    threshold = float(one["threshold"])
    lower, upper = (float(bound) for bound in one["tail_interval"].values)
    label = f"chosen: {exponent:.2f} [{lower:.1f}, {upper:.1f}], {int(one['n_tail'])} values"
    ax.axvline(threshold, color=COLORS["tail"], lw=0.8, ls=":")
    ax.errorbar(
        [threshold],
        [exponent],
        yerr=[[max(exponent - lower, 0.0)], [max(upper - exponent, 0.0)]],
        fmt="o",
        ms=4,
        capsize=3,
        color=COLORS["tail"],
        label=label,
    )


def _draw_distance(ax: Axes, curve: ThresholdCurve) -> None:
    other = ax.twinx()
    other.plot(curve.threshold, curve.ks_distance, color=COLORS["null"], lw=0.8)
    other.set(ylim=(0.0, 2.5 * float(np.median(curve.ks_distance))))
    other.set_ylabel("distance from a power law", color=COLORS["null"])
    other.tick_params(axis="y", colors=COLORS["null"])
    other.spines[["top", "left"]].set_visible(False)

"""Unfolded spacings of one spectrum beside the laws of random matrices and of independent values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from sdespec.core.errors import InputError, SpectrumError
from sdespec.plots._common import COLORS, axes, one_spectrum, positive_values, style
from sdespec.spectra import spacing_ratio, unfold

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["spacings"]

_TRIM = 0.1
_WIDEST = 4.0


def spacings(
    ds: xr.Dataset,
    *,
    layer: str | int | None = None,
    time: int = -1,
    replicate: int = 0,
    ax: Axes | None = None,
) -> Axes:
    r"""Draw the histogram of unfolded spacings with the surmise of Wigner and the law of independent values.

    .. math:: p_W(s) = \frac{\pi s}{2} e^{-\pi s^2 / 4}, \qquad p_0(s) = e^{-s}

    A tenth of the eigenvalues is left out at each end.

    Parameters
    ----------
    ds : xarray.Dataset
        Result of ``measure``, ``simulate`` or ``fit``.
    layer : str or int, optional
        Name or index of the matrix; may be left out where there is only one.
    time, replicate : int
        Index along these dims, where they exist.
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
        If the spectrum has too few positive values.

    Examples
    --------
    >>> import numpy as np
    >>> import sdespec as sd
    >>> from matplotlib.figure import Figure
    >>> spectra = sd.measure({"w": np.random.default_rng(0).normal(size=(90, 120))})
    >>> sd.plot.spacings(spectra, ax=Figure().subplots()).get_xlabel()
    'unfolded spacing'
    """
    one = one_spectrum(ds, layer, time, replicate)
    values = positive_values(one)
    try:
        found = spacing_ratio(values, trim=_TRIM)
        cut = int(_TRIM * len(values))
        drawn = np.diff(unfold(values)[cut : len(values) - cut])
    except SpectrumError as error:
        raise InputError(f"layer {str(one['layer'].values)!r}: {error}") from error
    ax = axes(ax)
    bins = np.linspace(0.0, _WIDEST, int(np.clip(np.sqrt(len(drawn)) * 1.5, 10, 40)) + 1)
    label = f"{len(drawn)} spacings"
    ax.hist(np.clip(drawn, 0.0, _WIDEST), bins.tolist(), density=True, color=COLORS["data"], alpha=0.5, label=label)
    s = np.linspace(0.0, _WIDEST, 200)
    ax.plot(
        s, 0.5 * np.pi * s * np.exp(-0.25 * np.pi * s**2), color=COLORS["bulk"], lw=1.4, label="random matrix (Wigner)"
    )
    ax.plot(s, np.exp(-s), color=COLORS["null"], lw=1.2, ls="--", label="independent values")
    repelling, independent = found.p_repulsion, found.p_independent
    note = (
        f"ratio {found.mean:.3f} \u00b1 {found.standard_error:.3f}; random matrices 0.531 (p = {repelling:.2g}), "
        f"independent values 0.386 (p = {independent:.2g})"
    )
    style(ax, title=str(one["layer"].values), note=note, xlabel="unfolded spacing", ylabel="density",
          xlim=(0.0, _WIDEST))  # fmt: skip
    ax.legend(frameon=False, fontsize="small")
    return ax

"""Kernels of a network at all pairs of times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr

from sdespec.core.dataset import refuse_swept
from sdespec.core.errors import InputError
from sdespec.plots._common import axes, one_layer, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["kernels"]

_TITLES = {"feature_kernel": r"feature kernel $\Phi(t, t')$", "gradient_kernel": r"gradient kernel $G(t, t')$"}


def kernels(
    ds: xr.Dataset,
    *,
    name: Literal["feature_kernel", "gradient_kernel"] = "feature_kernel",
    layer: str | int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a kernel as an image over two times, averaged over samples (each with itself).

    Parameters
    ----------
    ds : xarray.Dataset
        Result of ``predict`` with ``kernels=True``.
    name : {"feature_kernel", "gradient_kernel"}
        The kernel.
    layer : str or int, optional
        Name or index of the matrix that makes the hidden layer; may be left out where there is only one.
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
        If there is no such kernel, or a swept field is left that must be selected first.

    Examples
    --------
    >>> import sdespec as sd
    >>> from matplotlib.figure import Figure
    >>> net = sd.models.DeepLinearNetwork(1, float("inf"), 2, feature_strength=8, learning_rate=0.008)
    >>> theory = sd.predict(net, range(0, 41, 10), kernels=True)
    >>> sd.plot.kernels(theory, layer="W1", ax=Figure().subplots()).get_xlabel()
    'updates'
    """
    if name not in _TITLES or name not in ds:
        raise InputError(f"the Dataset holds no kernel {name!r}; give a result of predict with kernels=True")
    one = one_layer(ds, layer, name=name)
    array = one[name]
    refuse_swept(array, repr(name))
    if "sample" in array.dims:
        count = array.sizes["sample"]
        same = xr.DataArray(np.arange(count), dims="same")
        array = array.isel(sample=same, sample_other=same).mean("same")
    ax = axes(ax)
    array = array.transpose("time", "time_other")
    mesh = ax.pcolormesh(array["time_other"], array["time"], array, shading="nearest", cmap="viridis", rasterized=True)
    ax.figure.colorbar(mesh, ax=ax)
    style(ax, title=f"{one['layer'].values!s}: {_TITLES[name]}", note="", xlabel="updates", ylabel="updates")
    ax.set_aspect("equal")
    return ax

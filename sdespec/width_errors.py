"""Error bars of a prediction for networks of finite width, from cheaper narrow ones."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import xarray as xr

from sdespec.core.checks import whole
from sdespec.core.dataset import extend, refuse_swept
from sdespec.core.errors import UsageError
from sdespec.core.provenance import record
from sdespec.dispatch import simulate
from sdespec.models import DeepLinearNetwork, DeepNetwork

__all__ = ["finite_width"]

_SCALARS = ("train_loss", "test_loss", "ntk_top", "sharpness")


def finite_width(
    prediction: xr.Dataset, model: DeepLinearNetwork | DeepNetwork, *, pilot: int, replicates: int = 32, seed: int
) -> xr.Dataset:
    r"""Add to a prediction the spread of one network of the model's width, as ``<name>_stderr``.

    Narrow networks are trained, and the standard deviation over their seeds is scaled:

    .. math:: \mathrm{sd}(N) = \mathrm{sd}(N_0) \sqrt{N_0 / N}

    Parameters
    ----------
    prediction : xarray.Dataset
        Result of ``predict`` for the model, without swept fields.
    model : DeepLinearNetwork or DeepNetwork
        With ``input_dim`` or ``width``: the size whose error bars are wanted.
    pilot : int
        The ``input_dim`` or ``width`` of the networks that are trained; at least 16, and at most that of the model.
    replicates : int
        Number of networks, at least 8: the error bar itself is known to within :math:`1/\sqrt{2R}`.
    seed : int
        Seed of their training.

    Returns
    -------
    xarray.Dataset
        The prediction with ``train_loss_stderr, test_loss_stderr, ntk_top_stderr, sharpness_stderr, outlier_stderr``,
        as far as it holds their values; NaN where networks diverged.

    Raises
    ------
    UsageError
        If the model has no size, or a number is not allowed.
    InputError
        If a swept field is left in the prediction.

    Notes
    -----
    The variance of order parameters over seeds falls as 1/N and their bias as 1/N, so that at large width the bias is
    the smaller of the two. A ``compare`` with this prediction treats its error as independent of the observed one:
    right for a single network; for the mean of R networks divide the errors by the root of R.

    References
    ----------
    Bordelon and Pehlevan, arXiv 2304.03408.

    Examples
    --------
    >>> import sdespec as sd
    >>> net = sd.models.DeepLinearNetwork(1, float("inf"), 1, feature_strength=8, learning_rate=0.01, input_dim=400)
    >>> theory = sd.finite_width(sd.predict(net, [0, 30]), net, pilot=100, replicates=8, seed=0)
    >>> bool((theory.test_loss_stderr > 0).all())
    True
    """
    refuse_swept(prediction, "the prediction")
    whole(replicates, "replicates", 8)
    small, shrink = _pilot(model, whole(pilot, "pilot", 16))
    networks = simulate(small, prediction["time"].values, seed=seed, replicates=replicates)
    found: dict[str, Any] = {}
    for name in _SCALARS:
        if name in prediction and name in networks:
            found[f"{name}_stderr"] = (("time",), shrink * networks[name].std("replicate", ddof=1, skipna=False).values)
    if "outlier" in prediction:
        dims = ("layer", "time", "mode")
        modes = prediction.sizes["mode"]
        top = networks["eigenvalue"].isel(rank=slice(0, modes)).transpose("layer", "time", "rank", "replicate").values
        spread = np.full((top.shape[0], top.shape[1], modes), np.nan)
        spread[..., : top.shape[2]] = shrink * top.std(axis=-1, ddof=1)
        spread[np.isnan(prediction["outlier"].transpose(*dims).values)] = np.nan
        found["outlier_stderr"] = (dims, spread)
    arguments = {"prediction": prediction, "model": repr(model), "pilot": pilot, "replicates": replicates, "seed": seed}
    attrs = {"stderr_of": f"one network, from {replicates} networks at {pilot} scaled by N^(-1/2)"}
    return extend(prediction, found, provenance=record("sdespec.finite_width", arguments), attrs=attrs)


def _pilot(model: DeepLinearNetwork | DeepNetwork, pilot: int) -> tuple[Any, float]:
    """The narrow model, and what its spread is multiplied with."""
    if isinstance(model, DeepLinearNetwork):
        name, size = "input_dim", model.input_dim
        changes: dict[str, Any] = {"input_dim": pilot}
    elif isinstance(model, DeepNetwork):
        name, size = "width", model.width
        changes = {"width": pilot, "parametrization": "mup", "feature_strength": model.gamma}  # the same physics
    else:
        raise UsageError(f"{type(model).__name__} has no width; give a DeepLinearNetwork or a DeepNetwork")
    if size is None:
        raise UsageError(f"{name} of the model is None; give the size whose error bars are wanted")
    if pilot > size:
        raise UsageError(f"pilot is {pilot}; it must be at most the {name} of the model, {size}")
    return dataclasses.replace(model, **changes), math.sqrt(pilot / size)

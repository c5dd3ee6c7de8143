"""Sampling errors of the theory of nonlinear networks, from independent solutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from sdespec.core.checks import require, whole
from sdespec.core.dataset import extend
from sdespec.core.provenance import record
from sdespec.models import DeepNetwork
from sdespec.theory.dmft.predict import predict

__all__ = ["predict_with_errors"]

_SAMPLED = (
    "train_loss", "test_loss", "ntk_top", "sharpness", "network_output", "eigenvalue", "outlier", "escape",
    "feature_kernel", "gradient_kernel",
)  # fmt: skip


def predict_with_errors(
    model: DeepNetwork, times: Sequence[float] | np.ndarray, *, solutions: int = 8, seed: int = 0, **options: Any
) -> xr.Dataset:
    r"""Mean of independent solutions of the mean-field theory, and its standard error as ``<name>_stderr``.

    .. math:: \bar x = \frac1R \sum_r x_r, \qquad \mathrm{stderr}^2 = \frac{1}{R(R-1)} \sum_r (x_r - \bar x)^2

    Parameters
    ----------
    model : DeepNetwork
        The network.
    times : sequence of int, (k,)
        As in ``predict``.
    solutions : int
        R, at least 3; they have the seeds seed R, seed R + 1, ..., so that different seeds share none of them.
    seed : int
        Seed of the set.
    **options
        Further options of ``predict``; ``samples`` is the number of sites of each solution.

    Returns
    -------
    xarray.Dataset
        A prediction with the means of all sampled numbers and their standard errors. A number that a solution lacks,
        as an outlier near its threshold or one after divergence, is missing; ``n_outliers`` counts those that all
        solutions have. ``residual`` is the sampling error of the mean outputs.

    Raises
    ------
    UsageError
        If an argument is not allowed.

    Notes
    -----
    Costs R solutions, and none is wasted. The error does not hold the bias of few samples: for that, keep ``samples``
    above 20 times the attribute ``directions``, or compare two numbers of samples.

    Examples
    --------
    >>> net = DeepNetwork([[1.0, -1.0], [1.0, 1.0]], [1.0, -1.0], 2, learning_rate=0.5)
    >>> theory = predict_with_errors(net, [0, 5], solutions=4, samples=400)
    >>> bool(0 < theory.train_loss_stderr[1] < 0.1)
    True
    """
    require(
        isinstance(model, DeepNetwork), "model", type(model).__name__, "a DeepNetwork; other theories have no noise"
    )
    count = whole(solutions, "solutions", 3)
    first = whole(seed, "seed", 0) * count
    runs = [predict(model, times, seed=first + index, **options) for index in range(count)]
    found: dict[str, Any] = {}
    modes = max((run.sizes["mode"] for run in runs if "mode" in run.sizes), default=0)
    for name in _SAMPLED:
        if name not in runs[0]:
            continue
        dims = runs[0][name].dims
        values = np.stack([_padded(run[name], modes) for run in runs])
        found[name] = (dims, values.mean(axis=0))
        found[f"{name}_stderr"] = (dims, values.std(axis=0, ddof=1) / np.sqrt(count))
    found["converged"] = (("time",), np.min([run.converged.values for run in runs], axis=0))
    squares = np.mean([run.residual.values**2 for run in runs], axis=0)
    found["residual"] = (("time",), np.sqrt(squares / count))
    if "outlier" in found:
        found["n_outliers"] = (("layer", "time"), np.isfinite(found["outlier"][1]).sum(axis=-1))
    widest = max(runs, key=lambda run: run.sizes.get("mode", 0))
    arguments = {"model": repr(model), "digest": model.digest, "times": list(times), "solutions": count, "seed": seed}
    arguments |= {name: value for name, value in options.items() if name != "progress"}
    return extend(
        widest,
        found,
        provenance=record("sdespec.theory.dmft.predict_with_errors", arguments),
        attrs={"seed": seed, "solutions": count, "stderr_of": f"the mean of {count} independent solutions"},
    )


def _padded(variable: xr.DataArray, modes: int) -> np.ndarray:
    """Values, with as many modes as any solution has."""
    if "mode" not in variable.dims:
        return np.asarray(variable.values)
    missing = modes - variable.sizes["mode"]
    pad = [(0, missing if dim == "mode" else 0) for dim in variable.dims]
    return np.pad(variable.values, pad, constant_values=np.nan)

"""Train replicates of a finite network and record their spectra and losses."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import xarray as xr

from sdespec.core.checks import replicate_range
from sdespec.core.dataset import build
from sdespec.core.errors import UsageError
from sdespec.core.linalg import blas_threads
from sdespec.core.provenance import record
from sdespec.models import DeepLinearNetwork, DeepNetwork
from sdespec.training.deep_linear import TrainedNetwork
from sdespec.training.nonlinear import NonlinearNetwork
from sdespec.training.observables import spectrum
from sdespec.training.plan import Plan, check_size, plan_of

__all__ = ["simulate"]

Progress = Callable[[int, int, str], None]


class _Trained(Protocol):
    """A network in training."""

    matrices: list[np.ndarray]
    step: int

    @property
    def diverged(self) -> bool: ...

    def update(self) -> None: ...

    def measure(self) -> dict[str, float | np.ndarray] | None: ...


@dataclass(frozen=True, eq=False)
class _Records:
    """Arrays that the replicates fill, NaN where a run did not come."""

    eigenvalue: np.ndarray | None  # (layer, replicate, time, rank)
    others: dict[str, np.ndarray]  # (replicate, time, ...)
    converged: np.ndarray  # (replicate, time)
    weight: np.ndarray | None  # (layer, replicate, time, row, col)


def simulate(
    model: DeepLinearNetwork | DeepNetwork,
    times: Sequence[float] | np.ndarray,
    *,
    seed: int,
    replicates: int | range = 1,
    initial: None = None,
    method: Literal["auto", "gradient_descent"] = "auto",
    time_step: None = None,
    threads: int | None = None,
    save_weights: bool = False,
    spectra: bool = True,
    progress: Progress | None = None,
) -> xr.Dataset:
    r"""Train finite networks from random weights, and record them on the way.

    .. math:: \theta \to \theta - \eta \gamma_0^2 n\, \nabla_\theta \mathcal L

    with n = 1 for a DeepLinearNetwork, whose :math:`\mathcal L` is :math:`\tfrac12\langle (y - f)^2 \rangle`, and
    n = width for a DeepNetwork.

    Parameters
    ----------
    model : DeepLinearNetwork or DeepNetwork
        The network. A DeepLinearNetwork needs ``input_dim``; its width and its numbers of samples are the ratios
        times that, rounded. A DeepNetwork needs ``width``.
    times : sequence of int, (k,)
        Increasing numbers of updates that are done before the record, at least 0.
    seed : int
        Weights and, of a DeepLinearNetwork, teacher, data and label noise are functions of (seed, replicate), fresh
        samples also of the update.
    replicates : int or range
        Number of independent networks, or their indices: ``range(40, 64)`` gives exactly
        rows 40 to 63 of 64.
    initial : None
        Weights start random, as the model says.
    method : {"auto", "gradient_descent"}
        Both are the same; momentum, weight decay and batches are fields of the model.
    time_step : None
        An update has no length.
    threads : int, optional
        Number of threads, each with one BLAS thread; all cores by default. The result does not depend on it.
    save_weights : bool
        Keep the matrices as ``weight``, which needs that all have one shape.
    spectra : bool
        False leaves out the singular values, the dear part of a record: for losses at many times.
    progress : callable, optional
        Called with (done, total, text).

    Returns
    -------
    xarray.Dataset
        ``eigenvalue`` (layer, replicate, time, rank), the squared singular values of ``W0 ... W{L-1}``, of a
        DeepNetwork those of ``W/sqrt(width)``; ``rank_count``; ``train_loss, test_loss, ntk_top, sharpness,
        converged`` (replicate, time); ``weight`` (layer, replicate, time, row, col), the matrices that the
        eigenvalues are of; and for a DeepNetwork ``network_output`` (replicate, time, sample, channel), training
        samples first, then the test inputs.

    Raises
    ------
    UsageError
        If an argument is not allowed, ``input_dim`` or ``width`` is missing, or the experiment would be too large.

    Warns
    -----
    UserWarning
        Where a network diverges (loss not finite or beyond 1e12): its values are missing, and ``converged`` is 0,
        from there on.

    Notes
    -----
    DeepLinearNetwork: ``test_loss`` is the exact mean over new inputs against labels without noise. ``train_loss``
    is that on the data of the next update, with its label noise: all samples, the batch of that update (missing
    after the last batch), or the population. ``ntk_top`` is over all fixed samples, and over the population where
    there are none.

    DeepNetwork: ``train_loss`` is the mean over all training samples and outputs, also with batches, against the
    noisy labels of the next update (missing after the last ones); for the cross-entropy its mean over samples.
    ``test_loss`` is there with test_targets only. ``ntk_top`` is over all pairs of training samples and outputs,
    without the curvature of the loss. An index that a batch names twice counts twice.

    ``sharpness`` is ``learning_rate * ntk_top``, whose edge of stability for the square loss is 2 without momentum.

    An update of a DeepLinearNetwork costs 2L products with a vector and L updates of rank one, 6 L N^2 flops or
    more, one of a DeepNetwork P times that; a record costs the singular values of L matrices, O(N^3) each.

    References
    ----------
    Lauditi, Pehlevan and Bordelon, arXiv 2605.07870; Bordelon and Pehlevan, arXiv 2502.02531 and 2205.09653.

    Examples
    --------
    >>> net = DeepLinearNetwork(2.0, float("inf"), 2, feature_strength=4.0, learning_rate=0.01, input_dim=20)
    >>> run = simulate(net, [0, 100], seed=7, replicates=3)
    >>> dict(run.eigenvalue.sizes)
    {'layer': 2, 'replicate': 3, 'time': 2, 'rank': 40}
    >>> bool((run.test_loss[:, 1] < 0.1 * run.test_loss[:, 0]).all())
    True
    """
    indices = replicate_range(replicates)
    plan = plan_of(
        model, times, seed, initial=initial, method=method, time_step=time_step, save_weights=save_weights,
        spectra=spectra,
    )  # fmt: skip
    if threads is not None and threads < 1:
        raise UsageError(f"threads is {threads}; it must be at least 1")
    workers = min(threads or os.cpu_count() or 1, len(indices))
    check_size(plan, len(indices), workers)
    records = _empty(plan, len(indices))
    with blas_threads(0), ThreadPoolExecutor(max_workers=workers) as pool:
        runs = pool.map(lambda row: _follow(plan, indices[row], row, records), range(len(indices)))
        for done, _ in enumerate(runs, start=1):
            if progress is not None:
                progress(done, len(indices), "networks")
    _warn(plan, records)
    return _dataset(plan, indices, records)


def _empty(plan: Plan[Any], count: int) -> _Records:
    run = (count, len(plan.clock))
    layers = len(plan.shapes)
    return _Records(
        eigenvalue=np.full((layers, *run, max(plan.ranks)), np.nan) if plan.keep_spectra else None,
        others={name: np.full((*run, *shape), np.nan) for name, shape in plan.records.items()},
        converged=np.zeros(run, dtype=np.int64),
        weight=np.full((layers, *run, *plan.shapes[0]), np.nan) if plan.keep_weights else None,
    )


def _network(plan: Plan[Any], replicate: int) -> _Trained:
    if isinstance(plan.model, DeepNetwork):
        return NonlinearNetwork(plan, seed=plan.seed, replicate=replicate)
    return TrainedNetwork(plan, seed=plan.seed, replicate=replicate)


def _follow(plan: Plan[Any], replicate: int, row: int, records: _Records) -> None:
    """Train one network and record it; it stops where it diverges."""
    with np.errstate(over="ignore", invalid="ignore"):  # a diverging run overflows before it is stopped
        network = _network(plan, replicate)
        for i, time in enumerate(plan.clock.tolist()):
            while network.step < time and not network.diverged:
                network.update()
            found = network.measure()
            if found is None:
                return
            _record(network.matrices, found, (row, i), records)


def _record(
    matrices: list[np.ndarray], found: dict[str, float | np.ndarray], place: tuple[int, int], records: _Records
) -> None:
    """Write what is known of a network before its next update."""
    for layer, matrix in enumerate(matrices):
        if records.eigenvalue is not None:
            values = spectrum(matrix)
            records.eigenvalue[layer, *place, : len(values)] = values
        if records.weight is not None:
            records.weight[layer, *place] = matrix
    for name, value in found.items():
        records.others[name][place] = value
    records.converged[place] = 1


def _warn(plan: Plan[Any], records: _Records) -> None:
    lost = records.converged[:, -1] == 0
    if not lost.any():
        return
    first = plan.clock[np.argmin(records.converged.all(axis=0))]
    warnings.warn(
        f"{lost.sum()} of {len(lost)} networks diverged at learning_rate {plan.model.learning_rate:g}, the first one "
        f"by time {first}; their values from there on are missing, and converged is 0",
        UserWarning,
        stacklevel=3,
    )


def _dataset(plan: Plan[Any], indices: range, records: _Records) -> xr.Dataset:
    model = plan.model
    run = ("layer", "replicate", "time")
    counts = np.array(plan.ranks)[:, None, None] * records.converged
    output = ("sample", "channel")
    variables: dict[str, Any] = {}
    if records.eigenvalue is not None:
        variables = {"eigenvalue": ((*run, "rank"), records.eigenvalue), "rank_count": (run, counts)}
    for name, values in records.others.items():
        variables[name] = ((*run[1:], *output[: values.ndim - 2]), values)
    variables["sharpness"] = (run[1:], model.learning_rate * records.others["ntk_top"])
    variables["converged"] = (run[1:], records.converged)
    coords: dict[str, Any] = {
        "replicate": (("replicate",), np.array(indices)),
        "time": (("time",), plan.clock.astype(np.float64), {"clock": "step"}),
    }
    if records.eigenvalue is not None or records.weight is not None:
        coords |= {
            "layer": (("layer",), [f"W{layer}" for layer in range(len(plan.shapes))]),
            "n_rows": (("layer",), [rows for rows, _ in plan.shapes]),
            "n_cols": (("layer",), [cols for _, cols in plan.shapes]),
            "matrix": (("layer",), [plan.matrix] * len(plan.shapes)),
        }
    if records.eigenvalue is not None:
        coords["rank"] = (("rank",), np.arange(max(plan.ranks)))
    if "network_output" in plan.records:
        inputs, outputs = plan.records["network_output"]
        sets = np.where(np.arange(inputs) < plan.samples, "train", "test")
        coords |= {"sample": (("sample",), np.arange(inputs)), "sample_set": (("sample",), sets)}
        coords["channel"] = (("channel",), np.arange(outputs))
    if records.weight is not None:
        rows, cols = plan.shapes[0]
        variables["weight"] = ((*run, "row", "col"), records.weight)
        coords |= {"row": (("row",), np.arange(rows)), "col": (("col",), np.arange(cols))}
    arguments = {"model": repr(model), "digest": model.digest, "times": plan.clock, "seed": plan.seed}
    arguments |= {"replicates": list(indices)[:: max(len(indices) - 1, 1)], "method": "gradient_descent"}
    return build(
        variables,
        coords,
        source="simulate",
        provenance=record("sdespec.simulate", arguments),
        attrs={
            "method": "gradient_descent",
            "method_order": math.inf,  # the updates are the model itself
            "seed": plan.seed if plan.seed < 2**63 else str(plan.seed),
            "model": repr(model),
            "model_digest": model.digest,
        },
    )

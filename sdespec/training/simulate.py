"""Train replicates of a finite network and record their spectra and losses."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr

from sdespec.core.dataset import build
from sdespec.core.errors import UsageError
from sdespec.core.linalg import blas_threads
from sdespec.core.provenance import record
from sdespec.models import DeepLinearNetwork
from sdespec.training.deep_linear import TrainedNetwork
from sdespec.training.observables import spectrum, tangent_top
from sdespec.training.plan import Plan, check_size, plan_of, replicate_range
from sdespec.training.streams import Purpose, Stream

__all__ = ["simulate"]

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, eq=False)
class _Records:
    """Arrays that the replicates fill, NaN where a run did not come."""

    eigenvalue: np.ndarray  # (layer, replicate, time, rank)
    train_loss: np.ndarray  # (replicate, time), as those below
    test_loss: np.ndarray
    ntk_top: np.ndarray
    converged: np.ndarray
    weight: np.ndarray | None  # (layer, replicate, time, row, col)


def simulate(
    model: DeepLinearNetwork,
    times: Sequence[float] | np.ndarray,
    *,
    seed: int,
    replicates: int | range = 1,
    initial: None = None,
    method: Literal["auto", "gradient_descent"] = "auto",
    time_step: None = None,
    threads: int | None = None,
    save_weights: bool = False,
    progress: Progress | None = None,
) -> xr.Dataset:
    r"""Train finite deep linear networks from random weights on random data, and record them on the way.

    .. math:: M_l \to M_l + \eta \gamma_0^2\, (-\nabla_{M_l} \tfrac12 \langle (y - f)^2 \rangle)

    Parameters
    ----------
    model : DeepLinearNetwork
        The network, with ``input_dim``; its width and its numbers of samples are the ratios times that, rounded.
    times : sequence of int, (k,)
        Increasing numbers of updates that are done before the record, at least 0.
    seed : int
        Weights, teacher, data and label noise are functions of (seed, replicate), fresh samples also of the update.
    replicates : int or range
        Number of independent networks, each with its own data, or their indices: ``range(40, 64)`` gives exactly
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
    progress : callable, optional
        Called with (done, total, text).

    Returns
    -------
    xarray.Dataset
        ``eigenvalue`` (layer, replicate, time, rank), the squared singular values of ``W0 ... W{L-1}``;
        ``rank_count``; ``train_loss, test_loss, ntk_top, sharpness, converged`` (replicate, time); and ``weight``
        (layer, replicate, time, row, col).

    Raises
    ------
    UsageError
        If an argument is not allowed, ``input_dim`` is missing, or the experiment would be too large.

    Warns
    -----
    UserWarning
        Where a network diverges (test loss not finite or beyond 1e12): its values are missing, and ``converged`` is
        0, from there on.

    Notes
    -----
    ``test_loss`` is the exact mean over new inputs against labels without noise. ``train_loss`` is that on the
    data of the next update, with its label noise: all samples, the batch of that update (missing after the last
    batch), or the population. ``ntk_top`` is over all fixed samples, and over the population where there are none;
    ``sharpness`` is ``learning_rate * ntk_top``, whose edge of stability is 2 without momentum.

    An update costs 2L products with a vector and L updates of rank one, 6 L N^2 flops or more; a record costs the
    singular values of L matrices, O(N^3) each.

    References
    ----------
    Lauditi, Pehlevan and Bordelon, arXiv 2605.07870; Bordelon and Pehlevan, arXiv 2502.02531.

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
        model, times, seed, initial=initial, method=method, time_step=time_step, save_weights=save_weights
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


def _empty(plan: Plan, count: int) -> _Records:
    run = (count, len(plan.clock))
    layers = len(plan.shapes)
    return _Records(
        eigenvalue=np.full((layers, *run, max(plan.ranks)), np.nan),
        train_loss=np.full(run, np.nan),
        test_loss=np.full(run, np.nan),
        ntk_top=np.full(run, np.nan),
        converged=np.zeros(run, dtype=np.int64),
        weight=np.full((layers, *run, *plan.shapes[0]), np.nan) if plan.keep_weights else None,
    )


def _follow(plan: Plan, replicate: int, row: int, records: _Records) -> None:
    """Train one network and record it; it stops where it diverges."""
    with np.errstate(over="ignore", invalid="ignore"):  # a diverging run overflows before it is stopped
        network = TrainedNetwork(plan, seed=plan.seed, replicate=replicate)
        for i, time in enumerate(plan.clock.tolist()):
            while network.step < time and not network.diverged:
                network.update()
            if network.diverged:
                return
            _record(plan, network, replicate, (row, i), records)


def _record(plan: Plan, network: TrainedNetwork, replicate: int, place: tuple[int, int], records: _Records) -> None:
    """Write what is known of a network before its next update."""
    for layer, matrix in enumerate(network.matrices):
        values = spectrum(matrix)
        records.eigenvalue[layer, *place, : len(values)] = values
        if records.weight is not None:
            records.weight[layer, *place] = matrix
    probe = Stream(plan.seed, replicate).normal((plan.samples or plan.dim,), Purpose.PROBE)
    records.ntk_top[place] = tangent_top(network.matrices, network.backward_norms, network.samples.inputs, probe)
    records.test_loss[place] = network.test_loss
    records.train_loss[place] = network.train_loss
    records.converged[place] = 1


def _warn(plan: Plan, records: _Records) -> None:
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


def _dataset(plan: Plan, indices: range, records: _Records) -> xr.Dataset:
    model = plan.model
    run = ("layer", "replicate", "time")
    counts = np.array(plan.ranks)[:, None, None] * records.converged
    variables: dict[str, Any] = {
        "eigenvalue": ((*run, "rank"), records.eigenvalue),
        "rank_count": (run, counts),
        "train_loss": (run[1:], records.train_loss),
        "test_loss": (run[1:], records.test_loss),
        "ntk_top": (run[1:], records.ntk_top),
        "sharpness": (run[1:], model.learning_rate * records.ntk_top),
        "converged": (run[1:], records.converged),
    }
    coords: dict[str, Any] = {
        "layer": (("layer",), [f"W{layer}" for layer in range(len(plan.shapes))]),
        "n_rows": (("layer",), [rows for rows, _ in plan.shapes]),
        "n_cols": (("layer",), [cols for _, cols in plan.shapes]),
        "matrix": (("layer",), ["M"] * len(plan.shapes)),
        "replicate": (("replicate",), np.array(indices)),
        "time": (("time",), plan.clock.astype(np.float64), {"clock": "step"}),
        "rank": (("rank",), np.arange(max(plan.ranks))),
    }
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

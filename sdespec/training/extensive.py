"""Simulate finite networks with extensively many outputs, and record their spectra and losses."""

from __future__ import annotations

import math
import operator
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr

from sdespec.core.checks import positive, replicate_range
from sdespec.core.dataset import build
from sdespec.core.errors import UsageError
from sdespec.core.linalg import blas_threads
from sdespec.core.provenance import record
from sdespec.core.rng import FIELDS
from sdespec.models import ExtensiveOutputNetwork
from sdespec.training.extensive_dynamics import BothTrained, HiddenTrained, sizes_of
from sdespec.training.observables import spectrum

__all__ = ["simulate"]

Progress = Callable[[int, int, str], None]
Method = Literal["auto", "exact", "runge_kutta", "gradient_descent"]

_ORDER = {"exact": math.inf, "runge_kutta": 4.0, "gradient_descent": math.inf}  # updates are the model itself
_STEPS_PER_TIME = 10.0
_MAX_BYTES = 8 << 30
_EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class _Plan:
    """One experiment, checked."""

    model: ExtensiveOutputNetwork
    clock: np.ndarray
    seed: int
    method: str
    time_step: float  # NaN where there is none
    keep_weights: bool

    @property
    def shapes(self) -> list[tuple[int, int]]:
        outputs, width, inputs = sizes_of(self.model)
        return [(width, inputs)] if self.model.train == "hidden" else [(width, inputs), (outputs, width)]

    @property
    def ranks(self) -> list[int]:
        return [min(shape) for shape in self.shapes]


@dataclass(frozen=True, eq=False)
class _Records:
    """Arrays that the replicates fill, NaN where a run did not come."""

    eigenvalue: np.ndarray  # (layer, replicate, time, rank)
    loss: np.ndarray  # (replicate, time)
    converged: np.ndarray  # (replicate, time)
    weight: np.ndarray | None  # (layer, replicate, time, row, col)


def simulate(
    model: ExtensiveOutputNetwork,
    times: Sequence[float] | np.ndarray,
    *,
    seed: int,
    replicates: int | range = 1,
    initial: None = None,
    method: Method = "auto",
    time_step: float | None = None,
    threads: int | None = None,
    save_weights: bool = False,
    progress: Progress | None = None,
) -> xr.Dataset:
    r"""Train finite networks with extensively many outputs under the population loss.

    .. math:: \dot M = A^T (B - A M), \qquad \dot A = (B - A M) M^T \text{ or } 0

    Parameters
    ----------
    model : ExtensiveOutputNetwork
        The network, with a ``width`` N; C and D are its ratios times that, rounded.
    times : sequence of float, (k,)
        Increasing, at least 0: whole numbers of updates with a learning_rate, otherwise times of gradient flow, which
        may end in ``inf`` with train="hidden".
    seed : int
        Weights and target are functions of (seed, replicate).
    replicates : int or range
        Number of independent networks, or their indices: ``range(40, 64)`` gives exactly rows 40 to 63 of 64.
    initial : None
        Weights start as the model says.
    method : {"auto", "exact", "runge_kutta", "gradient_descent"}
        ``auto`` is the only one that fits: ``exact`` with train="hidden", for the flow and for gradient descent alike;
        with train="both" ``runge_kutta``, the classical method of order 4, for the flow, and ``gradient_descent``
        with a learning_rate.
    time_step : float, optional
        Largest step of ``runge_kutta``; by default a tenth of a unit of time, over the largest of 1, weight_variance,
        the root of target_variance, and target_spike.
    threads : int, optional
        Number of threads, each with one BLAS thread; all cores by default. The result does not depend on it.
    save_weights : bool
        Keep the matrices as ``weight``; both together need one shape.
    progress : callable, optional
        Called with (done, total, text).

    Returns
    -------
    xarray.Dataset
        ``eigenvalue`` (layer, replicate, time, rank), the squared singular values of W0, the matrix M, and where both
        are trained of W1, the matrix A; ``rank_count``; ``train_loss`` and ``converged`` (replicate, time);
        ``weight`` (layer, replicate, time, row, col).

    Raises
    ------
    UsageError
        If an argument is not allowed, ``width`` is missing, or the experiment would be too large.

    Warns
    -----
    UserWarning
        Where a network diverges: its values are missing, and ``converged`` is 0, from there on.

    Notes
    -----
    ``train_loss`` is the mean over outputs of the squared error on white inputs, :math:`|A M - B|_F^2 / C`. The target
    B has Gaussian entries of the variance target_variance/N, plus target_spike times a product of two random unit
    vectors. Squared singular values below the numerical rank are given as 0.

    With train="hidden" a network costs one singular value decomposition of A, and a record the singular values of M;
    with train="both" a step costs 12 products of N x N matrices, an update 3.

    References
    ----------
    Lauditi, Pehlevan and Bordelon, arXiv 2605.07870.

    Examples
    --------
    >>> run = simulate(ExtensiveOutputNetwork(0.5, target_variance=4.0, width=40), [0.0, 4.0], seed=7, replicates=3)
    >>> dict(run.eigenvalue.sizes)
    {'layer': 1, 'replicate': 3, 'time': 2, 'rank': 40}
    >>> bool((run.train_loss[:, 1] < 0.1 * run.train_loss[:, 0]).all())
    True
    """
    indices = replicate_range(replicates)
    if initial is not None:
        raise UsageError(f"initial is {type(initial).__name__!r}; this network starts as its model says: None")
    if threads is not None and threads < 1:
        raise UsageError(f"threads is {threads}; it must be at least 1")
    plan = _plan_of(model, times, seed, method, time_step, save_weights)
    workers = min(threads or os.cpu_count() or 1, len(indices))
    _check_size(plan, len(indices), workers)
    records = _empty(plan, len(indices))
    with blas_threads(0), ThreadPoolExecutor(max_workers=workers) as pool:
        runs = pool.map(lambda row: _follow(plan, indices[row], row, records), range(len(indices)))
        for done, _ in enumerate(runs, start=1):
            if progress is not None:
                progress(done, len(indices), "networks")
    _warn(plan, records)
    return _dataset(plan, indices, records)


def _plan_of(
    model: ExtensiveOutputNetwork, times: Any, seed: int, method: str, time_step: float | None, save_weights: bool
) -> _Plan:
    """Check the arguments."""
    if not isinstance(model, ExtensiveOutputNetwork):
        raise UsageError(f"{type(model).__name__} is not simulated here; give an ExtensiveOutputNetwork")
    if model.width is None:
        raise UsageError("width is None; a simulation needs it: give the model the number of its hidden units")
    outputs, width, inputs = sizes_of(model)
    for count, name in ((outputs, "output_ratio"), (inputs, "input_ratio")):
        if count < 1:
            raise UsageError(f"{name} is {getattr(model, name):g} and width {width}, which leaves nothing; take more")
    descent = "gradient_descent" if model.learning_rate is not None else "runge_kutta"
    fitting = "exact" if model.train == "hidden" else descent
    if method not in ("auto", fitting):
        raise UsageError(f"method is {method!r}; for this network it must be 'auto' or {fitting!r}")
    plan = _Plan(
        model, _clock(model, times), _whole_seed(seed), fitting, _step(model, fitting, time_step), bool(save_weights)
    )
    if save_weights and len(set(plan.shapes)) > 1:
        raise UsageError(
            f"save_weights needs matrices of one shape, and these are {plan.shapes[0]} and {plan.shapes[1]}; take "
            "input_ratio = output_ratio = 1, or leave save_weights out"
        )
    return plan


def _step(model: ExtensiveOutputNetwork, method: str, time_step: float | None) -> float:
    if method != "runge_kutta":
        if time_step is not None:
            raise UsageError(f"time_step is {time_step!r}; the method {method!r} has none: leave it out")
        return math.nan
    if time_step is None:
        speeds = (1.0, model.weight_variance, math.sqrt(model.target_variance), model.target_spike or 0.0)
        return 1.0 / (_STEPS_PER_TIME * max(speeds))
    if not positive(time_step):
        raise UsageError(f"time_step is {time_step!r}; it must be positive and finite")
    return float(time_step)


def _clock(model: ExtensiveOutputNetwork, times: Any) -> np.ndarray:
    clock = np.asarray(list(times), dtype=np.float64)
    if clock.ndim != 1 or clock.size == 0 or np.isnan(clock).any():
        raise UsageError(f"times are {times!r}; give at least one number")
    if clock[0] < 0.0 or np.any(np.diff(clock) <= 0.0):
        raise UsageError(f"times are {clock.tolist()}; they must increase from at least 0")
    if model.learning_rate is not None and not np.all(np.isfinite(clock) & (clock == np.floor(clock))):
        raise UsageError(f"times are {clock.tolist()}; gradient descent needs whole numbers of updates")
    if math.isinf(clock[-1]) and model.train == "both":
        raise UsageError("times end in inf; where both matrices are trained every step is taken: give finite times")
    return clock


def _whole_seed(seed: int) -> int:
    try:
        whole = operator.index(seed)
    except TypeError:
        whole = -1
    if whole < 0:
        raise UsageError(f"seed is {seed!r}; it must be an integer of at least 0")
    return whole


def _check_size(plan: _Plan, replicates: int, workers: int) -> None:
    """Refuse experiments that would not fit into memory or into the counter of the noise."""
    outputs, width, inputs = sizes_of(plan.model)
    weights = sum(rows * cols for rows, cols in plan.shapes)
    values = len(plan.shapes) * max(plan.ranks) + (weights if plan.keep_weights else 0)
    state = 4 * width * inputs + 3 * outputs * inputs + 3 * width * width + 8 * weights
    size = 8 * (replicates * len(plan.clock) * values + workers * state)
    if size > _MAX_BYTES or max(outputs, width) * max(inputs, width) > 2 << FIELDS["entry"]:
        raise UsageError(
            f"the experiment would take {size / 2**30:.1f} GiB, more than {_MAX_BYTES / 2**30:.0f}; take a smaller "
            "width, fewer times, replicates or threads, or ranges of replicates one after the other"
        )


def _empty(plan: _Plan, count: int) -> _Records:
    run = (count, len(plan.clock))
    layers = len(plan.shapes)
    return _Records(
        eigenvalue=np.full((layers, *run, max(plan.ranks)), np.nan),
        loss=np.full(run, np.nan),
        converged=np.zeros(run, dtype=np.int64),
        weight=np.full((layers, *run, *plan.shapes[0]), np.nan) if plan.keep_weights else None,
    )


def _follow(plan: _Plan, replicate: int, row: int, records: _Records) -> None:
    """Train one network and record it; it stops where it diverges."""
    with np.errstate(over="ignore", invalid="ignore"):  # a diverging run overflows before it is stopped
        network: HiddenTrained | BothTrained
        if plan.model.train == "hidden":
            network = HiddenTrained(plan.model, plan.seed, replicate)
        else:
            network = BothTrained(plan.model, plan.seed, replicate, plan.time_step)
        for i, time in enumerate(plan.clock.tolist()):
            found = network.record(time)
            if found is None:
                return
            matrices, records.loss[row, i] = found
            for layer, matrix in enumerate(matrices):
                values = spectrum(matrix)
                # what is rounding is 0, as the atom of a hidden weight that starts from 0
                values[values < (_EPSILON * max(matrix.shape)) ** 2 * values[0]] = 0.0
                records.eigenvalue[layer, row, i, : len(values)] = values
            if records.weight is not None:
                for layer, weight in enumerate(network.weights(matrices)):
                    records.weight[layer, row, i] = weight
            records.converged[row, i] = 1


def _warn(plan: _Plan, records: _Records) -> None:
    lost = records.converged[:, -1] == 0
    if not lost.any():
        return
    first = plan.clock[np.argmin(records.converged.all(axis=0))]
    remedy = "learning_rate" if plan.model.learning_rate is not None else "time_step"
    warnings.warn(
        f"{lost.sum()} of {len(lost)} networks diverged, the first one by time {first:g}; their values from there on "
        f"are missing, and converged is 0: take a smaller {remedy}",
        UserWarning,
        stacklevel=3,
    )


def _dataset(plan: _Plan, indices: range, records: _Records) -> xr.Dataset:
    model = plan.model
    run = ("layer", "replicate", "time")
    layers = len(plan.shapes)
    variables: dict[str, Any] = {
        "eigenvalue": ((*run, "rank"), records.eigenvalue),
        "rank_count": (run, np.array(plan.ranks)[:, None, None] * records.converged),
        "train_loss": (run[1:], records.loss),
        "converged": (run[1:], records.converged),
    }
    coords: dict[str, Any] = {
        "layer": (("layer",), [f"W{layer}" for layer in range(layers)]),
        "n_rows": (("layer",), [rows for rows, _ in plan.shapes]),
        "n_cols": (("layer",), [cols for _, cols in plan.shapes]),
        "matrix": (("layer",), ["M", "A"][:layers]),
        "replicate": (("replicate",), np.array(indices)),
        "time": (("time",), plan.clock, {"clock": model.clock}),
        "rank": (("rank",), np.arange(max(plan.ranks))),
    }
    if records.weight is not None:
        rows, cols = plan.shapes[0]
        variables["weight"] = ((*run, "row", "col"), records.weight)
        coords |= {"row": (("row",), np.arange(rows)), "col": (("col",), np.arange(cols))}
    attrs: dict[str, Any] = {
        "method": plan.method,
        "method_order": _ORDER[plan.method],
        "seed": plan.seed if plan.seed < 2**63 else str(plan.seed),
        "model": repr(model),
        "model_digest": model.digest,
    }
    if plan.method == "runge_kutta":
        attrs["time_step"] = plan.time_step
    arguments = {"model": repr(model), "digest": model.digest, "times": plan.clock, "seed": plan.seed}
    arguments |= {"replicates": list(indices)[:: max(len(indices) - 1, 1)], "method": plan.method}
    arguments |= {"time_step": plan.time_step} if plan.method == "runge_kutta" else {}
    return build(variables, coords, source="simulate", provenance=record("sdespec.simulate", arguments), attrs=attrs)

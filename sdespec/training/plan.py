"""What one training experiment is to do, checked and in numbers."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sdespec.core.errors import UsageError
from sdespec.core.rng import FIELDS
from sdespec.models import DeepLinearNetwork

__all__ = ["Plan", "check_size", "plan_of", "replicate_range"]

_MAX_BYTES = 8 << 30


@dataclass(frozen=True, eq=False)
class Plan:
    """One experiment in numbers.

    Attributes
    ----------
    model : DeepLinearNetwork
        The network.
    dim, width : int
        D and N.
    samples, batch : int
        Numbers of all fixed samples and of samples of an update; 0 where there are none, as for the population loss.
    clock : ndarray of int
        Numbers of updates before the records.
    seed : int
        Seed of the run.
    keep_weights : bool
        Whether the matrices are kept.
    """

    model: DeepLinearNetwork
    dim: int
    width: int
    samples: int
    batch: int
    clock: np.ndarray
    seed: int
    keep_weights: bool

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Shapes of the matrices W0 ... W{L-1}."""
        return [(self.width, self.dim)] + [(self.width, self.width)] * (int(self.model.hidden_layers) - 1)

    @property
    def ranks(self) -> list[int]:
        """Numbers of their singular values."""
        return [min(shape) for shape in self.shapes]

    @property
    def batches_done(self) -> int | float:
        """Number of updates for which there are samples."""
        return math.inf if self.model.batches is None else len(self.model.batches)


def replicate_range(replicates: int | range) -> range:
    """Indices of the replicates, checked."""
    try:
        indices = replicates if isinstance(replicates, range) else range(operator.index(replicates))
    except TypeError:
        indices = range(0)
    if len(indices) == 0 or indices.step != 1 or indices.start < 0:
        raise UsageError(f"replicates is {replicates!r}; give a positive number or a range of steps 1 from at least 0")
    if indices.stop > 1 << FIELDS["replicate"]:
        raise UsageError(
            f"replicate {indices.stop - 1} is beyond the {FIELDS['replicate']}-bit field of the noise counter; "
            "take another seed for further replicates"
        )
    return indices


def plan_of(
    model: DeepLinearNetwork, times: Sequence[float] | np.ndarray, seed: int = 0, *, initial: Any = None,
    method: str = "auto", time_step: float | None = None, save_weights: bool = False,
) -> Plan:  # fmt: skip
    """Check the arguments of ``simulate`` and put them in numbers."""
    if not isinstance(model, DeepLinearNetwork):
        raise UsageError(f"{type(model).__name__} cannot be trained here; give a DeepLinearNetwork")
    if initial is not None:
        raise UsageError(f"initial is {type(initial).__name__!r}; a deep linear network starts as its model says: None")
    if method not in ("auto", "gradient_descent"):
        raise UsageError(f"method is {method!r}; allowed: 'auto', 'gradient_descent'")
    if time_step is not None:
        raise UsageError(
            f"time_step is {time_step!r}; gradient descent has none: leave it out, and give the model a learning_rate"
        )
    if model.input_dim is None:
        raise UsageError("input_dim is None; a simulation needs it: give the model the number of its inputs")
    clock = _clock(times)
    dim = int(model.input_dim)
    width = _count(model.width_ratio, dim, "width_ratio")
    batch = 0 if model.batch_ratio is None else _count(model.batch_ratio, dim, "batch_ratio")
    if math.isinf(model.sample_ratio):
        samples = 0
    elif model.batch_ratio is None:
        samples = _count(model.sample_ratio, dim, "sample_ratio")
    else:
        samples = batch * round(model.sample_ratio / model.batch_ratio)
    plan = Plan(model, dim, width, samples, batch, clock, _whole_seed(seed), save_weights)
    if clock[-1] > plan.batches_done:
        raise UsageError(
            f"times end at {clock[-1]} updates, and batches names {plan.batches_done}; give a batch for each update"
        )
    if save_weights and len(set(plan.shapes)) > 1:
        raise UsageError(
            f"save_weights needs matrices of one shape, and these are {plan.shapes[0]} and {plan.shapes[1]}; "
            "take width_ratio = 1 or hidden_layers = 1, or leave save_weights out"
        )
    return plan


def check_size(plan: Plan, replicates: int, workers: int) -> None:
    """Refuse experiments that would not fit into memory."""
    weights = sum(rows * cols for rows, cols in plan.shapes)
    values = len(plan.shapes) * max(plan.ranks) + (weights if plan.keep_weights else 0)
    copies = 2 if plan.model.momentum else 1
    state = copies * weights + plan.dim * max(plan.samples, plan.batch) + 2 * plan.width * plan.width
    size = 8 * (replicates * len(plan.clock) * values + workers * state)
    if size > _MAX_BYTES:
        raise UsageError(
            f"the experiment would take {size / 2**30:.1f} GiB, more than {_MAX_BYTES / 2**30:.0f}; "
            "take a smaller input_dim, fewer times, replicates or threads, or ranges of replicates one after the other"
        )


def _count(ratio: float, dim: int, name: str) -> int:
    found = round(ratio * dim)
    if found < 1:
        raise UsageError(f"{name} is {ratio:g} and input_dim {dim}, which leaves nothing; take a larger input_dim")
    return found


def _clock(times: Sequence[float] | np.ndarray) -> np.ndarray:
    """Times as integers."""
    given = np.asarray(list(times), dtype=np.float64)
    if given.ndim != 1 or given.size == 0 or not np.isfinite(given).all() or np.any(given != np.floor(given)):
        raise UsageError(f"times are {times!r}; give at least one whole number of updates")
    if given[0] < 0.0 or np.any(np.diff(given) <= 0.0):
        raise UsageError(f"times are {given.tolist()}; they must increase from at least 0")
    if given[-1] > 1 << FIELDS["step"]:
        raise UsageError(f"times end at {given[-1]:g}, beyond the {FIELDS['step']}-bit field of the noise counter")
    return given.astype(np.int64)


def _whole_seed(seed: int) -> int:
    try:
        whole = operator.index(seed)
    except TypeError:
        whole = -1
    if whole < 0:
        raise UsageError(f"seed is {seed!r}; it must be an integer of at least 0")
    return whole

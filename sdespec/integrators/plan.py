"""What one simulation is to do, checked and in numbers."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sdespec.core.errors import UsageError
from sdespec.core.rng import FIELDS
from sdespec.integrators.schemes import euler_step_count
from sdespec.integrators.start import Start, start_of
from sdespec.models import DysonLaguerre, MatrixSGD

__all__ = ["METHODS", "Plan", "check_size", "plan_of"]

METHODS: tuple[str, ...] = ("auto", "exact", "euler", "sorted_euler")

_MAX_BYTES = 8 << 30


@dataclass(frozen=True, eq=False)
class Plan:
    """One run in numbers; the lengths of steps lead from record to record."""

    n_rows: int
    n_cols: float
    weight_decay: float
    diffusion: float
    beta: float
    clock: np.ndarray
    lengths: np.ndarray
    start: Start
    seed: int
    method: str
    time_step: float
    keep_weights: bool

    @property
    def rank(self) -> int:
        """Number of eigenvalues."""
        return min(self.n_rows, self.whole_cols)

    @property
    def whole_cols(self) -> int:
        """Number of columns as an integer: a real one is rounded down, but never below the rank n_rows."""
        return _whole_cols(self.n_rows, self.n_cols)

    @property
    def larger_side(self) -> int:
        """The larger one of the two sides of the matrix."""
        return int(max(self.n_rows, self.n_cols))

    @property
    def whole_matrix(self) -> bool:
        """Whether the matrix itself is followed."""
        return self.keep_weights or self.method == "euler"

    @property
    def counts(self) -> list[int]:
        """Number of steps that lead to each record."""
        if self.method == "exact":
            return [1] * len(self.lengths)
        return [euler_step_count(float(length), self.time_step) for length in self.lengths]


def plan_of(
    model: DysonLaguerre | MatrixSGD,
    times: Sequence[float] | np.ndarray,
    seed: int,
    indices: range,
    initial: Any,
    method: str,
    time_step: float | None,
    save_weights: bool,
) -> Plan:
    """Check the arguments of ``simulate`` and put them in numbers."""
    if not isinstance(model, (DysonLaguerre, MatrixSGD)):
        raise UsageError(f"{type(model).__name__} cannot be simulated here; give a DysonLaguerre or a MatrixSGD")
    if method not in METHODS:
        raise UsageError(f"method is {method!r}; allowed: {', '.join(METHODS)}")
    name = "exact" if method == "auto" else method
    if name != "exact" and time_step is None:
        raise UsageError(f"method {name!r} needs a time_step")
    if name == "exact" and time_step is not None:
        raise UsageError("time_step has no meaning for the exact method; leave it out")
    if time_step is not None and not (math.isfinite(time_step) and time_step > 0.0):
        raise UsageError(f"time_step is {time_step}; it must be positive and finite")
    if save_weights and name == "sorted_euler":
        raise UsageError("sorted_euler has no matrix to save")
    beta = model.beta if isinstance(model, DysonLaguerre) else 1.0
    columns = _whole_cols(model.n_rows, model.n_cols)
    start = start_of(initial, n_rows=model.n_rows, n_cols=columns, replicates=indices)
    if math.isinf(start.time):
        raise UsageError("the start is already at time inf; give its eigenvalues to start anew from them")
    clock = np.asarray(list(times), dtype=np.float64)
    if clock.ndim != 1 or clock.size == 0 or np.isnan(clock).any():
        raise UsageError(f"times are {times!r}; give at least one number")
    if clock[0] < start.time or np.any(np.diff(clock) <= 0.0):
        raise UsageError(f"times are {clock.tolist()}; they must increase from at least {start.time:g}")
    if (start.stationary or math.isinf(clock[-1])) and model.weight_decay == 0.0:
        raise UsageError("there is no stationary law at weight_decay = 0; give finite times and another start")
    if math.isinf(clock[-1]) and name != "exact":
        raise UsageError(f"method {name!r} never reaches time inf; only 'exact' does")
    return Plan(
        model.n_rows, model.n_cols, model.weight_decay, model.diffusion, beta, clock,
        np.diff(np.concatenate(([start.time], clock))), start, operator.index(seed), name, time_step or math.inf,
        save_weights,
    )  # fmt: skip


def _whole_cols(n_rows: int, n_cols: float) -> int:
    return int(n_cols) if float(n_cols).is_integer() else max(n_rows, math.floor(n_cols))


def check_size(plan: Plan, indices: range) -> None:
    """Refuse results that would not fit into memory, and runs that the counter of the noise could not hold."""
    size = 8 * len(indices) * len(plan.clock) * (plan.rank + (plan.rank * plan.larger_side if plan.keep_weights else 0))
    if size > _MAX_BYTES:
        raise UsageError(
            f"the result would take {size / 2**30:.1f} GiB, more than {_MAX_BYTES / 2**30:.0f}; "
            "ask for fewer times or replicates, or run ranges of replicates one after the other"
        )
    steps = plan.start.steps + sum(plan.counts)
    for name, value in (("step", steps), ("replicate", indices.stop)):
        if value > 1 << FIELDS[name]:
            raise UsageError(
                f"{value} is beyond the {FIELDS[name]}-bit field '{name}' of the noise counter; "
                "take fewer or longer steps, or another seed for further replicates"
            )

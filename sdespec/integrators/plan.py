"""What one simulation is to do, checked and in numbers."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sdespec.core.errors import UsageError
from sdespec.core.rng import FIELDS
from sdespec.integrators.schemes import euler_step_count, graded_steps, step_constants
from sdespec.integrators.start import Start, start_of
from sdespec.models import DysonLaguerre, MatrixSGD

__all__ = ["METHODS", "Pace", "Plan", "check_size", "clock_of", "plan_of"]

METHODS: tuple[str, ...] = ("auto", "exact", "strang", "adaptive", "implicit", "euler", "sorted_euler")

_MAX_BYTES = 8 << 30
# Steps of the splitting for any repulsion, in units of the time in which the spectrum moves by its own size (below 1,
# where its parts do not commute, and from 1 on), and last steps before a record, of that in which a value diffuses over
# a mean gap: at these 20 000 replicates show no bias.
_SHARE_BELOW, _SHARE, _LAST_SHARE = 0.2, 1.0, 0.0075
_TOLERANCE = 0.02  # of adaptive steps, relative to a mean gap
_OPEN, _STEP_SHARE, _HARD_STEP_SHARE = 1.5, 0.5, 0.3  # share of the time left; with m < 1.5 n the smallest value sees 0


@dataclass(frozen=True, eq=False)
class Pace:
    """Steps of a scheme for any repulsion on its way to each record.

    Attributes
    ----------
    longest, last : ndarray, (times,)
        Longest step, and the one before the record.
    share : float
        Longest step relative to what is left to the record.
    tolerance : ndarray, (times,)
        Of adaptive steps.
    """

    longest: np.ndarray
    last: np.ndarray
    share: float
    tolerance: np.ndarray


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
    pace: Pace | None = None

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
    def sides(self) -> tuple[int, float]:
        """Number of values and the larger side, which may be real."""
        whole = float(self.n_cols).is_integer()
        return (self.rank, float(self.larger_side)) if whole else (self.n_rows, float(self.n_cols))

    @property
    def whole_matrix(self) -> bool:
        """Whether the matrix itself is followed."""
        return self.keep_weights or self.method == "euler"

    @property
    def graded(self) -> list[np.ndarray]:
        """Steps of the splitting that lead to each record: one from zero, which is exact, and none to time inf."""
        assert self.pace is not None
        steps = [
            graded_steps(float(length), float(longest), float(last), self.pace.share)
            if 0.0 < length < math.inf
            else np.empty(0)
            for length, longest, last in zip(self.lengths, self.pace.longest, self.pace.last, strict=True)
        ]
        if self.at_once:
            steps[0] = self.lengths[:1]
        return steps

    @property
    def at_once(self) -> bool:
        """Whether the first record of a Dyson process is drawn from its law, since the start is zero."""
        return self.pace is not None and self.from_zero and bool(self.lengths[0] > 0.0)

    @property
    def from_zero(self) -> bool:
        """Whether the start is the zero matrix."""
        return self.start.spectra is not None and not self.start.spectra.any()

    @property
    def is_ensemble(self) -> bool:
        """Whether one time alone is asked for at which the law is a Laguerre ensemble, for any repulsion."""
        at_rest = self.start.stationary or math.isinf(self.clock[-1])
        return len(self.clock) == 1 and not self.start.steps and (self.from_zero or at_rest)

    @property
    def division(self) -> bool:
        """Whether the values are those of a complex or quaternion matrix, whose law is exact at any step."""
        return self.beta in (2.0, 4.0) and float(self.n_cols).is_integer() and not self.keep_weights

    @property
    def counts(self) -> list[int]:
        """Number of steps that lead to each record."""
        if self.method == "exact":
            return [1] * len(self.lengths)
        if self.pace is not None and self.method == "strang":
            return [len(steps) for steps in self.graded]
        longest = np.full(len(self.lengths), self.time_step) if self.pace is None else self.pace.longest
        counts = [euler_step_count(float(one), float(step)) for one, step in zip(self.lengths, longest, strict=True)]
        return [1, *counts[1:]] if self.at_once else counts


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
    if name in ("implicit", "euler", "sorted_euler") and time_step is None:
        raise UsageError(f"method {name!r} needs a time_step")
    if time_step is not None and not (math.isfinite(time_step) and time_step > 0.0):
        raise UsageError(f"time_step is {time_step}; it must be positive and finite")
    if save_weights and name == "sorted_euler":
        raise UsageError("sorted_euler has no matrix to save")
    beta = model.beta if isinstance(model, DysonLaguerre) else 1.0
    columns = _whole_cols(model.n_rows, model.n_cols)
    start = start_of(initial, n_rows=model.n_rows, n_cols=columns, replicates=indices)
    clock = clock_of(times, start)
    if (start.stationary or math.isinf(clock[-1])) and model.weight_decay == 0.0:
        raise UsageError("there is no stationary law at weight_decay = 0; give finite times and another start")
    plan = Plan(
        model.n_rows, model.n_cols, model.weight_decay, model.diffusion, beta, clock,
        np.diff(np.concatenate(([start.time], clock))), start, operator.index(seed), name, time_step or math.inf,
        save_weights,
    )  # fmt: skip
    has_matrix = (beta == 1.0 and float(model.n_cols).is_integer()) or plan.division
    if method == "auto" and not has_matrix and not plan.is_ensemble:
        plan = dataclasses.replace(plan, method="strang")
    if plan.method == "exact" and time_step is not None:
        raise UsageError("time_step has no meaning for the exact method; leave it out")
    if math.isinf(clock[-1]) and plan.method not in ("exact", "strang"):
        raise UsageError(f"method {plan.method!r} never reaches time inf; ask for that time alone, which is exact")
    return _dyson_plan(plan) if plan.method in ("strang", "adaptive", "implicit") else plan


def clock_of(times: Sequence[float] | np.ndarray, start: Start) -> np.ndarray:
    """Check the record times."""
    if math.isinf(start.time):
        raise UsageError("the start is already at time inf; give its eigenvalues or weights to start anew from them")
    clock = np.asarray(list(times), dtype=np.float64)
    if clock.ndim != 1 or clock.size == 0 or np.isnan(clock).any():
        raise UsageError(f"times are {times!r}; give at least one number")
    if clock[0] < start.time or np.any(np.diff(clock) <= 0.0):
        raise UsageError(f"times are {clock.tolist()}; they must increase from at least {start.time:g}")
    return clock


def _dyson_plan(plan: Plan) -> Plan:
    """Check a scheme for any repulsion, and choose its steps."""
    n, m = plan.sides
    dimension = plan.beta * (m - n + 1)
    if plan.keep_weights:
        raise UsageError(f"method {plan.method!r} has no matrix to save")
    if plan.method != "strang" and dimension < 1.0:
        raise UsageError(
            f"beta*(m - n + 1) is {dimension:g}, the dimension of the smallest value near zero; {plan.method!r} needs "
            "at least 1; 'strang' does not"
        )
    scale, gap = _scales(plan)
    balanced = min(plan.beta, dimension) >= 1.0
    longest = (_SHARE if balanced and plan.method == "strang" else _SHARE_BELOW) * scale
    if plan.method == "adaptive":
        longest = np.minimum(longest, plan.time_step)
    elif math.isfinite(plan.time_step):
        longest = np.full(len(scale), plan.time_step)
    pace = Pace(
        longest=longest,
        last=_LAST_SHARE * min(1.0, 2.0 / plan.beta) * gap**2 / plan.diffusion,
        share=_STEP_SHARE if not balanced or m >= _OPEN * n else _HARD_STEP_SHARE,
        tolerance=_TOLERANCE * gap,
    )
    return dataclasses.replace(plan, time_step=float(longest.max()), pace=pace)


def _scales(plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Time in which the spectrum moves by its own size, and mean gap of singular values, at each record."""
    n, m = plan.sides
    times = plan.clock - plan.start.time
    if plan.start.stationary:
        mean, spread, times = 0.0, 0.0, np.full(len(times), math.inf)
    else:
        assert plan.start.spectra is not None
        values = np.sqrt(plan.start.spectra)
        mean = float((values**2).mean())
        spread = 2.0 * float(np.diff(np.quantile(values, [0.25, 0.75], axis=1), axis=0).min())  # blind to spikes
    moved = [step_constants(plan.weight_decay, plan.diffusion, float(t)) if t else (1.0, 0.0) for t in times]
    factor, deviation = np.array(moved).T
    scale = (factor**2 * mean / (plan.beta * m) + deviation**2) / (2.0 * plan.diffusion)
    gap = np.hypot(factor * spread, 2.0 * math.sqrt(plan.beta * n) * deviation) / n
    if plan.weight_decay > 0.0:
        scale = np.minimum(scale, 0.25 / plan.weight_decay)  # the smallest value shows the splitting of longer steps
    tiny = np.finfo(np.float64).tiny  # at time 0, where there are no steps
    return np.maximum(scale, tiny), np.maximum(gap, tiny)


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

"""What one training experiment is to do, checked and in numbers."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from sdespec.core.errors import UsageError
from sdespec.core.rng import FIELDS
from sdespec.models import DeepLinearNetwork, DeepNetwork

__all__ = ["Plan", "check_size", "plan_of"]

_MAX_BYTES = 8 << 30

Network = TypeVar("Network", bound=DeepLinearNetwork | DeepNetwork)


@dataclass(frozen=True, eq=False)
class Plan(Generic[Network]):
    """One experiment in numbers.

    Attributes
    ----------
    model : DeepLinearNetwork or DeepNetwork
        The network.
    dim, width : int
        D and N.
    samples, batch : int
        Numbers of all fixed samples and of samples of an update; 0 where there are none, as for the population loss.
    clock : ndarray of int
        Numbers of updates before the records.
    seed : int
        Seed of the run.
    keep_weights, keep_spectra : bool
        Whether the matrices are kept, and their singular values.
    """

    model: Network
    dim: int
    width: int
    samples: int
    batch: int
    clock: np.ndarray
    seed: int
    keep_weights: bool
    keep_spectra: bool = True

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Shapes of the matrices W0 ... W{L-1}."""
        return [(self.width, self.dim)] + [(self.width, self.width)] * (int(self.model.hidden_layers) - 1)

    @property
    def ranks(self) -> list[int]:
        """Numbers of their singular values."""
        return [min(shape) for shape in self.shapes]

    @property
    def matrix(self) -> str:
        """Name of the matrices whose squared singular values are recorded."""
        return "W/sqrt(width)" if isinstance(self.model, DeepNetwork) else "M"

    @property
    def records(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of what is recorded besides spectra."""
        if not isinstance(self.model, DeepNetwork):
            return {"train_loss": (), "test_loss": (), "ntk_top": ()}
        tests = 0 if self.model.test_inputs is None else len(self.model.test_inputs)
        names = ["train_loss", "ntk_top"] if self.model.test_targets is None else ["train_loss", "test_loss", "ntk_top"]
        outputs = (self.samples + tests, self.model.n_outputs)
        return {**dict.fromkeys(names, ()), "network_output": outputs}

    @property
    def batches_done(self) -> int | float:
        """Number of updates for which there are samples."""
        return math.inf if self.model.batches is None else len(self.model.batches)

    @property
    def state(self) -> int:
        """About how many numbers a network in training takes."""
        weights = sum(rows * cols for rows, cols in self.shapes)
        kept = (2 if self.model.momentum else 1) * weights
        if isinstance(self.model, DeepNetwork):
            inputs, outputs = self.records["network_output"]
            fields = 2 * inputs * len(self.shapes) + 3 * self.samples * outputs
            return kept + self.width * (fields + self.width) + inputs * self.dim + 3 * (self.samples * outputs) ** 2
        return kept + self.dim * max(self.samples, self.batch) + 2 * self.width * self.width


def plan_of(
    model: Network, times: Sequence[float] | np.ndarray, seed: int = 0, *, initial: Any = None,
    method: str = "auto", time_step: float | None = None, save_weights: bool = False, spectra: bool = True,
) -> Plan[Network]:  # fmt: skip
    """Check the arguments of ``simulate`` and put them in numbers."""
    if not isinstance(model, DeepLinearNetwork | DeepNetwork):
        raise UsageError(f"{type(model).__name__} cannot be trained here; give a DeepLinearNetwork or a DeepNetwork")
    if initial is not None:
        raise UsageError(f"initial is {type(initial).__name__!r}; a network starts as its model says: None")
    if method not in ("auto", "gradient_descent"):
        raise UsageError(f"method is {method!r}; allowed: 'auto', 'gradient_descent'")
    if time_step is not None:
        raise UsageError(
            f"time_step is {time_step!r}; gradient descent has none: leave it out, and give the model a learning_rate"
        )
    sizes = _linear_sizes(model) if isinstance(model, DeepLinearNetwork) else _nonlinear_sizes(model)
    plan = Plan(model, *sizes, _clock(times), _whole_seed(seed), save_weights, spectra)
    _check_updates(plan)
    if save_weights and len(set(plan.shapes)) > 1:
        remedy = "width = n_features" if isinstance(model, DeepNetwork) else "width_ratio = 1"
        raise UsageError(
            f"save_weights needs matrices of one shape, and these are {plan.shapes[0]} and {plan.shapes[1]}; "
            f"take {remedy} or hidden_layers = 1, or leave save_weights out"
        )
    return plan


def _check_updates(plan: Plan[Any]) -> None:
    """Refuse times beyond the batches or the label noise that the model names."""
    last, noise = plan.clock[-1], plan.model.label_noise
    if last > plan.batches_done:
        raise UsageError(
            f"times end at {last} updates, and batches names {plan.batches_done}; give a batch for each update"
        )
    if isinstance(noise, np.ndarray) and last > len(noise):
        raise UsageError(f"times end at {last} updates, and label_noise has {len(noise)}; give one for each update")


def check_size(plan: Plan[Any], replicates: int, workers: int) -> None:
    """Refuse experiments that would not fit into memory."""
    weights = sum(rows * cols for rows, cols in plan.shapes)
    values = len(plan.shapes) * max(plan.ranks) * plan.keep_spectra + weights * plan.keep_weights
    values += sum(math.prod(shape) for shape in plan.records.values() if shape)
    size = 8 * (replicates * len(plan.clock) * values + workers * plan.state)
    if size > _MAX_BYTES:
        side = "width" if isinstance(plan.model, DeepNetwork) else "input_dim"
        raise UsageError(
            f"the experiment would take {size / 2**30:.1f} GiB, more than {_MAX_BYTES / 2**30:.0f}; "
            f"take a smaller {side}, fewer times, replicates or threads, or ranges of replicates one after the other"
        )


def _linear_sizes(model: DeepLinearNetwork) -> tuple[int, int, int, int]:
    """Input dimension, width, samples and batch."""
    if model.input_dim is None:
        raise UsageError("input_dim is None; a simulation needs it: give the model the number of its inputs")
    dim = int(model.input_dim)
    width = _count(model.width_ratio, dim, "width_ratio")
    batch = 0 if model.batch_ratio is None else _count(model.batch_ratio, dim, "batch_ratio")
    if math.isinf(model.sample_ratio):
        samples = 0
    elif model.batch_ratio is None:
        samples = _count(model.sample_ratio, dim, "sample_ratio")
    else:
        samples = batch * round(model.sample_ratio / model.batch_ratio)
    return dim, width, samples, batch


def _nonlinear_sizes(model: DeepNetwork) -> tuple[int, int, int, int]:
    """Input dimension, width, samples and the largest batch."""
    if model.width is None:
        raise UsageError("width is None; a simulation needs it: give the model the number of units of its layers")
    batch = 0 if model.batches is None else max((len(batch) for batch in model.batches), default=0)
    return model.n_features, int(model.width), model.n_samples, batch


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

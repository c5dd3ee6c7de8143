"""What the linear SDE is in numbers, whichever model states it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sdespec.core.errors import UsageError
from sdespec.models import DysonLaguerre, LinearRegressionSGD, MatrixSGD

__all__ = ["LinearModel", "Process", "checked_grid", "clock_of", "process_of"]

LinearModel = DysonLaguerre | MatrixSGD


@dataclass(frozen=True)
class Process:
    """Smaller side n, larger side m (may be real), weight decay g, diffusion D and repulsion beta."""

    n: int
    m: float
    weight_decay: float
    diffusion: float
    beta: float

    def decay(self, time: float) -> float:
        """Factor exp(-2gt) of the initial eigenvalues."""
        if math.isinf(time):
            self.require_stationary()
            return 0.0
        return math.exp(-2.0 * self.weight_decay * time)

    def variance(self, time: float) -> float:
        """Variance of one real component of one entry that has been added up to a time."""
        if math.isinf(time):
            self.require_stationary()
            return self.diffusion / self.weight_decay
        if self.weight_decay == 0.0:
            return 2.0 * self.diffusion * time
        return self.diffusion / self.weight_decay * -math.expm1(-2.0 * self.weight_decay * time)

    def require_stationary(self) -> None:
        """Raise where no stationary law exists."""
        if self.weight_decay == 0.0:
            raise UsageError("there is no stationary law at weight_decay = 0: the spectrum grows for ever")


def process_of(model: LinearModel | LinearRegressionSGD) -> Process:
    """Numbers of a model with a linear drift and isotropic noise."""
    if isinstance(model, DysonLaguerre):
        turned = model.n_cols < model.n_rows and float(model.n_cols).is_integer()
        n, m = (int(model.n_cols), float(model.n_rows)) if turned else (int(model.n_rows), float(model.n_cols))
        return Process(n, m, model.weight_decay, model.diffusion, model.beta)
    if isinstance(model, MatrixSGD):
        n, large = sorted((model.n_rows, model.n_cols))
        return Process(n, float(large), model.weight_decay, model.diffusion, 1.0)
    if isinstance(model, LinearRegressionSGD):
        raise UsageError(
            "the discrete recursion of LinearRegressionSGD has no theory of its spectrum; give its diffusion, "
            "model.diffusion_model(), in the clock learning_rate*step (its tail index is another one, see "
            "sdespec.theory.tail_index_kesten)"
        )
    raise UsageError(f"{type(model).__name__} has no linear theory; give a DysonLaguerre or a MatrixSGD")


def clock_of(times: Sequence[float] | np.ndarray) -> np.ndarray:
    """Check the times of a prediction."""
    clock = np.asarray(list(times), dtype=np.float64)
    if clock.ndim != 1 or clock.size == 0 or np.isnan(clock).any():
        raise UsageError(f"times are {times!r}; give at least one number")
    if clock[0] < 0.0 or np.any(np.diff(clock) <= 0.0):
        raise UsageError(f"times are {clock.tolist()}; they must increase from at least 0")
    return clock


def checked_grid(grid: np.ndarray) -> np.ndarray:
    """Check the eigenvalues at which a density is asked for."""
    points = np.asarray(grid, dtype=np.float64)
    if points.ndim != 1 or points.size < 2 or points[0] < 0.0 or np.any(np.diff(points) <= 0.0):
        raise UsageError("grid must be increasing eigenvalues of at least 0")
    return points

"""Compiled updates of a weight matrix, in one pass and without the GIL; ``_reference`` holds the same in NumPy."""

from __future__ import annotations

import numpy as np

from sdespec.core.jit import kernel

__all__ = ["momentum_update", "plain_update"]


@kernel
def plain_update(weight: np.ndarray, left: np.ndarray, right: np.ndarray, rate: float, decay: float) -> None:
    """W -> (1 - decay) W + rate left right^T in place."""
    kept = 1.0 - decay
    for i in range(weight.shape[0]):
        factor = rate * left[i]
        for j in range(weight.shape[1]):
            weight[i, j] = kept * weight[i, j] + factor * right[j]


@kernel
def momentum_update(
    weight: np.ndarray, velocity: np.ndarray, left: np.ndarray, right: np.ndarray, rate: float, momentum: float,
    decay: float,
) -> None:  # fmt: skip
    """V -> momentum V + rate left right^T - decay W, then W -> W + V, in place."""
    for i in range(weight.shape[0]):
        factor = rate * left[i]
        for j in range(weight.shape[1]):
            velocity[i, j] = momentum * velocity[i, j] + factor * right[j] - decay * weight[i, j]
            weight[i, j] = weight[i, j] + velocity[i, j]

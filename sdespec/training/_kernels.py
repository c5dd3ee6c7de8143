"""Compiled updates of a weight matrix, in one pass and without the GIL; ``_reference`` holds the same in NumPy."""

from __future__ import annotations

import numpy as np

from sdespec.core.jit import inlined, kernel

__all__ = ["low_rank_momentum_update", "low_rank_update", "momentum_update", "plain_update"]


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


@inlined
def _add_rows(target: np.ndarray, factors: np.ndarray, rows: np.ndarray, rate: float) -> None:
    """Add rate * factors @ rows to a vector, four rows at a time, so that it is read and written less often."""
    count, cols = rows.shape
    fours = count - count % 4
    for p in range(0, fours, 4):
        a, b, c, d = rate * factors[p], rate * factors[p + 1], rate * factors[p + 2], rate * factors[p + 3]
        for j in range(cols):
            target[j] += (a * rows[p, j] + b * rows[p + 1, j]) + (c * rows[p + 2, j] + d * rows[p + 3, j])
    for p in range(fours, count):
        a = rate * factors[p]
        for j in range(cols):
            target[j] += a * rows[p, j]


@kernel
def low_rank_update(weight: np.ndarray, left: np.ndarray, right: np.ndarray, rate: float, decay: float) -> None:
    """W -> (1 - decay) W + rate left^T right in place; left is (P, n), right (P, m)."""
    kept = 1.0 - decay
    for i in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            weight[i, j] *= kept
        _add_rows(weight[i], left[:, i], right, rate)


@kernel
def low_rank_momentum_update(
    weight: np.ndarray, velocity: np.ndarray, left: np.ndarray, right: np.ndarray, rate: float, momentum: float,
    decay: float,
) -> None:  # fmt: skip
    """V -> momentum V + rate left^T right - decay W, then W -> W + V, in place; left is (P, n), right (P, m)."""
    for i in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            velocity[i, j] = momentum * velocity[i, j] - decay * weight[i, j]
        _add_rows(velocity[i], left[:, i], right, rate)
        for j in range(weight.shape[1]):
            weight[i, j] += velocity[i, j]

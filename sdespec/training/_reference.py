"""NumPy twins of the kernels."""

from __future__ import annotations

import numpy as np

__all__ = ["low_rank_momentum_update", "low_rank_update", "momentum_update", "plain_update"]


def plain_update(weight: np.ndarray, left: np.ndarray, right: np.ndarray, rate: float, decay: float) -> None:
    """W -> (1 - decay) W + rate left right^T in place."""
    weight *= 1.0 - decay
    weight += np.outer(rate * left, right)


def momentum_update(
    weight: np.ndarray, velocity: np.ndarray, left: np.ndarray, right: np.ndarray, rate: float, momentum: float,
    decay: float,
) -> None:  # fmt: skip
    """V -> momentum V + rate left right^T - decay W, then W -> W + V, in place."""
    velocity *= momentum
    velocity += np.outer(rate * left, right)
    velocity -= decay * weight
    weight += velocity


def low_rank_update(weight: np.ndarray, left: np.ndarray, right: np.ndarray, rate: float, decay: float) -> None:
    """W -> (1 - decay) W + rate left^T right in place; left is (P, n), right (P, m)."""
    weight *= 1.0 - decay
    weight += rate * left.T @ right


def low_rank_momentum_update(
    weight: np.ndarray, velocity: np.ndarray, left: np.ndarray, right: np.ndarray, rate: float, momentum: float,
    decay: float,
) -> None:  # fmt: skip
    """V -> momentum V + rate left^T right - decay W, then W -> W + V, in place; left is (P, n), right (P, m)."""
    velocity *= momentum
    velocity += rate * left.T @ right
    velocity -= decay * weight
    weight += velocity

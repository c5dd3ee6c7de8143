"""Plain NumPy twins of the kernels: every candidate against every value, O(n^2)."""

from __future__ import annotations

import numpy as np

__all__ = ["candidate_distances", "scan", "tails"]


def tails(log_values: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Collapse ties; return distinct logs, their positions, number of values below each, and S of each tail."""
    present = np.flatnonzero(counts)
    y, first = np.unique(log_values[present], return_index=True)
    multiplicity = np.add.reduceat(counts[present], first)
    below = np.concatenate([[0.0], np.cumsum(multiplicity, dtype=np.float64)])
    terms = (below[-1] - below[1:-1]) * np.diff(y)
    sums = np.concatenate([np.cumsum(terms[::-1])[::-1], [0.0]])
    return y, present[first], below, sums


def candidate_distances(
    y: np.ndarray, below: np.ndarray, sums: np.ndarray, candidates: np.ndarray, two_sided: bool
) -> np.ndarray:
    """Distance of each of the given candidates: the largest deviation over all values of its tail."""
    out = np.empty(len(candidates))
    for k, i in enumerate(candidates):
        size = below[-1] - below[i]
        model = 1.0 - np.exp(-(size / sums[i]) * (y[i:] - y[i]))
        before = (below[i:-1] - below[i]) / size
        upto = (below[i + 1 :] - below[i]) / size
        out[k] = max((model - before).max(), ((upto if two_sided else before) - model).max())
    return out


def scan(
    log_values: np.ndarray, counts: np.ndarray, min_tail: int, two_sided: bool
) -> tuple[int, float, float, int, int]:
    """Threshold of least distance; the smallest threshold where distances are equal."""
    y, position, below, sums = tails(log_values, counts)
    candidates = np.flatnonzero((below[-1] - below[:-1] >= min_tail) & (sums > 0.0))
    if len(candidates) == 0:
        return -1, np.inf, 0.0, 0, len(y)
    distances = candidate_distances(y, below, sums, candidates, two_sided)
    chosen = int(candidates[np.argmin(distances)])
    return int(position[chosen]), float(distances.min()), float(sums[chosen]), int(below[-1] - below[chosen]), len(y)

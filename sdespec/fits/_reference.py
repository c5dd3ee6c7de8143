"""Plain twins of the kernels: every candidate against every value, O(n^2), and likelihoods by a general optimiser."""

from __future__ import annotations

import numpy as np
from scipy import optimize, special

__all__ = ["candidate_distances", "scan", "splice_profile", "tails"]


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


def _unit_gamma(mean: float, mean_log: float) -> tuple[float, float, float]:
    """Shape, rate and log-likelihood of one value of a gamma law cut off at 1, from E u and E log u."""

    def cost(point: np.ndarray) -> float:
        k, b = np.exp(point)
        log_z = special.gammaln(k) - k * point[1] + np.log(special.gammainc(k, b))
        return float(b * mean - (k - 1.0) * mean_log + log_z)

    point: np.ndarray = np.zeros(2)
    bounds = ((-20.0, 12.0), (-20.0, 12.0))
    for _ in range(3):
        point = optimize.minimize(
            cost, point, method="Nelder-Mead", bounds=bounds, options={"xatol": 1e-10, "fatol": 1e-14}
        ).x
    flat = -1.0 / mean_log
    value = (flat - 1.0) * mean_log + np.log(flat)
    if value >= -cost(point):
        return flat, 0.0, float(value)
    return float(np.exp(point[0])), float(np.exp(point[1])), -cost(point)


def splice_profile(
    y: np.ndarray, below: np.ndarray, sums: np.ndarray, min_bulk: int, min_tail: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log-likelihood of a gamma law below and a Pareto law from each distinct value on; shape; rate."""
    counts, total = np.diff(below), below[-1]
    value, shape, rate = np.full(len(y), -np.inf), np.full(len(y), np.nan), np.full(len(y), np.nan)
    for i in np.flatnonzero((total - below[:-1] >= min_tail) & (sums > 0.0)):
        size = total - below[i]
        tail = size * np.log(size / sums[i]) - (1.0 + size / sums[i]) * sums[i] - size * y[i]
        if i == 0:
            value[0] = tail
        elif i >= 3 and below[i] >= min_bulk:
            logs, weights = y[:i] - y[i], counts[:i] / below[i]
            shape[i], rate[i], bulk = _unit_gamma(float(weights @ np.exp(logs)), float(weights @ logs))
            bulk = below[i] * (bulk + np.log(below[i] / total) - y[i])
            value[i] = bulk + size * np.log(size / total) + tail
    return value, shape, rate

"""The sum over pairs of sorted Euler against the clustered one, by the number of points; prints one JSON document.

Run: python tests/benchmarks/bench_cauchy_sums.py
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import numba
import numpy as np

from sdespec.integrators._cauchy_sums import cauchy_sums
from sdespec.laws import MarchenkoPastur


@numba.njit(error_model="numpy")
def pair_sums(x: np.ndarray, out: np.ndarray) -> None:
    """Every ordered pair; vectorised."""
    n = len(x)
    out[:] = 0.0
    for j in range(n):
        other = x[j]
        for i in range(n):
            gap = x[i] - other
            out[i] += 1.0 / gap if gap != 0.0 else 0.0


def seconds(call: Callable[[np.ndarray, np.ndarray], None], x: np.ndarray, out: np.ndarray) -> float:
    """Least wall time of five calls, after one that compiles."""
    call(x, out)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        call(x, out)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Measure from 1024 to 30 000 points of a Marchenko-Pastur spectrum."""
    report = {}
    for n in (1024, 2048, 4096, 10_000, 30_000):
        places = (np.arange(n) + np.random.default_rng(0).random(n)) / n
        x = np.sort(MarchenkoPastur(n, 2 * n, 1.0).ppf(places))[::-1].copy()
        plain, clustered = np.empty(n), np.empty(n)
        over = seconds(pair_sums, x, plain) / seconds(cauchy_sums, x, clustered)
        error = float(np.abs(plain - clustered).max() / np.sqrt(np.mean(plain**2)))
        report[f"n = {n}"] = {"pairs_over_clusters": over, "error_over_rms": error}
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()

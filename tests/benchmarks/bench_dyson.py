"""Costs of Dyson processes: paths beside the exact law of repulsion 1, pair sums beside NumPy, sorted Euler beside sdeint; JSON.

Run: python tests/benchmarks/bench_dyson.py
"""

from __future__ import annotations

import json
import time

import numpy as np
import sdeint

from sdespec.core.rng import words_of
from sdespec.integrators import simulate
from sdespec.integrators._kernels import sorted_euler_steps
from sdespec.models import DysonLaguerre


def seconds(model: DysonLaguerre, count: int, start: np.ndarray, **options: object) -> float:
    """Least time of three for one record of one replicate, one thread."""
    found = []
    for _ in range(3):
        begin = time.perf_counter()
        simulate(model, [0.5], seed=0, replicates=count, initial={"eigenvalue": start}, threads=1, **options)
        found.append(time.perf_counter() - begin)
    return min(found) / count


def pair_sums(x: np.ndarray) -> np.ndarray:
    """Sum over the others of (x_k + x_j) / (x_k - x_j), by broadcasting."""
    gaps = x[:, None] - x[None, :]
    np.fill_diagonal(gaps, np.inf)
    return ((x[:, None] + x[None, :]) / gaps).sum(axis=1)


def euler(n: int) -> dict[str, float]:
    """Steps per second of sorted Euler, of one pair sum in NumPy, and of the same scheme by sdeint."""
    x = 6.0 * n * np.linspace(0.05, 1.0, n) ** 2
    count = max(200, 30_000_000 // (n * n))
    sorted_euler_steps(x[::-1].copy(), 2 * n, 1.0, 1.0, 1e-9, 1, *words_of(seed=0, replicate=0, step=0))
    begin = time.perf_counter()
    sorted_euler_steps(x[::-1].copy(), 2 * n, 1.0, 1.0, 1e-9, count, *words_of(seed=0, replicate=0, step=0))
    ours = count / (time.perf_counter() - begin)
    repeats = max(5, count // 200)
    begin = time.perf_counter()
    for _ in range(repeats):
        pair_sums(x)
    broadcast = repeats / (time.perf_counter() - begin)
    steps = max(20, count // 2000)
    begin = time.perf_counter()
    sdeint.itoEuler(
        lambda y, t: -2.0 * y + 2.0 * (2 * n + pair_sums(y)),
        lambda y, t: np.diag(2.0 * np.sqrt(2.0 * np.abs(y))),
        x,
        np.linspace(0.0, 1e-9 * steps, steps + 1),
    )
    theirs = steps / (time.perf_counter() - begin)
    return {"steps_per_s": ours, "over_one_numpy_pair_sum": ours / broadcast, "over_sdeint": ours / theirs}


def main() -> None:
    """Measure and print."""
    report: dict[str, object] = {}
    begin = time.perf_counter()
    simulate(DysonLaguerre(4, 6.0, 1.0, 1.0, beta=2.5), [0.5], seed=0, initial={"eigenvalue": [4.0, 3.0, 2.0, 1.0]})
    report["first_call_s"] = time.perf_counter() - begin
    for n in (8, 32, 128):
        start = (6.0 * n * np.linspace(0.05, 1.0, n) ** 2)[::-1]
        count = {8: 20_000, 32: 4000, 128: 64}[n]  # enough for the overhead of a call not to count
        exact = seconds(DysonLaguerre(n, 2.0 * n, 1.0, 1.0), count, start)
        row: dict[str, float] = {"exact_us": 1e6 * exact}
        for beta in (0.5, 1.5, 2.0, 2.5, 3.0, 4.0):
            row[f"beta_{beta}"] = seconds(DysonLaguerre(n, 2.0 * n, 1.0, 1.0, beta=beta), count, start) / exact
        for beta in (2.0, 4.0):
            model = DysonLaguerre(n, 2.0 * n, 1.0, 1.0, beta=beta)
            row[f"beta_{beta}_by_splitting"] = seconds(model, count, start, method="strang") / exact
        for tolerance in (0.1, 0.02):
            model = DysonLaguerre(n, 2.0 * n, 1.0, 1.0, beta=2.5)
            gap = 0.02 / simulate(model, [0.5], seed=0, initial={"eigenvalue": start}, method="adaptive").tolerance
            few = max(2, count // 100)
            row[f"beta_2.5_adaptive_{tolerance}_gaps"] = (
                seconds(model, few, start, method="adaptive", tolerance=tolerance / gap) / exact
            )
        report[f"n = {n}, ratios to the exact law"] = row
    for n in (16, 64, 256, 1024):
        report[f"sorted Euler, n = {n}"] = euler(n)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()

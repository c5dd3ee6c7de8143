"""Cost of the splitting for any repulsion beside the exact law of repulsion 1, and of the first call; prints JSON.

Run: python tests/benchmarks/bench_dyson.py
"""

from __future__ import annotations

import json
import time

import numpy as np

from sdespec.integrators import simulate
from sdespec.models import DysonLaguerre


def seconds(model: DysonLaguerre, count: int, start: np.ndarray, **options: object) -> float:
    """Least time of three for one record of one replicate, one thread."""
    found = []
    for _ in range(3):
        begin = time.perf_counter()
        simulate(model, [0.5], seed=0, replicates=count, initial={"eigenvalue": start}, threads=1, **options)
        found.append(time.perf_counter() - begin)
    return min(found) / count


def main() -> None:
    """Measure and print."""
    report: dict[str, object] = {}
    begin = time.perf_counter()
    simulate(DysonLaguerre(4, 6.0, 1.0, 1.0, beta=2.5), [0.5], seed=0, initial={"eigenvalue": [4.0, 3.0, 2.0, 1.0]})
    report["first_call_s"] = time.perf_counter() - begin
    for n in (8, 32, 128):
        start = (6.0 * n * np.linspace(0.05, 1.0, n) ** 2)[::-1]
        count = {8: 2000, 32: 200, 128: 8}[n]
        exact = seconds(DysonLaguerre(n, 2.0 * n, 1.0, 1.0), count, start)
        row: dict[str, float] = {"exact_us": 1e6 * exact}
        for beta in (0.5, 2.0, 2.5, 4.0):
            row[f"beta_{beta}"] = seconds(DysonLaguerre(n, 2.0 * n, 1.0, 1.0, beta=beta), count, start) / exact
        report[f"n = {n}, ratios to the exact law"] = row
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()

"""What the theory of deep linear networks costs: order parameters, outliers, scans.

Run ``OPENBLAS_NUM_THREADS=1 python tests/benchmarks/bench_dmft.py``; prints one JSON document, seconds on one core
without compilation.
"""

import json
import math
import time
from collections.abc import Callable

import numpy as np

from sdespec.models import DeepLinearNetwork
from sdespec.theory.dmft import _reference, critical_learning_rate, predict, solve_deep_linear
from sdespec.theory.dmft.deep_linear import solver_arguments


def best(work: Callable[[], object], repeats: int = 3) -> float:
    """Best wall time of a few."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Measure and print."""
    population = DeepLinearNetwork(1.0, math.inf, 2, 8.0, 0.008)
    samples = DeepLinearNetwork(1.0, 2.0, 2, 8.0, 0.008)
    one_pass = DeepLinearNetwork(1.0, math.inf, 1, 6.0, 0.01, batch_ratio=0.5)
    solve_deep_linear(population, 2)
    seconds = {
        f"solve_{name}_T{count}": best(lambda model=model, count=count: solve_deep_linear(model, count - 1))
        for name, model in (("population", population), ("samples", samples))
        for count in (80, 200, 400, 800)
    }
    seconds["solve_population_T200_plain_twin"] = best(lambda: _reference.march(*solver_arguments(population, 199)), 1)
    seconds["predict_80_times_2_matrices"] = best(lambda: predict(population, np.arange(80)))
    seconds["predict_time_799_2_matrices"] = best(lambda: predict(population, [799]), 1)
    seconds["predict_time_399_one_pass_full_rank"] = best(lambda: predict(one_pass, [399]), 1)
    seconds["critical_learning_rate_60_updates"] = best(lambda: critical_learning_rate(population, 59), 1)
    print(json.dumps({name: round(value, 4) for name, value in seconds.items()}, indent=1))


if __name__ == "__main__":
    main()

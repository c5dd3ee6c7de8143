"""What networks with extensively many outputs cost: their laws, and their simulation.

Run ``OPENBLAS_NUM_THREADS=1 python tests/benchmarks/bench_extensive.py``; prints one JSON document, seconds of wall
time; the simulations take one thread.
"""

import json
import time
from collections.abc import Callable

from sdespec.models import ExtensiveOutputNetwork
from sdespec.theory.extensive import predict
from sdespec.theory.extensive_balanced import balanced_law
from sdespec.theory.extensive_hidden import hidden_law
from sdespec.training.extensive import simulate


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
    hidden = ExtensiveOutputNetwork(0.5, target_variance=4.0, width=400)
    both = ExtensiveOutputNetwork(
        1.0, weight_variance=0.25, target_spike=2.0, train="both", initialization="orthogonal", width=200
    )
    simulate(hidden, [0.0], seed=0)
    seconds = {
        "hidden_law_with_edges": best(lambda: hidden_law(hidden, 4.0).edges),
        "hidden_law_late_hard_edge": best(lambda: hidden_law(ExtensiveOutputNetwork(1.0), 100.0).edges),
        "predict_hidden_10_times": best(lambda: predict(hidden, [0.4 * i for i in range(1, 11)])),
        "balanced_law_with_edges": best(lambda: balanced_law(both, 1.0).edges),
        "balanced_law_with_outlier": best(lambda: balanced_law(both, 1.0).outlier),
        "balanced_density_400_points_time_4": best(lambda: predict(both, [4.0])),
        "predict_both_10_times": best(lambda: predict(both, [0.4 * i for i in range(1, 11)]), 1),
        "simulate_hidden_N400_10_times": best(
            lambda: simulate(hidden, [0.4 * i for i in range(1, 11)], seed=0, threads=1)
        ),
        "simulate_both_N200_time_1_20_steps": best(lambda: simulate(both, [1.0], seed=0, threads=1)),
    }
    print(json.dumps({name: round(value, 4) for name, value in seconds.items()}, indent=1))


if __name__ == "__main__":
    main()

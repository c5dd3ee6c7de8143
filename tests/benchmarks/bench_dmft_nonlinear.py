"""What the mean-field theory of nonlinear networks costs, and what recorded accuracy it has; prints one JSON document.

Run ``OPENBLAS_NUM_THREADS=1 python tests/benchmarks/bench_dmft_nonlinear.py``.
"""

import json
import math
import resource
import time

import numpy as np

from sdespec.core.linalg import blas_threads
from sdespec.models import DeepNetwork
from sdespec.theory.dmft.nonlinear_solver import SiteDynamics


def sphere(dim: int, count: int, seed: int) -> np.ndarray:
    """Rows of norm sqrt(dim)."""
    inputs = np.random.default_rng(seed).standard_normal((dim, count))
    return (inputs * math.sqrt(dim) / np.linalg.norm(inputs, axis=0)).T


def solve(count: int, dim: int, updates: int, samples: int, tolerance: float, seed: int, **fields: float) -> dict:
    """Seconds and ranks of one solution that records the last time only."""
    inputs = sphere(dim, count, seed)
    labels = np.sign(inputs.prod(axis=1)) if dim == 3 else np.where(np.arange(count) % 2, -1.0, 1.0)
    net = DeepNetwork(inputs, labels, 2, **fields)
    dynamics = SiteDynamics(net, samples=samples, seed=0, tolerance=tolerance, responses=True, cap=samples // 2)
    start = time.perf_counter()
    with blas_threads(0):
        record = dynamics.run([updates])[0]
        marched = time.perf_counter() - start
        dynamics.hidden[0].spiked(record, 0, independent=False).solve()
    weight = dynamics.hidden[0]
    return {
        "k": count * updates, "samples": samples, "march_s": marched,
        "outliers_of_one_time_s": time.perf_counter() - start - marched, "ranks": [weight.left.rank, weight.right.rank],
    }  # fmt: skip


def main() -> None:
    """Measure and print."""
    report = {
        "P=3, T=20": solve(3, 20, 20, 4000, 1e-2, 7, feature_strength=2.0, learning_rate=0.5),
        "P=8, T=100": solve(8, 20, 100, 4000, 1e-2, 1, feature_strength=2.0, learning_rate=0.5),
        "P=16, T=240": solve(16, 3, 240, 4000, 3e-2, 0, feature_strength=0.5, learning_rate=1.5),
        "P=16, T=240, 8000": solve(16, 3, 240, 8000, 3e-2, 0, feature_strength=0.5, learning_rate=1.5),
    }
    report["peak_memory_MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()

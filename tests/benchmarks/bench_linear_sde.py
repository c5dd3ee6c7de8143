"""What the linear SDE costs, each figure beside what it is held against, in one run.

Run ``OPENBLAS_NUM_THREADS=1 python tests/benchmarks/bench_linear_sde.py``; prints one JSON document. Needs sdeint.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import sdeint

import sdespec as sd
from sdespec.core._philox import fill_normal
from sdespec.core.linalg import blas_threads
from sdespec.core.rng import words_of
from sdespec.integrators._kernels import linear_steps
from sdespec.theory import spectral_law

FIRST_CALL = """
import json, time
start = time.process_time()
import sdespec as sd
loaded = time.process_time()
sd.simulate(sd.models.DysonLaguerre(8, 16, 1.0, 1.0), [1.0], seed=0)
print(json.dumps([loaded - start, time.process_time() - loaded]))
"""


def best(work: Callable[[], object], repeats: int = 5) -> float:
    """Best wall time of a few, after one call that compiles."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def numpy_loop(weight: np.ndarray, factor: float, deviation: float, count: int, rng: np.random.Generator) -> None:
    """Euler steps in place, as a careful user writes them."""
    noise = np.empty_like(weight)
    for _ in range(count):
        rng.standard_normal(out=noise)
        noise *= deviation
        weight *= factor
        weight += noise


def euler_of(shape: tuple[int, int]) -> dict[str, float]:
    """Kernel against an in-place loop of NumPy, and against drawing its noise alone."""
    h, g, d = 1e-3, 1.0, 0.5
    factor, deviation = 1.0 - g * h, math.sqrt(2.0 * d * h)
    count = max(4, 4_000_000 // math.prod(shape))
    weight, noise, words = np.zeros(shape), np.empty(math.prod(shape)), words_of(seed=0, replicate=0, step=0)
    rng = np.random.default_rng(0)
    kernel = best(lambda: linear_steps(weight, factor, deviation, count, *words)) / count
    loop = best(lambda: numpy_loop(weight, factor, deviation, count, rng)) / count
    alone = best(lambda: [fill_normal(noise, 0, *words) for _ in range(count)]) / count
    return {
        "steps_per_s": round(1 / kernel), "over_numpy_loop": loop / kernel, "of_its_noise_alone": kernel / alone,
        "ns_per_entry": kernel / math.prod(shape) * 1e9,
    }  # fmt: skip


def over_sdeint() -> float:
    """The kernel at 64 x 64 against sdeint's Euler, whose diffusion is a dense matrix."""
    size, h, g, d, count = 64 * 64, 1e-3, 1.0, 0.5, 20
    dense, grid = np.eye(size) * math.sqrt(2.0 * d), np.arange(count + 1) * h
    rival = best(lambda: sdeint.itoEuler(lambda y, t: -g * y, lambda y, t: dense, np.zeros(size), grid), 3) / count
    weight, words = np.zeros((64, 64)), words_of(seed=0, replicate=0, step=0)
    return rival / (best(lambda: linear_steps(weight, 1.0 - g * h, math.sqrt(2.0 * d * h), 1000, *words)) / 1000)


def first_calls() -> dict[str, float]:
    """CPU seconds of the first simulation of a process, with an empty and with a filled cache of kernels."""
    with tempfile.TemporaryDirectory() as folder:
        env = os.environ | {"NUMBA_CACHE_DIR": folder}
        cold, cached = (
            json.loads(
                subprocess.run([sys.executable, "-c", FIRST_CALL], env=env, capture_output=True, check=True).stdout
            )
            for _ in range(2)
        )
    return {"cold_cpu_s": cold[1], "cached_cpu_s": cached[1], "import_cpu_s": cached[0]}


def main() -> None:
    """Measure and print."""
    wide = sd.models.DysonLaguerre(64, 4096, weight_decay=1.0, diffusion=1.0)
    records = [0.1, 0.2, 0.3]
    spectral = best(lambda: sd.simulate(wide, records, seed=1, replicates=200, threads=1), 3) / 200
    matrix = best(lambda: sd.simulate(wide, records, seed=1, replicates=4, threads=1, save_weights=True), 3) / 4
    rng = np.random.default_rng(0)

    def plain() -> None:
        weight = np.zeros((64, 4096))
        for _ in records:
            weight = 0.9 * weight + 0.4 * rng.standard_normal(weight.shape)
            np.linalg.svd(weight, compute_uv=False)

    with blas_threads(0):
        numpy_route = best(plain, 3)
    threads = {}
    for n in (16, 64):
        run = partial(sd.simulate, sd.models.DysonLaguerre(n, 2 * n, 1.0, 1.0), records, seed=1, replicates=1000)
        one, two = best(partial(run, threads=1)), best(partial(run, threads=2))
        threads[f"{n}x{2 * n}"] = {"two_over_one": one / two, "us_per_record": one / 3000 * 1e6}
    law = spectral_law(np.linspace(0.0, 900.0, 40), 40, 80, 1.0)
    grid = np.linspace(*law.edges, 400)
    report = {
        "matrix_euler": {f"{n}x{m}": euler_of((n, m)) for n, m in ((16, 16), (64, 64), (256, 256), (1024, 512))},
        "matrix_euler_64x64_over_sdeint": over_sdeint(),
        "exact_spectrum_64x4096": {
            "us_per_record": spectral / 3 * 1e6, "over_own_full_matrix": matrix / spectral,
            "over_numpy_full_matrix": numpy_route / spectral,
        },
        "threads_1000_trajectories": threads,
        "density_and_edges_400_points_40_atoms_s": best(lambda: (law.edges, law.density(grid))),
        "first_call": first_calls(),
    }  # fmt: skip
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()

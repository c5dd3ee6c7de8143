"""What the linear SDE costs: exact spectra, threads, density and edges.

Run ``python tests/benchmarks/bench_linear_sde.py``; prints one JSON document, ratios within one run.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

import sdespec as sd
from sdespec.theory import spectral_law


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
    wide = sd.models.DysonLaguerre(64, 4096, weight_decay=1.0, diffusion=1.0)
    records = [0.1, 0.2, 0.3]
    spectral = best(lambda: sd.simulate(wide, records, seed=1, replicates=10, threads=1))
    matrix = best(lambda: sd.simulate(wide, records, seed=1, replicates=10, threads=1, save_weights=True))
    model = sd.models.DysonLaguerre(64, 128, weight_decay=1.0, diffusion=1.0)
    one = best(lambda: sd.simulate(model, records, seed=1, replicates=1000, threads=1), 2)
    two = best(lambda: sd.simulate(model, records, seed=1, replicates=1000, threads=2), 2)
    law = spectral_law(np.linspace(0.0, 900.0, 40), 40, 80, 1.0)
    grid = np.linspace(*law.edges, 400)
    start = time.perf_counter()
    code = "import sdespec as sd; sd.simulate(sd.models.DysonLaguerre(8, 16, 1.0, 1.0), [1.0], seed=0)"
    subprocess.run([sys.executable, "-c", code], check=True)
    first = time.perf_counter() - start
    print(
        json.dumps(
            {
                "exact_spectrum_over_full_matrix_64x4096": matrix / spectral,
                "two_threads_over_one_1000_trajectories_64x128": one / two,
                "density_and_edges_400_points_40_atoms_s": best(lambda: (law.edges, law.density(grid))),
                "first_call_of_a_process_s": first,
                "us_per_record_64x128": one / 3000 * 1e6,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()

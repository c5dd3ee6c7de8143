"""Cost of the threshold scan, its interval and the gamma fit, as ratios within one run; prints one JSON document.

Run: python tests/benchmarks/bench_threshold_scan.py [--large]
``--large`` adds powerlaw at n = 1e4 (minutes) and the loop over candidates at n = 1e5 (minutes).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable

import numba
import numpy as np
import psutil
from scipy import special, stats

from sdespec.fits import _kernels, law, power_law_tail, power_law_tails, threshold_curve
from sdespec.fits.closed_forms import fit_gamma
from sdespec.fits.tail_evidence import tail_evidence


def sample(n: int, exponent: float = 3.0, seed: int = 3) -> np.ndarray:
    """Gamma bulk below 6 (80 %) and a Pareto tail beyond."""
    rng = np.random.default_rng(seed)
    n_bulk = int(0.8 * n)
    bulk = special.gammaincinv(3.0, special.gammainc(3.0, 6.0) * rng.random(n_bulk))
    return np.concatenate([bulk, 6.0 * (1.0 - rng.random(n - n_bulk)) ** (-1.0 / (exponent - 1.0))])


def best_of(call: Callable[[], object], repeats: int) -> float:
    """Least wall time in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


@numba.njit(nogil=True, error_model="numpy")
def full_scan(y: np.ndarray, min_tail: int) -> tuple[int, float]:
    """Every candidate against every value, compiled: the O(n^2) floor of a plain search."""
    n = len(y)
    best, chosen = np.inf, -1
    log_sum = 0.0
    sums = np.zeros(n)
    for i in range(n - 2, -1, -1):
        log_sum += (n - i - 1) * (y[i + 1] - y[i])
        sums[i] = log_sum
    for i in range(n - min_tail + 1):
        size = n - i
        slope = size / sums[i]
        worst = 0.0
        for j in range(i, n):
            model = 1.0 - math.exp(slope * (y[i] - y[j]))
            worst = max(worst, model - (j - i) / size, (j + 1 - i) / size - model)
        if worst < best:
            best, chosen = worst, i
    return chosen, best


def loop_fit(x: np.ndarray) -> float:
    """A vectorised NumPy pass for each candidate, one-sided distance: what WeightWatcher's fit does."""
    x = np.sort(x)
    logs = np.log(x)
    best, exponent = np.inf, np.nan
    for i in range(len(x) - 1):
        n = len(x) - i
        slope = n / (np.sum(logs[i:]) - n * logs[i])
        distance = np.max(np.abs(1.0 - (x[i:] / x[i]) ** -slope - np.arange(n) / n))
        if distance < best:
            best, exponent = distance, 1.0 + slope
    return exponent


def weightwatcher_fit() -> tuple[str, Callable[[np.ndarray], float]]:
    """WeightWatcher's own fit where it is installed, else the loop."""
    try:
        from weightwatcher.WW_powerlaw import WWFit
    except ImportError:
        return "numpy loop equal to WeightWatcher's fit", loop_fit
    return "weightwatcher", lambda x: float(WWFit(x).alpha)


def powerlaw_fit(x: np.ndarray, *, opened: bool) -> float:
    import powerlaw

    options = {"parameter_ranges": {"alpha": [1.0, 1e6]}} if opened else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(powerlaw.Fit(x, verbose=0, **options).alpha)


def one_fit(large: bool) -> dict[str, object]:
    name, peer = weightwatcher_fit()
    rows = {}
    for n in (1_000, 10_000, 100_000):
        x = sample(n)
        logs, counts = np.log(np.sort(x)), np.ones(n, np.int64)
        repeats = 200 if n == 1_000 else 30
        ours = best_of(lambda x=x: power_law_tail(x), repeats)
        row: dict[str, object] = {
            "fit_ms": 1e3 * ours,
            "kernel_ms": 1e3 * best_of(lambda y=logs, c=counts: _kernels.scan(y, c, 10, True), repeats),
            "sort_and_log_ms": 1e3 * best_of(lambda x=x: np.log(np.sort(x)), repeats),
            "exponent_two_sided": power_law_tail(x).exponent,
            "exponent_left": power_law_tail(x, ks="left", min_tail=2).exponent,
        }
        if n <= 10_000:
            full_scan(logs, 10)
            row["ratio_compiled_full_scan"] = best_of(lambda y=logs: full_scan(y, 10), 3) / ours
        if n <= 10_000 or large:
            row[f"ratio_{name}"] = best_of(lambda x=x: peer(x), 3 if n <= 10_000 else 1) / ours
            row["exponent_peer"] = peer(x) if n <= 10_000 else None
        if n == 1_000 or (large and n == 10_000):
            row["ratio_powerlaw_default"] = best_of(lambda x=x: powerlaw_fit(x, opened=False), 1) / ours
            row["ratio_powerlaw_opened"] = best_of(lambda x=x: powerlaw_fit(x, opened=True), 1) / ours
            row["exponent_powerlaw_default"] = powerlaw_fit(x, opened=False)
            row["exponent_powerlaw_opened"] = powerlaw_fit(x, opened=True)
        rows[str(n)] = row
    return rows


def million() -> dict[str, float]:
    """One fit of a million values: time, and resident memory above the input."""
    x = sample(1_000_000)
    peak, done = 0, threading.Event()
    process = psutil.Process()

    def watch() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, process.memory_info().rss)
            time.sleep(0.0005)

    before = process.memory_info().rss
    watcher = threading.Thread(target=watch)
    watcher.start()
    power_law_tail(x)
    done.set()
    watcher.join()
    return {
        "peak_extra_mb": (peak - before) / 1e6,
        "fit_s": best_of(lambda: power_law_tail(x), 5),
        "sort_and_log_s": best_of(lambda: np.log(np.sort(x)), 5),
        "curve_2000_thresholds_s": best_of(lambda: threshold_curve(x), 2),
    }


def many_fits() -> dict[str, object]:
    name, peer = weightwatcher_fit()
    spectra = [sample(1_000, seed=seed) for seed in range(1_000)]
    ours = best_of(lambda: [power_law_tail(x) for x in spectra], 3)
    loop = best_of(lambda: [peer(x) for x in spectra[:50]], 1) * 20
    slow = best_of(lambda: [powerlaw_fit(x, opened=True) for x in spectra[:3]], 1) * 1_000 / 3
    return {
        "sdespec_s": ours,
        "sdespec_one_call_s": best_of(lambda: power_law_tails(spectra, threads=1), 3),
        "sdespec_one_call_two_threads_s": best_of(lambda: power_law_tails(spectra, threads=2), 3),
        f"ratio_{name} (50 fits, times 20)": loop / ours,
        "ratio_powerlaw_opened (3 fits, times 333)": slow / ours,
    }


def goodness(x: np.ndarray) -> float:
    """Whether the tail is a power law: 1000 draws of body and tail, independent, the threshold searched anew in each."""
    u = np.sort(np.random.default_rng(0).random((1_000, len(x))), axis=1)
    return tail_evidence(x, power_law_tail(x), u, min_tail=10, ks="two-sided", rivals=False).power_law


def intervals() -> dict[str, float]:
    x = sample(1_000)
    return {
        "bootstrap_200_ms": 1e3 * best_of(lambda: power_law_tail(x, bootstrap=200), 10),
        "bootstrap_1000_ms": 1e3 * best_of(lambda: power_law_tail(x, bootstrap=1_000), 3),
        "goodness_of_fit_1000_ms": 1e3 * best_of(lambda: goodness(x), 3),
    }


def gamma_fits() -> dict[str, object]:
    rows = {}
    for n in (1_000, 10_000, 100_000):
        x = np.random.default_rng(1).gamma(2.5, 3.0, n)
        shape, scale = fit_gamma(x)
        expected, _, expected_scale = stats.gamma.fit(x, floc=0)
        ours = best_of(lambda x=x: fit_gamma(x), 200)
        scipy = best_of(lambda x=x: stats.gamma.fit(x, floc=0), 50)
        rows[str(n)] = {
            "fit_gamma_us": 1e6 * ours,
            "scipy_us": 1e6 * scipy,
            "ratio": scipy / ours,
            "law_us": 1e6 * best_of(lambda x=x: law(x, "gamma"), 20),
            "relative_difference": max(abs(shape / expected - 1.0), abs(scale / expected_scale - 1.0)),
        }
    return rows


_FIRST_CALLS = """
import time
import numpy as np
from sdespec.fits import _kernels
y, counts = np.linspace(0.0, 1.0, 50) ** 2, np.ones(50, np.int64)
start = time.process_time()
_kernels.scan(y, counts, 10, True)
d, _, below, sums = _kernels.tails(y, counts)
_kernels.candidate_distances(d, below, sums, np.arange(10), True)
_kernels.gamma_shape(0.3)
print(time.process_time() - start)
"""


def compilation() -> dict[str, float]:
    """CPU seconds of the first calls of all kernels, with an empty and with a filled cache."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        seconds = [
            float(subprocess.check_output([sys.executable, "-c", _FIRST_CALLS], env=environment)) for _ in range(2)
        ]
    return {"cold_cpu_s": seconds[0], "cached_cpu_s": seconds[1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true")
    large = parser.parse_args().large
    power_law_tail(sample(1_000), bootstrap=20)
    powerlaw_fit(sample(50), opened=True)
    document = {
        "one_fit": one_fit(large),
        "million": million(),
        "many_fits": many_fits(),
        "intervals": intervals(),
        "gamma": gamma_fits(),
        "compilation": compilation(),
    }
    print(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()

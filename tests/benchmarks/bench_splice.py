"""Error, cover and cost of the splice beside the threshold scan; prints one JSON document.

Run: python tests/benchmarks/bench_splice.py [--samples 1000] [--seeds 3]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import numpy as np
from scipy import special

from sdespec.fits import power_law_tail, splice


def pareto(n: int, exponent: float, rng: np.random.Generator) -> np.ndarray:
    return (1.0 - rng.random(n)) ** (-1.0 / (exponent - 1.0))


def bulk(kind: str, n: int, rng: np.random.Generator) -> np.ndarray:
    """Values below 6."""
    if kind == "gamma":
        return special.gammaincinv(3.0, special.gammainc(3.0, 6.0) * rng.random(n))
    if kind == "uniform":
        return 6.0 * rng.random(n)
    if kind == "log-normal":
        return np.exp(0.6 * special.ndtri(special.ndtr((np.log(6.0) - 1.0) / 0.6) * rng.random(n)) + 1.0)
    singular = np.linalg.svd(rng.normal(size=(n, 2 * n)), compute_uv=False)
    return 6.0 * (singular / (np.sqrt(n) + np.sqrt(2 * n))) ** 2  # Marchenko-Pastur, upper edge 6


def sample(kind: str, n: int, exponent: float, rng: np.random.Generator) -> np.ndarray:
    """80 % bulk and 20 % Pareto beyond 6; or all Pareto from 6 on."""
    n_bulk = 0 if kind == "none" else int(0.8 * n)
    tail = 6.0 * pareto(n - n_bulk, exponent, rng)
    return np.concatenate([bulk(kind, n_bulk, rng), tail]) if n_bulk else tail


def accuracy(kind: str, n: int, exponent: float, samples: int, seed: int) -> dict[str, float]:
    rng = np.random.default_rng([seed, n, int(10 * exponent)])
    fits, scans, hits = [], [], 0
    for _ in range(samples):
        x = sample(kind, n, exponent, rng)
        fit = splice(x)
        fits.append((fit.exponent, fit.threshold))
        hits += fit.interval[0] <= exponent <= fit.interval[1]
        scans.append(power_law_tail(x).exponent)
    exponents, thresholds = np.transpose(fits)
    error = float(np.sqrt(np.mean((exponents - exponent) ** 2)))
    scan_error = float(np.sqrt(np.mean((np.array(scans) - exponent) ** 2)))
    return {
        "error": error,
        "scan_error": scan_error,
        "ratio": error / scan_error,
        "bias": float(exponents.mean() - exponent),
        "cover": hits / samples,
        "median_threshold_over_true": float(np.median(thresholds) / 6.0),
    }


def best_of(call: Callable[[], object], repeats: int) -> float:
    """Least wall time in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def cost() -> dict[str, float]:
    rows = {}
    for n in (1_000, 10_000, 100_000, 1_000_000):
        x = sample("gamma", n, 3.0, np.random.default_rng(3))
        rows[f"splice_{n}_ms"] = 1e3 * best_of(lambda x=x: splice(x), 20 if n < 1e5 else 3)
    x = sample("gamma", 1_000, 3.0, np.random.default_rng(3))
    rows["scan_with_200_resamples_1000_ms"] = 1e3 * best_of(lambda: power_law_tail(x, bootstrap=200), 10)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=1_000)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    splice(sample("gamma", 100, 3.0, np.random.default_rng(0)))
    document: dict[str, object] = {"cost": cost()}
    for kind in ("gamma", "log-normal", "uniform", "marchenko-pastur", "none"):
        for n in (200, 1_000):
            for exponent in (2.0, 3.0, 4.0):
                slow = kind == "marchenko-pastur" and n > 200
                samples = min(options.samples, 60) if slow else options.samples
                seeds = range(1 if slow else options.seeds)
                document[f"{kind} bulk, exponent {exponent:g}, n = {n}"] = [
                    accuracy(kind, n, exponent, samples, seed) for seed in seeds
                ]
    print(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()

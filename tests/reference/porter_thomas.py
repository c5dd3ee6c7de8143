"""Make the table of the laws of two statistics of uniformly random directions, from draws.

Run ``python tests/reference/porter_thomas.py`` to write ``sdespec/spectra/data/porter_thomas.npz`` anew (some minutes).

For each length n it holds the quantiles, at equally spaced normal scores, of the scaled Kolmogorov distance
sqrt(n) D of n v_i^2 to chi-squared of one degree and of the scaled fourth moment sqrt(n) (n sum v_i^4 - 3 n / (n + 2)),
and the share of directions whose distance or fourth moment is beyond its quantile at 0.975.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import special

DRAWS = {8: 10**6, 10: 10**6, 12: 10**6, 16: 10**6, 24: 10**6, 32: 10**6, 48: 10**6, 64: 10**6, 96: 10**6, 128: 10**6,
         256: 10**6, 512: 10**6, 1024: 10**6, 4096: 400_000, 16_384: 150_000, 65_536: 40_000}  # fmt: skip
SCORES = np.linspace(-1.0, 1.0, 61) * -special.ndtri(1e-4)
LEVEL = 0.025
SEED = 20_251_123
BLOCK = 1 << 21
TABLE = Path(__file__).parents[2] / "sdespec" / "spectra" / "data" / "porter_thomas.npz"


def scaled_statistics(directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scaled distance and fourth moment of each row of norm 1."""
    size = directions.shape[1]
    component = np.sort(np.abs(directions), axis=1)
    cdf = special.erf(component * np.sqrt(0.5 * size))
    below = np.arange(size) / size
    distance = np.maximum(cdf - below, below + 1.0 / size - cdf).max(axis=1)
    fourth = size * np.sum(component**4, axis=1)
    return np.sqrt(size) * distance, np.sqrt(size) * (fourth - 3.0 * size / (size + 2.0))


def row(size: int, draws: int, seed: int = SEED) -> tuple[np.ndarray, np.ndarray, float]:
    """Quantiles of both statistics at one length, and the share that is beyond one of the two at the level."""
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, size])))
    height = max(1, BLOCK // size)
    parts = []
    for start in range(0, draws, height):
        sample = rng.normal(size=(min(height, draws - start), size))
        parts.append(scaled_statistics(sample / np.linalg.norm(sample, axis=1, keepdims=True)))
    distance, fourth = (np.concatenate(part) for part in zip(*parts, strict=True))
    far = (distance > np.quantile(distance, 1.0 - LEVEL)) | (fourth > np.quantile(fourth, 1.0 - LEVEL))
    levels = special.ndtr(SCORES)
    return np.quantile(distance, levels), np.quantile(fourth, levels), float(far.mean())


def table() -> dict[str, np.ndarray]:
    """Quantiles by length and score, and the shares."""
    rows = [row(size, draws) for size, draws in DRAWS.items()]
    distance, fourth, share = (np.array(column) for column in zip(*rows, strict=True))
    return {"size": np.array(list(DRAWS)), "score": SCORES, "distance": distance, "fourth": fourth, "share": share}


if __name__ == "__main__":
    np.savez(TABLE, **table())

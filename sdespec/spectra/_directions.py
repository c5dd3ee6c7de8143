"""Three statistics of unit vectors and their laws over uniformly random directions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
from scipy import special
from scipy.interpolate import PchipInterpolator

__all__ = ["NullLaw", "largest_component", "null_law", "statistics"]

_CAUTION = 0.75  # of the slope beyond the table; the straight line itself is up to 2.5 times too small at 1e-6


@dataclass(frozen=True, eq=False)
class NullLaw:
    """Laws of distance and participation of random directions of one length.

    Attributes
    ----------
    size : int
        Number of components.
    score : ndarray, (k,)
        Normal scores of the quantiles, ascending.
    distance, fourth : ndarray, (k,)
        Quantiles of sqrt(n) times the distance, and of sqrt(n) times the centred fourth moment.
    share : float
        Share of directions of which one statistic is beyond its quantile at 0.975.
    """

    size: int
    score: np.ndarray
    distance: np.ndarray
    fourth: np.ndarray
    share: float

    def p_far(self, distance: np.ndarray) -> np.ndarray:
        """Probability of a distance as large; beyond the table an upper bound, Gaussian in the distance."""
        scaled = np.sqrt(self.size) * distance
        slope = (self.score[-1] - self.score[-21]) / (self.distance[-1] - self.distance[-21])
        further = _CAUTION * slope * np.maximum(0.0, scaled - self.distance[-1])
        return np.asarray(special.ndtr(-np.interp(scaled, self.distance, self.score) - further))

    def p_localized(self, participation: np.ndarray) -> np.ndarray:
        """Probability of a participation as small, at least that of the last quantile."""
        centre = 3.0 * self.size / (self.size + 2.0)
        scaled = np.sqrt(self.size) * (1.0 / participation - centre)
        return np.asarray(special.ndtr(-np.interp(scaled, self.fourth, self.score)))


def statistics(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """KS distance and participation of each row, a vector of norm 1."""
    size = vectors.shape[1]
    squares = np.sort(vectors * vectors, axis=1)
    cdf = special.erf(np.sqrt(0.5 * size * squares))
    steps = np.arange(size) / size
    distance = np.maximum((cdf - steps).max(axis=1), (steps + 1.0 / size - cdf).max(axis=1))
    return distance, 1.0 / (size * np.einsum("ij,ij->i", squares, squares))


def largest_component(vectors: np.ndarray) -> np.ndarray:
    """Bound of the probability that a random direction has a component as large as the largest of each row.

    The square of one component has the beta law of 1/2 and (n - 1)/2; Bonferroni over the n of them.
    """
    size = vectors.shape[1]
    rest = np.clip(1.0 - np.max(vectors * vectors, axis=1), 0.0, 1.0)
    return np.asarray(np.minimum(1.0, size * special.betainc(0.5 * (size - 1.0), 0.5, rest)))


@lru_cache(maxsize=1)
def _table() -> dict[str, np.ndarray]:
    path = files("sdespec.spectra") / "data" / "porter_thomas.npz"
    with path.open("rb") as stream, np.load(stream) as archive:
        return {name: archive[name] for name in archive.files}


@lru_cache(maxsize=64)
def null_law(size: int) -> NullLaw:
    """Laws at a length of at least 8, between those of the table in powers of n^(-1/2)."""
    table = _table()
    at = 1.0 / np.sqrt(min(size, int(table["size"][-1])))  # beyond the longest the scaled laws have settled
    nodes = 1.0 / np.sqrt(table["size"][::-1])
    distance, fourth, share = (
        PchipInterpolator(nodes, table[name][::-1])(at) for name in ("distance", "fourth", "share")
    )
    return NullLaw(size, table["score"], distance, fourth, float(share))

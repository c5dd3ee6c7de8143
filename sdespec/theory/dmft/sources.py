"""Frozen Gaussian sources: one number for each sample and direction, in antithetic pairs."""

from __future__ import annotations

import numpy as np

from sdespec.core.rng import standard_normal

__all__ = ["Source"]


class Source:
    """Normals of a growing number of directions; row j depends on (seed, kind, j) only.

    Samples come in pairs (i, i + S/2). ``even`` sources are the same in both, the others have opposite signs: then
    whatever depends on the even ones alone averages to zero against the others exactly, not only in the mean.

    Parameters
    ----------
    samples : int
        S, even.
    seed, kind : int
        Seed of the solution, and number of the source.
    even : bool
        See above.
    """

    def __init__(self, samples: int, *, seed: int, kind: int, even: bool) -> None:
        self._half, self._seed, self._kind, self._even = samples // 2, seed, kind, even
        self._rows = np.empty((0, samples))
        self._count = 0

    def rows(self, count: int) -> np.ndarray:
        """The first ``count`` rows, (count, S)."""
        if count > len(self._rows):
            grown = np.empty((max(count, 2 * len(self._rows), 16), 2 * self._half))
            grown[: self._count] = self._rows[: self._count]
            self._rows = grown
        for j in range(self._count, count):
            half = standard_normal((self._half,), seed=self._seed, replicate=self._kind, step=j, purpose=_PURPOSE)
            self._rows[j, : self._half] = half
            self._rows[j, self._half :] = half if self._even else -half
        self._count = max(self._count, count)
        return self._rows[:count]


_PURPOSE = 20  # of the noise counter: sources of the mean-field theory

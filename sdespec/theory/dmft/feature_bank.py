"""Orthonormal basis of sampled features that grows with time and never forgets."""

from __future__ import annotations

import numpy as np

from sdespec.core.errors import NumericalError

__all__ = ["FeatureBank"]


class FeatureBank:
    """Incremental rank-revealing factor of features over samples, :math:`F_n = q R_n` with :math:`q^T q / S = 1`.

    Parameters
    ----------
    samples : int
        S.
    tolerance : float
        Features whose residual is below this share of the largest feature add no direction.
    cap : int
        Largest number of directions.
    name : str
        What the features are, for messages.
    """

    def __init__(self, samples: int, tolerance: float, cap: int, name: str) -> None:
        self._rows = np.empty((min(16, cap), samples))
        self._tolerance, self._cap, self._name = tolerance, cap, name
        self._largest = 0.0
        self.tags: list[int] = []

    @property
    def rank(self) -> int:
        """Number of directions."""
        return len(self.tags)

    @property
    def directions(self) -> np.ndarray:
        """The basis q as rows, (rank, S)."""
        return self._rows[: self.rank]

    def add(self, features: np.ndarray, tag: int) -> np.ndarray:
        """Add the features of one step, rows (columns, S); their coefficients (rank, columns).

        Raises
        ------
        NumericalError
            If the number of directions would exceed the cap.
        """
        samples, count = features.shape[1], len(features)
        largest = float(np.sqrt((features**2).mean(axis=1)).max())
        self._largest = max(self._largest, largest)
        old = self.rank
        rest = features.copy()
        found = np.zeros((old, count))
        for _ in range(2):  # twice is enough
            part = self.directions @ rest.T / samples
            rest -= part.T @ self.directions
            found += part
        new: list[np.ndarray] = []
        for j in range(count):
            size = float(np.sqrt((rest[j] ** 2).mean()))
            if size <= self._tolerance * self._largest or size == 0.0:
                continue
            direction = rest[j] / size
            direction -= (self.directions[:old] @ direction / samples) @ self.directions[:old]
            direction /= np.sqrt((direction**2).mean())
            along = rest @ direction / samples
            along[:j] = 0.0
            rest -= along[:, None] * direction
            self._append(direction, tag)
            new.append(along)
        return np.vstack([found, *new]) if new else found

    def _append(self, direction: np.ndarray, tag: int) -> None:
        if self.rank == self._cap:
            raise NumericalError(
                f"the {self._name} need more than {self._cap} directions at update {tag}; take more samples, a larger "
                "solver_tolerance or fewer updates"
            )
        if self.rank == len(self._rows):
            grown = np.empty((min(self._cap, 2 * len(self._rows)), self._rows.shape[1]))
            grown[: self.rank] = self._rows
            self._rows = grown
        self._rows[self.rank] = direction
        self.tags.append(tag)

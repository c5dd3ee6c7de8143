"""What one side says about its replicates: from the spectra themselves, or from statistics that were kept of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import xarray as xr

from sdespec.compare import statistics
from sdespec.compare.sides import Cell
from sdespec.compare.statistics import Estimate
from sdespec.core.errors import InputError

__all__ = ["Replicates", "Statistics", "Summary", "bin_edges", "summary_of"]


class Summary(Protocol):
    """Estimates over replicates."""

    @property
    def size(self) -> int:
        """Number of replicates."""

    @property
    def rank(self) -> int:
        """Number of eigenvalues of each."""

    def trace_mean(self) -> Estimate:
        """Mean of the trace."""

    def trace_variance(self) -> Estimate:
        """Variance of the trace, with the error of its logarithm."""

    def eigenvalue(self, rank: int) -> Estimate:
        """Mean of an ordered eigenvalue."""

    def single(self, rank: int | None) -> Estimate:
        """Error of a single replicate, of its trace or of an ordered eigenvalue, around nothing."""

    def density(self, edges: np.ndarray) -> list[Estimate]:
        """Mean density in bins."""


@dataclass(frozen=True)
class Replicates:
    """Spectra (replicates, rank)."""

    spectra: np.ndarray

    @property
    def size(self) -> int:
        """Number of replicates."""
        return len(self.spectra)

    @property
    def rank(self) -> int:
        """Number of eigenvalues of each."""
        return int(self.spectra.shape[1])

    def trace_mean(self) -> Estimate:
        """Mean of the trace."""
        return statistics.mean(self.spectra.sum(axis=1))

    def trace_variance(self) -> Estimate:
        """Variance of the trace, with the error of its logarithm."""
        return statistics.variance(self.spectra.sum(axis=1))

    def eigenvalue(self, rank: int) -> Estimate:
        """Mean of an ordered eigenvalue."""
        return statistics.mean(self.spectra[:, rank])

    def single(self, rank: int | None) -> Estimate:
        """Error of a single replicate, of its trace or of an ordered eigenvalue, around nothing."""
        values = self.spectra.sum(axis=1) if rank is None else self.spectra[:, rank]
        if self.size < 2:
            return Estimate(0.0, math.nan, math.nan)
        return Estimate(0.0, float(values.std(ddof=1)), self.size - 1.0)

    def density(self, edges: np.ndarray) -> list[Estimate]:
        """Mean density in bins."""
        counts = np.array([np.histogram(one, edges)[0] for one in self.spectra])
        return [statistics.mean(one) for one in (counts / (self.rank * np.diff(edges))).T]


@dataclass(frozen=True)
class Statistics:
    """Numbers of ``simulate_statistics`` at one time."""

    numbers: xr.Dataset

    @property
    def size(self) -> int:
        """Number of replicates."""
        if "n_replicates" not in self.numbers.attrs:
            raise InputError("statistics over replicates lack the attribute 'n_replicates'; keep it in the Dataset")
        return int(self.numbers.attrs["n_replicates"])

    @property
    def rank(self) -> int:
        """Number of eigenvalues of each."""
        return int(self.numbers["eigenvalue_mean"].sizes["rank"])

    def _number(self, name: str, rank: int | None = None) -> float:
        array = self.numbers[name]
        return float(array if rank is None else array[rank])

    def trace_mean(self) -> Estimate:
        """Mean of the trace."""
        return Estimate(self._number("trace_mean"), self._number("trace_mean_stderr"), self.size - 1.0)

    def trace_variance(self) -> Estimate:
        """Variance of the trace, with the error of its logarithm."""
        value = self._number("trace_variance")
        if value == 0.0:
            return Estimate(0.0, 0.0, self.size - 1.0)
        error = self._number("trace_variance_stderr") if "trace_variance_stderr" in self.numbers else math.nan
        return Estimate(value, error / value, self.size - 1.0)

    def eigenvalue(self, rank: int) -> Estimate:
        """Mean of an ordered eigenvalue."""
        error = self._number("eigenvalue_mean_stderr", rank)
        return Estimate(self._number("eigenvalue_mean", rank), error, self.size - 1.0)

    def single(self, rank: int | None) -> Estimate:
        """Error of a single replicate, of its trace or of an ordered eigenvalue, around nothing."""
        name = "trace_variance" if rank is None else "eigenvalue_variance"
        return Estimate(0.0, math.sqrt(self._number(name, rank)), self.size - 1.0)

    def density(self, edges: np.ndarray) -> list[Estimate]:
        """Mean density in bins, nothing known where they are other ones."""
        own = bin_edges(self.numbers)
        if own is None or not np.array_equal(own, edges):
            return [Estimate(math.nan, math.nan)] * (len(edges) - 1)
        pairs = zip(self.numbers["density"].values, self.numbers["density_stderr"].values, strict=True)
        return [Estimate(float(value), float(error), self.size - 1.0) for value, error in pairs]


def bin_edges(numbers: xr.Dataset | None) -> np.ndarray | None:
    """Edges of the bins of a density that was counted over replicates."""
    if numbers is None or "density" not in numbers or "bin_edges" not in numbers.attrs:
        return None
    return np.asarray(numbers.attrs["bin_edges"], dtype=np.float64)


def summary_of(cell: Cell) -> Summary | None:
    """Estimates of a cell; nothing where it holds no replicates."""
    if cell.spectra is not None:
        return Replicates(cell.spectra)
    return Statistics(cell.numbers) if cell.has_replicates and cell.numbers is not None else None

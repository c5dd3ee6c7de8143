"""Moments of the entries of a matrix, computed in blocks of rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sdespec.core.errors import SpectrumError
from sdespec.core.linalg import check_finite

__all__ = ["EntryStatistics", "entry_statistics", "row_blocks"]

_BLOCK_ENTRIES = 1 << 18
"""Entries that are converted to float64 at a time: 2 MB, which stays in the cache."""


@dataclass(frozen=True)
class EntryStatistics:
    """Moments of the entries of a matrix.

    Attributes
    ----------
    mean : float
        Mean of the entries.
    variance : float
        Mean squared deviation from the mean, over all entries.
    kurtosis : float
        Excess kurtosis: 0 for Gaussian entries, -1.2 for uniform ones; NaN where all entries are equal.
    max_abs : float
        Largest absolute entry.
    size : int
        Number of entries.
    """

    mean: float
    variance: float
    kurtosis: float
    max_abs: float
    size: int


def row_blocks(matrix: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rows of a matrix in float64 blocks of bounded size; a block may be a view, so do not write to it."""
    n_rows, n_cols = matrix.shape
    height = max(1, _BLOCK_ENTRIES // max(1, n_cols))
    for start in range(0, n_rows, height):
        yield np.asarray(matrix[start : start + height], dtype=np.float64)


def entry_statistics(matrix: np.ndarray) -> EntryStatistics:
    r"""Mean, variance, excess kurtosis and largest absolute value of the entries of a matrix.

    .. math:: \bar w = \frac1N \sum w, \quad s^2 = \frac1N \sum (w - \bar w)^2, \quad
              \kappa = \frac{\sum (w - \bar w)^4}{N s^4} - 3

    Parameters
    ----------
    matrix : ndarray, (n, m)
        Real and finite, of any floating type.

    Returns
    -------
    EntryStatistics

    Raises
    ------
    SpectrumError
        If the array is not a matrix, is empty or complex, or has NaN or infinite entries.

    Notes
    -----
    Two passes over blocks of rows, so no temporary is as large as the matrix. Deviations are taken from the mean
    and scaled by a power of two before they are raised to the fourth power, so neither a large mean nor tiny or
    huge entries cost digits. Cost O(n m).

    Examples
    --------
    >>> entry_statistics(np.array([[1.0, -1.0], [1.0, -1.0]]))
    EntryStatistics(mean=0.0, variance=1.0, kurtosis=-2.0, max_abs=1.0, size=4)
    """
    if np.ndim(matrix) != 2 or np.size(matrix) == 0:
        raise SpectrumError(f"an array of shape {np.shape(matrix)} is no matrix; two non-empty dimensions are needed")
    if np.iscomplexobj(matrix):
        raise SpectrumError("the matrix is complex; only real matrices have a place here")
    check_finite(matrix)
    size = int(matrix.size)
    low, high = float(matrix.min()), float(matrix.max())
    max_abs = max(high, -low)
    exponent = math.frexp(max_abs)[1]
    scaled_mean = sum(float(np.ldexp(block, -exponent).sum()) for block in row_blocks(matrix)) / size
    mean = math.ldexp(scaled_mean, exponent)
    if low == high:
        return EntryStatistics(low, 0.0, math.nan, max_abs, size)
    first = second = fourth = 0.0
    for block in row_blocks(matrix):
        deviation = np.ldexp(block, -exponent) - scaled_mean
        square = deviation * deviation
        first += float(deviation.sum())
        second += float(square.sum())
        fourth += float(np.einsum("ij,ij->", square, square))
    scaled_variance = second / size - (first / size) ** 2
    kurtosis = fourth / size / scaled_variance**2 - 3.0
    with np.errstate(over="ignore", under="ignore"):
        variance = float(np.ldexp(scaled_variance, 2 * exponent))
    return EntryStatistics(mean, variance, kurtosis, max_abs, size)

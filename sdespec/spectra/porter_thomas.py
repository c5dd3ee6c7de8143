"""Are the singular vectors of a matrix random directions? Porter-Thomas law of their squared components."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import linalg, special

from sdespec.core.checks import require, whole
from sdespec.core.errors import SpectrumError
from sdespec.core.linalg import check_finite

__all__ = ["PorterThomas", "porter_thomas"]

_NULL_DRAWS = 8000
_NULL_SEED = 20_251_123
_LEAST = 8
_LEVEL = 0.025  # of each of the two tests of a mode


@dataclass(frozen=True, eq=False)
class PorterThomas:
    """Test of singular vectors against uniformly random directions.

    Attributes
    ----------
    ks_distance : ndarray, (n_modes,)
        Two-sided KS distance of n times the squared components of each vector to chi-squared of one degree.
    p_value : ndarray, (n_modes,)
        Share of random directions with a distance as large, at least 1/8001.
    participation : ndarray, (n_modes,)
        Inverse of n times the sum of the fourth powers: about 1/3 for random directions, 1/n for one component.
    p_localized : ndarray, (n_modes,)
        Share of random directions with a participation as small.
    n_rejected : int
        Number of vectors with one of the two p-values below 0.025.
    p_overall : float
        Probability that at least so many of as many independent random directions have it: the verdict over all modes.
    """

    ks_distance: np.ndarray
    p_value: np.ndarray
    participation: np.ndarray
    p_localized: np.ndarray
    n_rejected: int
    p_overall: float


def _statistics(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """KS distance and participation of each row, a vector of norm 1."""
    size = vectors.shape[1]
    squares = np.sort(vectors * vectors, axis=1)
    cdf = special.erf(np.sqrt(0.5 * size * squares))
    steps = np.arange(size) / size
    distance = np.maximum((cdf - steps).max(axis=1), (steps + 1.0 / size - cdf).max(axis=1))
    return distance, 1.0 / (size * np.einsum("ij,ij->i", squares, squares))


@lru_cache(maxsize=64)
def _null(size: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Both statistics of random directions, ascending, and the share of directions that one of them rejects."""
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([_NULL_SEED, size])))
    height = max(1, (1 << 20) // size)
    parts = []
    for start in range(0, _NULL_DRAWS, height):
        draws = rng.normal(size=(min(height, _NULL_DRAWS - start), size))
        parts.append(_statistics(draws / np.linalg.norm(draws, axis=1, keepdims=True)))
    distance, participation = (np.concatenate(part) for part in zip(*parts, strict=True))
    far = distance > np.quantile(distance, 1.0 - _LEVEL)
    few = participation < np.quantile(participation, _LEVEL)
    return np.sort(distance), np.sort(participation), float((far | few).mean())


def porter_thomas(
    matrix: np.ndarray, *, side: Literal["left", "right"] = "right", n_modes: int | None = None
) -> PorterThomas:
    r"""Test whether singular vectors are random directions.

    .. math:: n\, v_i^2 \sim \chi^2_1 \quad\text{as}\quad n \to \infty

    Parameters
    ----------
    matrix : ndarray, (n_rows, n_cols)
        Real and finite.
    side : {"left", "right"}
        Which vectors: left ones have n_rows components, right ones n_cols.
    n_modes : int, optional
        Number of vectors, those of the largest singular values first; all min(n_rows, n_cols) by default.

    Returns
    -------
    PorterThomas

    Raises
    ------
    SpectrumError
        If the array is not a real, finite matrix with at least 8 components on the side.
    UsageError
        If an option is not allowed.

    Notes
    -----
    The components of a vector of norm 1 are not independent, so the p-values are read from 8000 random directions of
    the same length, not from the tables of Kolmogorov. The KS test sees many components that are off by a little, the
    participation sees few large ones.

    **Blind spot.** A bi-invariant matrix law has random singular vectors whatever its spectrum, with a power-law tail
    as with a Marchenko-Pastur bulk: passing says nothing of the spectrum, and a matrix with large spikes along
    generic directions passes too. Failing says that a mode is tied to the coordinates, as with dead or scaled rows,
    or heavy-tailed entries whose largest make the leading modes. Cost of the vectors O(n m min(n, m)), and once for a
    length n, 8000 n log n: 0.6 s at n = 600.

    References
    ----------
    Porter and Thomas, Physical Review 104 (1956) 483.

    Examples
    --------
    >>> matrix = np.random.default_rng(0).normal(size=(60, 90))
    >>> porter_thomas(matrix).p_overall > 0.01
    True
    >>> matrix[7, 11] = 60.0
    >>> bool(porter_thomas(matrix).p_localized[0] < 0.001)
    True
    """
    require(side in ("left", "right"), "side", side, "'left' or 'right'")
    values = np.asarray(matrix)
    if values.ndim != 2 or np.iscomplexobj(values) or min(values.shape, default=0) == 0:
        raise SpectrumError(f"an array of shape {values.shape} and type {values.dtype} is no real matrix")
    check_finite(values)
    size = values.shape[0] if side == "left" else values.shape[1]
    if size < _LEAST:
        raise SpectrumError(f"{side} vectors have {size} components; at least {_LEAST} are needed")
    rank = min(values.shape)
    count = rank if n_modes is None else min(rank, whole(n_modes, "n_modes", 1))
    left, _, right = linalg.svd(values.astype(np.float64), full_matrices=False, check_finite=False)
    vectors = (left.T if side == "left" else right)[:count]
    distance, participation = _statistics(vectors)
    null_distance, null_participation, rate = _null(size)
    above = _NULL_DRAWS - np.searchsorted(null_distance, distance, side="left")
    under = np.searchsorted(null_participation, participation, side="right")
    p_value, p_localized = (above + 1.0) / (_NULL_DRAWS + 1.0), (under + 1.0) / (_NULL_DRAWS + 1.0)
    rejected = int(np.count_nonzero(np.minimum(p_value, p_localized) < _LEVEL))
    overall = float(special.bdtrc(rejected - 1, count, rate)) if rejected else 1.0
    return PorterThomas(distance, p_value, participation, p_localized, rejected, overall)

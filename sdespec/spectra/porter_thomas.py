"""Are the singular vectors of a matrix random directions? Porter-Thomas law of their squared components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import linalg, special

from sdespec.core.checks import require, whole
from sdespec.core.errors import NumericalError, SpectrumError
from sdespec.core.linalg import blas_threads, check_finite
from sdespec.spectra._directions import largest_component, null_law, statistics

__all__ = ["PorterThomas", "porter_thomas", "porter_thomas_sides"]

Side = Literal["left", "right"]

_LEAST = 8
_LEVEL = 0.025  # of each of the two tests of a mode, as in the table
_ALONE = 2.0**-23  # of a singular value relative to the largest: rounding of what was made in float32


@dataclass(frozen=True, eq=False)
class PorterThomas:
    """Test of singular vectors against uniformly random directions; NaN for a mode that has no vector of its own.

    Attributes
    ----------
    ks_distance : ndarray, (n_modes,)
        Two-sided KS distance of n times the squared components of each vector to chi-squared of one degree.
    p_value : ndarray, (n_modes,)
        Share of random directions with a distance as large; below 0.0001 an upper bound.
    participation : ndarray, (n_modes,)
        Inverse of n times the sum of the fourth powers: about 1/3 for random directions, 1/n for one component.
    p_localized : ndarray, (n_modes,)
        Share of random directions with a participation as small, at least 0.0001.
    p_component : ndarray, (n_modes,)
        Upper bound of the share of random directions with a component as large as the largest.
    p_mode : ndarray, (n_modes,)
        Verdict on each vector: three times the smallest of the three p-values, at most 1.
    n_tested : int
        Number of vectors that were tested.
    n_rejected : int
        Number of vectors with ``p_value`` or ``p_localized`` below 0.025.
    p_overall : float
        Verdict over all modes: twice the smaller of two p-values, at most 1. One asks whether as many of as many
        independent random directions are rejected, the other is ``n_tested`` times the smallest ``p_mode``.
    """

    ks_distance: np.ndarray
    p_value: np.ndarray
    participation: np.ndarray
    p_localized: np.ndarray
    p_component: np.ndarray
    p_mode: np.ndarray
    n_tested: int
    n_rejected: int
    p_overall: float


def porter_thomas(matrix: np.ndarray, *, side: Side = "right", n_modes: int | None = None) -> PorterThomas:
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
        If the array is not a real, finite matrix with at least 8 components on the side, or no singular value stands
        alone.
    NumericalError
        If LAPACK does not converge.
    UsageError
        If an option is not allowed.

    Notes
    -----
    The components of a vector of norm 1 are not independent, so the p-values are not from the tables of Kolmogorov
    but from a table made of up to a million random directions for each of sixteen lengths from 8 to 65 536. The KS
    test sees many components that are off by a little, the participation sees few large ones, the largest component
    sees a single one.

    A vector is defined where its singular value is further than ``2**-23 s_1``, the rounding of single precision,
    from zero and from its neighbours. Others, as of an orthogonal matrix or beyond the rank, are what rounding and
    LAPACK made of them and are left out.

    The modes of one matrix are orthogonal, which makes the verdict over all of them conservative: of Gaussian
    matrices it rejects 2 to 4 % at 5 %, and up to 1 % at 1 %.

    **Blind spot.** A bi-invariant matrix law has random singular vectors whatever its spectrum, with a power-law tail
    as with a Marchenko-Pastur bulk: passing says nothing of the spectrum, and a matrix with large spikes along
    generic directions passes too; where a direction is known, take ``alignment``. Failing says that a mode is tied to
    the coordinates, as with dead or scaled rows, or heavy-tailed entries whose largest make the leading modes. Cost
    of the vectors O(n m min(n, m)).

    References
    ----------
    Porter and Thomas, Physical Review 104 (1956) 483.

    Examples
    --------
    >>> matrix = np.random.default_rng(0).normal(size=(60, 90))
    >>> porter_thomas(matrix).p_overall > 0.01
    True
    >>> matrix[7, 11] = 60.0
    >>> porter_thomas(matrix).p_overall < 1e-9
    True
    """
    require(side in ("left", "right"), "side", side, "'left' or 'right'")
    values = _checked(matrix)
    size = values.shape[0] if side == "left" else values.shape[1]
    if size < _LEAST:
        raise SpectrumError(f"{side} vectors have {size} components; at least {_LEAST} are needed")
    rank = min(values.shape)
    count = rank if n_modes is None else min(rank, whole(n_modes, "n_modes", 1))
    vectors, defined = _vectors(values)
    if not defined[:count].any():
        raise SpectrumError("no singular value stands alone, so none has a vector of its own")
    return _judged(vectors[side][:count], defined[:count])


def porter_thomas_sides(matrix: np.ndarray) -> dict[Side, PorterThomas]:
    """Test the vectors of both sides with one decomposition.

    Parameters
    ----------
    matrix : ndarray, (n_rows, n_cols)
        Real and finite.

    Returns
    -------
    dict
        By side, "left" and "right", the results of ``porter_thomas`` for all modes; without a side of fewer than 8
        components, and empty if no singular value stands alone.

    Raises
    ------
    SpectrumError
        If the array is not a real, finite matrix.
    NumericalError
        If LAPACK does not converge.

    Examples
    --------
    >>> found = porter_thomas_sides(np.random.default_rng(0).normal(size=(6, 90)))
    >>> list(found), found["right"].n_tested
    (['right'], 6)
    """
    values = _checked(matrix)
    if max(values.shape) < _LEAST:
        return {}
    vectors, defined = _vectors(values)
    if not defined.any():
        return {}
    return {side: _judged(rows, defined) for side, rows in vectors.items() if rows.shape[1] >= _LEAST}


def _checked(matrix: np.ndarray) -> np.ndarray:
    """The matrix in float64."""
    values = np.asarray(matrix)
    if values.ndim != 2 or np.iscomplexobj(values) or min(values.shape, default=0) == 0:
        raise SpectrumError(f"an array of shape {values.shape} and type {values.dtype} is no real matrix")
    check_finite(values)
    return values.astype(np.float64, copy=False)


def _vectors(values: np.ndarray) -> tuple[dict[Side, np.ndarray], np.ndarray]:
    """Singular vectors by side, one a row, largest value first; and which of them are defined."""
    try:
        with blas_threads(min(values.shape)):
            left, single, right = linalg.svd(values, full_matrices=False, check_finite=False)
    except np.linalg.LinAlgError as error:
        raise NumericalError(f"LAPACK found no singular vectors of a {values.shape} matrix: {error}") from error
    gaps = -np.diff(single, append=0.0)
    before = np.concatenate([[np.inf], gaps[:-1]])
    return {"left": left.T, "right": right}, np.minimum(gaps, before) > _ALONE * single[0]


def _judged(vectors: np.ndarray, defined: np.ndarray) -> PorterThomas:
    """All tests of the vectors that are defined, of which there is at least one."""
    tested = vectors[defined]
    law = null_law(vectors.shape[1])
    distance, participation = statistics(tested)
    p_value, p_localized, p_component = (
        law.p_far(distance), law.p_localized(participation), largest_component(tested)
    )  # fmt: skip
    p_mode = np.minimum(1.0, 3.0 * np.minimum(np.minimum(p_value, p_localized), p_component))
    count = len(tested)
    rejected = int(np.count_nonzero(np.minimum(p_value, p_localized) < _LEVEL))
    p_count = float(special.bdtrc(rejected - 1, count, law.share)) if rejected else 1.0

    def spread(found: np.ndarray) -> np.ndarray:
        out = np.full(len(vectors), np.nan)
        out[defined] = found
        return out

    return PorterThomas(
        ks_distance=spread(distance),
        p_value=spread(p_value),
        participation=spread(participation),
        p_localized=spread(p_localized),
        p_component=spread(p_component),
        p_mode=spread(p_mode),
        n_tested=count,
        n_rejected=rejected,
        p_overall=min(1.0, 2.0 * min(p_count, count * float(p_mode.min()))),
    )

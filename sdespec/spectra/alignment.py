"""Angles between leading singular vectors and named directions."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from sdespec.core.errors import UsageError

__all__ = ["alignment"]


def alignment(matrix: np.ndarray, direction: np.ndarray, *, n_modes: int = 10) -> np.ndarray:
    r"""Absolute cosines of the leading singular vectors with a direction.

    .. math:: c_k = \frac{|v_k^T d|}{\|d\|}

    Parameters
    ----------
    matrix : ndarray, (n, m)
        Real and finite.
    direction : ndarray, (m,) or (n,)
        Of length m for right singular vectors (also where n = m), of length n for left ones.
    n_modes : int
        Number of leading singular vectors.

    Returns
    -------
    ndarray, (n_modes,)
        Between 0 and 1, the largest singular value first; NaN beyond the rank of the matrix.

    Raises
    ------
    UsageError
        If the length of the direction fits neither side, or it is zero or not finite.

    Notes
    -----
    From the Gram matrix on the side of the direction in float64: cost O(n m k + k^2 n_modes) with k its length.

    Examples
    --------
    >>> alignment(np.diag([3.0, 2.0, 1.0]), np.array([1.0, 1.0, 0.0]), n_modes=3).round(4)
    array([0.7071, 0.7071, 0.    ])
    """
    values = np.asarray(matrix, dtype=np.float64)
    vector = np.asarray(direction, dtype=np.float64)
    n_rows, n_cols = values.shape
    if vector.shape not in ((n_cols,), (n_rows,)):
        raise UsageError(f"a direction has shape {vector.shape}; for a {n_rows} x {n_cols} matrix it needs "
                         f"length {n_cols} (right vectors) or {n_rows} (left vectors)")  # fmt: skip
    norm = float(np.linalg.norm(vector))
    if not np.isfinite(norm) or norm == 0.0:
        raise UsageError(f"a direction has norm {norm}; it must be positive and finite")
    gram = values.T @ values if vector.shape == (n_cols,) else values @ values.T
    size = len(gram)
    count = min(n_modes, n_rows, n_cols)
    strengths, vectors = linalg.eigh(gram, subset_by_index=[size - count, size - 1], overwrite_a=True)
    cosines = np.minimum(np.abs(vector @ vectors)[::-1] / norm, 1.0)
    out = np.full(n_modes, np.nan)
    real = strengths[::-1] > size * np.finfo(np.float64).eps * strengths[-1]
    out[:count] = np.where(real, cosines, np.nan)
    return out

"""LAPACK glue that several rooms need."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Literal

import numpy as np
from threadpoolctl import ThreadpoolController

from sdespec.core.errors import NumericalError, SpectrumError, UsageError

__all__ = ["blas_threads", "check_finite", "eigenvalues"]

Method = Literal["auto", "gram", "svd"]

_GRAM_ACCURACY = 1e-9
"""Relative error of the smallest eigenvalue above which ``auto`` leaves the Gram route."""


_THREADED_SIDE = 1024
"""Smaller side from which LAPACK gains from several threads; below, they cost up to a hundredfold on a busy machine."""


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    return ThreadpoolController()  # finding the loaded libraries is slow, so once


def blas_threads(side: int) -> AbstractContextManager[object]:
    """Limit BLAS to one thread for a matrix whose smaller side is below 1024.

    Parameters
    ----------
    side : int
        Smaller side of the matrix.

    Returns
    -------
    context manager

    Examples
    --------
    >>> with blas_threads(100):
    ...     np.eye(3) @ np.eye(3)
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]])
    """
    if side >= _THREADED_SIDE:
        return nullcontext()
    limit: AbstractContextManager[object] = _controller().limit(limits=1, user_api="blas")
    return limit


def check_finite(matrix: np.ndarray) -> None:
    """Raise if an entry is NaN or infinite, naming their numbers and the first place.

    Parameters
    ----------
    matrix : ndarray
        Any real array.

    Raises
    ------
    SpectrumError
        With the counts of NaN and of infinite entries and the first index.

    Examples
    --------
    >>> check_finite(np.ones((2, 2)))
    """
    # the sum is finite exactly when all is well, and costs no mask as large as the matrix
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(matrix.sum(dtype=np.float64)):
            return
    finite = np.isfinite(matrix)
    if finite.all():
        return
    first = tuple(int(i) for i in np.unravel_index(int(np.argmin(finite)), matrix.shape))
    n_nan = int(np.isnan(matrix).sum())
    n_inf = int(np.isinf(matrix).sum())
    raise SpectrumError(
        f"{n_nan} NaN and {n_inf} infinite entries, the first at index {first}; spectra need finite entries"
    )


def eigenvalues(matrix: np.ndarray, *, method: Method = "auto") -> np.ndarray:
    r"""Squared singular values of a matrix, largest first.

    .. math:: \lambda_k = s_k(W)^2, \qquad k = 1, \dots, \min(n, m)

    Parameters
    ----------
    matrix : ndarray, (n, m)
        Real, finite; converted to float64 first, whatever its type.
    method : {"auto", "gram", "svd"}
        ``gram``: eigenvalues of the smaller Gram matrix in float64, whose smallest value has the relative error
        ``eps * lambda_max / lambda_min``. ``svd``: direct singular values. ``auto``: the Gram matrix, or the SVD
        where that error exceeds 1e-9 or is bound to, as for large square matrices.

    Returns
    -------
    ndarray, (min(n, m),)
        Descending, never negative. Singular values below the numerical rank, ``eps max(n, m) s_1``, are rounding
        and are given as 0 wherever the SVD is taken.

    Raises
    ------
    SpectrumError
        If the array is not a matrix, is empty, complex, or has NaN or infinite entries.
    NumericalError
        If LAPACK does not converge, or the squares leave the range of float64.

    Notes
    -----
    Cost O(n m min(n, m)). Entries are scaled by a power of two where their squares would leave the range of
    float64. A float32 Gram matrix is never formed: it loses half the digits.

    Examples
    --------
    >>> eigenvalues(np.diag([3.0, 1.0, 2.0]))
    array([9., 4., 1.])
    """
    if method not in ("auto", "gram", "svd"):
        raise UsageError(f"method is {method!r}; allowed: 'auto', 'gram', 'svd'")
    if np.ndim(matrix) != 2 or np.size(matrix) == 0:
        raise SpectrumError(f"an array of shape {np.shape(matrix)} is no matrix; two non-empty dimensions are needed")
    if np.iscomplexobj(matrix):
        raise SpectrumError("the matrix is complex; only real matrices have a place here")
    values = np.asarray(matrix, dtype=np.float64)
    check_finite(values)
    largest = max(float(values.max()), -float(values.min()))
    if largest == 0.0:
        return np.zeros(min(values.shape))
    exponent = int(np.frexp(largest)[1])
    if exponent < -480:
        raise NumericalError(
            f"squared singular values underflow: the largest entry is {largest:.3g}; rescale the matrix"
        )
    scaled = abs(exponent) > 400
    if scaled:
        values = np.ldexp(values, -exponent)
    try:
        with blas_threads(min(values.shape)):
            out = _scaled_eigenvalues(values, method)
    except np.linalg.LinAlgError as error:
        raise NumericalError(f"LAPACK found no singular values of a {values.shape} matrix: {error}") from error
    if scaled:
        with np.errstate(over="ignore"):
            out = np.ldexp(out, 2 * exponent)
    if not np.isfinite(out).all():
        raise NumericalError(
            f"squared singular values overflow: the largest entry is {largest:.3g}; rescale the matrix"
        )
    return out


def _gram_would_fail(n_rows: int, n_cols: int) -> bool:
    """Whether even a random matrix of this shape is too ill-conditioned for the Gram route, so that it is not tried."""
    small, large = sorted((n_rows, n_cols))
    ratio = (small / large) ** 0.5
    expected = max(((1.0 - ratio) / (1.0 + ratio)) ** 2, 0.25 / small**2)
    return bool(expected < np.finfo(np.float64).eps / _GRAM_ACCURACY)


def _scaled_eigenvalues(values: np.ndarray, method: Method) -> np.ndarray:
    if method == "gram" or (method == "auto" and not _gram_would_fail(*values.shape)):
        gram = values @ values.T if values.shape[0] <= values.shape[1] else values.T @ values
        out = np.linalg.eigvalsh(gram)[::-1]
        smallest_error = np.finfo(np.float64).eps * out[0] / _GRAM_ACCURACY
        if method == "gram" or out[-1] >= smallest_error:
            return np.maximum(out, 0.0)
    singular: np.ndarray = np.linalg.svd(values, compute_uv=False)
    singular[singular < np.finfo(np.float64).eps * max(values.shape) * singular[0]] = 0.0
    return np.asarray(singular**2)

"""Routines of LAPACK and BLAS that compiled kernels call without the GIL.

Numba has no values-only SVD. SciPy exports the routines it is built on; their addresses become symbols under which
compiled code finds them, so the kernels can be cached on disk.
"""

from __future__ import annotations

from collections.abc import Callable

import llvmlite.binding
import numpy as np
from numba import types
from numba.extending import get_cython_function_address

from sdespec.core.jit import kernel

__all__ = ["solve_positive", "squared_singular_values", "squared_singular_values_complex"]


def _routine(module: str, name: str, arguments: int) -> Callable[..., None]:
    """Declare a Fortran routine all of whose arguments are addresses."""
    symbol = f"sdespec_{name}"
    llvmlite.binding.add_symbol(symbol, get_cython_function_address(module, name))
    routine: Callable[..., None] = types.ExternalFunction(symbol, types.void(*[types.intp] * arguments))
    return routine


_dgesdd = _routine("scipy.linalg.cython_lapack", "dgesdd", 14)
_zgesdd = _routine("scipy.linalg.cython_lapack", "zgesdd", 15)
_dsyev = _routine("scipy.linalg.cython_lapack", "dsyev", 9)
_zheev = _routine("scipy.linalg.cython_lapack", "zheev", 10)
_dposv = _routine("scipy.linalg.cython_lapack", "dposv", 8)
_dsyrk = _routine("scipy.linalg.cython_blas", "dsyrk", 10)
_zherk = _routine("scipy.linalg.cython_blas", "zherk", 10)

_EPSILON = float(np.finfo(np.float64).eps)
_ACCURACY = 1e-12
"""Relative error of the smallest eigenvalue of a Gram matrix beyond which the SVD is taken."""

_GRAM_SIDE, _GRAM_WIDE = 48, 2.0
"""Smaller side, or larger over smaller, from which the Gram matrix takes at most two thirds of the SVD."""


# The addresses of arrays are taken of arguments only: Numba frees a local array after its last use by name.


@kernel
def _gram_values(
    matrix: np.ndarray, out: np.ndarray, gram: np.ndarray, work: np.ndarray, numbers: np.ndarray, units: np.ndarray,
    letters: np.ndarray,
) -> int:  # fmt: skip
    """Eigenvalues of the smaller Gram matrix, ascending."""
    no, where, one = letters.ctypes.data, numbers.ctypes.data, units.ctypes.data
    side = no + 2 if matrix.shape[0] <= matrix.shape[1] else no
    a, g = matrix.ctypes.data, gram.ctypes.data
    _dsyrk(no + 1, side, where + 8, where + 12, one, a, where, one + 8, g, where + 8)
    _dsyev(no, no + 1, where + 8, g, where + 8, out.ctypes.data, work.ctypes.data, where + 20, where + 24)
    return int(numbers[6])


@kernel
def _singular_values(
    matrix: np.ndarray, out: np.ndarray, work: np.ndarray, integers: np.ndarray, numbers: np.ndarray,
    letters: np.ndarray,
) -> int:  # fmt: skip
    """Singular values, descending."""
    no, where, w = letters.ctypes.data, numbers.ctypes.data, work.ctypes.data
    _dgesdd(
        no, where, where + 4, matrix.ctypes.data, where, out.ctypes.data, w, where + 16, w, where + 16, w, where + 20,
        integers.ctypes.data, where + 24,
    )  # fmt: skip
    return int(numbers[6])


@kernel
def _gram_serves(small: int, large: int) -> bool:
    """Whether the Gram matrix saves time and is accurate for a random matrix of these sides."""
    aspect = np.sqrt(small / large)
    spread = max(((1.0 - aspect) / (1.0 + aspect)) ** 2, 0.25 / small**2)  # smallest over largest
    return bool((small >= _GRAM_SIDE or large >= _GRAM_WIDE * small) and spread * _ACCURACY > _EPSILON)


@kernel
def squared_singular_values(matrix: np.ndarray, out: np.ndarray) -> int:
    """Squared singular values in descending order; the C-contiguous matrix is overwritten; LAPACK's info is returned.

    From a side of 48, or twice as many columns as rows, the Gram matrix is tried first, whose smallest eigenvalue has
    the relative error eps * largest / smallest; where that exceeds 1e-12, or is bound to do so even for a random matrix
    of this shape, the SVD is taken.
    """
    rows, cols = matrix.shape
    small, large = min(rows, cols), max(rows, cols)
    work = np.empty(3 * small + max(large, 7 * small) + 64 * (rows + cols))
    # Fortran sees the transpose: sides, smaller and larger side, a leading dimension of 1, workspace, info
    numbers = np.array([cols, rows, small, large, 1, work.shape[0], 0], dtype=np.int32)
    letters = np.array([78, 76, 84], dtype=np.uint8)  # N, L, T
    if _gram_serves(small, large):
        gram, units = np.empty((small, small)), np.array([1.0, 0.0])
        info = _gram_values(matrix, out, gram, work, numbers, units, letters)
        if info == 0 and out[0] * _ACCURACY > _EPSILON * out[small - 1]:
            for i in range(small // 2):
                out[i], out[small - 1 - i] = out[small - 1 - i], out[i]
            return 0
    info = _singular_values(matrix, out, work, np.empty(8 * small, dtype=np.int32), numbers, letters)
    for i in range(small):
        out[i] = out[i] * out[i]
    return info


@kernel
def _complex_singular_values(
    matrix: np.ndarray, out: np.ndarray, work: np.ndarray, real: np.ndarray, integers: np.ndarray,
    numbers: np.ndarray, letters: np.ndarray,
) -> int:  # fmt: skip
    """Singular values of a complex matrix, descending."""
    no, where, w = letters.ctypes.data, numbers.ctypes.data, work.ctypes.data
    _zgesdd(
        no, where, where + 4, matrix.ctypes.data, where, out.ctypes.data, w, where + 8, w, where + 8, w, where + 12,
        real.ctypes.data, integers.ctypes.data, where + 16,
    )  # fmt: skip
    return int(numbers[4])


@kernel
def _complex_gram_values(
    matrix: np.ndarray, out: np.ndarray, gram: np.ndarray, work: np.ndarray, real: np.ndarray, numbers: np.ndarray,
    units: np.ndarray, letters: np.ndarray,
) -> int:  # fmt: skip
    """Eigenvalues of the Gram matrix of the rows, ascending."""
    no, where, one, g = letters.ctypes.data, numbers.ctypes.data, units.ctypes.data, gram.ctypes.data
    _zherk(no + 1, no + 2, where + 4, where, one, matrix.ctypes.data, where, one + 8, g, where + 4)
    _zheev(
        no, no + 1, where + 4, g, where + 4, out.ctypes.data, work.ctypes.data, where + 12, real.ctypes.data, where + 16
    )
    return int(numbers[4])


@kernel
def squared_singular_values_complex(matrix: np.ndarray, out: np.ndarray) -> int:
    """Squared singular values, descending, of a complex matrix (rows, cols, 2), at least as many columns as rows.

    The last axis holds real and imaginary part; the C-contiguous matrix is overwritten; LAPACK's info is returned. The
    Gram matrix is tried as for real ones.
    """
    rows, cols = matrix.shape[0], matrix.shape[1]
    work = np.empty(2 * (3 * rows + cols + 64 * (rows + cols)))
    # Fortran sees the transpose: sides, a leading dimension of 1, workspace, info
    numbers = np.array([cols, rows, 1, work.shape[0] // 2, 0], dtype=np.int32)
    letters = np.array([78, 76, 67], dtype=np.uint8)  # N, L, C
    integers, real = np.empty(8 * rows, dtype=np.int32), np.empty(8 * rows)
    if _gram_serves(rows, cols):
        gram, units = np.empty((rows, rows, 2)), np.array([1.0, 0.0])
        info = _complex_gram_values(matrix, out, gram, work, real, numbers, units, letters)
        if info == 0 and out[0] * _ACCURACY > _EPSILON * out[rows - 1]:
            for i in range(rows // 2):
                out[i], out[rows - 1 - i] = out[rows - 1 - i], out[i]
            return 0
    info = _complex_singular_values(matrix, out, work, real, integers, numbers, letters)
    for i in range(rows):
        out[i] = out[i] * out[i]
    return info


@kernel
def _solve_positive(matrix: np.ndarray, right: np.ndarray, numbers: np.ndarray, letters: np.ndarray) -> int:
    where, r = numbers.ctypes.data, right.ctypes.data
    _dposv(letters.ctypes.data, where, where + 4, matrix.ctypes.data, where, r, where, where + 8)
    return int(numbers[2])


@kernel
def solve_positive(matrix: np.ndarray, right: np.ndarray) -> int:
    """Solve with a positive definite C-contiguous matrix, both in place; LAPACK's info is returned.

    Numba's own solver takes two seconds to compile.
    """
    numbers = np.array([right.shape[0], 1, 0], dtype=np.int32)
    return _solve_positive(matrix, right, numbers, np.array([76], dtype=np.uint8))  # L

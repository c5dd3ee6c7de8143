"""Squared singular values in compiled code, on either side of the choice between Gram matrix and SVD."""

import numpy as np
import pytest

from sdespec.core.lapack import solve_positive, squared_singular_values, squared_singular_values_complex


def _found(matrix):
    out = np.empty(min(matrix.shape))
    if np.iscomplexobj(matrix):
        info = squared_singular_values_complex(np.stack([matrix.real, matrix.imag], axis=-1), out)
    else:
        info = squared_singular_values(np.array(matrix, order="C"), out)
    assert info == 0
    return out


@pytest.mark.parametrize("unit", [0.0, 1.0j], ids=["real", "complex"])
@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (5, 9), (5, 10), (20, 60), (60, 60), (60, 90)])
def test_random_matrices(shape, unit):
    """Relative error of each value below 1e-10, whichever way is taken."""
    rng = np.random.default_rng(3)
    matrix = rng.normal(size=shape) + unit * rng.normal(size=shape)
    np.testing.assert_allclose(_found(matrix), np.linalg.svd(matrix, compute_uv=False) ** 2, rtol=1e-10)


@pytest.mark.parametrize("unit", [0.0, 1.0j], ids=["real", "complex"])
def test_small_values_of_wide_matrices_keep_their_digits(unit):
    """Values down to 1e-18 of the largest: the eigenvalues of the Gram matrix, beside them, have none right."""
    rng = np.random.default_rng(4)
    left = np.linalg.qr(rng.normal(size=(8, 8)) + unit * rng.normal(size=(8, 8)))[0]
    right = np.linalg.qr(rng.normal(size=(40, 8)) + unit * rng.normal(size=(40, 8)))[0]
    single = 10.0 ** -np.linspace(0.0, 9.0, 8)
    matrix = (left * single) @ right.conj().T
    np.testing.assert_allclose(_found(matrix), single**2, rtol=1e-5)
    gram = np.linalg.eigvalsh(matrix @ matrix.conj().T)[::-1]
    assert abs(gram[-1] / single[-1] ** 2 - 1.0) > 1.0


def test_positive_systems():
    """Against NumPy; a matrix that is not positive definite is told."""
    rng = np.random.default_rng(5)
    root = rng.normal(size=(7, 7))
    matrix, right = root @ root.T + np.eye(7), rng.normal(size=7)
    found = right.copy()
    assert solve_positive(matrix.copy(), found) == 0
    np.testing.assert_allclose(found, np.linalg.solve(matrix, right), rtol=1e-10)
    assert solve_positive(-matrix, right.copy()) == 1

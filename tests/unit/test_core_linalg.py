"""Eigenvalues at float64 accuracy, whatever the matrix."""

import numpy as np
import pytest

from sdespec.core.errors import NumericalError, SpectrumError, UsageError
from sdespec.core.linalg import check_finite, eigenvalues


def _matrix(singular_values, n_rows, n_cols, seed=0):
    rng = np.random.default_rng(seed)
    k = len(singular_values)
    u = np.linalg.qr(rng.normal(size=(n_rows, k)))[0]
    v = np.linalg.qr(rng.normal(size=(n_cols, k)))[0]
    return (u * singular_values) @ v.T


@pytest.mark.parametrize("shape", [(30, 30), (20, 70), (70, 20), (1, 9), (9, 1), (1, 1)])
@pytest.mark.parametrize("method", ["auto", "gram", "svd"])
def test_equals_the_svd(shape, method):
    matrix = np.random.default_rng(3).normal(size=shape)
    exact = np.linalg.svd(matrix, compute_uv=False) ** 2
    found = eigenvalues(matrix, method=method)
    np.testing.assert_allclose(found, exact, rtol=1e-8, atol=1e-13)
    assert found.shape == (min(shape),)
    assert np.all(np.diff(found) <= 0.0)
    assert found.min() >= 0.0


def test_small_values_of_an_ill_conditioned_matrix_survive_auto():
    s = np.geomspace(1.0, 1e-6, 40)
    matrix = _matrix(s, 40, 60)
    auto = eigenvalues(matrix)
    np.testing.assert_allclose(auto, s**2, rtol=1e-8)
    gram_error = abs(eigenvalues(matrix, method="gram")[-1] / s[-1] ** 2 - 1.0)
    assert gram_error > 1e-6  # the trap that auto avoids


def test_a_moderate_condition_keeps_ten_digits():
    s = np.geomspace(1.0, 1.0 / 4600.0, 60)
    np.testing.assert_allclose(eigenvalues(_matrix(s, 60, 90)), s**2, rtol=1e-8)


def test_float32_input_is_widened_first():
    s = np.geomspace(1.0, 1e-3, 50)
    matrix = _matrix(s, 50, 50).astype(np.float32)
    exact = np.linalg.svd(matrix.astype(np.float64), compute_uv=False) ** 2
    np.testing.assert_allclose(eigenvalues(matrix), exact, rtol=1e-9)


@pytest.mark.parametrize("scale", [1e140, 1e-140])
def test_extreme_scales(scale):
    matrix = np.random.default_rng(0).normal(size=(20, 30))
    expected = eigenvalues(matrix)
    found = eigenvalues(matrix * scale)
    np.testing.assert_allclose(found / scale / scale, expected, rtol=1e-9)


def test_overflow_zero_and_rank_deficiency():
    with pytest.raises(NumericalError, match="overflow"):
        eigenvalues(np.full((3, 3), 1e200))
    with pytest.raises(NumericalError, match="underflow"):
        eigenvalues(np.full((3, 3), 1e-200))
    assert np.array_equal(eigenvalues(np.zeros((3, 5))), np.zeros(3))
    assert eigenvalues(np.ones((10, 20)))[1:].max() < 1e-25


def test_faults_are_named():
    matrix = np.ones((4, 5))
    matrix[2, 3] = np.nan
    matrix[3, 0] = np.inf
    with pytest.raises(SpectrumError, match=r"1 NaN and 1 infinite entries, the first at index \(2, 3\)"):
        eigenvalues(matrix)
    with pytest.raises(SpectrumError, match="shape"):
        eigenvalues(np.ones(3))
    with pytest.raises(SpectrumError, match="shape"):
        eigenvalues(np.ones((0, 3)))
    with pytest.raises(SpectrumError, match="complex"):
        eigenvalues(np.ones((2, 2), dtype=complex))
    with pytest.raises(UsageError, match="method"):
        eigenvalues(np.ones((2, 2)), method="qr")
    with pytest.raises(ValueError, match="NaN"):
        check_finite(np.array([np.nan]))


def test_finite_entries_whose_sum_overflows_are_fine():
    check_finite(np.full((2, 2), 1.7e308))

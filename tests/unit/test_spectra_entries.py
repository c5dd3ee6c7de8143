import math
import tracemalloc

import ml_dtypes
import numpy as np
import pytest

from sdespec.core.errors import SpectrumError, UsageError
from sdespec.spectra import alignment, entry_statistics


def exact_moments(matrix):
    """Moments with exactly rounded sums of doubles."""
    values = [float(x) for x in np.asarray(matrix, dtype=np.float64).ravel()]
    mean = math.fsum(values) / len(values)
    second = math.fsum((x - mean) ** 2 for x in values) / len(values)
    fourth = math.fsum((x - mean) ** 4 for x in values) / len(values)
    return mean, second, fourth / second**2 - 3.0


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("shape", [(1, 7), (600, 500), (3, 300_000)])
def test_moments_equal_exactly_rounded_sums(dtype, shape):
    matrix = np.random.default_rng(0).normal(0.3, 0.1, shape).astype(dtype)
    found = entry_statistics(matrix)
    mean, variance, kurtosis = exact_moments(matrix)
    assert found.mean == pytest.approx(mean, rel=1e-13)
    assert found.variance == pytest.approx(variance, rel=1e-12)
    assert found.kurtosis == pytest.approx(kurtosis, abs=1e-11)
    assert found.max_abs == float(np.abs(matrix.astype(np.float64)).max())
    assert found.size == matrix.size


def test_a_large_mean_costs_no_digits():
    # one pass with sums of squares would leave no digit of the variance here
    deviations = np.random.default_rng(1).integers(-8, 9, size=(200, 300)).astype(float)
    found = entry_statistics(2.0**40 + deviations)
    assert found.variance == pytest.approx(deviations.var(), rel=1e-9)


@pytest.mark.parametrize("exponent", [-1000, -500, 300, 500])
def test_scale_leaves_the_shape_of_the_law(exponent):
    matrix = np.random.default_rng(2).normal(size=(50, 60))
    reference, found = entry_statistics(matrix), entry_statistics(np.ldexp(matrix, exponent))
    assert found.kurtosis == reference.kurtosis
    assert found.max_abs == math.ldexp(reference.max_abs, exponent)
    if abs(exponent) < 510:
        assert found.variance == math.ldexp(reference.variance, 2 * exponent)


def test_equal_entries_have_no_kurtosis():
    found = entry_statistics(np.full((4, 5), -0.1))
    assert (found.mean, found.variance, found.max_abs) == (-0.1, 0.0, 0.1)
    assert math.isnan(found.kurtosis)


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros((0, 4)), np.ones((2, 2)) * 1j, np.array([[1.0, np.nan]])])
def test_what_is_no_matrix_is_refused(bad):
    with pytest.raises(SpectrumError):
        entry_statistics(bad)


def test_no_temporary_is_as_large_as_the_matrix():
    matrix = np.random.default_rng(3).normal(size=(4000, 1000)).astype(np.float32)
    tracemalloc.start()
    entry_statistics(matrix)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < matrix.nbytes


def test_alignment_is_the_absolute_cosine():
    left, right = np.linalg.qr(np.random.default_rng(4).normal(size=(30, 30)))[0], np.eye(20)
    matrix = left[:, :20] * np.linspace(9.0, 1.0, 20) @ right.T
    np.testing.assert_allclose(alignment(matrix, -3.0 * right[:, 2], n_modes=4), [0, 0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(alignment(matrix, left[:, 0], n_modes=2), [1, 0], atol=1e-12)
    assert np.isnan(alignment(np.outer(left[:, 0], right[0]), right[0], n_modes=2)[1])


@pytest.mark.parametrize("direction", [np.zeros(5), np.ones(4), np.full(5, np.inf)])
def test_directions_that_cannot_be_used(direction):
    with pytest.raises(UsageError):
        alignment(np.ones((3, 5)), direction)

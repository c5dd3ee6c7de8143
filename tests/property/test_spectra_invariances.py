import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sdespec.core.linalg import eigenvalues
from sdespec.networks import measure
from sdespec.spectra import entry_statistics, shuffled_null

SHAPES = st.tuples(st.integers(2, 24), st.integers(2, 24))
SEEDS = st.integers(0, 2**32 - 1)
SCALES = st.integers(-60, 60)


def matrix_of(shape, seed, condition=1.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape) * np.geomspace(1.0, condition, shape[1])


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11 * max(expected[0], 1e-300))


@settings(max_examples=60, deadline=None)
@given(SHAPES, SEEDS)
def test_transposition_changes_nothing(shape, seed):
    matrix = matrix_of(shape, seed, 1e3)
    close(eigenvalues(matrix.T), eigenvalues(matrix))


@settings(max_examples=60, deadline=None)
@given(SHAPES, SEEDS)
def test_rotations_change_nothing(shape, seed):
    matrix = matrix_of(shape, seed)
    left = np.linalg.qr(matrix_of((shape[0], shape[0]), seed + 1))[0]
    right = np.linalg.qr(matrix_of((shape[1], shape[1]), seed + 2))[0]
    close(eigenvalues(left @ matrix @ right), eigenvalues(matrix))


@settings(max_examples=60, deadline=None)
@given(SHAPES, SEEDS, SCALES)
def test_powers_of_two_scale_exactly(shape, seed, exponent):
    matrix = matrix_of(shape, seed)
    assert np.array_equal(eigenvalues(np.ldexp(matrix, exponent)), np.ldexp(eigenvalues(matrix), 2 * exponent))


@settings(max_examples=30, deadline=None)
@given(SHAPES, SEEDS, st.permutations(range(24)))
def test_order_of_rows_leaves_spectrum_and_entries(shape, seed, order):
    matrix = matrix_of(shape, seed)
    turned = matrix[[place for place in order if place < shape[0]]]
    close(eigenvalues(turned), eigenvalues(matrix))
    first, second = entry_statistics(matrix), entry_statistics(turned)
    assert first.max_abs == second.max_abs
    np.testing.assert_allclose(
        [first.mean, first.variance, first.kurtosis], [second.mean, second.variance, second.kurtosis], atol=1e-12
    )


@settings(max_examples=30, deadline=None)
@given(SHAPES, SEEDS)
def test_trace_is_the_sum_of_squares_of_the_entries(shape, seed):
    matrix = matrix_of(shape, seed)
    stats = entry_statistics(matrix)
    total = stats.size * (stats.variance + stats.mean**2)
    np.testing.assert_allclose(eigenvalues(matrix).sum(), total, rtol=1e-12)
    np.testing.assert_allclose(shuffled_null(matrix, seed=1).sum(), total, rtol=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.lists(SHAPES, min_size=1, max_size=4), SEEDS)
def test_measure_gives_one_spectrum_a_matrix_whatever_else_is_there(shapes, seed):
    source = {f"m{i}": matrix_of(shape, seed + i) for i, shape in enumerate(shapes)}
    ds = measure(source, minimum_side=2, seed=3)
    assert ds.layer.values.tolist() == list(source)
    for name, matrix in source.items():
        one = ds.sel(layer=name)
        count = int(one.rank_count)
        assert count == min(matrix.shape)
        assert np.array_equal(one.eigenvalue.values[:count], eigenvalues(matrix))
        assert np.isnan(one.eigenvalue.values[count:]).all()
        alone = measure({name: matrix}, minimum_side=2, seed=3)
        assert np.array_equal(alone.null_eigenvalue.values[0, 0], one.null_eigenvalue.values[0, :count])

import numpy as np
import pytest

from sdespec.core.errors import SpectrumError, UsageError
from sdespec.spectra import gaussian_null, shuffled_null


def test_shuffling_keeps_the_entries_and_the_input():
    matrix = np.random.default_rng(0).normal(size=(12, 20))
    before = matrix.copy()
    null = shuffled_null(matrix, draws=4, seed=3, name="w")
    assert np.array_equal(matrix, before)
    assert null.shape == (4, 12)
    assert np.all(np.diff(null, axis=1) <= 0)
    np.testing.assert_allclose(null.sum(axis=1), np.sum(matrix**2), rtol=1e-12)
    assert len({row.tobytes() for row in null}) == 4


def test_overwriting_gives_the_same_values_and_permutes_the_input():
    matrix = np.random.default_rng(1).normal(size=(9, 7))
    work = matrix.copy()
    assert np.array_equal(shuffled_null(matrix, draws=2), shuffled_null(work, draws=2, overwrite=True))
    assert not np.array_equal(work, matrix)
    assert np.array_equal(np.sort(work, axis=None), np.sort(matrix, axis=None))


@pytest.mark.parametrize("null", [shuffled_null, gaussian_null])
def test_a_draw_depends_on_seed_name_and_index_only(null):
    def draw(**options):
        if null is gaussian_null:
            return null(8, 11, 0.5, **options)
        return null(np.random.default_rng(2).normal(size=(8, 11)), **options)

    three = draw(draws=3, seed=5, name="a")
    assert np.array_equal(three[:1], draw(draws=1, seed=5, name="a"))
    assert not np.array_equal(three[:1], draw(draws=1, seed=6, name="a"))
    assert not np.array_equal(three[:1], draw(draws=1, seed=5, name="b"))


@pytest.mark.parametrize("options", [{"draws": 0}, {"seed": -1}, {"seed": 0.5}, {"seed": True}])
def test_options_that_are_not_allowed(options):
    with pytest.raises(UsageError):
        shuffled_null(np.ones((2, 2)), **options)
    with pytest.raises(UsageError):
        gaussian_null(2, 2, 1.0, **options)


def test_a_matrix_with_nan_has_no_null():
    with pytest.raises(SpectrumError, match="1 NaN"):
        shuffled_null(np.array([[1.0, np.nan]]))

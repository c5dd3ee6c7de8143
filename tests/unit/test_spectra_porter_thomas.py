"""The test of singular vectors by hand, its choices, and what it refuses."""

import numpy as np
import pytest
from scipy import stats

from sdespec.core.errors import SpectrumError, UsageError
from sdespec.spectra import porter_thomas, porter_thomas_sides
from sdespec.spectra._directions import null_law


def test_the_statistics_by_hand():
    matrix = np.random.default_rng(0).normal(size=(30, 40))
    found = porter_thomas(matrix, n_modes=3)
    vectors = np.linalg.svd(matrix)[2][:3]
    for k in range(3):
        expected = stats.kstest(40 * vectors[k] ** 2, stats.chi2(1).cdf).statistic
        assert found.ks_distance[k] == pytest.approx(expected, abs=1e-9)
        assert found.participation[k] == pytest.approx(1.0 / (40 * np.sum(vectors[k] ** 4)))
    assert len(found.p_value) == 3


def test_sides_and_signs():
    matrix = np.random.default_rng(1).normal(size=(20, 33))
    left, right = porter_thomas(matrix, side="left"), porter_thomas(matrix.T)
    np.testing.assert_allclose(left.ks_distance, right.ks_distance, rtol=1e-8)
    assert len(left.p_value) == 20
    signs = np.random.default_rng(2).choice([-1.0, 1.0], size=33)
    np.testing.assert_allclose(porter_thomas(1e-6 * matrix * signs).p_value, porter_thomas(matrix).p_value)


def test_one_component_is_found_by_the_participation():
    matrix = np.random.default_rng(3).normal(size=(60, 90))
    matrix[7, 11] = 60.0
    found = porter_thomas(matrix)
    assert found.participation[0] < 2.0 / 90.0 < 0.25 < found.participation[1]
    assert found.p_localized[0] == found.p_localized.min() < 0.001
    assert found.p_component[0] < 1e-12
    assert found.p_overall < 1e-9


def test_the_verdicts_by_hand():
    """Of a mode by Bonferroni over three, of all by the count and the least."""
    matrix = np.random.default_rng(4).normal(size=(30, 40))
    found = porter_thomas(matrix)
    vectors = np.linalg.svd(matrix)[2][:30]
    largest = np.max(vectors**2, axis=1)
    np.testing.assert_allclose(found.p_component, np.minimum(1.0, 40 * stats.beta(0.5, 19.5).sf(largest)), rtol=1e-8)
    least = np.minimum(np.minimum(found.p_value, found.p_localized), found.p_component)
    np.testing.assert_allclose(found.p_mode, np.minimum(1.0, 3.0 * least))
    assert found.n_rejected == np.sum(np.minimum(found.p_value, found.p_localized) < 0.025)
    assert found.n_tested == 30
    count = stats.binom(30, null_law(40).share).sf(found.n_rejected - 1)
    assert found.p_overall == pytest.approx(min(1.0, 2.0 * min(count, 30 * found.p_mode.min())))


def test_both_sides_from_one_decomposition():
    matrix = np.random.default_rng(5).normal(size=(25, 40))
    for side, found in porter_thomas_sides(matrix).items():
        alone = porter_thomas(matrix, side=side)
        np.testing.assert_allclose(found.p_mode, alone.p_mode)
        assert found.p_overall == alone.p_overall
    assert list(porter_thomas_sides(np.ones((5, 9)) + np.eye(5, 9))) == ["right"]
    assert porter_thomas_sides(np.eye(5)) == {}


def test_vectors_that_the_matrix_does_not_determine_are_left_out():
    """Orthogonal matrices, equal singular values, and those beyond the rank: LAPACK's choice is no finding."""
    rng = np.random.default_rng(6)
    left, right = (np.linalg.qr(rng.normal(size=(20, 20)))[0] for _ in range(2))
    for matrix in (left, np.eye(20), np.ones((20, 20)) * 0.0):
        assert porter_thomas_sides(matrix) == {}
        with pytest.raises(SpectrumError, match="no singular value stands alone"):
            porter_thomas(matrix)
    single = np.concatenate([[9.0, 7.0, 5.0, 5.0, 5.0], np.linspace(4.0, 1.0, 10), np.zeros(5)])
    found = porter_thomas((left * single) @ right)
    undefined = np.isin(np.arange(20), [2, 3, 4, *range(15, 20)])
    assert found.n_tested == 12
    for values in (found.ks_distance, found.p_value, found.participation, found.p_localized, found.p_mode):
        np.testing.assert_array_equal(np.isnan(values), undefined)
    rounded = ((left * single) @ right).astype(np.float32)
    assert porter_thomas(rounded).n_tested == 12
    assert porter_thomas((left * np.linspace(2.0, 1.0, 20)) @ right).n_tested == 20


def test_lengths_between_those_of_the_table():
    """Laws are monotone in the statistic, between zero and one, and the table itself where a length is in it."""
    for size in (8, 9, 77, 3000, 65_536, 10**6):
        law = null_law(size)
        distance, shares = np.linspace(0.0, 1.0, 200), 1.0 / (size * np.linspace(1.0 / size, 1.0, 200))
        for p in (law.p_far(distance), law.p_localized(shares)):
            assert ((p >= 0.0) & (p <= 1.0)).all()
        assert (np.diff(law.p_far(distance)) <= 0.0).all()
        assert (np.diff(law.p_localized(shares)) <= 0.0).all()
        assert law.p_far(distance)[[0, -1]] == pytest.approx([1.0, 0.0], abs=2e-4)
        assert 0.03 < law.share < 0.05


@pytest.mark.parametrize(
    ("matrix", "options", "error", "says"),
    [
        (np.ones(8), {}, SpectrumError, "no real matrix"),
        (np.ones((9, 9), complex), {}, SpectrumError, "no real matrix"),
        (np.full((9, 9), np.nan), {}, SpectrumError, "NaN"),
        (np.ones((9, 7)), {}, SpectrumError, "right vectors have 7 components"),
        (np.ones((9, 9)), {"side": "top"}, UsageError, "side"),
        (np.ones((9, 9)), {"n_modes": 0}, UsageError, "n_modes"),
    ],
)
def test_refusals(matrix, options, error, says):
    with pytest.raises(error, match=says):
        porter_thomas(matrix, **options)

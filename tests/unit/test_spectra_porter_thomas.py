"""The test of singular vectors by hand, its choices, and what it refuses."""

import numpy as np
import pytest
from scipy import stats

from sdespec.core.errors import SpectrumError, UsageError
from sdespec.spectra import porter_thomas


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

"""Bulk, edges and outliers: exact pieces."""

import numpy as np
import pytest

from sdespec.core.errors import SpectrumError, UsageError
from sdespec.fits import outliers
from sdespec.fits.bulk import ks_marchenko_pastur, two_sided_distance
from sdespec.laws import LaguerreEnsemble, MarchenkoPastur

N, M = 300, 600


def _spectrum(strengths, seed, n_rows=N, n_cols=M):
    """Singular values squared of unit noise plus spikes; a strength is in units of sqrt(n_cols)."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(n_rows, n_cols))
    k = len(strengths)
    u = np.linalg.qr(rng.normal(size=(n_rows, k)))[0]
    v = np.linalg.qr(rng.normal(size=(n_cols, k)))[0]
    spiked = noise + (u * (np.array(strengths) * np.sqrt(n_cols))) @ v.T
    return np.linalg.svd(spiked, compute_uv=False) ** 2


def test_bulk_of_noise():
    found = outliers(_spectrum([], 0), N, M)
    assert found.n_outliers == 0
    assert found.outlier.shape == (0,)
    assert found.outlier_energy == 0.0
    assert found.variance == pytest.approx(1.0, abs=0.02)
    assert found.bulk_edge == pytest.approx(MarchenkoPastur(N, M, found.variance).edges)
    assert found.bulk_edge[1] < found.cutoff < 1.04 * found.bulk_edge[1]


def test_outliers_are_the_planted_ones_and_the_bulk_variance_is_untouched():
    found = outliers(_spectrum([1.5, 2.0, 3.0], 1), N, M)
    assert found.n_outliers == 3
    assert found.variance == pytest.approx(1.0, abs=0.02)
    ensemble = LaguerreEnsemble(N, M, 1.0)
    expected = [ensemble.outlier(s * np.sqrt(M)) for s in (3.0, 2.0, 1.5)]
    np.testing.assert_allclose(found.outlier, expected, rtol=0.05)


def test_orientation_order_and_scale_do_not_matter():
    values = _spectrum([1.5], 2)
    found = outliers(values, N, M)
    turned = outliers(np.random.default_rng(0).permutation(values) * 4.0, M, N)
    assert turned.n_outliers == found.n_outliers
    assert turned.variance == pytest.approx(4.0 * found.variance, rel=1e-12)
    assert turned.cutoff == pytest.approx(4.0 * found.cutoff, rel=1e-12)


def test_edge_rules_at_known_variance():
    values = _spectrum([], 3)
    upper = (np.sqrt(N) + np.sqrt(M)) ** 2
    cut = {
        edge: outliers(values, N, M, edge=edge, variance=1.0).cutoff / upper
        for edge in ("tracy_widom", "factor", "finite_size", "asymptotic")
    }
    # slack of the three rules at this shape: 2.2 %, 5 %, 3.3 %
    assert cut["asymptotic"] == pytest.approx(1.0)
    assert cut["factor"] == pytest.approx(1.05)
    assert cut["finite_size"] == pytest.approx(1.0335, abs=2e-4)
    assert cut["tracy_widom"] == pytest.approx(1.022, abs=2e-3)


def test_variance_rules_on_noise_agree_and_mean_square_is_fooled_by_a_spike():
    values = _spectrum([6.0], 4)
    median, clipped, mean_square = (
        outliers(values, N, M, variance=rule).variance for rule in ("median", "clipped", "mean_square")
    )
    assert median == pytest.approx(1.0, abs=0.02)
    assert clipped == pytest.approx(1.0, abs=0.02)
    assert mean_square > 1.1


def test_no_bulk_is_said_so():
    values = np.geomspace(1e-6, 1e6, 100)
    assert not outliers(values, 100, 100, variance=1e-6).identifiable
    by_median = outliers(values, 100, 100)
    assert by_median.identifiable  # the median lies below the edge by construction, however poor the fit
    assert by_median.n_outliers > 40


def test_a_broad_spectrum_does_not_run_away():
    """Taking many outliers out of the bulk again and again would leave no bulk; the first estimate stands."""
    rng = np.random.default_rng(8)
    wishart = rng.normal(size=(200, 220))
    values = 1.0 / np.linalg.eigvalsh(wishart @ wishart.T)  # inverse Wishart: a broad tail
    found = outliers(values, 200, 200)
    once = np.median(values) / MarchenkoPastur(200, 200, 1.0).ppf(0.5)
    assert found.n_outliers > 0.07 * 200
    assert found.variance == pytest.approx(once, rel=1e-12)


def test_ks_distance_by_hand():
    assert two_sided_distance(np.array([0.1, 0.5, 0.9])) == pytest.approx(7 / 30)
    assert two_sided_distance(np.array([0.5])) == 0.5
    assert ks_marchenko_pastur(np.zeros(4), 4, 5) == 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"edge": "bbp"}, "edge is 'bbp'"),
        ({"variance": "mad"}, "variance is 'mad'"),
        ({"variance": -1.0}, "positive"),
        ({"factor": 0.9}, "factor"),
        ({"level": 1.0}, "level"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(UsageError, match=message):
        outliers(np.ones(3), 3, 4, **options)


def test_input_is_checked():
    with pytest.raises(UsageError, match="exactly 3"):
        outliers(np.ones(4), 3, 4)
    with pytest.raises(SpectrumError, match="index 1 is NaN"):
        outliers(np.array([1.0, np.nan, 2.0]), 3, 4)

"""Spacing ratios of random matrices and of independent values: means, sizes of the two tests, and unfolding."""

import numpy as np
import pytest
from scipy import special, stats

from sdespec.laws import LaguerreEnsemble, MarchenkoPastur
from sdespec.spectra import spacing_ratio, unfold
from sdespec.spectra.spacing import RATIO_INDEPENDENT, RATIO_REPULSION

SHAPES = [(64, 64), (64, 256), (200, 300)]


@pytest.mark.parametrize("shape", SHAPES)
def test_random_matrices_repel(shape):
    """Mean ratio 0.5307 within 4 standard errors, p-values uniform (KS p > 0.001): false alarm 1e-3 each.

    Planted: without the correlation of neighbours the test rejects too often. At 200 values independence is rejected
    every time, at 64 in 83 % (level 1 %).
    """
    found = [spacing_ratio(row) for row in LaguerreEnsemble(*shape, 1.0).rvs(400, seed=81)]
    means = np.array([one.mean for one in found])
    assert abs(means.mean() - RATIO_REPULSION) < 4.0 * means.std() / 20.0 + 5e-4
    p = np.array([one.p_repulsion for one in found])
    assert stats.kstest(p, "uniform").pvalue > 1e-3
    naive = 2.0 * special.ndtr(-np.abs(means - RATIO_REPULSION) * np.sqrt([one.n_ratios for one in found]) / 0.2578)
    assert np.mean(naive < 0.05) > 0.07
    power = np.mean([one.p_independent < 0.01 for one in found])
    assert power == 1.0 if shape[0] == 200 else power > 0.75
    assert np.mean([one.standard_error for one in found]) == pytest.approx(means.std(), rel=0.15)


@pytest.mark.parametrize("law", ["gamma", "uniform", "pareto"])
def test_independent_values_do_not(law):
    """Mean ratio 2 log 2 - 1 whatever the law, p-values uniform: false alarm 1e-3 each."""
    rng = np.random.default_rng(82)
    rows = {"gamma": rng.gamma(3.0, size=(400, 150)), "uniform": rng.random((400, 150)),
            "pareto": rng.random((400, 150)) ** -0.5}[law]  # fmt: skip
    found = [spacing_ratio(row) for row in rows]
    means = np.array([one.mean for one in found])
    assert abs(means.mean() - RATIO_INDEPENDENT) < 4.0 * means.std() / 20.0 + 1e-3
    assert stats.kstest([one.p_independent for one in found], "uniform").pvalue > 1e-3
    assert np.mean([one.p_repulsion < 0.01 for one in found]) > 0.95


def test_heavy_spectra_of_matrices_repel_and_pooled_ones_do_not():
    """The ratio does not see the density; values of five matrices together look independent."""
    rows = 1.0 / LaguerreEnsemble(150, 160, 1.0).rvs(50, seed=83)
    found = [spacing_ratio(row) for row in rows]
    assert np.mean([one.mean for one in found]) == pytest.approx(RATIO_REPULSION, abs=0.01)
    pooled = [spacing_ratio(row) for row in rows.reshape(10, -1)]
    assert max(one.mean for one in pooled) < 0.46
    assert max(one.p_repulsion for one in pooled) < 1e-6


@pytest.mark.parametrize("n", [64, 200])
def test_unfolded_spacings_are_those_of_wigner(n):
    """Mean 1 and the distribution of the surmise within 0.03 (known deviation .006), by the law and by a polynomial.

    Planted: the raw spacings over their mean are off by more than twice that.
    """
    rows = LaguerreEnsemble(n, 2 * n, 1.0).rvs(60, seed=84)
    cut = n // 10
    law = MarchenkoPastur(n, 2 * n, 1.0)
    for values in ([unfold(row, law=law) for row in rows], [unfold(row) for row in rows]):
        spacings = np.sort(np.diff(np.array(values)[:, cut:-cut], axis=1).ravel())
        assert spacings.mean() == pytest.approx(1.0, abs=0.02)
        surmise = 1.0 - np.exp(-0.25 * np.pi * spacings**2)
        assert np.abs(surmise - (np.arange(len(spacings)) + 0.5) / len(spacings)).max() < 0.03
    raw = np.diff(np.sort(rows, axis=1)[:, cut:-cut], axis=1)
    raw = np.sort((raw / raw.mean(axis=1, keepdims=True)).ravel())
    surmise = 1.0 - np.exp(-0.25 * np.pi * raw**2)
    assert np.abs(surmise - (np.arange(len(raw)) + 0.5) / len(raw)).max() > 0.06

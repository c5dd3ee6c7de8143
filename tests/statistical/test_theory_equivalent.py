"""Limit law of Gaussian matrices with a mean and separable covariance, against closed forms and against draws."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sdespec.core.errors import UsageError
from sdespec.laws import GaussianMatrixEnsemble, MarchenkoPastur
from sdespec.theory import gaussian_equivalent, spectral_law

N, M = 150, 300
ROWS = np.where(np.arange(N) < N // 2, 0.2, 1.8)
COLS = np.exp(0.8 * np.random.default_rng(0).standard_normal(M)) / M


def _rotated(spectrum: np.ndarray, seed: int) -> np.ndarray:
    """A covariance that is not diagonal."""
    vectors = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(spectrum),) * 2))[0]
    return (vectors * spectrum) @ vectors.T


def _distance(spectra: np.ndarray, law, factor: float = 1.0) -> tuple[float, float]:
    """KS distance of pooled spectra to the law, and its mass."""
    low, high = law.edges
    roots = np.linspace(0.97 * math.sqrt(low), 1.02 * math.sqrt(high), 500)
    grid = roots**2
    density = law.density(grid)
    mass = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(grid))])
    values = np.sort(spectra.ravel()) * factor
    empirical = (np.arange(len(values)) + 0.5) / len(values)
    return float(np.abs(np.interp(values, grid, mass) - empirical).max()), float(mass[-1])


@pytest.mark.parametrize(("n", "m"), [(50, 100), (100, 50), (60, 60), (20, 20_000)])
def test_white_noise_is_marchenko_pastur(n, m):
    law, known = (
        gaussian_equivalent(GaussianMatrixEnsemble(np.zeros((n, m)), 2.0, 0.5 / m)),
        MarchenkoPastur(n, m, 1.0 / m),
    )
    low, high = known.support()
    np.testing.assert_allclose(law.edges, (low, high), rtol=2e-6, atol=1e-6 * high)
    grid = np.linspace(low, high, 12)[1:-1]
    np.testing.assert_allclose(law.density(grid), known.pdf(grid), rtol=1e-6)


def test_information_plus_noise_is_the_explicit_law():
    """Half of the mean's singular values 1, half of them 2."""
    mean = np.zeros((30, 60))
    mean[np.arange(30), np.arange(30)] = np.where(np.arange(30) < 15, 1.0, 2.0)
    law = gaussian_equivalent(GaussianMatrixEnsemble(mean, 1.0, 0.3 / 60))
    known = spectral_law(np.diag(mean) ** 2, 30, 60, 0.3 / 60)
    np.testing.assert_allclose(law.edges, known.edges, rtol=1e-5)
    grid = np.linspace(*known.edges, 9)[1:-1]
    np.testing.assert_allclose(law.density(grid), known.density(grid), rtol=1e-4, atol=1e-6)


def test_separable_covariance():
    """Forty draws in one sample: the KS distance is below .01, and above it with one covariance averaged."""
    ensemble = GaussianMatrixEnsemble(np.zeros((N, M)), _rotated(ROWS, 1), _rotated(COLS, 2))
    law, spectra = gaussian_equivalent(ensemble), ensemble.rvs(40, seed=0)
    distance, mass = _distance(spectra, law)
    assert distance < 0.01
    assert abs(mass - 1.0) < 0.003
    assert abs(law.mean / spectra.mean() - 1.0) < 4.0 * spectra.mean(axis=1).std() / math.sqrt(40) / law.mean
    assert abs(spectra[:, 0].mean() / law.edges[1] - 1.0) < 0.15  # a soft edge: heavy columns
    for rows, cols in ((ROWS.mean(), COLS), (ROWS, COLS.mean())):
        wrong = gaussian_equivalent(GaussianMatrixEnsemble(np.zeros((N, M)), rows, cols))
        assert _distance(spectra, wrong)[0] > 0.03


def test_a_mean_of_full_rank_between_separable_noise():
    mean = 0.2 * np.random.default_rng(3).standard_normal((40, 80)) * np.linspace(0.3, 1.5, 80)
    ensemble = GaussianMatrixEnsemble(mean, np.linspace(0.3, 1.7, 40), np.linspace(0.2, 2.0, 80) / 80)
    law, spectra = gaussian_equivalent(ensemble), ensemble.rvs(100, seed=1)
    distance, mass = _distance(spectra, law)
    assert distance < 0.012
    assert abs(mass - 1.0) < 0.003
    assert abs(law.mean / spectra.mean() - 1.0) < 4.0 * spectra.mean(axis=1).std() / 10.0 / law.mean
    assert len(law.outliers) == 0
    bare = gaussian_equivalent(
        GaussianMatrixEnsemble(np.zeros((40, 80)), ensemble.row_covariance, ensemble.col_covariance)
    )
    assert _distance(spectra, bare)[0] > 0.1


def test_outliers_in_white_noise_are_those_of_benaych_georges_and_nadakuditi():
    mean = np.zeros((N, M))
    mean[0, 5], mean[3, 2], mean[7, 1] = 2.5, 1.8, 0.8  # the last one is below the threshold .5^(1/4)
    law = gaussian_equivalent(GaussianMatrixEnsemble(mean, 1.0, 1.0 / M))
    squares = np.array([2.5, 1.8]) ** 2
    np.testing.assert_allclose(law.outliers, (squares + 1.0) * (squares + 0.5) / squares, rtol=1e-7)


def test_outliers_in_coloured_noise():
    """Means of forty draws, 4 standard errors and 1/n; a spike along noisy columns stands elsewhere than along quiet ones."""
    places = {}
    for name, column in (("quiet", int(np.argmin(COLS))), ("noisy", int(np.argsort(COLS)[-20]))):
        mean = np.zeros((N, M))
        mean[0, column] = 7.0
        ensemble = GaussianMatrixEnsemble(mean, ROWS, COLS)
        places[name] = gaussian_equivalent(ensemble).outliers
        tops = ensemble.rvs(40, seed=5)[:, 0]
        assert len(places[name]) == 1
        bar = 4.0 * tops.std(ddof=1) / math.sqrt(40) + 2.0 / N * places[name][0]
        assert abs(tops.mean() - places[name][0]) < bar
    assert abs(places["noisy"][0] / places["quiet"][0] - 1.0) > 0.01


def test_no_noise_has_no_law():
    with pytest.raises(UsageError, match="a covariance is zero"):
        gaussian_equivalent(GaussianMatrixEnsemble(np.zeros((4, 6)), 0.0, 1.0))


@pytest.mark.parametrize(("n", "m", "seed"), [(4, 4, 0), (4, 4, 36), (8, 8, 10), (8, 8, 70), (3, 5, 61), (5, 3, 134)])
def test_a_mean_of_full_rank_near_zero(n, m, seed):
    """Small square matrices, whose numbers cancel near zero: mass one and the exact mean by quadrature over the support.

    At the points looked at the equations hold to their rounding; with the formula of Woodbury alone four of six fail.
    """
    rng = np.random.default_rng(seed)
    a, c = rng.normal(size=(n, n)), rng.normal(size=(m, m))
    rows, cols = a @ a.T / n * 0.02 + 0.01 * np.eye(n), c @ c.T / m * 0.5 + 0.1 * np.eye(m)
    law = gaussian_equivalent(GaussianMatrixEnsemble(rng.normal(size=(n, m)), rows, cols))
    low, high = law.edges
    grid = np.geomspace(max(low, 1e-8 * high), high, 3000)
    density = law.density(grid)
    assert np.trapezoid(density, grid) == pytest.approx(1.0, abs=0.02)
    assert np.trapezoid(grid * density, grid) == pytest.approx(law.mean, rel=0.02)
    residual = law.transform(np.array([1e-7, 1e-3, 1.0]) * high)
    assert np.isfinite(residual).all()
    assert (residual.imag >= 0.0).all()

"""Edges, spikes and transported spectra: numbers known from theory or from large matrices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg, stats

from sdespec.laws import LaguerreEnsemble, MarchenkoPastur, TracyWidom, TransportedEnsemble, edge_centering

SIGMAS = 4.5


@pytest.mark.parametrize(
    ("n", "m", "mean", "deviation"), [(64, 64, -1.26, 1.22), (100, 150, -1.23, 1.23), (300, 600, -1.17, 1.21)]
)
def test_centred_largest_value_of_real_matrices(n: int, m: int, mean: float, deviation: float) -> None:
    """Against 400 matrices each; 4.5 standard errors of both samples, false-alarm rate 2e-5. Planted: sqrt(2)."""
    center, scale = edge_centering(n, m)
    values = (LaguerreEnsemble(n, m, 0.5).rvs(2000, seed=31)[:, 0] / 0.5 - center) / scale
    error = np.hypot(values.std() / np.sqrt(values.size), deviation / np.sqrt(400))
    assert abs(values.mean() - mean) < SIGMAS * error
    assert abs(values.std() - deviation) < SIGMAS * error
    wrong = values + (np.sqrt(2.0) - 1.0) * (values + center / scale)
    assert abs(wrong.mean() - mean) > SIGMAS * error


@pytest.mark.parametrize("beta", [1, 2, 4])
def test_largest_value_follows_tracy_widom(beta: int) -> None:
    """Mean within 4.5 standard errors plus n^(-2/3), the size of the corrections. Planted: the law of another beta.

    Both sides are shifted by 1/2 - 1/beta, which takes the corrections of order n^(-1/3) away for every beta.
    """
    n, m = 100, 150
    a, b = np.sqrt(np.array([n, m]) + 0.5 - 1.0 / beta)
    largest = LaguerreEnsemble(n, m, 0.5 / beta, float(beta)).rvs(2000, seed=31)[:, 0] / 0.5
    values = (largest - (a + b) ** 2) / ((a + b) * (1.0 / a + 1.0 / b) ** (1.0 / 3.0))
    allowed = SIGMAS * values.std() / np.sqrt(values.size) + 100 ** (-2 / 3)
    assert abs(values.mean() - TracyWidom(beta).mean()) < allowed
    assert abs(values.std() / np.sqrt(TracyWidom(beta).var()) - 1.0) < 0.1
    for wrong in {1, 2, 4} - {beta}:
        assert abs(values.std() / np.sqrt(TracyWidom(wrong).var()) - 1.0) > 0.1


def test_outliers_of_spiked_matrices() -> None:
    """Twelve 400 x 800 matrices for each strength, 4.5 standard errors plus 2/n. Planted: strength times sqrt(2)."""
    n, m, variance = 400, 800, 0.5
    ensemble = LaguerreEnsemble(n, m, variance)
    rng = np.random.default_rng(8)
    for theta in (1.0, 1.5, 2.5):
        strength = theta * np.sqrt(m)
        tops = []
        for _ in range(12):
            matrix = rng.normal(size=(n, m)) * np.sqrt(variance)
            matrix[0, 0] += strength
            tops.append(linalg.eigvalsh(matrix @ matrix.T, subset_by_index=[n - 1, n - 1])[0])
        error = SIGMAS * np.std(tops, ddof=1) / np.sqrt(12)
        predicted = float(ensemble.outlier(strength))
        assert abs(np.mean(tops) - predicted) < error + 2.0 / n * predicted
        assert abs(np.mean(tops) - float(ensemble.outlier(np.sqrt(2.0) * strength))) > error + 2.0 / n * predicted


def scaled_distance(spectra: np.ndarray, law: MarchenkoPastur) -> float:
    """95 % quantile of n times the KS distance to the law."""
    n = spectra.shape[1]
    above = np.arange(1, n + 1) - n * law.cdf(spectra[:, ::-1])
    return float(np.quantile(np.maximum(above.max(axis=1), (1.0 - above).max(axis=1)), 0.95))


def test_transported_spectra_keep_the_rigidity() -> None:
    """n KS at n = 64: 2.84 of the ensemble itself, 2.80 and 2.85 transported; 1500 draws, +-0.15 is four standard errors.

    Planted: independent draws from the same one-body law, 10.9.
    """
    law = MarchenkoPastur(64, 128, 1.0)
    assert scaled_distance(LaguerreEnsemble(64, 128, 1.0).rvs(1500, seed=41), law) == pytest.approx(2.84, abs=0.15)
    for m, expected in ((64, 2.80), (640, 2.85)):
        transported = TransportedEnsemble(law, 64, m).rvs(1500, seed=42)
        assert scaled_distance(transported, law) == pytest.approx(expected, abs=0.15)
    independent = -np.sort(-law.rvs(64 * 300, seed=43).reshape(300, 64), axis=1)
    assert scaled_distance(independent, law) > 8.0


def test_transported_spectra_follow_their_law() -> None:
    """Pooled scores are uniform: every decile share within 0.5 %, a tenth of what independent draws would allow."""
    law = TracyWidom(1)
    spectra = TransportedEnsemble(law, 100, 120).rvs(40, seed=44)
    share = np.histogram(law.cdf(spectra), bins=10, range=(0.0, 1.0))[0] / spectra.size
    np.testing.assert_allclose(share, 0.1, atol=0.005)
    wrong = np.histogram(law.cdf(spectra + 0.1), bins=10, range=(0.0, 1.0))[0] / spectra.size
    assert np.abs(wrong - 0.1).max() > 0.005


def test_linear_statistics_are_not_transported() -> None:
    """The stated limit: the variance of the trace differs, so a null for traces needs the true ensemble."""
    true = LaguerreEnsemble(64, 128, 1.0).rvs(3000, seed=45).sum(axis=1)
    moved = TransportedEnsemble(MarchenkoPastur(64, 128, 1.0), 64, 64).rvs(3000, seed=46).sum(axis=1)
    ratio = moved.var() / true.var()
    assert 1.05 < abs(np.log(ratio)) + 1.0 < 1.4
    assert stats.levene(true, moved).pvalue < 1e-2

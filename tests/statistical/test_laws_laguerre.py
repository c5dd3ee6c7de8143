"""The Laguerre sampler against exact laws, against matrices, and with planted errors."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pytest
from scipy import special, stats

from sdespec.laws import LaguerreEnsemble, MarchenkoPastur

SIGMAS = 4.5
"""Two-sided false-alarm rate 7e-6 of a normal estimate."""
P_VALUE = 1e-4


@lru_cache(maxsize=8)
def draws(ensemble: LaguerreEnsemble, size: int) -> np.ndarray:
    return ensemble.rvs(size, seed=20)


def mean_is(values: np.ndarray, expected: float) -> bool:
    return bool(abs(values.mean() - expected) <= SIGMAS * values.std() / np.sqrt(values.size))


def log_determinant_is_right(spectra: np.ndarray, n: int, m: float, variance: float, beta: float) -> bool:
    """Mean and variance of log det within 4.5 standard errors of their exact values."""
    values = np.log(spectra).sum(axis=1)
    half = 0.5 * beta * (m - np.arange(n))
    mean = np.sum(np.log(2.0 * variance) + special.digamma(half))
    return mean_is(values, mean) and mean_is((values - mean) ** 2, float(special.polygamma(1, half).sum()))


def trace_is_chi_square(spectra: np.ndarray, n: int, m: float, variance: float, beta: float) -> bool:
    trace = spectra.sum(axis=1) / variance
    return bool(stats.kstest(trace, stats.chi2(beta * n * m).cdf).pvalue > P_VALUE)


CHECKS = [log_determinant_is_right, trace_is_chi_square]
ENSEMBLES = [(6, 10.0, 0.7, 1.0), (6, 5.5, 0.7, 2.0), (5, 6.0, 1.3, 4.0), (5, 7.25, 1.0, 0.6)]
Check = Callable[[np.ndarray, int, float, float, float], bool]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(("n", "m", "variance", "beta"), ENSEMBLES)
def test_determinant_and_trace_have_their_exact_laws(
    check: Check, n: int, m: float, variance: float, beta: float
) -> None:
    """False-alarm rate below 1e-4 for each of eight checks."""
    assert check(draws(LaguerreEnsemble(n, m, variance, beta), 10_000), n, m, variance, beta)


@pytest.mark.parametrize(
    "wrong",
    [
        LaguerreEnsemble(6, 10, 0.7, beta=2.0),
        LaguerreEnsemble(6, 10, 0.35, beta=2.0),
        LaguerreEnsemble(6, 9, 0.7),
        LaguerreEnsemble(6, 11, 0.7),
        LaguerreEnsemble(6, 10.5, 0.7),
        LaguerreEnsemble(6, 10, 0.7 * np.sqrt(2.0)),
        LaguerreEnsemble(6, 10, 0.7 / np.sqrt(2.0)),
    ],
    ids=repr,
)
def test_wrong_repulsion_shape_or_variance_is_seen(wrong: LaguerreEnsemble) -> None:
    """Planted: doubled beta (also at equal mean), the real dimension off by one or a half, sqrt(2) in the variance."""
    assert not log_determinant_is_right(draws(wrong, 10_000), 6, 10.0, 0.7, 1.0)


def smallest_is_exponential(spectra: np.ndarray, n: int, variance: float) -> bool:
    return bool(stats.kstest(spectra[:, -1], stats.expon(scale=2.0 * variance / n).cdf).pvalue > P_VALUE)


def test_smallest_value_is_exponential_with_one_column_more() -> None:
    """Exact for every n at m = n + 1; false-alarm rate 1e-4. Planted: one column off, variance 8 % off."""
    n, variance = 4, 0.8
    assert smallest_is_exponential(draws(LaguerreEnsemble(n, n + 1, variance), 20_000), n, variance)
    assert smallest_is_exponential(draws(LaguerreEnsemble(n + 1, n, variance), 20_000), n, variance)
    for wrong in (
        LaguerreEnsemble(n, n, variance),
        LaguerreEnsemble(n, n + 2, variance),
        LaguerreEnsemble(n + 1, n + 2, variance),
        LaguerreEnsemble(n, n + 1, 1.08 * variance),
        LaguerreEnsemble(n, n + 1, variance, beta=2.0),
    ):
        assert not smallest_is_exponential(draws(wrong, 20_000), n, variance)


@pytest.mark.parametrize(("n", "m"), [(4, 6), (6, 4), (4, 4)])
def test_ordered_values_are_those_of_gaussian_matrices(n: int, m: int) -> None:
    """Two-sample KS of each of four order statistics; false-alarm rate 4e-4 a shape."""
    matrices = np.random.default_rng(5).normal(size=(5000, n, m)) * np.sqrt(0.7)
    exact = np.linalg.svd(matrices, compute_uv=False) ** 2
    for k in range(4):
        assert stats.ks_2samp(exact[:, k], draws(LaguerreEnsemble(n, m, 0.7), 10_000)[:, k]).pvalue > P_VALUE
    wrong = draws(LaguerreEnsemble(n, m, 0.7 * 1.1), 10_000)
    assert min(stats.ks_2samp(exact[:, k], wrong[:, k]).pvalue for k in range(4)) < P_VALUE


def ratio_has_mean_one(target: LaguerreEnsemble, source: LaguerreEnsemble) -> bool:
    spectra = draws(source, 20_000)
    return mean_is(np.exp(target.logpdf(spectra) - source.logpdf(spectra)), 1.0)


def test_density_and_sampler_belong_together() -> None:
    """E[p_a/p_b] = 1 under b, the constant included, at n = 4; false-alarm rate 7e-6 a pair. Planted: draws of a."""
    source = LaguerreEnsemble(4, 6, 1.0)
    for target in (LaguerreEnsemble(4, 6.3, 0.95), LaguerreEnsemble(4, 6, 0.9), LaguerreEnsemble(4, 6, 0.9, beta=1.1)):
        assert ratio_has_mean_one(target, source)
    other = LaguerreEnsemble(4, 6, 0.9)
    spectra = draws(other, 20_000)
    assert not mean_is(np.exp(other.logpdf(spectra) - source.logpdf(spectra)), 1.0)


def bulk_spacing_ratios(spectra: np.ndarray) -> np.ndarray:
    n = spectra.shape[1]
    gaps = -np.diff(spectra[:, n // 4 : 3 * n // 4], axis=1)
    low, high = np.minimum(gaps[:, 1:], gaps[:, :-1]), np.maximum(gaps[:, 1:], gaps[:, :-1])
    return np.asarray((low / high).mean(axis=1))


def test_spacing_ratios_show_the_repulsion() -> None:
    """Mean ratio 0.5307 (beta 1) and 0.5996 (beta 2) in the bulk; false-alarm rate 7e-6 each. Planted: the other beta."""
    one = bulk_spacing_ratios(draws(LaguerreEnsemble(200, 400, 1.0), 300))
    two = bulk_spacing_ratios(draws(LaguerreEnsemble(200, 400, 0.5, beta=2.0), 300))
    assert mean_is(one, 0.5307)
    assert mean_is(two, 0.5996)
    assert not mean_is(two, 0.5307)
    assert not mean_is(one, 0.5996)
    matrices = np.random.default_rng(6).normal(size=(50, 200, 400))
    exact = bulk_spacing_ratios(np.linalg.eigvalsh(matrices @ matrices.transpose(0, 2, 1))[:, ::-1])
    assert stats.ttest_ind(one, exact, equal_var=False).pvalue > P_VALUE
    assert stats.ttest_ind(two, exact, equal_var=False).pvalue < P_VALUE


def distance(spectra: np.ndarray, law: MarchenkoPastur) -> np.ndarray:
    """Two-sided KS distance of each spectrum to a law."""
    n = spectra.shape[1]
    scores = law.cdf(spectra[:, ::-1])
    above = np.arange(1, n + 1) / n - scores
    return np.asarray(np.maximum(above.max(axis=1), (1.0 / n - above).max(axis=1)))


@pytest.mark.parametrize(("n", "m"), [(400, 800), (800, 400), (400, 400)])
def test_large_spectra_follow_marchenko_pastur(n: int, m: int) -> None:
    """Median distance of 20 spectra at n = 400 below 0.01 (single ones exceed it in about 2 %). Planted: aspect, variance."""
    spectra = draws(LaguerreEnsemble(n, m, 0.3), 20)
    assert np.median(distance(spectra, MarchenkoPastur(n, m, 0.3))) < 0.01
    for wrong in (MarchenkoPastur(n, m, 0.3 * 1.03), MarchenkoPastur(n, m + 40, 0.3 * m / (m + 40))):
        assert np.median(distance(spectra, wrong)) > 0.01

"""Samplers of the newer laws and of the matrix F ensemble against exact laws, with planted errors."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from scipy import linalg, special, stats

from sdespec.laws import (
    BetaLaguerre,
    BetaPrime,
    GammaPareto,
    LaguerreEnsemble,
    Law,
    MatrixFEnsemble,
    Reciprocal,
    TruncatedPareto,
    Wachter,
)

SIZE = 20_000
P_VALUE = 1e-4
SIGMAS = 4.5
"""Two-sided false-alarm rate 7e-6 of a normal estimate."""

LAWS = [
    BetaPrime(0.5, 2.5, 3.0),
    BetaPrime(7.0, 0.8, 0.2),
    TruncatedPareto(2.5, 0.5, 40.0),
    TruncatedPareto(0.4, 2.0, 900.0),
    GammaPareto(3.0, 0.7, 2.5, 2.0),
    Wachter(100, 200, 300, 2.0),
    Wachter(64, 64, 65, 1.0),
    BetaLaguerre(2.0, 0.5, 0.3),
    BetaLaguerre(1.0, -0.5, 1.0),
    Reciprocal(BetaLaguerre(2.0, 0.5)),
]


def follows(draws: np.ndarray, law: Law) -> bool:
    """One-sample KS test at 1e-4."""
    return bool(stats.kstest(draws, law.cdf).pvalue > P_VALUE)


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_draws_follow_the_distribution(law: Law) -> None:
    """KS, false-alarm rate 1e-4 a law. Planted: values 25 % too large (the widest law hides 10 %)."""
    draws = law.rvs(SIZE, seed=11)
    assert follows(draws, law)
    assert not follows(1.25 * draws, law)


def test_beta_prime_is_a_quotient_of_gammas() -> None:
    """False-alarm rate 1e-4. Planted: b off by a tenth, the quotient upside down."""
    generator = np.random.default_rng(3)
    quotient = 0.7 * generator.gamma(2.5, size=SIZE) / generator.gamma(1.5, size=SIZE)
    assert follows(quotient, BetaPrime(2.5, 1.5, 0.7))
    assert not follows(quotient, BetaPrime(2.5, 1.65, 0.7))
    assert not follows(quotient, BetaPrime(1.5, 2.5, 0.7))


def test_beta_prime_is_the_stationary_norm_under_multiplicative_noise() -> None:
    """W = sqrt(V) z with V inverse gamma (1/2 + g/s^2, D/s^2), z in R^m; false-alarm rate 1e-4.

    Planted: the Stratonovich exponent g/s^2 in place of 1/2 + g/s^2.
    """
    m, decay, diffusion, amplitude = 3, 1.2, 0.5, 0.8
    generator = np.random.default_rng(4)
    variance = diffusion / amplitude**2 / generator.gamma(0.5 + decay / amplitude**2, size=SIZE)
    norms = variance * generator.chisquare(m, size=SIZE)
    assert follows(norms, BetaPrime(m / 2, 0.5 + decay / amplitude**2, 2.0 * diffusion / amplitude**2))
    assert not follows(norms, BetaPrime(m / 2, decay / amplitude**2, 2.0 * diffusion / amplitude**2))


def test_truncated_pareto_is_a_pareto_law_given_its_range() -> None:
    """False-alarm rate 1e-4. Planted: the untruncated law's exponent off by a tenth."""
    values = 2.0 * np.random.default_rng(5).random(60_000) ** (-1.0 / 1.3)
    inside = values[values < 9.0]
    assert follows(inside, TruncatedPareto(2.3, 2.0, 9.0))
    assert not follows(inside, TruncatedPareto(2.4, 2.0, 9.0))


@lru_cache(maxsize=8)
def draws(ensemble: MatrixFEnsemble, size: int) -> np.ndarray:
    return ensemble.rvs(size, seed=20)


def mean_is(values: np.ndarray, expected: float) -> bool:
    return bool(abs(values.mean() - expected) <= SIGMAS * values.std() / np.sqrt(values.size))


def log_determinant_is_right(spectra: np.ndarray, n: int, m: float, freedom: float, scale: float) -> bool:
    """Mean and variance of log det, from those of two Wishart matrices."""
    values = np.log(spectra).sum(axis=1)
    above, below = 0.5 * (m - np.arange(n)), 0.5 * (freedom - np.arange(n))
    mean = n * np.log(scale) + (special.digamma(above) - special.digamma(below)).sum()
    variance = float((special.polygamma(1, above) + special.polygamma(1, below)).sum())
    return mean_is(values, mean) and mean_is((values - mean) ** 2, variance)


@pytest.mark.parametrize(("n", "m", "freedom"), [(4, 6, 7), (4, 3.5, 5.25), (3, 9, 2.5), (1, 2, 3)])
def test_matrix_f_determinant_has_its_exact_law(n: int, m: float, freedom: float) -> None:
    """False-alarm rate 1.4e-5 a shape. Planted: one degree of freedom off on either side, the scale 25 % off."""
    spectra = draws(MatrixFEnsemble(n, m, freedom, 0.7), 6000)
    assert log_determinant_is_right(spectra, n, m, freedom, 0.7)
    for wrong in ((m + 1, freedom, 0.7), (m, freedom + 1, 0.7), (m, freedom, 0.875)):
        assert not log_determinant_is_right(spectra, n, *wrong)


def test_matrix_f_spectra_are_those_of_matrices() -> None:
    """Ordered values against generalised eigenvalues of Gaussian matrices, both orientations.

    Two-sample KS of each of three values: false-alarm rate 3e-4 an orientation. Planted: the denominator's degrees of
    freedom not moved with the orientation.
    """
    generator, size = np.random.default_rng(6), 3000
    for n, m, freedom in ((3, 5, 7), (5, 3, 7)):
        exact = np.empty((size, 3))
        for i in range(size):
            x, y = generator.standard_normal((n, m)), generator.standard_normal((n, freedom))
            exact[i] = 0.5 * linalg.eigh(x @ x.T, y @ y.T, eigvals_only=True)[::-1][:3]
        spectra = draws(MatrixFEnsemble(n, m, freedom, 0.5), 6000)
        pvalues = [stats.ks_2samp(exact[:, k], spectra[:, k]).pvalue for k in range(3)]
        assert min(pvalues) > P_VALUE
        other = draws(MatrixFEnsemble(3, 5, 7 if n == 5 else 5, 0.5), 6000)
        assert min(stats.ks_2samp(exact[:, k], other[:, k]).pvalue for k in range(3)) < P_VALUE


def test_matrix_f_reciprocal_symmetry() -> None:
    """Two-sample KS of each of three values; false-alarm rate 3e-4. Planted: degrees of freedom not exchanged."""
    ensemble = MatrixFEnsemble(3, 5, 7.5, 0.5)
    mirror = 1.0 / ensemble.reciprocal().rvs(6000, seed=21)[:, ::-1]
    wrong = 1.0 / MatrixFEnsemble(3, 5, 7.5, 2.0).rvs(6000, seed=21)[:, ::-1]
    spectra = draws(ensemble, 6000)
    assert min(stats.ks_2samp(spectra[:, k], mirror[:, k]).pvalue for k in range(3)) > P_VALUE
    assert min(stats.ks_2samp(spectra[:, k], wrong[:, k]).pvalue for k in range(3)) < P_VALUE


def test_matrix_f_density_and_sampler_belong_together() -> None:
    """E[p_a/p_b] = 1 under b, constant included; false-alarm rate 7e-6 a pair. Planted: draws of a."""
    source = MatrixFEnsemble(3, 5, 7.0, 0.5)
    spectra = draws(source, 6000)
    targets = [MatrixFEnsemble(3, 5, 7.3, 0.52), MatrixFEnsemble(3, 5.2, 7.2, 0.5), MatrixFEnsemble(3, 5, 7.0, 0.47)]
    for target in targets:
        assert mean_is(np.exp(target.logpdf(spectra) - source.logpdf(spectra)), 1.0)
    other = MatrixFEnsemble(3, 5, 8.5, 0.5)
    planted = draws(other, 6000)
    assert not mean_is(np.exp(other.logpdf(planted) - source.logpdf(planted)), 1.0)


def test_largest_value_of_matrix_f_has_the_stated_tail() -> None:
    """Hill estimate over the top 1 % of 40000 draws at exponent 1, n = 2; 4.5 standard errors (7e-6) and 5 % of bias.

    Planted: exponents 1.5 and 0.5.
    """
    ensemble = MatrixFEnsemble(2, 3, 3.0, 1.0)
    assert ensemble.tail_exponent == 1.0
    largest = np.sort(draws(ensemble, 40_000)[:, 0])[-401:]
    hill = 1.0 / np.log(largest[1:] / largest[0]).mean()
    margin = SIGMAS / np.sqrt(400) + 0.05
    assert abs(hill - 1.0) < margin
    assert abs(hill / 1.5 - 1.0) > margin
    assert abs(hill / 0.5 - 1.0) > margin


def distance(values: np.ndarray, law: Law) -> float:
    return float(stats.kstest(values.ravel(), law.cdf).statistic)


def test_wachter_is_the_limit_of_matrix_f_spectra() -> None:
    """Rigid spectra: KS distance of 20 pooled spectra of 100 values below 0.01 (0.0045 to 0.0081 in twenty seeds).

    Planted: the limit law of a transposed numerator, of N = 280, and the Marchenko-Pastur law.
    """
    ensemble = MatrixFEnsemble(100, 200, 300, 1.5)
    spectra = draws(ensemble, 20)
    assert distance(spectra, ensemble.bulk) < 0.01
    assert distance(draws(MatrixFEnsemble(200, 100, 300, 1.5), 20), Wachter(200, 100, 300, 1.5)) < 0.01
    for wrong in (Wachter(200, 100, 300, 1.5), Wachter(100, 200, 280, 1.5), LaguerreEnsemble(100, 200, 1 / 200).bulk):
        assert distance(spectra, wrong) > 0.01


@pytest.mark.parametrize(("c", "a"), [(0.5, 1.0), (2.0, 0.5), (5.0, 3.0), (1.0, -0.5)])
def test_high_temperature_law_is_the_limit_of_laguerre_spectra(c: float, a: float) -> None:
    """KS distance of 60 pooled spectra of n = 400 below 0.012.

    60 x 400 independent values have a distance beyond 0.012 with probability 2e-3, rigid ones far less; the bias of
    order 1/n is below 0.002. Planted: the look-alike laws of twice and half the repulsion, and of no repulsion.
    """
    n = 400
    beta = 2.0 * c / n
    spectra = LaguerreEnsemble(n, n - 1 + 2.0 * (a + 1.0) / beta, 0.5, beta).rvs(60, seed=22)
    assert distance(spectra, BetaLaguerre(c, a)) < 0.012
    for wrong in (BetaLaguerre(2.0 * c, a), BetaLaguerre(0.5 * c, a), BetaLaguerre(0.0, a), BetaLaguerre(c, a + 0.3)):
        assert distance(spectra, wrong) > 0.012
    law = BetaLaguerre(c, a)
    means = spectra.mean(axis=1)
    # at finite n the mean is a + 1 + c (n - 1)/n
    assert abs(means.mean() - (law.mean() - c / n)) < SIGMAS * means.std() / np.sqrt(60)


def test_reciprocal_of_high_temperature_draws_has_a_power_law_tail() -> None:
    """Exponent a + 2 whatever c: Hill over the top 0.1 % of 400000 values, 4.5 standard errors (7e-6), 8 % of bias.

    Planted: the exponents a + 1 and a + 2 + c.
    """
    c, a = 2.0, 1.0
    values = np.sort(Reciprocal(BetaLaguerre(c, a)).rvs(400_000, seed=23))[-401:]
    exponent = 1.0 + 1.0 / np.log(values[1:] / values[0]).mean()
    margin = (exponent - 1.0) * (SIGMAS / np.sqrt(400) + 0.08)
    assert abs(exponent - (a + 2.0)) < margin
    assert abs(exponent - (a + 1.0)) > margin
    assert abs(exponent - (a + 2.0 + c)) > margin

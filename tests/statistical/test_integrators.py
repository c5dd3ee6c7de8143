"""Laws of the simulated process against exact targets written out here; planted bugs must fail the same tests.

Mean checks allow 4.5 standard errors (probability 7e-6 each); KS tests need p > 1e-3 at a fixed seed.
"""

import math
import sys

import numpy as np
import pytest
from scipy import special, stats

import sdespec as sd
from sdespec.integrators import _reference
from sdespec.laws import LaguerreEnsemble
from sdespec.models import DysonLaguerre

START = np.array([3.0, 2.0, 0.5, 0.1])


def _run(model, times, count, seed=5, **options):
    return sd.simulate(model, times, seed=seed, replicates=count, **options).eigenvalue.values[0]


def _trace_z(traces, model, time, start):
    """Deviations of mean and variance of the trace from their exact values, in standard errors."""
    g, d = model.weight_decay, model.diffusion
    n, m = sorted((model.n_rows, model.n_cols))
    decay = math.exp(-2 * g * time)
    v = d / g * (1 - decay) if g else 2 * d * time
    mean = decay * start.sum() + n * m * v
    variance = 2 * n * m * v**2 + 4 * v * decay * start.sum()
    count = len(traces)
    kurtosis = stats.kurtosis(traces)
    z_mean = (traces.mean() - mean) / math.sqrt(variance / count)
    z_variance = (traces.var() / variance - 1) / math.sqrt((2 + max(kurtosis, 0.0)) / count)
    law = stats.ncx2(n * m, decay * start.sum() / v)
    return z_mean, z_variance, stats.kstest(traces / v, law.cdf).pvalue


@pytest.mark.parametrize("shape", [(4, 6), (4, 4), (7, 4), (4, 20)])
@pytest.mark.parametrize("g", [0.0, 0.8])
def test_mean_variance_and_law_of_the_trace(shape, g):
    model = DysonLaguerre(*shape, weight_decay=g, diffusion=0.3)
    values = _run(model, [0.1, 0.5, 3.0], 6000, initial={"eigenvalue": START})
    for i, time in enumerate((0.1, 0.5, 3.0)):
        z_mean, z_variance, p = _trace_z(values[:, i].sum(axis=1), model, time, START)
        assert abs(z_mean) < 4.5
        assert abs(z_variance) < 4.5
        assert p > 1e-3


def test_second_moment_of_the_spectrum():
    """E tr S^2 = tr M^2 + 2v(n+m+1) tr M + v^2 nm(n+m+1), M the decayed start."""
    n, m, g, d, time = 4, 6, 0.8, 0.3, 0.5
    values = _run(DysonLaguerre(n, m, g, d), [time], 12000, initial={"eigenvalue": START})[:, 0]
    v, decayed = d / g * (1 - math.exp(-2 * g * time)), math.exp(-2 * g * time) * START
    expected = (decayed**2).sum() + 2 * v * (n + m + 1) * decayed.sum() + v**2 * n * m * (n + m + 1)
    found = (values**2).sum(axis=1)
    assert abs(found.mean() - expected) < 4.5 * found.std() / math.sqrt(12000)


@pytest.mark.parametrize("shape", [(4, 6), (4, 5), (4, 4), (4, 12)])
def test_the_spectral_chain_equals_the_matrix(shape):
    """Every ordered value at three times, two-sample KS, Bonferroni over 12: p > 1e-3 / 12 each."""
    model = DysonLaguerre(*shape, weight_decay=0.8, diffusion=0.3)
    times = [0.1, 0.5, 3.0]
    chain = _run(model, times, 5000, initial={"eigenvalue": START})
    matrix = _run(model, times, 5000, seed=6, initial={"eigenvalue": START}, save_weights=True)
    for i in range(3):
        for k in range(4):
            assert stats.ks_2samp(chain[:, i, k], matrix[:, i, k]).pvalue > 1e-3 / 12


def test_smallest_value_is_exponential_with_one_column_more():
    n, d, g = 6, 0.3, 0.8
    values = _run(DysonLaguerre(n, n + 1, g, d), [math.inf], 8000)[:, 0, -1]
    mean = 2 * d / g / n
    assert stats.kstest(values, stats.expon(scale=mean).cdf).pvalue > 1e-3
    assert stats.kstest(values, stats.expon(scale=1.08 * mean).cdf).pvalue < 1e-3  # the test has power


def test_one_dimension_is_a_folded_normal():
    values = np.sqrt(_run(DysonLaguerre(1, 1, 0.8, 0.3), [0.7], 8000)[:, 0, 0])
    v = 0.3 / 0.8 * (1 - math.exp(-2 * 0.8 * 0.7))
    assert stats.kstest(values, stats.halfnorm(scale=math.sqrt(v)).cdf).pvalue > 1e-3


def test_stationarity_and_the_autocorrelation_of_the_trace():
    """From the stationary law the spectrum stays in it, and traces decay as exp(-2gt) (Fisher z, 4.5 errors)."""
    model = DysonLaguerre(5, 8, weight_decay=0.8, diffusion=0.3)
    values = _run(model, [0.0, 0.4], 8000, initial="stationary")
    target = LaguerreEnsemble(5, 8, 0.3 / 0.8).rvs(8000, seed=1)
    for k in range(5):
        assert stats.ks_2samp(values[:, 1, k], target[:, k]).pvalue > 1e-3 / 5
    correlation = np.corrcoef(values[:, 0].sum(axis=1), values[:, 1].sum(axis=1))[0, 1]
    z = (math.atanh(correlation) - math.atanh(math.exp(-2 * 0.8 * 0.4))) * math.sqrt(8000 - 3)
    assert abs(z) < 4.5 * 1.3  # 1.3: the trace is not quite normal


def test_spectra_are_ordered_and_positive():
    values = _run(DysonLaguerre(64, 128, 1.0, 1.0), [0.01, 0.3, 1.0, 3.0], 60)
    assert (np.diff(values, axis=-1) < 0).all()
    assert values.min() > 0


def test_rotating_the_start_changes_nothing_in_law():
    rng = np.random.default_rng(0)
    weight = np.zeros((4, 6))
    np.fill_diagonal(weight, np.sqrt(START))
    turned = np.linalg.qr(rng.normal(size=(4, 4)))[0] @ weight @ np.linalg.qr(rng.normal(size=(6, 6)))[0]
    model = DysonLaguerre(4, 6, 0.8, 0.3)
    one = _run(model, [0.3], 4000, initial=weight, save_weights=True)[:, 0]
    two = _run(model, [0.3], 4000, seed=8, initial=turned, save_weights=True)[:, 0]
    for k in range(4):
        assert stats.ks_2samp(one[:, k], two[:, k]).pvalue > 1e-3 / 4


def test_scaling_weights_and_diffusion_is_exact_with_the_same_noise():
    one = _run(DysonLaguerre(4, 6, 0.8, 0.3), [0.3, 1.0], 20, initial={"eigenvalue": START})
    nine = _run(DysonLaguerre(4, 6, 0.8, 2.7), [0.3, 1.0], 20, initial={"eigenvalue": 9 * START})
    np.testing.assert_allclose(nine, 9 * one, rtol=1e-12)
    fast = _run(DysonLaguerre(4, 6, 1.6, 0.6), [0.15, 0.5], 20, initial={"eigenvalue": START})
    np.testing.assert_allclose(fast, one, rtol=1e-12)


def test_orientation_does_not_matter():
    """The spectral chain is the same to the bit, the matrix route the same in law (KS, Bonferroni over four)."""
    start = {"eigenvalue": START}
    lying, standing = DysonLaguerre(4, 6, 0.8, 0.3), DysonLaguerre(6, 4, 0.8, 0.3)
    chain = _run(lying, [0.3, 1.0], 50, initial=start)
    assert np.array_equal(chain, _run(standing, [0.3, 1.0], 50, initial=start))
    one = _run(lying, [0.3], 4000, initial=start, save_weights=True)[:, 0]
    two = _run(standing, [0.3], 4000, seed=9, initial=start, save_weights=True)[:, 0]
    for k in range(4):
        assert stats.ks_2samp(one[:, k], two[:, k]).pvalue > 1e-3 / 4


def test_determinant_and_inverse_in_the_stationary_law():
    """Mean and variance of log det, and E tr S^-1 = n/(v(m-n-1)), each within 4.5 standard errors."""
    n, m, v, count = 4, 9, 0.3 / 0.8, 20_000
    values = _run(DysonLaguerre(n, m, 0.8, 0.3), [math.inf], count)[:, 0]
    logs = np.log(values).sum(axis=1)
    shapes = (m - np.arange(n)) / 2
    mean, variance = np.sum(np.log(2 * v) + special.psi(shapes)), special.polygamma(1, shapes).sum()
    assert abs(logs.mean() - mean) < 4.5 * math.sqrt(variance / count)
    assert abs(logs.var() / variance - 1) < 4.5 * math.sqrt((2 + max(stats.kurtosis(logs), 0)) / count)
    inverse = (1 / values).sum(axis=1)
    assert abs(inverse.mean() - n / (v * (m - n - 1))) < 4.5 * inverse.std() / math.sqrt(count)
    assert abs(inverse.mean() - n / (v * (m - n))) > 4.5 * inverse.std() / math.sqrt(count)  # the test has power


@pytest.mark.parametrize("order", [1, 2, 3])
def test_modes_of_the_elementary_polynomials_decay_with_their_order(order):
    """f_j = sum_i C(n-i, j-i) (m-i)!/(m-j)! (-v)^(j-i) e_i is a mode of rate 2gj; 4.5 standard errors, power shown."""
    n, m, g, v, time = 3, 5, 0.8, 0.3 / 0.8, 0.25
    values = _run(DysonLaguerre(n, m, g, 0.3), [0.0, time], 40_000, initial="stationary")
    elementary = np.ones((*values.shape[:2], 1))
    for k in range(n):
        grown = np.concatenate([elementary, np.zeros((*values.shape[:2], 1))], axis=-1)
        grown[..., 1:] += values[..., k, None] * elementary
        elementary = grown
    weights = [
        math.comb(n - i, order - i) * math.factorial(m - i) / math.factorial(m - order) * (-v) ** (order - i)
        for i in range(order + 1)
    ]
    mode = elementary[..., : order + 1] @ np.array(weights)

    def score(rate):
        rest = mode[:, 0] * mode[:, 1] - math.exp(-rate * time) * mode[:, 0] ** 2
        return rest.mean() / (rest.std() / math.sqrt(len(rest)))

    assert abs(score(2 * g * order)) < 4.5
    assert abs(score(g * order)) > 4.5  # the rate of the matrix, not of its square


def test_matrix_euler_converges_with_order_one_in_the_mean():
    """E tr S of Euler is known: its bias halves with the step; both runs within 4.5 errors of their own targets."""
    n, m, g, d, time = 3, 4, 1.0, 0.5, 0.5
    for h in (0.125, 0.0625):
        traces = _run(DysonLaguerre(n, m, g, d), [time], 4000, method="euler", time_step=h)[:, 0].sum(axis=1)
        factor = (1 - g * h) ** 2
        v = 2 * d * h * (1 - factor ** round(time / h)) / (1 - factor)
        assert abs(traces.mean() - n * m * v) < 4.5 * v * math.sqrt(2 * n * m / 4000)


def test_hard_edge_of_a_square_matrix():
    """n lambda_min / v of n x n has the cdf 1 - exp(-x/2 - sqrt x) up to 1/n; KS at p > 1e-3, power shown."""
    n, v = 64, 0.3 / 0.8
    smallest = n * _run(DysonLaguerre(n, n, 0.8, 0.3), [math.inf], 4000)[:, 0, -1] / v

    def law(x):
        return 1 - np.exp(-x / 2 - np.sqrt(x))

    assert stats.kstest(smallest, law).pvalue > 1e-3
    assert stats.kstest(smallest, lambda x: law(x / 1.2)).pvalue < 1e-3
    one_more = n * _run(DysonLaguerre(n, n + 1, 0.8, 0.3), [math.inf], 4000)[:, 0, -1] / v
    assert stats.kstest(one_more, law).pvalue < 1e-6


def _mean_ratio(values):
    """Mean ratio of neighbouring spacings over the middle half of the ranks, and the number of ratios."""
    n = values.shape[-1]
    gaps = -np.diff(values[..., n // 4 : 3 * n // 4], axis=-1)
    ratio = np.minimum(gaps[..., 1:], gaps[..., :-1]) / np.maximum(gaps[..., 1:], gaps[..., :-1])
    return ratio.mean(), ratio.size


def test_spacing_ratio_is_that_of_beta_one():
    """More than 1e5 ratios: .531 +- .005, more than 6 standard errors; twice the repulsion gives .600."""
    mean, count = _mean_ratio(_run(DysonLaguerre(64, 128, 1.0, 1.0), [0.5], 3600)[:, 0])
    assert count > 100_000
    assert abs(mean - 0.531) < 0.005
    doubled = LaguerreEnsemble(64, 128, 1.0, beta=2.0).rvs(400, seed=0)
    assert abs(_mean_ratio(doubled)[0] - 0.531) > 0.05


def _planted(step):
    """A kernel of exact chains, in NumPy, with another step."""

    def kernel(out, start, larger_side, factors, deviations, *words):
        rng = np.random.default_rng([int(word) for word in words])
        for r in range(out.shape[0]):
            spectrum = start[r]
            for i, (factor, deviation) in enumerate(zip(factors, deviations, strict=True)):
                out[r, i] = spectrum = step(spectrum, larger_side, factor, deviation, rng)
        return 0

    return kernel


def _right(s, m, f, v, rng):
    return _reference.spectral_step(s, f, v, rng.standard_normal((len(s), m)), None)


BUGS = {
    "sqrt(2) in the noise": lambda s, m, f, v, rng: _right(s, m, f, v * math.sqrt(2.0), rng),
    "transposed aspect": lambda s, m, f, v, rng: _right(s, len(s), f, v, rng),
    "double beta": lambda s, m, f, v, rng: _right(np.append(s, s), 2 * m, f, v, rng)[::2],
    "no noise beside the diagonal (no repulsion)": lambda s, m, f, v, rng: np.sort(
        (f * np.sqrt(s) + v * rng.standard_normal(len(s))) ** 2
    )[::-1],
    "decay of the matrix used for the eigenvalues (no Ito term)": lambda s, m, f, v, rng: np.sort(
        np.abs(f**2 * s + 2 * f * np.sqrt(s) * v * rng.standard_normal(len(s)))
    )[::-1],
}


@pytest.mark.parametrize("bug", [None, *BUGS])
def test_planted_bugs_are_caught(bug, monkeypatch):
    monkeypatch.setattr(sys.modules["sdespec.integrators.paths"], "exact_spectra", _planted(BUGS.get(bug, _right)))
    model = DysonLaguerre(4, 6, weight_decay=0.8, diffusion=0.3)
    values = _run(model, [0.5], 2000, initial={"eigenvalue": START})[:, 0]
    z_mean, z_variance, p = _trace_z(values.sum(axis=1), model, 0.5, START)
    assert (abs(z_mean) > 4.5 or abs(z_variance) > 4.5 or p < 1e-3) == (bug is not None)


def test_sorted_euler_fails_the_law_tests():
    """What a user would write first is wrong: the trace or the smallest value is rejected outright."""
    n, m, g, d = 8, 8, 1.0, 1.0 / 8
    model = DysonLaguerre(n, m, g, d)
    run = _run(model, [1.0], 600, initial="stationary", method="sorted_euler", time_step=1.0 / 32)[:, 0]
    target = LaguerreEnsemble(n, m, d / g).rvs(4000, seed=2)
    p = min(stats.ks_2samp(run[:, k], target[:, k]).pvalue for k in range(n))
    assert p < 1e-6

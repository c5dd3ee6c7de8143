"""Laws and orders of the schemes of the whole matrix against targets written out here; planted bugs must fail.

Means are allowed 4.5 standard errors (probability 7e-6 each); KS tests need p > 1e-3 at a fixed seed, and the same test
rejects a parameter that is wrong by the stated share.
"""

import math

import numpy as np
import pytest
from scipy import stats

from sdespec.core.rng import words_of
from sdespec.integrators import _matrix_reference as twin
from sdespec.integrators import simulate
from sdespec.integrators._matrix_kernels import affine_steps
from sdespec.integrators.matrix_schemes import euler_step, exact_step
from sdespec.models import (
    IsotropicNoise,
    LeftMultiplicativeNoise,
    LinearRegressionSGD,
    MatrixSGD,
    QuadraticLoss,
    RightMultiplicativeNoise,
    ScalarMultiplicativeNoise,
    SeparableNoise,
    SpectralLoss,
)

ROWS = np.array([[1.0, 0.3], [0.3, 0.5]])
COLS = np.array([[1.0, 0.2, 0.0], [0.2, 2.0, -0.4], [0.0, -0.4, 0.7]])
START = np.array([[1.0, -2.0, 0.5], [0.3, 0.4, 2.0]])


def _score(sample, target):
    """Deviation of a mean from its target, in standard errors."""
    return (sample.mean() - target) / (sample.std() / math.sqrt(len(sample)))


def _spectra(model, times, count, seed=5, **options):
    return simulate(model, times, seed=seed, replicates=count, **options).eigenvalue.values[0]


# --- one step: drift and covariances of the eigenvalues (A21) ------------------------------------------------------


def _one_step_drift(model, spectrum, pairs, h):
    """Mean drift of the eigenvalues over one Euler step from a diagonal matrix, in antithetic pairs; with its error."""
    n, m = model.n_rows, model.n_cols
    rng = np.random.default_rng(0)
    weight = np.zeros((n, m))
    np.fill_diagonal(weight, np.sqrt(spectrum))
    noise = euler_step(model, h).noise
    found = []
    for _ in range(pairs // 10_000):
        z = rng.standard_normal((10_000, n, m))
        additive = noise.deviation * z
        for p in range(len(noise.rows)):
            additive = additive + noise.rows[p] @ rng.standard_normal((10_000, n, m)) @ noise.cols[p]
        multiplied = noise.scalar * rng.standard_normal((10_000, 1, 1)) * weight
        multiplied = multiplied + noise.right * weight @ rng.standard_normal((10_000, m, m))
        kick = additive + multiplied + noise.left * rng.standard_normal((10_000, n, n)) @ weight
        decayed = (1.0 - model.weight_decay * h) * weight
        grams = [(w @ w.transpose(0, 2, 1)) for w in (decayed + kick, decayed - kick)]
        values = sum(np.linalg.eigvalsh(gram)[:, ::-1] for gram in grams) / 2.0
        found.append((values - spectrum) / h)
    sample = np.concatenate(found)
    return sample.mean(axis=0), sample.std(axis=0) / math.sqrt(len(sample))


def _pairs_sum(spectrum, term):
    n = len(spectrum)
    return np.array(
        [
            sum(term(spectrum[k], spectrum[j], k, j) / (spectrum[k] - spectrum[j]) for j in range(n) if j != k)
            for k in range(n)
        ]
    )


SPECTRUM = np.array([4.0, 2.0, 0.7])
G, D, K = 0.6, 0.3, 0.2


def _separable_drift():
    rows, cols = np.array([1.5, 0.8, 0.4]), np.array([0.5, 1.0, 2.0, 1.2])
    pairs = _pairs_sum(SPECTRUM, lambda a, b, k, j: rows[k] * cols[j] * b + rows[j] * cols[k] * a)
    return -2 * G * SPECTRUM + rows * cols.sum() + pairs, SeparableNoise(np.diag(rows), np.diag(cols))


def _left_drift():
    pairs = _pairs_sum(SPECTRUM, lambda a, b, k, j: 2 * D * (a + b) + 2 * K * (a * a + b * b))
    return -2 * G * SPECTRUM + 2 * D * 4 + 2 * K * SPECTRUM.sum() + pairs


def _right_drift():
    pairs = _pairs_sum(SPECTRUM, lambda a, b, k, j: 2 * D * (a + b) + 4 * K * a * b)
    return (2 * K * 4 - 2 * G) * SPECTRUM + 2 * D * 4 + pairs


def _scalar_drift():
    pairs = _pairs_sum(SPECTRUM, lambda a, b, k, j: 2 * D * (a + b))
    return (2 * K - 2 * G) * SPECTRUM + 2 * D * 4 + pairs


@pytest.mark.parametrize("name", ["separable", "left", "right", "scalar"])
def test_drift_of_the_eigenvalues_in_one_step(name):
    """Each within 4.5 standard errors and 1 % of the largest; the target of another noise is far off."""
    targets = {"left": _left_drift(), "right": _right_drift(), "scalar": _scalar_drift()}
    kinds = {"left": LeftMultiplicativeNoise, "right": RightMultiplicativeNoise, "scalar": ScalarMultiplicativeNoise}
    if name == "separable":
        target, noise = _separable_drift()
        wrong = _scalar_drift()
    else:
        target, noise = targets[name], (IsotropicNoise(D), kinds[name](K))
        wrong = targets["right" if name == "left" else "left"]
    mean, error = _one_step_drift(MatrixSGD(3, 4, G, noise), SPECTRUM, 100_000, 1e-5)
    assert np.all(np.abs(mean - target) < 4.5 * error + 1e-3)
    assert np.abs(mean - target).max() < 0.01 * np.abs(target).max()
    assert np.abs(mean - wrong).max() > 0.1 * np.abs(target).max()


# --- stationary laws of multiplicative noise (A20) ----------------------------------------------------------------


@pytest.mark.parametrize("noise", [ScalarMultiplicativeNoise, RightMultiplicativeNoise])
def test_one_row_has_a_beta_prime_law(noise):
    """(k/D) l ~ BetaPrime(m/2, b) after relaxing from zero, KS; 5 % in the diffusion or in the decay is rejected.

    b = 1/2 + g/(2k) for scalar noise, and (g/k + 2 - m)/2 for noise on the right.
    """
    m, g, d, k = 4, 1.0, 0.5, 0.05
    model = MatrixSGD(1, m, g, (IsotropicNoise(d), noise(k)))
    values = _spectra(model, [3.0], 12_000, time_step=0.0125)[:, 0, 0]

    def p_value(g, d, k):
        b = 0.5 + g / (2 * k) if noise is ScalarMultiplicativeNoise else (g / k + 2 - m) / 2
        return stats.kstest(values, stats.betaprime(m / 2, b, scale=d / k).cdf).pvalue

    assert p_value(g, d, k) > 1e-3
    assert p_value(g, 0.95 * d, k) < 1e-3
    assert p_value(1.05 * g, d, k) < 1e-3


def _matrix_f(n, m, degrees, scale, count):
    """Descending eigenvalues of scale Y^-1/2 X Y^-1/2 from Gaussian X and the Bartlett factor of Y, of real degrees."""
    rng = np.random.default_rng(11)
    factor = np.tril(rng.standard_normal((count, n, n)), -1)
    for i in range(n):
        factor[:, i, i] = np.sqrt(rng.chisquare(degrees - i, count))
    return scale * np.linalg.svd(np.linalg.solve(factor, rng.standard_normal((count, n, m))), compute_uv=False) ** 2


MATRIX_NOISES = [
    (RightMultiplicativeNoise, (2, 4)),
    (RightMultiplicativeNoise, (4, 2)),
    (LeftMultiplicativeNoise, (2, 4)),
]


def _degrees(noise, shape, g, k):
    """Noise on the left is that on the right of the transposed matrix, which has the same eigenvalues."""
    n, m = shape if noise is RightMultiplicativeNoise else shape[::-1]
    return n, m, g / k + n + 1 - m


@pytest.mark.parametrize(("noise", "shape"), MATRIX_NOISES)
def test_matrix_noise_has_a_matrix_f_law(noise, shape):
    """Both ordered values after relaxing from zero, KS with Bonferroni; a multiplicative noise 60 % up is rejected."""
    g, diffusion, k = 1.0, 0.5, 0.15
    model = MatrixSGD(*shape, g, (IsotropicNoise(diffusion), noise(k)))
    values = _spectra(model, [5.0], 5000, time_step=0.0125)[:, 0]

    def p_value(k):
        n, m, degrees = _degrees(noise, shape, g, k)
        target = _matrix_f(n, m, degrees, diffusion / k, 100_000)
        return min(stats.ks_2samp(values[:, i], target[:, i]).pvalue for i in range(2))

    assert p_value(k) > 1e-3 / 2
    assert p_value(1.6 * k) < 1e-4


@pytest.mark.parametrize(("noise", "shape"), MATRIX_NOISES)
def test_a_stationary_start_has_the_matrix_f_law(noise, shape):
    """Largest value and trace against the law, KS; 5 % in the diffusion or the decay is rejected."""
    g, diffusion, k = 1.0, 0.5, 0.1
    model = MatrixSGD(*shape, g, (IsotropicNoise(diffusion), noise(k)))
    values = _spectra(model, [0.0], 16_000, initial="stationary", time_step=0.1)[:, 0]

    def p_value(g, diffusion):
        n, m, degrees = _degrees(noise, shape, g, k)
        target = _matrix_f(n, m, degrees, diffusion / k, 50_000)
        return min(
            stats.ks_2samp(values[:, 0], target[:, 0]).pvalue,
            stats.ks_2samp(values.sum(axis=1), target.sum(axis=1)).pvalue,
        )

    assert p_value(g, diffusion) > 1e-3 / 2
    assert p_value(g, 1.05 * diffusion) < 1e-3
    assert p_value(0.95 * g, diffusion) < 1e-3


def test_scalar_noise_scales_a_laguerre_spectrum_as_a_whole():
    """W = sqrt(V) Z: ratios of eigenvalues are those of Z, and the trace has a heavy law; 5 % in the scale is seen."""
    g, diffusion, d, (n, m), count = 1.0, 0.5, 0.5, (3, 4), 20_000
    model = MatrixSGD(n, m, g, (IsotropicNoise(diffusion), ScalarMultiplicativeNoise(d)))
    values = _spectra(model, [3.0], count // 4, time_step=0.01)[:, 0]
    rng = np.random.default_rng(4)
    z = np.linalg.svd(rng.standard_normal((count, n, m)), compute_uv=False) ** 2
    ratios = [one / one.sum(axis=1, keepdims=True) for one in (values, z)]
    for i in range(n):
        assert stats.ks_2samp(ratios[0][:, i], ratios[1][:, i]).pvalue > 1e-3 / n
    law = stats.betaprime(n * m / 2, 0.5 + g / (2 * d), scale=diffusion / d)
    assert stats.kstest(values.sum(axis=1), law.cdf).pvalue > 1e-3
    stationary = _spectra(model, [0.0], count, initial="stationary", time_step=0.1)[:, 0].sum(axis=1)
    assert stats.kstest(stationary, law.cdf).pvalue > 1e-3
    assert stats.kstest(stationary, lambda x: law.cdf(x / 1.05)).pvalue < 1e-3


# --- linear drift: exact at any step ------------------------------------------------------------------------------


def test_the_exact_step_has_the_mean_and_the_covariance_of_many_short_ones():
    """Mean and covariance by 4000 Euler steps of the moments, error below 1e-3; twice the curvature fails."""
    curvature = np.array([[1.0, 0.2, 0.1], [0.2, 0.5, 0.0], [0.1, 0.0, 2.0]])
    loss = QuadraticLoss(START / 2.0, curvature)
    model = MatrixSGD(2, 3, 0.4, (IsotropicNoise(0.3), SeparableNoise(ROWS, COLS)), loss)
    time, count = 1.0, 4000
    drift = np.kron(np.eye(2), curvature + 0.4 * np.eye(3))
    mean, covariance = START.ravel().copy(), np.zeros((6, 6))
    noise, push = 0.6 * np.eye(6) + np.kron(ROWS, COLS), (loss.target @ curvature).ravel()
    for _ in range(count):
        covariance = covariance + time / count * (noise - drift @ covariance - covariance @ drift)
        mean = mean + time / count * (push - drift @ mean)
    run = simulate(model, [time], seed=2, replicates=20_000, initial=START, save_weights=True)
    found = run.weight.values[0, :, 0].reshape(-1, 6)
    for i in range(6):
        assert abs(_score(found[:, i], mean[i])) < 4.5
        for j in range(i + 1):
            product = (found[:, i] - mean[i]) * (found[:, j] - mean[j])
            assert abs(_score(product, covariance[i, j])) < 4.5
    other = exact_step(MatrixSGD(2, 3, 0.4, model.noise, QuadraticLoss(START / 2.0, 2.0 * curvature)), time)
    wrong = (START @ other.propagator + other.offset).ravel()
    assert max(abs(_score(found[:, i], wrong[i])) for i in range(6)) > 4.5


def test_stationarity_of_the_linear_model():
    """From rest the matrix stays at rest, at inf too: traces by KS; the isotropic share 15 % up is rejected."""
    curvature = np.diag([0.3, 1.0, 2.0])
    loss = QuadraticLoss(START / 2.0, curvature)

    def traces(diffusion, times, seed, **options):
        model = MatrixSGD(2, 3, 0.4, (IsotropicNoise(diffusion), SeparableNoise(ROWS, 0.3 * COLS)), loss)
        return _spectra(model, times, 10_000, seed=seed, **options)[:, -1].sum(axis=1)

    rest = traces(0.3, [0.0], 1, initial="stationary")
    for other in (traces(0.3, [0.5], 2, initial="stationary"), traces(0.3, [0.2, math.inf], 3)):
        assert stats.ks_2samp(rest, other).pvalue > 1e-3
    assert stats.ks_2samp(rest, traces(0.345, [math.inf], 4)).pvalue < 1e-3


# --- nonlinear drift: orders --------------------------------------------------------------------------------------


def _virial_errors(steps, count, **options):
    """Relative errors of E[tr S^2 + g tr S] = D n m for the loss tr S^2 / 4, and their standard errors."""
    n, m, g, d = 2, 100, 1.0, 0.1
    model = MatrixSGD(n, m, g, IsotropicNoise(d), SpectralLoss(lambda s: s * s * s))
    out = []
    for i, h in enumerate(steps):
        values = _spectra(model, np.arange(1.5, 4.1, 0.5), count, seed=i, time_step=h, **options)
        means = ((values**2 + g * values).sum(axis=2) / (d * n * m)).mean(axis=1)
        out.append((means.mean() - 1.0, means.std() / math.sqrt(count)))
    return np.array(out)


def test_strang_splitting_has_order_two():
    """The virial error falls by 3 to 4.5 when the step halves (standard error of the ratio .15); Lie's does not."""
    (coarse, _), (fine, error) = _virial_errors((0.1, 0.05), 4000)
    assert 12 * error < abs(fine)
    assert 3.0 < coarse / fine < 4.5
    (lie, _) = _virial_errors((0.05,), 300, method="exponential")[0]
    assert abs(lie) > 2.0 * abs(fine)


def test_the_spectrum_alone_and_the_matrix_have_one_law():
    """Strang's splitting with and without the matrix, and SRA1 with a short step: ordered values by KS, Bonferroni."""
    model = MatrixSGD(3, 5, 1.0, IsotropicNoise(1.0), SpectralLoss(lambda s: s * s * s))
    for h, count, options in ((0.1, 1500, {"save_weights": True}), (0.025, 1000, {"method": "sra1"})):
        alone = _spectra(model, [0.5], 4000, time_step=h)[:, 0]
        other = _spectra(model, [0.5], count, seed=7, time_step=h, **options)[:, 0]
        for k in range(3):
            assert stats.ks_2samp(alone[:, k], other[:, k]).pvalue > 1e-3 / 6
    free = _spectra(MatrixSGD(3, 5, 1.0, IsotropicNoise(1.0)), [0.5], 4000)[:, 0]
    assert stats.ks_2samp(free[:, 0], other[:, 0]).pvalue < 1e-6


def _strong_errors(one_step, levels, paths=400, time=1.0, finest=10):
    """Root mean squares of the differences from 2^finest steps on one Brownian path, in the steps 2^-level.

    ``one_step(weight, h, first, second)`` takes increments; ``second`` belongs to the integral over time.
    """
    rng = np.random.default_rng(3)
    count = 1 << finest
    h = time / count
    first = rng.standard_normal((count, paths, 2, 3)) * math.sqrt(h)
    integral = 0.5 * h * (first + rng.standard_normal(first.shape) * math.sqrt(h / 3.0))
    ends = {}
    while True:
        weight = np.broadcast_to(START, (paths, 2, 3))
        for k in range(len(first)):
            weight = one_step(weight, h, first[k], math.sqrt(3.0) * (2.0 * integral[k] / h - first[k]))
        ends[round(math.log2(len(first)))] = weight
        if len(first) == 1 << min(levels):
            break
        integral = integral[0::2] + integral[1::2] + h * first[0::2]
        first, h = first[0::2] + first[1::2], 2.0 * h
    return np.array([math.sqrt(((ends[level] - ends[finest]) ** 2).mean()) for level in levels])


def _slope(errors, levels):
    return -np.polyfit(levels, np.log2(errors), 1)[0]


def _well(w):
    return -(w * w * w - w)


def test_strong_orders_with_additive_noise():
    """Double wells: SRA1 in [1.4, 1.8], Euler in [.9, 1.2]; without the integral over time SRA1 falls to Euler's."""
    levels = [3, 4, 5, 6]

    def sra1(w, h, a, b):
        return twin.sra1_step(w, _well, h, a, b)

    def bugged(w, h, a, b):
        return twin.sra1_step(w, _well, h, 0.5 * a, -0.5 * math.sqrt(3.0) * a)

    def euler(w, h, a, b):
        return w + h * _well(w) + 0.5 * a

    finer = [5, 6, 7, 8]
    assert 1.4 < _slope(_strong_errors(sra1, finer, paths=100, finest=11), finer) < 1.8
    assert 0.9 < _slope(_strong_errors(euler, levels), levels) < 1.2
    assert _slope(_strong_errors(bugged, levels), levels) < 1.3


def test_strong_orders_with_scalar_noise():
    """The kernel on the increments of one path: Milstein in [.9, 1.2], Euler in [.4, .65]."""
    model = MatrixSGD(2, 3, 0.5, ScalarMultiplicativeNoise(0.3))
    levels = [3, 4, 5, 6]

    def step(milstein):
        def one(w, h, a, b):
            constants = euler_step(model, h, milstein=milstein)
            drawn = a[:, :1, :1] / math.sqrt(h)
            return np.array(
                [
                    constants.factor * x
                    + twin.multiplicative(x, constants.noise, z.item(), np.zeros((3, 3)), np.zeros((2, 2)))
                    for x, z in zip(w, drawn, strict=True)
                ]
            )

        return one

    assert 0.9 < _slope(_strong_errors(step(True), levels, paths=100, finest=9), levels) < 1.2
    assert 0.4 < _slope(_strong_errors(step(False), levels, paths=100, finest=9), levels) < 0.65


def test_weak_order_of_euler_under_multiplicative_noise():
    """E tr S of Euler is known, and its bias halves with the step: both runs hit their own targets, not the exact one."""
    n, m, g, d, k, time = 2, 3, 1.0, 0.5, 0.1, 1.0
    model = MatrixSGD(n, m, g, (IsotropicNoise(d), RightMultiplicativeNoise(k)))
    rate = 2 * g - 2 * k * m
    exact = 2 * d * n * m * (1 - math.exp(-rate * time)) / rate
    biases = []
    for h in (0.25, 0.125):
        factor = (1 - g * h) ** 2 + 2 * k * h * m
        target = 2 * d * h * n * m * (1 - factor ** round(time / h)) / (1 - factor)
        traces = _spectra(model, [time], 20_000, time_step=h)[:, 0].sum(axis=1)
        assert abs(_score(traces, target)) < 4.5
        assert abs(_score(traces, exact)) > 4.5
        biases.append(target - exact)
    assert 1.6 < biases[0] / biases[1] < 2.4


# --- the recursion of linear regression ---------------------------------------------------------------------------


def test_mean_trace_of_linear_regression():
    """E tr S' = (1 - 2 eta + eta^2 (B + m + 1)/B) E tr S + eta^2 sig^2 n m / B, exactly; 5 % in eta is seen."""
    n, m, eta, batch, sigma = 2, 4, 0.1, 3, 1.5

    def target(rate, steps):
        factor = 1 - 2 * rate + rate**2 * (batch + m + 1) / batch
        gained = rate**2 * sigma**2 * n * m / batch
        return factor**steps * 20.0 + gained * (1 - factor**steps) / (1 - factor)

    start = np.zeros((n, m))
    start[0, 0], start[1, 1] = 4.0, 2.0
    model = LinearRegressionSGD(n, m, eta, batch, sigma)
    values = _spectra(model, [1, 5, 25], 15_000, initial=start).sum(axis=2)
    for i, steps in enumerate((1, 5, 25)):
        assert abs(_score(values[:, i], target(eta, steps))) < 4.5
        assert abs(_score(values[:, i], target(1.05 * eta, steps))) > 4.5


def test_the_diffusion_of_linear_regression_has_its_mean_trace():
    """The diffusion relaxes to E tr S = 2Dnm/(2g - 2km), that of the recursion to first order in the rate."""
    n, m, eta, batch, sigma = 2, 4, 0.01, 2, 1.0
    diffusion = LinearRegressionSGD(n, m, eta, batch, sigma).diffusion_model()
    found = _spectra(diffusion, [0.0], 6000, initial="stationary", time_step=0.1)[:, 0].sum(axis=1)
    factor = 1 - 2 * eta + eta**2 * (batch + m + 1) / batch
    recursion = eta**2 * sigma**2 * n * m / batch / (1 - factor)
    assert abs(_score(found, recursion)) < 4.5 + 0.01 * recursion / (found.std() / math.sqrt(len(found)))


def test_heavy_tails_of_one_weight_are_those_of_the_recursion():
    """Kesten index of |w| at rate .5, batch 1 is 2.90 with E|1 - eta x^2|^alpha = 1; the moment equation has power."""
    x = np.random.default_rng(0).standard_normal(400_000)
    growth = np.abs(1 - 0.5 * x**2)
    assert abs(_score(growth**2.90, 1.0)) < 4.5
    assert (growth**2.5).mean() < 0.97
    values = _spectra(LinearRegressionSGD(1, 1, 0.5, 1, 1.0), [100], 20_000)[:, 0, 0]
    tail = np.sort(np.sqrt(values))[-200:]
    assert 2.2 < 1.0 / np.log(tail[1:] / tail[0]).mean() < 3.6  # Hill, 7 % error, and a slow approach


def test_noise_of_one_kernel_step_is_white_over_steps_and_kinds():
    """Kicks of different steps, and the parts of one step, are uncorrelated: 4.5 errors over 4000 replicates."""
    model = MatrixSGD(2, 3, 0.0, (IsotropicNoise(0.5), SeparableNoise(np.eye(2), np.eye(3))))
    step = euler_step(model, 1.0)
    kicks = np.zeros((4000, 2, 6))
    for r in range(4000):
        for k in range(2):
            weight = np.zeros((2, 3))
            affine_steps(weight, *step, 1, words_of(seed=1, replicate=r, step=k))
            kicks[r, k] = weight.ravel()
    flat = kicks.reshape(4000, 12)
    covariance = flat.T @ flat / 4000
    assert np.abs(covariance - 2.0 * np.eye(12)).max() < 4.5 * 2.0 * math.sqrt(2.0 / 4000)

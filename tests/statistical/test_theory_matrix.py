"""Predictions for a weight matrix under a quadratic loss, separable noise and noise that multiplies it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from sdespec.compare import compare
from sdespec.core.errors import UsageError
from sdespec.integrators import simulate, simulate_statistics
from sdespec.laws import GaussianMatrixEnsemble, MatrixFEnsemble
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
from sdespec.theory import predict, stationary_ensemble, transition_ensemble
from sdespec.theory.trace_moments import trace_variance_of

RNG = np.random.default_rng(0)


def _positive(side: int) -> np.ndarray:
    root = RNG.standard_normal((side, side))
    return root @ root.T / side + 0.1 * np.eye(side)


def _regression(n: int = 3, m: int = 4) -> MatrixSGD:
    loss = QuadraticLoss(RNG.standard_normal((n, m)), _positive(m))
    return MatrixSGD(n, m, 0.3, (SeparableNoise(_positive(n), _positive(m)), IsotropicNoise(0.05)), loss)


def _integrated(model: MatrixSGD, start: np.ndarray, time: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of all entries by integrating their differential equations."""
    n, m = start.shape
    drift = np.kron(np.eye(n), model.loss.curvature + model.weight_decay * np.eye(m))  # of rows laid end to end
    force = (model.loss.target @ model.loss.curvature).ravel()
    separable, isotropic = model.noise
    noise = np.kron(separable.row_covariance, separable.col_covariance) + 2.0 * isotropic.diffusion * np.eye(n * m)

    def slope(_: float, state: np.ndarray) -> np.ndarray:
        mean, covariance = state[: n * m], state[n * m :].reshape(n * m, n * m)
        return np.concatenate([force - drift @ mean, (noise - drift @ covariance - covariance @ drift.T).ravel()])

    first = np.concatenate([start.ravel(), np.zeros((n * m) ** 2)])
    last = solve_ivp(slope, (0.0, time), first, rtol=1e-10, atol=1e-12).y[:, -1]
    return last[: n * m], last[n * m :].reshape(n * m, n * m)


def test_moments_are_those_of_the_differential_equations():
    """Mean and variance of the trace of a Gaussian vector with that mean and covariance, to 1e-8."""
    model, start = _regression(), RNG.standard_normal((3, 4))
    theory = predict(model, [0.4, 1.7, 60.0, math.inf], initial=start)
    for i, time in enumerate((0.4, 1.7, 60.0)):
        mean, covariance = _integrated(model, start, time)
        trace = mean @ mean + np.trace(covariance)
        variance = 2.0 * (covariance**2).sum() + 4.0 * mean @ covariance @ mean
        np.testing.assert_allclose(theory.trace_mean[0, i], trace, rtol=1e-8)
        np.testing.assert_allclose(theory.trace_variance[0, i], variance, rtol=1e-8)
    np.testing.assert_allclose(theory.trace_mean[0, 3], theory.trace_mean[0, 2], rtol=1e-8)
    other = predict(model, [1.7], initial="stationary")
    np.testing.assert_allclose(other.trace_mean[0, 0], theory.trace_mean[0, 3], rtol=1e-12)


def test_equal_curvature_is_weight_decay():
    """All that is predicted, from a matrix of full rank and from a spike."""
    noise, n, m = IsotropicNoise(0.5 / 60), 30, 60
    plain, loss = MatrixSGD(n, m, 1.2, noise), QuadraticLoss(np.zeros((n, m)), 0.9 * np.eye(m))
    quadratic = MatrixSGD(n, m, 0.3, noise, loss)
    full, spike = np.zeros((n, m)), np.zeros((n, m))
    full[np.arange(n), np.arange(n)], spike[3, 5] = np.repeat([1.0, 2.0], n // 2), 2.5
    for start in (None, full, spike):
        known = predict(plain, [0.2, 0.8], initial=start)
        found = predict(quadratic, [0.2, 0.8], initial=start, grid=known.x.values[::40])
        np.testing.assert_allclose(found.bulk_edge, known.bulk_edge, rtol=2e-5)
        np.testing.assert_allclose(found.density, known.density[..., ::40], rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(found.outlier, known.outlier, rtol=1e-6)
        np.testing.assert_allclose(found.trace_mean, known.trace_mean, rtol=1e-12)
        np.testing.assert_allclose(found.trace_variance, known.trace_variance, rtol=1e-12)


def test_regression_learns_its_target_and_keeps_its_noise():
    """The target is an outlier of the stationary law, at the mean of twenty draws: 4 standard errors and 2/n."""
    n, m = 80, 160
    curvature = np.diag(np.linspace(0.5, 1.5, m))
    target = np.zeros((n, m))
    target[0, 10], target[1, 150] = 3.0, 2.5
    model = MatrixSGD(n, m, 0.1, IsotropicNoise(0.5 / m), QuadraticLoss(target, curvature))
    theory = predict(model, [math.inf])
    assert theory.n_outliers.item() == 2
    spectra = stationary_ensemble(model).rvs(20, seed=0)
    for k in range(2):
        bar = 4.0 * spectra[:, k].std(ddof=1) / math.sqrt(20) + 2.0 / n * spectra[:, k].mean()
        assert abs(spectra[:, k].mean() - float(theory.outlier[0, 0, k])) < bar
    grid, density = theory.x.values, theory.density.values[0, 0]
    mass = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(grid))])
    assert abs(mass[-1] - 1.0) < 0.002
    bulk = np.sort(spectra[:, 2:].ravel())
    gap = np.abs(np.interp(bulk, grid, mass) - (np.arange(len(bulk)) + 0.5) / len(bulk)).max()
    assert gap < 0.015
    even = predict(
        MatrixSGD(n, m, 0.1, IsotropicNoise(0.5 / m), QuadraticLoss(target, np.eye(m))), [math.inf], grid=grid
    )
    assert abs(float(even.bulk_edge[0, 0, 1]) / float(theory.bulk_edge[0, 0, 1]) - 1.0) > 0.02


@pytest.mark.parametrize("kinds", [("right",), ("left",), ("scalar",), ("right", "left", "scalar")])
def test_mean_trace_under_noise_that_multiplies(kinds):
    """One short step of 4e5 antithetic pairs, 4.5 standard errors; the closed form against that slope."""
    n, m, step, count = 2, 3, 1e-3, 400_000
    made = {"right": RightMultiplicativeNoise(0.2), "left": LeftMultiplicativeNoise(0.3),
            "scalar": ScalarMultiplicativeNoise(0.4)}  # fmt: skip
    model = MatrixSGD(n, m, 0.9, (IsotropicNoise(0.1), *(made[kind] for kind in kinds)))
    start = np.arange(6.0).reshape(2, 3) / 4.0
    draws = np.random.default_rng(1)
    change = math.sqrt(0.2 * step) * draws.standard_normal((count, n, m))
    if "right" in kinds:
        change += math.sqrt(0.4 * step) * start @ draws.standard_normal((count, m, m))
    if "left" in kinds:
        change += math.sqrt(0.6 * step) * draws.standard_normal((count, n, n)) @ start
    if "scalar" in kinds:
        change += math.sqrt(0.8 * step) * draws.standard_normal((count, 1, 1)) * start
    drifted = start * (1.0 - 0.9 * step)
    squares = 0.5 * (((drifted + change) ** 2).sum((1, 2)) + ((drifted - change) ** 2).sum((1, 2)))
    slope = (squares - (start**2).sum()) / step
    theory = predict(model, [step], initial=start)
    expected = (float(theory.trace_mean[0, 0]) - (start**2).sum()) / step
    assert abs(slope.mean() - expected) < 4.5 * slope.std() / math.sqrt(count) + 2e-3 * abs(expected)


def test_stationary_law_of_noise_on_the_right():
    """The matrix F ensemble: edges, density and mean trace."""
    n, m = 60, 120
    model = MatrixSGD(n, m, 400.0, (IsotropicNoise(1.0), RightMultiplicativeNoise(1.0)))
    ensemble = stationary_ensemble(model)
    assert isinstance(ensemble, MatrixFEnsemble)
    theory, spectra = predict(model, [0.5, math.inf]), ensemble.rvs(200, seed=0)
    traces = spectra.sum(axis=1)
    assert abs(traces.mean() - float(theory.trace_mean[0, 1])) < 4.5 * traces.std() / math.sqrt(200)
    assert np.isnan(theory.density[0, 0]).all()
    grid, density = theory.x.values, theory.density.values[0, 1]
    mass = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(grid))])
    values = np.sort(spectra.ravel())
    assert np.abs(np.interp(values, grid, mass) - (np.arange(len(values)) + 0.5) / len(values)).max() < 0.01
    assert predict(MatrixSGD(2, 3, 0.9, (IsotropicNoise(1.0), ScalarMultiplicativeNoise(1.0))), [2.0]).trace_mean > 0.0


@pytest.mark.parametrize(("n", "m"), [(2, 4), (4, 2), (3, 3)])
def test_stationary_ensembles_of_one_sided_noise(n, m):
    """Mean log of the largest value after long simulation, both sides and shapes: 5 standard errors and a step's bias.

    The other side's law, where it differs, and one of 2.2 times the noise are caught.
    """
    made = {"right": RightMultiplicativeNoise, "left": LeftMultiplicativeNoise}
    for side, kind in made.items():
        model = MatrixSGD(n, m, 1.0, (IsotropicNoise(0.5), kind(0.12)))
        run = simulate(model, [4.0], seed=1, replicates=3000, method="euler", time_step=0.025)
        logs = np.log(run.eigenvalue.values[0, :, 0])
        bar = 5.0 * logs.std(axis=0) / math.sqrt(3000) + 0.02
        exact = np.log(stationary_ensemble(model).rvs(10_000, seed=2)).mean(axis=0)
        assert (np.abs(logs.mean(axis=0) - exact) < bar).all()
        other = made["left" if side == "right" else "right"](0.12)
        wrong = [kind(0.12 * 2.2)] + ([other] if n != m else [])
        for noise in wrong:
            foil = stationary_ensemble(MatrixSGD(n, m, 1.0, (IsotropicNoise(0.5), noise)))
            assert (np.abs(logs.mean(axis=0) - np.log(foil.rvs(3000, seed=2)).mean(axis=0)) > bar).any()


def _second_moment(model: MatrixSGD, start: np.ndarray, time: float) -> float:
    """Mean trace by integrating the equations of all means and products of entries."""
    n, m = start.shape
    side = n * m
    drift = np.kron(np.eye(n), model.loss.curvature + model.weight_decay * np.eye(m))
    force = (model.loss.target @ model.loss.curvature).ravel()
    separable, right, left, scalar = model.noise
    added = np.kron(separable.row_covariance, separable.col_covariance)

    def slope(_: float, state: np.ndarray) -> np.ndarray:
        mean, products = state[:side], state[side:].reshape(side, side)
        four = products.reshape(n, m, n, m)
        change = np.outer(force, mean) + np.outer(mean, force) + added - drift @ products - products @ drift
        change += 2.0 * right.diffusion * np.einsum("icjc,ab->iajb", four, np.eye(m)).reshape(side, side)
        change += 2.0 * left.diffusion * np.einsum("iaib,kl->kalb", four, np.eye(n)).reshape(side, side)
        change += 2.0 * scalar.diffusion * products
        return np.concatenate([force - drift @ mean, change.ravel()])

    first = np.concatenate([start.ravel(), np.outer(start.ravel(), start.ravel()).ravel()])
    last = solve_ivp(slope, (0.0, time), first, rtol=1e-10, atol=1e-12).y[side:, -1]
    return float(np.trace(last.reshape(side, side)))


def test_mean_trace_under_a_loss_and_noise_that_multiplies():
    """As by the equations of all products of entries to 1e-8, at rest too; and as simulated, where the sides matter."""
    n, m, start = 2, 3, np.arange(6.0).reshape(2, 3) / 3.0

    def model(right: float, left: float) -> MatrixSGD:
        noises = (
            SeparableNoise(np.diag([1.0, 0.3]), np.array([[0.5, 0.2, 0.0], [0.2, 1.0, 0.0], [0.0, 0.0, 0.1]])),
            RightMultiplicativeNoise(right), LeftMultiplicativeNoise(left), ScalarMultiplicativeNoise(0.05),
        )  # fmt: skip
        curvature = np.array([[1.0, 0.2, 0.1], [0.2, 0.5, 0.0], [0.1, 0.0, 2.0]])
        return MatrixSGD(n, m, 0.4, noises, QuadraticLoss(np.array([[1.0, 0.0, 2.0], [0.0, -1.0, 0.5]]), curvature))

    one = model(0.15, 0.02)
    theory = predict(one, [0.0, 0.7, 60.0, math.inf], initial=start).trace_mean.values[0]
    np.testing.assert_allclose(theory[0], (start**2).sum(), rtol=1e-12)
    np.testing.assert_allclose(theory[1], _second_moment(one, start, 0.7), rtol=1e-8)
    np.testing.assert_allclose(theory[2:], _second_moment(one, start, 60.0), rtol=1e-8)
    kept = simulate_statistics(one, [0.7], seed=4, replicates=5000, time_step=0.005, initial=start)
    verdicts = [
        compare(kept, predict(model(*sides), [0.7], initial=start)).verdict.item()
        for sides in ((0.15, 0.02), (0.02, 0.15))
    ]
    assert verdicts == ["undecided", "disagree"]
    assert math.isinf(predict(model(0.4, 0.3), [math.inf]).trace_mean.item())


def test_variance_of_the_trace_under_scalar_noise_is_that_of_its_law():
    """W = sqrt(V) Z at rest, V inverse gamma (a, b): E V = b/(a-1), E V^2 = b^2/((a-1)(a-2)); none for a <= 2."""
    n, m, g, diffusion, d = 2, 3, 1.0, 0.5, 0.2
    theory = predict(MatrixSGD(n, m, g, (IsotropicNoise(diffusion), ScalarMultiplicativeNoise(d))), [0.0, 90.0])
    a, b = 0.5 + g / (2 * d), diffusion / (2 * d)
    mean, square = n * m * b / (a - 1), n * m * (n * m + 2) * b**2 / ((a - 1) * (a - 2))
    np.testing.assert_allclose(theory.trace_variance[0], [0.0, square - mean**2], rtol=1e-10)
    assert math.isinf(
        trace_variance_of(np.zeros((n, m)), math.inf, decay=g, diffusion=0.5, right=0, left=0, scalar=0.4)
    )


@pytest.mark.parametrize("noise", [RightMultiplicativeNoise, LeftMultiplicativeNoise, ScalarMultiplicativeNoise])
def test_moments_of_the_trace_are_those_of_a_simulation(noise):
    """compare finds nothing at 20 000 replicates and 1e-3; it finds a noise 15 % up, or on the other side."""
    start, times = np.array([[2.0, 0.0, 1.0], [0.0, 1.5, 0.0]]), [0.3]

    def model(strength, kind=noise):
        return MatrixSGD(2, 3, 1.0, (IsotropicNoise(0.1), kind(strength)))

    kept = simulate_statistics(model(0.15), times, seed=4, replicates=20_000, time_step=0.005, initial=start)

    def verdicts(one):
        return compare(kept, predict(one, times, initial=start)).verdict.values

    assert verdicts(model(0.15)).tolist() == ["undecided", "undecided"]
    assert "disagree" in verdicts(model(1.15 * 0.15))[1]
    other = LeftMultiplicativeNoise if noise is RightMultiplicativeNoise else RightMultiplicativeNoise
    assert "disagree" in verdicts(model(0.15, other))


def test_what_has_no_theory_says_so():
    square = SpectralLoss(lambda s: s)
    with pytest.raises(UsageError, match="only None and QuadraticLoss have a theory"):
        predict(MatrixSGD(2, 3, 1.0, IsotropicNoise(1.0), square), [1.0])
    pulled = MatrixSGD(2, 3, 1.0, ScalarMultiplicativeNoise(1.0), QuadraticLoss(np.zeros((2, 3)), np.eye(3)))
    assert set(predict(pulled, [1.0, math.inf]).data_vars) == {"trace_mean"}
    with pytest.raises(UsageError, match="without a loss for isotropic noise"):
        stationary_ensemble(pulled)
    with pytest.raises(UsageError, match="simulate the others"):
        transition_ensemble(pulled, 1.0)
    free = QuadraticLoss(np.zeros((2, 3)), np.diag([1.0, 1.0, 0.0]))
    with pytest.raises(UsageError, match="no stationary law"):
        predict(MatrixSGD(2, 3, 0.0, IsotropicNoise(1.0), free), [math.inf])
    with pytest.raises(UsageError, match="no stationary law"):
        stationary_ensemble(MatrixSGD(2, 8, 1.0, (IsotropicNoise(1.0), RightMultiplicativeNoise(0.2))))
    both = (IsotropicNoise(1.0), LeftMultiplicativeNoise(0.1), RightMultiplicativeNoise(0.1))
    with pytest.raises(UsageError, match="the stationary ensemble is known for additive noise"):
        stationary_ensemble(MatrixSGD(2, 3, 1.0, both))
    with pytest.raises(UsageError, match="simulate the others"):
        transition_ensemble(MatrixSGD(2, 3, 1.0, (IsotropicNoise(1.0), LeftMultiplicativeNoise(0.1))), 1.0)
    two = (SeparableNoise(np.diag([1.0, 2.0]), np.eye(3)), SeparableNoise(np.eye(2), np.diag([1.0, 2.0, 3.0])))
    with pytest.raises(UsageError, match="not separable"):
        transition_ensemble(MatrixSGD(2, 3, 1.0, two), 1.0)
    assert set(predict(MatrixSGD(2, 3, 1.0, two), [1.0]).data_vars) == {"trace_mean", "trace_variance"}
    with pytest.raises(UsageError, match="give matrices"):
        predict(MatrixSGD(2, 3, 1.0, two[0]), [1.0], initial={"eigenvalue": [1.0, 0.0]})
    assert isinstance(transition_ensemble(MatrixSGD(2, 3, 1.0, two[0]), 1.0), GaussianMatrixEnsemble)
    recursion = LinearRegressionSGD(2, 3, 0.1, 4)
    with pytest.raises(UsageError, match=r"model.diffusion_model\(\)"):
        predict(recursion, [1.0])
    assert predict(recursion.diffusion_model(), [1.0]).trace_mean.item() == 0.0

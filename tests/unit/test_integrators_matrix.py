"""Schemes of the whole matrix: twins, bits, continuation, and arguments."""

import math
import subprocess
import sys

import numba
import numpy as np
import pytest

from sdespec.core.errors import NumericalError, UsageError
from sdespec.core.rng import standard_normal, words_of
from sdespec.integrators import _matrix_kernels, _matrix_reference, simulate, to_sdeint
from sdespec.integrators.gradients import flow, row_derivative
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
from sdespec.theory import predict

ROWS, COLS = np.array([[1.0, 0.3], [0.3, 0.5]]), np.array([[1.0, 0.2, 0.0], [0.2, 2.0, -0.4], [0.0, -0.4, 0.7]])
EVERYTHING = (
    IsotropicNoise(0.5), SeparableNoise(ROWS, COLS), ScalarMultiplicativeNoise(0.05), RightMultiplicativeNoise(0.1),
    LeftMultiplicativeNoise(0.04), SeparableNoise(np.eye(2), 0.1 * COLS),
)  # fmt: skip
TARGET, CURVATURE = np.arange(6.0).reshape(2, 3) / 4.0, np.diag([0.5, 1.0, 2.0]) + 0.3
QUADRATIC = QuadraticLoss(TARGET, CURVATURE)
START = np.array([[1.0, -2.0, 0.5], [0.3, 0.4, 2.0]])


def double_well(w):
    return w * w * w - w


COMPILED = numba.njit(double_well)

CASES = [
    (MatrixSGD(2, 3, 0.7, EVERYTHING, QUADRATIC), {"time_step": 0.05}),
    (MatrixSGD(2, 3, 0.7, (IsotropicNoise(0.2), SeparableNoise(ROWS, COLS)), QUADRATIC), {}),
    (MatrixSGD(2, 3, 0.7, ScalarMultiplicativeNoise(0.2)), {"time_step": 0.05}),
    (MatrixSGD(2, 3, 0.7, SeparableNoise(ROWS, COLS)), {"save_weights": True}),
    (MatrixSGD(2, 3, 0.7, loss=double_well), {"time_step": 0.05}),
    (MatrixSGD(2, 3, 0.7, loss=COMPILED), {"time_step": 0.05, "method": "exponential"}),
    (MatrixSGD(2, 3, 0.7, loss=SpectralLoss(lambda s: s**3)), {"time_step": 0.05}),
    (MatrixSGD(2, 3, 0.7, loss=SpectralLoss(np.tanh)), {"time_step": 0.05, "save_weights": True}),
    (LinearRegressionSGD(2, 3, 0.1, 4, 1.0), {}),
]


@pytest.mark.parametrize(("model", "options"), CASES)
def test_bits_do_not_depend_on_threads_ranges_or_company(model, options):
    times = [0, 3, 10] if isinstance(model, LinearRegressionSGD) else [0.0, 0.3, 1.0]
    whole = simulate(model, times, seed=3, replicates=70, threads=1, initial=START, **options)
    threaded = simulate(model, times, seed=3, replicates=70, threads=2, initial=START, **options)
    assert np.array_equal(whole.eigenvalue, threaded.eigenvalue)
    part = simulate(model, times, seed=3, replicates=range(62, 67), threads=2, initial=START, **options)
    assert np.array_equal(part.eigenvalue, whole.eigenvalue.isel(replicate=slice(62, 67)))
    other = simulate(model, times, seed=4, replicates=70, initial=START, **options)
    assert not (whole.eigenvalue.values[..., 1:, :] == other.eigenvalue.values[..., 1:, :]).any()
    values = np.linalg.svd(START, compute_uv=False) ** 2
    np.testing.assert_allclose(whole.eigenvalue.values[0, 5, 0], values, rtol=1e-12)


@pytest.mark.parametrize(("model", "options"), CASES)
def test_a_path_does_not_depend_on_a_break(model, options):
    times = [4, 10] if isinstance(model, LinearRegressionSGD) else [0.4, 1.0]
    options = {"seed": 3, "replicates": 3, "save_weights": True} | options
    ends = simulate(model, times, initial=START, **options)
    half = simulate(model, times[:1], initial=START, **options)
    rest = simulate(model, times[1:], initial=half, **options)
    assert rest.attrs["steps_done"] == ends.attrs["steps_done"]
    np.testing.assert_allclose(rest.eigenvalue.isel(time=-1), ends.eigenvalue.isel(time=-1), rtol=1e-8)
    assert not np.allclose(half.eigenvalue.isel(time=-1), ends.eigenvalue.isel(time=-1), rtol=1e-2)


def _draws(step, seed=3, replicate=6):
    def draw(shape, purpose):
        return standard_normal(shape, seed=seed, replicate=replicate, step=step, purpose=purpose)

    return draw


def _additive(noise, draw, more=0):
    separable = [draw((2, 3), 16 + p + more) for p in range(len(noise.rows))]
    return _matrix_reference.additive(noise, draw((2, 3), more), separable)


def _multiplicative(weight, noise, draw):
    return _matrix_reference.multiplicative(weight, noise, draw((1,), 4)[0], draw((3, 3), 5), draw((2, 2), 6))


@pytest.mark.parametrize("loss", [None, QUADRATIC])
@pytest.mark.parametrize("milstein", [False, True])
def test_affine_steps_equal_their_twin(loss, milstein):
    model, h = MatrixSGD(2, 3, 0.7, EVERYTHING, loss), 0.1
    step = euler_step(model, h, milstein=milstein)
    found, expected = START.copy(), START.copy()
    _matrix_kernels.affine_steps(found, *step, 5, words_of(seed=3, replicate=6, step=10))
    curvature, target = (np.zeros((3, 3)), 0.0 * TARGET) if loss is None else (CURVATURE, TARGET)
    for k in range(5):
        drawn = _additive(step.noise, _draws(10 + k)) + _multiplicative(expected, step.noise, _draws(10 + k))
        propagator = np.eye(3) - h * (curvature + 0.7 * np.eye(3))
        expected = _matrix_reference.affine_step(expected, propagator, h * target @ curvature, drawn)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(("shape", "noise"), [((2, 9), RightMultiplicativeNoise), ((9, 2), LeftMultiplicativeNoise)])
def test_noise_of_long_matrices_is_drawn_in_the_space_of_their_short_side(shape, noise):
    """W dB' = R^T (Q^T dB') with Q^T dB' independent; the kicks have the covariance W W^T x 1 (3 % of the largest)."""
    start = standard_normal(shape, seed=0, replicate=0)
    step = euler_step(MatrixSGD(*shape, 0.0, noise(0.5)), 1.0)
    purpose, right = (5, True) if noise is RightMultiplicativeNoise else (6, False)
    kicks = np.empty((40_000, 2, 9))
    for r in range(len(kicks)):
        found = start.copy()
        _matrix_kernels.affine_steps(found, *step, 1, words_of(seed=3, replicate=r, step=0))
        kicks[r] = found - start if right else (found - start).T
    wide = start if right else start.T
    drawn = standard_normal(shape, seed=3, replicate=0, purpose=purpose)
    factor = np.linalg.qr(wide.T)[1].T
    np.testing.assert_allclose(kicks[0], factor @ (drawn if right else drawn.T), rtol=1e-10)
    covariance = np.einsum("ria,rjb->iajb", kicks, kicks) / len(kicks)
    expected = np.einsum("ij,ab->iajb", wide @ wide.T, np.eye(9))
    assert np.abs(covariance - expected).max() < 0.03 * np.abs(expected).max()


@pytest.mark.parametrize("gradient", [double_well, COMPILED])
def test_schemes_with_a_gradient_equal_their_twins(gradient):
    """SRA1 and exponential Euler on isotropic and separable noise, with plain and with compiled gradients."""
    model, h = MatrixSGD(2, 3, 0.7, (IsotropicNoise(0.2), SeparableNoise(ROWS, COLS)), gradient), 0.1
    run = {"seed": 3, "replicates": range(6, 7), "initial": START, "time_step": h, "save_weights": True}
    found = simulate(model, [0.5], method="sra1", **run).weight.values[0, 0, 0]
    noise, expected = euler_step(model, h).noise, START
    for k in range(5):
        first, second = _additive(noise, _draws(k)), _additive(noise, _draws(k), 64)
        expected = _matrix_reference.sra1_step(expected, lambda w: -double_well(w) - 0.7 * w, h, first, second)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    found = simulate(model, [0.5], method="exponential", **run).weight.values[0, 0, 0]
    linear = MatrixSGD(2, 3, 0.7, model.noise)
    noise, expected = exact_step(linear, h).noise, START
    for k in range(5):
        offset = -(1 - math.exp(-0.7 * h)) / 0.7 * double_well(expected)
        drawn = _additive(noise, _draws(k))
        expected = _matrix_reference.affine_step(expected, math.exp(-0.7 * h) * np.eye(3), offset, drawn)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("label_noise", [0.0, 1.5])
def test_regression_equals_its_twin(label_noise):
    model = LinearRegressionSGD(2, 3, 0.1, 4, label_noise)
    run = simulate(model, [1, 5], seed=3, replicates=range(6, 7), initial=START, save_weights=True)
    expected = START
    for k in range(5):
        inputs, labels = _draws(k)((3, 4), 0), _draws(k)((2, 4), 7)
        expected = _matrix_reference.regression_step(expected, 0.1, label_noise, inputs, labels)
    np.testing.assert_allclose(run.weight.values[0, 0, 1], expected, rtol=1e-12)
    assert run.time.attrs["clock"] == "step"
    assert run.attrs["method"] == "recursion"


def test_two_exact_steps_are_one():
    """Mean and covariance of two steps of .3 and .5 equal those of one of .8; of step inf, those at rest."""
    model = MatrixSGD(2, 3, 0.7, (IsotropicNoise(0.2), SeparableNoise(ROWS, COLS)), QUADRATIC)

    def moments(step):
        covariance = sum(np.kron(r @ r.T, c.T @ c) for r, c in zip(step.noise.rows, step.noise.cols, strict=True))
        return np.kron(np.eye(2), step.propagator.T), step.offset.ravel(), covariance

    (e1, b1, c1), (e2, b2, c2), (e3, b3, c3) = (moments(exact_step(model, h)) for h in (0.3, 0.5, 0.8))
    np.testing.assert_allclose(e2 @ e1, e3, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(e2 @ b1 + b2, b3, rtol=1e-12)
    np.testing.assert_allclose(e2 @ c1 @ e2.T + c2, c3, rtol=1e-11, atol=1e-14)
    _, rest, covariance = moments(exact_step(model, math.inf))
    drift = np.kron(np.eye(2), CURVATURE + 0.7 * np.eye(3))
    np.testing.assert_allclose(drift @ rest, (TARGET @ CURVATURE).ravel(), rtol=1e-12)
    noise = 0.4 * np.eye(6) + np.kron(ROWS, COLS)
    np.testing.assert_allclose(drift @ covariance + covariance @ drift, noise, atol=1e-13)
    free = MatrixSGD(2, 3, 0.0, SeparableNoise(ROWS, COLS), QuadraticLoss(TARGET, np.zeros((3, 3))))
    step = exact_step(free, 0.4)
    np.testing.assert_allclose(step.noise.cols[0] @ step.noise.cols[0], 0.4 * COLS, atol=1e-14)


def test_the_flow_of_a_loss():
    """s' = -s^3: s(t) = s / sqrt(1 + 2 t s^2); s' = -1 from 1 over 3 comes back as 2; rows do not mix."""
    s = np.array([[3.0, 1.0, 0.1], [40.0, 2.0, 0.0]])
    np.testing.assert_allclose(flow(s, lambda x: x**3, 0.7), s / np.sqrt(1 + 1.4 * s**2), rtol=1e-6)
    np.testing.assert_allclose(flow(np.array([[1.0]]), np.ones_like, 3.0), [[2.0]])
    coupled = row_derivative(lambda x: x * (x**2).sum(), 3)
    assert np.array_equal(flow(s, coupled, 0.1)[1:], flow(s[1:], coupled, 0.1))
    with pytest.raises(NumericalError, match="give a shorter time_step"):
        flow(np.array([[1.0]]), lambda x: -(x**3), 1.0)
    with pytest.raises(UsageError, match=r"gave the shape \(\)"):
        row_derivative(lambda x: x.sum(), 3)


@pytest.mark.parametrize(
    ("model", "method", "order", "strong", "weak"),
    [
        (MatrixSGD(2, 3, 1.0, SeparableNoise(ROWS, COLS)), "exact", math.inf, math.inf, math.inf),
        (MatrixSGD(2, 3, 1.0, loss=QUADRATIC), "exact", math.inf, math.inf, math.inf),
        (MatrixSGD(2, 3, 1.0, loss=SpectralLoss(np.tanh)), "strang", 2.0, None, 2.0),
        (MatrixSGD(2, 3, 1.0, loss=double_well), "sra1", 1.5, 1.5, 2.0),
        (MatrixSGD(2, 3, 1.0, ScalarMultiplicativeNoise(0.1)), "milstein", 1.0, 1.0, 1.0),
        (MatrixSGD(2, 3, 1.0, LeftMultiplicativeNoise(0.1)), "euler", 1.0, 0.5, 1.0),
        (MatrixSGD(2, 3, 1.0, (IsotropicNoise(1.0), ScalarMultiplicativeNoise(0.1))), "euler", 1.0, 0.5, 1.0),
        (MatrixSGD(2, 3, 1.0, LeftMultiplicativeNoise(0.1), double_well), "euler", 1.0, 0.5, 1.0),
    ],
)
def test_auto_takes_the_method_that_the_structure_allows(model, method, order, strong, weak):
    step = {} if method == "exact" else {"time_step": 0.1}
    run = simulate(model, [0.2], seed=0, **step)
    assert run.attrs["method"] == method
    assert run.attrs["method_order"] == order
    assert run.attrs.get("method_strong_order") == strong
    assert run.attrs["method_weak_order"] == weak
    if step:
        with pytest.raises(UsageError, match=f"method '{method}' needs a time_step"):
            simulate(model, [0.2], seed=0)


RIGHT = MatrixSGD(2, 3, 1.0, (IsotropicNoise(1.0), RightMultiplicativeNoise(0.1)))
USER = MatrixSGD(2, 3, 1.0, loss=double_well)
REGRESSION = LinearRegressionSGD(2, 3, 0.1, 4)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (RIGHT, {"method": "milstein", "time_step": 0.1}, "use method='euler'"),
        (RIGHT, {"method": "exact"}, "use method='euler'"),
        (RIGHT, {"method": "sra1", "time_step": 0.1}, "needs additive noise; use method='euler'"),
        (RIGHT, {"method": "sorted_euler", "time_step": 0.1}, "use method='euler'"),
        (RIGHT, {"method": "heun", "time_step": 0.1}, "method is 'heun'; allowed for a MatrixSGD: auto"),
        (RIGHT, {"time_step": -0.1}, "time_step is -0.1"),
        (RIGHT, {"time_step": 0.1, "times": [math.inf]}, "never reaches time inf"),
        (RIGHT, {"time_step": 0.1, "times": [2.0, 1.0]}, "must increase"),
        (USER, {"method": "strang", "time_step": 0.1}, "needs a SpectralLoss"),
        (USER, {"method": "exact"}, "use method='sra1'"),
        (USER, {"time_step": 0.1, "initial": "stationary"}, "no condition is known"),
        (USER, {"time_step": 0.1, "initial": {"eigenvalue": [1.0, 2.0]}}, "depends on the singular vectors"),
        (MatrixSGD(2, 3, 1.0, loss=QUADRATIC), {"time_step": 0.1}, "no meaning for the exact"),
        (MatrixSGD(2, 3, 0.0, SeparableNoise(ROWS, COLS)), {"times": [math.inf]}, "there is no stationary law"),
        (MatrixSGD(2, 9, 1.0, RightMultiplicativeNoise(0.5)), {"initial": "stationary", "time_step": 0.1}, "k_right"),
        (MatrixSGD(2, 3, 1.0, EVERYTHING), {"initial": "stationary", "time_step": 0.1}, "not known in closed form"),
        (MatrixSGD(2, 3, loss=lambda w: w.T), {"time_step": 0.1}, r"gradient of the shape \(3, 2\)"),
        (MatrixSGD(2, 3, loss=numba.njit(lambda w: w.T)), {"time_step": 0.1}, "must take a C-contiguous"),
        (MatrixSGD(2, 3, loss=numba.njit(lambda w: w[:1].copy())), {"time_step": 0.1}, r"the shape \(1, 3\)"),
        (REGRESSION, {"times": [0.5]}, "whole numbers of updates"),
        (REGRESSION, {"times": [math.inf]}, "whole numbers of updates"),
        (REGRESSION, {"method": "exact"}, "no other than 'auto'"),
        (REGRESSION, {"time_step": 0.1}, "no meaning for LinearRegressionSGD"),
        (REGRESSION, {"initial": "stationary"}, "not known; start from a matrix"),
    ],
)
def test_arguments_are_checked(model, options, message):
    arguments = {"times": [1.0], "seed": 0} | options
    with pytest.raises(UsageError, match=message):
        simulate(model, arguments.pop("times"), **arguments)


def test_schemes_that_leave_the_range_of_numbers_say_so():
    for model, options, remedy in (
        (USER, {"time_step": 1.0, "method": "euler"}, "give a shorter time_step"),
        (MatrixSGD(2, 3, loss=SpectralLoss(lambda s: s**3)), {"time_step": 1.0, "method": "sra1"}, "shorter time_step"),
        (MatrixSGD(2, 9, noise=RightMultiplicativeNoise(9.0)), {"time_step": 1.0}, "shorter time_step"),
        (LinearRegressionSGD(2, 3, 3.0, 1), {}, "lower its learning rate"),
    ):
        with pytest.raises(NumericalError, match=remedy):
            simulate(model, [5000.0], seed=0, initial=np.ones((model.n_rows, model.n_cols)) + 9.0, **options)


_PEAK = """
import resource, sys
from pathlib import Path
import numpy as np
from sdespec.integrators import simulate
from sdespec.models import IsotropicNoise, MatrixSGD, RightMultiplicativeNoise
kept = []
def leak(weight):
    kept.append(weight)
    return weight
noise = (IsotropicNoise(1e-3), RightMultiplicativeNoise(1e-4))
model = MatrixSGD(600, 600, 1.0, noise, leak if sys.argv[1] == "leak" else None)
status = Path("/proc/self/status")
def run(steps):
    simulate(model, [0.01 * steps], seed=0, time_step=0.01, threads=1)
    if status.exists():  # ru_maxrss starts at the peak of the parent process
        return int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
few = run(2)
print((run(40) - few) / (600 * 600 * 8))
"""


def test_memory_does_not_grow_with_the_number_of_steps():
    """The peak of 40 steps of 600 x 600 is that of 2 steps to two matrices. Planted: a loss that keeps its arguments."""
    found = {
        name: float(subprocess.run([sys.executable, "-c", _PEAK, name], capture_output=True, text=True, check=True).stdout)
        for name in ("plain", "leak")
    }  # fmt: skip
    assert found["plain"] < 2.0
    assert found["leak"] > 20.0


def test_other_rooms_refuse_what_they_do_not_know():
    with pytest.raises(UsageError, match="have a theory"):
        predict(USER, [1.0])
    with pytest.raises(UsageError, match="has no single diffusion"):
        to_sdeint(USER)

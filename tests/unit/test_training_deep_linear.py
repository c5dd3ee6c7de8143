"""One trained network against gradients, Jacobians and recursions that are written out here in plain NumPy."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from sdespec.core.rng import standard_normal
from sdespec.models import DeepLinearNetwork
from sdespec.training import _kernels, _reference, simulate
from sdespec.training.deep_linear import TrainedNetwork
from sdespec.training.observables import spectrum, tangent_top
from sdespec.training.plan import plan_of
from sdespec.training.streams import Purpose

INF = math.inf
SEED, REPLICATE, DIM = 5, 3, 6

VARIANTS = {
    "population": DeepLinearNetwork(1.5, INF, 1, 2.0, 0.05, input_dim=DIM),
    "population, deep": DeepLinearNetwork(0.5, INF, 3, 3.0, 0.05, label_noise=0.4, input_dim=DIM),
    "samples": DeepLinearNetwork(1.5, 2.0, 2, 2.0, 0.05, input_dim=DIM),
    "samples, label noise": DeepLinearNetwork(1.0, 0.5, 2, 2.0, 0.05, label_noise=0.7, input_dim=DIM),
    "variances": DeepLinearNetwork(2.0, 1.5, 2, 2.0, 0.05, weight_variance=0.5, readout_variance=3.0, input_dim=DIM),
    "one pass": DeepLinearNetwork(1.0, INF, 2, 2.0, 0.05, label_noise=0.3, batch_ratio=0.5, input_dim=DIM),
    "batches": DeepLinearNetwork(
        1.0, 2.0, 1, 2.0, 0.05, label_noise=0.3, batch_ratio=0.5, batches=[2, 0, 3, 1] * 4, input_dim=DIM
    ),
    "ntk": DeepLinearNetwork(2.0, 1.0, 2, 2.0, 0.05, parametrization="ntk", base_width=0.5, input_dim=DIM),
}


def network(model: DeepLinearNetwork) -> TrainedNetwork:
    return TrainedNetwork(plan_of(model, [0]), seed=SEED, replicate=REPLICATE)


def weights_of(net: TrainedNetwork) -> list[np.ndarray]:
    return [*(matrix.copy() for matrix in net.matrices), net.readout.copy()]


def data(model: DeepLinearNetwork, step: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Inputs and label noise of an update, drawn here anew."""
    draw = {"seed": SEED, "replicate": REPLICATE}
    fresh = model.batch_ratio is not None and model.batches is None
    if math.isinf(model.sample_ratio) and not fresh:
        return None
    count = round((model.batch_ratio if fresh else model.sample_ratio) * DIM)
    place = step if fresh else 0
    inputs = standard_normal((count, DIM), step=place, purpose=int(Purpose.INPUTS), **draw)
    noise = model.label_noise * standard_normal((count,), step=place, purpose=int(Purpose.LABEL_NOISE), **draw)
    if model.batches is not None:
        size = round(model.batch_ratio * DIM)
        rows = slice(model.batches[step] * size, (model.batches[step] + 1) * size)
        return inputs[rows], noise[rows]
    return inputs, noise


def output(model: DeepLinearNetwork, weights: list[np.ndarray], inputs: np.ndarray) -> np.ndarray:
    hidden = inputs.T
    for matrix in weights[:-1]:
        hidden = matrix @ hidden
    return weights[-1] @ hidden / model.gamma


def mean_square(model: DeepLinearNetwork, weights: list[np.ndarray], teacher: np.ndarray, step: int) -> float:
    used = data(model, step)
    if used is None:
        error = teacher - output(model, weights, np.eye(DIM))
        return float(error @ error) + model.label_noise**2
    inputs, noise = used
    return float(np.mean((inputs @ teacher + noise - output(model, weights, inputs)) ** 2))


def gradient(model: DeepLinearNetwork, weights: list[np.ndarray], teacher: np.ndarray, step: int) -> list[np.ndarray]:
    """Central differences of half the mean square, entry by entry."""
    found = []
    for array in weights:
        slope = np.empty_like(array)
        for place in np.ndindex(array.shape):
            kept, sides = array[place], []
            for shift in (1e-5, -1e-5):
                array[place] = kept + shift
                sides.append(0.5 * mean_square(model, weights, teacher, step))
            array[place] = kept
            slope[place] = (sides[0] - sides[1]) / 2e-5
        found.append(slope)
    return found


@pytest.mark.parametrize("name", VARIANTS)
def test_an_update_is_a_step_down_the_gradient(name: str) -> None:
    model = VARIANTS[name]
    net = network(model)
    for step in range(3):
        before = weights_of(net)
        slopes = gradient(model, before, net.teacher, step)
        assert net.train_loss == pytest.approx(mean_square(model, before, net.teacher, step), rel=1e-12)
        net.update()
        for old, new, slope in zip(before, weights_of(net), slopes, strict=True):
            scale = model.learning_rate * model.gamma**2
            np.testing.assert_allclose((old - new) / scale, slope, rtol=1e-6, atol=1e-9)


def test_the_test_loss_is_against_labels_without_noise() -> None:
    net = network(VARIANTS["samples, label noise"])
    error = net.teacher - output(VARIANTS["samples, label noise"], weights_of(net), np.eye(DIM))
    assert net.test_loss == pytest.approx(error @ error, rel=1e-12)
    assert np.linalg.norm(net.teacher) == pytest.approx(1.0, rel=1e-14)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize(("momentum", "decay"), [(0.8, 0.0), (0.0, 0.03), (0.6, 0.02)])
def test_momentum_and_decay_are_the_plain_recursion(name: str, momentum: float, decay: float) -> None:
    model = replace(VARIANTS[name], momentum=momentum, weight_decay=decay)
    net = network(model)
    weights = weights_of(net)
    velocities = [np.zeros_like(array) for array in weights]
    for step in range(6):
        slopes = exact_gradient(model, weights, net.teacher, step)
        for array, velocity, slope in zip(weights, velocities, slopes, strict=True):
            velocity *= momentum
            velocity -= model.learning_rate * model.gamma**2 * slope + decay * array
            array += velocity
        net.update()
    assert net.step == 6
    for ours, plain in zip(weights_of(net), weights, strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-10, atol=1e-13)


def exact_gradient(
    model: DeepLinearNetwork, weights: list[np.ndarray], teacher: np.ndarray, step: int
) -> list[np.ndarray]:
    """Gradient of half the mean square by full matrices of samples."""
    used = data(model, step)
    inputs, noise = used if used is not None else (math.sqrt(DIM) * np.eye(DIM), np.zeros(DIM))
    residual = inputs @ teacher + noise - output(model, weights, inputs)
    hidden = [inputs.T]
    for matrix in weights[:-1]:
        hidden.append(matrix @ hidden[-1])
    backward = np.outer(weights[-1], residual)
    slopes = [hidden[-1] @ residual]
    for place in range(len(weights) - 2, -1, -1):
        slopes.insert(0, backward @ hidden[place].T)
        backward = weights[place].T @ backward
    return [-slope / (len(inputs) * model.gamma) for slope in slopes]


@pytest.mark.parametrize("samples", [INF, 2.0])
def test_differences_of_grams_are_kept_to_first_order_in_the_learning_rate(samples: float) -> None:
    """The drift of M_{l+1}^T M_{l+1} - M_l M_l^T over a fixed time halves with the learning rate."""
    drifts = []
    for halvings in range(3):
        model = DeepLinearNetwork(1.0, samples, 2, 4.0, 0.008 / 2**halvings, input_dim=30)
        net = network(model)
        start = balances(net)
        for _ in range(40 * 2**halvings):
            net.update()
        drifts.append([np.linalg.norm(end - begin) for begin, end in zip(start, balances(net), strict=True)])
        assert net.test_loss < 0.3
    orders = np.log2(np.array(drifts)[:-1] / np.array(drifts)[1:])
    assert (np.abs(orders - 1.0) < 0.1).all()
    assert np.max(drifts) < 0.5


def balances(net: TrainedNetwork) -> list[np.ndarray]:
    layers = [*net.matrices, net.readout[None, :].copy()]
    return [above.T @ above - below @ below.T for below, above in pairwise(layers)]


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("samples", [INF, 0.5, 2.0])
def test_the_tangent_kernel_is_that_of_the_jacobian(layers: int, samples: float) -> None:
    """The output is linear in every weight, so unit differences are exact derivatives."""
    model = DeepLinearNetwork(1.5, samples, layers, 2.0, 0.05, input_dim=DIM)
    net = network(model)
    for _ in range(3):
        net.update()
    weights = weights_of(net)
    used = data(model, 0)
    inputs = math.sqrt(DIM) * np.eye(DIM) if used is None else used[0]
    columns = []
    for array in weights:
        for place in np.ndindex(array.shape):
            here = output(model, weights, inputs)
            array[place] += 1.0
            columns.append(output(model, weights, inputs) - here)
            array[place] -= 1.0
    jacobian = model.gamma * np.array(columns).T
    expected = np.linalg.eigvalsh(jacobian @ jacobian.T)[-1] / len(inputs)
    ours = tangent_top(net.matrices, net.backward_norms, net.samples.inputs, np.ones(len(inputs)))
    assert ours == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("samples", [INF, 0.8, 2.0])
def test_the_search_for_the_top_equals_the_full_kernel(samples: float) -> None:
    net = network(DeepLinearNetwork(1.0, samples, 2, 2.0, 0.05, input_dim=120))
    first, second = net.matrices
    norms = net.backward_norms
    kernel = norms[0] * np.eye(120) + first.T @ (norms[1] * np.eye(120) + second.T @ second) @ first
    inputs = net.samples.inputs
    if inputs is not None:
        kernel = inputs @ kernel @ inputs.T / len(inputs)
    ours = tangent_top(net.matrices, norms, inputs, standard_normal((len(kernel),), seed=1, replicate=0))
    assert ours == pytest.approx(np.linalg.eigvalsh(kernel)[-1], rel=1e-8)


def test_backward_norms_are_those_of_the_backward_vectors() -> None:
    net = network(VARIANTS["population, deep"])
    vectors = [net.readout, net.matrices[2].T @ net.readout]
    vectors.append(net.matrices[1].T @ vectors[-1])
    np.testing.assert_allclose(net.backward_norms, [*(v @ v for v in vectors[::-1]), 1.0], rtol=1e-12)


def test_kernels_equal_their_twins_to_the_bit() -> None:
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=7), rng.normal(size=11)
    ours, velocity = rng.normal(size=(2, 7, 11))
    twin, twin_velocity = ours.copy(), velocity.copy()
    for _ in range(3):
        _kernels.plain_update(ours, left, right, 0.3, 0.05)
        _reference.plain_update(twin, left, right, 0.3, 0.05)
        np.testing.assert_array_equal(ours, twin)
        _kernels.momentum_update(ours, velocity, left, right, 0.3, 0.8, 0.05)
        _reference.momentum_update(twin, twin_velocity, left, right, 0.3, 0.8, 0.05)
        np.testing.assert_array_equal(ours, twin)
        np.testing.assert_array_equal(velocity, twin_velocity)


def test_every_kind_of_number_has_its_own_stream() -> None:
    kinds = [int(purpose) for purpose in Purpose]
    assert len(set(kinds)) == len(kinds)
    net = network(DeepLinearNetwork(1.0, 1.0, 2, 2.0, 0.05, label_noise=1.0, input_dim=8))
    noise = net.samples.of_update(0)[1]
    drawn = [net.matrices[0][0], net.matrices[1][0], net.readout, net.teacher, net.samples.inputs[0], noise]
    correlation = np.corrcoef(drawn) - np.eye(len(drawn))
    assert np.abs(correlation).max() < 0.98  # equal streams would have 1


def test_fresh_samples_differ_from_update_to_update() -> None:
    net = network(VARIANTS["one pass"])
    first, again, second = (net.samples.of_update(step)[0] for step in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.any(first == second)
    assert net.samples.inputs is None


def test_spectra_of_vanished_weights_are_zero() -> None:
    np.testing.assert_array_equal(spectrum(np.full((2, 3), 1e-150)), [0.0, 0.0])
    model = DeepLinearNetwork(1.0, INF, 1, 1.0, 0.01, weight_decay=0.9, input_dim=5)
    ds = simulate(model, [400], seed=1)
    assert (ds.eigenvalue.values == 0.0).all()
    assert float(ds.test_loss[0, 0]) == pytest.approx(1.0)

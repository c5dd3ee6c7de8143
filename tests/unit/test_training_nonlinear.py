"""Finite nonlinear networks: updates against finite differences, tangent kernels against Jacobians, kernels, records."""

from __future__ import annotations

import math
import pickle
import warnings
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from scipy.special import log_softmax

import sdespec as sd
from sdespec.core.errors import UsageError
from sdespec.models import DeepNetwork
from sdespec.models.deep_network import Activation
from sdespec.training import _kernels, _reference, nonlinear, simulate
from sdespec.training.activations import ACTIVATIONS, activate
from sdespec.training.nonlinear import NonlinearNetwork
from sdespec.training.plan import plan_of

RNG = np.random.default_rng(3)
INPUTS = RNG.standard_normal((4, 3))
TARGETS = RNG.standard_normal((4, 2))
HOT = np.eye(2)[[0, 1, 1, 0]]
NOISE = RNG.standard_normal((3, 4, 2))
BATCHES = [[0, 2], [3, 1, 1], [2]]
VALUES = ("eigenvalue", "train_loss", "ntk_top", "sharpness", "network_output")

BARE = {
    "tanh": np.tanh,
    "erf": np.vectorize(lambda h: math.erf(math.sqrt(math.pi) / 2 * h)),
    "softplus": lambda h: np.log(1.0 + np.exp(h)),
    "relu": lambda h: np.where(h > 0.0, h, 0.0),
    "linear": lambda h: h,
}
VARIANTS = {
    "one layer": {"hidden_layers": 1},
    "three layers": {"hidden_layers": 3, "weight_variance": 1.5},
    "ntk": {"parametrization": "ntk", "base_width": 2.0},
    "not centred": {"centered": False},
    "momentum and decay": {"momentum": 0.7, "weight_decay": 0.1},
    "decay": {"weight_decay": 0.1},
    "batches": {"batches": BATCHES, "momentum": 0.5},
    "label noise": {"label_noise": NOISE},
}


def small(loss: str = "square", **fields) -> DeepNetwork:
    targets = HOT if loss == "cross_entropy" else TARGETS
    options = {"width": 5, "learning_rate": 0.2, "feature_strength": 1.5, "loss": loss} | fields
    return DeepNetwork(INPUTS, targets, options.pop("hidden_layers", 2), **options)


def started(model: DeepNetwork) -> NonlinearNetwork:
    return NonlinearNetwork(plan_of(model, [0]), seed=5, replicate=2)


def outputs_of(model: DeepNetwork, weights: list[np.ndarray]) -> np.ndarray:
    """Outputs (P, C) from the entries of W^0 ... W^{L-1} and w, as the model is written down."""
    hidden = weights[0] @ model.inputs.T / math.sqrt(model.n_features)
    for weight in weights[1:-1]:
        hidden = weight @ BARE[model.activation](hidden) / math.sqrt(model.width)
    return (weights[-1] @ BARE[model.activation](hidden) / (model.gamma * model.width)).T


def slope_of(function, weights: list[np.ndarray]) -> list[np.ndarray]:
    """Central differences of a function of all weights; the entry comes first."""
    found = []
    for weight in weights:
        slopes = []
        for place in np.ndindex(weight.shape):
            here, values = weight[place], []
            for shift in (1e-5, -1e-5):
                weight[place] = here + shift
                values.append(function(weights))
            weight[place] = here
            slopes.append((values[0] - values[1]) / 2e-5)
        found.append(np.array(slopes).reshape(*weight.shape, *np.shape(values[0])))
    return found


class Written:
    """Gradient descent by the definition, with numerical gradients."""

    def __init__(self, model: DeepNetwork, network: NonlinearNetwork) -> None:
        root = math.sqrt(model.width)
        self.model, self.step = model, 0
        self.weights = [root * matrix for matrix in network.matrices] + [network.readout.copy()]
        self.velocities = [np.zeros_like(weight) for weight in self.weights]
        self.start = outputs_of(model, self.weights) if model.centered else 0.0

    def loss(self, weights: list[np.ndarray]) -> float:
        model = self.model
        outputs = outputs_of(model, weights) - self.start
        if model.loss == "cross_entropy":
            each = -np.sum(model.targets * log_softmax(outputs, axis=1), axis=1)
        else:
            noise = 0.0 if model.label_noise is None else model.label_noise[self.step]
            each = 0.5 * np.sum((model.targets + noise - outputs) ** 2, axis=1)
        batch = range(model.n_samples) if model.batches is None else model.batches[self.step]
        return float(np.mean([each[i] for i in batch]))

    def update(self) -> None:
        model = self.model
        rate = model.learning_rate * model.gamma**2 * model.width
        for i, slope in enumerate(slope_of(self.loss, self.weights)):
            self.velocities[i] = (
                model.momentum * self.velocities[i] - rate * slope - model.weight_decay * self.weights[i]
            )
        for i, velocity in enumerate(self.velocities):
            self.weights[i] = self.weights[i] + velocity
        self.step += 1


def largest_gap(model: DeepNetwork, network: NonlinearNetwork, written: Written) -> float:
    """Largest difference of a weight after three updates, over the largest change."""
    before = [weight.copy() for weight in written.weights]
    for _ in range(3):
        network.update()
        written.update()
    found = [math.sqrt(model.width) * matrix for matrix in network.matrices] + [network.readout]
    change = max(np.abs(new - old).max() for new, old in zip(written.weights, before, strict=True))
    assert change > 0.01
    return max(np.abs(a - b).max() for a, b in zip(found, written.weights, strict=True)) / change


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("loss", ["square", "cross_entropy"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_updates_descend_the_numerical_gradient(activation: str, loss: str, variant: str) -> None:
    fields = VARIANTS[variant] if loss == "square" or variant != "label noise" else {}
    model = small(loss, activation=activation, **fields)
    network = started(model)
    assert largest_gap(model, network, Written(model, network)) < 1e-7


@pytest.mark.parametrize(
    "told", [{"centered": False}, {"momentum": 0.0}, {"weight_decay": 0.0}, {"batches": BATCHES[::-1]},
             {"loss": "square"}, {"activation": "erf"}, {"parametrization": "ntk", "base_width": 2.0}],
)  # fmt: skip
def test_another_model_is_seen_by_those_differences(told) -> None:
    model = small("cross_entropy", momentum=0.7, weight_decay=0.1, batches=BATCHES)
    network = started(model)
    assert largest_gap(model, network, Written(replace(model, **told), network)) > 1e-3


def test_a_missing_slope_is_seen_by_those_differences(monkeypatch) -> None:
    def flat(name, fields):
        value, _ = activate(name, fields)
        return value, np.ones_like(fields)

    monkeypatch.setattr(nonlinear, "activate", flat)
    model = small()
    network = started(model)
    assert largest_gap(model, network, Written(model, network)) > 1e-2


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_tangent_kernel_is_that_of_the_jacobian(activation: str, layers: int, outputs: int) -> None:
    model = replace(small(activation=activation, hidden_layers=layers, width=4), targets=TARGETS[:, :outputs])
    network = started(model)
    network.update()
    weights = [2.0 * matrix for matrix in network.matrices] + [network.readout.copy()]
    slopes = slope_of(lambda weights: outputs_of(model, weights).ravel(), weights)
    jacobian = np.concatenate([slope.reshape(-1, 4 * outputs) for slope in slopes])
    expected = model.gamma**2 * model.width * jacobian.T @ jacobian
    np.testing.assert_allclose(network.tangent_kernel(network.forward(slice(4))), expected, atol=1e-7 * expected.max())
    np.testing.assert_allclose(network.measure()["ntk_top"], np.linalg.eigvalsh(expected)[-1] / 4, rtol=1e-7)


def test_small_updates_follow_the_tangent_kernel() -> None:
    model = small(learning_rate=1e-6)
    network = started(model)
    network.update()  # away from outputs of zero
    kernel = network.tangent_kernel(network.forward(slice(4)))
    before = network.measure()["network_output"]
    network.update()
    change = (network.measure()["network_output"] - before).ravel()
    np.testing.assert_allclose(change, 1e-6 / 4 * kernel @ (TARGETS - before).ravel(), rtol=1e-4, atol=1e-12)


def test_every_activation_is_bare_and_has_its_slope() -> None:
    assert set(ACTIVATIONS) == set(get_args(Activation))
    fields = np.linspace(-3.0, 3.0, 24).reshape(4, 6)
    for name, bare in BARE.items():
        value, slope = activate(name, fields)
        np.testing.assert_allclose(value, bare(fields), rtol=1e-13)
        np.testing.assert_allclose(slope, (bare(fields + 1e-6) - bare(fields - 1e-6)) / 2e-6, atol=1e-9)
    for name in ACTIVATIONS:
        assert np.isfinite(activate(name, np.array([-800.0, 0.0, 800.0]))).all()


@pytest.mark.parametrize("count", range(1, 10))
def test_kernels_equal_their_twins(count: int) -> None:
    rng = np.random.default_rng(count)
    left, right = rng.standard_normal((count, 7)), rng.standard_normal((count, 11))
    weight, velocity = rng.standard_normal((2, 7, 11))
    both = [(weight.copy(), velocity.copy()) for _ in range(2)]
    for (w, v), room in zip(both, (_kernels, _reference), strict=True):
        room.low_rank_update(w, left, right, 0.3, 0.1)
        room.low_rank_momentum_update(w, v, left, right, 0.3, 0.9, 0.1)
    for one, two in zip(*both, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-13, atol=1e-13)
    assert not np.allclose(both[0][0], weight)


NET = small(width=24, test_inputs=INPUTS[:2] + 0.1, test_targets=TARGETS[:2])
BUSY = small(
    "cross_entropy", width=20, momentum=0.5, weight_decay=0.01, activation="relu",
    batches=np.random.default_rng(1).integers(4, size=(9, 2)),
)  # fmt: skip


@pytest.mark.parametrize("model", [NET, BUSY])
def test_threads_do_not_matter(model) -> None:
    runs = [simulate(model, [0, 3, 9], seed=4, replicates=5, threads=threads) for threads in (1, 2, 4, None)]
    for other in runs[1:]:
        for name in VALUES:
            np.testing.assert_array_equal(runs[0][name], other[name])


@pytest.mark.parametrize("model", [NET, BUSY])
def test_a_replicate_alone_equals_that_of_a_batch(model) -> None:
    batch = simulate(model, [0, 3, 9], seed=4, replicates=6)
    alone = simulate(model, [0, 3, 9], seed=4, replicates=range(3, 5))
    assert alone.replicate.values.tolist() == [3, 4]
    for name in VALUES:
        np.testing.assert_array_equal(batch[name].sel(replicate=[3, 4]), alone[name])
    assert len(np.unique(batch.train_loss[:, 1])) == 6


@pytest.mark.parametrize("model", [NET, BUSY])
def test_records_do_not_change_the_path(model) -> None:
    many = simulate(model, [0, 1, 4, 9], seed=4)
    one = simulate(model, [9], seed=4)
    for name in VALUES:
        np.testing.assert_array_equal(many[name].sel(time=[9.0]), one[name])


def test_another_seed_gives_other_numbers() -> None:
    one, two = (simulate(NET, [0], seed=seed) for seed in (4, 5))
    assert not np.any(one.eigenvalue.values[1] == two.eigenvalue.values[1])


def test_the_dataset(tmp_path) -> None:
    ds = simulate(NET, [0, 2], seed=2**70, replicates=3)
    assert sd.validate(ds) is ds
    assert dict(ds.eigenvalue.sizes) == {"layer": 2, "replicate": 3, "time": 2, "rank": 24}
    assert ds.matrix.values.tolist() == ["W/sqrt(width)"] * 2
    assert (ds.n_rows.values.tolist(), ds.n_cols.values.tolist()) == ([24, 24], [3, 24])
    assert ds.rank_count.values[:, 0, 0].tolist() == [3, 24]
    assert np.isnan(ds.eigenvalue.values[0, ..., 3:]).all()
    assert ds.time.attrs["clock"] == "step"
    assert dict(ds.network_output.sizes) == {"replicate": 3, "time": 2, "sample": 6, "channel": 2}
    assert ds.sample_set.values.tolist() == ["train"] * 4 + ["test"] * 2
    np.testing.assert_allclose(ds.sharpness, 0.2 * ds.ntk_top)
    outputs = ds.network_output.values
    assert (outputs[:, 0] == 0.0).all()
    np.testing.assert_allclose(ds.train_loss, np.mean((TARGETS - outputs[:, :, :4]) ** 2, axis=(2, 3)))
    np.testing.assert_allclose(ds.test_loss, np.mean((TARGETS[:2] - outputs[:, :, 4:]) ** 2, axis=(2, 3)))
    assert ds.attrs["source"] == "simulate"
    assert ds.attrs["model_digest"] == NET.digest
    sd.save(ds, tmp_path / "run.nc")
    assert sd.open(tmp_path / "run.nc").equals(ds)
    assert pickle.loads(pickle.dumps(ds)).equals(ds)


def test_the_cross_entropy_is_recorded() -> None:
    ds = simulate(BUSY, [0, 9], seed=2)
    assert "test_loss" not in ds
    np.testing.assert_allclose(ds.train_loss.values[0, 0], math.log(2.0))
    expected = -np.mean(np.sum(HOT * log_softmax(ds.network_output.values, axis=-1), axis=-1), axis=-1)
    np.testing.assert_allclose(ds.train_loss, expected)
    assert sd.validate(ds) is ds


def test_test_inputs_do_not_change_the_training() -> None:
    alone = simulate(replace(NET, test_inputs=None, test_targets=None), [0, 9], seed=4)
    with_tests = simulate(NET, [0, 9], seed=4)
    np.testing.assert_allclose(alone.eigenvalue, with_tests.eigenvalue, rtol=1e-12)
    np.testing.assert_allclose(
        alone.network_output, with_tests.network_output.sel(sample=range(4)), rtol=1e-10, atol=1e-14
    )
    assert "test_loss" in with_tests
    assert "test_loss" not in alone


def test_weights_are_those_of_the_spectra_and_the_record_precedes_the_update() -> None:
    model = small(width=3, label_noise=NOISE[:1])
    ds = simulate(model, [0, 1], seed=2, replicates=2, save_weights=True)
    np.testing.assert_allclose(np.linalg.svd(ds.weight.values, compute_uv=False) ** 2, ds.eigenvalue, atol=1e-12)
    network = NonlinearNetwork(plan_of(model, [0]), seed=2, replicate=1)
    np.testing.assert_array_equal(ds.weight.values[:, 1, 0], network.matrices)
    network.update()
    np.testing.assert_array_equal(ds.weight.values[:, 1, 1], network.matrices)


def test_training_loss_is_against_the_labels_of_the_next_update() -> None:
    ds = simulate(small(label_noise=NOISE), [0, 1, 3], seed=2)
    outputs = ds.network_output.values[0]
    for i, step in enumerate((0, 1)):
        expected = np.mean((TARGETS + NOISE[step] - outputs[i]) ** 2)
        np.testing.assert_allclose(ds.train_loss.values[0, i], expected)
    assert np.isnan(ds.train_loss.values[0, 2])
    assert np.isfinite(outputs).all()
    assert (ds.converged.values == 1).all()


def test_batches_of_all_samples_are_full_batch_descent() -> None:
    whole = simulate(replace(NET, batches=[[3, 1, 0, 2]] * 9), [9], seed=3)
    twice = simulate(replace(NET, batches=[[3, 1, 0, 2, 2, 0, 1, 3]] * 9), [9], seed=3)
    for ds in (whole, twice):
        np.testing.assert_allclose(ds.eigenvalue, simulate(NET, [9], seed=3).eigenvalue, rtol=1e-12)


def test_parametrizations_agree_at_the_base_width() -> None:
    wide = replace(NET, parametrization="ntk", base_width=24.0)
    np.testing.assert_array_equal(simulate(NET, [5], seed=3).eigenvalue, simulate(wide, [5], seed=3).eigenvalue)
    lazy = simulate(replace(NET, parametrization="ntk", base_width=6.0), [5], seed=3)
    half = simulate(replace(NET, feature_strength=NET.feature_strength / 2.0), [5], seed=3)
    np.testing.assert_array_equal(lazy.network_output, half.network_output)


@pytest.mark.parametrize(
    ("fields", "times"),
    [
        ({"activation": "linear", "learning_rate": 50.0}, [0, 60]),
        ({"activation": "linear", "learning_rate": 1e200, "momentum": 0.9, "weight_decay": 0.5}, [0, 60]),
        ({"activation": "tanh", "learning_rate": 1e160}, [0, 3, 60]),
        ({"activation": "softplus", "learning_rate": 1e6, "hidden_layers": 3}, [0, 60]),
        ({"activation": "relu", "learning_rate": 1e300, "loss": "cross_entropy"}, [0, 60]),
        ({"activation": "linear", "learning_rate": 50.0, "batches": [[0], [1], [2]] * 20}, [0, 60]),
    ],
)
def test_diverging_networks_stop_with_one_warning(fields, times) -> None:
    with pytest.warns(UserWarning, match="4 of 4 networks diverged at learning_rate") as caught:
        ds = simulate(small(**fields), times, seed=1, replicates=4)
    assert len(caught) == 1
    assert ds.converged.values[:, [0, -1]].tolist() == [[1, 0]] * 4
    for name in VALUES:
        values = ds[name].transpose("time", ...).values
        assert np.isfinite(values[0][..., :3, :] if name == "network_output" else values[0][..., :3]).all()
        assert np.isnan(values[-1]).all()


def test_large_rates_without_divergence_do_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ds = simulate(small(width=64, learning_rate=2.0), [0, 60], seed=1, replicates=4)
    assert (ds.converged.values == 1).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"initial": "stationary"}, "initial is 'str'.*None"),
        ({"method": "euler"}, "method is 'euler'; allowed: 'auto', 'gradient_descent'"),
        ({"time_step": 0.1}, "time_step is 0.1.*learning_rate"),
        ({"threads": 0}, "threads is 0"),
        ({"replicates": 0}, "replicates is 0"),
        ({"replicates": range(2**32, 2**32 + 1)}, "32-bit field"),
        ({"times": [1.5]}, "whole number"),
        ({"model": replace(NET, width=None)}, "width is None; a simulation needs it"),
        ({"model": replace(NET, width=100_000)}, "GiB.*smaller width"),
        ({"save_weights": True}, r"\(24, 3\) and \(24, 24\); take width = n_features"),
        ({"model": BUSY, "times": [10]}, "batches names 9"),
        ({"model": small(label_noise=NOISE), "times": [4]}, "label_noise has 3"),
    ],
)
def test_what_is_refused(options, message: str) -> None:
    arguments = {"model": NET, "times": [1], "seed": 0} | options
    with pytest.raises(UsageError, match=message):
        simulate(arguments.pop("model"), arguments.pop("times"), **arguments)

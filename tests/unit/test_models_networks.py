"""Models of networks: fields checked, arrays kept from change, equations shown, digests that tell them apart."""

import dataclasses

import numpy as np
import pytest

from sdespec.core.errors import UsageError
from sdespec.models import DeepLinearNetwork, DeepNetwork, ExtensiveOutputNetwork

INF = float("inf")
X = np.random.default_rng(0).normal(size=(4, 6))
Y = np.array([1.0, -1.0, 1.0, -1.0])
LINEAR = {"width_ratio": 1, "sample_ratio": INF, "hidden_layers": 2, "feature_strength": 8, "learning_rate": 0.01}
DEEP = {"inputs": X, "targets": Y, "hidden_layers": 2, "learning_rate": 0.5}
WIDE = {"output_ratio": 0.5}


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (DeepLinearNetwork, {**LINEAR, "width_ratio": 0}, "width_ratio is 0; it must be positive"),
        (DeepLinearNetwork, {**LINEAR, "sample_ratio": -1}, "sample_ratio is -1"),
        (DeepLinearNetwork, {**LINEAR, "hidden_layers": 1.5}, "hidden_layers is 1.5"),
        (DeepLinearNetwork, {**LINEAR, "parametrization": "sp"}, "'mup' or 'ntk'"),
        (DeepLinearNetwork, {**LINEAR, "momentum": 1.0}, r"in \[0, 1\)"),
        (DeepLinearNetwork, {**LINEAR, "label_noise": -0.1}, "label_noise"),
        (DeepLinearNetwork, {**LINEAR, "input_dim": 0}, "input_dim is 0"),
        (DeepLinearNetwork, {**LINEAR, "batches": [0]}, "no batch_ratio"),
        (DeepLinearNetwork, {**LINEAR, "sample_ratio": 2, "batch_ratio": 0.5}, "fresh samples"),
        (DeepLinearNetwork, {**LINEAR, "sample_ratio": 2, "batch_ratio": 0.3, "batches": [0]}, "must be an integer"),
        (DeepLinearNetwork, {**LINEAR, "sample_ratio": 2, "batch_ratio": 0.5, "batches": [4]}, r"0 \.\.\. 3"),
        (DeepNetwork, {**DEEP, "inputs": X[0]}, "n_samples, n_features"),
        (DeepNetwork, {**DEEP, "inputs": X * np.nan}, "finite"),
        (DeepNetwork, {**DEEP, "inputs": 0 * X}, "row of zeros"),
        (DeepNetwork, {**DEEP, "targets": Y[:3]}, r"\(4,\) or \(4, n_outputs\)"),
        (DeepNetwork, {**DEEP, "activation": "gelu"}, "one of tanh"),
        (DeepNetwork, {**DEEP, "parametrization": "ntk"}, "width is None"),
        (DeepNetwork, {**DEEP, "width": 2.5}, "width is 2.5"),
        (DeepNetwork, {**DEEP, "loss": "cross_entropy"}, "one-hot"),
        (DeepNetwork, {**DEEP, "batches": [[0], []]}, "batch 1"),
        (DeepNetwork, {**DEEP, "batches": [[4]]}, r"0 \.\.\. 3"),
        (DeepNetwork, {**DEEP, "label_noise": np.zeros((2, 3))}, "label_noise has the shape"),
        (DeepNetwork, {**DEEP, "test_inputs": X[:, :3]}, "3 features, inputs 6"),
        (DeepNetwork, {**DEEP, "test_targets": Y}, "no test_inputs"),
        (DeepNetwork, {**DEEP, "test_inputs": X, "test_targets": np.zeros((4, 2))}, "2 outputs, targets 1"),
        (ExtensiveOutputNetwork, {"output_ratio": 0}, "output_ratio is 0"),
        (ExtensiveOutputNetwork, {**WIDE, "train": "readout"}, "'hidden' or 'both'"),
        (ExtensiveOutputNetwork, {**WIDE, "initialization": "orthogonal"}, "needs train='both'"),
        (ExtensiveOutputNetwork, {**WIDE, "initialization": "zero"}, "'gaussian' or 'orthogonal'"),
        (ExtensiveOutputNetwork, {**WIDE, "learning_rate": 0.0}, "learning_rate is 0.0"),
        (ExtensiveOutputNetwork, {**WIDE, "target_spike": -1.0}, "target_spike"),
        (ExtensiveOutputNetwork, {**WIDE, "width": 1}, "at least 2"),
    ],
)
def test_fields_are_checked(kind, fields, message):
    with pytest.raises(UsageError, match=message):
        kind(**fields)


def test_a_learning_rate_must_be_given():
    with pytest.raises(TypeError, match="learning_rate"):
        DeepNetwork(X, Y, 2)


@pytest.mark.parametrize(
    ("kind", "fields"), [(DeepLinearNetwork, LINEAR), (DeepNetwork, DEEP), (ExtensiveOutputNetwork, WIDE)]
)
def test_digests_tell_models_apart_and_equations_are_shown(kind, fields):
    one = kind(**fields)
    assert one.digest == kind(**fields).digest
    assert one.digest != dataclasses.replace(one, weight_variance=2.0).digest
    assert "f" in repr(one).split(": ")[1]
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.weight_variance = 3.0


def test_arrays_are_copied_frozen_and_part_of_the_digest():
    inputs = X.copy()
    net = DeepNetwork(inputs, Y, 2, learning_rate=0.5, batches=[[0, 1], [2]], test_inputs=X, test_targets=Y)
    inputs[0, 0] = 99.0
    assert net.inputs[0, 0] == X[0, 0]
    with pytest.raises(ValueError, match="read-only"):
        net.inputs[0, 0] = 1.0
    assert net.targets.shape == net.test_targets.shape == (4, 1)
    assert [batch.tolist() for batch in net.batches] == [[0, 1], [2]]
    other = dataclasses.replace(net, inputs=inputs)
    assert other.digest != net.digest


def test_the_two_parametrizations_are_one_path():
    for width, expected in ((1.0, 8.0), (4.0, 4.0), (0.25, 16.0)):
        net = DeepLinearNetwork(**LINEAR | {"width_ratio": width, "parametrization": "ntk"})
        assert net.gamma == expected
    deep = DeepNetwork(**DEEP, width=400, parametrization="ntk", feature_strength=3.0, base_width=100.0)
    assert deep.gamma == 1.5
    assert DeepNetwork(**DEEP, width=400, feature_strength=3.0).gamma == 3.0


def test_clock_of_extensive_outputs():
    assert ExtensiveOutputNetwork(0.5).clock == "learning_rate*step"
    assert ExtensiveOutputNetwork(0.5, learning_rate=0.1).clock == "step"

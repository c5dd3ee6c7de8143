"""The demonstration data: checkpoints of a small trained network, read without torch."""

import hashlib
import importlib.resources
import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

FOLDER = Path(str(importlib.resources.files("sdespec"))) / "demo" / "data" / "digits_mlp"
METADATA = {
    "data_set",
    "n_train",
    "n_test",
    "split_seed",
    "preprocessing",
    "architecture",
    "initial_law",
    "loss",
    "optimizer",
    "learning_rate",
    "batch_size",
    "weight_decay",
    "seed",
    "torch_version",
    "sklearn_version",
    "script",
    "license",
    "step",
    "train_loss",
    "test_accuracy",
}
TRAINED = ("hidden.0", "hidden.1", "hidden.2", "readout")
SHAPES = {
    "hidden.0.weight": (128, 64),
    "hidden.1.weight": (128, 128),
    "hidden.2.weight": (96, 128),
    "readout.weight": (10, 96),
    "unused.frozen.weight": (64, 64),
    "unused.decayed.weight": (64, 64),
    "hidden.0.bias": (128,),
    "hidden.1.bias": (128,),
    "hidden.2.bias": (96,),
    "readout.bias": (10,),
}


def step_of(path):
    return int(re.fullmatch(r"step_(\d+)\.safetensors", path.name)[1])


def metadata_of(path):
    raw = path.read_bytes()
    return json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]


@pytest.fixture(scope="module")
def files():
    return {step_of(path): path for path in sorted(FOLDER.glob("*.safetensors"), key=step_of)}


@pytest.fixture(scope="module")
def checkpoints(files):
    return {step: load_file(path) for step, path in files.items()}


def test_the_package_data_stay_within_one_megabyte():
    assert sum(path.stat().st_size for path in FOLDER.parent.rglob("*") if path.is_file()) <= 1_000_000


def test_steps_begin_at_zero_and_are_geometric(files):
    steps = list(files)
    assert len(steps) >= 5
    assert steps[0] == 0
    ratios = np.divide(steps[2:], steps[1:-1])
    assert np.all(ratios > 1.5)
    np.testing.assert_allclose(ratios, ratios[0])


def test_metadata_are_complete_text(files):
    common = METADATA - {"step", "train_loss", "test_accuracy"}
    first = metadata_of(files[0])
    for step, path in files.items():
        metadata = metadata_of(path)
        assert set(metadata) == METADATA
        assert all(isinstance(value, str) and value for value in metadata.values())
        assert int(metadata["step"]) == step
        assert {key: metadata[key] for key in common} == {key: first[key] for key in common}


def test_training_succeeded(files):
    recorded = [metadata_of(path) for path in files.values()]
    losses = [float(metadata["train_loss"]) for metadata in recorded]
    assert losses == sorted(losses, reverse=True)
    assert float(recorded[0]["test_accuracy"]) < 0.3
    assert float(recorded[-1]["test_accuracy"]) >= 0.95


def test_tensors_are_finite_float32_of_the_stated_shapes(checkpoints):
    for tensors in checkpoints.values():
        assert {name: array.shape for name, array in tensors.items()} == SHAPES
        assert all(array.dtype == np.float32 and np.isfinite(array).all() for array in tensors.values())


def test_every_tensor_starts_uniform_within_the_fan_in_bound(checkpoints):
    for name, array in checkpoints[0].items():
        fan_in = SHAPES[name.replace("bias", "weight")][1]
        scaled = array.astype(float).ravel() * np.sqrt(fan_in)
        assert np.abs(scaled).max() <= 1.0 + 1e-6
        if array.ndim == 2:
            assert np.abs(scaled).max() > 0.99
            # variance 1/3, fourth moment 1/5; five standard errors of the mean square
            assert abs(np.mean(scaled**2) - 1 / 3) < 5 * np.sqrt((1 / 5 - 1 / 9) / scaled.size)


def test_the_frozen_matrix_is_the_same_to_the_bit(checkpoints):
    assert len({tensors["unused.frozen.weight"].tobytes() for tensors in checkpoints.values()}) == 1


def test_the_decayed_matrix_is_its_start_times_the_factor_of_weight_decay(files, checkpoints):
    start = checkpoints[0]["unused.decayed.weight"].astype(float)
    for step, tensors in checkpoints.items():
        metadata = metadata_of(files[step])
        factor = (1.0 - float(metadata["learning_rate"]) * float(metadata["weight_decay"])) ** step
        assert factor < 1.0 or step == 0
        now = tensors["unused.decayed.weight"].astype(float)
        # rounding to float32 once a step, relative error at most 2^-24 each
        np.testing.assert_allclose(now, factor * start, rtol=max(step, 1) * 2.0**-23, atol=0.0)


@pytest.mark.parametrize("name", TRAINED)
def test_trained_layers_moved_otherwise_than_by_decay(checkpoints, name):
    arrays = [tensors[f"{name}.weight"].astype(float).ravel() for tensors in checkpoints.values()]
    assert all(np.any(a != b) for a, b in itertools.pairwise(arrays))
    start, end = arrays[0], arrays[-1]
    remainder = end - start * (start @ end) / (start @ start)
    assert np.linalg.norm(remainder) > 0.3 * np.linalg.norm(end)
    assert np.any(checkpoints[0][f"{name}.bias"] != checkpoints[max(checkpoints)][f"{name}.bias"])


def test_training_lifts_eigenvalues_out_of_the_bulk(checkpoints):
    def over_edge(matrix):
        rows, cols = matrix.shape
        values = np.linalg.svd(matrix.astype(float), compute_uv=False) ** 2
        return values[0] / (np.mean(matrix.astype(float) ** 2) * (np.sqrt(rows) + np.sqrt(cols)) ** 2)

    first, last = checkpoints[0], checkpoints[max(checkpoints)]
    for name in SHAPES:
        if name.endswith("bias") or name == "readout.weight":
            continue
        assert over_edge(first[name]) < 1.05
        if name.startswith("hidden"):
            assert over_edge(last[name]) > 1.5
        else:
            assert over_edge(last[name]) < 1.05


def test_provenance_names_every_file_with_its_hash_and_the_licences(files):
    text = (FOLDER / "PROVENANCE.md").read_text(encoding="utf-8")
    for path in files.values():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert re.search(rf"\| {re.escape(path.name)} \|.*\| {digest} \|", text)
    assert "CC BY 4.0" in text
    assert "BSD-3-Clause" in text

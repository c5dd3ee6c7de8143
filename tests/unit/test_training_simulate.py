"""Records of trained networks: what is stored, that only seed and replicate matter, divergence, errors."""

from __future__ import annotations

import math
import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest

import sdespec as sd
from sdespec.core.errors import UsageError
from sdespec.models import DeepLinearNetwork, DeepNetwork, DysonLaguerre
from sdespec.training import simulate

INF = math.inf
NET = DeepLinearNetwork(1.0, 2.0, 2, 4.0, 0.02, label_noise=0.3, input_dim=24)
FRESH = DeepLinearNetwork(1.5, INF, 2, 4.0, 0.02, label_noise=0.3, batch_ratio=0.5, momentum=0.5, input_dim=24)
VALUES = ("eigenvalue", "train_loss", "test_loss", "ntk_top", "sharpness")


@pytest.mark.parametrize("model", [NET, FRESH])
def test_threads_do_not_matter(model) -> None:
    runs = [simulate(model, [0, 3, 9], seed=4, replicates=5, threads=threads) for threads in (1, 2, 4, None)]
    for other in runs[1:]:
        for name in VALUES:
            np.testing.assert_array_equal(runs[0][name], other[name])


@pytest.mark.parametrize("model", [NET, FRESH])
def test_a_replicate_alone_equals_that_of_a_batch(model) -> None:
    batch = simulate(model, [0, 3, 9], seed=4, replicates=6)
    alone = simulate(model, [0, 3, 9], seed=4, replicates=range(3, 5))
    assert alone.replicate.values.tolist() == [3, 4]
    for name in VALUES:
        np.testing.assert_array_equal(batch[name].sel(replicate=[3, 4]), alone[name])
    assert len(np.unique(batch.test_loss[:, 0])) == 6


@pytest.mark.parametrize("model", [NET, FRESH])
def test_records_do_not_change_the_path(model) -> None:
    many = simulate(model, [0, 1, 4, 9], seed=4)
    one = simulate(model, [9], seed=4)
    for name in VALUES:
        np.testing.assert_array_equal(many[name].sel(time=[9.0]), one[name])


def test_another_seed_gives_other_numbers() -> None:
    one, two = (simulate(NET, [0], seed=seed) for seed in (4, 5))
    assert not np.any(one.eigenvalue.values == two.eigenvalue.values)


def test_the_dataset() -> None:
    ds = simulate(replace(FRESH, input_dim=10), [0, 2], seed=2**70, replicates=3)
    assert sd.validate(ds) is ds
    assert dict(ds.eigenvalue.sizes) == {"layer": 2, "replicate": 3, "time": 2, "rank": 15}
    assert ds.layer.values.tolist() == ["W0", "W1"]
    assert ds.matrix.values.tolist() == ["M", "M"]
    assert (ds.n_rows.values.tolist(), ds.n_cols.values.tolist()) == ([15, 15], [10, 15])
    assert ds.time.values.tolist() == [0.0, 2.0]
    assert ds.time.attrs["clock"] == "step"
    assert ds.rank_count.values[:, 0, 0].tolist() == [10, 15]
    assert np.isnan(ds.eigenvalue.values[0, ..., 10:]).all()
    assert np.isfinite(ds.eigenvalue.values[0, ..., :10]).all()
    assert np.isfinite(ds.eigenvalue.values[1]).all()
    np.testing.assert_allclose(ds.sharpness, 0.02 * ds.ntk_top)
    assert (ds.converged.values == 1).all()
    assert ds.attrs["source"] == "simulate"
    assert ds.attrs["method"] == "gradient_descent"
    assert ds.attrs["seed"] == str(2**70)
    assert ds.attrs["model_digest"] == replace(FRESH, input_dim=10).digest


def test_it_survives_a_file(tmp_path) -> None:
    ds = simulate(NET, [0, 2], seed=2, save_weights=True)
    sd.save(ds, tmp_path / "run.nc")
    assert sd.open(tmp_path / "run.nc").equals(ds)
    assert pickle.loads(pickle.dumps(ds)).equals(ds)


def test_weights_are_those_of_the_spectra_and_the_record_precedes_the_update() -> None:
    ds = simulate(NET, [0, 1], seed=2, replicates=2, save_weights=True)
    assert ds.weight.dims == ("layer", "replicate", "time", "row", "col")
    np.testing.assert_allclose(np.linalg.svd(ds.weight.values, compute_uv=False) ** 2, ds.eigenvalue, atol=1e-12)
    start = simulate(replace(NET, learning_rate=1e-12), [0, 1], seed=2, replicates=2, save_weights=True)
    np.testing.assert_array_equal(ds.weight.values[:, :, 0], start.weight.values[:, :, 0])
    moved = ds.weight.values[:, :, 1] - ds.weight.values[:, :, 0]
    values = np.linalg.svd(moved, compute_uv=False)
    assert (values[..., 0] > 1e-3).all()
    assert (values[..., 1] < 1e-12).all()  # one update is of rank one


def test_one_rectangular_matrix_may_be_kept() -> None:
    ds = simulate(DeepLinearNetwork(2.0, INF, 1, 4.0, 0.02, input_dim=6), [0], seed=2, save_weights=True)
    assert dict(ds.weight.sizes) == {"layer": 1, "replicate": 1, "time": 1, "row": 12, "col": 6}


def test_training_loss_of_batches_is_missing_after_the_last_one() -> None:
    model = DeepLinearNetwork(1.0, 1.0, 1, 4.0, 0.02, batch_ratio=0.5, batches=[1, 0, 0], input_dim=12)
    ds = simulate(model, [0, 2, 3], seed=1)
    assert np.isfinite(ds.train_loss.values[0, :2]).all()
    assert np.isnan(ds.train_loss.values[0, 2])
    assert np.isfinite(ds.test_loss.values).all()
    assert np.isfinite(ds.eigenvalue.values).all()
    assert (ds.converged.values == 1).all()


def test_training_loss_of_the_population_holds_the_label_noise() -> None:
    ds = simulate(DeepLinearNetwork(1.0, INF, 1, 4.0, 0.02, label_noise=0.5, input_dim=12), [0, 5], seed=1)
    np.testing.assert_allclose(ds.train_loss, ds.test_loss + 0.25)


def test_one_batch_of_all_samples_is_full_batch_descent() -> None:
    full = DeepLinearNetwork(1.0, 2.0, 2, 4.0, 0.02, label_noise=0.3, input_dim=12)
    one = replace(full, batch_ratio=2.0, batches=[0] * 10)
    np.testing.assert_array_equal(
        simulate(full, [9], seed=3).eigenvalue.values, simulate(one, [9], seed=3).eigenvalue.values
    )


def test_parametrizations_agree_at_the_base_width() -> None:
    mup = DeepLinearNetwork(2.0, INF, 2, 4.0, 0.02, base_width=2.0, input_dim=12)
    runs = [simulate(one, [5], seed=3) for one in (mup, replace(mup, parametrization="ntk"))]
    np.testing.assert_array_equal(runs[0].eigenvalue, runs[1].eigenvalue)
    narrow = DeepLinearNetwork(8.0, INF, 2, 2.0, 0.02, input_dim=12)
    wide = DeepLinearNetwork(8.0, INF, 2, 4.0, 0.02, base_width=2.0, parametrization="ntk", input_dim=12)
    np.testing.assert_array_equal(simulate(narrow, [5], seed=3).test_loss, simulate(wide, [5], seed=3).test_loss)


def test_progress() -> None:
    calls = []
    simulate(NET, [1], seed=1, replicates=3, progress=lambda *call: calls.append(call))
    assert calls == [(1, 3, "networks"), (2, 3, "networks"), (3, 3, "networks")]


def test_diverging_networks_stop_with_one_warning() -> None:
    model = DeepLinearNetwork(1.0, INF, 1, 8.0, 0.6, input_dim=40)
    with pytest.warns(UserWarning, match=r"4 of 4 networks diverged at learning_rate 0\.6") as caught:
        ds = simulate(model, [0, 1, 30, 40], seed=1, replicates=4)
    assert len(caught) == 1
    assert ds.converged.values.tolist() == [[1, 1, 0, 0]] * 4
    for name in VALUES:
        values = ds[name].transpose("time", ...).values
        assert np.isfinite(values[:2]).all()
        assert np.isnan(values[2:]).all()
    assert ds.rank_count.values[0, 0].tolist() == [40, 40, 0, 0]


def test_divergence_of_some_leaves_the_others_alone() -> None:
    model = DeepLinearNetwork(1.0, INF, 1, 8.0, 0.22, input_dim=40)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ds = simulate(model, [100], seed=1, replicates=24)
    lost = int((ds.converged.values == 0).sum())
    assert 0 < lost < 24
    assert [str(item.message).partition(" at ")[0] for item in caught] == [f"{lost} of 24 networks diverged"]
    np.testing.assert_array_equal(np.isnan(ds.test_loss.values), ds.converged.values == 0)


@pytest.mark.parametrize("rate", [5.0, 1e6, 1e200])
def test_no_learning_rate_raises(rate: float) -> None:
    for model in (
        DeepLinearNetwork(1.0, INF, 3, 8.0, rate, input_dim=8),
        DeepLinearNetwork(1.0, 1.0, 2, 8.0, rate, momentum=0.9, weight_decay=0.5, input_dim=8),
    ):
        with pytest.warns(UserWarning, match="diverged"):
            assert simulate(model, [0, 60], seed=1).converged.values.tolist() == [[1, 0]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"initial": "stationary"}, "initial is 'str'.*None"),
        ({"method": "euler"}, "method is 'euler'; allowed: 'auto', 'gradient_descent'"),
        ({"time_step": 0.1}, "time_step is 0.1.*learning_rate"),
        ({"threads": 0}, "threads is 0"),
        ({"replicates": 0}, "replicates is 0"),
        ({"replicates": 1.5}, "replicates is 1.5"),
        ({"replicates": range(0, 4, 2)}, "replicates is range"),
        ({"replicates": range(2**32, 2**32 + 1)}, "32-bit field"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 0.5}, "seed is 0.5"),
        ({"times": []}, "at least one"),
        ({"times": [1.5]}, "whole number"),
        ({"times": [0, INF]}, "whole number"),
        ({"times": [2, 1]}, "increase"),
        ({"times": [-1]}, "at least 0"),
        ({"times": [1e12]}, "32-bit field"),
        ({"model": replace(NET, input_dim=None)}, "input_dim is None; a simulation needs it"),
        ({"model": replace(NET, width_ratio=0.01)}, "width_ratio is 0.01 and input_dim 24"),
        ({"model": replace(NET, sample_ratio=0.01)}, "sample_ratio is 0.01"),
        ({"model": replace(FRESH, batch_ratio=0.01)}, "batch_ratio is 0.01"),
        ({"model": replace(NET, input_dim=100_000)}, "GiB.*smaller input_dim"),
        ({"model": replace(NET, width_ratio=2.0), "save_weights": True}, r"\(48, 24\) and \(48, 48\)"),
        ({"model": DysonLaguerre(4, 6, 1.0, 1.0)}, "DysonLaguerre cannot be trained"),
        ({"model": replace(NET, batch_ratio=1.0, batches=[0, 1]), "times": [3]}, "batches names 2"),
    ],
)
def test_what_is_refused(options, message: str) -> None:
    arguments = {"model": NET, "times": [1], "seed": 0} | options
    with pytest.raises(UsageError, match=message):
        simulate(arguments.pop("model"), arguments.pop("times"), **arguments)


@pytest.mark.parametrize("save_weights", [False, True])
def test_losses_without_spectra(save_weights: bool) -> None:
    """All that is left is the same to the bit, and a file holds it."""
    inputs = np.random.default_rng(0).standard_normal((4, 12))
    nonlinear = DeepNetwork(inputs, [1.0, -1.0, 1.0, 1.0], 2, width=12, learning_rate=0.5)
    linear = DeepLinearNetwork(1.0, 2.0, 2, feature_strength=4.0, learning_rate=0.01, input_dim=10)
    for model in (nonlinear, linear):
        whole = simulate(model, [0, 2, 5], seed=3, replicates=2, save_weights=save_weights)
        part = simulate(model, [0, 2, 5], seed=3, replicates=2, save_weights=save_weights, spectra=False)
        assert set(whole.data_vars) - set(part.data_vars) == {"eigenvalue", "rank_count"}
        assert ("layer" in part.dims) == save_weights
        for name, values in part.data_vars.items():
            np.testing.assert_array_equal(values, whole[name])

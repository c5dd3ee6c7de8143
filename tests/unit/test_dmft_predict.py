"""The Dataset of a prediction, its options, and what it leaves out."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from sdespec.core.errors import UsageError
from sdespec.core.schema import validate
from sdespec.models import DeepLinearNetwork
from sdespec.theory.dmft import predict, solve_deep_linear

INF = math.inf


def test_dataset_of_a_deep_network() -> None:
    model = DeepLinearNetwork(2.0, 1.5, 3, 7.0, 0.01, input_dim=75)
    ds = validate(predict(model, [0, 3, 40]))
    assert ds.layer.values.tolist() == ["W0", "W1", "W2"]
    assert set(ds.matrix.values) == {"M"}
    assert ds.n_rows.values.tolist() == [150, 150, 150]
    assert ds.n_cols.values.tolist() == [75, 150, 150]
    assert ds.time.attrs["clock"] == "step"
    assert ds.time.values.tolist() == [0.0, 3.0, 40.0]
    assert ds.escape.dims == ("layer", "time", "mode")
    assert ds.sizes["mode"] >= 3
    assert ds.attrs["source"] == "predict"
    assert ds.attrs["model_digest"] == model.digest
    assert (ds.n_outliers == np.isfinite(ds.outlier).sum("mode")).all()
    assert (ds.n_outliers == (ds.escape > 1.0).sum("mode")).all()
    assert np.isnan(ds.escape.sel(time=0)).all()
    assert "ntk_top" not in ds
    assert "sharpness" not in ds
    solution = solve_deep_linear(model, 40)
    np.testing.assert_array_equal(ds.test_loss, solution.test_loss[[0, 3, 40]])
    np.testing.assert_array_equal(ds.train_loss, solution.train_loss[[0, 3, 40]])
    root = math.sqrt(0.5)
    np.testing.assert_allclose(ds.bulk_edge[0], [[(1 - root) ** 2, (1 + root) ** 2]] * 3)
    np.testing.assert_allclose(ds.bulk_edge[1:], np.full((2, 3, 2), [0.0, 4.0]))


def test_without_input_dim_the_sizes_are_zero() -> None:
    ds = predict(DeepLinearNetwork(2.0, 1.5, 1, 7.0, 0.01), [0])
    assert ds.n_rows.values.tolist() == [0]
    assert ds.n_cols.values.tolist() == [0]
    assert int(ds.n_outliers.sum()) == 0


def test_a_subset_of_times_gives_the_same_values() -> None:
    model = DeepLinearNetwork(1.0, 2.0, 2, 7.0, 0.01, label_noise=0.4)
    every, some = predict(model, np.arange(50)), predict(model, [10, 35])
    for name in ("outlier", "escape", "bulk_edge", "test_loss", "train_loss"):
        np.testing.assert_allclose(every[name].sel(time=[10, 35]), some[name], rtol=1e-8, atol=1e-6, err_msg=name)


def test_noise_is_in_the_training_loss_only() -> None:
    ds = predict(DeepLinearNetwork(1.0, INF, 1, 6.0, 0.01, label_noise=0.5), [0, 30])
    np.testing.assert_allclose(ds.train_loss - ds.test_loss, 0.25, rtol=1e-12)


@pytest.mark.parametrize("change", [{"sample_ratio": 2.0}, {"batch_ratio": 0.5}, {"hidden_layers": 2}])
def test_top_of_the_ntk_only_where_the_theory_has_it(change: dict[str, float]) -> None:
    fields = {
        "width_ratio": 1.0,
        "sample_ratio": INF,
        "hidden_layers": 1,
        "feature_strength": 6.0,
        "learning_rate": 0.01,
    }
    assert {"ntk_top", "sharpness"} <= set(predict(DeepLinearNetwork(**fields), [0, 5]))
    assert "ntk_top" not in predict(DeepLinearNetwork(**fields | change), [0, 5])


def test_weight_decay_shrinks_the_bulk() -> None:
    decayed = predict(DeepLinearNetwork(1.0, INF, 2, 8.0, 0.008, weight_decay=0.01), [0, 20, 79])
    np.testing.assert_allclose(decayed.bulk_edge[1, :, 1], 4.0 * 0.99 ** (2 * np.array([0, 20, 79])))
    gone = predict(DeepLinearNetwork(1.0, INF, 1, 8.0, 0.01, weight_decay=0.4), [120])
    assert np.isfinite(gone.test_loss).all()
    assert float(gone.bulk_edge[0, 0, 1]) < 1e-50


def test_divergence_warns_and_leaves_values_out() -> None:
    model = DeepLinearNetwork(1.0, INF, 2, 8.0, 0.5)
    with pytest.warns(UserWarning, match="learning_rate 0.5 diverges after"):
        ds = predict(model, [0, 1, 50])
    assert ds.converged.values.tolist()[::2] == [1, 0]
    for name in ("test_loss", "train_loss", "bulk_edge", "outlier", "escape"):
        assert np.isnan(ds[name].sel(time=50)).all()
    assert np.isfinite(ds.test_loss.sel(time=0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert predict(model, [0]).converged.values.tolist() == [1]


@pytest.mark.parametrize(
    ("times", "options", "match"),
    [
        ([], {}, "at least one"), ([0.5], {}, "whole"), ([1, 1], {}, "increase"), ([-1], {}, "increase"),
        ([math.inf], {}, "whole"), ([1], {"initial": np.eye(2)}, "initial"), ([1], {"grid": np.arange(3.0)}, "grid"),
        ([1], {"approximation": "static_kernel"}, "'none' or 'independent_spike'"),
    ],
)  # fmt: skip
def test_bad_arguments(times: list[float], options: dict[str, object], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        predict(DeepLinearNetwork(1.0, INF, 1, 6.0, 0.01), times, **options)  # type: ignore[arg-type]  # invalid on purpose

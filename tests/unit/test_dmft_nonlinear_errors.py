"""Sampling errors of the nonlinear theory from independent solutions."""

import numpy as np
import pytest

import sdespec as sd
from sdespec.core.errors import UsageError
from sdespec.theory import dmft

INPUTS = np.random.default_rng(7).standard_normal((20, 3))
INPUTS = (INPUTS * np.sqrt(20) / np.linalg.norm(INPUTS, axis=0)).T


def _net(**fields):
    given = {"feature_strength": 2.0, "learning_rate": 0.5, "test_inputs": INPUTS[:1] + 0.5, "test_targets": [1.0]}
    return sd.models.DeepNetwork(INPUTS, [1.0, -1.0, 1.0], 2, **(given | fields))


def test_means_and_errors_are_those_of_the_solutions():
    found = dmft.predict_with_errors(_net(), [1, 8], solutions=4, seed=2, samples=2000)
    runs = [dmft.predict(_net(), [1, 8], seed=seed, samples=2000) for seed in (8, 9, 10, 11)]
    for name in ("train_loss", "test_loss", "sharpness", "network_output", "eigenvalue", "outlier", "escape"):
        values = np.stack([run[name].values for run in runs])
        np.testing.assert_allclose(found[name], values.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(found[f"{name}_stderr"], values.std(axis=0, ddof=1) / 2.0, rtol=1e-12)
    assert found.attrs["seed"] == 2
    assert "4 independent solutions" in found.attrs["stderr_of"]
    assert (found.bulk_edge == runs[0].bulk_edge).sel(layer="W1").all()
    told = np.sqrt(np.mean([run.residual.values**2 for run in runs], axis=0) / 4)
    np.testing.assert_allclose(found.residual, told, rtol=1e-12)


def test_recorded_outliers_lie_within_four_errors_and_errors_are_small():
    """2.135, 2.318, 2.339, known to .001; with eight solutions a right one leaves this band once in 200 such sets."""
    net = _net(test_inputs=None, test_targets=None)
    found = dmft.predict_with_errors(net, [5, 10, 19], samples=8000)
    root = np.sqrt(found.outlier.sel(layer="W1").values[:, 0])
    error = found.outlier_stderr.sel(layer="W1").values[:, 0] / (2.0 * root)
    assert (error < 0.004).all()
    assert (np.abs(root - [2.135, 2.318, 2.339]) < 4.0 * error + 0.001).all()
    foil = dmft.predict_with_errors(net, [5, 10, 19], samples=8000, approximation="independent_spike")
    assert (np.sqrt(foil.outlier.sel(layer="W1").values[1:, 0]) < root[1:] - 20.0 * error[1:]).all()


def test_errors_fall_with_the_root_of_samples():
    """Sixteen times the samples: a fourth of the error, within a factor of two."""
    few, many = (dmft.predict_with_errors(_net(), [3], samples=samples, solutions=12) for samples in (1000, 16_000))
    ratio = float(np.sqrt((few.network_output_stderr**2).mean() / (many.network_output_stderr**2).mean()))
    assert 2.0 < ratio < 8.0


def test_seeds_share_no_solution():
    one, two = (dmft.predict_with_errors(_net(), [3], solutions=3, seed=seed, samples=400) for seed in (0, 1))
    assert not np.isclose(one.train_loss, two.train_loss, rtol=1e-6).any()


def test_an_outlier_that_some_solutions_lack_is_missing():
    """Just above the threshold a few samples decide."""
    found = dmft.predict_with_errors(_net(), [3, 4, 8], solutions=6, samples=200)
    runs = [dmft.predict(_net(), [3, 4, 8], seed=seed, samples=200) for seed in range(6)]
    counts = np.array([run.n_outliers.sel(layer="W1").values for run in runs])
    assert (counts.min(axis=0) < counts.max(axis=0)).any()
    np.testing.assert_array_equal(found.n_outliers.sel(layer="W1"), counts.min(axis=0))


def test_divergence_is_that_of_any_solution():
    with pytest.warns(UserWarning, match="diverges"):
        found = dmft.predict_with_errors(
            _net(activation="linear", learning_rate=30.0), [0, 29], solutions=3, samples=400
        )
    assert found.converged.values.tolist() == [1, 0]
    assert np.isnan(found.train_loss_stderr.values[1])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"solutions": 2}, "solutions is 2"), ({"seed": -1}, "seed is -1"), ({"samples": 401}, "multiple of 4")],
)
def test_arguments_are_checked(options, message):
    with pytest.raises(UsageError, match=message):
        dmft.predict_with_errors(_net(), [0, 1], **options)


def test_other_models_are_refused():
    linear = sd.models.DeepLinearNetwork(1.0, float("inf"), 1, feature_strength=8.0, learning_rate=0.01)
    with pytest.raises(UsageError, match="model is 'DeepLinearNetwork'"):
        dmft.predict_with_errors(linear, [0, 1])

"""Trained finite networks against the theory of deep linear networks, over its variants.

Outliers within 1.5 % of the singular value, losses within 10 % or three standard errors of the seed mean. Outlier rows
are refused beyond 1.5 % plus three standard errors (a false alarm of at most .3 % each, at fixed seeds).
"""

import dataclasses
import math
import warnings

import numpy as np
import pytest

import sdespec as sd
from sdespec.theory import dmft
from sdespec.training.deep_linear import TrainedNetwork
from sdespec.training.plan import plan_of

INF = math.inf
NET = sd.models.DeepLinearNetwork
IDS = tuple(int(i) for i in np.random.default_rng(3).integers(4, size=80))

# name -> model, times of the comparison
ROWS = {
    "population": (NET(1, INF, 1, 8, 0.01, input_dim=500), [15, 30, 59]),
    "samples": (NET(2, 2, 1, 6, 0.015, input_dim=400), [20, 40, 79]),
    "two hidden layers": (NET(1, INF, 2, 8, 0.008, input_dim=500), [20, 40, 79]),
    "no outlier": (NET(0.5, 1.5, 2, 3, 0.03, input_dim=500), [12, 25]),
    "label noise": (NET(1, 2, 1, 6, 0.015, label_noise=0.5, input_dim=400), [20, 40, 79]),
    "one pass": (NET(1, INF, 1, 6, 0.01, batch_ratio=0.5, input_dim=500), [20, 40, 79]),
    "several epochs": (NET(1, 2, 1, 6, 0.01, batch_ratio=0.5, batches=IDS, input_dim=500), [20, 40, 79]),
    "weight decay": (NET(1, INF, 2, 8, 0.008, weight_decay=0.01, input_dim=500), [20, 40, 79]),
    "momentum": (NET(1, INF, 2, 8, 0.0012, momentum=0.8, input_dim=500), [40, 79]),
    "momentum and decay": (NET(2, 2, 1, 6, 0.003, momentum=0.8, weight_decay=0.002, input_dim=400), [20, 40, 79]),
    "other variances": (NET(2, 2, 1, 4, 0.15, weight_variance=0.5, readout_variance=2.0, input_dim=400), [1, 4]),
}


def _both(model, times, replicates, seed=0):
    return sd.simulate(model, times, seed=seed, replicates=replicates), sd.predict(model, times)


def _loss_errors(run, theory, name):
    """Relative errors of the seed mean, and the same in standard errors."""
    losses = run[name].values
    mean, error = losses.mean(axis=0), losses.std(axis=0, ddof=1) / np.sqrt(len(losses))
    return mean / theory[name].values - 1.0, (mean - theory[name].values) / error


@pytest.mark.parametrize("row", ROWS)
def test_outliers_and_losses(row):
    model, times = ROWS[row]
    run, theory = _both(model, times, 6)
    top = np.sqrt(run.eigenvalue.transpose("layer", "time", "replicate", "rank").values)
    edges = np.sqrt(theory.bulk_edge.sel(side="upper").values)
    for layer in range(theory.sizes["layer"]):
        for i in range(len(times)):
            expected = math.sqrt(theory.outlier.values[layer, i, 0])
            first, second = top[layer, i, :, 0], top[layer, i, :, 1]
            error = first.std(ddof=1) / math.sqrt(len(first))
            if math.isnan(expected):
                assert first.mean() < 1.02 * edges[layer, i]
                continue
            near = abs(theory.escape.values[layer, i, 0] - 1.0) < run.sizes["rank"] ** (-1 / 3)
            assert abs(first.mean() - expected) < 0.015 * expected * (2 if near else 1) + 3 * error
            assert second.mean() < 1.02 * edges[layer, i]
    for name in ("test_loss", "train_loss"):
        relative, z = _loss_errors(run, theory, name)
        known = np.isfinite(theory[name].values)
        assert known.any()
        assert np.all((np.abs(relative) < 0.1) | (np.abs(z) < 3.0) | ~known), (name, relative, z)


def test_planted_bugs_are_seen():
    """A record taken one update late, no decay, no noise: each breaks the row that should hold it."""
    model, times = ROWS["two hidden layers"]
    late = sd.simulate(model, [t + 1 for t in times], seed=0, replicates=6)
    relative, z = _loss_errors(late, sd.predict(model, times), "test_loss")
    assert np.any((np.abs(relative) > 0.1) & (np.abs(z) > 3.0))
    for row, change in (("weight decay", {"weight_decay": 0.0}), ("momentum", {"momentum": 0.75})):
        model, times = ROWS[row]
        run = sd.simulate(model, times[-1:], seed=0, replicates=6)
        theory = sd.predict(dataclasses.replace(model, **change), times[-1:])
        first = np.sqrt(run.eigenvalue.sel(layer="W1").values[:, 0, 0])
        relative, z = _loss_errors(run, theory, "test_loss")
        off = abs(first.mean() / math.sqrt(theory.outlier.sel(layer="W1").values[0, 0]) - 1.0)
        assert off > 0.03 or (abs(relative[0]) > 0.1 and abs(z[0]) > 3.0)
    model, times = ROWS["label noise"]
    run = sd.simulate(model, times, seed=0, replicates=6)
    relative, z = _loss_errors(run, sd.predict(dataclasses.replace(model, label_noise=0.0), times), "train_loss")
    assert np.all((np.abs(relative) > 0.1) & (np.abs(z) > 3.0))


@pytest.mark.parametrize("width", [0.5, 1.0, 2.0])
def test_top_tangent_mode(width):
    """Within 2 % and three standard errors of the theory at four times, mean of eight networks."""
    run, theory = _both(NET(width, INF, 1, 8, 0.01, input_dim=400), [0, 15, 30, 59], 8)
    ratio = run.ntk_top.values / theory.ntk_top.values
    error = ratio.std(axis=0, ddof=1) / math.sqrt(8)
    assert np.all(np.abs(ratio.mean(axis=0) - 1.0) < 0.02 + 3.0 * error)
    assert error.max() < 0.025
    np.testing.assert_allclose(run.sharpness, 0.01 * run.ntk_top, rtol=1e-12)


def test_kernels_at_two_times():
    """Products of forward and backward vectors at updates 10 and 20, mean of six networks within 3 standard errors + 3 %."""
    model, times = NET(1, INF, 2, 8, 0.008, input_dim=400), (10, 20)
    theory = sd.predict(model, times, kernels=True)
    found = {"feature_kernel": [], "gradient_kernel": []}
    for seed in range(6):
        network = TrainedNetwork(plan_of(model, times, seed), seed=seed, replicate=0)
        forward, backward = [], []
        for time in times:
            while network.step < time:
                network.update()
            h1 = network.matrices[0] @ network.error
            g2 = network.readout.copy()
            forward.append([h1, network.matrices[1] @ h1])
            backward.append([network.matrices[1].T @ g2, g2])
        for name, vectors in (("feature_kernel", forward), ("gradient_kernel", backward)):
            found[name].append([[[a[layer] @ b[layer] for b in vectors] for a in vectors] for layer in range(2)])
    for name, values in found.items():
        values = np.array(values)
        error = values.std(axis=0, ddof=1) / math.sqrt(len(values))
        expected = theory[name].values
        assert np.all(np.abs(values.mean(axis=0) - expected) < 0.03 * np.abs(expected) + 3 * error), name
        assert np.all(error < 0.2 * np.abs(expected))
        assert np.abs(expected[:, 0, 1] - expected[:, 0, 0]).min() > 0.05 * np.abs(expected[:, 0, 0]).min()


@pytest.mark.parametrize(("rate", "pair"), [(0.14, (1.4169, 2.8231)), (0.15, (1.2835, 3.1165))])
def test_orbit_of_period_two(rate, pair):
    """Sorted pair to 1e-3 in theory and in one network, geometric mean 2; the phase may differ."""
    run, theory = _both(NET(1, INF, 1, 8, rate, input_dim=150), [200, 201], 1)
    for found in (run.sharpness.values.ravel(), theory.sharpness.values):
        np.testing.assert_allclose(np.sort(found), pair, rtol=1e-3)
        assert abs(math.sqrt(found.prod()) - 2.0) < 0.002


@pytest.mark.parametrize("parametrization", ["mup", "ntk"])
@pytest.mark.parametrize("width", [1, 2, 8])
def test_networks_live_below_the_critical_rate_and_die_above(parametrization, width):
    """Six networks each: all bounded at .93 of the theory's rate, none at 1.1 of it."""
    base = NET(width, INF, 1, 8, 1.0, parametrization=parametrization, input_dim=round(200 / math.sqrt(width)))
    critical = dmft.critical_learning_rate(base, 59).value
    below = sd.simulate(dataclasses.replace(base, learning_rate=0.93 * critical), [59], seed=0, replicates=6)
    assert below.test_loss.values.max() < 10.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        above = sd.simulate(dataclasses.replace(base, learning_rate=1.1 * critical), [59], seed=0, replicates=6)
    assert not np.any(above.test_loss.values < 10.0)


def test_rates_of_a_loss_transfer_in_mup_only():
    """Ratio of the rates that reach a loss of .1 at N = 8 D and 2 D: .9 in muP, 1.2 in NTK; 8 networks each, 8 %."""
    ratios = {}
    for name in ("mup", "ntk"):
        rates = {}
        for width in (2, 8):
            base = NET(width, 2, 1, 4, 1.0, parametrization=name, input_dim=160)
            expected = dmft.iso_loss_learning_rate(base, 14, 0.1)
            grid = expected * np.array([0.8, 0.9, 1.0, 1.1, 1.25])
            losses = [
                sd.simulate(dataclasses.replace(base, learning_rate=rate), [14], seed=3, replicates=8)
                .test_loss.mean().item()
                for rate in grid
            ]  # fmt: skip
            rates[width] = math.exp(np.interp(math.log(0.1), np.log(losses)[::-1], np.log(grid)[::-1]))
            assert abs(rates[width] / expected - 1.0) < 0.1
        ratios[name] = rates[8] / rates[2]
    assert 0.82 < ratios["mup"] < 1.1
    assert ratios["ntk"] > 1.12

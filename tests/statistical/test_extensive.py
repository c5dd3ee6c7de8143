"""Finite networks with extensively many outputs against the limit laws of their weights.

Seeds are fixed. Edges are compared within a stated percentage, to which finite width adds a bias of order N^(-2/3) of
known sign; the spread of a mean is a tenth of that bar or less. KS distances of limit laws are .002 to .007 for linear
statistics of this rigidity, under bars of .01 and .012. False alarms at new seeds are below 1e-3 a test. Each group
shows wrong variants of the theory that the same bars refuse.
"""

import dataclasses
import math

import numpy as np
import pytest

import sdespec as sd
from sdespec.theory.extensive import predict
from sdespec.theory.extensive_balanced import balanced_law
from sdespec.training.extensive import simulate
from sdespec.training.extensive_dynamics import Draws

NET = sd.models.ExtensiveOutputNetwork


def both(scale, width, kind="orthogonal", **more):
    return NET(1.0, weight_variance=scale**2, train="both", initialization=kind, width=width, **more)


def ks(values, ds, time, layer=0, atom=None):
    """KS distance of pooled eigenvalues to a density with its atom at 0."""
    x, density = ds.x.values, ds.density.values[layer, time]
    atom = float(ds.atom[layer, time]) if atom is None else atom
    mass = np.concatenate([[0.0], np.cumsum(np.diff(x) * (density[1:] + density[:-1]) / 2.0)])
    ordered = np.sort(values.ravel())
    points, counts = np.unique(ordered, return_counts=True)
    empirical = np.cumsum(counts) / len(ordered)
    cdf = atom + np.interp(points, x, mass)
    before = np.where(points == 0.0, 0.0, cdf)
    return max(np.abs(cdf - empirical).max(), np.abs(before - empirical + counts / len(ordered)).max())


def top(run, layer=0):
    """Largest singular value, (replicate, time)."""
    return np.sqrt(run.eigenvalue.values[layer, :, :, 0])


@pytest.mark.parametrize("outputs", [0.1, 0.5, 1.0])
def test_hidden_weights(outputs):
    model = NET(outputs, target_variance=4.0, width=800)
    times = [0.2, 1.0, 4.0]
    run, ds = simulate(model, times, seed=1, replicates=2), predict(model, times)
    np.testing.assert_allclose(top(run).mean(axis=0), np.sqrt(ds.bulk_edge.values[0, :, 1]), rtol=0.02)
    np.testing.assert_allclose(run.train_loss.values.mean(axis=0), ds.train_loss.values, rtol=0.03)
    for i in range(3):
        assert ks(run.eigenvalue.values[0, :, i], ds, i) < 0.01


@pytest.mark.parametrize(
    "model",
    [
        NET(0.4, 0.5, weight_variance=0.25, target_variance=4.0, width=500),
        NET(2.0, 1.5, weight_variance=0.25, target_variance=4.0, width=400),
        NET(0.4, 0.8, weight_variance=0.25, learning_rate=0.3, width=500),
    ],
)
def test_hidden_weights_of_other_shapes_and_wrong_variants(model):
    times = [2] if model.learning_rate else [0.7]
    run = simulate(model, times, seed=2, replicates=4)
    spectra = run.eigenvalue.values[0, :, 0]
    ds = predict(model, times)
    edge = math.sqrt(float(ds.bulk_edge[0, 0, 1]))
    assert ks(spectra, ds, 0) < 0.012
    assert top(run).mean() == pytest.approx(edge, rel=0.02)
    assert np.sqrt(spectra[:, -1]).mean() == pytest.approx(math.sqrt(float(ds.bulk_edge[0, 0, 0])), abs=0.03)
    changes = {
        "the scale in place of its square": {"weight_variance": math.sqrt(model.weight_variance)},
        "the ratio of inputs upside down": {"input_ratio": 1.0 / model.input_ratio},
        "the ratio of outputs upside down": {"output_ratio": 1.0 / model.output_ratio},
    }
    for fields in changes.values():
        wrong = predict(dataclasses.replace(model, **fields), times)
        assert ks(spectra, wrong, 0) > 0.018


def test_atom_of_weights_that_start_at_zero():
    model = NET(0.3, 0.8, weight_variance=0.0, width=400)
    run, ds = simulate(model, [1.0], seed=3, replicates=4), predict(model, [1.0])
    spectra = run.eigenvalue.values[0, :, 0]
    assert float(ds.atom[0, 0]) == pytest.approx(1.0 - 0.3 / 0.8)
    assert np.all((spectra == 0.0).mean(axis=1) == 1.0 - 0.3 / 0.8)
    assert ks(spectra, ds, 0) < 0.012
    assert ks(spectra, ds, 0, atom=0.0) > 0.5


@pytest.mark.parametrize(
    ("times", "model"),
    [
        ([0.3, 4.0], NET(0.5, target_variance=4.0, width=2)),
        ([1.0], both(0.5, 2)),
    ],
)
def test_the_edge_comes_from_below_with_width(times, model):
    """Bias of order N^(-2/3): means at N, 2N and 4N increase towards the theory by shares of .63 and .37."""
    edge = np.sqrt(predict(model, times).bulk_edge.values[0, :, 1])
    sizes = {200: 32, 400: 16, 800: 8} if model.train == "hidden" else {50: 64, 100: 32, 200: 16}
    means = []
    for width, count in sizes.items():
        run = simulate(dataclasses.replace(model, width=width), times, seed=4, replicates=count)
        means.append(top(run).mean(axis=0))
    gaps = edge - np.array(means)
    assert np.all(gaps > 0.0)
    assert np.all(np.diff(gaps, axis=0) < 0.0)
    assert np.all(gaps[-1] < 0.02 * edge)
    assert np.all((gaps[-1] / gaps[0] > 0.2) & (gaps[-1] / gaps[0] < 0.7))


@pytest.mark.parametrize(("scale", "time"), [(1.0, 1.0), (0.5, 1.0), (0.3, 2.0), (0.3, 4.0), (1.0, 2.5)])
def test_both_trained(scale, time):
    model = both(scale, 250)
    run, ds = simulate(model, [time], seed=1, replicates=4), predict(model, [time])
    edge = math.sqrt(float(ds.bulk_edge[0, 0, 1]))
    for layer in range(2):
        assert ks(run.eigenvalue.values[layer, :, 0], ds, 0, layer) < 0.012
        assert edge * 0.985 < top(run, layer).mean() < edge
    if scale != 1.0 and time < 4.0:
        assert ks(run.eigenvalue.values[0, :, 0], predict(both(math.sqrt(scale), 250), [time]), 0) > 0.03


@pytest.mark.parametrize(("scale", "time"), [(0.5, 1.0), (0.3, 2.0)])
def test_outlier_of_both_trained(scale, time):
    """Mean over networks within .5 %, where each is held against the largest singular value that its target has.

    That value varies by 1/sqrt(N), which would take 200 networks to average out; what is left varies by .4 % or less.
    """
    model = both(scale, 200, target_spike=2.0)
    run = simulate(model, [time], seed=2, replicates=6)
    ratios = []
    for replicate, found in enumerate(top(run)[:, 0]):
        own = np.linalg.norm(Draws(model, 2, replicate).target(), 2)
        matched = dataclasses.replace(model, target_spike=0.5 * (own + math.sqrt(own**2 - 4.0)))
        ratios.append(found / math.sqrt(balanced_law(matched, time).outlier))
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.005)
    assert np.std(ratios) < 0.01
    # the edge in place of the outlier, and a target whose largest value is off by a tenth, are refused
    law = balanced_law(model, time)
    assert abs(math.sqrt(law.edges[1] / law.outlier) - 1.0) > 0.05
    assert abs(math.sqrt(dataclasses.replace(law, isolated=2.25).outlier / law.outlier) - 1.0) > 0.01


def test_weak_outlier_of_both_trained():
    """Mean over networks within .5 % and three standard errors."""
    model = both(0.3, 200, target_spike=1.3)
    run, ds = simulate(model, [1.0], seed=2, replicates=16), predict(model, [1.0])
    found, expected = top(run)[:, 0], math.sqrt(float(ds.outlier[0, 0, 0]))
    assert expected == pytest.approx(1.1043, abs=1e-4)
    assert abs(found.mean() / expected - 1.0) < 0.005 + 3.0 * found.std(ddof=1) / math.sqrt(len(found))


@pytest.mark.parametrize(
    "model",
    [
        NET(0.5, target_spike=4.0, width=400),
        NET(1.0, 2.0, target_spike=3.0, weight_variance=0.3, width=400),
        NET(2.0, 0.5, target_spike=3.0, width=400),
    ],
)
def test_outlier_of_hidden_weights(model):
    """Within four standard errors plus 1/N, relative, and none where the order parameter is below 1."""
    times = [0.1, 1.0, 3.0]
    run, ds = simulate(model, times, seed=5, replicates=16), predict(model, times)
    assert ds.n_outliers.values[0].tolist() == [0, 1, 1]
    found = np.sqrt(run.eigenvalue.values[0, :, :, 0])
    error = found.std(axis=0, ddof=1) / math.sqrt(len(found))
    assert found[:, 0].mean() < math.sqrt(float(ds.bulk_edge[0, 0, 1]))
    for i in (1, 2):
        expected = math.sqrt(float(ds.outlier[0, i, 0]))
        assert abs(found[:, i].mean() - expected) < 4.0 * error[i] + expected / 400.0
        # a spike that were to sit in directions of its own, as in white noise of the same mean, is refused
        lengths = math.sqrt(float(ds.escape[0, i, 0]))
        assert abs(found[:, i].mean() - expected * lengths) > 4.0 * error[i] + expected / 400.0
    np.testing.assert_allclose(run.train_loss.values.mean(axis=0), ds.train_loss.values, rtol=0.01)


def test_gaussian_start_of_both():
    """Means of the protocol of many widths: 1.268(7), 1.279(5), 1.281(3) for M, within four joint standard errors."""
    for width, count, expected, error in ((64, 16, 1.268, 0.007), (128, 8, 1.279, 0.005), (256, 4, 1.281, 0.003)):
        found = top(simulate(both(0.5, width, "gaussian"), [1.0], seed=0, replicates=2 * count))[:, 0]
        own = found.std(ddof=1) / math.sqrt(len(found))
        assert abs(found.mean() - expected) < 4.0 * math.hypot(own, error)
        # an orthogonal start is another law
        assert abs(math.sqrt(float(predict(both(0.5, width), [1.0]).bulk_edge[0, 0, 1])) - found.mean()) > 4.0 * own

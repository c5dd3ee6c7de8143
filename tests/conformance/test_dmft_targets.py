"""Numbers of deep linear networks that earlier, independent prototypes of the same theory gave.

Outliers here are singular values. A target that was written down with d digits is met to half a unit of the last one,
or to 0.2 % where that is more.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from sdespec.models import DeepLinearNetwork
from sdespec.theory.dmft import learned_matrix, predict, solve_deep_linear

INF = math.inf
NONE = math.nan
BATCHES = tuple(np.random.default_rng(3).integers(4, size=80).tolist())
LATE = (20, 40, 79)

# model, times, test loss, training loss, outliers of each matrix; an empty tuple where there is no target
ROWS = {
    "population": (
        DeepLinearNetwork(1.0, INF, 1, 8.0, 0.01), (15, 30, 59),
        (), (), {0: (2.111, 2.771, 2.926)},
    ),
    "samples": (
        DeepLinearNetwork(2.0, 2.0, 1, 6.0, 0.015), LATE,
        (0.227, 0.0754, 0.0170), (), {0: (2.167, 2.375, 2.466)},
    ),
    "two hidden layers": (
        DeepLinearNetwork(1.0, INF, 2, 8.0, 0.008), LATE,
        (), (), {0: (2.134, 2.149, 2.149), 1: (2.205, 2.240, 2.240)},
    ),
    "label noise": (
        DeepLinearNetwork(1.0, 2.0, 1, 6.0, 0.015, label_noise=0.5), LATE,
        (0.300, 0.201, 0.2035), (0.244, 0.152, 0.129), {0: (2.315, 2.526, 2.633)},
    ),
    "label noise, overfitting": (
        DeepLinearNetwork(1.0, 1.5, 2, 7.0, 0.008, label_noise=math.sqrt(0.5)), LATE,
        (0.450, 0.506, 0.687), (), {0: (2.076, 2.146, 2.202), 1: (2.135, 2.229, 2.296)},
    ),
    "one pass": (
        DeepLinearNetwork(1.0, INF, 1, 6.0, 0.01, batch_ratio=0.5), LATE,
        (0.336, 0.0286, 0.0002), (), {0: (2.068, 2.492, 2.591)},
    ),
    "batches": (
        DeepLinearNetwork(1.0, 2.0, 1, 6.0, 0.01, batch_ratio=0.5, batches=BATCHES), LATE,
        (0.426, 0.171, 0.0530), (), {0: (2.093, 2.370, 2.495)},
    ),
    "batches, label noise": (
        DeepLinearNetwork(1.0, 2.0, 2, 7.0, 0.006, batch_ratio=0.5, batches=BATCHES, label_noise=0.5), LATE,
        (0.400, 0.235, 0.225), (), {1: (2.050, 2.148, 2.189)},
    ),
    "weight decay": (
        DeepLinearNetwork(1.0, INF, 2, 8.0, 0.008, weight_decay=0.01), LATE,
        (0.0726, 0.0065, 0.0064), (), {0: (1.953, 1.9855, 1.958), 1: (1.9985, 2.0264, 1.9766)},
    ),
    "momentum": (
        DeepLinearNetwork(1.0, INF, 2, 8.0, 0.0012, momentum=0.8), LATE,
        (0.404, 0.0036), (), {1: (NONE, 2.219, 2.1995)},
    ),
    "momentum and decay": (
        DeepLinearNetwork(2.0, 2.0, 1, 6.0, 0.003, momentum=0.8, weight_decay=0.002), LATE,
        (), (), {0: (1.908, 2.186, 2.228)},
    ),
    "variances and noise": (
        DeepLinearNetwork(2.0, 2.0, 1, 3.0, 0.15, weight_variance=0.5, readout_variance=2.0,
                          label_noise=math.sqrt(0.3)), (1,),
        (0.5193,), (0.5115,), {},
    ),
    "variances and noise, later": (
        DeepLinearNetwork(2.0, 2.0, 1, 3.0, 0.15, weight_variance=0.5, readout_variance=2.0,
                          label_noise=math.sqrt(0.3)), (4,),
        (), (), {0: (1.587,)},
    ),
    "variances and noise, stronger": (
        DeepLinearNetwork(2.0, 2.0, 1, 4.0, 0.15, weight_variance=0.5, readout_variance=2.0,
                          label_noise=math.sqrt(0.3)), (4,),
        (), (), {0: (1.9335,)},
    ),
}  # fmt: skip


def digits(value: float) -> float:
    """Half a unit of the last digit of a target, with some room for a number that was cut off."""
    return 0.6 * 10.0 ** -len(str(value).partition(".")[2])


def check(ours: np.ndarray, targets: tuple[float, ...]) -> None:
    for value, target in zip(ours, targets, strict=False):
        if math.isnan(target):
            assert math.isnan(value)
        else:
            assert abs(value - target) <= max(0.002 * target, digits(target)), (value, target)


@pytest.mark.parametrize("name", ROWS)
def test_losses_and_outliers(name: str) -> None:
    model, times, test_loss, train_loss, outliers = ROWS[name]
    ds = predict(model, times)
    check(ds.test_loss.values, test_loss)
    check(ds.train_loss.values, train_loss)
    for layer, targets in outliers.items():
        check(ds.outlier.values[layer, :, 0] ** 0.5, targets)
        assert np.isnan(ds.outlier.values[layer, :, 1]).all()
    assert ds.converged.values.all()


@pytest.mark.parametrize(
    ("name", "edges"), [("weight decay", (1.636, 1.338, 0.904)), ("momentum and decay", (1.447, 1.174, 0.780))]
)
def test_edges_of_decayed_bulks(name: str, edges: tuple[float, ...]) -> None:
    model, times, *_ = ROWS[name]
    check(predict(model, times).bulk_edge.values[-1, :, 1] ** 0.5, edges)


def test_outliers_against_width() -> None:
    """Maximal-update outliers converge with width; neural-tangent ones fall and are absorbed near width ratio 8."""
    widths = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 32.0)
    found = {}
    for name in ("mup", "ntk"):
        nets = [DeepLinearNetwork(width, INF, 2, 8.0, 0.008, parametrization=name) for width in widths]
        found[name] = [predict(net, [20, 79]) for net in nets]
    mup, ntk = (np.array([ds.outlier.values[1, 1, 0] for ds in found[name]]) ** 0.5 for name in ("mup", "ntk"))
    check(mup, (2.106, 2.191, 2.240, 2.267, 2.280, 2.287, 2.292))
    check(ntk, (2.519, 2.380, 2.240, 2.120, 2.034, 2.000, NONE))
    assert abs(mup[-1] / mup[4] - 1.0) < 0.01
    assert (np.diff(ntk[:6]) < 0.0).all()
    check(found["ntk"][-1].escape.values[1, 1], (0.52,))
    gone = [
        int(predict(DeepLinearNetwork(width, INF, 2, 8.0, 0.008, parametrization="ntk"), [79]).n_outliers[1, 0])
        for width in (7.0, 12.0)
    ]
    assert gone == [1, 0]


def test_top_of_the_ntk() -> None:
    rows = {0.5: (6.83, 8.49, 14.23, 16.41), 1.0: (5.00, 7.52, 14.38, 16.22), 2.0: (3.91, 7.23, 14.48, 16.15)}
    last = []
    for width, targets in rows.items():
        ds = predict(DeepLinearNetwork(width, INF, 1, 8.0, 0.01), [0, 15, 30, 59])
        check(ds.ntk_top.values, targets)
        np.testing.assert_allclose(ds.sharpness, 0.01 * ds.ntk_top)
        last.append(float(ds.ntk_top[-1]))
    assert max(last) / min(last) < 1.03


@pytest.mark.parametrize(
    ("rate", "targets"), [(0.05, (0.820, 0.810, 0.806, 0.804)), (0.1, (1.650, 1.620, 1.609, 1.604))]
)
def test_final_sharpness_below_the_edge_of_stability(rate: float, targets: tuple[float, ...]) -> None:
    tops = [
        float(predict(DeepLinearNetwork(width, INF, 1, 8.0, rate), [200]).sharpness[0])
        for width in (0.5, 1.0, 2.0, 4.0)
    ]
    check(np.array(tops), targets)


@pytest.mark.parametrize(
    ("rate", "low", "high", "loss"), [(0.14, 1.4169, 2.8231, 0.2028), (0.15, 1.2835, 3.1165, 0.3056)]
)
def test_period_two_at_the_edge_of_stability(rate: float, low: float, high: float, loss: float) -> None:
    ds = predict(DeepLinearNetwork(1.0, INF, 1, 8.0, rate), [200, 201, 202])
    pair = np.sort(ds.sharpness.values[:2])
    np.testing.assert_allclose(pair, [low, high], rtol=0, atol=1e-3)
    assert abs(math.sqrt(pair.prod()) - 2.0) < 0.002
    assert abs(float(ds.test_loss[:2].sum()) - loss) < 1e-4
    np.testing.assert_allclose(ds.sharpness[2], ds.sharpness[0], rtol=1e-6)


def test_the_same_orbit_at_another_width() -> None:
    ds = predict(DeepLinearNetwork(4.0, INF, 1, 8.0, 0.15), [200, 201])
    np.testing.assert_allclose(np.sort(ds.sharpness), [1.2835, 3.1165], rtol=0, atol=1e-3)


def test_kernels_change_as_the_square_of_the_feature_strength() -> None:
    strengths = (0.05, 0.1, 0.2, 0.4)
    change, escape = [], []
    for strength in strengths:
        solution = solve_deep_linear(DeepLinearNetwork(1e8, 2.0, 2, strength, 0.05), 39)
        kernel = solution.G[0]
        change.append(kernel[-1, -1] - kernel[0, 0])
        escape.append(learned_matrix(solution, 1, 39).solve().escape[0])
    exponents = np.diff(np.log(change)) / math.log(2.0)
    np.testing.assert_allclose(exponents, [1.998, 1.992, 1.970], rtol=0, atol=0.003)
    assert ((exponents[:2] > 1.95) & (exponents[:2] < 2.02)).all()
    slopes = np.diff(np.log(escape)) / math.log(2.0)
    np.testing.assert_allclose(slopes, [1.02, 1.04, 1.06], rtol=0, atol=0.02)

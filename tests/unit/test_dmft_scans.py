"""Critical and iso-loss learning rates, and how they move with the width."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from sdespec.core.errors import UsageError
from sdespec.models import DeepLinearNetwork, DeepNetwork
from sdespec.theory.dmft import critical_learning_rate, iso_loss_learning_rate, loss_curve

INF = math.inf
WIDTHS = (0.5, 1.0, 2.0, 4.0, 8.0)


def network(width: float, samples: float, strength: float, parametrization: str) -> DeepLinearNetwork:
    return DeepLinearNetwork(width, samples, 1, strength, 1.0, parametrization=parametrization)  # type: ignore[arg-type]  # text


@pytest.mark.parametrize(
    ("parametrization", "expected"),
    [("mup", [0.200, 0.219, 0.2255, 0.2325, 0.2325]), ("ntk", [0.1535, 0.219, 0.2945, 0.4195, 0.5805])],
)
def test_critical_rates_of_the_population(parametrization: str, expected: list[float]) -> None:
    """Targets are the middles of the brackets .197/.203, .216/.222, ... of an earlier scan on a grid of 3 %."""
    rates = [
        critical_learning_rate(network(width, INF, 8.0, parametrization), 59, bounds=(0.1, 1.0)) for width in WIDTHS
    ]
    np.testing.assert_allclose([rate.value for rate in rates], expected, rtol=0.04)
    for rate in rates:
        assert abs(rate.unstable / rate.stable - 1.03) < 1e-12
    ratio = rates[4].value / rates[1].value
    assert ratio < 1.25 if parametrization == "mup" else ratio > 2.0
    if parametrization == "ntk":
        assert 0.44 < math.log(ratio) / math.log(8.0) < 0.50


@pytest.mark.parametrize(
    ("parametrization", "iso", "critical"),
    [
        ("mup", [0.0704, 0.0568, 0.0502, 0.0470, 0.0454], [0.244, 0.274, 0.274, 0.274, 0.274]),
        ("ntk", [0.0495, 0.0568, 0.0647, 0.0722, 0.0784], [0.204, 0.274, 0.366, 0.462, 0.584]),
    ],
)
def test_transfer_with_few_samples(parametrization: str, iso: list[float], critical: list[float]) -> None:
    nets = [network(width, 2.0, 4.0, parametrization) for width in WIDTHS]
    rates = [iso_loss_learning_rate(net, 14, 0.1, bounds=(0.02, 1.0)) for net in nets]
    np.testing.assert_allclose(rates, iso, rtol=0.003)
    for net, rate in zip(nets, rates, strict=True):
        assert abs(loss_curve(net, 14, [rate])[0] - 0.1) < 1e-8
    limits = [critical_learning_rate(net, 14, bounds=(0.1, 1.0), step=0.06).stable for net in nets]
    assert (np.abs(np.log(np.array(limits) / critical)) <= math.log(1.06) + 0.002).all()
    wide = rates[4] / rates[2]
    assert 0.85 < wide < 1.1 if parametrization == "mup" else wide > 1.12


def parity_network(strength: float = 1.0) -> DeepNetwork:
    inputs = np.random.default_rng(0).standard_normal((3, 16))
    inputs *= math.sqrt(3) / np.linalg.norm(inputs, axis=0)
    return DeepNetwork(inputs.T, np.sign(inputs.prod(axis=0)), 2, feature_strength=strength, learning_rate=1.0)


def test_nonlinear_rates_of_equal_loss() -> None:
    """Recorded .490 and .758 for the mean log loss after 20 to 40 updates, within 4 %; the largest rate near 6.4."""
    found = [
        iso_loss_learning_rate(parity_network(), 40, loss, window=21, bounds=bounds, step=0.2)
        for loss, bounds in ((0.5, (0.4, 1.0)), (0.3, (0.65, 1.5)))
    ]
    np.testing.assert_allclose(found, [0.490, 0.758], rtol=0.04)
    assert abs(math.log(critical_learning_rate(parity_network(), 40, bounds=(4.0, 12.0), step=0.25).value / 6.4)) < 0.25
    one = iso_loss_learning_rate(parity_network(), 40, 0.3, bounds=(0.4, 1.5), step=0.2)
    assert one < 0.9 * found[1]  # the last loss alone is lower than its mean over the window


def test_windows_are_geometric_means() -> None:
    net = network(1.0, 2.0, 4.0, "mup")
    each = [loss_curve(net, last, [0.05])[0] for last in (12, 13, 14)]
    np.testing.assert_allclose(loss_curve(net, 14, [0.05], window=3), np.exp(np.mean(np.log(each))), rtol=1e-12)
    nonlinear = [loss_curve(parity_network(), last, [0.5], samples=400)[0] for last in (3, 4)]
    found = loss_curve(parity_network(), 4, [0.5], window=2, samples=400)
    np.testing.assert_allclose(found, np.exp(np.mean(np.log(nonlinear))), rtol=1e-12)
    assert not np.allclose(loss_curve(parity_network(), 4, [0.5], window=2, samples=400, seed=1), found, rtol=1e-6)
    with pytest.raises(UsageError, match="window is 16"):
        loss_curve(net, 14, [0.05], window=16)


def test_a_nonlinear_network_that_diverges_has_no_loss() -> None:
    found = loss_curve(dataclasses.replace(parity_network(3.0), activation="linear"), 20, [0.01, 1e3], samples=400)
    assert np.isfinite(found[0])
    assert np.isnan(found[1])


def test_limit_of_the_loss_is_obeyed() -> None:
    net = network(1.0, INF, 8.0, "mup")
    strict = critical_learning_rate(net, 59, bounds=(0.05, 1.0), loss_limit=0.05)
    assert strict.unstable < 0.2
    assert loss_curve(net, 59, [strict.stable])[0] < 0.05 <= loss_curve(net, 59, [strict.unstable])[0]


def test_nothing_fails_and_nothing_is_reached() -> None:
    net = network(1.0, INF, 8.0, "mup")
    assert critical_learning_rate(net, 10, bounds=(0.01, 0.02)).unstable == INF
    assert math.isnan(iso_loss_learning_rate(net, 10, 1e-9, bounds=(0.001, 0.01)))
    assert math.isnan(iso_loss_learning_rate(network(1.0, 0.5, 4.0, "mup"), 14, 1e-3, bounds=(0.1, 3.0)))


def test_bad_arguments() -> None:
    net = network(1.0, INF, 8.0, "mup")
    with pytest.raises(UsageError, match="fails at"):
        critical_learning_rate(net, 59, bounds=(0.5, 1.0))
    with pytest.raises(UsageError, match="already"):
        iso_loss_learning_rate(net, 59, 0.5, bounds=(0.05, 1.0))
    with pytest.raises(UsageError, match="bounds"):
        critical_learning_rate(net, 59, bounds=(0.5, 0.1))
    with pytest.raises(UsageError, match="step"):
        critical_learning_rate(net, 59, step=0.0)
    with pytest.raises(UsageError, match="loss"):
        iso_loss_learning_rate(net, 59, 0.0)

"""The causal pass: its plain twin, exact identities, variants, and what it does where training diverges."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from sdespec.core.errors import UsageError
from sdespec.models import DeepLinearNetwork
from sdespec.theory.dmft import _kernels, _reference, solve_deep_linear
from sdespec.theory.dmft.deep_linear import solver_arguments

INF = math.inf
BATCHES = tuple(np.random.default_rng(3).integers(4, size=80).tolist())
VARIANTS = {
    "population": DeepLinearNetwork(1.0, INF, 1, 8.0, 0.01),
    "samples": DeepLinearNetwork(2.0, 2.0, 1, 6.0, 0.015),
    "deep": DeepLinearNetwork(1.0, INF, 2, 8.0, 0.008),
    "everything": DeepLinearNetwork(
        0.5, 1.5, 3, 3.0, 0.02, weight_variance=0.7, readout_variance=2.0, label_noise=0.3, momentum=0.5,
        weight_decay=0.01,
    ),
    "batches": DeepLinearNetwork(1.0, 2.0, 2, 6.0, 0.01, batch_ratio=0.5, batches=BATCHES, label_noise=0.5),
    "one pass": DeepLinearNetwork(1.0, INF, 1, 6.0, 0.01, batch_ratio=0.5, label_noise=0.2),
    "ntk": DeepLinearNetwork(4.0, 3.0, 2, 8.0, 0.02, parametrization="ntk"),
    "diverging": DeepLinearNetwork(1.0, 2.0, 2, 8.0, 0.6),
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_kernel_equals_its_plain_twin(name: str) -> None:
    compiled, plain = (solver_arguments(VARIANTS[name], 50) for _ in range(2))
    reached = _kernels.march(*compiled)
    assert reached == _reference.march(*plain)
    assert (reached < 51) == (name == "diverging")
    for a, b in zip(compiled[-6:], plain[-6:], strict=True):
        a, b = a[..., :reached, :reached], b[..., :reached, :reached]
        assert np.abs(a - b).max() <= 1e-12 * max(1.0, np.abs(b).max())


@pytest.mark.parametrize("name", VARIANTS)
def test_a_longer_horizon_does_not_change_the_past(name: str) -> None:
    short, long = (solve_deep_linear(VARIANTS[name], n) for n in (25, 60))
    reached = min(short.reached, long.reached)
    assert reached == min(long.reached, 26)
    for field in ("V", "Q", "H", "G", "A", "B"):
        a, b = (getattr(item, field)[..., :reached, :reached] for item in (short, long))
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * np.abs(b).max())


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_initial_loss_is_exact(layers: int) -> None:
    model = DeepLinearNetwork(0.3, 1.7, layers, 1.9, 0.1, weight_variance=0.6, readout_variance=1.4, label_noise=0.5)
    solution = solve_deep_linear(model, 0)
    expected = 1.0 + 0.6**layers * 1.4 / (0.3 * 1.9**2)
    assert abs(solution.test_loss[0] - expected) < 1e-12
    assert abs(solution.train_loss[0] - expected - 0.25) < 1e-12


def test_many_samples_are_the_population() -> None:
    base = DeepLinearNetwork(1.0, INF, 2, 6.0, 0.01)
    population = solve_deep_linear(base, 60).test_loss
    many = solve_deep_linear(dataclasses.replace(base, sample_ratio=1e6), 60).test_loss
    shown = population > 1e-2
    assert shown.sum() > 10
    np.testing.assert_allclose(many[shown], population[shown], rtol=0, atol=1e-4)


def test_batches_unify_full_batch_and_one_pass() -> None:
    """A single batch is full-batch descent; batches that are all different are fresh samples."""
    common = {
        "width_ratio": 1.0,
        "hidden_layers": 2,
        "feature_strength": 6.0,
        "learning_rate": 0.01,
        "label_noise": 0.4,
    }
    full = DeepLinearNetwork(sample_ratio=2.0, **common)
    single = DeepLinearNetwork(sample_ratio=2.0, batch_ratio=2.0, batches=[0] * 40, **common)
    one_pass = DeepLinearNetwork(sample_ratio=INF, batch_ratio=0.5, **common)
    distinct = DeepLinearNetwork(sample_ratio=20.0, batch_ratio=0.5, batches=range(40), **common)
    for a, b in ((full, single), (one_pass, distinct)):
        first, second = (solve_deep_linear(model, 39) for model in (a, b))
        for field in ("V", "Q", "H", "G", "A", "B"):
            np.testing.assert_allclose(getattr(first, field), getattr(second, field), rtol=0, atol=1e-12)
    assert np.abs(solve_deep_linear(full, 39).V - solve_deep_linear(one_pass, 39).V).max() > 0.01


def test_impulse_and_decay_follow_the_optimizer() -> None:
    model = DeepLinearNetwork(1.0, INF, 1, 4.0, 0.01, momentum=0.8, weight_decay=0.03)
    solution = solve_deep_linear(model, 30)
    weight, velocity = 0.0, 0.0
    for t in range(31):
        assert abs(solution.impulse[t] - weight) < 1e-13
        velocity = 0.8 * velocity + (t == 0) - 0.03 * weight
        weight += velocity
    plain = solve_deep_linear(DeepLinearNetwork(1.0, INF, 1, 4.0, 0.01, weight_decay=0.03), 30)
    np.testing.assert_allclose(plain.beta, 0.97 ** np.arange(31), rtol=1e-12)
    np.testing.assert_allclose(solution.beta[:3], [1.0, 0.97, 0.97 - 0.8 * 0.03 - 0.03 * 0.97], rtol=1e-12)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("ratio", [INF, 1.5])
def test_no_learning_rate_raises(layers: int, ratio: float) -> None:
    stopped = 0
    for rate in np.geomspace(0.01, 1.0, 14):
        solution = solve_deep_linear(DeepLinearNetwork(1.0, ratio, layers, 8.0, float(rate)), 40)
        n = solution.reached
        for array in (solution.V, solution.Q, solution.H, solution.G, solution.A, solution.B):
            assert np.isfinite(array[..., :n, :n]).all()
            assert np.isnan(array[..., n:, :]).all()
            assert np.isnan(array[..., :, n:]).all()
        assert 1 <= n <= 41
        stopped += n < 41
    assert 3 <= stopped <= 12


def test_loss_of_a_batch_that_is_not_named_is_missing() -> None:
    model = DeepLinearNetwork(1.0, 1.0, 1, 4.0, 0.01, batch_ratio=0.5, batches=[0, 1, 0])
    loss = solve_deep_linear(model, 3).train_loss
    assert np.isfinite(loss[:3]).all()
    assert np.isnan(loss[3])
    with pytest.raises(UsageError, match="4 updates"):
        solve_deep_linear(model, 4)


@pytest.mark.parametrize("updates", [-1, 2.5, True, 100_000])
def test_bad_numbers_of_updates(updates: float) -> None:
    with pytest.raises(UsageError):
        solve_deep_linear(VARIANTS["population"], updates)  # type: ignore[arg-type]  # invalid on purpose

"""Stationary draws beside noise that multiplies the matrix: they stay as they are, and moments are exact.

KS tests with Bonferroni at 1e-3; means are allowed 4.5 standard errors (probability 7e-6 each).
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from sdespec.core.errors import UsageError
from sdespec.integrators import simulate
from sdespec.models import (
    IsotropicNoise,
    LeftMultiplicativeNoise,
    MatrixSGD,
    QuadraticLoss,
    RightMultiplicativeNoise,
    ScalarMultiplicativeNoise,
    SeparableNoise,
)

ROWS = np.array([[1.0, 0.6], [0.6, 0.5]])
COLS = np.array([[1.0, 0.5, 0.0], [0.5, 2.0, -0.8], [0.0, -0.8, 0.7]])
PULL = QuadraticLoss(np.zeros((2, 3)), 0.4 * np.eye(3))
ZERO, ALIKE, EYE = np.zeros((2, 3)), 0.3 * np.eye(2), 0.3 * np.eye(3)

CASES = {
    "scalar": (ScalarMultiplicativeNoise, (IsotropicNoise(0.2), SeparableNoise(ROWS, COLS)), None),
    "scalar, loss": (ScalarMultiplicativeNoise, (SeparableNoise(ROWS, COLS),), PULL),
    "right": (RightMultiplicativeNoise, (IsotropicNoise(0.1), SeparableNoise(ROWS, EYE)), None),
    "left": (LeftMultiplicativeNoise, (IsotropicNoise(0.1), SeparableNoise(ALIKE, COLS)), PULL),
}


def _model(name, strength=0.1, scale=1.0):
    kind, additive, loss = CASES[name]
    scaled = tuple(
        IsotropicNoise(scale * one.diffusion)
        if isinstance(one, IsotropicNoise)
        else SeparableNoise(scale * one.row_covariance, one.col_covariance)
        for one in additive
    )
    return MatrixSGD(2, 3, 1.0, (*scaled, kind(strength)), loss)


def _weights(model, times, count, seed, **options):
    run = simulate(model, times, seed=seed, replicates=count, save_weights=True, time_step=0.02, **options)
    return run.weight.values[0, :, -1]


def _second_moments(name, strength=0.1, scale=1.0):
    """Stationary E W W^T and E W^T W by their linear equations, from n m x n m moments of the entries."""
    model = _model(name, strength, scale)
    kind, _, loss = CASES[name]
    decay = 1.0 + (0.4 if loss is not None else 0.0)
    added, gain = np.zeros((6, 6)), np.zeros((36, 36))
    for one in model.noises:
        if isinstance(one, IsotropicNoise):
            added += 2 * one.diffusion * np.eye(6)
        elif isinstance(one, SeparableNoise):
            added += np.kron(one.row_covariance, one.col_covariance)
    for index in range(36):  # what the multiplicative noise adds to the covariance of the entries, column by column
        unit = np.zeros(36)
        unit[index] = 1.0
        four = unit.reshape(2, 3, 2, 3)
        if kind is ScalarMultiplicativeNoise:
            grown = four
        elif kind is RightMultiplicativeNoise:  # E W_ia W_jb -> delta_ab sum_c E W_ic W_jc
            grown = np.einsum("icjc,ab->iajb", four, np.eye(3))
        else:
            grown = np.einsum("iaib,kl->kalb", four, np.eye(2))
        gain[:, index] = 2 * strength * grown.ravel()
    moments = np.linalg.solve(2 * decay * np.eye(36) - gain, added.ravel()).reshape(2, 3, 2, 3)
    return np.einsum("iaja->ij", moments), np.einsum("iaib->ab", moments)


@pytest.mark.parametrize("name", CASES)
def test_second_moments_of_stationary_draws(name):
    """All of E W W^T and E W^T W at 25 000 draws. Planted: 5 % in the additive, 80 % in the multiplicative noise."""
    w = _weights(_model(name), [0.0], 25_000, 3, initial="stationary")
    products = [np.einsum("ria,rja->rij", w, w), np.einsum("ria,rib->rab", w, w)]

    def worst(**changed):
        targets = _second_moments(name, **changed)
        scores = [
            np.abs(one.mean(axis=0) - target) * math.sqrt(len(w)) / one.std(axis=0)
            for one, target in zip(products, targets, strict=True)
        ]
        return max(score.max() for score in scores)

    assert worst() < 4.5
    assert worst(scale=1.05) > 4.5
    assert worst(strength=0.18) > 4.5


@pytest.mark.parametrize("name", CASES)
def test_stationary_draws_stay_as_they_are(name):
    """After a tenth of a unit of time: both eigenvalues, the share of the first row, an entry.

    Planted: a start from the law of three times the multiplicative noise (1.4 times the additive noise beside scalar noise).
    """
    model = _model(name)

    def numbers(w):
        values = np.linalg.svd(w, compute_uv=False)
        return values[:, 0], values[:, 1], (w[:, 0] ** 2).sum(axis=1) / (w**2).sum(axis=(1, 2)), w[:, 1, 2]

    at_rest = numbers(_weights(model, [0.0], 6000, 5, initial="stationary"))
    wrong = {"scale": 1.4} if name.startswith("scalar") else {"strength": 0.3}
    other = _weights(_model(name, **wrong), [0.0], 4000, 6, initial="stationary")

    def p_value(start):
        later = numbers(_weights(model, [0.1], 4000, 7, initial=start))
        return min(stats.ks_2samp(a, b).pvalue for a, b in zip(at_rest, later, strict=True))

    assert p_value("stationary") > 1e-3 / 4
    assert p_value(other) < 1e-3 / 4


@pytest.mark.parametrize(
    "model",
    [
        MatrixSGD(2, 3, 1.0, (SeparableNoise(ROWS, COLS), RightMultiplicativeNoise(0.1))),
        MatrixSGD(2, 3, 1.0, (SeparableNoise(ROWS, COLS), LeftMultiplicativeNoise(0.1))),
        MatrixSGD(2, 3, 1.0, ScalarMultiplicativeNoise(0.1)),
        MatrixSGD(2, 3, 1.0, (IsotropicNoise(0.1), ScalarMultiplicativeNoise(0.1)), QuadraticLoss(ZERO + 1, np.eye(3))),
        MatrixSGD(2, 3, 1.0, (IsotropicNoise(0.1), ScalarMultiplicativeNoise(0.1)), QuadraticLoss(ZERO, COLS + EYE)),
        MatrixSGD(2, 3, 1.0, (IsotropicNoise(0.1), ScalarMultiplicativeNoise(0.1), LeftMultiplicativeNoise(0.1))),
    ],
)
def test_what_cannot_be_drawn_says_how_long_to_wait(model):
    """The time is ten over the rate at which the start is forgotten."""
    with pytest.raises(UsageError, match="not known in closed form") as caught:
        simulate(model, [0.0], seed=0, initial="stationary", time_step=0.1)
    assert f"after a time of {10.0 / model.relaxation_rate:.3g} or more" in str(caught.value)


def test_the_start_is_forgotten_at_the_stated_rate():
    """Two paths of one noise come together: the mean logarithm of their distance falls at that rate.

    4.5 standard errors of 500 pairs and the bias of the step. Planted: the rate without the noise.
    """
    noises = (IsotropicNoise(0.1), RightMultiplicativeNoise(0.2), ScalarMultiplicativeNoise(0.3))
    model = MatrixSGD(2, 6, 1.0, noises, QuadraticLoss(np.ones((2, 6)), 0.5 * np.eye(6)))
    assert model.relaxation_rate == pytest.approx(1.0 + 0.5 + 0.3 - 0.2 * 4)
    options = {"seed": 2, "replicates": 500, "time_step": 0.005, "save_weights": True}
    start = np.zeros((2, 6))
    start[0, 0] = 1.0
    one, two = (simulate(model, [4.0], initial=w, **options).weight.values[0, :, 0] for w in (start, 2 * start))
    rates = -np.log(np.linalg.norm(one - two, axis=(1, 2))) / 4.0
    error = 4.5 * rates.std() / math.sqrt(500) + 0.02
    assert abs(rates.mean() - model.relaxation_rate) < error
    assert abs(rates.mean() - 1.5) > error

"""Euler's scheme of multiplicative noises equals that of sdeint on a shared Brownian path, to rounding."""

import math

import numpy as np
import pytest
import sdeint

from sdespec.core.rng import standard_normal
from sdespec.integrators import simulate
from sdespec.models import (
    IsotropicNoise,
    LeftMultiplicativeNoise,
    MatrixSGD,
    QuadraticLoss,
    RightMultiplicativeNoise,
    ScalarMultiplicativeNoise,
)

N, M, DECAY, H, COUNT = 2, 3, 0.7, 0.01, 50
START = np.array([[1.0, -2.0, 0.5], [0.3, 0.4, 2.0]])
CURVATURE = np.diag([0.5, 1.0, 2.0]) + 0.2


def _sdeint(isotropic, scalar, right, left):
    """sdeint's path, with a column of the diffusion for each Brownian motion."""

    def diffusion(y, t):
        weight = y.reshape(N, M)
        columns = [math.sqrt(2 * isotropic) * np.eye(N * M), math.sqrt(2 * scalar) * y[:, None]]
        columns.append(math.sqrt(2 * right) * np.kron(weight, np.eye(M)))
        columns.append(math.sqrt(2 * left) * np.kron(np.eye(N), weight.T))
        return np.hstack(columns)

    def drift(y, t):
        weight = y.reshape(N, M)
        return -((weight - 1.0) @ CURVATURE + DECAY * weight).ravel()

    def drawn(shape, purpose):
        return np.array(
            [standard_normal(shape, seed=4, replicate=0, step=k, purpose=purpose).ravel() for k in range(COUNT)]
        )

    noise = np.hstack([drawn((N, M), 0), drawn((1,), 4), drawn((M, M), 5), drawn((N, N), 6)])
    grid = np.arange(COUNT + 1) * H
    return sdeint.itoEuler(drift, diffusion, START.ravel(), grid, dW=math.sqrt(H) * noise)[-1]


def _ours(isotropic, scalar, right, left):
    noises = (
        IsotropicNoise(isotropic), ScalarMultiplicativeNoise(scalar), RightMultiplicativeNoise(right),
        LeftMultiplicativeNoise(left),
    )  # fmt: skip
    model = MatrixSGD(N, M, DECAY, noises, QuadraticLoss(np.ones((N, M)), CURVATURE))
    run = simulate(model, [COUNT * H], seed=4, initial=START, method="euler", time_step=H, save_weights=True)
    return run.weight.values.ravel()


@pytest.mark.parametrize(
    "strengths",
    [(0.4, 0.0, 0.0, 0.0), (0.0, 0.3, 0.0, 0.0), (0.0, 0.0, 0.3, 0.0), (0.0, 0.0, 0.0, 0.3), (0.2, 0.1, 0.1, 0.1)],
)
def test_euler_under_every_noise(strengths):
    np.testing.assert_allclose(_ours(*strengths), _sdeint(*strengths), rtol=1e-11, atol=1e-13)


def test_planted_bug_sides_swapped():
    assert not np.allclose(_ours(0.1, 0.0, 0.3, 0.0), _sdeint(0.1, 0.0, 0.0, 0.3), rtol=0.1)

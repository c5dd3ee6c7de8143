"""Our Euler schemes equal those of sdeint on a shared Brownian path, to rounding."""

import math

import numpy as np
import pytest
import sdeint

import sdespec as sd
from sdespec.core.errors import UsageError
from sdespec.core.rng import standard_normal, words_of
from sdespec.integrators._kernels import linear_steps, sorted_euler_steps
from sdespec.models import DysonLaguerre, IsotropicNoise, MatrixSGD


def _noise(shape, count, seed):
    """The noise that our kernels draw, one row for each step."""
    shape = shape if isinstance(shape, tuple) else (shape,)
    return np.array([standard_normal(shape, seed=seed, replicate=0, step=k).ravel() for k in range(count)])


def _euler(shape, h, count, seed):
    weight = np.zeros(shape)
    words = words_of(seed=seed, replicate=0, step=0)
    linear_steps(weight, 1.0 - 0.7 * h, math.sqrt(2.0 * 0.4 * h), count, *words)
    return weight


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (10, 10)])
def test_matrix_euler(shape):
    model = MatrixSGD(*shape, weight_decay=0.7, noise=IsotropicNoise(0.4))
    f, g, y0 = sd.integrators.to_sdeint(model)
    h, count = 0.01, 50
    path = sdeint.itoEuler(f, g, y0, np.arange(count + 1) * h, dW=math.sqrt(h) * _noise(shape, count, 4))
    found = _euler(shape, h, count, 4)
    np.testing.assert_allclose(found.ravel(), path[-1], rtol=1e-12, atol=1e-14)


def test_planted_bug_a_wrong_noise_is_seen():
    model = MatrixSGD(3, 5, weight_decay=0.7, noise=IsotropicNoise(0.8))
    f, g, y0 = sd.integrators.to_sdeint(model)
    path = sdeint.itoEuler(f, g, y0, np.arange(51) * 0.01, dW=0.1 * _noise((3, 5), 50, 4))
    found = _euler((3, 5), 0.01, 50, 4)
    assert not np.allclose(found.ravel(), path[-1], rtol=0.1)


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (6, 6)])
def test_eigenvalue_euler_until_it_goes_wrong(shape):
    """Steps short enough that no order is violated: both schemes are then plain Euler of the same equation."""
    model = DysonLaguerre(*shape, weight_decay=1.0, diffusion=0.1)
    f, g, y0 = sd.integrators.to_sdeint(model)
    h, count, n = 1e-6, 100, min(shape)
    path = sdeint.itoEuler(f, g, y0, np.arange(count + 1) * h, dW=math.sqrt(h) * _noise(n, count, 5))
    found = np.sort(y0)[::-1].copy()
    words = words_of(seed=5, replicate=0, step=0)
    violations = sorted_euler_steps(found, max(shape), 1.0, 0.1, h, count, *words)
    assert violations == 0
    np.testing.assert_allclose(found, path[-1], rtol=1e-11)


def test_the_size_is_capped():
    with pytest.raises(UsageError, match="dense diffusion of 16777216 entries"):
        sd.integrators.to_sdeint(MatrixSGD(64, 64))
    assert sd.integrators.to_sdeint(DysonLaguerre(100, 200, 1.0, 1.0))[2].shape == (100,)

"""Tail indices of the diffusion and of the discrete recursion of linear regression."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate

from sdespec.core.errors import UsageError
from sdespec.models import (
    IsotropicNoise,
    LeftMultiplicativeNoise,
    LinearRegressionSGD,
    MatrixSGD,
    RightMultiplicativeNoise,
    ScalarMultiplicativeNoise,
    SeparableNoise,
)
from sdespec.theory import tail_index_kesten, tail_index_sde


@pytest.mark.parametrize(
    ("rate", "batch", "kesten", "diffusion"),
    [
        (0.5, 1, 2.90, 3.0),
        (0.3, 1, 5.31, 13.0 / 3.0),
        (0.05, 1, 35.2, 21.0),
        (0.2, 4, 30.6, 21.0),
        (0.5, 16, 36.6, 33.0),
    ],
)
def test_one_input(rate, batch, kesten, diffusion):
    """Recorded to three digits; the two indices differ by up to 1.7, on either side."""
    model = LinearRegressionSGD(1, 1, rate, batch, 1.0)
    assert abs(tail_index_kesten(model) / kesten - 1.0) < 3e-3
    assert abs(tail_index_sde(model) - diffusion) < 1e-12


def test_small_learning_rates():
    """The index times the rate tends to the root of log 2c = 1 + 1/(2c), not to 1."""
    limit = 1.7956
    assert abs(math.log(2.0 * limit) - 1.0 - 0.5 / limit) < 1e-4
    products = [rate * tail_index_kesten(LinearRegressionSGD(1, 1, rate, 1, 1.0)) for rate in (1e-2, 1e-3, 1e-4)]
    gaps = [abs(product - limit) for product in products]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 3e-4
    assert abs(1e-4 * tail_index_sde(LinearRegressionSGD(1, 1, 1e-4, 1, 1.0)) - 1.0) < 2e-4


@pytest.mark.parametrize(("rate", "batch", "inputs"), [(0.45, 2, 2), (0.5, 3, 3), (0.6, 8, 4)])
def test_the_moment_of_that_order_is_one(rate, batch, inputs):
    """By adaptive quadrature over both variables, to 1e-6; and off by more at an index 1 % away."""
    index, step = tail_index_kesten(LinearRegressionSGD(1, inputs, rate, batch, 1.0)), rate / batch

    def chi(value, degrees):
        return math.exp((0.5 * degrees - 1.0) * math.log(value) - 0.5 * value - math.lgamma(0.5 * degrees)) / 2.0 ** (
            0.5 * degrees
        )

    def moment(power):
        def inner(y, r):
            return chi(y, inputs - 1) * chi(r, batch) * ((1.0 - step * r) ** 2 + step**2 * r * y) ** (0.5 * power)

        return integrate.dblquad(inner, 1e-12, 150.0, 1e-12, 150.0, epsabs=1e-9, epsrel=1e-9)[0]

    assert abs(moment(index) - 1.0) < 5e-4  # the density of one degree of freedom is infinite at zero
    assert abs(moment(1.01 * index) - 1.0) > 2e-3


def test_wide_inputs_and_single_samples_have_no_stationary_law():
    """With 784 inputs and B = 1 the diffusion has none above .0026, and neither has the recursion."""
    above, below = (LinearRegressionSGD(1, 784, rate, 1, 1.0) for rate in (0.0027, 0.0025))
    for find in (tail_index_sde, tail_index_kesten):
        with pytest.raises(UsageError, match="no stationary law"):
            find(above)
        assert find(below) > 0.0
    assert tail_index_kesten(LinearRegressionSGD(1, 784, 0.001, 1, 1.0)) > 2.0 * tail_index_sde(
        LinearRegressionSGD(1, 784, 0.001, 1, 1.0)
    )


def test_diffusions():
    isotropic = IsotropicNoise(0.3)
    right = MatrixSGD(4, 6, 1.0, (isotropic, RightMultiplicativeNoise(0.1)))
    assert tail_index_sde(right) == pytest.approx(6.0)
    assert tail_index_sde(MatrixSGD(4, 6, 1.0, (ScalarMultiplicativeNoise(0.25), isotropic))) == pytest.approx(5.0)
    left = MatrixSGD(6, 4, 1.0, (isotropic, LeftMultiplicativeNoise(0.1)))
    assert tail_index_sde(left) == pytest.approx(6.0)  # the transpose
    for model, text in (
        (MatrixSGD(4, 6, 1.0, isotropic), "no known tail index"),
        (MatrixSGD(4, 6, 1.0, (isotropic, SeparableNoise(np.eye(4), np.eye(6)))), "makes no tail"),
        (MatrixSGD(4, 6, 0.3, (isotropic, RightMultiplicativeNoise(0.1))), "no stationary law"),
    ):
        with pytest.raises(UsageError, match=text):
            tail_index_sde(model)


def test_index_of_the_largest_value_of_matrix_f_draws():
    """Hill estimate of 4e4 largest eigenvalues beyond their 99 % quantile: the density exponent within 4 errors."""
    from sdespec.theory import stationary_ensemble

    model = MatrixSGD(2, 3, 2.0, (IsotropicNoise(0.3), RightMultiplicativeNoise(1.0)))
    tops = np.sort(stationary_ensemble(model).rvs(40_000, seed=0)[:, 0])[-401:]
    survival = 400.0 / np.log(tops[1:] / tops[0]).sum()
    expected = 0.5 * tail_index_sde(model)
    assert abs(survival / expected - 1.0) < 4.0 / math.sqrt(400)

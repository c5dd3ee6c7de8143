"""Noises and losses: fields checked, digests that tell functions apart, and conditions for a stationary law."""

import functools

import numba
import numpy as np
import pytest

from sdespec.core.errors import UsageError
from sdespec.models import (
    DysonLaguerre,
    IsotropicNoise,
    LeftMultiplicativeNoise,
    LinearRegressionSGD,
    MatrixSGD,
    QuadraticLoss,
    RightMultiplicativeNoise,
    ScalarMultiplicativeNoise,
    SeparableNoise,
    SpectralLoss,
)

EYE2, EYE3 = np.eye(2), np.eye(3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ScalarMultiplicativeNoise(-1.0), "diffusion is -1.0"),
        (lambda: RightMultiplicativeNoise(float("inf")), "diffusion is inf"),
        (lambda: LeftMultiplicativeNoise("a"), "diffusion is 'a'"),
        (lambda: SeparableNoise(np.ones((2, 3)), EYE3), r"row_covariance has the shape \(2, 3\)"),
        (lambda: SeparableNoise(EYE2, [[1.0, 0.2], [0.1, 1.0]]), "col_covariance is not symmetric"),
        (lambda: SeparableNoise([[1.0, 2.0], [2.0, 1.0]], EYE3), "has the eigenvalue -1; a covariance"),
        (lambda: SeparableNoise(EYE2, [[np.nan]]), "col_covariance holds NaN"),
        (lambda: SeparableNoise("a", EYE2), "row_covariance is 'a'"),
        (lambda: MatrixSGD(3, 2, noise=SeparableNoise(EYE2, EYE3)), r"have the sides \(2, 3\)"),
        (lambda: MatrixSGD(3, 2, noise=(IsotropicNoise(1.0), 2.0)), "must be one or a tuple of IsotropicNoise"),
        (lambda: QuadraticLoss(np.ones((2, 2)), EYE3), r"target has the shape \(2, 2\)"),
        (lambda: QuadraticLoss(np.full((2, 3), np.inf), EYE3), "target holds NaN or infinite"),
        (lambda: MatrixSGD(3, 3, loss=QuadraticLoss(np.ones((2, 3)), EYE3)), "target of the loss has the shape"),
        (lambda: SpectralLoss(3.0), "derivative is 3.0"),
        (lambda: LinearRegressionSGD(2, 3, 0.0, 1), "learning_rate is 0.0"),
        (lambda: LinearRegressionSGD(2, 3, 0.1, 0), "batch_size is 0"),
        (lambda: LinearRegressionSGD(2, 3, 0.1, 1, -1.0), "label_noise is -1.0"),
    ],
)
def test_fields_are_checked(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_arrays_are_kept_from_changes():
    given = np.diag([1.0, 2.0])
    noise = SeparableNoise(given, EYE3)
    given[0, 0] = 7.0
    assert noise.row_covariance[0, 0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        noise.row_covariance[0, 0] = 2.0


def _scaled(factor):
    return lambda w: factor * w


def test_digests_tell_functions_apart_by_code_and_contents():
    def digest(loss):
        return MatrixSGD(2, 3, loss=loss).digest

    assert digest(_scaled(2.0)) == digest(_scaled(2.0)) != digest(_scaled(3.0))
    assert digest(lambda w: w**3) != digest(lambda w: w**2)
    assert digest(numba.njit(_scaled(2.0))) == digest(_scaled(2.0))
    assert digest(functools.partial(np.multiply, 2.0)) != digest(functools.partial(np.multiply, 3.0))
    assert digest(_scaled(np.ones(3))) != digest(_scaled(np.zeros(3)))
    assert digest(SpectralLoss(np.tanh)) != digest(SpectralLoss(np.sin))
    noise = SeparableNoise(EYE2, EYE3)
    assert MatrixSGD(2, 3, noise=noise).digest != MatrixSGD(2, 3, noise=SeparableNoise(2 * EYE2, EYE3)).digest
    assert MatrixSGD(2, 3).digest != DysonLaguerre(2, 3, 0.0, 1.0).digest


def test_repr_shows_every_term():
    noises = (IsotropicNoise(1.0), LeftMultiplicativeNoise(0.1), ScalarMultiplicativeNoise(0.2))
    text = repr(MatrixSGD(2, 3, 0.5, noises, SpectralLoss(np.tanh)))
    assert "-(grad L + weight_decay*W) dt + sqrt(2*diffusion) dB + sqrt(2*diffusion) dB' W" in text
    assert "W dxi; Ito calculus" in text
    assert "loss=SpectralLoss(derivative=tanh)" in text
    assert "0x" not in repr(MatrixSGD(2, 3, loss=_scaled(1.0)))


def test_only_a_linear_isotropic_model_has_one_diffusion():
    assert MatrixSGD(2, 3, noise=(IsotropicNoise(1.0), IsotropicNoise(0.5))).diffusion == 1.5
    for noise, loss in ((RightMultiplicativeNoise(1.0), None), (IsotropicNoise(1.0), _scaled(1.0))):
        with pytest.raises(UsageError, match="has no single diffusion"):
            _ = MatrixSGD(2, 3, noise=noise, loss=loss).diffusion


def _exists(model):
    try:
        model.require_stationary()
    except UsageError:
        return False
    return True


@pytest.mark.parametrize(
    ("n", "m", "noise", "bound"),
    [
        (3, 7, RightMultiplicativeNoise(0.2), 0.2 * 5),
        (7, 3, RightMultiplicativeNoise(0.2), 0.2),
        (7, 3, LeftMultiplicativeNoise(0.2), 0.2 * 5),
        (3, 9, (RightMultiplicativeNoise(0.2), ScalarMultiplicativeNoise(0.3)), 0.2 * 7 - 0.3),
        (4, 5, IsotropicNoise(1.0), 0.0),
    ],
)
def test_a_stationary_law_exists_above_the_stated_weight_decay(n, m, noise, bound):
    assert _exists(MatrixSGD(n, m, bound * 1.01 + 1e-9, noise))
    assert not _exists(MatrixSGD(n, m, bound * 0.99, noise))


def test_the_curvature_counts_and_the_error_names_the_condition():
    loss = QuadraticLoss(np.zeros((2, 3)), np.diag([-0.5, 1.0, 2.0]))
    assert _exists(MatrixSGD(2, 3, 0.6, IsotropicNoise(1.0), loss))
    with pytest.raises(UsageError, match=r"weight_decay \+ smallest eigenvalue of the curvature > 0, and -0.1"):
        MatrixSGD(2, 3, 0.4, IsotropicNoise(1.0), loss).require_stationary()
    with pytest.raises(UsageError, match=r"weight_decay > k_right\*\(n_cols - 2\), and 1 is not above 1.5"):
        MatrixSGD(2, 5, 1.0, RightMultiplicativeNoise(0.5)).require_stationary()
    with pytest.raises(UsageError, match="no condition is known"):
        MatrixSGD(2, 5, 1.0, loss=SpectralLoss(np.tanh)).require_stationary()


def test_regression_has_a_stationary_diffusion_up_to_the_stated_rate():
    """1 > eta (m - 3) / (2B): with one sample and 784 inputs up to .00256."""
    assert _exists(LinearRegressionSGD(1, 784, 0.99 * 2 / 781, 1).diffusion_model())
    assert not _exists(LinearRegressionSGD(1, 784, 1.01 * 2 / 781, 1).diffusion_model())
    assert _exists(LinearRegressionSGD(5, 784, 0.25, 128).diffusion_model())

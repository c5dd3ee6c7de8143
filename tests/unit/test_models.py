"""Models: fields checked, equations shown, digests that tell models apart."""

import pytest

from sdespec.core.errors import UsageError
from sdespec.models import DysonLaguerre, IsotropicNoise, MatrixSGD, sgd_diffusion


def test_repr_shows_the_equation_and_digest_tells_models_apart():
    model = DysonLaguerre(n_rows=32, n_cols=64, weight_decay=1.0, diffusion=0.3)
    assert "dW = -weight_decay*W dt + sqrt(2*diffusion) dB" in repr(model)
    same = DysonLaguerre(32, 64, 1.0, 0.3)
    assert model.digest == same.digest
    assert model != same  # a model is equal to itself only
    assert model.digest != DysonLaguerre(32, 64, 1.0, 0.3, beta=2.0).digest
    assert MatrixSGD(4, 5, 0.1, IsotropicNoise(1.0)).digest != MatrixSGD(4, 5, 0.1, IsotropicNoise(2.0)).digest


def test_high_temperature_has_the_stated_weight():
    n, c, a, scale = 50, 2.0, 0.5, 3.0
    model = DysonLaguerre.high_temperature(n, c, a, scale)
    assert model.beta == 2 * c / n
    assert model.beta * (model.n_cols - n + 1) / 2 - 1 == pytest.approx(a)
    assert 2 * model.diffusion / model.weight_decay == pytest.approx(scale)


def test_momentum_in_the_dictionary():
    """Heavy ball .9 at rate .01 and unit curvature has the exact variance .0501; D over curvature is .05."""
    assert sgd_diffusion(0.01, 1, 1.0, momentum=0.9) == pytest.approx(0.05)
    assert sgd_diffusion(0.1, 20, 3.0) == pytest.approx(0.1 * 3.0 / 40)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DysonLaguerre(0, 3, 1.0, 1.0), "n_rows is 0"),
        (lambda: DysonLaguerre(2.5, 3, 1.0, 1.0), "n_rows is 2.5"),
        (lambda: DysonLaguerre(5, 3.5, 1.0, 1.0), "above n_rows - 1 = 4"),
        (lambda: DysonLaguerre(5, 6, -1.0, 1.0), "weight_decay is -1.0"),
        (lambda: DysonLaguerre(5, 6, 1.0, 0.0), "diffusion is 0.0"),
        (lambda: DysonLaguerre(5, 6, 1.0, 1.0, beta=0.0), "beta is 0.0"),
        (lambda: IsotropicNoise(float("nan")), "diffusion is nan"),
        (lambda: MatrixSGD(3, 2.5), "n_cols is 2.5"),
        (lambda: MatrixSGD(3, 4, noise=()), "must be one or a tuple of IsotropicNoise"),
        (lambda: MatrixSGD(3, 4, loss="hinge"), "loss is 'hinge'; allowed"),
        (lambda: sgd_diffusion(0.1, 1, 1.0, momentum=1.0), "momentum is 1.0"),
    ],
)
def test_fields_are_checked(make, message):
    with pytest.raises(UsageError, match=message):
        make()

"""Theory of the linear SDE: exact pieces against independent routes."""

import math

import numpy as np
import pytest
from scipy.linalg import expm

import sdespec as sd
from sdespec.core.errors import UsageError
from sdespec.laws import GaussianMatrixEnsemble, LaguerreEnsemble, MarchenkoPastur
from sdespec.models import DysonLaguerre, IsotropicNoise, MatrixSGD
from sdespec.theory import (
    log_elementary_moment,
    spectral_law,
    stationary_ensemble,
    trace_mean,
    trace_variance,
    transition_ensemble,
)


def _hierarchy(n, m, g, d, beta, time, start):
    """Moments by the closed hierarchy and one matrix exponential, which shares nothing with the formula."""
    generator = np.zeros((n + 1, n + 1))
    for j in range(1, n + 1):
        generator[j, j] = -2 * g * j
        generator[j, j - 1] = 2 * d * beta * (m - j + 1) * (n - j + 1)
    elementary = np.abs(np.poly(start))  # coefficients of prod (x - s)
    return expm(generator * time) @ elementary


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0, 2.5, 4.0])
@pytest.mark.parametrize("g", [0.0, 0.7])
def test_elementary_moments_equal_the_matrix_exponential(beta, g):
    n, m, d, time = 5, 7.5, 0.3, 0.6
    start = np.array([3.0, 2.0, 1.0, 0.5, 0.1])
    model = DysonLaguerre(n, m, g, d, beta=beta)
    expected = _hierarchy(n, m, g, d, beta, time, start)
    np.testing.assert_allclose(np.exp(log_elementary_moment(model, time, start)), expected, rtol=1e-12)


def test_elementary_moments_do_not_overflow():
    model = DysonLaguerre(400, 800, 1.0, 1.0)
    logs = log_elementary_moment(model, math.inf)
    assert np.isfinite(logs).all()
    assert logs.max() > 800  # the number itself is far beyond float64


def test_first_orders_are_the_trace_and_the_stationary_limit():
    model = DysonLaguerre(6, 9, 0.8, 0.4, beta=2.0)
    start = np.linspace(0.5, 4.0, 6)
    assert math.exp(log_elementary_moment(model, 0.3, start)[1]) == pytest.approx(
        trace_mean(model, 0.3, start), rel=1e-12
    )
    assert trace_mean(model, math.inf) == pytest.approx(2.0 * 6 * 9 * 0.5)
    assert trace_variance(model, math.inf) == pytest.approx(2 * 2.0 * 6 * 9 * 0.25)
    np.testing.assert_allclose(
        log_elementary_moment(model, 40.0, start), log_elementary_moment(model, math.inf), rtol=1e-12
    )


def test_scalings():
    """(W, D) -> (cW, c^2 D) and (g, D, t) -> (ag, aD, t/a), to rounding."""
    start = np.array([2.0, 1.0, 0.5])
    one = trace_variance(DysonLaguerre(3, 5, 0.5, 0.2), 0.7, start)
    scaled = trace_variance(DysonLaguerre(3, 5, 0.5, 0.2 * 9), 0.7, start * 9)
    assert scaled == pytest.approx(81 * one, rel=1e-12)
    assert trace_variance(DysonLaguerre(3, 5, 1.5, 0.6), 0.7 / 3, start) == pytest.approx(one, rel=1e-12)
    turned = trace_variance(MatrixSGD(5, 3, 0.5, IsotropicNoise(0.2)), 0.7, start)
    assert turned == pytest.approx(one, rel=1e-12)


@pytest.mark.parametrize("shape", [(100, 200), (64, 64), (30, 3000)])
def test_from_zero_the_law_is_marchenko_pastur(shape):
    law, mp = spectral_law(np.zeros(min(shape)), *shape, 0.5), MarchenkoPastur(*shape, 0.5)
    np.testing.assert_allclose(law.edges, mp.edges, rtol=1e-9, atol=1e-9 * mp.edges[1])
    grid = np.linspace(mp.edges[0], mp.edges[1], 203)[1:-1]
    np.testing.assert_allclose(law.density(grid), mp.pdf(grid), rtol=1e-4, atol=1e-7 / mp.mean())


def test_burgers_residual_of_the_transform():
    """dG/dt = -d/dz [2d(1-q) G + 2dq z G^2 - 2g z G] by central differences, residual below 1e-5."""
    n, m, g, d = 2, 4, 0.6, 0.3
    start = np.array([0.5, 2.0]) * m
    q = n / m

    def transform(z, time):
        decay, v = math.exp(-2 * g * time), d / g * (1 - math.exp(-2 * g * time))
        law = spectral_law(decay * start, n, m, v)
        omega = law._newton(np.array([z]), np.array([z + 1j]))
        first, _ = law._terms(omega)
        return (first / (1 + q * v * first))[0]

    h, time, z = 1e-4, 0.4, 1.1 + 0.7j

    def flux(at):
        value = transform(at, time)
        return 2 * d * (1 - q) * value + 2 * d * q * at * value**2 - 2 * g * at * value

    left = (transform(z, time + h) - transform(z, time - h)) / (2 * h)
    right = -(flux(z + h) - flux(z - h)) / (2 * h)
    assert abs(left - right) < 1e-5


def test_outliers_follow_the_spike_formula_and_drown_below_the_threshold():
    n, m, v = 400, 800, 0.5
    law = spectral_law(np.zeros(n), n, m, v)
    for theta, place in ((1.0, 1.875), (1.5, 3.0556), (2.5, 7.02)):
        assert law.outlier(theta**2 * m) / m == pytest.approx(place, abs=1e-3)
        assert law.outlier(theta**2 * m) == pytest.approx(LaguerreEnsemble(n, m, v).outlier(theta * math.sqrt(m)))
    assert math.isnan(law.outlier(0.9 * math.sqrt(n / m) * v * m))


def test_prediction_of_a_spike_and_of_the_stationary_start():
    model = DysonLaguerre(40, 80, weight_decay=0.5, diffusion=0.2)
    spike = np.zeros(40)
    spike[3] = 400.0
    ds = sd.predict(model, [0.0, 0.5, 50.0], initial={"eigenvalue": spike})
    assert ds.n_outliers.values.tolist() == [[0, 1, 0]]
    assert np.isnan(ds.density.values[0, 0]).all()
    mass = np.trapezoid(ds.density.values[0, 1], ds.x.values)
    assert mass == pytest.approx(1.0, abs=0.01)
    rest = sd.predict(model, [0.0, 1.0], initial="stationary")
    np.testing.assert_allclose(rest.trace_mean.values, 40 * 80 * 0.4)
    np.testing.assert_allclose(rest.bulk_edge.values[0, 0], MarchenkoPastur(40, 80, 0.4).edges, rtol=1e-9)
    assert sd.validate(ds) is ds


def test_ensembles():
    model = DysonLaguerre(3, 5, weight_decay=2.0, diffusion=1.0)
    assert stationary_ensemble(model).variance == 0.5
    assert isinstance(transition_ensemble(model, 0.3), LaguerreEnsemble)
    moved = transition_ensemble(model, 0.3, np.array([4.0, 1.0, 0.0]))
    assert isinstance(moved, GaussianMatrixEnsemble)
    mean_trace = moved.rvs(4000, seed=1).sum(axis=1).mean()
    error = math.sqrt(trace_variance(model, 0.3, np.array([4.0, 1.0, 0.0])) / 4000)
    assert abs(mean_trace - trace_mean(model, 0.3, np.array([4.0, 1.0, 0.0]))) < 4.5 * error
    with pytest.raises(UsageError, match="no stationary law"):
        stationary_ensemble(DysonLaguerre(3, 5, 0.0, 1.0))
    with pytest.raises(UsageError, match="only a real matrix"):
        transition_ensemble(DysonLaguerre(3, 5, 1.0, 1.0, beta=2.0), 0.3, np.ones(3))


@pytest.mark.parametrize(
    ("times", "options", "message"),
    [
        ([], {}, "at least one number"),
        ([1.0, 0.5], {}, "must increase"),
        ([0.5], {"initial": "rest"}, "'stationary'"),
        ([0.5], {"initial": {"eigenvalue": np.ones(3)}}, "exactly 4"),
        ([0.5], {"initial": {"eigenvalue": -np.ones(4)}}, "at least 0"),
        ([0.5], {"initial": {}}, "exactly one"),
        ([0.5], {"grid": [2.0, 1.0]}, "grid must be increasing"),
    ],
)
def test_arguments_are_checked(times, options, message):
    with pytest.raises(UsageError, match=message):
        sd.predict(DysonLaguerre(4, 6, 1.0, 1.0), times, **options)


def test_no_stationary_law_without_weight_decay():
    with pytest.raises(UsageError, match="no stationary law"):
        sd.predict(DysonLaguerre(4, 6, 0.0, 1.0), [1.0, math.inf])


def test_separable_covariance_has_the_right_second_moment():
    a, c = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([1.0, 3.0, 0.5])
    ensemble = GaussianMatrixEnsemble(np.zeros((2, 3)), a, c)
    traces = ensemble.rvs(20000, seed=3).sum(axis=1)
    assert traces.mean() == pytest.approx(np.trace(a) * c.sum(), abs=4.5 * traces.std() / math.sqrt(20000))
    with pytest.raises(UsageError, match="none below 0"):
        GaussianMatrixEnsemble(np.zeros((2, 3)), np.diag([1.0, -1.0]) + 0.0, 1.0)

"""Dyson processes against exact laws in the settings of the theory, each with a planted error.

Rates: KS p-values above 1e-3 by Bonferroni over the statistics of a test, moments within 4.5 standard errors.
"""

import math

import numpy as np
import pytest
from scipy import stats

from sdespec.integrators import simulate
from sdespec.laws import BetaLaguerre, Gamma
from sdespec.models import DysonLaguerre
from sdespec.theory import log_elementary_moment

LIMIT = 1e-3


def _model(n, m, beta, diffusion=1.0):
    return DysonLaguerre(n, m, weight_decay=1.0, diffusion=diffusion, beta=beta)


def _statistics(spectra):
    middle = spectra.shape[1] // 2
    gap = spectra[:, middle - 1] - spectra[:, middle]
    return [spectra[:, -1], spectra[:, middle], spectra[:, 0], gap, spectra.sum(axis=1)]


def _least(one, other):
    return min(stats.ks_2samp(a, b).pvalue for a, b in zip(_statistics(one), _statistics(other), strict=True))


@pytest.mark.parametrize("beta", [1.0, 2.0, 4.0])
def test_elementary_moments_at_40_000_replicates(beta):
    """Three times; a diffusion that is 5 % wrong is caught."""
    start, times = np.array([9.0, 4.0, 2.0, 0.5]), [0.1, 0.4, 1.5]
    model, wrong = _model(4, 6, beta), _model(4, 6, beta, diffusion=1.05)
    run = simulate(model, times, seed=3, replicates=40_000, initial={"eigenvalue": start}).eigenvalue.values[0]
    caught = False
    for i, time in enumerate(times):
        sums = np.zeros((len(run), 5))
        sums[:, 0] = 1.0
        for k in range(4):
            sums[:, 1:] = sums[:, 1:] + sums[:, :-1] * run[:, i, k : k + 1]
        mean, error = sums.mean(axis=0)[1:], sums.std(axis=0)[1:] / math.sqrt(len(run))
        right, planted = (np.exp(log_elementary_moment(m, time, start))[1:] for m in (model, wrong))
        assert np.all(np.abs(mean - right) < 4.5 * error)
        caught |= bool(np.any(np.abs(mean - planted) > 4.5 * error))
    assert caught


@pytest.mark.parametrize(("n", "m"), [(8, 8), (8, 9), (6, 12)])
def test_the_eigenvalue_route_equals_the_matrix_route(n, m):
    """20 000 replicates at three times: the splitting at repulsion 1 against matrices; 3 % more diffusion is caught."""
    start = {"eigenvalue": (2.0 * (n + m) * np.linspace(0.05, 1.0, n) ** 2)[::-1]}
    times = [0.1, 0.5, 1.2]
    values = simulate(_model(n, m, 1.0), times, seed=1, replicates=20_000, initial=start, method="strang")
    weights = np.zeros((n, m))
    np.fill_diagonal(weights, np.sqrt(start["eigenvalue"]))
    matrix = simulate(_model(n, m, 1.0), times, seed=2, replicates=20_000, initial=weights, save_weights=True)
    wrong = simulate(_model(n, m, 1.0, diffusion=1.03), times, seed=2, replicates=20_000, initial=start)
    for i in range(3):
        found = values.eigenvalue.values[0, :, i]
        assert _least(found, matrix.eigenvalue.values[0, :, i]) > LIMIT / 15
    assert _least(values.eigenvalue.values[0, :, 2], wrong.eigenvalue.values[0, :, 2]) < 1e-6


@pytest.mark.parametrize("beta", [2.0, 2.5])
def test_detailed_balance_at_rest(beta):
    """E f(X0) h(Xt) = E h(X0) f(Xt) at rest, for trace and logarithm of the smallest value; planted: a smallest value not at rest."""
    model, options = _model(5, 7, beta), {"seed": 8, "replicates": 20_000}

    def asymmetry(initial):
        run = simulate(model, [0.0, 0.15], initial=initial, **options).eigenvalue.values[0]
        f, h = run.sum(axis=2), np.log(run[:, :, -1])
        difference = f[:, 0] * h[:, 1] - h[:, 0] * f[:, 1]
        return difference.mean() / (difference.std() / math.sqrt(len(difference)))

    assert abs(asymmetry("stationary")) < 4.0
    rest = simulate(model, [0.0], initial="stationary", **options).eigenvalue.values[0, :, 0]
    assert abs(asymmetry({"eigenvalue": rest * [1.0, 1.0, 1.0, 1.0, 0.3]})) > 6.0


@pytest.mark.parametrize("beta", [1.5, 2.5])
def test_order_is_kept_over_a_million_steps(beta):
    """Each of 40 replicates takes 25 000 steps with a hard edge; none ends out of order, at zero, or as no number."""
    model = _model(3, 3.0, beta)
    run = simulate(
        model, np.linspace(0.5, 50.0, 100), seed=9, replicates=40, initial={"eigenvalue": [3.0, 2.0, 1.0]},
        method="strang", time_step=0.002,
    )  # fmt: skip
    assert run.attrs["steps_done"] * 40 >= 1_000_000
    values = run.eigenvalue.values
    assert np.isfinite(values).all()
    assert (values > 0.0).all()
    assert (np.diff(values, axis=-1) < 0.0).all()


def test_the_smallest_value_of_a_square_complex_matrix_is_exponential():
    """Hard edge at repulsion 2: mean 2 v / n exactly, relaxed from far away; one row more or less is caught."""
    start = {"eigenvalue": np.linspace(30.0, 5.0, 6)}
    values = simulate(_model(6, 6, 2.0), [6.0], seed=4, replicates=20_000, initial=start).eigenvalue.values[0, :, 0, -1]
    assert stats.kstest(values, stats.expon(scale=2.0 / 6.0).cdf).pvalue > LIMIT
    for wrong in (5.0, 7.0):
        assert stats.kstest(values, stats.expon(scale=2.0 / wrong).cdf).pvalue < 1e-6


def test_high_temperature_law_at_a_hundred_values():
    """c = 2, a = 1/2: KS distance at most .03 to the beta-Laguerre law, above .2 to the gamma law of no repulsion."""
    model = DysonLaguerre.high_temperature(100, 2.0, 0.5)
    start = {"eigenvalue": np.linspace(0.5, 7.0, 100)}
    values = np.sort(simulate(model, [4.0], seed=0, replicates=40, initial=start).eigenvalue.values.ravel())
    steps = (np.arange(len(values)) + 0.5) / len(values)
    assert np.abs(BetaLaguerre(2.0, 0.5, 1.0).cdf(values) - steps).max() < 0.03
    assert np.abs(Gamma(1.5, 1.0).cdf(values) - steps).max() > 0.2

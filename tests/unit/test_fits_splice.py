"""The splice: its kernels against general ones, its options, and inputs that are hard."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import integrate, special

from sdespec.core.errors import SpectrumError, UsageError
from sdespec.fits import _kernels, _reference, power_law_tail, splice
from sdespec.laws import Gamma


def pareto(n, exponent, rng):
    return (1.0 - rng.random(n)) ** (-1.0 / (exponent - 1.0))


def gamma_with_tail(n, exponent, rng):
    """80 % of a gamma law of shape 3 below 6, 20 % of a Pareto law beyond."""
    n_bulk = int(0.8 * n)
    bulk = special.gammaincinv(3.0, special.gammainc(3.0, 6.0) * rng.random(n_bulk))
    return np.concatenate([bulk, 6.0 * pareto(n - n_bulk, exponent, rng)])


def profile(values, module=_kernels, counts=None):
    logs = np.log(np.sort(values))
    counts = np.ones(len(logs), np.int64) if counts is None else counts
    y, _, below, sums = module.tails(logs, counts)
    return module.splice_profile(y, below, sums, 10, 10)


@pytest.mark.parametrize(("k", "b"), [(3.0, 6.0), (0.3, 0.1), (50.0, 40.0), (50.0, 300.0), (2.0, 0.0), (0.5, 70.0)])
def test_moments_are_those_of_the_density(k, b):
    """The series at small and moderate rates, and the closed form beyond; by quadrature in log u."""

    def mean(function):
        return integrate.quad(
            lambda t: function(t) * math.exp(k * t - b * math.exp(t) + 20.0),
            -60.0 / k - 4.0,
            0.0,
            limit=500,
            epsabs=0,
            epsrel=1e-11,
        )[0]

    mass = mean(lambda t: 1.0)
    e_u, e_log = mean(math.exp) / mass, mean(lambda t: t) / mass
    expected = (
        math.log(mass) - 20.0,
        e_u,
        e_log,
        mean(lambda t: (math.exp(t) - e_u) ** 2) / mass,
        mean(lambda t: (math.exp(t) - e_u) * (t - e_log)) / mass,
        mean(lambda t: (t - e_log) ** 2) / mass,
    )
    np.testing.assert_allclose(_kernels.unit_gamma_moments(k, b), expected, rtol=1e-7)


@pytest.mark.parametrize("kind", ["splice", "log-normal", "uniform", "ties"])
def test_the_profile_is_that_of_a_general_optimiser(kind):
    rng = np.random.default_rng(3)
    values = {
        "splice": gamma_with_tail(60, 2.5, rng),
        "log-normal": rng.lognormal(0.0, 1.0, 60),
        "uniform": rng.random(60),
        "ties": np.ceil(8.0 * gamma_with_tail(60, 2.5, rng)) / 8.0,
    }[kind]
    counts = np.bincount(rng.integers(0, 60, 60), minlength=60) if kind == "splice" else None
    ours, theirs = profile(values, counts=counts), profile(values, _reference, counts)
    assert np.array_equal(np.isfinite(ours[0]), np.isfinite(theirs[0]))
    assert np.isfinite(ours[0]).sum() > 10
    np.testing.assert_allclose(ours[0], theirs[0], rtol=0, atol=2e-4)
    bulk = np.isfinite(ours[1])
    np.testing.assert_allclose(ours[1][bulk], theirs[1][bulk], rtol=0.02)
    assert np.array_equal(ours[2][bulk] == 0.0, theirs[2][bulk] == 0.0)


def test_warm_starts_lose_nothing_against_the_best_start():
    """At 1000 values the fit at each threshold stops short of its maximum by far less than the weights notice."""
    values = np.sort(gamma_with_tail(1000, 3.0, np.random.default_rng(1)))
    value, shape, rate = profile(values)
    for i in (50, 400, 790, 850, 960):
        u = values[:i] / values[i]
        start = _kernels.gamma_shape(math.log(u.mean()) - np.log(u).mean())
        k, b, bulk = _kernels.fit_unit_gamma(start, start / u.mean(), u.mean(), np.log(u).mean(), 1e-14)
        tail = power_law_tail(values, threshold=values[i]).log_likelihood
        shares = i * math.log(i / 1000) + (1000 - i) * math.log(1.0 - i / 1000)
        assert value[i] == pytest.approx(i * (bulk - math.log(values[i])) + shares + tail, abs=1e-4)
        assert (shape[i], rate[i]) == pytest.approx((k, b), rel=1e-3, abs=1e-6)


def test_the_likelihood_is_that_of_the_densities():
    values = gamma_with_tail(800, 3.0, np.random.default_rng(2))
    fit = splice(values)
    body, tail = values[values < fit.threshold], values[values >= fit.threshold]
    assert (fit.n_tail, fit.tail_weight) == (len(tail), len(tail) / 800)
    law = Gamma(fit.shape, fit.scale)
    below = law.logpdf(body).sum() - len(body) * math.log(law.cdf(fit.threshold) / (1.0 - fit.tail_weight))
    beyond = power_law_tail(values, threshold=fit.threshold).log_likelihood + len(tail) * math.log(fit.tail_weight)
    assert fit.log_likelihood == pytest.approx(below + beyond, abs=1e-4)
    assert fit.threshold_interval[0] <= fit.threshold <= fit.threshold_interval[1]
    assert fit.interval[0] < fit.exponent < fit.interval[1]
    likeliest = np.sort(values)[np.nanargmax(profile(values)[0])]
    assert fit.likeliest_threshold == likeliest


def test_without_a_bulk_the_interval_is_the_exact_one():
    values = pareto(300, 2.5, np.random.default_rng(0))
    fit = splice(values, level=0.9)
    assert fit.threshold == values.min()
    assert (fit.n_tail, fit.tail_weight) == (300, 1.0)
    assert math.isnan(fit.shape)
    assert math.isnan(fit.scale)
    assert "no bulk" in fit.notes
    exact = power_law_tail(values, threshold=values.min(), level=0.9).interval
    assert fit.interval == pytest.approx(exact, rel=2e-3)
    narrower = splice(values, level=0.5).interval
    assert fit.interval[0] < narrower[0] < narrower[1] < fit.interval[1]


def test_scale_and_order_are_of_no_account():
    values = gamma_with_tail(400, 2.5, np.random.default_rng(4))
    fit = splice(values)
    for scale in (2.0**-900, 2.0**900):
        other = splice(values[::-1] * scale)
        assert other.exponent == pytest.approx(fit.exponent, rel=1e-8)
        assert other.interval == pytest.approx(fit.interval, rel=1e-8)
        assert other.threshold == fit.threshold * scale
        assert (other.shape, other.n_tail, other.notes) == (pytest.approx(fit.shape, rel=1e-6), fit.n_tail, fit.notes)
        assert other.scale == pytest.approx(fit.scale * scale, rel=1e-6)


def test_zeros_ties_and_other_faults_are_said():
    rng = np.random.default_rng(5)
    fit = splice(np.concatenate([np.repeat(gamma_with_tail(100, 2.5, rng), 3), np.zeros(4)]))
    assert fit.n_zeros == 4
    assert {"zeros dropped", "ties"} <= set(fit.notes)
    growing = splice(np.log1p(np.expm1(3.0) * rng.random(1000)))
    assert {"not heavy", "no scale"} <= set(growing.notes)
    assert growing.scale == math.inf
    assert "narrow bulk" in splice(np.concatenate([1.0 + 1e-5 * rng.random(800), 2.0 * pareto(200, 2.5, rng)])).notes
    assert "threshold unclear" in splice(gamma_with_tail(60, 2.0, rng)).notes
    assert splice(gamma_with_tail(5000, 4.0, rng)).notes == ()


def test_hundreds_of_decades_and_tiny_shapes_end():
    fit = splice(10.0 ** np.linspace(-300, 300, 400))
    assert 1.0 < fit.exponent < 1.1
    assert math.isfinite(splice(np.random.default_rng(0).gamma(0.05, 1.0, 1000)).log_likelihood)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, math.nan, 2.0] * 10, "value nan at index 1 is NaN"),
        ([1.0, -2.0, 3.0] * 10, "value -2.0 at index 1 is negative"),
        ([2.0] * 30, "1 distinct positive values in 30"),
        (np.arange(1.0, 16.0), r"15 positive values; a splice needs at least 20: 10 in the bulk and min_tail=10"),
        (1e300 * (1.0 + 1e-15 * np.arange(20)), "the values are equal to rounding"),
        ([[1.0, 2.0], [3.0, 4.0]], r"the values have the shape \(2, 2\)"),
    ],
)
def test_values_that_cannot_be_fitted_are_refused(values, message):
    with pytest.raises(SpectrumError, match=message):
        splice(values)


def test_options_that_are_not_allowed_are_refused():
    values = gamma_with_tail(100, 3.0, np.random.default_rng(0))
    with pytest.raises(UsageError, match="min_tail is 1"):
        splice(values, min_tail=1)
    with pytest.raises(UsageError, match=r"level is 0\.0"):
        splice(values, level=0.0)


def test_two_threads_give_the_same_bits_as_one():
    rng = np.random.default_rng(6)
    samples = [gamma_with_tail(300, 2.5, rng) for _ in range(12)]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(splice, samples)) == [splice(values) for values in samples]

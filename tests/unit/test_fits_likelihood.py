"""Maximum likelihood of the laws and their likelihood ratios, against closed forms and general optimisers."""

import math

import numpy as np
import pytest
from scipy import optimize, special, stats

from sdespec.core.errors import SpectrumError, UsageError
from sdespec.fits import _kernels, compare_laws, law, power_law_tail
from sdespec.fits.closed_forms import CLOSED_FORMS
from sdespec.fits.likelihood import exponential_z, fit_gamma
from sdespec.fits.truncated import truncated_logpdf
from sdespec.laws import law_class

RNG = np.random.default_rng(3)
SAMPLES = {
    "gamma": RNG.gamma(2.5, 3.0, 400),
    "inverse_gamma": 2.0 / RNG.gamma(3.0, 1.0, 400),
    "log_normal": RNG.lognormal(0.5, 0.8, 400),
    "exponential": RNG.exponential(4.0, 400),
    "pareto": 2.0 * (1.0 - RNG.random(400)) ** (-1.0 / 1.7),
}
# scipy's shape, and log of scale, at log parameters (p, q)
PEERS = {
    "gamma": lambda p, q: stats.gamma(math.exp(p), scale=math.exp(q)),
    "inverse_gamma": lambda p, q: stats.invgamma(math.exp(p), scale=math.exp(q)),
    "log_normal": lambda p, q: stats.lognorm(math.exp(p), scale=math.exp(q)),
}


@pytest.mark.parametrize("shape", [1e-3, 0.05, 0.7, 2.0, 30.0, 1e4, 1e6])
def test_the_shape_of_a_gamma_law_is_the_root_of_its_equation(shape):
    if shape < 100:
        contrast = math.log(shape) - float(special.psi(shape))
    else:
        contrast = 1 / (2 * shape) + 1 / (12 * shape**2) - 1 / (120 * shape**4)
    assert _kernels.gamma_shape(contrast) == pytest.approx(shape, rel=1e-12)


@pytest.mark.parametrize("n", [5, 1000, 100_000])
@pytest.mark.parametrize("shape", [0.2, 2.5, 400.0])
def test_gamma_equals_scipy(n, shape):
    values = np.random.default_rng(n).gamma(shape, 3.0, n)
    expected_shape, _, expected_scale = stats.gamma.fit(values, floc=0)
    assert fit_gamma(values) == pytest.approx((expected_shape, expected_scale), rel=1e-8)
    assert law(values, "gamma").parameters == pytest.approx(
        {"shape": expected_shape, "scale": expected_scale}, rel=1e-8
    )


def test_values_that_hardly_differ_are_fitted_without_cancellation():
    steps = np.linspace(-1.0, 1.0, 101) * 1e-7
    shape, scale = fit_gamma(1.0 + steps)
    assert shape == pytest.approx(1.0 / np.mean(steps**2), rel=1e-6)
    assert shape * scale == pytest.approx(1.0, rel=1e-12)
    with pytest.raises(SpectrumError, match="equal to rounding"):
        fit_gamma(np.full(5, 3.0))


@pytest.mark.parametrize("name", sorted(CLOSED_FORMS))
def test_no_neighbour_is_likelier(name):
    values = SAMPLES[name]
    fitted = law(values, name)
    assert fitted.n == 400
    assert fitted.log_likelihood == pytest.approx(fitted.law.logpdf(values).sum(), rel=1e-12)
    assert fitted.parameters == fitted.law.parameters
    for parameter in fitted.parameters:
        for factor in (1.0 - 1e-4, 1.0 + 1e-4):
            moved = {**fitted.parameters, parameter: fitted.parameters[parameter] * factor}
            if name == "pareto" and parameter == "minimum" and factor > 1.0:
                continue  # beyond the smallest value the likelihood is zero
            assert law_class(name)(**moved).logpdf(values).sum() < fitted.log_likelihood


@pytest.mark.parametrize("name", sorted(CLOSED_FORMS))
def test_the_distance_is_that_of_kolmogorov_and_smirnov(name):
    fitted = law(SAMPLES[name], name)
    assert fitted.ks_distance == pytest.approx(stats.kstest(SAMPLES[name], fitted.law.cdf).statistic, abs=1e-12)


def test_pareto_of_a_tail_is_the_tail_fit():
    values = SAMPLES["pareto"]
    tail = power_law_tail(values)
    fitted = law(values[values >= tail.threshold], "pareto")
    assert fitted.parameters == pytest.approx({"exponent": tail.exponent, "minimum": tail.threshold}, rel=1e-12)
    assert fitted.intervals["exponent"] == pytest.approx(tail.interval, rel=1e-12)
    assert fitted.log_likelihood == pytest.approx(tail.log_likelihood, rel=1e-11)
    assert fitted.ks_distance == pytest.approx(tail.ks_distance, abs=1e-12)


def test_zeros_are_dropped_and_counted():
    with_zeros = law(np.concatenate([SAMPLES["gamma"], np.zeros(3)]), "gamma")
    assert (with_zeros.n, with_zeros.n_zeros) == (400, 3)
    assert with_zeros.parameters == law(SAMPLES["gamma"], "gamma").parameters


@pytest.mark.parametrize("name", sorted(CLOSED_FORMS))
def test_intervals_hold_the_estimate_and_shrink_with_the_level(name):
    wide, narrow = law(SAMPLES[name], name, level=0.99), law(SAMPLES[name], name, level=0.5)
    for parameter, value in wide.parameters.items():
        outer, inner = wide.intervals[parameter], narrow.intervals[parameter]
        assert outer[0] < inner[0] < value * (1 + 1e-12)
        assert value * (1 - 1e-12) <= inner[1] <= outer[1]


@pytest.mark.parametrize("name", sorted(CLOSED_FORMS))
def test_extreme_values_give_a_result_without_warnings(name):
    values = np.array([1e-310, 1e-200, 1.0, 5.0, 1e300])
    fitted = law(values, name)
    assert all(math.isfinite(value) for value in fitted.parameters.values())
    comparison = compare_laws(values, name, "pareto", threshold=1e-310)
    assert 0.0 <= comparison.p_value <= 1.0


def test_a_sum_that_overflows_has_a_mean():
    values = np.array([1.0, 1.3, 1.6]) * 1e308
    assert law(values, "exponential").parameters["scale"] == pytest.approx(1.3e308, rel=1e-14)
    assert law(values, "gamma").law.mean() == pytest.approx(1.3e308, rel=1e-14)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, np.nan, 2.0, 3.0], "value nan at index 1 is NaN"),
        ([1.0, 2.0, np.inf], "value inf at index 2 is infinite"),
        ([-1.0, 2.0, 3.0], "value -1.0 at index 0 is negative"),
        ([1.0, 1.0, 2.0], "2 distinct positive values in 3; at least 3 are needed"),
        ([], "0 distinct positive values in 0"),
    ],
)
def test_values_that_cannot_be_fitted_are_refused(values, message):
    for call in (lambda: law(values, "gamma"), lambda: compare_laws(values, "gamma", "pareto")):
        with pytest.raises(SpectrumError, match=message):
            call()


def test_what_is_not_allowed_is_refused():
    allowed = "allowed: gamma, inverse_gamma, log_normal, exponential, pareto"
    with pytest.raises(UsageError, match=f"law is 'weibull'; {allowed}, beta_prime"):
        law(SAMPLES["gamma"], "weibull")
    with pytest.raises(UsageError, match=f"law is 'weibull'; {allowed}"):
        compare_laws(SAMPLES["gamma"], "gamma", "weibull")
    with pytest.raises(UsageError, match=allowed):
        truncated_logpdf(SAMPLES["gamma"], "weibull", 1.0)
    with pytest.raises(UsageError, match="level is 0"):
        law(SAMPLES["gamma"], "gamma", level=0)
    with pytest.raises(UsageError, match="threshold is -1"):
        compare_laws(SAMPLES["gamma"], "gamma", "pareto", threshold=-1.0)
    with pytest.raises(SpectrumError, match=r"0 values at or above the threshold 1e\+09"):
        compare_laws(SAMPLES["gamma"], "gamma", "pareto", threshold=1e9)


@pytest.mark.parametrize("sample", sorted(SAMPLES))
@pytest.mark.parametrize("quantile", [0.0, 0.5, 0.8])
def test_truncated_fits_reach_the_maximum_of_a_general_optimiser(sample, quantile):
    threshold = float(np.quantile(SAMPLES[sample], quantile))
    x = SAMPLES[sample][SAMPLES[sample] >= threshold]
    for name, peer in PEERS.items():
        found = truncated_logpdf(x, name, threshold).sum()

        def cost(point, peer=peer):
            with np.errstate(all="ignore"):
                law = peer(*np.clip(point, -20.0, 20.0))
                value = -float(law.logpdf(x).sum() - len(x) * law.logsf(threshold))
            return value if math.isfinite(value) else 1e10

        starts = [(0.0, 0.0), (1.0, 0.5), (0.5, -2.0)]
        best = -min(optimize.minimize(cost, start, method="Nelder-Mead").fun for start in starts)
        assert found >= best - 1e-5


@pytest.mark.parametrize("name", sorted(CLOSED_FORMS))
def test_truncated_densities_have_mass_one(name):
    # Quantiles of a log-normal tail, so fine that the density is a polygon between them; 3 % may lie beyond the last.
    x = np.exp(0.7 * special.ndtri(0.7 + 0.3 * (np.arange(20_000) + 0.5) / 20_000))
    density = np.exp(truncated_logpdf(x, name, float(np.exp(0.7 * special.ndtri(0.7)))))
    assert 0.97 < np.trapezoid(density, x) <= 1.0


def test_a_tail_with_no_curvature_is_its_own_log_normal_limit():
    logs = -np.log1p(-(np.arange(500) + 0.5) / 500)  # exponential quantiles; the largest is stretched below
    logs[-1] *= 3.0
    values = np.exp(logs)
    comparison = compare_laws(values, "pareto", "log_normal", threshold=1.0)
    assert comparison.log_likelihood_ratio == 0.0
    assert (comparison.z_score, comparison.p_value, comparison.nested) == (0.0, 1.0, True)


def test_the_ratio_and_its_score_are_those_of_the_definition():
    x = SAMPLES["log_normal"]
    comparison = compare_laws(x, "gamma", "inverse_gamma")
    difference = law(x, "gamma").law.logpdf(x) - law(x, "inverse_gamma").law.logpdf(x)
    assert comparison.log_likelihood_ratio == pytest.approx(difference.sum(), rel=1e-12)
    z = difference.sum() / (np.sqrt(len(x)) * difference.std())
    assert comparison.z_score == pytest.approx(z, rel=1e-12)
    assert comparison.p_value == pytest.approx(2.0 * special.ndtr(-abs(z)), rel=1e-12)
    assert not comparison.nested
    swapped = compare_laws(x, "inverse_gamma", "gamma")
    assert swapped.log_likelihood_ratio == pytest.approx(-comparison.log_likelihood_ratio, rel=1e-12)
    assert swapped.p_value == comparison.p_value


@pytest.mark.parametrize(
    ("a", "b", "whole", "tail"),
    [
        ("exponential", "gamma", True, True),
        ("pareto", "log_normal", False, True),
        ("log_normal", "pareto", False, True),
        ("pareto", "inverse_gamma", False, True),
        ("pareto", "exponential", False, False),
        ("gamma", "log_normal", False, False),
    ],
)
def test_nested_pairs_are_flagged(a, b, whole, tail):
    x = SAMPLES["gamma"]
    assert compare_laws(x, a, b).nested is whole
    assert compare_laws(x, a, b, threshold=3.0).nested is tail
    if tail:
        comparison = compare_laws(x, a, b, threshold=3.0)
        smaller_first = a in ("exponential", "pareto")
        assert (comparison.log_likelihood_ratio <= 1e-9) is smaller_first


def test_exponential_z_is_the_score_of_the_comparison():
    x = SAMPLES["pareto"]
    comparison = compare_laws(x, "pareto", "exponential", threshold=3.0)
    assert exponential_z(x, 3.0) == pytest.approx(comparison.z_score, rel=1e-12)
    assert comparison.z_score > 2.0
    assert exponential_z(SAMPLES["exponential"], 3.0) < -2.0
    assert math.isnan(exponential_z(x, float(np.sort(x)[-2])))
    assert math.isnan(exponential_z(np.full(10, 2.0), 2.0))

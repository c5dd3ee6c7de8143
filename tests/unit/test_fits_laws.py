"""Fits of the laws without a closed form: against general optimisers, known limits, and each other."""

import math

import numpy as np
import pytest
from scipy import optimize

from sdespec.core.errors import SpectrumError, UsageError
from sdespec.fits import compare_laws, goodness_of_fit, law
from sdespec.fits.beta_prime import beta_prime_rows
from sdespec.fits.likelihood import FITTED_LAWS, law_parameters
from sdespec.fits.matrix_laws import matrix_f_rows
from sdespec.fits.refits import p_value, percentile_intervals, refit_rows
from sdespec.fits.spectrum import fit_spectrum
from sdespec.fits.spectrum_fit import FitOptions
from sdespec.laws import (
    BetaLaguerre,
    BetaPrime,
    Gamma,
    GammaPareto,
    GaussianMatrixEnsemble,
    InverseGamma,
    LaguerreEnsemble,
    LogNormal,
    MarchenkoPastur,
    MatrixFEnsemble,
    Pareto,
    Reciprocal,
    TruncatedPareto,
)


def _best(make, values, starts):
    """Greatest log-likelihood that a general optimiser finds in the logs of the parameters."""

    def cost(point):
        return -float(make(*np.exp(np.clip(point, -20.0, 20.0))).logpdf(values).sum())

    options = {"maxiter": 4000, "xatol": 1e-8, "fatol": 1e-10}
    return -min(optimize.minimize(cost, s, method="Nelder-Mead", options=options).fun for s in starts)


@pytest.mark.parametrize("true_law", [BetaPrime(2.0, 3.0, 1.0), BetaPrime(0.7, 1.0, 4.0), BetaPrime(5.0, 20.0, 1e-3)])
def test_beta_prime_reaches_the_maximum_of_a_general_optimiser(true_law):
    values = true_law.rvs(300, seed=1)
    fitted = law(values, "beta_prime")
    middle = math.log(float(np.median(values)))
    best = _best(BetaPrime, values, [(0.0, 0.0, middle), (1.0, 1.0, middle), (1.0, 3.0, middle + 2.0)])
    assert fitted.log_likelihood == pytest.approx(best, abs=1e-4)
    assert fitted.log_likelihood == pytest.approx(fitted.law.logpdf(values).sum(), abs=1e-6)
    assert isinstance(fitted.law, BetaPrime)
    for name, (lower, upper) in fitted.intervals.items():
        assert lower < fitted.parameters[name] < upper


def test_no_tail_is_said_and_not_a_large_number():
    values = Gamma(2.0, 3.0).rvs(500, seed=1)
    fitted = law(values, "beta_prime")
    assert fitted.parameters["b"] == fitted.parameters["scale"] == math.inf
    assert fitted.notes[0].startswith("no tail")
    assert isinstance(fitted.law, Gamma)
    assert fitted.log_likelihood == pytest.approx(law(values, "gamma").log_likelihood, rel=1e-12)
    assert 5.0 < fitted.intervals["b"][0] < fitted.intervals["b"][1] == math.inf
    mirrored = law(1.0 / values, "beta_prime")
    assert mirrored.notes[0].startswith("no rise")
    assert isinstance(mirrored.law, InverseGamma)
    assert mirrored.parameters["a"] == math.inf
    assert mirrored.parameters["b"] == pytest.approx(fitted.parameters["a"], rel=1e-9)


def test_a_gamma_likelihood_with_a_positive_score_in_the_tail_has_one():
    """The likelihood falls from the gamma limit exactly where the variance is above that of the fitted gamma law."""
    rows = Gamma(2.0, 3.0).rvs(40 * 200, seed=5).reshape(40, 200)
    fitted = beta_prime_rows(rows)
    gamma = refit_rows("gamma", rows).parameters
    excess = rows.var(axis=1) / (gamma["shape"] * gamma["scale"] ** 2) - 1.0
    clear = np.abs(excess) > 0.02
    assert 10 < np.isinf(fitted.b).sum() < 35
    np.testing.assert_array_equal(np.isinf(fitted.b)[clear], (excess < 0.0)[clear])


def test_extreme_units_change_the_scale_only():
    values = BetaPrime(2.0, 3.0, 1.0).rvs(200, seed=3)
    one = law(values, "beta_prime").parameters
    for unit in (1e-150, 1e150):
        other = law(values * unit, "beta_prime").parameters
        assert other["b"] == pytest.approx(one["b"], rel=1e-6)
        assert other["scale"] == pytest.approx(one["scale"] * unit, rel=1e-5)


@pytest.mark.parametrize("exponent", [0.4, 1.0, 2.5])
def test_truncated_pareto_reaches_the_maximum(exponent):
    values = np.sort(TruncatedPareto(exponent, 2.0, 30.0).rvs(200, seed=4))
    fitted = law(values, "truncated_pareto")
    assert (fitted.parameters["minimum"], fitted.parameters["maximum"]) == (values[0], values[-1])

    def cost(alpha):
        return -float(TruncatedPareto(alpha, values[0], values[-1]).logpdf(values).sum())

    best = optimize.minimize_scalar(cost, bounds=(0.01, 9.0), method="bounded", options={"xatol": 1e-9})
    assert fitted.parameters["exponent"] == pytest.approx(best.x, abs=1e-5)
    assert fitted.intervals["maximum"][0] == values[-1] < fitted.intervals["maximum"][1]


def test_a_rising_sample_is_no_truncated_power_law_and_a_pareto_sample_has_no_bound():
    rising = law(np.linspace(1.0, 2.0, 50) ** 0.3, "truncated_pareto")
    assert rising.notes[0].startswith("rising")
    assert law(Pareto(2.5, 1.0).rvs(100, seed=2), "truncated_pareto").intervals["maximum"][1] == math.inf


def test_marchenko_pastur_leaves_the_outliers_out():
    mean = np.zeros((60, 90))
    mean[0, 0] = mean[1, 1] = 40.0
    values = GaussianMatrixEnsemble(mean, 2.0, 1.0).rvs(1, seed=0)[0]
    fitted = law(values, "marchenko_pastur", n_rows=90, n_cols=60)
    assert fitted.n_removed == 2
    assert fitted.notes == ("2 outliers left out",)
    assert fitted.parameters["variance"] == pytest.approx(values[2:].sum() / (58 * 88), rel=1e-12)
    assert fitted.law == MarchenkoPastur(88, 58, fitted.parameters["variance"])
    assert fitted.joint
    low, high = fitted.intervals["variance"]
    assert low < 2.0 < high


@pytest.mark.parametrize(("n", "m", "denominator"), [(40, 80, 60.0), (40, 60, 40.0), (40, 40, 45.5)])
def test_wachter_reaches_the_maximum_of_the_joint_density(n, m, denominator):
    values = MatrixFEnsemble(n, m, denominator, 2.0).rvs(1, seed=3)[0]
    fitted = law(values, "wachter", n_rows=m, n_cols=n)

    def cost(point):
        return -float(MatrixFEnsemble(n, m, n - 1.0 + math.exp(point[0]), math.exp(point[1])).logpdf(values))

    best = optimize.minimize(cost, [math.log(denominator - n + 1.0), 0.5], method="Nelder-Mead")
    assert fitted.log_likelihood >= -best.fun - 1e-5
    assert fitted.parameters["n_denominator"] == pytest.approx(n - 1.0 + math.exp(best.x[0]), rel=1e-3)
    found, scales, _ = matrix_f_rows(np.array([values, 3.0 * values]), n, m)
    assert scales[1] == pytest.approx(3.0 * scales[0], rel=1e-5)
    assert found[1] == pytest.approx(found[0], rel=1e-5)


def test_a_gaussian_matrix_has_no_denominator():
    values = next(
        row for row in LaguerreEnsemble(40, 60, 1.0).rvs(20, seed=0) if law(row, "wachter", n_rows=40, n_cols=60).notes
    )
    fitted = law(values, "wachter", n_rows=40, n_cols=60)
    assert fitted.notes[0].startswith("no denominator")
    assert isinstance(fitted.law, MarchenkoPastur)
    assert fitted.intervals["n_denominator"][1] == math.inf


def test_beta_laguerre_finds_the_repulsion_and_the_gamma_limit():
    """4000 values of (c, a, s) = (2, 0.5, 2); the fit is likelier than the truth and far likelier than a gamma law."""
    true_law = BetaLaguerre(2.0, 0.5, 2.0)
    values = true_law.rvs(4000, seed=1)
    fitted = law(values, "beta_laguerre")
    assert fitted.log_likelihood > true_law.logpdf(values).sum() - 0.5
    assert fitted.log_likelihood - law(values, "gamma").log_likelihood > 40.0
    assert fitted.intervals["c"][0] < 2.0 < fitted.intervals["c"][1]
    assert fitted.law.mean() == pytest.approx(values.mean(), rel=1e-9)
    weak = law(Gamma(2.0, 2.0).rvs(400, seed=1), "beta_laguerre")
    assert weak.intervals["c"][0] == 0.0
    assert weak.parameters["c"] < 0.5
    turned = law(1.0 / values, "reciprocal_beta_laguerre")
    assert turned.parameters == pytest.approx(fitted.parameters, rel=1e-9)
    assert isinstance(turned.law, Reciprocal)


def test_gamma_pareto_beats_the_truth_and_the_gamma_law():
    true_law = GammaPareto(3.0, 1.0, 3.0, 5.0)
    for seed in range(5):
        values = true_law.rvs(600, seed=seed)
        fitted = law(values, "gamma_pareto")
        assert fitted.log_likelihood >= true_law.logpdf(values).sum() - 0.5
        assert fitted.log_likelihood > law(values, "gamma").log_likelihood + 5.0
        assert fitted.notes == ()
        low, high = fitted.intervals["exponent"]
        assert 2.0 < low < fitted.parameters["exponent"] < high < 5.0
        moved = dict(fitted.parameters)
        for name in ("shape", "scale", "exponent"):
            for factor in (0.999, 1.001):
                rival = GammaPareto(**{**moved, name: moved[name] * factor})
                assert rival.logpdf(values).sum() < fitted.log_likelihood + 1e-6
    plain = law(Gamma(2.0, 1.0).rvs(300, seed=1), "gamma_pareto")
    gain = plain.log_likelihood - law(Gamma(2.0, 1.0).rvs(300, seed=1), "gamma").log_likelihood
    assert ("no tail needed" in " ".join(plain.notes)) == (gain < 3.5)
    assert "no tail needed" in law(Gamma(2.0, 1.0).rvs(300, seed=2), "gamma_pareto").notes[-1]
    with pytest.raises(SpectrumError, match="need at least 20"):
        law(np.arange(1.0, 12.0), "gamma_pareto")


def test_a_reciprocal_law_is_the_law_of_the_reciprocals():
    values = InverseGamma(3.0, 2.0).rvs(300, seed=2)
    turned, direct = law(values, "reciprocal_gamma"), law(values, "inverse_gamma")
    assert turned.parameters["shape"] == pytest.approx(direct.parameters["shape"], rel=1e-10)
    assert turned.parameters["scale"] == pytest.approx(1.0 / direct.parameters["scale"], rel=1e-10)
    assert turned.log_likelihood == pytest.approx(direct.log_likelihood, rel=1e-10)
    assert turned.ks_distance == pytest.approx(direct.ks_distance, abs=1e-10)
    assert law_parameters("reciprocal_gamma") == ("shape", "scale")


@pytest.mark.parametrize(
    "name", ["gamma", "inverse_gamma", "reciprocal_gamma", "log_normal", "exponential", "beta_prime"]
)
def test_many_spectra_at_once_are_fitted_as_one_by_one(name):
    rows = np.sort(LogNormal(0.8, 3.0).rvs(5 * 60, seed=3).reshape(5, 60), axis=1)
    rows[3] = np.sort(Gamma(3.0, 1.0).rvs(60, seed=1))
    rows[4] = np.sort(1.0 / Gamma(3.0, 1.0).rvs(60, seed=1))
    refits = refit_rows(name, rows)
    for i, row in enumerate(rows):
        fitted = law(row, name)
        assert refits.log_likelihood[i] == pytest.approx(fitted.log_likelihood, rel=1e-9)
        assert refits.ks_distance[i] == pytest.approx(fitted.ks_distance, abs=1e-8)
        for key, value in fitted.parameters.items():
            assert refits.parameters[key][i] == pytest.approx(value, rel=1e-5)


def test_intervals_from_draws_with_infinite_ones():
    draws = {"a": np.linspace(1.0, 3.0, 101), "b": np.append(np.linspace(2.0, 9.0, 90), np.full(11, np.inf))}
    out = percentile_intervals("beta_prime", {"a": 2.0, "b": 5.0}, draws, 0.95)
    assert out["b"][1] == math.inf
    assert 2.0 <= out["b"][0] < 2.5
    assert 1.0 < out["a"][0] < 2.0 < out["a"][1]
    assert percentile_intervals("gamma", {"a": 2.0}, {"a": np.full(50, 4.0)}, 0.95)["a"] == (1.0, 1.0)


def test_nested_laws_are_compared_at_the_boundary():
    values = Gamma(2.0, 3.0).rvs(300, seed=1)
    comparison = compare_laws(values, "gamma", "beta_prime")
    assert comparison.nested
    assert comparison.log_likelihood_ratio == pytest.approx(0.0, abs=1e-6)
    assert comparison.p_value >= 0.49
    heavy = compare_laws(BetaPrime(2.0, 1.5, 1.0).rvs(300, seed=1), "gamma", "beta_prime")
    assert heavy.log_likelihood_ratio < -20.0
    assert heavy.p_value == pytest.approx(0.5 * math.erfc(math.sqrt(-heavy.log_likelihood_ratio)), rel=1e-12)
    spectrum = MatrixFEnsemble(30, 60, 50, 1.0).rvs(1, seed=0)[0]
    with pytest.raises(UsageError, match="joint density cannot be compared"):
        compare_laws(spectrum, "wachter", "gamma")
    with pytest.raises(SpectrumError, match="outliers beyond"):
        compare_laws(spectrum, "wachter", "marchenko_pastur", shape=(30, 60))


def test_ensemble_comparison_judges_both_laws():
    values = LogNormal(1.0, 1.0).ppf((np.arange(64) + 0.5) / 64)
    options = {"calibration": "ensemble", "shape": (64, 128), "draws": 60}
    comparison = compare_laws(values, "gamma", "log_normal", **options)
    assert comparison.log_likelihood_ratio < 0.0
    assert comparison.p_value == comparison.p_value_a == pytest.approx(1 / 61)
    assert comparison.p_value_b > 0.05
    swapped = compare_laws(values, "log_normal", "gamma", **options)
    assert (swapped.p_value_b, swapped.p_value_a) == (comparison.p_value_a, comparison.p_value_b)
    nested = compare_laws(values, "beta_prime", "gamma", **options)
    assert nested.p_value == nested.p_value_b < 0.05
    assert compare_laws(values, "gamma", "exponential", **options).nested


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: law(x, "wachter"), "needs the shape"),
        (lambda x: law(x, "marchenko_pastur", n_rows=9, n_cols=9), "exactly 9 are needed"),
        (lambda x: law(np.append(x, 0.0), "wachter", n_rows=31, n_cols=40), "without zeros"),
        (lambda x: compare_laws(x, "gamma", "log_normal", calibration="ensemble"), "give shape="),
        (lambda x: compare_laws(x, "gamma", "log_normal", calibration="both"), "calibration is 'both'"),
        (
            lambda x: compare_laws(x, "gamma", "log_normal", calibration="ensemble", shape=(9, 9)),
            "exactly 9 are needed",
        ),
        (
            lambda x: compare_laws(x, "gamma", "pareto", calibration="ensemble", threshold=1.0),
            "leave the threshold out",
        ),
        (lambda x: compare_laws(x, "gamma", "wachter", threshold=1.0), "allowed beyond a threshold"),
        (lambda x: goodness_of_fit(x, 30, 40, ensemble="pareto"), "ensemble is 'pareto'; allowed: laguerre"),
        (lambda x: goodness_of_fit(x, 30, 40, ensemble="gamma", draws=5), "at least 20"),
        (lambda x: goodness_of_fit(x, 30, 40, ensemble="gamma", draws=0), "draws is 0"),
        (lambda x: goodness_of_fit(x, 31, 40, ensemble="gamma"), "exactly 31 are needed"),
        (lambda x: goodness_of_fit(x, 30, 40, ensemble="gamma", calibration="x"), "calibration is 'x'"),
        (lambda x: goodness_of_fit(x, 30, 40, ensemble="spiked", calibration="iid"), "has no spikes"),
    ],
)
def test_what_is_not_allowed_is_refused(call, message):
    with pytest.raises(UsageError, match=message):
        call(LaguerreEnsemble(30, 40, 1.0).rvs(1, seed=0)[0])


@pytest.mark.parametrize("name", [name for name in FITTED_LAWS if "beta_laguerre" not in name])
@pytest.mark.parametrize(
    "values",
    [
        [1.0, 2.0, 3.0],
        np.repeat([1.0, 2.0, 3.0], 10),
        1.0 + 1e-9 * np.arange(30),
        10.0 ** np.linspace(-300, 300, 30),
        10.0 ** np.linspace(-320, -290, 30),
        (1.0 - np.arange(30) / 30.0) ** -9.0,
        np.linspace(0.1, 1.7, 30) * 1e308,
        np.append(1.0 + 1e-3 * np.arange(27), [1e5, 1e6, 1e8]),
        np.append(np.ones(27), [2.0, 3.0, 4.0]),
    ],
    ids=["three", "ties", "equal", "600 decades", "tiny", "heavy", "huge", "outliers", "ties below"],
)
def test_hard_samples_are_fitted_or_refused(values, name):
    """Ends of intervals hold the estimate, numbers are numbers; anything else is a SpectrumError."""
    values = np.array(values)
    try:
        fitted = law(values, name, n_rows=len(values), n_cols=len(values) + 10)
    except SpectrumError:
        return
    assert fitted.log_likelihood < math.inf
    assert fitted.log_likelihood > -math.inf or fitted.joint
    assert 0.0 <= fitted.ks_distance <= 1.0
    for key, (lower, upper) in fitted.intervals.items():
        assert lower <= fitted.parameters[key] * (1.0 + 1e-9)
        assert fitted.parameters[key] <= upper * (1.0 + 1e-9)


@pytest.mark.parametrize(
    ("values", "name", "message"),
    [
        ((1.0 - np.arange(30) / 30.0) ** -9.0, "beta_laguerre", "has no such spread"),
        (1.0 + 1e-3 * np.arange(30), "beta_laguerre", "has no such spread"),
        (1.0 + 1e-9 * np.arange(30), "beta_prime", "this fit needs a spread of 0.0001"),
        (1e300 * np.arange(1.0, 31.0), "reciprocal_gamma", "this fit takes 1e-250 to 1e.250: change the unit"),
        (1e-300 * np.arange(1.0, 31.0), "wachter", "change the unit"),
    ],
)
def test_why_a_law_is_not_fitted(values, name, message):
    with pytest.raises(SpectrumError, match=message):
        law(values, name, n_rows=30, n_cols=40)


def test_nulls_far_from_one_and_nearly_equal_values_are_those_of_other_units():
    """Draws are not lost where they underflow, nor where logs cancel: the p-value is that of the slow way."""
    wide = goodness_of_fit(10.0 ** np.linspace(-300, 300, 30), 30, 40, ensemble="gamma", draws=40)
    assert np.isfinite(wide.null).all()
    assert 0.0 < wide.p_value <= 1.0
    close = 1.0 + 1e-6 * LaguerreEnsemble(30, 40, 1.0).rvs(1, seed=0)
    refits = refit_rows("gamma", np.sort(close, axis=1))
    assert refits.parameters["shape"][0] == pytest.approx(law(close[0], "gamma").parameters["shape"], rel=1e-5)


def test_draws_that_cannot_be_fitted_count_against_a_rejection():
    rows = np.array([np.linspace(1.0, 2.0, 30), np.linspace(1.0, 1.00001, 30)])
    refits = refit_rows("beta_prime", rows)
    assert np.isnan(refits.ks_distance).tolist() == [False, True]
    assert p_value(1.0, np.array([0.5, np.nan, 0.2])) == 0.5
    assert math.isnan(p_value(1.0, np.array([])))
    bounds = percentile_intervals("beta_laguerre", {"c": 1.0}, {"c": np.array([1.0, np.nan])}, 0.95)["c"]
    assert all(math.isnan(bound) for bound in bounds)


def test_equal_eigenvalues_have_no_joint_density_to_compare():
    with pytest.raises(SpectrumError, match="joint density of eigenvalues vanishes"):
        compare_laws(np.repeat([1.0, 2.0, 3.0], 10), "marchenko_pastur", "wachter", shape=(30, 40))
    with pytest.raises(UsageError, match=r"laws of whole spectra; give shape="):
        compare_laws(np.arange(1.0, 31.0), "marchenko_pastur", "wachter")


def test_zero_modes_are_refused_by_the_ensembles():
    with pytest.raises(SpectrumError, match="the spectrum has zeros"):
        goodness_of_fit(np.array([3.0, 2.0, 1.0, 0.0]), 4, 5, ensemble="laguerre")
    with pytest.raises(SpectrumError, match="the spectrum has zeros"):
        compare_laws([3.0, 2.0, 1.0, 0.0], "gamma", "log_normal", calibration="ensemble", shape=(4, 5))


def test_every_name_has_parameters():
    assert all(law_parameters(name) for name in FITTED_LAWS)
    with pytest.raises(UsageError, match="law is 'weibull'"):
        law_parameters("weibull")


def test_equal_eigenvalues_are_noted_and_one_law_under_two_names_is_no_tie():
    """A joint density of zero is said; ``reciprocal_gamma`` is the inverse gamma law and does not compete with it."""
    values = np.sort(LaguerreEnsemble(60, 90, 1.0).rvs(1, seed=3)[0])
    values[10] = values[11]
    found = law(values, "marchenko_pastur", n_rows=60, n_cols=90)
    assert found.log_likelihood == -math.inf
    assert "equal or zero eigenvalues: their joint density is zero" in found.notes
    heavy = 1.0 / np.random.default_rng(4).gamma(2.0, size=80)
    options = FitOptions(laws=("inverse_gamma", "reciprocal_gamma", "gamma"), bootstrap=0)
    fitted = fit_spectrum(heavy, 80, 120, options=options)
    assert fitted.laws["inverse_gamma"].log_likelihood == pytest.approx(fitted.laws["reciprocal_gamma"].log_likelihood)
    assert fitted.preferred_law == "inverse_gamma"

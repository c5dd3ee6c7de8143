"""Rivals of a power law: against the truncated laws fitted one by one, and their own densities."""

import math

import numpy as np
import pytest
from scipy import integrate

from sdespec.core.errors import UsageError
from sdespec.fits import power_law_tail, power_law_test
from sdespec.fits.calibration import scores
from sdespec.fits.rivals import RIVALS, cutoff_ratio, log_normal_ratio, rival, tails_of_rows
from sdespec.fits.row_search import golden_rows
from sdespec.fits.tail_evidence import TailEvidence, body_and_tail, tail_evidence
from sdespec.fits.truncated import truncated_logpdf
from sdespec.laws import Gamma, LogNormal, Pareto


def _tails(law, seed=0, rows=12, n=200, share=0.5):
    values = np.sort(law.rvs(rows * n, seed=seed).reshape(rows, n), axis=1)
    thresholds = values[:, int((1.0 - share) * n)]
    return values, thresholds, tails_of_rows(values, thresholds)


def test_the_statistics_are_those_of_the_tail():
    values, thresholds, tails = _tails(LogNormal(1.0, 2.0))
    for i, (row, threshold) in enumerate(zip(values, thresholds, strict=True)):
        t = np.log(row[row >= threshold] / threshold)
        assert tails.n_tail[i] == len(t) == 100
        assert tails.first[i] == pytest.approx(t.mean(), rel=1e-12)
        assert tails.second[i] == pytest.approx((t**2).mean(), rel=1e-12)
        assert tails.excess[i] == pytest.approx(np.expm1(t).mean(), rel=1e-12)
        assert tails.top[i] == pytest.approx(t.max(), rel=1e-12)
        assert tails.center[i] == pytest.approx(min(np.median(np.log(row / threshold)), 0.0), abs=1e-12)


def test_the_free_log_normal_is_the_truncated_fit():
    for law in (LogNormal(1.0, 1.0), Pareto(2.0, 1.0), Gamma(2.0, 1.0)):
        values, thresholds, tails = _tails(law)
        for ratio, row, threshold in zip(log_normal_ratio(tails), values, thresholds, strict=True):
            x = row[row >= threshold]
            one, two = (truncated_logpdf(x, name, threshold).sum() for name in ("pareto", "log_normal"))
            assert ratio == pytest.approx(min(one - two, 0.0), abs=1e-3)


def test_the_free_cutoff_beats_the_truncated_gamma_law():
    """A gamma tail is a power law of exponent below 1 with a cutoff: the free cutoff is at least as likely."""
    for law in (Gamma(0.4, 1.0), LogNormal(1.0, 1.0)):
        values, thresholds, tails = _tails(law)
        for ratio, row, threshold in zip(cutoff_ratio(tails), values, thresholds, strict=True):
            x = row[row >= threshold]
            one, two = (truncated_logpdf(x, name, threshold).sum() for name in ("pareto", "gamma"))
            assert ratio <= one - two + 1e-4


@pytest.mark.parametrize("name", sorted(RIVALS))
@pytest.mark.parametrize("law", [LogNormal(1.0, 1.0), Pareto(2.0, 1.0), Gamma(0.5, 1.0)])
def test_a_rival_is_no_likelier_than_without_its_bound_and_draws_its_own_law(name, law):
    _, _, tails = _tails(law)
    free = {"log_normal": log_normal_ratio, "cutoff": cutoff_ratio}[name](tails)
    fitted = rival(name, tails)
    assert (fitted.ratio >= free - 1e-3).all()
    survival = np.array([1.0, 0.7, 0.2, 0.01, 1e-4])
    t = fitted.quantile(survival)
    assert t[0] == pytest.approx(0.0, abs=1e-9)
    assert (np.diff(t) > 0.0).all()


def test_a_free_log_normal_rival_has_the_two_moments_of_the_tail():
    """Where its bound does not bind, the truncated normal law of the logs has the mean and the spread of the data."""
    _, _, tails = _tails(LogNormal(1.0, 1.0))
    drawn = rival("log_normal", tails).quantile(1.0 - (np.arange(20_000) + 0.5) / 20_000)
    assert log_normal_ratio(tails)[0] == pytest.approx(rival("log_normal", tails).ratio[0], abs=1e-6)
    assert drawn.mean() == pytest.approx(tails.first[0], rel=1e-3)
    assert np.mean(drawn**2) == pytest.approx(tails.second[0], rel=3e-3)


def test_a_cutoff_rival_has_the_mean_log_of_the_tail():
    """At the likeliest slope the mean of the logs is that of the data, whatever the cutoff."""
    for law in (Pareto(2.0, 1.0), Gamma(0.5, 1.0)):
        _, _, tails = _tails(law)
        drawn = rival("cutoff", tails).quantile(1.0 - (np.arange(20_000) + 0.5) / 20_000)
        assert drawn.mean() == pytest.approx(tails.first[0], rel=2e-3)


def test_a_long_power_law_beats_both_rivals():
    _, _, tails = _tails(Pareto(2.0, 1.0), n=400, share=1.0)
    assert all((rival(name, tails).ratio > 5.0).all() for name in RIVALS)


def test_golden_sections_find_each_maximum():
    centers = np.linspace(-3.0, 3.0, 7)
    found = golden_rows(lambda x: -np.cosh(x - centers), np.full(7, -5.0), np.full(7, 5.0))
    np.testing.assert_allclose(found, centers, atol=1e-6)


def test_draws_keep_the_body_and_take_the_tail():
    values = Pareto(2.0, 1.0).ppf((np.arange(100) + 0.5) / 100)
    u = scores(100, 150, 20, "ensemble", 1)
    rows = body_and_tail(values, values[60], lambda s: -np.log(s), u)
    assert (np.diff(rows, axis=1) >= 0.0).all()
    below = u < 0.6
    assert (rows[below] <= values[59]).all()
    assert (rows[~below] >= values[60]).all()
    split = (1.0 - u[~below]) / 0.4
    np.testing.assert_allclose(rows[~below], values[60] / split, rtol=1e-12)


@pytest.mark.parametrize(
    ("numbers", "sentence", "established"),
    [
        ((), "power law not tested", False),
        ((0.5, 0.5, 0.5, 0.01, 0.01), "power law: log-normal and cut-off rivals rejected", True),
        ((0.5, 0.5, 0.5, 0.20, 0.01), "log-normal not excluded", False),
        ((0.5, 0.5, 0.5, 0.01, 0.20), "cutoff not excluded", False),
        ((0.5, 0.5, 0.5, 0.20, 0.20), "log-normal and cutoff not excluded", False),
        ((0.5, 0.01, 0.5, 0.01, 0.01), "log-normal preferred to a power law (p = 0.01)", False),
        ((0.5, 0.5, 0.01, 0.01, 0.01), "cut off: no power law (p = 0.01)", False),
        ((0.02, 0.5, 0.5, 0.01, 0.01), "no power law (p = 0.02)", False),
    ],
)
def test_what_is_said_of_a_tail(numbers, sentence, established):
    evidence = TailEvidence(*numbers)
    assert evidence.sentence() == sentence
    assert evidence.established is established


def test_a_given_threshold_is_kept_in_the_draws():
    values = Pareto(2.5, 1.0).ppf((np.arange(80) + 0.5) / 80)
    u = scores(80, 120, 40, "ensemble", 1)
    tail = power_law_tail(values, threshold=2.0)
    evidence = tail_evidence(values, tail, u, min_tail=10, ks="two-sided", threshold=2.0)
    assert 0.05 < evidence.power_law <= 1.0
    alone = tail_evidence(values, tail, u, min_tail=10, ks="two-sided", threshold=2.0, rivals=False)
    assert alone.power_law == evidence.power_law
    assert math.isnan(alone.cutoff)
    assert not alone.established


def test_the_free_cutoff_is_the_maximum_of_a_grid():
    """Uniform logs: the likeliest power law rises up to its cutoff; the mass is integrated by adaptive quadrature."""
    x = np.exp(np.linspace(0.0, 1.0, 50))
    tails = tails_of_rows(x[None], x[:1])
    found = cutoff_ratio(tails)[0]
    t = np.log(x)

    def value(point):
        slope, strength = point[0], math.exp(point[1])
        mass = integrate.quad(lambda s: math.exp(-slope * s - strength * math.expm1(s)), 0.0, 12.0)[0]
        return float(np.sum(-slope * t - strength * np.expm1(t)) - len(t) * math.log(mass))

    grid = [value((slope, s)) for slope in np.linspace(-12.0, 2.0, 57) for s in np.linspace(-4.0, 4.0, 65)]
    pareto = float(tails.pareto[0]) * len(x)
    assert found <= pareto - max(grid) + 1e-6
    assert found >= pareto - max(grid) - 0.1


def test_the_test_of_a_pool_draws_pools():
    values = Pareto(2.5, 1.0).ppf((np.arange(120) + 0.5) / 120)
    single = power_law_test(values, shape=(120, 150), draws=30)
    u = scores(120, 150, 30, "ensemble", 0)
    assert single == tail_evidence(values, power_law_tail(values), u, min_tail=10, ks="two-sided")
    assert power_law_test(values, shape=(60, 90), draws=30) != single


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs the shape of the matrix"),
        ({"shape": (7, 9)}, "a multiple of 7 without zeros"),
        ({"calibration": "none"}, "calibration is 'none'"),
        ({"calibration": "iid", "draws": 0}, "draws is 0"),
        ({"calibration": "iid", "draws": 5}, "at least 20"),
    ],
)
def test_options_of_the_test_are_checked(options, message):
    with pytest.raises(UsageError, match=message):
        power_law_test(np.arange(1.0, 51.0), **options)


def test_tails_over_hundreds_of_decades_are_drawn_without_overflow():
    values = 10.0 ** np.linspace(-300, 300, 60)
    found = power_law_test(values, calibration="iid", draws=20)
    assert 0.0 < found.power_law <= 1.0
    rows = body_and_tail(values, 1e280, lambda s: -1e3 * np.log(s), scores(60, 90, 20, "iid", 1))
    assert np.isfinite(rows).all()


def test_no_draws_are_no_evidence():
    evidence = TailEvidence(math.nan, 0.5, 0.5, 0.01, 0.01)
    assert not evidence.established

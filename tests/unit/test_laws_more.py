"""Beta prime, truncated and spliced Pareto, Wachter, reciprocal and high-temperature laws."""

from __future__ import annotations

import math
from itertools import pairwise

import mpmath
import numpy as np
import pytest
from scipy import integrate

from sdespec.core.errors import UsageError
from sdespec.laws import (
    BetaLaguerre,
    BetaPrime,
    Exponential,
    Gamma,
    GammaPareto,
    InverseGamma,
    Law,
    LogNormal,
    MarchenkoPastur,
    Pareto,
    Reciprocal,
    TracyWidom,
    TruncatedPareto,
    Wachter,
)

FLAT = [
    BetaPrime(0.5, 2.5, 3.0),
    BetaPrime(7.0, 3.5, 0.2),
    TruncatedPareto(2.5, 0.5, 40.0),
    TruncatedPareto(1.0, 2.0, 9.0),
    TruncatedPareto(0.4, 2.0, 900.0),
    TruncatedPareto(9.0, 1.0, 1.01),
    GammaPareto(3.0, 0.7, 4.0, 5.0),
    GammaPareto(0.6, 2.0, 6.5, 3.0),
    Wachter(100, 200, 300, 2.0),
    Wachter(200, 100, 230, 0.5),
    Wachter(64, 64, 65, 1.0),
    Wachter(64, 65, 640, 1.0),
    Wachter(1, 10_000, 1000, 0.1),
    BetaLaguerre(0.05, 1.0, 2.0),
    BetaLaguerre(2.0, 0.5, 0.3),
    BetaLaguerre(1.0, -0.5, 1.0),
    BetaLaguerre(20.0, 5.0, 1.0),
    BetaLaguerre(300.0, 200.0, 0.01),
]
LAWS = [
    *FLAT,
    Reciprocal(Gamma(5.5, 2.0)),
    Reciprocal(MarchenkoPastur(90, 30, 0.5)),
    Reciprocal(GammaPareto(6.0, 0.7, 4.0, 5.0)),
    Reciprocal(BetaLaguerre(2.0, 3.5, 0.3)),
    Reciprocal(Wachter(100, 200, 300, 2.0)),
]
PROBABILITIES = np.array([1e-9, 1e-4, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98, 1.0 - 1e-4, 1.0 - 1e-9])

every_law = pytest.mark.parametrize("law", LAWS, ids=repr)


def integral(law: Law, a: float, b: float, order: int = 0) -> float:
    """Integral of x^order times the density, in log x; split at the kink of a splice."""
    inner = law.law if isinstance(law, Reciprocal) else law
    knots = [math.log(a), math.log(b)]
    if isinstance(inner, GammaPareto):
        knot = -math.log(inner.minimum) if law is not inner else math.log(inner.minimum)
        knots = sorted([*knots, knot]) if knots[0] < knot < knots[1] else knots
    grid = np.concatenate([np.linspace(s, t, 12)[:-1] for s, t in pairwise(knots)] + [knots[-1:]])
    return sum(
        integrate.quad(lambda t: law.pdf(math.exp(t)) * math.exp((order + 1) * t), s, t, epsrel=1e-10, epsabs=1e-15)[0]
        for s, t in pairwise(grid)
    )


def ends(law: Law) -> tuple[float, float]:
    low, high = law.support()
    return max(low, float(law.ppf(1e-14))), min(high, float(law.ppf(1.0 - 1e-13)))


@every_law
def test_mass_is_one_and_the_distribution_its_integral(law: Law) -> None:
    points = law.ppf(PROBABILITIES)
    masses = [integral(law, a, b) for a, b in pairwise(points)]
    np.testing.assert_allclose(masses, np.diff(law.cdf(points)), rtol=2e-6, atol=1e-10)
    assert sum(masses) == pytest.approx(1.0, abs=4e-9)


@every_law
def test_quantile_inverts_and_survival_adds_to_one(law: Law) -> None:
    points = law.ppf(PROBABILITIES)
    np.testing.assert_allclose(law.cdf(points), PROBABILITIES, rtol=1e-12, atol=2e-13)
    np.testing.assert_allclose(law.cdf(points) + law.sf(points), 1.0, atol=1e-13)
    middle = points[2:-2]
    np.testing.assert_allclose(law.ppf(law.cdf(middle)), middle, rtol=1e-10)
    assert law.ppf(0.0) == law.support()[0]
    assert law.ppf(1.0) == law.support()[1]
    assert np.isnan(law.ppf([-0.1, 1.1, np.nan])).all()


@every_law
def test_score_is_the_derivative_of_the_log_density(law: Law) -> None:
    points = law.ppf(np.linspace(0.03, 0.97, 15))
    step = 1e-5 * (float(law.ppf(0.6)) - float(law.ppf(0.4)))
    step = min(step, 1e-3 * (float(points[0]) - law.support()[0]))
    difference = (law.logpdf(points + step) - law.logpdf(points - step)) / (2.0 * step)
    np.testing.assert_allclose(law.score(points), difference, rtol=2e-5, atol=1e-5 * np.abs(difference).max())
    np.testing.assert_allclose(law.logpdf(points), np.log(law.pdf(points)), rtol=1e-12, atol=1e-12)


@every_law
def test_moments_by_quadrature(law: Law) -> None:
    low, high = ends(law)
    mean, second = integral(law, low, high, 1), integral(law, low, high, 2)
    narrow = isinstance(law, TruncatedPareto) and law.maximum < 2.0 * law.minimum
    heavy = isinstance(law, BetaPrime | GammaPareto) or isinstance(getattr(law, "law", None), Gamma | BetaLaguerre)
    assert law.mean() == pytest.approx(mean, rel=1e-4 if heavy else 1e-7)
    if math.isfinite(law.var()):
        tolerance = 2e-2 if heavy else 1e-5
        assert law.var() == pytest.approx(second - mean**2, rel=1e-3 if narrow else tolerance)


@every_law
def test_outside_the_support_nan_and_shapes(law: Law) -> None:
    low, high = law.support()
    below = np.array([-np.inf, low - 1.0])
    above = np.array([np.inf, high + 1.0])
    for outside in (below, above):
        assert (law.pdf(outside) == 0.0).all()
        assert (law.logpdf(outside) == -np.inf).all()
        assert np.isnan(law.score(outside)).all()
    assert (law.cdf(below) == 0.0).all()
    assert (law.sf(below) == 1.0).all()
    assert (law.cdf(above) == 1.0).all()
    assert (law.sf(above) == 0.0).all()
    assert not math.isnan(float(law.pdf(low)))
    for method in ("pdf", "logpdf", "cdf", "sf", "ppf", "score"):
        function = getattr(law, method)
        point = 0.3 if method == "ppf" else float(law.ppf(0.3))
        assert np.isnan(function(np.nan))
        assert isinstance(function(point), np.float64)
        assert (function(np.full((2, 3), point)) == function(point)).all()
        assert function(np.zeros((0, 4))).shape == (0, 4)


@every_law
def test_extreme_arguments_give_no_nan(law: Law) -> None:
    points = np.array([0.0, 5e-324, 1e-308, 1e-200, 1e-30, 1e30, 1e200, 1.7e308])
    for method in ("pdf", "logpdf", "cdf", "sf"):
        assert not np.isnan(getattr(law, method)(points)).any(), method
    assert (np.diff(law.cdf(points)) >= 0.0).all()
    assert (np.diff(law.sf(points)) <= 0.0).all()
    assert not np.isnan(law.ppf([1e-300, 1e-30, 1.0 - 2.0**-53])).any()


@every_law
def test_draws_are_reproducible_item_by_item(law: Law) -> None:
    draws = law.rvs(50, seed=7)
    np.testing.assert_array_equal(draws[:20], law.rvs(20, seed=7))
    assert not np.array_equal(draws, law.rvs(50, seed=8))
    low, high = law.support()
    assert ((draws >= low) & (draws <= high)).all()


@pytest.mark.parametrize("law", FLAT, ids=repr)
def test_the_law_of_a_multiple(law: Law) -> None:
    """Scale covariance: 3x has the density p(x)/3."""
    factor = {name: 3.0 for name in ("scale", "minimum", "maximum") if name in law.parameters}
    wide = type(law)(**{name: value * factor.get(name, 1.0) for name, value in law.parameters.items()})
    points = law.ppf(PROBABILITIES[1:-1])
    # next to an edge the density feels the rounding of the place
    np.testing.assert_allclose(3.0 * wide.pdf(3.0 * points), law.pdf(points), rtol=1e-9)
    np.testing.assert_allclose(wide.cdf(3.0 * points), law.cdf(points), rtol=1e-9)
    np.testing.assert_allclose(wide.ppf(PROBABILITIES), 3.0 * law.ppf(PROBABILITIES), rtol=1e-9)
    assert wide.mean() == pytest.approx(3.0 * law.mean())
    assert wide.var() == pytest.approx(9.0 * law.var()) or math.isinf(law.var())


@pytest.mark.parametrize("law", FLAT, ids=repr)
def test_invalid_parameters_are_named(law: Law) -> None:
    for name in law.parameter_names():
        bad_values = [math.nan, math.inf, "2", None, -1.0] + [0.0] * (name not in ("a", "c"))
        for bad in bad_values:
            with pytest.raises(UsageError, match=rf"{name} is {bad!r}; it must be"):
                type(law)(**{**law.parameters, name: bad})
    assert type(law)(**law.parameters) == law
    assert {law: 1}[type(law)(**law.parameters)] == 1


def test_bounds_of_single_laws() -> None:
    with pytest.raises(UsageError, match=r"maximum is 2\.0; it must be finite and above the minimum 2\.0"):
        TruncatedPareto(2.0, 2.0, 2.0)
    with pytest.raises(UsageError, match=r"exponent is 1\.0; it must be above 1"):
        GammaPareto(2.0, 1.0, 1.0, 3.0)
    with pytest.raises(UsageError, match="minimum is 1e-200; it must be a threshold with a gamma probability"):
        GammaPareto(3.0, 1.0, 2.0, 1e-200)
    with pytest.raises(UsageError, match="n_denominator is 100; it must be finite and above n_rows = 100"):
        Wachter(100, 200, 100)
    with pytest.raises(UsageError, match=r"a is -0\.99; it must be from -0\.95 to 2000"):
        BetaLaguerre(1.0, -0.99)
    with pytest.raises(UsageError, match="c is 2001; it must be from 0 to 2000"):
        BetaLaguerre(2001, 1.0)
    for bad in ("gamma", TracyWidom(1), None):
        with pytest.raises(UsageError, match="it must be a one-body law of positive values"):
            Reciprocal(bad)  # type: ignore[arg-type]  # invalid on purpose


def test_names_are_the_classes_in_snake_case() -> None:
    names = [law.name for law in (BetaPrime(1, 1, 1), TruncatedPareto(2, 1, 2), GammaPareto(1, 1, 2, 1))]
    assert names == ["beta_prime", "truncated_pareto", "gamma_pareto"]
    assert [law.name for law in (Wachter(1, 2, 3), BetaLaguerre(1, 1))] == ["wachter", "beta_laguerre"]
    reciprocal = Reciprocal(Gamma(2.0, 3.0))
    assert reciprocal.name == "reciprocal"
    assert reciprocal.parameters == {"shape": 2.0, "scale": 3.0}


def test_beta_prime_tends_to_gamma() -> None:
    """At fixed scale/b the log-densities differ by O(1/b): ten times less for ten times more."""
    gamma = Gamma(2.5, 0.7)
    points = gamma.ppf(PROBABILITIES)
    gaps = [np.abs(BetaPrime(2.5, b, 0.7 * b).logpdf(points) - gamma.logpdf(points)).max() for b in (1e4, 1e5)]
    assert gaps[0] < 0.05
    assert gaps[1] == pytest.approx(gaps[0] / 10.0, rel=1e-2)
    np.testing.assert_allclose(BetaPrime(2.5, 1e9, 0.7e9).cdf(points), gamma.cdf(points), rtol=1e-6)


def test_beta_prime_by_its_definition_and_moments_that_do_not_exist() -> None:
    """a = 1 is a shifted Pareto law."""
    points = np.array([1e-12, 0.1, 1.0, 7.0, 1e5, 1e200])
    law = BetaPrime(1.0, 0.5, 2.0)
    np.testing.assert_allclose(law.sf(points), (1.0 + points / 2.0) ** -0.5, rtol=1e-13)
    np.testing.assert_allclose(law.pdf(points), 0.25 * (1.0 + points / 2.0) ** -1.5, rtol=1e-12)
    assert law.pdf(0.0) == pytest.approx(0.25)
    assert math.isinf(law.mean())
    assert math.isinf(BetaPrime(1.0, 1.5, 2.0).var())
    assert BetaPrime(0.5, 1.0, 2.0).pdf(0.0) == np.inf
    assert BetaPrime(1.5, 1.0, 2.0).pdf(0.0) == 0.0


def test_truncated_pareto_tends_to_pareto_and_to_the_uniform_logarithm() -> None:
    pareto = Pareto(3.5, 2.0)
    points = pareto.ppf(PROBABILITIES)
    for law in (TruncatedPareto(3.5, 2.0, 2e12), TruncatedPareto(3.5, 2.0, 1e308)):
        np.testing.assert_allclose(law.pdf(points), pareto.pdf(points), rtol=1e-12)
        np.testing.assert_allclose(law.sf(points), pareto.sf(points), rtol=1e-12)
        assert law.mean() == pytest.approx(pareto.mean())
        assert law.var() == pytest.approx(pareto.var(), rel=1e-5)
    narrow = np.geomspace(2.0, 9.0, 7)
    flat = TruncatedPareto(1.0, 2.0, 9.0)
    np.testing.assert_allclose(flat.cdf(narrow), np.linspace(0.0, 1.0, 7), atol=1e-14)
    for exponent in (1.0 - 1e-13, 1.0 + 1e-13):
        np.testing.assert_allclose(TruncatedPareto(exponent, 2.0, 9.0).ppf(PROBABILITIES), flat.ppf(PROBABILITIES))


def test_truncated_pareto_next_to_its_maximum_and_in_a_narrow_window() -> None:
    law = TruncatedPareto(2.0, 1.0, 1e10)
    below = 1e10 * (1.0 - 1e-9)
    assert law.sf(below) == pytest.approx(1e-19, rel=1e-6)
    window = TruncatedPareto(3.0, 1.0, 1.0 + 1e-8)
    width = window.maximum - 1.0
    assert window.var() == pytest.approx(width**2 / 12.0, rel=1e-6)
    assert TruncatedPareto(0.01, 1e-300, 1e300).mean() == pytest.approx(0.99 / 1.99 * 1e300)


def test_gamma_pareto_is_continuous_with_a_free_slope() -> None:
    law = GammaPareto(3.0, 0.7, 4.0, 5.0)
    at, before = 5.0, np.nextafter(5.0, 0.0)
    assert law.pdf(before) == pytest.approx(law.pdf(at), rel=1e-13)
    assert law.cdf(before) == pytest.approx(law.cdf(at), rel=1e-13)
    assert law.sf(5.0) == pytest.approx(law.tail_mass, rel=1e-13)
    assert law.score(at) == pytest.approx(-4.0 / 5.0)
    assert law.score(before) == pytest.approx(2.0 / 5.0 - 1.0 / 0.7)
    smooth = GammaPareto(3.0, 0.7, 5.0 / 0.7 - 2.0, 5.0)
    assert smooth.score(before) == pytest.approx(smooth.score(at), rel=1e-12)
    ratio = law.pdf([1.0, 2.0]) / Gamma(3.0, 0.7).pdf([1.0, 2.0])
    assert ratio[0] == pytest.approx(ratio[1], rel=1e-13)
    np.testing.assert_allclose(law.sf([50.0, 500.0]), law.tail_mass * np.array([1e-3, 1e-6]), rtol=1e-12)


def test_gamma_pareto_between_its_two_parents() -> None:
    points = Gamma(3.0, 0.7).ppf(PROBABILITIES)
    far = GammaPareto(3.0, 0.7, 2.5, 1e4)
    np.testing.assert_allclose(far.pdf(points), Gamma(3.0, 0.7).pdf(points), rtol=1e-13)
    np.testing.assert_allclose(far.ppf(PROBABILITIES), points, rtol=1e-9)
    assert far.tail_mass == 0.0
    assert math.isinf(far.var())
    near = GammaPareto(1.0, 1.0, 3.0, 1e-12)
    tail = Pareto(3.0, 1e-12)
    np.testing.assert_allclose(near.sf(tail.ppf([0.5, 0.9])) / near.tail_mass, [0.5, 0.1])
    assert math.isinf(GammaPareto(3.0, 0.7, 2.0, 5.0).mean())
    small = GammaPareto(2.0, 1.0, 3.0, 60.0)
    quantile = Gamma(2.0, 1.0).ppf(1.0 - 1e-12)
    assert small.sf(quantile) == pytest.approx(Gamma(2.0, 1.0).sf(quantile), rel=1e-9)


def test_wachter_is_symmetric_under_the_reciprocal() -> None:
    """1/x: numerator and denominator change places. Planted: the scale not inverted."""
    law, mirror = Wachter(100, 200, 300, 2.0), Wachter(100, 300, 200, 0.5)
    points = mirror.ppf(PROBABILITIES)
    np.testing.assert_allclose(Reciprocal(law).cdf(points), mirror.cdf(points), rtol=1e-8, atol=1e-14)
    np.testing.assert_allclose(Reciprocal(law).pdf(points[1:-1]), mirror.pdf(points[1:-1]), rtol=1e-8)
    assert Reciprocal(law).mean() == pytest.approx(mirror.mean(), rel=1e-10)
    assert Reciprocal(law).var() == pytest.approx(mirror.var(), rel=1e-9)
    assert 1.0 / law.edges[0] == pytest.approx(mirror.edges[1], rel=1e-13)
    assert Reciprocal(law).cdf(1.0) != pytest.approx(Wachter(100, 300, 200, 2.0).cdf(1.0), abs=0.1)


def test_wachter_tends_to_marchenko_pastur_and_has_the_edges_of_the_literature() -> None:
    limit = MarchenkoPastur(100, 200, 0.5)
    law = Wachter(100, 200, 1e9, 0.5e9)
    points = limit.ppf(PROBABILITIES[1:-1])
    np.testing.assert_allclose(law.cdf(points), limit.cdf(points), rtol=1e-4)
    np.testing.assert_allclose(law.edges, limit.edges, rtol=1e-6)
    # (X/m)(Y/N)^-1 with n = 300, m = 600, N = 700 has its upper edge at 10.427
    assert Wachter(300, 600, 700, 700 / 600).edges[1] == pytest.approx(10.427, abs=1e-3)


def test_wachter_falls_as_the_power_three_halves_at_criticality() -> None:
    """Between its edges, which lie six decades apart."""
    law = Wachter(1000.0, 2000.0, 1001.0)
    places = law.edges[1] * np.array([1e-4, 1e-3])
    np.testing.assert_allclose(places * law.score(places), -1.5, atol=0.02)
    wide = Wachter(300, 300, 300 * (1.0 + 1e-9))
    np.testing.assert_allclose(wide.cdf(wide.ppf(PROBABILITIES)), PROBABILITIES, rtol=1e-12)


def test_reciprocals_with_known_names() -> None:
    pairs: list[tuple[Law, Law]] = [
        (Gamma(3.5, 0.5), InverseGamma(3.5, 2.0)),
        (InverseGamma(3.5, 0.5), Gamma(3.5, 2.0)),
        (LogNormal(1.2, 0.1), LogNormal(1.2, 10.0)),
        (BetaPrime(3.5, 4.0, 0.2), BetaPrime(4.0, 3.5, 5.0)),
    ]
    for law, known in pairs:
        mirror = Reciprocal(law)
        points = known.ppf(PROBABILITIES)
        for method in ("pdf", "cdf", "sf", "score"):
            expected = getattr(known, method)(points)
            np.testing.assert_allclose(getattr(mirror, method)(points), expected, rtol=1e-9, atol=1e-15)
        np.testing.assert_allclose(mirror.ppf(PROBABILITIES), points, rtol=3e-7)
        assert mirror.mean() == pytest.approx(known.mean(), rel=1e-8)
        assert mirror.var() == pytest.approx(known.var(), rel=1e-8)
        assert Reciprocal(mirror).mean() == law.mean()
        assert Reciprocal(mirror).var() == law.var()
        assert mirror.ppf(1e-200) == pytest.approx(float(known.ppf(1e-200)), rel=1e-9)


def test_moments_of_reciprocals_that_do_not_exist() -> None:
    assert math.isinf(Reciprocal(Exponential(2.0)).mean())
    assert math.isinf(Reciprocal(Gamma(1.5, 2.0)).var())
    assert Reciprocal(Gamma(1.5, 2.0)).mean() == pytest.approx(1.0)
    assert math.isinf(Reciprocal(MarchenkoPastur(30, 30, 1.0)).mean())
    assert Reciprocal(MarchenkoPastur(30, 60, 1.0)).mean() == pytest.approx(1.0 / 30.0, rel=1e-10)
    assert math.isinf(Reciprocal(BetaLaguerre(2.0, -0.5)).mean())
    # the equation of the Stieltjes transform at 0 gives E 1/x = 1/a
    assert Reciprocal(BetaLaguerre(2.0, 2.5)).mean() == pytest.approx(0.4, rel=1e-9)


def test_density_of_reciprocals_at_zero() -> None:
    assert Reciprocal(Pareto(2.0, 0.5)).pdf(0.0) == pytest.approx(0.5)
    assert Reciprocal(Pareto(2.5, 0.5)).pdf(0.0) == 0.0
    assert Reciprocal(Pareto(1.5, 0.5)).pdf(0.0) == np.inf
    assert Reciprocal(Gamma(2.0, 0.5)).pdf(0.0) == 0.0


def direct(c: float, a: float, x: float) -> float:
    """Density of the high-temperature law from Tricomi's function in multiple precision."""
    with mpmath.workdps(30):
        u = mpmath.hyperu(c, -mpmath.mpf(a), mpmath.mpf(x) * mpmath.mpc(-1, mpmath.mpf(10) ** -50))
        return float(
            mpmath.mpf(x) ** a * mpmath.exp(-x) / (mpmath.gamma(c + 1) * mpmath.gamma(c + a + 1) * abs(u) ** 2)
        )


@pytest.mark.parametrize(("c", "a"), [(0.05, 1), (0.5, 1), (2, 0.5), (5, 3), (20, 5), (1, -0.5), (0.3, -0.9), (3, 0)])
def test_high_temperature_density_against_multiple_precision(c: float, a: float) -> None:
    """Relative error below 1e-7 from far below the bulk to densities of 1e-280."""
    law = BetaLaguerre(c, a)
    points = law.ppf([1e-12, 1e-4, 0.1, 0.5, 0.9, 0.9999, 1.0 - 1e-12])
    points = np.concatenate([points[:1] * 1e-3, points, points[-1:] * [2.0, 6.0]])
    np.testing.assert_allclose(law.pdf(points), [direct(c, a, float(x)) for x in points], rtol=1e-7)


def test_high_temperature_density_beyond_float_range() -> None:
    """The logarithm continues by its asymptotic series, without a step."""
    law = BetaLaguerre(2.0, 0.5)
    with mpmath.workdps(30):
        for x in (700.0, 900.0, 5000.0):
            u = abs(mpmath.hyperu(2, mpmath.mpf(-0.5), mpmath.mpc(-x, mpmath.mpf(10) ** -50)))
            log = 0.5 * mpmath.log(x) - x - mpmath.log(mpmath.gamma(3) * mpmath.gamma(3.5)) - 2 * mpmath.log(u)
            assert law.logpdf(x) == pytest.approx(float(log), rel=1e-9)
    table_end = math.exp(law._table.log_x[-1])
    sides = law.logpdf(table_end * np.array([1.0 - 1e-9, 1.0 + 1e-9])) + table_end * np.array([-1e-9, 1e-9])
    assert sides[0] == pytest.approx(sides[1], rel=1e-9)


def test_high_temperature_law_at_zero() -> None:
    """x^a Gamma(c+a+1) / (Gamma(c+1) Gamma(a+1)^2)."""
    for c, a in ((0.5, 1.0), (2.0, 0.5), (4.0, -0.5)):
        expected = math.gamma(c + a + 1.0) / (math.gamma(c + 1.0) * math.gamma(a + 1.0) ** 2)
        assert BetaLaguerre(c, a).pdf(1e-100) / 1e-100**a == pytest.approx(expected, rel=1e-8)
    assert BetaLaguerre(4.0, 0.0).pdf(0.0) == pytest.approx(1.0, rel=1e-8)


def test_high_temperature_law_without_repulsion_is_gamma() -> None:
    for a in (-0.9, 0.0, 0.7, 30.0, 500.0):
        gamma, law = Gamma(a + 1.0, 2.0), BetaLaguerre(0.0, a, 2.0)
        points = gamma.ppf(PROBABILITIES)
        np.testing.assert_allclose(law.pdf(points), gamma.pdf(points), rtol=1e-8)
        np.testing.assert_allclose(law.cdf(points), PROBABILITIES, rtol=1e-8)
        np.testing.assert_allclose(law.sf(points[-3:]), gamma.sf(points[-3:]), rtol=1e-8)
    gamma = Gamma(2.0, 1.0)
    points = gamma.ppf(PROBABILITIES)
    gaps = [np.abs(BetaLaguerre(c, 1.0).cdf(points) - PROBABILITIES).max() for c in (1e-3, 1e-4)]
    assert gaps[1] == pytest.approx(gaps[0] / 10.0, rel=1e-2)


def test_high_temperature_law_with_strong_repulsion_is_marchenko_pastur() -> None:
    """KS distance to the limit of ratio 1/2: 0.166 and 0.041 in simulations at c = 1 and 5, then falling as 1/c."""
    limit = MarchenkoPastur(1, 2, 0.5)
    points = np.linspace(1e-3, 3.5, 2001)

    def gap(c: float) -> float:
        return float(np.abs(BetaLaguerre(c, c, 0.5 / c).cdf(points) - limit.cdf(points)).max())

    assert gap(1.0) == pytest.approx(0.166, abs=4e-3)
    assert gap(5.0) == pytest.approx(0.041, abs=2e-3)
    assert 80.0 * gap(80.0) == pytest.approx(1000.0 * gap(1000.0), rel=0.06)
    assert gap(1000.0) < 3e-4

"""One driver for all one-body laws: every law passes every test."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate

from sdespec.core.errors import UsageError
from sdespec.laws import (
    LAWS,
    Exponential,
    Gamma,
    InverseGamma,
    Law,
    LogNormal,
    MarchenkoPastur,
    Pareto,
    TracyWidom,
    law_class,
)

CASES = [
    Exponential(3.0),
    Gamma(0.5, 2.0),
    Gamma(1.0, 0.1),
    Gamma(13.2, 0.7),
    InverseGamma(0.8, 1.5),
    InverseGamma(4.5, 2.0),
    LogNormal(0.3, 2.0),
    LogNormal(1.2, 0.1),
    Pareto(1.5, 2.0),
    Pareto(5.5, 0.5),
    MarchenkoPastur(64, 64, 1.0),
    MarchenkoPastur(100, 101, 0.3),
    MarchenkoPastur(90, 30, 0.5),
    MarchenkoPastur(1, 10_000, 1.0),
    TracyWidom(1),
    TracyWidom(2),
    TracyWidom(4),
]
PROBABILITIES = np.array([1e-9, 1e-4, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98, 1.0 - 1e-4, 1.0 - 1e-9])
INFINITE_MEAN = {InverseGamma(0.8, 1.5), Pareto(1.5, 2.0)}

every_law = pytest.mark.parametrize("law", CASES, ids=repr)


def expectation(law: Law, function: Callable[[float], float]) -> float:
    """Integral of function * pdf: outwards from the median in steps of the logarithm where the support allows it."""
    low, high = law.support()
    logarithmic = low >= 0.0 and math.isinf(high)
    middle = float(law.ppf(0.5))

    def piece(a: float, b: float) -> float:
        if logarithmic:
            return float(integrate.quad(lambda t: function(math.exp(t)) * law.pdf(math.exp(t)) * math.exp(t), a, b)[0])
        return float(integrate.quad(lambda x: function(x) * law.pdf(x), a, b, epsabs=0.0, epsrel=1e-11)[0])

    if not logarithmic and math.isfinite(high):
        return piece(low, middle) + piece(middle, high)
    start = math.log(middle) if logarithmic else middle
    wall = math.log(low) if logarithmic and low > 0.0 else -math.inf
    total = 0.0
    for direction in (-1.0, 1.0):
        here = start
        for _ in range(400):
            there = max(here + direction, wall)
            part = piece(min(here, there), max(here, there))
            total += part
            here = there
            if here == wall or abs(part) < 1e-12 * abs(total):
                break
    return total


def mass_between(law: Law, a: float, b: float) -> float:
    """Integral of the density, in the logarithm for positive laws."""
    if law.support()[0] < 0.0:
        return float(integrate.quad(law.pdf, a, b, epsabs=1e-13, epsrel=1e-10)[0])
    ends = math.log(a), math.log(b)
    return float(
        integrate.quad(lambda t: law.pdf(math.exp(t)) * math.exp(t), *ends, epsabs=1e-13, epsrel=1e-10, limit=200)[0]
    )


def test_every_registered_law_is_driven() -> None:
    assert {type(law) for law in CASES} == set(LAWS.values())


@every_law
def test_density_is_the_derivative_of_the_distribution(law: Law) -> None:
    points = law.ppf(PROBABILITIES)
    assert (law.pdf(points) >= 0.0).all()
    masses = [mass_between(law, a, b) for a, b in pairwise(points)]
    np.testing.assert_allclose(masses, np.diff(law.cdf(points)), atol=1e-9)


@every_law
def test_mass_is_one(law: Law) -> None:
    assert expectation(law, lambda x: 1.0) == pytest.approx(1.0, abs=1e-8)


@every_law
def test_distribution_and_survival_add_to_one(law: Law) -> None:
    points = law.ppf(PROBABILITIES)
    np.testing.assert_allclose(law.cdf(points) + law.sf(points), 1.0, atol=1e-13)
    assert (np.diff(law.cdf(points)) > 0.0).all()
    assert (np.diff(law.sf(points)) < 0.0).all()


@every_law
def test_quantile_inverts_the_distribution(law: Law) -> None:
    points = law.ppf(PROBABILITIES)
    np.testing.assert_allclose(law.cdf(points), PROBABILITIES, rtol=1e-12, atol=2e-13)
    middle = points[2:-2]
    np.testing.assert_allclose(law.ppf(law.cdf(middle)), middle, rtol=1e-11)
    low, high = law.support()
    assert law.ppf(0.0) == low
    assert law.ppf(1.0) == high
    assert np.isnan(law.ppf([-0.1, 1.1, np.nan])).all()


@every_law
def test_survival_keeps_its_relative_accuracy_in_the_upper_tail(law: Law) -> None:
    start, steps = float(law.ppf(1.0 - 1e-6)), 6
    high = law.support()[1]
    end = high - 1e-3 * (high - start) if math.isfinite(high) else start + 0.3 * (start - float(law.ppf(0.5)))
    points = np.linspace(start, end, steps)
    masses = [integrate.quad(law.pdf, a, b, epsabs=0.0, epsrel=1e-10)[0] for a, b in pairwise(points)]
    np.testing.assert_allclose(masses, -np.diff(law.sf(points)), rtol=1e-6)


@every_law
def test_logarithm_of_the_density(law: Law) -> None:
    points = law.ppf(PROBABILITIES)
    np.testing.assert_allclose(law.logpdf(points), np.log(law.pdf(points)), rtol=1e-12, atol=1e-12)


@every_law
def test_score_is_the_derivative_of_the_log_density(law: Law) -> None:
    points = law.ppf(np.linspace(0.03, 0.97, 15))
    low = law.support()[0]
    step = 1e-5 * (float(law.ppf(0.6)) - float(law.ppf(0.4)))
    step = min(step, 1e-3 * (float(points[0]) - low)) if math.isfinite(low) else step
    difference = (law.logpdf(points + step) - law.logpdf(points - step)) / (2.0 * step)
    scale = np.abs(difference).max()
    np.testing.assert_allclose(law.score(points), difference, rtol=2e-5, atol=1e-5 * scale)


@every_law
def test_moments_by_quadrature(law: Law) -> None:
    if law in INFINITE_MEAN:
        assert math.isinf(law.mean())
        assert math.isinf(law.var())
        return
    mean = expectation(law, lambda x: x)
    assert law.mean() == pytest.approx(mean, rel=1e-8)
    assert law.var() == pytest.approx(expectation(law, lambda x: (x - mean) ** 2), rel=1e-7)


def test_a_variance_may_be_infinite_while_the_mean_is_not() -> None:
    for law in (InverseGamma(1.5, 1.0), Pareto(2.5, 1.0)):
        assert math.isfinite(law.mean())
        assert math.isinf(law.var())
    assert math.isinf(LogNormal(40.0, 1.0).mean())
    assert math.isinf(LogNormal(27.0, 1.0).var())


@every_law
def test_outside_the_support(law: Law) -> None:
    low, high = law.support()
    below = np.array([-np.inf, low - 1.0]) if math.isfinite(low) else np.array([-np.inf])
    above = np.array([high + 1.0, np.inf]) if math.isfinite(high) else np.array([np.inf])
    outside = np.concatenate([below, above])
    assert (law.pdf(outside) == 0.0).all()
    assert (law.logpdf(outside) == -np.inf).all()
    assert np.isnan(law.score(outside)).all()
    assert (law.cdf(below) == 0.0).all()
    assert (law.sf(below) == 1.0).all()
    assert (law.cdf(above) == 1.0).all()
    assert (law.sf(above) == 0.0).all()


@every_law
@pytest.mark.parametrize("method", ["pdf", "logpdf", "cdf", "sf", "ppf", "score"])
def test_nan_scalars_shapes_and_single_precision(law: Law, method: str) -> None:
    function = getattr(law, method)
    point = 0.3 if method == "ppf" else float(law.ppf(0.3))
    assert np.isnan(function(np.nan))
    assert isinstance(function(point), np.float64)
    block = function(np.full((2, 3), point))
    assert block.shape == (2, 3)
    assert (block == function(point)).all()
    assert function(np.zeros((0, 4))).shape == (0, 4)
    assert function(np.array([0.5], dtype=np.float32)).dtype == np.float64


@every_law
def test_parameters_and_name_go_round(law: Law) -> None:
    assert law_class(law.name) is type(law)
    assert type(law)(**law.parameters) == law
    assert tuple(law.parameters) == type(law).parameter_names()
    assert all(isinstance(value, float) for value in law.parameters.values())
    assert {law: 1}[type(law)(**law.parameters)] == 1


@every_law
def test_invalid_parameters_are_named(law: Law) -> None:
    for name in law.parameter_names():
        for bad in (0.0, -1.0, math.nan, math.inf, "2", None):
            with pytest.raises(UsageError, match=rf"{name} is {bad!r}; it must be"):
                type(law)(**{**law.parameters, name: bad})


def test_bounds_of_single_laws() -> None:
    with pytest.raises(UsageError, match=r"exponent is 1\.0; it must be above 1"):
        Pareto(1.0, 1.0)
    with pytest.raises(UsageError, match="beta is 3; it must be 1, 2 or 4"):
        TracyWidom(3)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown law 'weibull'; allowed: exponential, gamma"):
        law_class("weibull")


@every_law
def test_values_at_the_ends_of_the_support_are_limits(law: Law) -> None:
    low = law.support()[0]
    if not math.isfinite(low):
        return
    at, near = float(law.pdf(low)), float(law.pdf(low + 1e-9 * (float(law.ppf(1e-6)) - low)))
    assert not math.isnan(at)
    assert at >= near or at == pytest.approx(near, abs=1e-2 * float(law.pdf(law.ppf(0.5))))


@every_law
def test_draws_are_reproducible_item_by_item(law: Law) -> None:
    draws = law.rvs(50, seed=7)
    np.testing.assert_array_equal(draws[:20], law.rvs(20, seed=7))
    assert not np.array_equal(draws, law.rvs(50, seed=8))
    assert law.rvs(0, seed=7).shape == (0,)
    for size, seed in ((-1, 0), (1.5, 0), (3, -1), (3, 0.5), (True, 0)):
        with pytest.raises(UsageError, match=r"(size|seed) is .*; it must be an integer of at least 0"):
            law.rvs(size, seed=seed)

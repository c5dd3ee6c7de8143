"""Marchenko-Pastur: edges, closed forms in multiple precision, moments, degenerate shapes."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from scipy import integrate

from sdespec.core.errors import UsageError
from sdespec.laws import MarchenkoPastur

SHAPES = [(64, 64), (64, 128), (100, 101), (3, 400), (4, 401), (1, 1000), (1000, 1000.0001)]


def exact_cdf(n: float, m: float, x: float) -> float:
    """Distribution function at unit variance, by quadrature of the angle's density with 30 digits."""
    with mpmath.workdps(30):
        small, large = mpmath.mpf(min(n, m)), mpmath.mpf(max(n, m))
        r = mpmath.sqrt(small / large)
        angle = mpmath.acos((small + large - mpmath.mpf(x)) / (2 * mpmath.sqrt(small * large)))

        def density(t: mpmath.mpf) -> mpmath.mpf:
            return mpmath.sin(t) ** 2 / ((1 - r) ** 2 + 4 * r * mpmath.sin(t / 2) ** 2)

        pieces = [0, *sorted(min(angle, (1 - r) * k) for k in (1, 4, 16, 64) if r < 1), angle]
        return float(2 / mpmath.pi * mpmath.quad(density, pieces))


@pytest.mark.parametrize(("n", "m"), SHAPES)
def test_distribution_in_multiple_precision(n: float, m: float) -> None:
    law = MarchenkoPastur(n, m, 1.0)
    low, high = law.edges
    points = low + (high - low) * np.array([1e-9, 1e-4, 0.05, 0.3, 0.6, 0.9, 0.9999])
    exact = [exact_cdf(n, m, x) for x in points]
    np.testing.assert_allclose(law.cdf(points), exact, atol=1e-13 * max(m / n, 10.0))


@pytest.mark.parametrize(("n", "m"), [*SHAPES, (1, 10**8)])
def test_many_quantiles_at_once(n: float, m: float) -> None:
    law = MarchenkoPastur(n, m, 2.0)
    p = np.linspace(0.0, 1.0, 100_001)
    x = law.ppf(p)
    assert (np.diff(x) >= 0.0).all()
    assert (x[0], x[-1]) == law.edges
    # x itself is rounded to 1e-16 of its size, which is 1e-16 sqrt(m/n) of the width of the bulk
    np.testing.assert_allclose(law.cdf(x), p, atol=1e-12 + 1e-15 * math.sqrt(m / n))


def test_quantiles_next_to_both_edges_keep_relative_accuracy() -> None:
    law = MarchenkoPastur(60, 100, 1.0)
    tiny = np.array([1e-14, 1e-11, 1e-8, 1e-5])
    np.testing.assert_allclose(law.cdf(law.ppf(tiny)), tiny, rtol=1e-3)
    width = law.edges[1] - law.edges[0]
    inside = law.edges[1] - width * np.array([1e-10, 1e-8, 1e-6])
    constant = law.pdf(inside[0]) / math.sqrt(law.edges[1] - inside[0])
    leading = 2.0 / 3.0 * constant * (law.edges[1] - inside) ** 1.5
    np.testing.assert_allclose(law.sf(inside), leading, rtol=1e-5)


def test_edges_and_symmetry() -> None:
    law = MarchenkoPastur(100, 400, 0.25)
    assert law.edges == (25.0, 225.0)
    assert law.support() == law.edges
    other = MarchenkoPastur(400, 100, 0.25)
    x = np.linspace(20.0, 230.0, 50)
    np.testing.assert_array_equal(law.pdf(x), other.pdf(x))
    np.testing.assert_array_equal(law.cdf(x), other.cdf(x))
    assert law.moment(3) == other.moment(3)


@pytest.mark.parametrize(("n", "m"), [(64, 64), (64, 128), (30, 33), (1, 50)])
@pytest.mark.parametrize("order", [-3, -2, -1, 0, 1, 2, 3, 6])
def test_moments_by_quadrature_of_the_density(n: int, m: int, order: int) -> None:
    law = MarchenkoPastur(n, m, 0.7)
    if n == m and order < 0:
        assert math.isinf(law.moment(order))
        return
    low, high = law.edges
    # x = middle - half cos(angle) takes the square roots at both edges away
    middle, half = 0.5 * (low + high), 0.5 * (high - low)

    def integrand(angle: float) -> float:
        x = middle - half * math.cos(angle)
        return float(x**order * law.pdf(x) * half * math.sin(angle))

    moment = integrate.quad(integrand, 0.0, math.pi, epsabs=0.0, epsrel=1e-11, limit=200)[0]
    assert law.moment(order) == pytest.approx(moment, rel=1e-8)


def test_first_moments_in_closed_form() -> None:
    n, m, v = 30, 70, 0.3
    q, unit = n / m, m * v
    law = MarchenkoPastur(n, m, v)
    assert law.mean() == pytest.approx(unit)
    assert law.moment(2) == pytest.approx(unit**2 * (1 + q))
    assert law.moment(3) == pytest.approx(unit**3 * (1 + 3 * q + q**2))
    assert law.moment(-1) == pytest.approx(1.0 / (unit * (1 - q)))
    assert law.var() == pytest.approx(law.moment(2) - law.moment(1) ** 2)
    with pytest.raises(UsageError, match=r"order is 0\.5; it must be an integer"):
        law.moment(0.5)  # type: ignore[arg-type]  # the wrong type is the point


def test_a_thin_matrix_tends_to_the_semicircle() -> None:
    law = MarchenkoPastur(1, 10**12, 1.0)
    low, high = law.edges
    assert low < law.mean() < high
    t = np.array([-0.8, -0.3, 0.0, 0.5, 0.9])
    semicircle = 0.5 + (t * np.sqrt(1 - t**2) + np.arcsin(t)) / np.pi
    np.testing.assert_allclose(law.cdf(0.5 * (low + high) + 0.5 * (high - low) * t), semicircle, atol=1e-5)
    np.testing.assert_allclose(MarchenkoPastur(1, 1e30, 1.0).mean(), 1e30)


def test_square_shapes_reach_zero() -> None:
    law = MarchenkoPastur(50, 50, 1.0)
    assert law.edges[0] == 0.0
    assert law.pdf(0.0) == np.inf
    assert law.cdf(0.0) == 0.0
    x = 1e-12
    assert law.cdf(x) == pytest.approx(4.0 / math.pi * math.sqrt(x / 200.0), rel=1e-6)

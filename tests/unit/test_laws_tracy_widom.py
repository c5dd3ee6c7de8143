"""Tracy-Widom: the table against fresh determinants, known moments and quantiles, both tails."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy import integrate, special

from sdespec.laws import TracyWidom

ZETA_PRIME = -0.16542114370045092
"""Derivative of the Riemann zeta function at -1."""


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """The script that made the table."""
    path = Path(__file__).parents[1] / "reference" / "tracy_widom.py"
    spec = importlib.util.spec_from_file_location("tracy_widom_reference", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("t", [-5.0, -2.2, 0.1, 2.6])
def test_table_is_made_anew(generator: ModuleType, t: float) -> None:
    fresh = generator.log_odds(t, nodes=36, digits=25)
    arguments = (t, t, t / 2.0 ** (2.0 / 3.0))
    for beta, s, expected in zip((1, 2, 4), arguments, fresh, strict=True):
        assert TracyWidom(beta).cdf(s) == pytest.approx(special.expit(expected), rel=1e-11)
        assert TracyWidom(beta).sf(s) == pytest.approx(special.expit(-expected), rel=1e-11)


@pytest.mark.parametrize(
    ("beta", "mean", "variance"),
    [
        (1, -1.2065335745820, 1.607781034581),
        (2, -1.7710868074, 0.8131947928),
        (4, -2.306884893241 * 2.0 ** (-1.0 / 6.0), 0.5177237207726 * 2.0 ** (-1.0 / 3.0)),
    ],
)
def test_moments_of_the_literature(beta: int, mean: float, variance: float) -> None:
    """Bornemann's values; his scale at beta = 4 is 2^(1/6) times ours."""
    law = TracyWidom(beta)
    assert law.mean() == pytest.approx(mean, abs=1e-10)
    assert law.var() == pytest.approx(variance, abs=1e-10)
    moments = [
        integrate.quad(lambda s, k=k: s**k * law.pdf(s), -12.0, 13.0, epsabs=1e-13, epsrel=1e-12, limit=200)[0]
        for k in range(3)
    ]
    assert moments[0] == pytest.approx(1.0, abs=1e-11)
    assert moments[1] == pytest.approx(mean, abs=1e-10)
    assert moments[2] - moments[1] ** 2 == pytest.approx(variance, abs=1e-10)


def test_quantiles_of_the_literature() -> None:
    law = TracyWidom(1)
    np.testing.assert_allclose(law.ppf([0.9, 0.95, 0.99]), [0.4501, 0.9793, 2.0234], atol=5e-5)


@pytest.mark.parametrize("beta", [1, 2, 4])
def test_both_tails_are_monotone_and_smooth(beta: int) -> None:
    law = TracyWidom(beta)
    s = np.linspace(-15.0, 30.0, 4001)
    sf, cdf = law.sf(s), law.cdf(s)
    assert (sf > 0.0).all()
    assert (np.diff(sf) <= 0.0).all()
    assert (np.diff(sf[s > 0.0]) < 0.0).all()
    assert (np.diff(cdf[s < 0.0]) > 0.0).all()
    # no step where the table ends: second differences of the log-density stay of their own size
    log_density = law.logpdf(s)
    second = np.diff(log_density, 2)
    assert np.abs(np.diff(second)).max() < 0.02 * np.abs(second).max()
    score = law.score(s)
    np.testing.assert_allclose(
        np.diff(log_density), 0.5 * (score[1:] + score[:-1]) * (s[1] - s[0]), rtol=1e-3, atol=1e-4
    )


def test_left_tails_have_the_known_constants() -> None:
    """Baik, Buckingham and DiFranco, Commun. Math. Phys. 280 (2008) 463; the next term is of the order z^(-3/2)."""
    for z in (11.0, 18.0):
        one = -(z**3) / 24 - z**1.5 / (3 * math.sqrt(2)) - math.log(z) / 16 - 11 / 48 * math.log(2) + ZETA_PRIME / 2
        two = -(z**3) / 12 - math.log(z) / 8 + math.log(2) / 24 + ZETA_PRIME
        assert np.log(TracyWidom(1).cdf(-z)) == pytest.approx(one, abs=0.1 / z**1.5)
        assert np.log(TracyWidom(2).cdf(-z)) == pytest.approx(two, abs=0.1 / z**1.5)


def test_right_tails_are_the_traces_of_the_kernels() -> None:
    """1 - det(1 - B) is the trace of B up to its square, and that is half the integral of the Airy function."""
    for s in (6.0, 8.0):
        trace = 0.5 * integrate.quad(lambda x: special.airy(x)[0], s, 30.0, epsabs=0.0, epsrel=1e-10)[0]
        assert TracyWidom(1).sf(s) == pytest.approx(trace, rel=1e-5)
    for s in (8.0, 16.0, 25.0):
        one = math.exp(-2 / 3 * s**1.5) / (4 * math.sqrt(math.pi) * s**0.75)
        two = math.exp(-4 / 3 * s**1.5) / (16 * math.pi * s**1.5)
        assert TracyWidom(1).sf(s) == pytest.approx(one, rel=1.5 / s**1.5)
        assert TracyWidom(2).sf(s) == pytest.approx(two, rel=2.0 / s**1.5)


@pytest.mark.parametrize("beta", [1, 2, 4])
def test_extreme_quantiles(beta: int) -> None:
    law = TracyWidom(beta)
    p = np.array([1e-300, 1e-100, 1e-20, 1e-9])
    np.testing.assert_allclose(np.log(law.cdf(law.ppf(p))), np.log(p), rtol=1e-12)
    assert law.sf(law.ppf(1.0 - 2.0**-50)) == pytest.approx(2.0**-50, rel=0.1)

"""Laguerre and transported ensembles: densities, spikes, seeds, arguments."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate

from sdespec.core.errors import UsageError
from sdespec.laws import Gamma, LaguerreEnsemble, MarchenkoPastur, TransportedEnsemble, edge_centering, rigid_scores
from sdespec.laws.laguerre_ensemble import _squared_singular_values


@pytest.mark.parametrize("beta", [1.0, 2.0, 0.7])
@pytest.mark.parametrize("m", [1, 2, 3.5])
def test_density_of_one_value_has_mass_one(m: float, beta: float) -> None:
    ensemble = LaguerreEnsemble(1, m, 0.4, beta)
    mass = integrate.quad(lambda t: math.exp(float(ensemble.logpdf([math.exp(t)])) + t), -80.0, 5.0, limit=300)[0]
    assert mass == pytest.approx(1.0, abs=1e-9)
    assert LaguerreEnsemble(1, 3, 0.4, beta).logpdf([2.0]) == pytest.approx(Gamma(1.5 * beta, 0.8).logpdf(2.0))


@pytest.mark.parametrize("beta", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("m", [2, 3, 4.5])
def test_density_of_two_values_has_mass_one(m: float, beta: float) -> None:
    """In t = log of the smaller value and u = log of the ratio, over the ordered half of the plane."""
    ensemble = LaguerreEnsemble(2, m, 0.6, beta)
    node, weight = np.polynomial.legendre.leggauss(200)
    t, u = np.linspace(-45.0, 5.0, 1001), 20.0 * (node + 1.0)
    small, large = np.exp(t)[:, None] * np.ones_like(u), np.exp(t[:, None] + u)
    spectra = np.stack([small, large], axis=-1)
    inner = np.exp(ensemble.logpdf(spectra)) * small * large @ (20.0 * weight)
    assert 2.0 * np.trapezoid(inner, t) == pytest.approx(1.0, abs=1e-7)


def test_density_takes_batches_in_any_order() -> None:
    ensemble = LaguerreEnsemble(3, 5, 1.3, beta=2.0)
    spectra = ensemble.rvs(4, seed=1)
    batch = ensemble.logpdf(spectra)
    assert batch.shape == (4,)
    np.testing.assert_allclose(batch, [ensemble.logpdf(row[::-1]) for row in spectra])
    assert isinstance(ensemble.logpdf(spectra[0]), np.float64)
    scaled = LaguerreEnsemble(5, 3, 2.6, beta=2.0)
    np.testing.assert_allclose(scaled.logpdf(2.0 * spectra), batch - 3.0 * math.log(2.0))


def test_density_outside_its_support() -> None:
    ensemble = LaguerreEnsemble(3, 5, 1.0)
    assert ensemble.logpdf([1.0, 2.0, -0.1]) == -np.inf
    assert ensemble.logpdf([1.0, 1.0, 2.0]) == -np.inf
    assert np.isnan(ensemble.logpdf([1.0, np.nan, 2.0]))
    with pytest.raises(UsageError, match="the last axis must have length 3"):
        ensemble.logpdf([1.0, 2.0])


@pytest.mark.parametrize(
    ("n_rows", "n_cols", "rank"), [(3, 5, 3), (5, 3, 3), (4, 4, 4), (4, 3.5, 4), (4, 9.2, 4), (1, 7, 1)]
)
def test_spectra_are_descending_positive_and_reproducible(n_rows: int, n_cols: float, rank: int) -> None:
    ensemble = LaguerreEnsemble(n_rows, n_cols, 0.5)
    spectra = ensemble.rvs(6, seed=3)
    assert spectra.shape == (6, rank)
    assert spectra.dtype == np.float64
    assert ensemble.rank == rank
    assert (spectra > 0.0).all()
    assert (np.diff(spectra, axis=1) < 0.0).all()
    np.testing.assert_array_equal(spectra[:2], ensemble.rvs(2, seed=3))
    np.testing.assert_array_equal(spectra[5], ensemble.rvs(6, seed=3)[5])
    assert not np.array_equal(spectra, ensemble.rvs(6, seed=4))
    np.testing.assert_allclose(LaguerreEnsemble(n_rows, n_cols, 1.0).rvs(6, seed=3), 2.0 * spectra)
    if isinstance(n_cols, int):
        np.testing.assert_array_equal(spectra, LaguerreEnsemble(n_cols, n_rows, 0.5).rvs(6, seed=3))


@pytest.mark.parametrize("smallest", [1e-3, 1e-9, 1e-14, 1e-20])
def test_tiny_values_do_not_drown_in_the_largest(smallest: float) -> None:
    """The values of a bidiagonal matrix multiply to its squared determinant, known without rounding."""
    diagonal, below = np.array([1.0, 0.7, smallest]), np.array([0.5, 0.3])
    values = _squared_singular_values(diagonal, below)
    assert (np.diff(values) < 0.0).all()
    assert values.prod() == pytest.approx(diagonal.prod(), rel=1e-5)


def test_name_and_parameters_of_ensembles() -> None:
    ensemble = LaguerreEnsemble(3, 5.5, 1.0, beta=2.0)
    assert ensemble.name == "laguerre_ensemble"
    assert LaguerreEnsemble(**ensemble.parameters) == ensemble  # type: ignore[arg-type]  # 3.0 rows are 3 rows
    assert TransportedEnsemble(Gamma(1.0, 1.0), 3, 4).name == "transported_ensemble"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2.5, 4, 1.0), "n_rows is 2.5; it must be a positive integer"),
        ((0, 4, 1.0), "n_rows is 0; it must be a positive integer"),
        ((4, 2.5, 1.0), r"n_cols is 2.5; it must be an integer, or above n_rows - 1 = 3"),
        ((4, -1, 1.0), "n_cols is -1; it must be positive"),
        ((4, 5, 0.0), "variance is 0.0; it must be positive"),
        ((4, 5, 1.0, math.nan), "beta is nan; it must be positive"),
    ],
)
def test_invalid_shapes_are_named(arguments: tuple[float, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        LaguerreEnsemble(*arguments)  # type: ignore[arg-type]  # invalid on purpose


def test_spike_formulas_of_normalised_matrices() -> None:
    """Strengths 1, 1.5, 2.5 of W/sqrt(m) at variance 1/2 and aspect 1/2 give 1.875, 3.056, 7.020."""
    n, m = 400, 800
    ensemble = LaguerreEnsemble(n, m, 0.5)
    outliers = ensemble.outlier(np.sqrt(m) * np.array([1.0, 1.5, 2.5])) / m
    np.testing.assert_allclose(outliers, [1.875, 3.0556, 7.02], atol=1e-4)
    np.testing.assert_allclose(LaguerreEnsemble(m, n, 0.5).outlier(np.sqrt(m)), 1.875 * m)
    np.testing.assert_allclose(LaguerreEnsemble(n, m, 0.25, beta=2.0).outlier(np.sqrt(m)), 1.875 * m)
    assert ensemble.threshold**4 == pytest.approx(n * m * 0.25)


def test_strength_inverts_outlier() -> None:
    ensemble = LaguerreEnsemble(30, 100, 0.2, beta=2.0)
    strengths = ensemble.threshold * np.array([1.001, 1.1, 3.0, 1e4])
    np.testing.assert_allclose(ensemble.strength(ensemble.outlier(strengths)), strengths, rtol=1e-9)
    upper = ensemble.edges[1]
    assert ensemble.edges == MarchenkoPastur(30, 100, 0.4).edges
    np.testing.assert_array_equal(ensemble.outlier([0.0, ensemble.threshold]), upper)
    assert np.isnan(ensemble.strength([0.0, 0.5 * upper, upper, np.nan])).all()
    assert isinstance(ensemble.strength(2.0 * upper), np.float64)
    for bad in (-1.0, np.nan, np.inf):
        with pytest.raises(UsageError, match=r"strength is .*; it must be finite and at least 0"):
            ensemble.outlier(bad)


def test_rigid_scores_are_the_scores_of_the_spectra() -> None:
    scores = rigid_scores(60, 40, 5, seed=2)
    assert scores.shape == (5, 40)
    assert (np.diff(scores, axis=1) >= 0.0).all()
    assert scores.min() >= 0.05 / 40
    assert scores.max() <= 1.0 - 0.05 / 40
    spectra = LaguerreEnsemble(60, 40, 1.0).rvs(5, seed=2)
    expected = MarchenkoPastur(60, 40, 1.0).cdf(spectra)[:, ::-1]
    np.testing.assert_allclose(scores[:, 3:-3], expected[:, 3:-3])
    np.testing.assert_array_equal(scores[:2], rigid_scores(40, 60, 2, seed=2))


def test_transport_is_the_quantile_of_the_scores() -> None:
    law = Gamma(2.0, 3.0)
    ensemble = TransportedEnsemble(law, 40, 60)
    spectra = ensemble.rvs(5, seed=2)
    assert ensemble.rank == 40
    np.testing.assert_array_equal(spectra, law.ppf(rigid_scores(60, 40, 5, seed=2))[:, ::-1])
    assert (np.diff(spectra, axis=1) <= 0.0).all()
    own = TransportedEnsemble(MarchenkoPastur(40, 60, 2.0), 40, 60).rvs(5, seed=2)
    laguerre = LaguerreEnsemble(40, 60, 2.0).rvs(5, seed=2)
    np.testing.assert_allclose(own[:, 3:-3], laguerre[:, 3:-3])


def test_transport_refuses_what_is_no_law_or_no_shape() -> None:
    with pytest.raises(UsageError, match="law is 'gamma'; it must be a one-body law"):
        TransportedEnsemble("gamma", 3, 4)  # type: ignore[arg-type]  # invalid on purpose
    for bad in (0, 2.5):
        with pytest.raises(UsageError, match=f"n_cols is {bad}; it must be an integer of at least 1"):
            TransportedEnsemble(Gamma(1.0, 1.0), 3, bad)  # type: ignore[arg-type]  # invalid on purpose


def test_edge_centering_does_not_mind_the_orientation() -> None:
    assert edge_centering(150, 100) == edge_centering(100, 150)
    a, b = math.sqrt(149), 10.0
    assert edge_centering(150, 100) == pytest.approx(((a + b) ** 2, (a + b) * (1 / a + 1 / b) ** (1 / 3)))
    with pytest.raises(UsageError, match="n_rows is 0; it must be an integer of at least 1"):
        edge_centering(0, 3)
    with pytest.raises(UsageError, match="the larger side is 1; it must be at least 2"):
        edge_centering(1, 1)

"""The matrix F ensemble: densities, invariances, its stationary process and its bulk."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sdespec.core.errors import UsageError
from sdespec.laws import (
    BetaPrime,
    MatrixFEnsemble,
    Wachter,
)


@pytest.mark.parametrize(("m", "freedom"), [(1, 2), (2, 3.5), (3.5, 1)])
def test_matrix_f_density_of_one_value(m: float, freedom: float) -> None:
    ensemble = MatrixFEnsemble(1, m, freedom, 0.4)
    points = np.array([1e-3, 0.3, 7.0])
    expected = BetaPrime(0.5 * m, 0.5 * freedom, 0.4).logpdf(points)
    np.testing.assert_allclose(ensemble.logpdf(points[:, None]), expected, rtol=1e-12)


@pytest.mark.parametrize(("m", "freedom"), [(2, 3), (3.5, 6), (5, 2.5)])
def test_matrix_f_density_of_two_values_has_mass_one(m: float, freedom: float) -> None:
    """In t = log of the smaller value and u = log of the ratio, over the ordered half of the plane."""
    ensemble = MatrixFEnsemble(2, m, freedom, 0.6)
    node, weight = np.polynomial.legendre.leggauss(300)
    t, u = np.linspace(-50.0, 40.0, 2001), 25.0 * (node + 1.0)
    small, large = np.exp(t)[:, None] * np.ones_like(u), np.exp(t[:, None] + u)
    inner = np.exp(ensemble.logpdf(np.stack([small, large], axis=-1))) * small * large @ (25.0 * weight)
    assert 2.0 * np.trapezoid(inner, t) == pytest.approx(1.0, abs=1e-6)


def test_matrix_f_density_under_reciprocals_multiples_and_orders() -> None:
    ensemble = MatrixFEnsemble(3, 5, 7.5, 1.3)
    spectra = ensemble.rvs(4, seed=1)
    batch = ensemble.logpdf(spectra)
    assert batch.shape == (4,)
    np.testing.assert_allclose(batch, [ensemble.logpdf(row[::-1]) for row in spectra])
    jacobian = 2.0 * np.log(spectra).sum(axis=1)
    np.testing.assert_allclose(ensemble.reciprocal().logpdf(1.0 / spectra), batch + jacobian)
    assert ensemble.reciprocal().reciprocal() == ensemble
    np.testing.assert_allclose(MatrixFEnsemble(3, 5, 7.5, 2.6).logpdf(2.0 * spectra), batch - 3.0 * math.log(2.0))
    np.testing.assert_allclose(MatrixFEnsemble(5, 3, 9.5, 1.3).logpdf(spectra), batch)
    assert ensemble.logpdf([1.0, 2.0, -0.1]) == -np.inf
    assert ensemble.logpdf([1.0, 1.0, 2.0]) == -np.inf
    assert np.isnan(ensemble.logpdf([1.0, np.nan, 2.0]))
    with pytest.raises(UsageError, match="the last axis must have length 3"):
        ensemble.logpdf([1.0, 2.0])


@pytest.mark.parametrize(("shape", "rank"), [((3, 5, 7), 3), ((5, 3, 9), 3), ((4, 3.5, 3.2), 4), ((1, 7, 0.5), 1)])
def test_matrix_f_spectra_are_descending_and_reproducible(shape: tuple[int, float, float], rank: int) -> None:
    ensemble = MatrixFEnsemble(*shape, 0.5)
    spectra = ensemble.rvs(6, seed=3)
    assert spectra.shape == (6, rank)
    assert ensemble.rank == rank
    assert (spectra > 0.0).all()
    assert (np.diff(spectra, axis=1) < 0.0).all()
    np.testing.assert_array_equal(spectra[:2], ensemble.rvs(2, seed=3))
    assert not np.array_equal(spectra, ensemble.rvs(6, seed=4))
    np.testing.assert_allclose(MatrixFEnsemble(*shape, 1.0).rvs(6, seed=3), 2.0 * spectra)
    assert MatrixFEnsemble(**ensemble.parameters) == ensemble  # type: ignore[arg-type]  # 3.0 rows are 3 rows


def test_matrix_f_as_a_stationary_law() -> None:
    """N = g/k + n + 1 - m; the exponent of the largest value is g/(2k) - (m - 2)/2."""
    ensemble = MatrixFEnsemble.stationary(4, 6, weight_decay=3.0, diffusion=0.2, multiplicative=0.5)
    assert ensemble == MatrixFEnsemble(4, 6, 5.0, 0.4)
    assert ensemble.tail_exponent == pytest.approx(3.0 - 2.0)
    assert ensemble.bulk == Wachter(4, 6, 5.0, 0.4)
    assert ensemble.edges == ensemble.bulk.edges
    with pytest.raises(
        UsageError, match=r"weight_decay is 2\.0; it must be above multiplicative \* \(n_cols - 2\) = 2"
    ):
        MatrixFEnsemble.stationary(4, 6, weight_decay=2.0, diffusion=0.2, multiplicative=0.5)
    with pytest.raises(UsageError, match="n_rows is 7; it must be at most n_cols = 6"):
        MatrixFEnsemble.stationary(7, 6, weight_decay=9.0, diffusion=0.2, multiplicative=0.5)
    for name in ("diffusion", "multiplicative"):
        arguments = {"weight_decay": 9.0, "diffusion": 0.2, "multiplicative": 0.5, name: 0.0}
        with pytest.raises(UsageError, match=f"{name} is 0.0; it must be positive"):
            MatrixFEnsemble.stationary(4, 6, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2.5, 4, 5), "n_rows is 2.5; it must be a positive integer"),
        ((4, 2.5, 5), "n_cols is 2.5; it must be an integer, or above n_rows - 1 = 3"),
        ((4, -1, 5), "n_cols is -1; it must be positive"),
        ((4, 5, 3), "n_denominator is 3; it must be finite and above n_rows - 1 = 3"),
        ((4, 5, math.inf), "n_denominator is inf; it must be finite and above"),
        ((4, 5, 6, 0.0), "scale is 0.0; it must be positive"),
    ],
)
def test_invalid_shapes_are_named(arguments: tuple[float, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        MatrixFEnsemble(*arguments)  # type: ignore[arg-type]  # invalid on purpose


def test_the_bulk_of_a_matrix_f_ensemble_needs_more_than_its_rows() -> None:
    with pytest.raises(UsageError, match=r"n_denominator is 3\.5; it must be finite and above n_rows = 4"):
        _ = MatrixFEnsemble(4, 5, 3.5).bulk

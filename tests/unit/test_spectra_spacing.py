"""Unfolding and spacing ratios by hand, their symmetries, and what they refuse."""

import numpy as np
import pytest

from sdespec.core.errors import SpectrumError, UsageError
from sdespec.laws import Gamma, LaguerreEnsemble, MarchenkoPastur
from sdespec.spectra import spacing_ratio, unfold

LADDER = np.concatenate([np.cumsum(np.tile([1.0, 3.0], 20)), [100.0]])


def test_the_ratio_by_hand():
    """Spacings 1, 3, 1, 3, ... have the ratio 1/3, and constant ones 1."""
    found = spacing_ratio(LADDER[:-1], trim=0.0)
    assert found.mean == pytest.approx(1.0 / 3.0)
    assert found.n_ratios == 38
    assert found.standard_error == pytest.approx(0.0, abs=1e-12)
    assert spacing_ratio(np.arange(50.0)).mean == pytest.approx(1.0)


def test_order_place_and_scale_do_not_matter():
    values = LaguerreEnsemble(80, 120, 1.0).rvs(1, seed=1)[0]
    base = spacing_ratio(values)
    moved = spacing_ratio(np.random.default_rng(0).permutation(-3.0 + 1e-5 * values))
    assert moved.mean == pytest.approx(base.mean, rel=1e-6)
    assert moved.n_ratios == base.n_ratios == 62


def test_the_error_holds_the_correlation_of_neighbours():
    values = np.sort(np.random.default_rng(2).random(500))
    found = spacing_ratio(values, trim=0.0)
    spacings = np.diff(values)
    ratios = np.minimum(spacings[1:], spacings[:-1]) / np.maximum(spacings[1:], spacings[:-1])
    assert found.mean == pytest.approx(ratios.mean())
    deviation = ratios - ratios.mean()
    expected = np.sqrt(deviation @ deviation + 2.0 * deviation[1:] @ deviation[:-1]) / len(ratios)
    assert found.standard_error == pytest.approx(expected)
    assert expected > 1.05 * ratios.std() / np.sqrt(len(ratios))


def test_ties_are_left_out_and_counted():
    values = np.repeat(np.cumsum(np.random.default_rng(3).random(40)), 3)
    found = spacing_ratio(values, trim=0.0)
    assert found.n_ties == 40
    assert found.n_ratios + found.n_ties == len(values) - 2
    assert found.mean == 0.0


def test_unfolding_with_the_law_is_its_distribution():
    law = MarchenkoPastur(100, 200, 2.0)
    values = LaguerreEnsemble(100, 200, 2.0).rvs(1, seed=4)[0]
    found = unfold(values, law=law)
    np.testing.assert_allclose(found, 100 * law.cdf(np.sort(values)))
    assert np.all(np.diff(found) >= 0.0)


def test_unfolding_without_a_law_does_not_depend_on_the_unit():
    values = Gamma(2.0, 1.0).rvs(200, seed=5)
    np.testing.assert_allclose(unfold(1e-9 * values), unfold(values), rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: spacing_ratio(np.arange(11.0)), SpectrumError, "at least 10"),
        (lambda: spacing_ratio([1.0, np.nan, 2.0]), SpectrumError, "finite"),
        (lambda: spacing_ratio(np.ones((5, 5))), SpectrumError, "one"),
        (lambda: spacing_ratio(LADDER, trim=0.5), UsageError, "trim"),
        (lambda: unfold(np.arange(1.0, 6.0)), SpectrumError, "at least 10"),
        (lambda: unfold(np.arange(20.0)), SpectrumError, "positive"),
        (lambda: unfold(np.ones(20)), SpectrumError, "equal"),
        (lambda: unfold(LADDER, degree=11), UsageError, "degree"),
    ],
)
def test_refusals(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_rounding_is_no_spacing():
    """The squared singular values of an orthogonal matrix differ in their last digits: they have no ratio."""
    turn = np.linalg.qr(np.random.default_rng(7).normal(size=(40, 40)))[0]
    with pytest.raises(SpectrumError):
        spacing_ratio(np.linalg.svd(turn, compute_uv=False) ** 2)

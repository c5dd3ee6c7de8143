"""Spike strengths: exact pieces, symmetries, and what is said where there is nothing to say."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq

from sdespec.core.errors import SpectrumError, UsageError
from sdespec.fits import outliers, spike_strengths
from sdespec.fits.bulk import variance_error
from sdespec.fits.strength import _depth, _Spiked
from sdespec.laws import LaguerreEnsemble

SHAPES = [(64, 64), (64, 256), (150, 300), (30, 2000), (5, 7), (2, 2), (1, 7)]


def _spectrum(strengths, seed, n_rows=60, n_cols=90):
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(n_rows, n_cols))
    for k, strength in enumerate(strengths):
        noise[k, k] += strength
    return np.linalg.svd(noise, compute_uv=False) ** 2


def _fields(found):
    return np.concatenate(
        [
            found.strength,
            found.interval.ravel(),
            found.standard_error,
            [found.undetected, found.threshold, math.sqrt(found.variance)],
        ]
    )


@pytest.mark.parametrize("shape", [(6, 9), (9, 6), (5, 5), (40, 55)])
def test_the_strength_of_a_draw_puts_its_largest_value_at_the_place(shape):
    """The bidiagonal matrix of a draw, written out whole: its largest value is the place, to rounding."""
    n, m = sorted(shape)
    model = _Spiked(*shape, 0.0, 200, 3)
    place = 1.3 * (math.sqrt(n) + math.sqrt(m)) ** 2
    found = model.strengths(np.full(200, place))
    reached = 0
    for k in range(50):
        squares = np.array([model._of("diagonal", m - i)[k] for i in range(1, n)])
        coupling = np.array([model._of("below", n - i)[k] for i in range(1, n)])
        along, across = model._of("along", 0)[k], model._of("across", m - 1)[k]

        def top(strength, squares=squares, coupling=coupling, along=along, across=across):
            first = (strength + along) ** 2 + across
            matrix = np.diag(np.sqrt(np.concatenate([[first], squares]))) + np.diag(np.sqrt(coupling), -1)
            return np.linalg.svd(matrix, compute_uv=False)[0] ** 2

        if top(0.0) < place:
            strength = brentq(lambda x, top=top: top(x) - place, 0.0, 10.0 * math.sqrt(place), xtol=1e-10)
            assert np.abs(found - strength).min() < 1e-7
            reached += 1
    assert reached >= 40


@pytest.mark.parametrize("shape", SHAPES)
def test_rows_that_are_left_out_do_not_matter(shape, monkeypatch):
    """All rows against those kept, from the edge to 16 times as far: within 1e-3 of the spread of the draws."""
    model = _Spiked(*shape, variance_error(*shape, "median"), 500, 0)
    upper = (math.sqrt(shape[0]) + math.sqrt(shape[1])) ** 2
    for far in (1.0, 1.02, 1.1, 1.5, 4.0, 16.0):
        kept = model.strengths(far * upper * model.variance)
        with monkeypatch.context() as patch:
            patch.setattr("sdespec.fits.strength._depth", lambda small, _large, _place: small)
            whole = model.strengths(far * upper * model.variance)
        finite = np.isfinite(whole)
        np.testing.assert_array_equal(np.isfinite(kept), finite)
        if finite.any():
            np.testing.assert_allclose(kept[finite], whole[finite], atol=1e-3 * np.std(whole[finite]), rtol=0)


def test_planted_bug_too_few_rows(monkeypatch):
    """A fifth of the rows at the edge is noticed by the comparison above."""
    model = _Spiked(300, 600, 0.0, 500, 0)
    edge = np.full(500, (math.sqrt(300) + math.sqrt(600)) ** 2)
    kept = model.strengths(edge)
    spread = np.std(kept[np.isfinite(kept)])
    monkeypatch.setattr("sdespec.fits.strength._EDGE_DEPTH", 1.0)
    few = np.maximum(model.strengths(edge), 0.0)
    assert np.abs(few - np.maximum(kept, 0.0)).max() > 0.1 * spread


def test_rows_grow_as_the_cube_root_at_the_edge_and_are_few_far_from_it():
    assert _depth(10**6, 10**6, 4e6) == 500
    assert _depth(10**6, 10**6, 8e6) < 15


def test_scale_orientation_and_order_do_not_matter():
    values = _spectrum([40.0, 22.0, 15.0], 1)
    found = spike_strengths(values, 60, 90)
    assert len(found.strength) >= 2
    turned = spike_strengths(np.random.default_rng(0).permutation(values) * 9.0, 90, 60)
    np.testing.assert_allclose(_fields(turned), 3.0 * _fields(found), rtol=1e-9)
    np.testing.assert_allclose(turned.outlier, 9.0 * found.outlier, rtol=1e-12)


def test_strengths_are_the_inverse_of_the_outlier_map_and_lie_in_their_intervals():
    found = spike_strengths(_spectrum([40.0, 25.0], 2), 60, 90)
    assert found.strength.shape == found.standard_error.shape == found.outlier.shape == (2,)
    assert found.interval.shape == (2, 2)
    for k in range(2):
        ensemble = LaguerreEnsemble(60 - k, 90 - k, found.variance)
        assert ensemble.outlier(found.strength[k]) == pytest.approx(found.outlier[k], rel=1e-12)
        assert found.interval[k, 0] < found.strength[k] < found.interval[k, 1]
    assert found.threshold == pytest.approx(LaguerreEnsemble(60, 90, found.variance).threshold, rel=1e-12)
    assert 0.0 < found.undetected < found.interval[1, 0]
    assert found.variance == outliers(_spectrum([40.0, 25.0], 2), 60, 90).variance


def test_far_from_the_bulk_the_interval_is_the_asymptotic_one():
    """At 12 times the threshold and known variance both ends stand within 3 % of 1.96 standard errors."""
    found = spike_strengths(_spectrum([12.0 * 5400**0.25], 3), 60, 90, variance=1.0, draws=20000)
    half = np.abs(found.interval[0] - found.strength[0]) / found.standard_error[0]
    np.testing.assert_allclose(half, 1.96, rtol=0.03)


def test_a_wider_level_makes_a_wider_interval():
    values = _spectrum([16.0], 4)
    intervals = [spike_strengths(values, 60, 90, level=level) for level in (0.5, 0.9, 0.99)]
    assert len(intervals[0].strength) == 1
    assert intervals[0].interval[0, 0] > intervals[1].interval[0, 0] > intervals[2].interval[0, 0] >= 0.0
    assert intervals[0].interval[0, 1] < intervals[1].interval[0, 1] < intervals[2].interval[0, 1]
    assert intervals[0].undetected < intervals[1].undetected < intervals[2].undetected


def test_an_outlier_at_the_cutoff_may_be_chance():
    values = _spectrum([], 5)
    bulk = outliers(values, 60, 90)
    assert bulk.n_outliers == 0
    values[0] = 1.001 * bulk.cutoff
    found = spike_strengths(values, 60, 90)
    assert len(found.strength) == 1
    assert found.interval[0, 0] == 0.0
    assert found.interval[0, 1] > found.threshold


def test_no_outlier_leaves_a_bound():
    found = spike_strengths(_spectrum([], 5), 60, 90)
    assert found.strength.shape == found.standard_error.shape == (0,)
    assert found.interval.shape == (0, 2)
    assert 0.5 * found.threshold < found.undetected < 2.0 * found.threshold


def test_many_outliers_have_no_intervals():
    values = np.geomspace(1e-6, 1e6, 100)
    found = spike_strengths(values, 100, 120)
    assert len(found.strength) == outliers(values, 100, 120).n_outliers > 7
    assert np.isnan(found.interval).all()
    assert math.isnan(found.undetected)
    assert np.isfinite(found.strength).all()


def test_no_bulk_at_all_is_not_a_number():
    """More than half of the spectrum is zero: a matrix of low rank without noise."""
    values = np.zeros(60)
    values[:2] = 9.0, 4.0
    found = spike_strengths(values, 60, 90)
    assert found.variance == found.threshold == 0.0
    assert np.isnan(found.strength).all()
    assert np.isnan(found.interval).all()
    np.testing.assert_array_equal(found.outlier, [9.0, 4.0])


def test_draws_depend_on_the_seed_alone():
    values = _spectrum([16.0], 4)
    again = _fields(spike_strengths(values, 60, 90))
    np.testing.assert_array_equal(_fields(spike_strengths(values, 60, 90)), again)
    other = spike_strengths(values, 60, 90, seed=1).interval
    assert not np.array_equal(other, spike_strengths(values, 60, 90).interval)
    np.testing.assert_allclose(other[0, 1], spike_strengths(values, 60, 90).interval[0, 1], rtol=0.03)


@pytest.mark.parametrize("edge", ["factor", "finite_size", "asymptotic"])
@pytest.mark.parametrize("variance", ["clipped", "mean_square", 1.0])
def test_every_rule_of_edge_and_variance_has_intervals(edge, variance):
    values = _spectrum([20.0], 6)
    found = spike_strengths(values, 60, 90, edge=edge, variance=variance)
    assert len(found.strength) == outliers(values, 60, 90, edge=edge, variance=variance).n_outliers >= 1
    assert found.interval[0, 0] < 20.0 < found.interval[0, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 1.0}, "level is 1.0; it must be between 0 and 1"),
        ({"draws": 199}, "draws is 199; it must be an integer of at least 200"),
        ({"seed": -1}, "seed is -1"),
        ({"edge": "bbp"}, "edge is 'bbp'"),
        ({"variance": 0.0}, "positive"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(UsageError, match=message):
        spike_strengths(np.ones(3), 3, 4, **options)


def test_input_is_checked():
    with pytest.raises(UsageError, match="exactly 3"):
        spike_strengths(np.ones(4), 3, 4)
    with pytest.raises(SpectrumError, match="index 1 is NaN"):
        spike_strengths(np.array([1.0, np.nan, 2.0]), 3, 4)

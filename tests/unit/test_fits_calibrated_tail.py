"""The calibrated tail: against a loop, its symmetries, and what it refuses."""

import math

import numpy as np
import pytest

import sdespec as sd
from sdespec.core.errors import SpectrumError, UsageError
from sdespec.fits.calibrated_tail import _tails, calibrated_tail
from sdespec.laws import LaguerreEnsemble

HEAVY = 1.0 / LaguerreEnsemble(120, 120, 1.0).rvs(3, seed=5)


def _loop(values, size):
    """Slope and distance of one tail, value by value."""
    tail = sorted(values, reverse=True)[:size]
    mean = sum(math.log(v / tail[-1]) for v in tail[:-1]) / (size - 1)
    distance = 0.0
    for i, value in enumerate(reversed(tail[:-1])):
        cdf = 1.0 - (value / tail[-1]) ** (-1.0 / mean)
        distance = max(distance, cdf - i / (size - 1), (i + 1) / (size - 1) - cdf)
    return -math.log(mean), distance


def test_slopes_and_distances_are_those_of_a_loop():
    sizes = np.array([10, 17, 60, 119])
    slopes, distances = _tails(np.log(np.sort(HEAVY, axis=1)[:, ::-1]), sizes)
    for i, row in enumerate(HEAVY):
        for j, size in enumerate(sizes):
            slope, distance = _loop(row, size)
            assert slopes[i, j] == pytest.approx(slope, abs=1e-12)
            assert distances[i, j] == pytest.approx(distance, abs=1e-12)


def test_symmetries():
    """Unit and order of the values do not matter, a power does what it must, and levels are nested."""
    base = calibrated_tail(HEAVY[0], 120, 120)
    shuffled = calibrated_tail(np.random.default_rng(0).permutation(1e-200 * HEAVY[0]), 120, 120)
    assert shuffled.exponent == pytest.approx(base.exponent, rel=1e-9)
    assert (shuffled.n_tail, shuffled.n_accepted) == (base.n_tail, base.n_accepted)
    squared = calibrated_tail(HEAVY[0] ** 2, 120, 120)
    assert squared.exponent - 1.0 == pytest.approx(0.5 * (base.exponent - 1.0), rel=1e-9)
    wide = calibrated_tail(HEAVY[0], 120, 120, level=0.99)
    assert wide.interval[0] < base.interval[0] < base.exponent < base.interval[1] < wide.interval[1]


def test_pooled_spectra_are_narrower():
    one, three = calibrated_tail(HEAVY[0], 120, 120), calibrated_tail(HEAVY, 120, 120)
    assert three.n_accepted > one.n_accepted
    assert three.interval[1] - three.interval[0] < one.interval[1] - one.interval[0]


def test_no_tail_is_accepted_where_all_values_are_equal_but_few():
    values = np.concatenate([np.ones(100), [2.0, 3.0]])
    found = calibrated_tail(values, 102, 102)
    assert found.n_accepted == 0
    assert math.isnan(found.exponent)


@pytest.mark.parametrize(
    ("values", "options", "error", "says"),
    [
        (HEAVY[0][:-1], {}, UsageError, "must hold 120"),
        (np.where(np.arange(120) < 101, 0.0, HEAVY[0]), {}, SpectrumError, "at least 20"),
        (np.where(np.arange(120) < 1, np.nan, HEAVY[0]), {}, SpectrumError, "NaN"),
        (HEAVY[0], {"level": 1.0}, UsageError, "level"),
        (HEAVY[0], {"draws": 19}, UsageError, "draws"),
        (HEAVY[0], {"calibration": "none"}, UsageError, "calibration"),
    ],
)
def test_refusals(values, options, error, says):
    with pytest.raises(error, match=says):
        calibrated_tail(values, 120, 120, **options)


def test_a_fit_reports_all_three_estimates():
    """Scan, calibrated and spliced, each with its interval; NaN and a note where there are too few values."""
    fitted = sd.fit(sd.measure({"W": np.diag(np.sqrt(HEAVY[0]))}, null="none"))
    direct = calibrated_tail(HEAVY[0], 120, 120)
    assert float(fitted["calibrated_exponent"].squeeze()) == pytest.approx(direct.exponent, rel=1e-9)
    np.testing.assert_allclose(fitted["calibrated_interval"].values.squeeze(), direct.interval, rtol=1e-9)
    assert int(fitted["n_accepted"].squeeze()) == direct.n_accepted
    assert float(fitted["spliced_exponent"].squeeze()) == pytest.approx(sd.fits.splice(HEAVY[0]).exponent, rel=1e-9)
    small = sd.fit(sd.measure({"W": np.random.default_rng(1).normal(size=(15, 15))}, null="none"))
    assert np.isnan(small["calibrated_exponent"].item())
    assert "calibrated: 15 positive values" in small["tail_note"].item()

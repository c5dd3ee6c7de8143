"""Intervals of spike strengths: they cover among what was detected, near the threshold as far from it."""

import math
from functools import lru_cache

import numpy as np
import pytest
from scipy import special
from scipy.linalg import eigh_tridiagonal

from sdespec.fits import spike_strengths

SHAPES = [(64, 64), (64, 256), (150, 300), (300, 600)]
DRAWS = {1.2: (800, 300), 1.5: (250, 150), 3.0: (250, 150)}  # of a small and of a large matrix


def _spiked(n, m, strength, draws, seed):
    """Spectra of unit noise plus one spike, by the bidiagonal form whose first entry holds it."""
    rng = np.random.default_rng(seed)
    index = np.arange(n)
    out = np.empty((draws, n))
    for row in out:
        diagonal = rng.chisquare(m - index)
        diagonal[0] = rng.chisquare(m - 1) + (strength + rng.normal()) ** 2
        below = rng.chisquare(n - index[1:])
        squares = diagonal + np.concatenate([[0.0], below])
        products = np.sqrt(diagonal[:-1] * below)
        row[:] = eigh_tridiagonal(squares, products, eigvals_only=True, lapack_driver="sterf")[::-1]
    return np.maximum(out, 0.0)


def _spiked_matrices(n, m, strengths, draws, seed):
    """The same from whole matrices, with any number of spikes in random directions."""
    rng = np.random.default_rng(seed)
    k = len(strengths)
    for _ in range(draws):
        w = rng.normal(size=(n, m))
        u = np.linalg.qr(rng.normal(size=(n, k)))[0]
        v = np.linalg.qr(rng.normal(size=(m, k)))[0]
        w += (u * np.asarray(strengths)) @ v.T
        yield np.linalg.eigvalsh(w @ w.T)[::-1]


@lru_cache(maxsize=32)
def _draws(shape, times):
    strength = times * math.pow(shape[0] * shape[1], 0.25)
    return _spiked(*shape, strength, DRAWS[times][shape[1] > 256], 61)


@lru_cache(maxsize=32)
def _outcome(shape, times, variance):
    """Counts of draws, of detections, and of true strengths below and above the interval and within 1.96 errors."""
    strength = times * math.pow(shape[0] * shape[1], 0.25)
    found = [spike_strengths(row, *shape, variance=variance) for row in _draws(shape, times)]
    seen = [each for each in found if len(each.strength)]
    low = sum(strength < each.interval[0, 0] for each in seen)
    high = sum(strength > each.interval[0, 1] for each in seen)
    asymptotic = sum(abs(strength - each.strength[0]) <= 1.96 * each.standard_error[0] for each in seen)
    missed = [strength <= each.undetected for each in found if not len(each.strength)]
    return np.array([len(seen), low, high, asymptotic, len(missed), sum(missed)])


def _limits(number, probability, error=1e-4):
    """Largest share with less than ``error`` below it, and smallest with less above it, for a binomial variable."""
    counts = np.arange(number + 1)
    below = special.bdtr(counts, number, probability)
    return np.searchsorted(below, error) / number, np.searchsorted(below, 1.0 - error) / number


def test_the_bidiagonal_form_holds_a_spike():
    """Largest and second value of 400 draws at 64 x 96 against those of whole matrices, 1.3 times the threshold.

    Kolmogorov-Smirnov at 1e-4 each; a spike whose strength is 5 % off is rejected.
    """
    strength = 1.3 * math.pow(64 * 96, 0.25)
    whole = np.sort([row[:2] for row in _spiked_matrices(64, 96, [strength], 400, 62)], axis=0)

    def distance(draws, place):
        pooled = np.sort(np.concatenate([draws[:, place], whole[:, place]]))
        counts = [np.searchsorted(np.sort(each), pooled, side="right") for each in (draws[:, place], whole[:, place])]
        return np.abs(counts[0] - counts[1]).max() / 400

    limit = math.sqrt(-0.5 * math.log(0.5e-4) * 2.0 / 400)
    exact = _spiked(64, 96, strength, 400, 63)
    assert distance(exact, 0) < limit
    assert distance(exact, 1) < limit
    assert distance(_spiked(64, 96, 1.15 * strength, 400, 63), 0) > limit


@pytest.mark.parametrize("variance", ["median", 1.0])
@pytest.mark.parametrize("times", list(DRAWS))
def test_intervals_cover_among_the_detected(times, variance):
    """Four shapes together, at 1.2, 1.5 and 3 times the threshold: .93 to .97 and chance.

    Measured over 2000 draws a cell: .941 to .975, together .943 to .963. A true cover of .95 fails by chance with
    probability below 1e-4.
    """
    seen, low, high = sum(_outcome(shape, times, variance) for shape in SHAPES)[:3]
    least, most = _limits(seen, 0.95)
    assert least >= 0.9
    assert least <= 1.0 - (low + high) / seen <= max(most, 0.975)
    if variance == 1.0:
        assert max(low, high) / seen < 0.05


@pytest.mark.parametrize("shape", SHAPES)
def test_intervals_cover_at_every_shape(shape):
    """Each shape, all strengths and both rules together. True covers .94 to .97 fail with probability below 1e-3."""
    seen, low, high = sum(_outcome(shape, times, rule) for times in DRAWS for rule in ("median", 1.0))[:3]
    least, most = _limits(seen, 0.95, 1e-3)
    assert least - 0.01 <= 1.0 - (low + high) / seen <= most + 0.015


def test_planted_bug_standard_errors_that_ignore_detection():
    """The bounds above reject plus or minus 1.96 asymptotic errors at 1.2 times the threshold: cover .65 at 64 x 64."""
    outcome = _outcome((64, 64), 1.2, "median")
    assert outcome[3] / outcome[0] < _limits(outcome[0], 0.95)[0] - 0.05
    together = sum(_outcome(shape, 1.2, "median") for shape in SHAPES)
    assert together[3] / together[0] < _limits(together[0], 0.95)[0]


def test_undetected_spikes_lie_below_the_bound():
    """Four shapes and both rules at 1.2 times the threshold, spikes that stayed in the bulk: at least .95 and chance.

    Measured .93 to .98. Planted: the threshold as a bound is always wrong here, and one of level .5 in about half.
    """
    missed, within = sum(_outcome(shape, 1.2, rule) for shape in SHAPES for rule in ("median", 1.0))[4:]
    assert within / missed >= _limits(missed, 0.95)[0] - 0.005
    strength = 1.2 * 64.0**0.5
    found = [spike_strengths(row, 64, 64, level=0.5) for row in _spiked(64, 64, strength, 300, 64)]
    bounds = np.array([each.undetected for each in found if not len(each.strength)])
    assert np.mean(bounds >= strength) < 0.8


@pytest.mark.parametrize(
    ("shape", "times"), [((64, 256), (3.0, 2.0)), ((64, 256), (3.0, 2.0, 1.5)), ((150, 300), (10.0, 5.0, 1.5))]
)
def test_separated_spikes_are_covered_each(shape, times):
    """Two and three spikes in whole matrices, 250 draws: every one covered as a single one.

    Measured .94 to .96 over 400 draws; fails by chance with probability below 1e-3.
    """
    strengths = np.array(times) * math.pow(shape[0] * shape[1], 0.25)
    hit, seen = np.zeros(len(times)), np.zeros(len(times))
    for row in _spiked_matrices(*shape, strengths, 250, 65):
        found = spike_strengths(row, *shape)
        k = min(len(found.strength), len(times))
        seen[:k] += 1
        hit[:k] += (found.interval[:k, 0] <= strengths[:k]) & (strengths[:k] <= found.interval[:k, 1])
    assert seen.min() >= 0.8 * 250
    assert seen[0] == 250
    for share, number in zip(hit / seen, seen, strict=True):
        assert _limits(int(number), 0.945, 1e-4)[0] <= share <= 1.0 - 1e-9 or share == 1.0
    assert hit.sum() / seen.sum() <= 0.985

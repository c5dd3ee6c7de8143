"""With ``ks="left"`` the fits of powerlaw and of WeightWatcher come out, where nothing is capped."""

import warnings

import numpy as np
import powerlaw

from sdespec.fits import power_law_tail


def draw(index):
    rng = np.random.default_rng([29, index])
    n = int(rng.integers(20, 160))
    exponent = rng.uniform(1.5, 6.0)
    if index % 3 == 0:
        return (1.0 - rng.random(n)) ** (-1.0 / (exponent - 1.0))
    if index % 3 == 1:
        return rng.lognormal(0.0, 1.0, n)
    tail = 6.0 * (1.0 - rng.random(n // 4)) ** (-1.0 / (exponent - 1.0))
    return np.concatenate([rng.gamma(3.0, 1.0, n - n // 4), tail])


def powerlaw_fit(values, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return powerlaw.Fit(values, verbose=0, **options)


def one_sided_loop(values):
    """Each value but the last a threshold, compared with j / n at the j-th value of its tail, from 0."""
    x = np.sort(values)
    fits = []
    for start in range(len(x) - 1):
        tail = x[start:]
        exponent = 1.0 + len(tail) / np.sum(np.log(tail) - np.log(tail[0]))
        distance = np.max(np.abs(1.0 - (tail / tail[0]) ** (1.0 - exponent) - np.arange(len(tail)) / len(tail)))
        fits.append((distance, start, exponent))
    distance, start, exponent = min(fits)
    return x[start], exponent, distance


def test_powerlaw_with_the_range_of_its_exponent_opened():
    for index in range(50):
        values = draw(index)
        theirs = powerlaw_fit(values, parameter_ranges={"alpha": [1.0, 1e6]})
        ours = power_law_tail(values, ks="left", min_tail=2)
        assert ours.threshold == theirs.xmin
        assert abs(ours.exponent - theirs.alpha) <= 1e-9
        assert abs(ours.ks_distance - theirs.D) <= 1e-12


def test_powerlaw_agrees_on_ties():
    for index in range(20):
        values = np.round(draw(index) * 4.0) / 4.0 + 0.25
        theirs = powerlaw_fit(values, parameter_ranges={"alpha": [1.0, 1e6]})
        ours = power_law_tail(values, ks="left", min_tail=2)
        assert (ours.threshold, ours.n_tail) == (theirs.xmin, np.count_nonzero(values >= theirs.xmin))
        assert abs(ours.exponent - theirs.alpha) <= 1e-9


def test_the_loop_over_candidates_that_weightwatcher_runs():
    for index in range(50):
        values = draw(index)
        threshold, exponent, distance = one_sided_loop(values)
        ours = power_law_tail(values, ks="left", min_tail=2)
        assert ours.threshold == threshold
        assert abs(ours.exponent - exponent) <= 1e-9
        assert abs(ours.ks_distance - distance) <= 1e-12


def test_the_two_sided_distance_is_another_one():
    """Planted: the default in place of the convention of the peers must be seen in these samples."""
    differing = sum(
        abs(power_law_tail(draw(index), min_tail=2).exponent - one_sided_loop(draw(index))[1]) > 1e-9
        for index in range(50)
    )
    assert differing > 10


def test_the_default_range_of_powerlaw_caps_the_exponent():
    values = (1.0 - np.random.default_rng(0).random(300)) ** (-1.0 / 3.5)
    assert powerlaw_fit(values).alpha <= 3.0 + 1e-9
    assert power_law_tail(values, ks="left").exponent > 3.5

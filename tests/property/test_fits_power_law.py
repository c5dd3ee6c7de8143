"""What a tail fit must not depend on: unit and order of the values."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sdespec.fits import power_law_tail, threshold_curve

# Values on a coarse logarithmic lattice: ties are frequent, and different values differ by more than rounding.
samples = st.lists(st.integers(0, 4000), min_size=12, max_size=80).filter(lambda steps: len(set(steps)) >= 3)
sides = st.sampled_from(["two-sided", "left"])


def values_of(steps):
    return np.exp(np.array(steps) / 400.0)


@settings(deadline=None, max_examples=150)
@given(samples, sides, st.integers(-250, 250))
def test_scaling_by_a_power_of_two_scales_the_threshold_only(steps, ks, power):
    values = values_of(steps)
    fit, scaled = power_law_tail(values, ks=ks), power_law_tail(values * 2.0**power, ks=ks)
    distances = np.sort(threshold_curve(values, ks=ks).ks_distance)
    if len(distances) > 1 and distances[1] - distances[0] < 1e-11:
        assert abs(scaled.ks_distance - fit.ks_distance) <= 1e-11
        return
    assert scaled.threshold == fit.threshold * 2.0**power
    assert scaled.n_tail == fit.n_tail
    np.testing.assert_allclose(scaled.exponent, fit.exponent, rtol=1e-9)
    np.testing.assert_allclose(scaled.interval, fit.interval, rtol=1e-9)


@settings(deadline=None, max_examples=100)
@given(samples, sides, st.randoms(use_true_random=False))
def test_the_order_of_the_values_is_of_no_account(steps, ks, random):
    shuffled = list(steps)
    random.shuffle(shuffled)
    assert power_law_tail(values_of(shuffled), ks=ks) == power_law_tail(values_of(steps), ks=ks)


@settings(deadline=None, max_examples=100)
@given(samples, sides)
def test_a_fit_is_consistent_with_its_values(steps, ks):
    values = values_of(steps)
    fit = power_law_tail(values, ks=ks)
    assert fit.threshold in values
    assert fit.n_tail == np.count_nonzero(values >= fit.threshold) >= 10
    assert 0.0 < fit.ks_distance < 1.0
    assert fit.interval[0] < fit.exponent < fit.interval[1]
    assert fit.n_distinct == len(set(values))

"""The threshold scan: exactness, options, robustness, memory."""

import math
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
from scipy import special

from sdespec.core.errors import SpectrumError, UsageError
from sdespec.fits import _kernels, _reference, power_law_tail, power_law_tails, threshold_curve

SIDES = ("two-sided", "left")


def pareto(n, exponent, seed):
    return (1.0 - np.random.default_rng(seed).random(n)) ** (-1.0 / (exponent - 1.0))


def draw(index):
    """One of five kinds of samples: Pareto, gamma with Pareto tail, log-normal, rounded, integers."""
    rng = np.random.default_rng([11, index])
    n = int(np.exp(rng.uniform(np.log(5), np.log(3000))))
    kind = index % 5
    if kind == 0:
        return rng.pareto(rng.uniform(0.5, 4.0), n) + 1.0
    if kind == 1:
        return np.concatenate([rng.gamma(3.0, 1.0, n - n // 5), 6.0 * (rng.pareto(1.5, n // 5) + 1.0)])
    if kind == 2:
        return rng.lognormal(0.0, 1.0, n)
    if kind == 3:
        return np.round(rng.lognormal(1.0, 1.0, n), 1) + 0.1
    return np.ceil(rng.gamma(2.0, 2.0, n)) + np.arange(n) * (n < 20)


def distance(tail, exponent, ks, skip_last=False):
    """Two-sided: every step of the empirical distribution from both sides; left: its limit from the left."""
    distinct = np.unique(tail)
    model = 1.0 - (distinct / tail[0]) ** (1.0 - exponent)
    before = np.searchsorted(tail, distinct, side="left") / len(tail)
    upto = np.searchsorted(tail, distinct, side="right") / len(tail)
    deviations = np.maximum(np.abs(model - before), np.abs(upto - model)) if ks == "two-sided" else abs(model - before)
    return deviations[: -1 if skip_last else None].max()


def brute_force(values, ks, min_tail, skip_last=False):
    """Thresholds, exponents and distances of all candidates, from the definition alone."""
    x = np.sort(values)
    rows = []
    for start in np.unique(x, return_index=True)[1]:
        tail = x[start:]
        if len(tail) < min_tail or tail[-1] == tail[0]:
            continue
        exponent = 1.0 + len(tail) / np.log(tail / tail[0]).sum()
        rows.append((tail[0], exponent, distance(tail, exponent, ks, skip_last)))
    return np.array(rows)


def disagreements(ks, skip_last=False):
    wrong = []
    for index in range(300):
        values, min_tail = draw(index), 2 + index % 9
        if len(values) < min_tail:
            continue
        fit = power_law_tail(values, ks=ks, min_tail=min_tail)
        table = brute_force(values, ks, min_tail, skip_last)
        best = int(np.argmin(table[:, 2]))
        same = fit.threshold == table[best, 0] and abs(fit.exponent - table[best, 1]) <= 1e-10 * fit.exponent
        # Distances that agree to rounding may be ordered either way.
        tied = len(table) > 1 and np.ptp(np.sort(table[:, 2])[:2]) <= 1e-14
        if not (same or tied) or abs(fit.ks_distance - table[best, 2]) > 1e-12:
            wrong.append(index)
    return wrong


@pytest.mark.parametrize("ks", SIDES)
def test_the_scan_finds_what_brute_force_finds(ks):
    assert disagreements(ks) == []


def test_a_scan_that_stops_one_value_early_is_caught():
    assert disagreements("two-sided", skip_last=True) != []


@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("resampled", [False, True])
def test_the_kernel_agrees_with_its_plain_twin(two_sided, resampled):
    for index in range(60):
        logs = np.log(np.sort(draw(index)))
        counts = np.ones(len(logs), np.int64)
        if resampled:
            counts = np.bincount(np.random.default_rng(index).integers(0, len(logs), len(logs)), minlength=len(logs))
        kernel, plain = (module.scan(logs, counts, 3, two_sided) for module in (_kernels, _reference))
        assert kernel[3:] == plain[3:]
        assert kernel[0] == plain[0]
        np.testing.assert_allclose(kernel[1:3], plain[1:3], rtol=0, atol=1e-12 * max(1.0, plain[2]))
        pieces, twin_pieces = _kernels.tails(logs, counts), _reference.tails(logs, counts)
        for one, two in zip(pieces, twin_pieces, strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-13)
        y, _, below, sums = pieces
        candidates = np.arange(len(y) - 1)
        np.testing.assert_allclose(
            _kernels.candidate_distances(y, below, sums, candidates, two_sided),
            _reference.candidate_distances(y, below, sums, candidates, two_sided),
            rtol=0,
            atol=1e-12,
        )


def test_of_equal_distances_the_smallest_threshold_wins():
    # Half of each tail sits at its first value, so that all tails but the first three have the distance 1/2.
    counts = np.array([2**45, 2**44, 2**43] + [2**k for k in range(39, -1, -1)] + [1], np.int64)
    logs = np.arange(len(counts), dtype=float)
    y, _, below, sums = _reference.tails(logs, counts)
    distances = _reference.candidate_distances(y, below, sums, np.arange(len(y) - 1), True)
    assert (distances[:3] > 0.5).all()
    assert (distances[3:] == 0.5).all()
    assert _reference.scan(logs, counts, 2, True)[0] == 3
    assert _kernels.scan(logs, counts, 2, True)[0] == 3  # position 32 is visited before


def test_exponents_and_likelihood_are_the_closed_forms():
    values = pareto(500, 2.5, 0)
    fit = power_law_tail(values)
    tail = values[values >= fit.threshold]
    total = np.log(tail / fit.threshold).sum()
    assert fit.n_tail == len(tail)
    assert fit.exponent == pytest.approx(1.0 + len(tail) / total, rel=1e-12)
    assert fit.exponent_corrected == pytest.approx(1.0 + (len(tail) - 2) / total, rel=1e-12)
    density = (fit.exponent - 1.0) / fit.threshold * (tail / fit.threshold) ** -fit.exponent
    assert fit.log_likelihood == pytest.approx(np.log(density).sum(), rel=1e-11)
    assert fit.decades == pytest.approx(np.log10(values.max() / fit.threshold), rel=1e-12)
    quantiles = 2.0 * special.gammaincinv(len(tail) - 1, [0.025, 0.975])
    assert fit.interval == pytest.approx(tuple(1.0 + quantiles / (2.0 * total)), rel=1e-12)


def test_a_given_threshold_is_used_and_costs_no_degree_of_freedom_between_values():
    values = pareto(200, 3.0, 1)
    searched = power_law_tail(values)
    again = power_law_tail(values, threshold=searched.threshold)
    assert again.exponent == pytest.approx(searched.exponent, rel=1e-12)
    assert again.ks_distance == pytest.approx(searched.ks_distance, abs=1e-12)
    assert again.interval == pytest.approx(searched.interval, rel=1e-12)
    between = power_law_tail(values, threshold=0.999)
    total = np.log(values / 0.999).sum()
    assert (between.n_tail, between.threshold) == (200, 0.999)
    assert between.exponent_corrected == pytest.approx(1.0 + 199 / total, rel=1e-12)
    assert between.interval[0] == pytest.approx(1.0 + special.gammaincinv(200, 0.025) / total, rel=1e-12)
    left = power_law_tail(values, threshold=0.999, ks="left")
    assert left.ks_distance <= between.ks_distance
    assert power_law_tail(values, threshold=0.999, bootstrap=50).interval == between.interval


def test_min_tail_bounds_the_search():
    values = pareto(300, 2.0, 2)
    for min_tail in (2, 50, 299, 300):
        assert power_law_tail(values, min_tail=min_tail).n_tail >= min_tail
    assert power_law_tail(values, min_tail=300).threshold == values.min()


def test_ties_and_zeros_are_counted_and_said():
    values = np.repeat(pareto(100, 2.5, 3), 4)
    fit = power_law_tail(np.concatenate([values, np.zeros(7), [-0.0]]))
    assert (fit.n_zeros, fit.n_distinct) == (8, 100)
    assert {"zeros dropped", "ties"} <= set(fit.notes)
    assert not {"zeros dropped", "ties"} & set(power_law_tail(pareto(100, 2.5, 3)).notes)


def test_notes_tell_a_steep_a_short_and_an_end_tail():
    uniform = power_law_tail(np.random.default_rng(0).random(1000))
    assert uniform.exponent > 8.0
    assert {"not heavy", "under a decade"} <= set(uniform.notes)
    assert "whole sample" in power_law_tail(pareto(50, 2.0, 0), min_tail=50).notes
    assert "shortest tail" in power_law_tail(pareto(50, 2.0, 0), min_tail=50).notes
    assert power_law_tail(pareto(2000, 2.0, 0)).notes in ((), ("whole sample",))


def test_the_curve_holds_the_minimum_of_the_search():
    values = np.concatenate([np.random.default_rng(4).gamma(3.0, 1.0, 800), 6.0 * pareto(200, 3.0, 4)])
    for ks in SIDES:
        fit, curve = power_law_tail(values, ks=ks), threshold_curve(values, ks=ks)
        best = int(np.argmin(curve.ks_distance))
        assert curve.threshold[best] == fit.threshold
        assert curve.ks_distance[best] == pytest.approx(fit.ks_distance, abs=1e-14)
        assert curve.exponent[best] == pytest.approx(fit.exponent, rel=1e-14)
        assert curve.n_tail[best] == fit.n_tail
        assert len(curve.threshold) == 991
    table = brute_force(values, "two-sided", 10)
    np.testing.assert_allclose(threshold_curve(values).ks_distance, table[:, 2], atol=1e-12)
    grid = threshold_curve(values, points=50)
    assert len(grid.threshold) == 50
    assert set(grid.ks_distance) <= set(threshold_curve(values).ks_distance)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, 2.0, np.nan, 3.0, np.nan], r"value nan at index 2 is NaN \(2 such in all\)"),
        ([1.0, np.inf, 2.0, 3.0], r"value inf at index 1 is infinite \(1 such in all\)"),
        ([1.0, 2.0, -np.inf], r"value -inf at index 2 is infinite"),
        ([1.0, 2.0, 3.0, -4.5], r"value -4\.5 at index 3 is negative \(1 such in all\)"),
        ([2.0] * 20, r"1 distinct positive values in 20; at least 3 are needed"),
        ([2.0, 1.0] * 20, r"2 distinct positive values in 40; at least 3 are needed"),
        ([0.0] * 20, r"0 distinct positive values in 20; at least 3 are needed"),
        ([], r"0 distinct positive values in 0; at least 3 are needed"),
        ([[1.0, 2.0], [3.0, 4.0]], r"the values have the shape \(2, 2\); give a one-dimensional array"),
        (5.0, r"the values have the shape \(\); give a one-dimensional array"),
        (["a", "b"], r"the values are not real numbers"),
        ([1.0, 2.0, 3.0], r"3 positive values, fewer than min_tail=10; give more values or lower min_tail"),
        (1e300 * (1.0 + 1e-15 * np.arange(20)), r"the values are equal to rounding"),
    ],
)
def test_values_that_cannot_be_fitted_are_refused(values, message):
    for call in (power_law_tail, threshold_curve):
        with pytest.raises(SpectrumError, match=message) as caught:
            call(values)
        assert isinstance(caught.value, ValueError)
        assert type(caught.value) is SpectrumError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ks": "both"}, "ks is 'both'; allowed: two-sided, left"),
        ({"min_tail": 1}, "min_tail is 1; a tail needs at least 2 values"),
        ({"level": 1.0}, "level is 1.0; it must lie between 0 and 1"),
        ({"bootstrap": -1}, "bootstrap is -1; give 0 to skip"),
        ({"threshold": 0.0}, "threshold is 0.0; it must be a positive finite number"),
        ({"threshold": math.nan}, "threshold is nan; it must be a positive finite number"),
    ],
)
def test_options_that_are_not_allowed_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        power_law_tail(pareto(50, 2.0, 0), **options)


def test_a_threshold_beyond_the_values_is_refused():
    with pytest.raises(SpectrumError, match=r"1 values at or above the threshold 3 \(largest value 3\)"):
        power_law_tail([1.0, 2.0, 2.5, 3.0], threshold=3.0)


@pytest.mark.parametrize("scale", [1e-310, 1e-290, 1e290])
def test_values_near_the_ends_of_the_range_work(scale):
    values = pareto(500, 2.5, 5)
    fit = power_law_tail(values * scale)
    rel = 1e-3 if scale < 1e-307 else 1e-9  # subnormal numbers hold few digits
    assert fit.exponent == pytest.approx(power_law_tail(values).exponent, rel=rel)


def test_three_hundred_decades_work():
    values = np.concatenate([10.0 ** np.linspace(-310, 300, 400)])
    fit = power_law_tail(values)
    assert 1.0 < fit.exponent < 1.1
    assert math.isfinite(fit.log_likelihood)
    assert fit.decades > 100
    assert power_law_tail(values, bootstrap=20).interval[0] > 1.0


def test_integer_and_list_input_is_the_same_as_float():
    values = np.ceil(10.0 * pareto(200, 2.2, 6)).astype(int)
    assert power_law_tail(values) == power_law_tail(values.astype(float)) == power_law_tail(values.tolist())


def test_the_input_is_left_alone():
    values = pareto(100, 2.2, 7)
    before = values.copy()
    power_law_tail(values, bootstrap=20)
    np.testing.assert_array_equal(values, before)


def test_a_resample_depends_on_the_seed_and_its_own_index_only():
    values = pareto(300, 2.5, 8)
    first, second = (power_law_tail(values, bootstrap=40, seed=seed) for seed in (1, 2))
    assert power_law_tail(values, bootstrap=40, seed=1) == first
    assert first.interval != second.interval
    assert first.exponent == second.exponent
    exact = power_law_tail(values).interval
    assert first.interval[0] <= exact[0] < exact[1] <= first.interval[1]


def test_two_threads_give_the_same_bits_as_one():
    samples = [pareto(400, 2.0 + 0.1 * k, k) for k in range(16)]

    def fit(values):
        return power_law_tail(values, bootstrap=20, seed=3)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(fit, samples)) == [fit(values) for values in samples]


def test_many_spectra_are_fitted_as_one_by_one_on_any_number_of_threads():
    spectra = [pareto(100 + 30 * k, 2.0 + 0.1 * k, k) for k in range(25)]
    one_by_one = [power_law_tail(values, ks="left", min_tail=5) for values in spectra]
    assert power_law_tails(spectra, ks="left", min_tail=5) == one_by_one
    resampled = power_law_tails(spectra, bootstrap=20, seed=4, threads=1)
    assert power_law_tails(spectra, bootstrap=20, seed=4, threads=2) == resampled
    assert power_law_tails(spectra[:3], bootstrap=20, seed=4) == resampled[:3]
    assert power_law_tails(spectra, bootstrap=20, seed=5) != resampled
    table = np.array([values[:100] for values in spectra])
    assert power_law_tails(table) == [power_law_tail(row) for row in table]
    assert power_law_tails([]) == []


def test_equal_spectra_are_resampled_each_in_its_own_way():
    first, second = power_law_tails([pareto(200, 2.5, 0)] * 2, bootstrap=20)
    assert first.exponent == second.exponent
    assert first.interval != second.interval


def test_a_fault_among_many_spectra_names_the_spectrum():
    with pytest.raises(SpectrumError, match=r"spectrum 1: value nan at index 3 is NaN"):
        power_law_tails([pareto(50, 2.0, 0), [1.0, 2.0, 3.0, math.nan]])
    with pytest.raises(UsageError, match="threads is 0; it must be at least 1"):
        power_law_tails([pareto(50, 2.0, 0)], threads=0)


def test_importing_and_fitting_print_nothing():
    code = (
        "import numpy as np\nimport sdespec.fits as fits\n"
        "fits.power_law_tail(np.random.default_rng(0).pareto(2.0, 15) + 1.0, bootstrap=20)"
    )
    done = subprocess.run([sys.executable, "-W", "default", "-c", code], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


def test_a_million_values_need_less_than_80_megabytes():
    power_law_tail(pareto(1000, 2.5, 0))
    values = pareto(1_000_000, 2.5, 9)
    process, peak, done = psutil.Process(), 0, threading.Event()

    def watch():
        nonlocal peak
        while not done.is_set():
            peak = max(peak, process.memory_info().rss)
            time.sleep(0.0005)

    before = process.memory_info().rss
    watcher = threading.Thread(target=watch)
    watcher.start()
    fit = power_law_tail(values)
    done.set()
    watcher.join()
    assert fit.exponent == pytest.approx(2.5, abs=0.02)
    assert 0 < peak - before <= 80e6

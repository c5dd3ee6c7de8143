"""Error and cover of the splice beside the threshold scan."""

import numpy as np
import pytest
from scipy import special

from sdespec.fits import power_law_tail, splice


def pareto(n, exponent, rng):
    return (1.0 - rng.random(n)) ** (-1.0 / (exponent - 1.0))


def gamma_with_tail(n, exponent, rng):
    """80 % of a gamma law of shape 3 below 6, 20 % of a Pareto law beyond."""
    n_bulk = int(0.8 * n)
    bulk = special.gammaincinv(3.0, special.gammainc(3.0, 6.0) * rng.random(n_bulk))
    return np.concatenate([bulk, 6.0 * pareto(n - n_bulk, exponent, rng)])


def error(exponents, exponent):
    return np.sqrt(np.mean((np.asarray(exponents) - exponent) ** 2))


@pytest.mark.parametrize(("exponent", "cover"), [(2, 0.945), (3, 0.942), (4, 0.957)])
def test_the_splice_beats_the_scan_and_covers(exponent, cover):
    """Gamma bulk with a Pareto tail, 1000 values, 800 draws.

    Error at most 0.85 of that of the scan: its long-run ratio is 0.80, 0.73 and 0.73 and varies by 0.015 to 0.02
    from seed to seed, false alarm 1e-3, less for 3 and 4. Cover within 4
    standard errors of its long-run value (7000 draws), 0.03, false alarm 1e-4. Median threshold within 10 % of the true one; its
    long-run value is 1.01, 1.00, 1.00, false alarm below 1e-4. The planted bugs, seen with exponent 2: the
    exponent at the likeliest threshold in place of the average, and the interval that holds that threshold fixed,
    whose long-run cover is 0.887.
    """
    rng = np.random.default_rng([exponent, 40])
    samples = [gamma_with_tail(1000, exponent, rng) for _ in range(800)]
    fits = [splice(values) for values in samples]
    scans = [power_law_tail(values).exponent for values in samples]
    hits = np.array([fit.interval[0] <= exponent <= fit.interval[1] for fit in fits])
    assert error([fit.exponent for fit in fits], exponent) <= 0.85 * error(scans, exponent)
    assert abs(hits.mean() - cover) <= 0.03
    assert 0.9 <= np.median([fit.threshold for fit in fits]) / 6.0 <= 1.1
    likeliest = [power_law_tail(v, threshold=f.likeliest_threshold) for v, f in zip(samples, fits, strict=True)]
    if exponent == 2:
        assert error([fit.exponent for fit in likeliest], 2) > 0.85 * error(scans, 2)
        assert np.mean([fit.interval[0] <= exponent <= fit.interval[1] for fit in likeliest]) < hits.mean() - 0.02


@pytest.mark.parametrize(("exponent", "cover", "scan_cover"), [(2, 0.957, 0.775), (3, 0.949, 0.438)])
def test_forty_values_of_tail_are_no_worse_than_by_the_scan(exponent, cover, scan_cover):
    """200 values, 1500 draws: cover within 4 standard errors, 0.022, of its long-run value, false alarm 1e-4.

    Median absolute error at most 0.95 of that of the scan, whose long-run ratio is 0.84 and 0.65 and varies by 0.03:
    false alarm 2e-4 at most. (The root mean square error hangs on a few draws: ratio 0.99 and 0.92.)
    The planted bug is the interval of the scan that holds the threshold fixed.
    """
    rng = np.random.default_rng([exponent, 41])
    samples = [gamma_with_tail(200, exponent, rng) for _ in range(1500)]
    fits = [splice(values) for values in samples]
    scans = [power_law_tail(values) for values in samples]
    hits = np.array([fit.interval[0] <= exponent <= fit.interval[1] for fit in fits])
    assert abs(hits.mean() - cover) <= 0.022
    ours, theirs = (np.abs([fit.exponent - exponent for fit in some]) for some in (fits, scans))
    assert np.median(ours) <= 0.95 * np.median(theirs)
    naive = np.mean([fit.interval[0] <= exponent <= fit.interval[1] for fit in scans])
    assert abs(naive - scan_cover) < 0.05
    assert naive < cover - 0.022


def test_a_pure_power_law_is_taken_whole():
    """Pareto, exponent 2.5, 100 values, 1500 draws: error at most 0.72 of the scan's, cover within 0.022 of 0.950.

    The long-run ratio is 0.65, its standard error 0.02: false alarm 1e-3; that of the cover is 0.0056, false alarm
    1e-4. The planted bug is the scan's interval with resamples on a tenth of the draws: it covers 99 %.
    """
    rng = np.random.default_rng(42)
    samples = [pareto(100, 2.5, rng) for _ in range(1500)]
    fits = [splice(values) for values in samples]
    hits = np.mean([fit.interval[0] <= 2.5 <= fit.interval[1] for fit in fits])
    scans = [power_law_tail(values).exponent for values in samples]
    assert error([fit.exponent for fit in fits], 2.5) <= 0.72 * error(scans, 2.5)
    assert abs(hits - 0.950) <= 0.022
    assert np.mean(["no bulk" in fit.notes for fit in fits]) > 0.9
    resampled = [power_law_tail(v, bootstrap=100, seed=i).interval for i, v in enumerate(samples[:300])]
    assert np.mean([low <= 2.5 <= high for low, high in resampled]) > 0.972

"""Cover of the calibrated interval, on interacting and on independent values."""

import numpy as np
import pytest
from scipy import special

from sdespec.fits import power_law_tail
from sdespec.fits.calibrated_tail import calibrated_tail
from sdespec.fits.calibration import scores
from sdespec.laws import LaguerreEnsemble

DRAWS = 400
LOW, HIGH = 0.905, 0.99  # a true cover of .935-.975, less and plus three standard errors: one case in 700 fails


def _values(u, bulk, exponent):
    """80 % bulk below 6, Pareto beyond."""
    inside = np.minimum(u / 0.8, 1.0 - 1e-15)
    if bulk == "gamma":
        body = special.gammaincinv(3.0, inside * special.gammainc(3.0, 6.0))
    else:
        body = np.exp(1.0 + 0.8 * special.ndtri(inside * special.ndtr((np.log(6.0) - 1.0) / 0.8)))
    return np.where(u < 0.8, body, 6.0 * ((1.0 - u) / 0.2) ** (-1.0 / (exponent - 1.0)))


def _cover(rows, shape, exponent, calibration):
    found = [calibrated_tail(row, *shape, calibration=calibration).interval for row in rows]
    return np.mean([low <= exponent <= high for low, high in found]), np.nanmedian(np.diff(found))


@pytest.mark.parametrize("calibration", ["ensemble", "iid"])
@pytest.mark.parametrize("bulk", ["gamma", "log-normal"])
@pytest.mark.parametrize(("n", "exponent"), [(200, 3.0), (200, 4.0), (500, 2.0), (500, 3.0)])
def test_cover(calibration, bulk, n, exponent):
    """95 % intervals beside two bulks."""
    rows = _values(scores(n, 2 * n, DRAWS, calibration, 91), bulk, exponent)
    cover, _ = _cover(rows, (n, 2 * n), exponent, calibration)
    assert LOW <= cover <= HIGH


def test_cover_on_reciprocals_of_laguerre_spectra():
    """Exponent 3/2 of 1/eigenvalue of square matrices, whose fluctuations are those of a hard edge: conservative."""
    rows = 1.0 / LaguerreEnsemble(200, 200, 1.0).rvs(DRAWS, seed=92)
    cover, width = _cover(rows, (200, 200), 1.5, "ensemble")
    assert cover >= 0.95
    assert width < 0.12


def test_the_wrong_calibration_is_seen():
    """Planted: independence assumed of eigenvalues is twice too wide, rigidity of independent values fails."""
    rigid = _values(scores(500, 1000, DRAWS, "ensemble", 93), "gamma", 3.0)
    right, narrow = _cover(rigid, (500, 1000), 3.0, "ensemble")
    wrong, wide = _cover(rigid, (500, 1000), 3.0, "iid")
    assert LOW <= right <= HIGH < wrong
    assert wide > 1.8 * narrow
    independent = _values(scores(500, 1000, DRAWS, "iid", 94), "gamma", 3.0)
    assert _cover(independent, (500, 1000), 3.0, "ensemble")[0] < 0.7


def test_intervals_of_resamples_are_far_too_wide_for_eigenvalues():
    """The interval with resamples covers every time, at over 3 times the width."""
    rows = _values(scores(500, 1000, 40, "ensemble", 95), "gamma", 3.0)
    found = np.array([power_law_tail(row, bootstrap=200).interval for row in rows])
    assert np.all((found[:, 0] < 3.0) & (found[:, 1] > 3.0))
    assert np.median(np.diff(found)) > 3.0 * _cover(rows, (500, 1000), 3.0, "ensemble")[1]

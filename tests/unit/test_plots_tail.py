"""The plot of the exponent against the threshold draws the curve, its band, and the fit of the Dataset."""

import numpy as np
import pytest
from matplotlib.figure import Figure

import sdespec as sd
from sdespec.core.errors import InputError, UsageError


@pytest.fixture(scope="module")
def fits():
    return sd.fit({"heavy": np.random.default_rng(0).standard_t(3, size=(120, 200))}, bootstrap=20)


def draw(ds, **options):
    ax = Figure().subplots()
    assert sd.plot.thresholds(ds, ax=ax, **options) is ax
    return ax


def test_the_curve_is_that_of_the_spectrum(fits):
    ax = draw(fits)
    curve = sd.fits.threshold_curve(fits.eigenvalue.values.ravel())
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), curve.threshold)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), curve.exponent)
    other = ax.figure.axes[1]
    np.testing.assert_array_equal(other.lines[0].get_ydata(), curve.ks_distance)
    assert ax.get_xscale() == "log"


def test_the_band_is_the_exact_interval_at_each_threshold(fits):
    values = fits.eigenvalue.values.ravel()
    curve = sd.fits.threshold_curve(values)
    path = draw(fits, level=0.9).collections[0].get_paths()[0].vertices
    for place in (0, 60, 110):
        threshold = curve.threshold[place]
        expected = sd.fits.power_law_tail(values, threshold=threshold, level=0.9).interval
        drawn = np.unique(path[np.isclose(path[:, 0], threshold), 1])
        assert expected[0] == pytest.approx(drawn.min(), rel=1e-9)
        assert expected[1] == pytest.approx(drawn.max(), rel=1e-9)


def test_the_chosen_fit_is_marked_where_there_is_one(fits):
    one = fits.isel(layer=0)
    ax = draw(fits)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert any(label.startswith(f"chosen: {float(one.tail_exponent):.2f} [") for label in labels)
    mark = ax.containers[0].lines[0]
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (float(one.threshold), float(one.tail_exponent))
    low, high = ax.get_ylim()
    assert low <= one.tail_interval.values[0] < one.tail_interval.values[1] < high
    assert draw(fits[["eigenvalue", "rank_count"]]).containers == []


def test_faults(fits):
    with pytest.raises(UsageError, match="level is 1; it must lie between 0 and 1"):
        draw(fits, level=1)
    with pytest.raises(UsageError, match="min_tail is 1"):
        draw(fits, min_tail=1)
    with pytest.raises(InputError, match="no 'eigenvalue' to plot"):
        draw(fits[["tail_exponent"]])

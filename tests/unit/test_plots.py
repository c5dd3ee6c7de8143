"""Plots draw the numbers of the Dataset, on the axes they are given."""

import numpy as np
import pytest
from matplotlib.figure import Figure

import sdespec as sd
from sdespec.core.errors import InputError, UsageError


@pytest.fixture(scope="module")
def fits():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(80, 100))
    spike = np.outer(np.full(80, 80**-0.5) * (-1.0) ** np.arange(80), np.full(100, 0.1))
    return sd.fit(
        sd.measure({"near": noise + 40 * spike, "far": noise + 400 * spike, "bias": np.ones(3)}), bootstrap=20
    )


def _axes():
    return Figure().subplots()


def _line(ax, label):
    return next(line for line in ax.lines if str(line.get_label()).startswith(label))


def test_spectrum_shows_bulk_outliers_and_areas(fits):
    ax = _axes()
    assert sd.plot.spectrum(fits, layer="near", ax=ax) is ax
    bulk = _line(ax, "Marchenko-Pastur")
    upper = float(fits.bulk_edge.sel(layer="near", side="upper"))
    assert bulk.get_xdata().max() == pytest.approx(upper)
    assert np.trapezoid(bulk.get_ydata(), bulk.get_xdata()) == pytest.approx(79 / 80, rel=0.01)
    outlier = _line(ax, "1 outlier")
    assert outlier.get_xdata() == pytest.approx(fits.outlier.sel(layer="near").values[:1])
    vertices = ax.patches[0].get_xy()
    area = 0.5 * abs(np.sum(vertices[:-1, 0] * vertices[1:, 1] - vertices[1:, 0] * vertices[:-1, 1]))
    assert area == pytest.approx(1.0, rel=1e-6)
    assert ax.get_xscale() == "linear"
    assert "spikes" in ax.get_title()


def test_a_far_outlier_makes_the_axis_logarithmic(fits):
    assert sd.plot.spectrum(fits, layer="far", ax=_axes()).get_xscale() == "log"
    assert sd.plot.spectrum(fits, layer="far", scale="linear", ax=_axes()).get_xscale() == "linear"


def test_spectrum_without_a_fit(fits):
    spectra = fits[["eigenvalue", "rank_count"]]
    ax = sd.plot.spectrum(spectra, layer="near", ax=_axes())
    assert "outlier" not in " ".join(str(line.get_label()) for line in ax.lines)


def test_tail_shows_the_fit(fits):
    ax = sd.plot.tail(fits, layer="near", ax=_axes())
    line = _line(ax, "exponent")
    slope = np.diff(np.log(line.get_ydata())) / np.diff(np.log(line.get_xdata()))
    np.testing.assert_allclose(slope, 1.0 - float(fits.tail_exponent.sel(layer="near")), rtol=1e-9)
    assert line.get_xdata()[0] == pytest.approx(float(fits.threshold.sel(layer="near")))
    null = _line(ax, "null").get_xdata()
    np.testing.assert_allclose(np.sort(null), np.sort(fits.null_eigenvalue.sel(layer="near").values.ravel()))


def test_a_new_figure_is_made_where_no_axes_are_given(fits):
    from matplotlib import pyplot as plt

    ax = sd.plot.tail(fits, layer=0)
    assert ax.figure in [plt.figure(number) for number in plt.get_fignums()]
    plt.close("all")


def test_faults(fits):
    with pytest.raises(UsageError, match="choose a layer: near, far"):
        sd.plot.spectrum(fits, ax=_axes())
    with pytest.raises(UsageError, match="no layer 'nera'"):
        sd.plot.spectrum(fits, layer="nera", ax=_axes())
    with pytest.raises(UsageError, match="scale is 'sqrt'"):
        sd.plot.spectrum(fits, layer="near", scale="sqrt", ax=_axes())
    with pytest.raises(InputError, match="a vector, not a matrix"):
        sd.plot.spectrum(fits, layer="bias", ax=_axes())
    with pytest.raises(InputError, match="call fit first"):
        sd.plot.tail(fits[["eigenvalue"]], layer="near", ax=_axes())

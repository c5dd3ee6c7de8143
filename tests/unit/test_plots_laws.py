"""The plots of fitted laws and of the outliers of one spectrum draw what the fit says."""

import math

import numpy as np
import pytest
from matplotlib.figure import Figure

import sdespec as sd
from sdespec.core.errors import InputError, UsageError


@pytest.fixture(scope="module")
def fits():
    rng = np.random.default_rng(0)
    spiked = rng.normal(size=(120, 200))
    spiked += 60.0 * np.outer(rng.normal(size=120), rng.normal(size=200)) / math.sqrt(120 * 200)
    laws = ("gamma", "log_normal", "pareto", "marchenko_pastur")
    return sd.fit({"spiked": spiked, "small": rng.normal(size=(60, 90))}, laws=laws, bootstrap=20)


def test_laws_are_drawn_with_their_densities(fits):
    ax = sd.plot.laws(fits, layer="spiked", ax=Figure().subplots())
    one = fits.sel(layer="spiked")
    labels = [line.get_label() for line in ax.lines]
    assert len(labels) == 4
    assert labels[-1].startswith("pareto, KS")
    gamma = next(line for line in ax.lines if line.get_label().startswith("gamma"))
    parameters = one["parameter_estimate"].sel(law="gamma")
    law = sd.laws.Gamma(float(parameters.sel(parameter="shape")), float(parameters.sel(parameter="scale")))
    x = gamma.get_xdata()
    np.testing.assert_allclose(gamma.get_ydata(), law.pdf(x) * x * math.log(10.0), rtol=1e-9)
    assert f"p = {float(one['p_value'].sel(law='gamma')):.2g}" in gamma.get_label()
    pareto = ax.lines[-1]
    inside = pareto.get_xdata() >= float(one["threshold"])
    assert np.isfinite(pareto.get_ydata()[inside]).all()
    assert np.isnan(pareto.get_ydata()[~inside]).all()
    mass = np.trapezoid(gamma.get_ydata(), np.log10(x))
    assert 0.9 < mass < 1.01


def test_laws_can_be_chosen(fits):
    ax = sd.plot.laws(fits, layer="small", names=["log_normal"], ax=Figure().subplots())
    assert [line.get_label().split(",")[0] for line in ax.lines] == ["log normal"]
    with pytest.raises(UsageError, match="'wachter' was not fitted"):
        sd.plot.laws(fits, layer="small", names=["wachter"], ax=Figure().subplots())
    with pytest.raises(InputError, match="call fit first"):
        sd.plot.laws(fits[["eigenvalue"]], layer="small", ax=Figure().subplots())
    with pytest.raises(UsageError, match="choose a layer"):
        sd.plot.laws(fits, ax=Figure().subplots())


def test_outliers_of_one_spectrum_by_rank(fits):
    ax = sd.plot.outliers(fits, layer="spiked", ax=Figure().subplots())
    one = fits.sel(layer="spiked")
    found = next(line for line in ax.lines if line.get_label() == f"{int(one.n_outliers)} outlier")
    np.testing.assert_allclose(found.get_ydata(), one.outlier.dropna("mode"))
    cutoff = next(line for line in ax.lines if line.get_label() == "cutoff")
    assert cutoff.get_ydata()[0] == float(one.outlier_cutoff)
    rest = next(line for line in ax.lines if line.get_label() == "eigenvalues")
    assert rest.get_ydata().max() < float(one.outlier_cutoff)
    assert "beyond an intact bulk" in ax.get_title()
    assert ax.get_yscale() == "log"
    none = sd.plot.outliers(fits, layer="small", ax=Figure().subplots())
    assert none.get_yscale() == "linear"
    assert not any("outlier" in line.get_label() for line in none.lines)

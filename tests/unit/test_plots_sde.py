"""Plots of runs and comparisons draw the numbers of the Dataset, on the axes they are given."""

import numpy as np
import pytest
from matplotlib.figure import Figure

import sdespec as sd
from sdespec.core.dataset import build
from sdespec.core.errors import InputError, UsageError
from sdespec.core.provenance import record

TIMES = np.array([0.0, 0.1, 0.5, np.inf])
MODEL = sd.models.DysonLaguerre(n_rows=32, n_cols=64, weight_decay=1.0, diffusion=0.3)


@pytest.fixture(scope="module")
def run():
    """Exact draws of the model from zero: Gaussian matrices of known variance."""
    spectra = [np.zeros((50, 32))] + [
        sd.laws.LaguerreEnsemble(32, 64, 0.3 * (1 - np.exp(-2 * t))).rvs(50, seed=i) for i, t in enumerate(TIMES[1:])
    ]
    coords = {
        "layer": (("layer",), ["W"]),
        "n_rows": (("layer",), [32]),
        "n_cols": (("layer",), [64]),
        "matrix": (("layer",), ["W"]),
        "replicate": (("replicate",), np.arange(50)),
        "time": (("time",), TIMES, {"clock": "learning_rate*step"}),
        "rank": (("rank",), np.arange(32)),
    }
    content = {"eigenvalue": (("layer", "replicate", "time", "rank"), np.stack(spectra, axis=1)[None])}
    return build(content, coords, source="simulate", provenance=record("test", {}))


@pytest.fixture(scope="module")
def prediction():
    return sd.predict(MODEL, TIMES)


def _axes():
    return Figure().subplots()


def test_trajectories_draw_medians_and_bands(run):
    ax = _axes()
    assert sd.plot.trajectories(run, ax=ax) is ax
    assert len(ax.lines) == 32
    assert len(ax.collections) == 32
    np.testing.assert_allclose(ax.lines[0].get_ydata(), run.eigenvalue[0, :, :, 0].median("replicate"))
    assert np.isfinite(ax.lines[0].get_xdata()).all()
    assert [text.get_text() for text in ax.get_xticklabels()][-1] == "∞"
    alone = sd.plot.trajectories(run.isel(replicate=[0]), ax=_axes())
    assert len(alone.collections) == 0
    with pytest.raises(InputError, match="time"):
        sd.plot.trajectories(run.isel(time=0), ax=_axes())


def test_density_evolution_draws_each_time_but_the_zero_start(run, prediction):
    ax = sd.plot.density_evolution(run, prediction, ax=_axes())
    assert [text.get_text() for text in ax.get_yticklabels()] == ["0.1", "0.5", "inf"]
    assert len(ax.lines) == 3
    edges = np.concatenate([part.get_segments() for part in ax.collections])[:, 0, 0]
    np.testing.assert_allclose(edges, prediction.bulk_edge.values[0, 1:].ravel())
    assert len(sd.plot.density_evolution(run, ax=_axes()).lines) == 0
    with pytest.raises(InputError, match="vanish"):
        sd.plot.density_evolution(run.isel(time=[0]), ax=_axes())


def test_comparison_draws_intervals_in_units_of_the_tolerance(run, prediction):
    chosen = ["trace_mean", "density"]
    check = sd.compare(run.isel(time=[1, 3]), prediction, tolerance=0.05, quantities=chosen)
    ax = sd.plot.comparison(check, ax=_axes())
    drawn = np.sort(np.concatenate([line.get_xdata() for line in ax.lines if line.get_marker() == "o"]))
    np.testing.assert_allclose(drawn, np.sort((check.difference / check.tolerance).values))
    assert ax.get_xlabel() == "difference over tolerance"
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert sum(int(label.split("(")[1].rstrip(")")) for label in labels) == check.sizes["quantity"]
    plain = sd.plot.comparison(sd.compare(run, prediction), ax=_axes())
    assert plain.get_xlabel() == "difference over half its interval"
    with pytest.raises(InputError, match="comparison"):
        sd.plot.comparison(run, ax=_axes())


NET = sd.models.DeepLinearNetwork(1, float("inf"), 2, feature_strength=8, learning_rate=0.01, input_dim=60)


def test_outliers_draw_the_bulk_the_theory_and_the_networks():
    theory = sd.predict(NET, [0, 20, 40])
    nets = sd.simulate(NET, [0, 20, 40], seed=0, replicates=5)
    ax = sd.plot.outliers(theory, observed=nets, layer="W1", ax=_axes())
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["bulk", "largest eigenvalues", "outlier"]
    line = next(line for line in ax.lines if line.get_label() == "outlier")
    np.testing.assert_allclose(line.get_ydata(), theory.outlier.sel(layer="W1", mode=0))
    top = next(line for line in ax.lines if line.get_label() == "largest eigenvalues")
    np.testing.assert_allclose(top.get_ydata(), nets.eigenvalue.sel(layer="W1", rank=0).median("replicate"))
    assert ax.get_ylim()[1] > nets.eigenvalue.max()
    assert "5 networks" in ax.get_title()
    alone = sd.plot.outliers(theory, layer=0, ax=_axes())
    assert len(alone.collections) == 1


def test_outliers_ask_for_what_they_need():
    theory = sd.predict(NET, [0, 20])
    with pytest.raises(UsageError, match="choose a layer"):
        sd.plot.outliers(theory)
    with pytest.raises(InputError, match="holds no 'eigenvalue'"):
        sd.plot.outliers(theory.isel(time=1), layer="W1")
    with pytest.raises(InputError, match="'time'"):
        sd.plot.outliers(theory.isel(time=1), observed=sd.simulate(NET, [0, 1], seed=0), layer="W1")
    with pytest.raises(InputError, match="result of predict or fit"):
        sd.plot.outliers(sd.simulate(NET, [0, 1], seed=0), layer="W1")
    swept = sd.predict(sd.sweep(NET, width_ratio=[1, 2]), [0, 20])
    with pytest.raises(InputError, match="width_ratio"):
        sd.plot.outliers(swept, layer="W1")


def test_kernels_draw_the_image_and_average_equal_samples():
    theory = sd.predict(NET, [0, 10, 20], kernels=True)
    ax = sd.plot.kernels(theory, layer="W1", ax=_axes())
    np.testing.assert_allclose(ax.collections[0].get_array().reshape(3, 3), theory.feature_kernel.sel(layer="W1"))
    backward = sd.plot.kernels(theory, name="gradient_kernel", layer="W0", ax=_axes())
    np.testing.assert_allclose(
        backward.collections[0].get_array().reshape(3, 3), theory.gradient_kernel.sel(layer="W0")
    )
    values = np.arange(36.0).reshape(1, 3, 2, 3, 2)
    dims = ("layer", "time", "sample", "time_other", "sample_other")
    pairs = theory.drop_vars(list(theory.data_vars)).isel(layer=[1]).assign(feature_kernel=(dims, values))
    image = sd.plot.kernels(pairs, ax=_axes()).collections[0].get_array().reshape(3, 3)
    np.testing.assert_allclose(image, (values[0, :, 0, :, 0] + values[0, :, 1, :, 1]) / 2)
    with pytest.raises(InputError, match="kernels=True"):
        sd.plot.kernels(sd.predict(NET, [0, 10]))
    with pytest.raises(UsageError, match="choose a layer"):
        sd.plot.kernels(theory)

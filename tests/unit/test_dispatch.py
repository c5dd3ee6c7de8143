"""Sweeps, the table of models, and changes of unit."""

from dataclasses import dataclass

import numpy as np
import pytest

import sdespec as sd
from sdespec.core.errors import UsageError

MODEL = sd.models.DysonLaguerre(n_rows=4, n_cols=6, weight_decay=1.0, diffusion=0.5)


def test_a_sweep_has_all_combinations():
    found = sd.sweep(MODEL, diffusion=[0.5, 1.0], weight_decay=[1.0, 2.0, 3.0])
    assert found.shape == (2, 3)
    assert [(one.diffusion, one.weight_decay) for one in found.members()][:4] == [(0.5, 1), (0.5, 2), (0.5, 3), (1, 1)]


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({}, "name one or more"),
        ({"difusion": [1.0]}, "did you mean 'diffusion'"),
        ({"diffusion": []}, "no list"),
        ({"diffusion": [1.0, 1.0]}, "twice"),
        ({"diffusion": [[1.0]]}, "only numbers"),
    ],
)
def test_a_sweep_refuses(fields, match):
    with pytest.raises(UsageError, match=match):
        sd.sweep(MODEL, **fields)


def test_a_sweep_needs_a_model():
    with pytest.raises(UsageError, match="no model"):
        sd.sweep("DysonLaguerre", diffusion=[1.0])

    @dataclass(frozen=True)
    class DysonLaguerre:
        diffusion: float

    with pytest.raises(UsageError, match="can be simulated"):
        sd.simulate(sd.sweep(DysonLaguerre(1.0), diffusion=[1.0]), [1.0], seed=0)


def test_predicted_sweeps_have_leading_dims_and_one_grid():
    swept = sd.sweep(MODEL, diffusion=[0.5, 2.0], weight_decay=[1.0, 3.0])
    ds = sd.predict(swept, [0.5, 1.0])
    assert ds.trace_mean.dims[:2] == ("diffusion", "weight_decay")
    assert ds.density.dims == ("diffusion", "weight_decay", "layer", "time", "x")
    for one in swept.members():
        alone = sd.predict(one, [0.5, 1.0], grid=ds.x.values)
        part = ds.sel(diffusion=one.diffusion, weight_decay=one.weight_decay)
        np.testing.assert_allclose(part.trace_mean, alone.trace_mean)
        np.testing.assert_allclose(part.density, alone.density)
    assert "swept" in ds.attrs["model"]


@pytest.fixture(scope="module")
def spectra():
    rng = np.random.default_rng(0)
    return sd.measure({"a": rng.normal(size=(10, 40)), "b": rng.normal(size=(20, 30))})


def test_rescaled_spectra_are_those_of_the_rescaled_matrix(spectra):
    rng = np.random.default_rng(0)
    direct = sd.measure({"a": rng.normal(size=(10, 40)) / 40**0.5, "b": rng.normal(size=(20, 30)) / 30**0.5})
    found = sd.rescale(spectra, matrix="W/sqrt(n_cols)")
    for name in ("eigenvalue", "entry_variance", "entry_max_abs", "entry_kurtosis"):
        np.testing.assert_allclose(found[name], direct[name], rtol=1e-9)
    assert found.matrix.values.tolist() == ["W/sqrt(n_cols)"] * 2
    back = sd.rescale(found, matrix="W")
    np.testing.assert_allclose(back.eigenvalue, spectra.eigenvalue, rtol=1e-14)
    assert spectra.matrix.values.tolist() == ["W", "W"]


def test_predictions_are_rescaled_by_their_units():
    ds = sd.predict(MODEL, [0.5])
    found = sd.rescale(ds, matrix="W/sqrt(n_cols)")
    np.testing.assert_allclose(found.trace_mean * 6, ds.trace_mean)
    np.testing.assert_allclose(found.trace_variance * 36, ds.trace_variance)
    np.testing.assert_allclose(found.bulk_edge * 6, ds.bulk_edge)
    orders = ds.order.values
    np.testing.assert_allclose(found.log_elementary_moment + orders * np.log(6), ds.log_elementary_moment)
    mass = [np.trapezoid(one.density.values, one.x.values).item() for one in (found, ds)]
    assert mass[0] == pytest.approx(mass[1])


def test_clocks():
    ds = sd.predict(MODEL, [0.5])
    with pytest.raises(UsageError, match="learning_rate"):
        sd.rescale(ds, clock="step")
    steps = sd.rescale(ds.assign_attrs(learning_rate=0.1), clock="step")
    assert steps.time.values.tolist() == [5.0]
    assert steps.time.attrs["clock"] == "step"
    assert sd.rescale(steps, clock="learning_rate*step").time.values == pytest.approx([0.5])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({}, "name what"),
        ({"matrix": "V"}, "no factor"),
        ({"matrix": "W/n"}, "no known factor"),
        ({"matrix": "W/sqrt(0)"}, "positive"),
        ({"clock": "hour"}, "allowed"),
        ({"clock": "step"}, "no coordinate 'time'"),
    ],
)
def test_unknown_factors_are_refused(spectra, options, match):
    with pytest.raises(UsageError, match=match):
        sd.rescale(spectra, **options)


def test_fitted_laws_are_not_rescaled(spectra):
    with pytest.raises(UsageError, match="fit them"):
        sd.rescale(sd.fit(spectra, bootstrap=0), matrix="W/sqrt(n_cols)")

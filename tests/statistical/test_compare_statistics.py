"""Statistics over replicates are held against theory, ensembles and other runs as honestly as the replicates."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr

import sdespec as sd
from sdespec.core.errors import InputError
from sdespec.integrators import simulate_statistics
from sdespec.laws import LaguerreEnsemble, MarchenkoPastur
from sdespec.models import DysonLaguerre, IsotropicNoise, MatrixSGD, RightMultiplicativeNoise

MODEL = DysonLaguerre(6, 9, 0.8, 0.3)
EDGES = np.linspace(0.0, 16.0, 17)


def _rows(check, name):
    return check.isel(quantity=np.flatnonzero(check.quantity_name.values == name))


def test_rows_are_those_of_the_replicates():
    """Mean, variance of the trace and ordered values as from the stored spectra; the error of the variance within 5 %."""
    times = [0.3, math.inf]
    run = sd.simulate(MODEL, times, seed=1, replicates=2000)
    kept = simulate_statistics(MODEL, times, seed=1, replicates=2000, batch=300)
    theory, other = sd.predict(MODEL, times), sd.simulate(MODEL, times, seed=2, replicates=500)
    names = ["trace_mean", "trace_variance"]
    one, two = (sd.compare(side, theory, quantities=names) for side in (run, kept))
    assert list(one.quantity.values) == list(two.quantity.values)
    np.testing.assert_allclose(two.observed, one.observed, rtol=1e-12)
    np.testing.assert_allclose(_rows(two, "trace_mean").interval, _rows(one, "trace_mean").interval, rtol=1e-9)
    np.testing.assert_allclose(two.interval, one.interval, rtol=0.05)
    for pair in ((run, other), (other, run)):
        swapped = tuple(kept if side is run else side for side in pair)
        one, two = (sd.compare(*sides, quantities=["trace_mean", "eigenvalue"]) for sides in (pair, swapped))
        np.testing.assert_allclose(two.interval, one.interval, rtol=1e-9)


def test_a_single_spectrum_borrows_the_error_of_the_statistics():
    kept = simulate_statistics(MODEL, [0.3], seed=1, replicates=500)
    check = sd.compare(sd.simulate(MODEL, [0.3], seed=3), kept, quantities=["trace_mean", "eigenvalue"])
    error = math.sqrt(kept.trace_variance.item())
    np.testing.assert_allclose(_rows(check, "trace_mean").observed_stderr, error, rtol=1e-12)
    assert set(check.verdict.values) == {"undecided"}


def test_true_predictions_are_rarely_called_wrong():
    """At most 15 of 100 at .05: a binomial count exceeds it with probability 4e-5. Planted: errors half as large."""
    times = [0.5, 1.0]
    theory = sd.predict(MODEL, times)
    reference = simulate_statistics(MODEL, times, seed=99, replicates=20_000, edges=EDGES)
    alarms, planted = 0, 0
    for i in range(50):
        part = range(400 * i, 400 * i + 400)
        kept = simulate_statistics(MODEL, times, seed=7, replicates=part, edges=EDGES)
        small = kept.assign({name: kept[name] / 2.0 for name in kept if name.endswith("_stderr")})
        for predicted in (theory, reference):
            check, wrong = (sd.compare(one, predicted, significance=0.05) for one in (kept, small))
            assert predicted is theory or len(_rows(check, "density").quantity) > 15
            alarms += "disagree" in check.verdict.values
            planted += "disagree" in wrong.verdict.values
    assert alarms <= 15 < planted


@pytest.mark.parametrize("name", ["trace_mean", "trace_variance", "eigenvalue", "density"])
def test_a_diffusion_5_percent_off_is_found(name):
    """6000 replicates against theory, an ensemble and a run; the truth raises an alarm with probability 1e-3 each."""

    def verdicts(diffusion):
        model = DysonLaguerre(6, 9, 0.8, diffusion)
        if name.startswith("trace"):
            return sd.compare(kept, sd.predict(model, [math.inf]), quantities=[name]).verdict.values
        if name == "eigenvalue":
            return sd.compare(kept, LaguerreEnsemble(6, 9, diffusion / 0.8), quantities=[name]).verdict.values
        other = sd.simulate(model, [math.inf], seed=6, replicates=6000)
        return sd.compare(kept, other, quantities=[name]).verdict.values

    kept = simulate_statistics(MODEL, [math.inf], seed=5, replicates=6000, edges=EDGES)
    assert "disagree" not in verdicts(0.3)
    assert "disagree" in verdicts(1.1 * 0.3 if name == "trace_variance" else 1.05 * 0.3)


def test_a_density_in_bins_against_a_limit_law():
    """Every bin of 40 values agrees with theory to the 1/rank that finite size costs; the transposed aspect does not."""
    model, edges = DysonLaguerre(40, 80, 1.0, 1 / 80), np.linspace(0.0, 3.2, 9)
    kept = simulate_statistics(model, [math.inf], seed=5, replicates=500, edges=edges)
    check = sd.compare(kept, sd.predict(model, [math.inf]), quantities=["density"])
    assert "disagree" not in check.verdict.values
    assert check.quantity.values[0] == "density[layer=W,time=inf,x=0.2]"
    assert "disagree" in sd.compare(kept, MarchenkoPastur(40, 41, 1 / 80), quantities=["density"]).verdict.values
    coarse = sd.predict(model, [math.inf], grid=np.linspace(1.0, 2.0, 5))
    assert sd.compare(kept, coarse, quantities=["density"]).verdict.values.tolist() == ["not_comparable"]
    other = simulate_statistics(model, [math.inf], seed=5, replicates=9, edges=2.0 * edges)
    assert sd.compare(kept, other, quantities=["density"]).verdict.values.tolist() == ["not_comparable"]


def test_noise_that_multiplies_against_its_mean_trace():
    """20 000 replicates: a noise 10 % up is found, and the truth passes but for 2e-3; the step's bias is .3 errors."""

    def model(k):
        return MatrixSGD(2, 4, 1.0, (IsotropicNoise(0.1), RightMultiplicativeNoise(k)))

    start = 2.0 * np.eye(2, 4)
    kept = simulate_statistics(model(0.15), [0.5], seed=2, replicates=20_000, time_step=0.005, initial=start)
    verdicts = [
        sd.compare(kept, sd.predict(model(k), [0.5], initial=start), quantities=["trace_mean"]).verdict.item()
        for k in (0.15, 1.1 * 0.15)
    ]
    assert verdicts == ["undecided", "disagree"]


def test_statistics_survive_a_file_and_other_ranks_are_not_comparable(tmp_path):
    kept = simulate_statistics(MODEL, [0.5], seed=5, replicates=60, edges=EDGES)
    sd.save(kept, tmp_path / "kept.nc")
    opened = sd.open(tmp_path / "kept.nc")
    theory = sd.predict(MODEL, [0.5])
    xr.testing.assert_equal(sd.compare(opened, theory), sd.compare(kept, theory))
    assert len(_rows(sd.compare(opened, kept), "density").quantity) > 3
    other = simulate_statistics(DysonLaguerre(5, 9, 0.8, 0.3), [0.5], seed=5, replicates=60)
    assert set(sd.compare(kept, other).verdict.values) == {"not_comparable"}
    del kept.attrs["n_replicates"]
    with pytest.raises(InputError, match="lack the attribute 'n_replicates'"):
        sd.compare(kept, theory)

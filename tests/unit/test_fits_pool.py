"""Pooled fits: dims, values, refusals, and what the tables and documents say."""

import numpy as np
import pytest
from matplotlib.figure import Figure

import sdespec as sd
from sdespec.core.dataset import build
from sdespec.core.errors import UsageError
from sdespec.core.provenance import record
from sdespec.fits import law, power_law_tail, threshold_curve
from sdespec.fits.calibration import scores
from sdespec.laws import GaussianMatrixEnsemble, LaguerreEnsemble, Pareto, TransportedEnsemble
from sdespec.report import fit_document

N, M = 60, 90


def _dataset(values, dims=("replicate",)):
    coords = {
        "layer": (("layer",), ["W"]),
        "n_rows": (("layer",), [N]),
        "n_cols": (("layer",), [M]),
        "matrix": (("layer",), ["W"]),
    }
    for axis, dim in enumerate(dims):
        size = values.shape[axis]
        attrs = ({"clock": "step"},) if dim == "time" else ()
        coords[dim] = ((dim,), np.arange(size, dtype=float) if dim == "time" else np.arange(size), *attrs)
    return build(
        {"eigenvalue": (("layer", *dims, "rank"), values[None])}, coords, source="test", provenance=record("test", {})
    )


@pytest.fixture(scope="module")
def heavy():
    return TransportedEnsemble(Pareto(2.5, 1.0), N, M).rvs(4, seed=1)


def test_pooled_values_are_fitted_as_one_sample(heavy):
    fits = sd.fit(_dataset(heavy), pool=("replicate",), laws=("gamma", "pareto", "wachter"), bootstrap=40)
    assert sd.validate(fits) is fits
    assert fits.tail_exponent.dims == ("layer",)
    assert fits.eigenvalue.dims == ("layer", "replicate", "rank")
    tail = power_law_tail(heavy.ravel())
    assert fits.tail_exponent.item() == tail.exponent
    assert fits.n_tail.item() == tail.n_tail > N
    gamma = law(heavy.ravel(), "gamma")
    assert fits.parameter_estimate.sel(law="gamma", parameter="shape").item() == gamma.parameters["shape"]
    assert fits.law_note.sel(law="wachter").item().startswith("not fitted: a law of whole spectra")
    assert np.isnan(fits.log_likelihood.sel(law="wachter").item())
    assert fits.regime.item() == "broad_tail"
    assert fits.verdict_text.item().startswith("power law")
    assert fits.attrs["pool"] == "replicate"
    assert "replicate" in fits.attrs["provenance"]


def test_one_replicate_pooled_is_itself(heavy):
    alone = sd.fit(_dataset(heavy[:1]), bootstrap=30)
    pooled = sd.fit(_dataset(heavy[:1]), bootstrap=30, pool=("replicate",))
    for name in ("tail_exponent", "tail_p_value", "p_value", "log_normal_p_value", "ks_mp"):
        np.testing.assert_array_equal(alone[name].isel(replicate=0).values, pooled[name].values)
    assert alone.regime.values.ravel()[0] == pooled.regime.item()


def test_bulks_are_those_of_single_matrices():
    mean = np.zeros((N, M))
    mean[0, 0] = 40.0
    spiked = GaussianMatrixEnsemble(mean, 1.0, 1.0).rvs(3, seed=2)
    each = sd.fit(_dataset(spiked), bootstrap=0)
    pooled = sd.fit(_dataset(spiked), bootstrap=0, pool=("replicate",))
    assert pooled.regime.item() == "spikes"
    assert pooled.verdict_text.item() == "of 3 matrices: 3 spikes"
    assert pooled.variance.item() == pytest.approx(each.variance.mean().item(), rel=1e-12)
    assert pooled.n_outliers.item() == 3
    assert pooled.outlier.values[0].tolist() == sorted(each.outlier.values.ravel().tolist(), reverse=True)
    mixed = np.concatenate([spiked[:1], LaguerreEnsemble(N, M, 1.0).rvs(1, seed=3)])
    assert sd.fit(_dataset(mixed), bootstrap=0, pool=("replicate",)).regime.item() == "undecided"


def test_times_and_replicates_pool_alone_or_together(heavy):
    both = _dataset(heavy.reshape(2, 2, N), ("replicate", "time"))
    assert sd.fit(both, bootstrap=0, pool=("time",)).tail_exponent.dims == ("layer", "replicate")
    assert sd.fit(both, bootstrap=0, pool=("replicate",)).tail_exponent.dims == ("layer", "time")
    all_ = sd.fit(both, bootstrap=0, pool=("time", "replicate"))
    assert all_.tail_exponent.item() == power_law_tail(heavy.ravel()).exponent
    assert len(fit_document(all_).matrices) == 1
    assert sd.summary(all_).splitlines()[-1] == "1 matrix: 1 broad tail"


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        ("replicate", "give the dims as a sequence"),
        (("layer",), "layers are not pooled"),
        (("time",), r"pool names 'time', which is no dim of the spectra; allowed here: \['replicate'\]"),
        (("rank",), "pool names 'rank'"),
    ],
)
def test_dims_that_cannot_be_pooled_are_refused(heavy, pool, message):
    with pytest.raises(UsageError, match=message):
        sd.fit(_dataset(heavy), pool=pool)


def test_pooled_scores_are_those_of_independent_spectra():
    """Four spectra pooled: the counts below the middle fluctuate twice as much as in one, not as independent values."""
    one, four = scores(N, M, 400, "ensemble", 3), scores(N, M, 400, "ensemble", 3, 4)
    assert four.shape == (400, 4 * N)
    assert (np.diff(four, axis=1) >= 0.0).all()
    spread = [np.count_nonzero(u < 0.5, axis=1).std() for u in (one, four, scores(N, M, 400, "iid", 3, 4))]
    assert spread[1] == pytest.approx(2.0 * spread[0], rel=0.15)
    assert spread[2] > 3.0 * spread[1]


def test_a_law_without_a_tail_is_noted_in_the_dataset():
    values = LaguerreEnsemble(N, M, 1.0).rvs(1, seed=3)
    fits = sd.fit(
        _dataset(values), bootstrap=40, laws=("beta_prime", "truncated_pareto", "marchenko_pastur", "wachter")
    )
    one = fits.isel(layer=0, replicate=0)
    assert one.law_note.sel(law="beta_prime").item().startswith("no tail")
    assert one.parameter_estimate.sel(law="beta_prime", parameter="b").item() == np.inf
    assert one.no_tail_p_value.item() > 0.3
    assert one.p_value.sel(law="marchenko_pastur").item() > 0.05
    assert one.p_value.sel(law="wachter").item() > 0.05
    assert 0.0 < one.p_value.sel(law="truncated_pareto").item() <= 1.0
    laws = fit_document(fits).matrices[0].laws
    assert laws["beta_prime"].note.startswith("no tail")
    assert "b" not in laws["beta_prime"].parameters
    assert one.preferred_law.item() == "beta_prime"


def test_a_matrix_without_values_has_a_status_and_the_others_their_fits(heavy):
    values = np.vstack([heavy[:2], np.full((1, N), np.nan)])
    fits = sd.fit(_dataset(values), bootstrap=0)
    assert fits.fit_status.values[0, :2].tolist() == ["ok", "ok"]
    assert fits.fit_status.values[0, 2].startswith("0 distinct positive values")
    pooled = sd.fit(_dataset(values), bootstrap=0, pool=("replicate",))
    assert pooled.tail_exponent.item() == power_law_tail(heavy[:2].ravel()).exponent
    assert sd.fit(_dataset(values[2:]), bootstrap=0, pool=("replicate",)).fit_status.item().startswith("0 distinct")


def test_what_is_said_of_the_interval_of_the_exponent(heavy):
    given = sd.fit(_dataset(heavy), bootstrap=20, threshold=2.0)
    assert given.attrs["ci_kind"] == "exact at fixed threshold"
    exact = power_law_tail(heavy[0], threshold=2.0).interval
    np.testing.assert_allclose(given.tail_interval.values[0, 0], exact, rtol=1e-12)
    assert sd.fit(_dataset(heavy), bootstrap=20).attrs["ci_kind"] == "bootstrap with re-searched threshold"


@pytest.mark.parametrize("plot", ["tail", "thresholds"])
def test_plots_show_what_was_pooled(heavy, plot):
    both = sd.fit(_dataset(heavy.reshape(2, 2, N), ("replicate", "time")), bootstrap=0, pool=("replicate",))
    pooled = heavy.reshape(2, 2, N)[:, 0].ravel()
    ax = Figure().subplots()
    getattr(sd.plot, plot)(both, time=0, ax=ax)
    drawn = ax.lines[0].get_xdata()
    if plot == "thresholds":
        np.testing.assert_array_equal(drawn, threshold_curve(pooled).threshold)
        assert ax.containers[0].lines[0].get_xdata()[0] in drawn
    else:
        np.testing.assert_array_equal(drawn, np.sort(pooled))

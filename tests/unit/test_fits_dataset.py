"""Fits of whole Datasets: dims, seeds, threads, references, nulls, and what cannot be fitted."""

import json

import numpy as np
import pytest
import xarray as xr

import sdespec as sd
from sdespec.core.dataset import build, extend
from sdespec.core.errors import InputError, UsageError
from sdespec.core.provenance import record
from sdespec.report import fit_document


@pytest.fixture(scope="module")
def spectra():
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(90, 120))
    # spread over all entries and without a mean: one huge entry or a common shift survives a shuffle
    spike = 40.0 * np.outer(np.full(90, 90**-0.5) * (-1.0) ** np.arange(90), np.full(120, 120**-0.5))
    return sd.measure(
        {"noise": noise, "spike": noise + spike, "small": rng.normal(size=(9, 12)), "bias": np.zeros(90)}, null_draws=3
    )


def _series(scales, seed=0):
    """A layer whose entries grow by ``scales`` over time, as simulate and Recorder write it."""
    rng = np.random.default_rng(seed)
    values = np.array([np.linalg.svd(s * rng.normal(size=(80, 100)), compute_uv=False) ** 2 for s in scales])
    return build(
        {"eigenvalue": (("layer", "time", "rank"), values[None])},
        {
            "layer": (("layer",), ["W"]),
            "n_rows": (("layer",), [80]),
            "n_cols": (("layer",), [100]),
            "matrix": (("layer",), ["W"]),
            "time": (("time",), np.arange(len(scales), dtype=float), {"clock": "step"}),
        },
        source="test",
        provenance=record("test", {}),
    )


def test_every_cell_has_a_fit_or_a_status(spectra):
    fits = sd.fit(spectra, bootstrap=20)
    assert dict(zip(fits.layer.values, fits.regime.values, strict=True)) == {
        "noise": "random", "spike": "spikes", "small": "undecided", "bias": "",
    }  # fmt: skip
    assert fits.fit_status.sel(layer="bias").item() == "skipped"
    assert np.isnan(fits.tail_exponent.sel(layer="bias"))
    assert fits.fit_status.sel(layer="small").item().startswith("no tail: ")
    assert np.isnan(fits.tail_exponent.sel(layer="small"))
    assert fits.outlier.sel(layer="spike").values[0] == spectra.eigenvalue.sel(layer="spike").values[0]
    assert set(spectra.data_vars) <= set(fits.data_vars)
    assert "regime" not in spectra


def test_array_level_and_dataset_level_agree(spectra):
    fits = sd.fit(spectra, bootstrap=0).sel(layer="spike")
    values = spectra.eigenvalue.sel(layer="spike").dropna("rank").values
    tail = sd.fits.power_law_tail(values)
    assert float(fits.tail_exponent) == tail.exponent
    assert tuple(fits.tail_interval.values) == tail.interval
    bulk = sd.fits.outliers(values, 90, 120)
    assert float(fits.variance) == bulk.variance
    assert tuple(fits.bulk_edge.values) == bulk.bulk_edge
    gamma = sd.fits.law(values, "gamma")
    assert float(fits.parameter_estimate.sel(law="gamma", parameter="shape")) == gamma.parameters["shape"]
    assert float(fits.log_likelihood.sel(law="gamma")) == gamma.log_likelihood
    null = spectra.null_eigenvalue.sel(layer="spike").values[:, :90]
    expected = np.median([sd.fits.power_law_tail(row).exponent for row in null])
    assert float(fits.tail_exponent_shuffled) == expected


def test_the_result_depends_on_the_seed_alone(spectra):
    one = sd.fit(spectra, bootstrap=30, seed=4, threads=1)
    two = sd.fit(spectra, bootstrap=30, seed=4, threads=2)
    xr.testing.assert_identical(one, two)
    other = sd.fit(spectra, bootstrap=30, seed=5, threads=2)
    assert not one.tail_interval.equals(other.tail_interval)
    alone = sd.fit(spectra.sel(layer=["spike"]), bootstrap=30, seed=4)
    assert alone.tail_interval.sel(layer="spike").equals(one.tail_interval.sel(layer="spike"))


def test_inflation_is_judged_against_the_first_time_or_a_reference():
    fits = sd.fit(_series([1.0, 1.02, 1.5]), bootstrap=0)
    assert fits.regime.values.tolist() == [["random", "random", "inflated_bulk"]]
    single = _series([1.5]).isel(time=0, drop=True)
    assert sd.fit(single, bootstrap=0).regime.item() == "random"
    referred = sd.fit(single, bootstrap=0, reference=_series([1.0]).isel(time=0, drop=True))
    assert referred.regime.item() == "inflated_bulk"
    rng = np.random.default_rng(0)
    by_source = sd.fit(
        {"W": 2.0 * rng.normal(size=(80, 100))}, bootstrap=0, reference={"W": rng.normal(size=(80, 100))}
    )
    assert by_source.regime.item() == "inflated_bulk"


def test_replicates_have_their_own_fits():
    rng = np.random.default_rng(1)
    values = np.array([np.linalg.svd(rng.normal(size=(60, 70)), compute_uv=False) ** 2 for _ in range(3)])
    ds = build(
        {"eigenvalue": (("layer", "replicate", "rank"), values[None])},
        {
            "layer": (("layer",), ["W"]),
            "n_rows": (("layer",), [60]),
            "n_cols": (("layer",), [70]),
            "matrix": (("layer",), ["W"]),
            "replicate": (("replicate",), [0, 1, 2]),
        },
        source="test",
        provenance=record("test", {}),
    )
    fits = sd.fit(ds, bootstrap=0)
    assert fits.tail_exponent.dims == ("layer", "replicate")
    assert len({float(value) for value in fits.tail_exponent.values.ravel()}) == 3
    assert [entry.replicate for entry in fit_document(fits).matrices] == [0, 1, 2]


def test_refitting_replaces_the_fit(spectra):
    first = sd.fit(spectra, bootstrap=0)
    second = sd.fit(first, laws=("gamma",), min_tail=20, bootstrap=0)
    assert second.sizes["law"] == 1
    assert int(second.n_tail.sel(layer="noise")) >= 20
    assert json.loads(second.attrs["provenance"])["arguments"]["spectra"]["dataset"]["function"] == "sdespec.fit"


def test_a_reference_of_another_shape_or_name_is_refused():
    w = np.random.default_rng(0).normal(size=(100, 150))
    with pytest.raises(InputError, match="100 x 150, but 50 x 150"):
        sd.fit({"w": w}, bootstrap=0, reference={"w": w[:50]})
    with pytest.raises(InputError, match="none of the layers"):
        sd.fit({"w": w}, bootstrap=0, reference={"v": w})


def test_structureless_heavy_entries_are_no_spikes():
    """Student-t(3) and sparse iid entries have outliers, but so have their shuffles: never "spikes"."""
    rng = np.random.default_rng(11)
    weights = {f"t{i}": rng.standard_t(3, size=(200, 300)) for i in range(6)}
    weights |= {f"s{i}": rng.normal(size=(200, 300)) * (rng.random((200, 300)) < 0.1) for i in range(6)}
    fits = sd.fit(sd.measure(weights, null_draws=5), bootstrap=0)
    assert "spikes" not in fits.regime.values
    assert (fits.n_outliers.values[:6] > 0).all()
    assert (fits.n_outliers_shuffled.values[:6] > 0).all()


def test_one_huge_entry_is_no_spike():
    """Wherever it stands it makes an outlier, so the shuffled matrix has the same one."""
    w = np.random.default_rng(3).normal(size=(90, 120))
    w[0, 0] += 40.0
    fits = sd.fit({"w": w}, bootstrap=0)
    assert int(fits.n_outliers.item()) == 1
    assert fits.regime.item() == "undecided"
    assert "shuffled" in fits.verdict_text.item()


def test_alignments_survive_a_fit():
    rng = np.random.default_rng(6)
    ds = sd.measure({"w": rng.normal(size=(60, 80))}, directions={"w": {"first": np.eye(80)[0]}})
    assert sd.fit(ds, bootstrap=0).alignment.equals(ds.alignment)


def test_a_known_threshold_is_used(spectra):
    fits = sd.fit(spectra, threshold=200.0, bootstrap=0)
    values = spectra.eigenvalue.sel(layer="noise").values
    assert float(fits.threshold.sel(layer="noise")) == 200.0
    assert int(fits.n_tail.sel(layer="noise")) == int((values >= 200.0).sum())


def test_calibration_is_recorded_and_iid_p_values_differ(spectra):
    ensemble = sd.fit(spectra, bootstrap=50)
    iid = sd.fit(spectra, bootstrap=50, calibration="iid")
    assert ensemble.attrs["calibration"] == "ensemble"
    assert float(iid.p_value.sel(layer="noise", law="gamma")) > float(ensemble.p_value.sel(layer="noise", law="gamma"))
    assert np.isnan(sd.fit(spectra, bootstrap=0).p_value).all()


def test_zero_eigenvalues_are_dropped_from_laws_and_tails():
    low_rank = np.random.default_rng(2).normal(size=(80, 40)) @ np.eye(40, 100)
    fits = sd.fit({"w": low_rank}, bootstrap=20)
    assert fits.fit_status.item() == "ok"
    assert np.isfinite(fits.log_likelihood.sel(law="gamma").item())
    assert int((fits.eigenvalue == 0.0).sum()) == 40
    assert fits.regime.item() == "undecided"
    assert fits.verdict_text.item() == "rank-deficient: 40 of 80 eigenvalues are zero"


def test_spectra_without_spread_are_undecided_and_say_why():
    orthogonal = np.linalg.qr(np.random.default_rng(0).normal(size=(80, 80)))[0]
    fits = sd.fit({"identity": np.eye(80), "orthogonal": orthogonal}, bootstrap=20)
    assert set(fits.regime.values) == {"undecided"}
    assert fits.verdict_text.sel(layer="identity").item().startswith("1 distinct positive value")
    row = fit_document(fits).matrices[0]
    assert row.n_outliers is None
    assert row.regime == "undecided"


def test_progress_reaches_the_end(spectra):
    seen = []
    sd.fit(spectra, bootstrap=0, progress=lambda done, total, name: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"laws": ("weibull",)}, "unknown law 'weibull'; allowed: gamma"),
        ({"ks": "right"}, "ks is 'right'; allowed: two-sided, left"),
        ({"calibration": "none"}, "calibration is 'none'"),
        ({"edge": "bbp"}, "edge is 'bbp'"),
        ({"min_tail": 1}, "min_tail is 1"),
        ({"bootstrap": -1}, "bootstrap is -1"),
        ({"bootstrap": 3}, "at least 20 resamples"),
        ({"laws": ()}, "laws is empty"),
        ({"level": 0.0}, "level is 0.0"),
        ({"threads": 0}, "threads is 0"),
    ],
)
def test_options_are_checked_before_any_work(spectra, options, message):
    with pytest.raises(UsageError, match=message):
        sd.fit(spectra, **options)


def test_a_dataset_without_spectra(spectra):
    with pytest.raises(InputError, match="no 'eigenvalue'"):
        sd.fit(spectra.drop_vars("eigenvalue"))
    swept = extend(
        spectra.drop_vars(list(spectra.data_vars)),
        {"eigenvalue": (("width", "layer", "rank"), spectra.eigenvalue.values[None])},
        provenance=record("test", {}),
    )
    with pytest.raises(UsageError, match=r"dims \['width'\]"):
        sd.fit(swept)


def test_the_closing_line_of_a_training_says_which_time_it_counts(spectra):
    several = spectra.expand_dims(time=[0.0, 500.0]).transpose("layer", "time", ...)
    several["time"].attrs["clock"] = "step"
    assert "at time 500, the last of 2" in sd.summary(several)
    assert "time" not in sd.summary(spectra).splitlines()[-1]


def test_spikes_and_the_lower_edge_are_in_the_dataset():
    """Strengths and intervals beside the outliers, padded alike; dead rows counted below; pooled ones all together."""
    rng = np.random.default_rng(12)
    spiked = rng.normal(size=(100, 225)) + 60.0 * np.outer(np.full(100, 0.1), np.full(225, 1.0 / 15.0))
    dead = rng.normal(size=(100, 225))
    dead[:5] *= 0.05
    fitted = sd.fit(sd.measure({"spiked": spiked, "dead": dead}, null="none"), bootstrap=0)
    direct = sd.fits.spike_strengths(np.linalg.svd(spiked, compute_uv=False) ** 2, 100, 225)
    one = fitted.sel(layer="spiked")
    np.testing.assert_allclose(one.spike_strength.dropna("mode"), direct.strength, rtol=1e-6)
    np.testing.assert_allclose(one.spike_strength_interval.values[0], direct.interval[0], rtol=1e-6)
    assert float(one.spike_threshold) == pytest.approx(direct.threshold, rel=1e-9)
    assert direct.interval[0, 0] < direct.strength[0] < direct.interval[0, 1]
    assert int(one.n_below) == 0
    assert int(fitted.n_below.sel(layer="dead")) == 5
    assert fitted.spike_strength.sizes["mode"] == fitted.outlier.sizes["mode"]
    document = fit_document(fitted)
    assert document.matrices[0].spikes[0].strength == pytest.approx(direct.strength[0], rel=1e-6)
    assert document.matrices[1].n_below == 5
    tiny = sd.fit(sd.measure({"w": rng.normal(size=(2, 3))}, minimum_side=2, null="none"), bootstrap=0)
    assert np.isnan(tiny.spike_strength).all()

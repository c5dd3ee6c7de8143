"""compare: alignment, differences, intervals and the four verdicts, against values computed here."""

import subprocess
import sys

import numpy as np
import pytest

import sdespec as sd
from sdespec.compare import statistics
from sdespec.core.dataset import build
from sdespec.core.errors import InputError, UsageError
from sdespec.core.provenance import record


def _run(spectra, times=(1.0,), *, matrix="W", clock="learning_rate*step", variables=None, source="simulate"):
    """A Dataset of spectra (replicate, time, rank), or of other variables."""
    content = {}
    coords = {
        "layer": (("layer",), ["W"]),
        "n_rows": (("layer",), [4]),
        "n_cols": (("layer",), [6]),
        "matrix": (("layer",), [matrix]),
        "time": (("time",), np.asarray(times, dtype=float), {"clock": clock}),
    }
    if spectra is not None:
        spectra = np.asarray(spectra, dtype=float).reshape(-1, len(times), np.shape(spectra)[-1])
        content["eigenvalue"] = (("layer", "replicate", "time", "rank"), spectra[None])
        coords["replicate"] = (("replicate",), np.arange(len(spectra)))
        coords["rank"] = (("rank",), np.arange(spectra.shape[-1]))
    content |= variables or {}
    return build(content, coords, source=source, provenance=record("test", {}))


def _predicted(**numbers):
    variables = {name: (("layer", "time"), [[value]]) for name, value in numbers.items()}
    return _run(None, variables=variables, source="predict")


DRAWS = sd.laws.LaguerreEnsemble(4, 6, 0.5).rvs(300, seed=3)  # trace: mean 12, variance 2 * 24 / 4 = 12


def test_the_mean_of_the_trace_and_its_row():
    check = sd.compare(_run(DRAWS), _predicted(trace_mean=12.0), tolerance=0.2)
    trace = DRAWS.sum(axis=1)
    row = check.isel(quantity=0)
    assert row.quantity.item() == "trace_mean[layer=W,time=1]"
    assert (row.quantity_name.item(), row.layer.item(), row.time.item()) == ("trace_mean", "W", 1.0)
    assert row.observed == pytest.approx(trace.mean())
    assert row.difference == pytest.approx(trace.mean() - 12.0)
    assert row.z_score == pytest.approx((trace.mean() - 12.0) / (trace.std(ddof=1) / np.sqrt(300)))
    assert row.relative_error == pytest.approx((trace.mean() - 12.0) / 12.0)
    assert row.interval[0] < row.difference < row.interval[1]
    assert row.verdict == "agree"


@pytest.mark.parametrize(
    ("predicted", "tolerance", "verdict"),
    [
        (12.0, 0.2, "agree"),
        (12.0, None, "undecided"),
        (12.0, 1e-4, "undecided"),
        (20.0, 0.2, "disagree"),
        (20.0, None, "disagree"),
        (20.0, 0.9, "agree"),
        (13.5, {"trace_mean": 0.3}, "agree"),
        (13.5, {"density": 0.3}, "disagree"),
    ],
)
def test_verdicts(predicted, tolerance, verdict):
    check = sd.compare(_run(DRAWS), _predicted(trace_mean=predicted), tolerance=tolerance)
    assert check.verdict.values.tolist() == [verdict]


def test_the_jackknife_error_of_a_variance_is_that_of_its_logarithm():
    values = np.random.default_rng(0).normal(size=4000)
    estimate = statistics.variance(values)
    assert estimate.value == pytest.approx(values.var(ddof=1))
    assert estimate.stderr == pytest.approx(np.sqrt(2 / 4000), rel=0.1)
    leave_one = [np.log(np.delete(values[:50], i).var(ddof=1)) for i in range(50)]
    expected = np.sqrt(49 / 50 * np.sum((leave_one - np.mean(leave_one)) ** 2))
    assert statistics.variance(values[:50]).stderr == pytest.approx(expected, rel=1e-9)


def test_elementary_moments_are_those_of_the_characteristic_polynomial():
    found = [np.exp(one.value) for one in statistics.log_elementary(DRAWS[:2])]
    expected = np.mean([np.abs(np.poly(one)) for one in DRAWS[:2]], axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_a_mean_that_one_replicate_dominates_has_no_error():
    spectra = np.ones((200, 3))
    spectra[0] *= 50.0
    assert np.isnan(statistics.log_elementary(spectra)[3].stderr)
    assert np.isfinite(statistics.log_elementary(np.ones((200, 3)))[3].stderr)


def test_an_ensemble_a_law_and_a_density():
    ensemble = sd.laws.LaguerreEnsemble(4, 6, 0.5)
    check = sd.compare(_run(DRAWS), ensemble)
    assert {"trace_mean", "trace_variance", "log_elementary_moment", "density", "eigenvalue"} == set(
        check.quantity_name.values
    )
    assert "disagree" not in check.verdict.values
    wrong = sd.compare(_run(DRAWS), sd.laws.LaguerreEnsemble(4, 6, 1.0))
    assert (wrong.verdict == "disagree").sum() > 5
    law = sd.compare(_run(DRAWS), sd.laws.Exponential(30.0), quantities=["density"])
    assert law.verdict.item() == "disagree"
    assert law.distance.item() == pytest.approx(statistics.ks_distance(DRAWS, sd.laws.Exponential(30.0).cdf))


def test_a_density_on_a_grid_that_lacks_mass_is_not_comparable():
    x = np.linspace(0.0, 20.0, 2001)
    density = np.exp(-x / 3.0) / 3.0
    for stop, verdict in ((2001, "disagree"), (300, "not_comparable")):
        ds = _predicted(trace_mean=12.0)
        ds = ds.assign_coords(x=x[:stop]).assign(density=(("layer", "time", "x"), density[None, None, :stop]))
        check = sd.compare(_run(DRAWS * 4.0), ds, quantities=["density"])
        assert check.verdict.item() == verdict


def test_the_start_at_zero_agrees_exactly():
    zero = _run(np.zeros((5, 1, 4)), (0.0,))
    predicted = _run(
        None, (0.0,), variables={n: (("layer", "time"), [[0.0]]) for n in ("trace_mean", "trace_variance")}
    )
    check = sd.compare(zero, predicted, tolerance=0.01)
    assert check.verdict.values.tolist() == ["agree", "agree"]


def test_only_common_times_are_compared_and_infinity_is_one():
    run = _run(np.stack([DRAWS, DRAWS], axis=1), (1.0, np.inf))
    other = _run(DRAWS[:, None], (np.inf,))
    check = sd.compare(run, other, quantities=["trace_mean"], tolerance=1.0)
    assert check.quantity.values.tolist() == ["trace_mean[layer=W,time=inf]"]
    assert check.verdict.item() == "agree"


@pytest.mark.parametrize(
    ("other", "match"),
    [
        (_run(DRAWS, matrix="W/sqrt(n_cols)"), "rescale"),
        (_run(DRAWS, clock="step"), "clocks"),
        (_run(DRAWS, times=(2.0,)), "nothing in common"),
        (_run(None), "none of the quantities"),
        (3.0, "float"),
    ],
)
def test_unlike_sides_are_refused(other, match):
    with pytest.raises(ValueError, match=match):
        sd.compare(_run(DRAWS), other)


def test_options_are_checked():
    run = _run(DRAWS)
    with pytest.raises(UsageError, match="trace_mean"):
        sd.compare(run, run, quantities=["trace_men"])
    with pytest.raises(UsageError, match="significance"):
        sd.compare(run, run, significance=1.5)
    with pytest.raises(UsageError, match="tolerance"):
        sd.compare(run, run, tolerance=-1.0)
    with pytest.raises(InputError, match="eigenvalue"):
        sd.compare(_predicted(trace_mean=1.0), run)


def test_another_rank_is_not_comparable():
    check = sd.compare(_run(DRAWS), sd.laws.LaguerreEnsemble(5, 6, 0.5))
    assert set(check.verdict.values) == {"not_comparable"}


def test_one_spectrum_borrows_the_error_of_the_prediction():
    one = _run(DRAWS[:1])
    check = sd.compare(one, sd.laws.LaguerreEnsemble(4, 6, 0.5), quantities=["trace_mean", "density"])
    assert np.isfinite(check.interval).all()
    assert check.verdict.values.tolist() == ["undecided", "undecided"]
    alone = sd.compare(one, _predicted(trace_mean=100.0))
    assert alone.verdict.item() == "undecided"
    known = sd.compare(one, _predicted(trace_mean=100.0, trace_variance=12.0), quantities=["trace_mean"])
    assert known.verdict.item() == "disagree"


def test_the_result_survives_a_file_and_prints(tmp_path):
    check = sd.compare(_run(DRAWS), _run(DRAWS + 0.0), tolerance=0.5)
    assert sd.open(sd.save(check, tmp_path / "check.nc")).equals(check)
    lines = sd.summary(check).splitlines()
    assert len(lines) == check.sizes["quantity"] + 2
    assert lines[1].startswith("trace_mean[layer=W,time=1]")
    assert "±" in lines[1]
    assert lines[-1].startswith(f"{check.sizes['quantity']} quantities: ")
    run = sd.summary(_run(DRAWS)).splitlines()
    assert run[0].split() == ["layer", "time", "trace", "largest", "smallest"]
    assert run[-1] == "1 matrix simulated, 1 time, 300 replicates"


@pytest.mark.parametrize("first", ["import sdespec.compare.claims", "import sdespec.compare", "pass"])
def test_the_verb_can_be_called_whatever_was_imported_first(first):
    code = f"{first}\nimport sdespec as sd\ntry:\n    sd.compare(1, 2)\nexcept ValueError as error:\n    print(error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert "observed must be a Dataset" in done.stdout, done.stderr


def _network(losses, times=(3.0,), **more):
    """Losses of replicates (replicate, time), or of a prediction (time,)."""
    losses = np.asarray(losses, dtype=float)
    dims = ("replicate", "time") if losses.ndim == 2 else ("time",)
    coords = {"time": (("time",), list(times), {"clock": "step"})}
    if losses.ndim == 2:
        coords["replicate"] = (("replicate",), np.arange(len(losses)))
    return build({"test_loss": (dims, losses)} | more, coords, source="simulate", provenance=record("test", {}))


def test_losses_of_networks_are_compared_without_a_layer():
    losses = 2.0 + 0.1 * np.random.default_rng(0).normal(size=(40, 1))
    check = sd.compare(_network(losses), _network([2.0]), tolerance=0.1)
    assert check.quantity.values.tolist() == ["test_loss[time=3]"]
    assert check.observed == pytest.approx(losses.mean())
    assert check.z_score == pytest.approx((losses.mean() - 2.0) / (losses.std(ddof=1) / np.sqrt(40)))
    assert check.verdict.item() == "agree"
    assert sd.compare(_network(losses), _network([2.5])).verdict.item() == "disagree"
    assert sd.compare(_network(losses), _network(losses + 0.5)).verdict.item() == "disagree"
    one = sd.compare(_network(losses[:1]), _network(losses), tolerance=0.5)
    assert one.verdict.item() == "agree"  # its error is that of the other side


def test_a_run_that_diverged_is_not_comparable():
    losses = np.array([[2.0], [np.nan], [2.1]])
    check = sd.compare(_network(losses), _network([2.0]), tolerance=0.1)
    assert check.verdict.item() == "not_comparable"


@pytest.mark.parametrize(("escape", "verdict"), [(1.1, "not_comparable"), (2.0, "agree")])
def test_an_outlier_near_its_escape_is_not_comparable(escape, verdict):
    """The window is rank^(-1/3) = .63 for four ranks."""
    modes = {name: (("layer", "time", "mode"), [[[value]]]) for name, value in (("outlier", 6.7), ("escape", escape))}
    predicted = _run(None, variables=modes, source="predict").assign_coords(mode=[0])
    check = sd.compare(_run(DRAWS), predicted, quantities=["outlier"], tolerance=0.9)
    assert check.verdict.item() == verdict


def test_outliers_widen_a_density_by_their_share():
    """Two of sixty values stand apart; the limit law has no mass for them, and that is no disagreement."""
    rng = np.random.default_rng(1)
    law = sd.laws.LaguerreEnsemble(58, 120, 0.5)
    spectra = np.concatenate([400.0 + rng.normal(size=(80, 2)), law.rvs(80, seed=0)], axis=1)
    x = np.linspace(0.5, 200.0, 4000)
    content = {"density": (("layer", "time", "x"), sd.laws.MarchenkoPastur(58, 120, 0.5).pdf(x)[None, None])}
    content["n_outliers"] = (("layer", "time"), [[2]])
    predicted = _run(None, variables=content, source="predict").assign_coords(x=x)
    spectra = -np.sort(-spectra, axis=1)
    assert sd.compare(_run(spectra), predicted, quantities=["density"]).verdict.item() == "undecided"
    alone = predicted.drop_vars("n_outliers")
    assert sd.compare(_run(spectra), alone, quantities=["density"]).verdict.item() == "disagree"

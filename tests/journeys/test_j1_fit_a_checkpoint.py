"""J1: an engineer fits tails to a checkpoint."""

import json
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from safetensors.numpy import save_file

import sdespec as sd
from sdespec.cli import main


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Noise, three spikes, and a matrix with a broad tail (inverse Wishart), beside vectors."""
    rng = np.random.default_rng(5)
    noise = rng.normal(size=(192, 256)) * 0.02
    u = np.linalg.qr(rng.normal(size=(192, 3)))[0]
    v = np.linalg.qr(rng.normal(size=(256, 3)))[0]
    wishart = rng.normal(size=(192, 210))
    broad = np.linalg.cholesky(np.linalg.inv(wishart @ wishart.T)) @ rng.normal(size=(192, 192)) * 0.02
    path = tmp_path_factory.mktemp("j1") / "model.safetensors"
    save_file(
        {
            "blocks.0.attn.weight": noise.astype(np.float32),
            "blocks.0.mlp.fc.weight": (noise + (u * [0.9, 1.1, 1.4]) @ v.T).astype(np.float32),
            "blocks.0.mlp.out.weight": broad.astype(np.float32),
            "ln_f.weight": np.ones(192, dtype=np.float32),
        },
        path,
    )
    return path


def test_fit_prints_a_row_for_every_tensor(checkpoint, tmp_path, capsys):
    out = tmp_path / "fits.nc"
    assert main(["fit", str(checkpoint), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    for name in ("blocks.0.attn.weight", "blocks.0.mlp.fc.weight", "blocks.0.mlp.out.weight", "ln_f.weight"):
        assert name in printed
    assert "3 spikes on an intact bulk" in printed
    assert "3 matrices: 1 broad tail, 1 spikes, 1 random; 1 tensor skipped, each listed" in printed
    assert f"wrote {out}   next: sdespec report {out}" in printed
    with xr.open_dataset(out) as plain:
        assert plain["regime"].sel(layer="blocks.0.mlp.out.weight").item() == "broad_tail"
        assert "power law" not in str(plain["verdict_text"].sel(layer="blocks.0.attn.weight").item())


def test_json_is_one_document_with_the_promised_names(checkpoint, capsys):
    assert main(["fit", str(checkpoint), "--json"]) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out, parse_constant=lambda text: pytest.fail(f"{text} in JSON"))
    assert document["schema"] == "sdespec.fit/1"
    assert document["file"] == "model.safetensors"
    assert document["min_tail"] == 10
    assert document["null"] == "shuffled"
    first = document["matrices"][0]
    assert set(first) >= {
        "name", "n_rows", "n_cols", "status", "reason", "n_eigenvalues", "entry_variance", "variance", "bulk_edge",
        "n_outliers", "outlier_energy", "ks_mp", "ks_mp_shuffled", "tail", "laws", "preferred_law", "regime", "verdict",
    }  # fmt: skip
    assert set(first["tail"]) >= {
        "exponent", "interval", "threshold", "n_tail", "ks_distance", "p_value", "shuffled_exponent",
    }  # fmt: skip
    assert set(first["laws"]["gamma"]) >= {"parameters", "ks_distance", "log_likelihood"}
    assert first["tail"]["interval"][0] < first["tail"]["exponent"] < first["tail"]["interval"][1]
    skipped = document["matrices"][-1]
    assert skipped["status"] == "skipped"
    assert skipped["tail"] is None
    assert skipped["regime"] is None
    assert "blocks.0.attn.weight" in captured.err  # the table goes to stderr


def test_quiet_json_says_nothing_else(checkpoint, capsys):
    assert main(["measure", str(checkpoint), "--json", "--quiet"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["schema"] == "sdespec.measure/1"
    assert captured.err == ""


def test_a_gate_makes_the_exit_code(checkpoint, capsys):
    assert main(["fit", str(checkpoint), "--quiet", "--bootstrap", "0", "--fail-on", "tail.exponent<1.01"]) == 0
    assert main(["fit", str(checkpoint), "--quiet", "--bootstrap", "0", "--fail-on", "regime==broad_tail"]) == 1
    assert "blocks.0.mlp.out.weight: regime is broad_tail" in capsys.readouterr().err


def test_measure_then_fit_equals_fit(checkpoint, tmp_path, capsys):
    spectra, one, two = tmp_path / "spectra.nc", tmp_path / "one.nc", tmp_path / "two.nc"
    assert main(["measure", str(checkpoint), "--out", str(spectra), "--seed", "3"]) == 0
    assert main(["fit", str(spectra), "--out", str(one), "--seed", "3"]) == 0
    assert main(["fit", str(checkpoint), "--out", str(two), "--seed", "3"]) == 0
    xr.testing.assert_equal(sd.open(one), sd.open(two))


def test_report_is_one_self_contained_page(checkpoint, tmp_path, capsys):
    fits, page = tmp_path / "fits.nc", tmp_path / "page.html"
    assert main(["fit", str(checkpoint), "--out", str(fits), "--quiet"]) == 0
    assert main(["report", str(fits), "--out", str(page), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["report"] == str(page)
    text = page.read_text(encoding="utf-8")
    for name in ("blocks.0.attn.weight", "ln_f.weight"):
        assert name in text
    assert text.count("data:image/svg+xml;base64,") == 6
    assert "<script" not in text
    assert 'src="http' not in text
    assert 'href="http' not in text


def test_python_side(checkpoint):
    spectra = sd.measure(str(checkpoint), include="*.mlp.*")
    fits = sd.fit(spectra, laws=("gamma", "log_normal", "pareto"), seed=1)
    series = fits.parameter_estimate.sel(law="pareto", parameter="exponent").to_series()
    assert series["blocks.0.mlp.out.weight"] == pytest.approx(
        float(fits.tail_exponent.sel(layer="blocks.0.mlp.out.weight")), rel=1e-12
    )
    assert np.isnan(series["blocks.0.attn.weight"])  # excluded, but listed
    axes = sd.plot.tail(fits, layer="blocks.0.mlp.fc.weight", ax=Figure().subplots())
    points = axes.lines[0].get_xdata()
    np.testing.assert_allclose(
        np.sort(points)[::-1], fits.eigenvalue.sel(layer="blocks.0.mlp.fc.weight").dropna("rank").values
    )
    assert "exponent" in " ".join(text.get_text() for text in axes.get_legend().get_texts())


def test_as_a_process_without_a_terminal(checkpoint):
    done = subprocess.run(
        [sys.executable, "-m", "sdespec", "fit", str(checkpoint), "--bootstrap", "0"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stderr == ""  # no progress bar, no warning
    assert "\x1b" not in done.stdout

"""Journey J2: a theorist simulates a model, predicts it, and checks the stationary law; then by the command line."""

import json

import numpy as np
import pytest

import sdespec as sd
from sdespec.cli import main

MODEL = """
[model]
type = "DysonLaguerre"
n_rows = 32
n_cols = 64
weight_decay = 1.0
diffusion = 0.3

[run]
times = [0.1, 0.5, 3.0, inf]
seed = 7
replicates = 200
"""


def test_the_journey():
    """A true prediction disagrees anywhere with probability at most 1e-3; the seed is fixed."""
    model = sd.models.DysonLaguerre(n_rows=32, n_cols=64, weight_decay=1.0, diffusion=0.3)
    run = sd.simulate(model, [0.1, 0.5, 3.0, float("inf")], replicates=200, seed=7)
    check = sd.compare(run, sd.predict(model, run.time.values), tolerance=0.01)
    shown = sd.summary(check)
    assert "disagree" not in check.verdict.values
    assert {"trace_mean", "trace_variance", "log_elementary_moment", "density"} <= set(check.quantity_name.values)
    assert "trace_mean[layer=W,time=inf]" in shown
    assert f"{check.sizes['quantity']} quantities: " in shown
    wide = sd.compare(run, sd.predict(model, run.time.values), tolerance=0.1, quantities=["trace_mean"])
    assert set(wide.verdict.values) == {"agree"}
    wrong = sd.models.DysonLaguerre(n_rows=32, n_cols=64, weight_decay=1.0, diffusion=0.33)
    found = sd.compare(run, sd.predict(wrong, run.time.values), tolerance=0.01)
    assert (found.sel(quantity=found.quantity_name == "trace_mean").verdict == "disagree").all()


def test_a_simulated_sweep_agrees_with_its_prediction():
    model = sd.models.DysonLaguerre(n_rows=6, n_cols=9, weight_decay=1.0, diffusion=0.3)
    swept = sd.sweep(model, diffusion=[0.3, 0.6])
    run = sd.simulate(swept, [0.5, 1.0], seed=1, replicates=100)
    assert run.eigenvalue.dims == ("diffusion", "layer", "replicate", "time", "rank")
    check = sd.compare(run, sd.predict(swept, [0.5, 1.0]), quantities=["trace_mean"])
    assert check.sizes["quantity"] == 4
    assert "disagree" not in check.verdict.values


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("j2")
    (folder / "model.toml").write_text(MODEL)
    (folder / "wrong.toml").write_text(MODEL.replace("diffusion = 0.3", "diffusion = 0.33"))
    return folder


def test_the_command_line(files, capsys):
    assert main(["simulate", str(files / "model.toml"), "--out", str(files / "a.nc"), "--json"]) == 0
    simulated = json.loads(capsys.readouterr().out)
    assert simulated["schema"] == "sdespec.simulate/1"
    assert [cell["time"] for cell in simulated["cells"]] == [0.1, 0.5, 3.0, None]
    for name in ("model", "wrong"):
        assert main(["predict", str(files / f"{name}.toml"), "--out", str(files / f"{name}.nc"), "--json"]) == 0
        predicted = json.loads(capsys.readouterr().out)
        assert predicted["schema"] == "sdespec.predict/1"
    words = ["compare", str(files / "a.nc"), str(files / "model.nc"), "--tolerance", "0.1", "--fail-on-disagree"]
    assert main([*words, "--json", "--out", str(files / "check.nc")]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "sdespec.compare/1"
    assert {line["verdict"] for line in document["quantities"]} <= {"agree", "undecided"}
    assert sd.open(files / "check.nc").attrs["source"] == "compare"
    against = ["compare", str(files / "a.nc"), str(files / "wrong.nc")]
    assert main(against) == 0
    assert "disagree" in capsys.readouterr().out
    assert main([*against, "--fail-on-disagree"]) == 1
    assert "trace_mean" in capsys.readouterr().err


def test_a_seed_of_the_command_wins(files, capsys):
    values = []
    for seed in ("1", "1", "2"):
        assert main(["simulate", str(files / "model.toml"), "--seed", seed, "--json"]) == 0
        values.append([cell["trace_mean"] for cell in json.loads(capsys.readouterr().out)["cells"]])
    assert values[0] == values[1]
    assert not np.allclose(values[0], values[2])

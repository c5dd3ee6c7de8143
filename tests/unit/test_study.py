"""Studies: strict files, cached results, judged claims, a page."""

import json
import textwrap

import pytest

from sdespec.core.errors import FormatError, OutputError, UsageError
from sdespec.study import load_study, run_study, study_schema

TOML = """
id = "noise-is-random"
title = "Noise <is> random"
paper = "none"
question = "Is a Gaussian matrix random?"
script = "noise.py"
seed = 3

[parameters]
n_rows = 80
n_cols = 100

[quick]
n_rows = 60

[[claim]]
id = "no-outlier"
paper = "Marchenko and Pastur"
text = "A Gaussian matrix has no outlier."
quantity = "n_outliers"
of = "fits"
select = {layer = "w"}
relation = "less"
value = 0.5

[[claim]]
id = "variance-one"
paper = "none"
text = "Its bulk variance is 1."
quantity = "variance"
of = "fits"
select = {layer = "w"}
relation = "equal"
value = 1.0
tolerance = {relative = 0.1}
"""
SCRIPT = """
from pathlib import Path

import numpy as np
import sdespec as sd
from matplotlib.figure import Figure


def run(parameters, *, seed):
    counter = Path(__file__).with_name("count")
    counter.write_text(str(int(counter.read_text()) + 1) if counter.exists() else "1")
    w = np.random.default_rng(seed).normal(size=(parameters["n_rows"], parameters["n_cols"]))
    return {"fits": sd.fit({"w": w}, bootstrap=0)}


def draw(datasets):
    figure = Figure()
    sd.plot.spectrum(datasets["fits"], ax=figure.subplots())
    return {"the spectrum": figure}
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "noise.toml").write_text(TOML)
    (tmp_path / "noise.py").write_text(textwrap.dedent(SCRIPT))
    return tmp_path / "noise.toml"


def _runs(file):
    return int(file.with_name("count").read_text())


def test_a_study_runs_is_judged_and_cached(file, tmp_path):
    result = run_study(load_study(file), tmp_path / "results")
    assert result.counts == {"reproduced": 2, "contradicted": 0, "undecided": 0}
    assert not result.reused
    document = json.loads((result.folder / "findings.json").read_text())
    assert [claim["outcome"] for claim in document["claims"]] == ["reproduced", "reproduced"]
    page = (result.folder / "report.html").read_text()
    assert "Noise &lt;is&gt; random" in page
    assert page.count("data:image/svg+xml") == 1
    assert "no-outlier" in page
    again = run_study(load_study(file), tmp_path / "results")
    assert again.reused
    assert _runs(file) == 1
    assert [f.estimate for f in again.findings] == [f.estimate for f in result.findings]


def test_what_the_cache_depends_on(file, tmp_path):
    folder = tmp_path / "results"
    run_study(load_study(file), folder)
    assert not run_study(load_study(file, seed=4), folder).reused
    assert not run_study(load_study(file, quick=True), folder).reused
    assert run_study(load_study(file, quick=True), folder).reused
    assert not run_study(load_study(file, quick=True), folder, fresh=True).reused
    file.with_name("noise.py").write_text(textwrap.dedent(SCRIPT) + "\n# changed\n")
    assert not run_study(load_study(file, quick=True), folder).reused
    assert _runs(file) == 5


def test_overrides_win_over_quick(file):
    assert load_study(file, quick=True).parameters == {"n_rows": 60, "n_cols": 100}
    assert load_study(file, quick=True, overrides={"n_rows": 70}).parameters["n_rows"] == 70
    with pytest.raises(UsageError, match="did you mean 'n_rows'"):
        load_study(file, overrides={"n_row": 70})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title =", "titel =", "did you mean 'title'"),
        ('quantity = "variance"', 'quantitiy = "variance"', "did you mean 'quantity'"),
        ('relation = "less"', 'relation = "lesser"', "allowed: equal"),
        ("seed = 3", 'seed = "x"', "seed: Input should be a valid integer"),
    ],
)
def test_faults_of_the_file(file, old, new, message):
    file.write_text(TOML.replace(old, new, 1))
    with pytest.raises(UsageError, match=message):
        load_study(file)


def test_unreadable_files_and_scripts(file, tmp_path):
    with pytest.raises(FormatError, match="no such file"):
        load_study(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("= 3")
    with pytest.raises(FormatError, match="TOML"):
        load_study(tmp_path / "bad.toml")
    file.with_name("noise.py").unlink()
    with pytest.raises(FormatError, match="is not beside it"):
        load_study(file)


def test_scripts_that_do_not_keep_the_contract(file, tmp_path):
    study = load_study(file)
    study.script.write_text("x = 1\n")
    with pytest.raises(UsageError, match="has no function run"):
        run_study(study, tmp_path / "results")
    study.script.write_text("def run(parameters, *, seed):\n    return [1]\n")
    with pytest.raises(UsageError, match="mapping of names to Datasets, not list"):
        run_study(study, tmp_path / "results")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot make the folder"):
        run_study(study, tmp_path / "file")


def test_the_schema_names_every_key():
    assert {"id", "title", "claim", "parameters", "quick"} <= set(study_schema()["properties"])

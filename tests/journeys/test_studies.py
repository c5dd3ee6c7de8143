"""J5: list the studies, run each of them quickly, and read the outcomes."""

import json
from pathlib import Path

import pytest

from sdespec.cli import main

STUDIES = Path(__file__).parents[2] / "studies"
FILES = sorted(STUDIES.glob("*.toml"))


def test_list(capsys):
    assert main(["study", "list", str(STUDIES), "--json"]) == 0
    captured = capsys.readouterr()
    entries = json.loads(captured.out)["studies"]
    assert {entry["id"] for entry in entries} == {file.stem for file in FILES}
    assert "dyson-motion" in captured.err


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_quick_runs_contradict_nothing(file, tmp_path, capsys):
    words = ["study", "run", str(file), "--quick", "--out", str(tmp_path), "--json", "--fail-on-contradicted"]
    assert main(words) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "sdespec.study/1"
    outcomes = [claim["outcome"] for claim in document["claims"]]
    assert "contradicted" not in outcomes
    assert "reproduced" in outcomes
    page = (tmp_path / file.stem / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/svg+xml") >= 1
    assert "<script" not in page


def test_a_planted_error_is_contradicted(tmp_path, capsys):
    """The same claims against a simulation whose diffusion is 10 % off: the study must not say "reproduced"."""
    for name in ("dyson-motion.toml", "dyson_motion.py"):
        (tmp_path / name).write_text((STUDIES / name).read_text(encoding="utf-8"), encoding="utf-8")
    script = (tmp_path / "dyson_motion.py").read_text(encoding="utf-8")
    wrong = script.replace(
        'prediction = sd.predict(model, p["times"])',
        "prediction = sd.predict(sd.models.DysonLaguerre(p['n_rows'], p['n_cols'], p['weight_decay'], 1.1 * p['diffusion']), p['times'])",
    )
    assert wrong != script
    (tmp_path / "dyson_motion.py").write_text(wrong, encoding="utf-8")
    words = [
        "study",
        "run",
        str(tmp_path / "dyson-motion.toml"),
        "--quick",
        "--out",
        str(tmp_path / "r"),
        "--json",
        "--quiet",
    ]
    assert main([*words, "--fail-on-contradicted"]) == 1
    claims = {claim["id"]: claim["outcome"] for claim in json.loads(capsys.readouterr().out)["claims"]}
    assert claims["trace-mean"] == "contradicted"


def test_parameters_from_the_command_line(tmp_path, capsys):
    file = str(STUDIES / "dyson-motion.toml")
    words = [
        "study",
        "run",
        file,
        "--quick",
        "--out",
        str(tmp_path),
        "--set",
        "replicates=50",
        "--set",
        "times=[0.1, 0.5]",
    ]
    assert main([*words, "--seed", "1", "--json", "--quiet"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["parameters"]["replicates"] == 50
    assert document["parameters"]["times"] == [0.1, 0.5]
    assert document["seed"] == 1
    assert main([*words, "--set", "replicate=3"]) == 2
    assert "did you mean 'replicates'" in capsys.readouterr().err
    assert main(["study", "run", file, "--set", "replicates"]) == 2
    assert main(["study", "run", str(tmp_path / "none.toml")]) == 4
    assert main(["study", "list", str(tmp_path / "none")]) == 4


def test_the_schema_is_json(capsys):
    assert main(["study", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "StudyFile"

"""MODEL.toml is read strictly, and mistakes are named with a hint."""

import json

import pytest

from sdespec.cli import main
from sdespec.core.errors import FormatError, UsageError
from sdespec.model_file import load_model_file

GOOD = '[model]\ntype = "DysonLaguerre"\nn_rows = 4\nn_cols = 6\nweight_decay = 1.0\ndiffusion = 0.5\n[run]\ntimes = [1.0, inf]\n'


def _write(tmp_path, text):
    file = tmp_path / "model.toml"
    file.write_text(text)
    return file


def test_a_good_file(tmp_path):
    file = load_model_file(_write(tmp_path, GOOD))
    assert (file.model.n_rows, file.model.n_cols, file.model.diffusion) == (4, 6, 0.5)
    assert file.run.times == [1.0, float("inf")]
    matrix = load_model_file(_write(tmp_path, GOOD.replace("DysonLaguerre", "MatrixSGD")))
    assert type(matrix.model).__name__ == "MatrixSGD"
    assert file.predict().trace_mean.values[0, -1] == pytest.approx(4 * 6 * 0.5)


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("DysonLaguerre", "DysonLagerre", "did you mean 'DysonLaguerre'"),
        ("diffusion", "difusion", "did you mean 'diffusion'"),
        ("diffusion = 0.5\n", "", "missing: model.diffusion"),
        ("diffusion = 0.5", "diffusion = -0.5", "diffusion"),
        ("times", "tims", "did you mean 'times'"),
        ("[1.0, inf]", "[1.0, inf]\nreplicates = 0", "replicates"),
        ("[1.0, inf]", "[1.0, inf]\nreplicate = 3", "did you mean 'replicates'"),
        ("[run]", "[rum]", "rum|run"),
    ],
)
def test_mistakes_are_named(tmp_path, capsys, old, new, match):
    file = _write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(UsageError, match=match):
        load_model_file(file)
    assert main(["predict", str(file)]) == 2
    assert "error" in capsys.readouterr().err


def test_unreadable_files(tmp_path):
    with pytest.raises(FormatError, match="no such file"):
        load_model_file(tmp_path / "none.toml")
    with pytest.raises(FormatError, match="TOML"):
        load_model_file(_write(tmp_path, "[model"))
    assert main(["simulate", str(tmp_path / "none.toml")]) == 4


def test_a_network_from_a_file(tmp_path, capsys):
    file = tmp_path / "net.toml"
    file.write_text(
        '[model]\ntype = "DeepLinearNetwork"\nwidth_ratio = 1.0\nsample_ratio = inf\nhidden_layers = 1\n'
        "feature_strength = 8.0\nlearning_rate = 0.01\ninput_dim = 30\n[run]\ntimes = [0, 30]\nreplicates = 3\n",
        encoding="utf-8",
    )
    assert main(["simulate", str(file), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [cell["time"] for cell in found["network"]] == [0.0, 30.0]
    assert found["network"][1]["converged"] == 3
    assert found["network"][1]["test_loss"] < found["network"][0]["test_loss"]
    assert main(["predict", str(file), "--json"]) == 0
    captured = capsys.readouterr()
    predicted = json.loads(captured.out)
    assert predicted["cells"][1]["n_outliers"] == 1
    assert predicted["network"][0]["sharpness"] > 0
    assert "escape" in captured.err

"""MODEL.toml is read strictly, and mistakes are named with a hint."""

import json

import numpy as np
import pytest

from sdespec import models
from sdespec.cli import main
from sdespec.core.errors import FormatError, UsageError
from sdespec.dispatch import predict, simulate
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


MATRIX = """
[model]
type = "MatrixSGD"
n_rows = 2
n_cols = 3
weight_decay = 1.0
diffusion = 0.1
[[model.noise]]
type = "SeparableNoise"
row_covariance = [1.0, 2.0]
col_covariance = [[1.0, 0.2, 0.0], [0.2, 1.0, 0.0], [0.0, 0.0, 0.5]]
[[model.noise]]
type = "RightMultiplicativeNoise"
diffusion = 0.01
[[model.noise]]
type = "LeftMultiplicativeNoise"
diffusion = 0.02
[[model.noise]]
type = "ScalarMultiplicativeNoise"
diffusion = 0.03
[[model.noise]]
type = "IsotropicNoise"
diffusion = 0.4
[model.loss]
type = "QuadraticLoss"
target = 0.5
curvature = [0.5, 1.0, 2.0]
[run]
times = [0.2, 0.4]
seed = 3
replicates = 5
time_step = 0.1
initial = [[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]]
"""


def test_every_noise_and_loss_of_numbers_can_be_written(tmp_path, capsys):
    """The same model and the same run as in Python, through the command line too."""
    made = load_model_file(_write(tmp_path, MATRIX))
    cols = np.array([[1.0, 0.2, 0.0], [0.2, 1.0, 0.0], [0.0, 0.0, 0.5]])
    noises = (
        models.IsotropicNoise(0.1), models.SeparableNoise(np.diag([1.0, 2.0]), cols),
        models.RightMultiplicativeNoise(0.01), models.LeftMultiplicativeNoise(0.02),
        models.ScalarMultiplicativeNoise(0.03), models.IsotropicNoise(0.4),
    )  # fmt: skip
    loss = models.QuadraticLoss(np.full((2, 3), 0.5), np.diag([0.5, 1.0, 2.0]))
    model = models.MatrixSGD(2, 3, 1.0, noises, loss)
    assert made.model.digest == model.digest
    start = np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    run = simulate(model, [0.2, 0.4], seed=3, replicates=5, time_step=0.1, initial=start)
    assert np.array_equal(made.simulate().eigenvalue, run.eigenvalue)
    assert not np.array_equal(made.simulate(seed=4).eigenvalue, run.eigenvalue)
    assert main(["simulate", str(tmp_path / "model.toml"), "--json"]) == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert cells[1]["trace_mean"] == pytest.approx(run.eigenvalue.values[0, :, 1].sum(axis=1).mean())


def test_additive_noise_and_a_loss_are_predicted_from_a_file(tmp_path, capsys):
    text = MATRIX[: MATRIX.index('[[model.noise]]\ntype = "Right')] + MATRIX[MATRIX.index("[model.loss]") :]
    file = _write(tmp_path, text.replace("time_step = 0.1\n", ""))
    assert main(["predict", str(file), "--json"]) == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    made = load_model_file(file)
    known = predict(made.model, [0.2, 0.4], initial=np.diag([1.0, 2.0, 0.0])[:2])
    assert [cell["trace_mean"] for cell in cells] == pytest.approx(known.trace_mean.values[0])
    assert predict(made.model, [0.2, 0.4]).trace_mean.values[0, 0] != pytest.approx(cells[0]["trace_mean"], rel=0.01)


def test_linear_regression_from_a_file(tmp_path, capsys):
    """It is simulated; its prediction is refused with what to do."""
    text = '[model]\ntype = "LinearRegressionSGD"\nn_rows = 2\nn_cols = 3\nlearning_rate = 0.1\nbatch_size = 4\n'
    file = _write(tmp_path, text + "label_noise = 1.0\n[run]\ntimes = [5, 20]\nreplicates = 3\n")
    assert main(["simulate", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["clock"] == "step"
    assert main(["predict", str(file)]) == 2
    assert "diffusion_model()" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ('"RightMultiplicativeNoise"', '"RightNoise"', r"model.noise\[1\].type is 'RightNoise'; .*Right"),
        ("row_covariance", "row_cov", r"'model.noise\[0\].row_cov'; did you mean 'row_covariance'"),
        ("row_covariance = [1.0, 2.0]\n", "", r"missing: model.noise\[0\].row_covariance"),
        ("[1.0, 2.0]", "[1.0, -2.0]", r"model.noise\[0\]: row_covariance has the eigenvalue -2"),
        ("[1.0, 2.0]", "[1.0, 2.0, 3.0]", "sides .3, 3."),
        ("[1.0, 2.0]", '"wide"', r"model.noise\[0\].row_covariance is 'wide'; it must be a number"),
        ("[1.0, 2.0]", "[[1.0], [2.0, 3.0]]", r"model.noise\[0\].row_covariance is .* a matrix of them"),
        ("diffusion = 0.01", "diffusion = -0.01", r"model.noise\[1\]: diffusion is -0.01"),
        ('"QuadraticLoss"', '"SpectralLoss"', "holds a function.*in Python"),
        ('"QuadraticLoss"', '"QuadraticLos"', "did you mean 'QuadraticLoss'"),
        ("curvature", "curvatur", "'model.loss.curvatur'; did you mean 'curvature'"),
        ("target = 0.5", "target = [[0.5]]", "target has the shape"),
        ("n_cols = 3\n", "", "missing: model.n_cols"),
        ("[[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]]", '"rest"', "run.initial"),
        ("[[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]]", "[[1.0, 0.0], [0.0]]", "unequal lengths"),
    ],
)
def test_mistakes_in_noises_and_losses_are_named(tmp_path, capsys, old, new, match):
    assert old in MATRIX
    file = _write(tmp_path, MATRIX.replace(old, new))
    with pytest.raises(UsageError, match=match):
        load_model_file(file).simulate()
    assert main(["simulate", str(file)]) == 2
    assert "error" in capsys.readouterr().err


def test_a_table_that_is_none(tmp_path):
    for line in ("noise = 3", 'loss = "square"', "noise = [3]"):
        with pytest.raises(UsageError, match="must be a table"):
            load_model_file(
                _write(tmp_path, GOOD.replace("DysonLaguerre", "MatrixSGD").replace("[run]", f"{line}\n[run]"))
            )
    with pytest.raises(UsageError, match=r"model\.diffusion is missing"):
        load_model_file(_write(tmp_path, '[model]\ntype = "MatrixSGD"\nn_rows = 2\nn_cols = 3\n[run]\ntimes = [1]\n'))


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

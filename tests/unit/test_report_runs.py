"""Pages of simulations and predictions: a row for each matrix and time, figures, nothing from outside."""

import pytest

import sdespec as sd
from sdespec.report import write_report

NET = sd.models.DeepLinearNetwork(1, float("inf"), 2, feature_strength=8, learning_rate=0.01, input_dim=40)
SDE = sd.models.DysonLaguerre(6, 9, 1.0, 0.3)


@pytest.mark.parametrize(
    ("ds", "rows", "figures"),
    [
        (lambda: sd.simulate(NET, [0, 10], seed=0, replicates=3), 4, 2),
        (lambda: sd.predict(NET, [0, 10]), 4, 2),
        (lambda: sd.simulate(SDE, [0.5], seed=0, replicates=3), 1, 1),
        (lambda: sd.simulate(SDE, [0.5, 1.0], seed=0, replicates=3), 2, 1),
        (lambda: sd.predict(sd.sweep(NET, width_ratio=[1, 2]), [0, 10]), 8, 0),
    ],
)
def test_pages(ds, rows, figures, tmp_path):
    page = write_report(ds(), tmp_path / "run.html").read_text(encoding="utf-8")
    table = page.split("<h2>Matrices</h2>")[1].split("</table>")[0]
    assert table.count("<tr>") == rows + 1
    assert page.count("data:image/svg+xml") == figures
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_number_of_figures_is_bounded(tmp_path):
    ds = sd.simulate(NET, [0, 10], seed=0, replicates=3)
    page = write_report(ds, tmp_path / "run.html", max_figures=1, title="A <run>").read_text(encoding="utf-8")
    assert page.count("data:image/svg+xml") == 1
    assert "A &lt;run&gt;" in page

"""The demonstration tells its story: trained, frozen and decayed matrices look as they should."""

import json

import numpy as np

import sdespec as sd
from sdespec.cli import main


def test_demo_writes_a_result_and_a_report(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 0
    printed = capsys.readouterr().out
    assert "hidden.1.weight" in printed
    assert len(printed.splitlines()) < 25
    fits = sd.open(tmp_path / "sdespec-demo" / "result.nc")
    assert fits.time.values.tolist() == [0, 128, 320, 800, 2000]
    first, last = fits.isel(time=0), fits.isel(time=-1)
    wide = [name for name in fits.layer.values if int(fits.n_rows.sel(layer=name)) >= 50 and name.endswith(".weight")]
    assert len(wide) == 5
    assert all(str(first.regime.sel(layer=name).item()) == "random" for name in wide)
    for name in ("hidden.0.weight", "hidden.1.weight", "hidden.2.weight"):
        assert int(last.n_outliers.sel(layer=name)) >= 5
        assert str(last.regime.sel(layer=name).item()) != "random"
    for name, initial in (("unused.frozen.weight", "uniform"), ("unused.decayed.weight", "no")):
        assert str(last.regime.sel(layer=name).item()) == "random"
        assert str(last.at_initialization.sel(layer=name).item()) == initial
    decay = float(last.variance.sel(layer="unused.decayed.weight") / first.variance.sel(layer="unused.decayed.weight"))
    np.testing.assert_allclose(decay, (1 - 1e-4) ** 4000, rtol=1e-3)
    assert set(fits.verdict.values.astype(str)) == {"agree"}
    assert fits.sizes["quantity"] == 8
    page = (tmp_path / "sdespec-demo" / "report.html").read_text(encoding="utf-8")
    assert "Course of training" in page
    assert "Two roads, one verdict" in page
    assert page.count("data:image/svg+xml") == 12


def test_demo_json(tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path / "x"), "--json", "--quiet"]) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["schema"] == "sdespec.fit/1"
    assert {entry["time"] for entry in document["matrices"]} == {0, 128, 320, 800, 2000}
    assert captured.err == ""


def test_demo_into_a_place_that_cannot_be(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["demo", "--out", str(tmp_path / "file" / "x")]) == 2
    assert "cannot make the folder" in capsys.readouterr().err

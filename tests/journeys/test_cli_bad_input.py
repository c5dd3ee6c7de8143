"""Bad input through the command line: a typed error with file and tensor, the exit code, nothing half-written."""

import io
import json
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save_file

from sdespec.cli import main

GOOD = np.random.default_rng(0).normal(size=(60, 80))


class Evil:
    """Unpickling it would make a file."""

    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return (open, (self.target, "w"))


def _missing(folder):
    return folder / "none.safetensors"


def _wrong_format(folder):
    path = folder / "notes.txt"
    path.write_text("just some notes\n")
    return path


def _wrong_content(folder):
    path = folder / "model.safetensors"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 83000000\n")
    return path


def _truncated(folder):
    path = folder / "model.safetensors"
    save_file({"w": GOOD}, path)
    os.truncate(path, path.stat().st_size - 1000)
    return path


def _lying_header(folder):
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", 2**60) + b"{}")
    return path


def _lying_shape(folder):
    header = json.dumps({"w": {"dtype": "F64", "shape": [5000, 5000], "data_offsets": [0, 64]}}).encode()
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(64))
    return path


def _truncated_npz(folder):
    path = folder / "model.npz"
    np.savez(path, w=GOOD)
    os.truncate(path, path.stat().st_size // 2)
    return path


def _huge_npy(folder):
    path = folder / "model.npy"
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": (10**6, 5 * 10**6)})
    path.write_bytes(buffer.getvalue() + bytes(80))
    return path


def _pickle_npy(folder):
    path = folder / "model.npy"
    np.save(path, np.array([Evil(folder / "ran")], dtype=object), allow_pickle=True)
    return path


def _object_npz(folder):
    path = folder / "model.npz"
    np.savez(path, w=np.array([Evil(folder / "ran"), {}], dtype=object))
    return path


def _raw_pickle(folder):
    path = folder / "model.pkl"
    path.write_bytes(pickle.dumps({"w": Evil(folder / "ran")}))
    return path


def _bomb(folder):
    path = folder / "model.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        archive.open("w.npy", "w") as member,
    ):
        np.lib.format.write_array_header_1_0(
            member, {"descr": "<f8", "fortran_order": False, "shape": (10_000, 10_000)}
        )
        for _ in range(100):
            member.write(bytes(8_000_000))
    return path


def _no_matrix(folder):
    path = folder / "model.npz"
    np.savez(path, bias=np.zeros(80), scale=np.float64(3.0))
    return path


def _only_thin(folder):
    path = folder / "model.npz"
    np.savez(path, row=np.ones((1, 500)), column=np.ones((500, 1)))
    return path


def _only_nan(folder):
    path = folder / "model.npz"
    np.savez(path, w=np.full((60, 80), np.nan))
    return path


def _empty_npz(folder):
    path = folder / "model.npz"
    np.savez(path)
    return path


FAULTS = [
    _missing, _wrong_format, _wrong_content, _truncated, _lying_header, _lying_shape, _truncated_npz, _huge_npy,
    _pickle_npy, _object_npz, _raw_pickle, _bomb, _no_matrix, _only_thin, _only_nan, _empty_npz,
]  # fmt: skip


@pytest.mark.parametrize("command", ["fit", "measure"])
@pytest.mark.parametrize("make", FAULTS, ids=lambda make: make.__name__[1:])
def test_unusable_sources_exit_with_4(make, command, tmp_path, capsys):
    path = make(tmp_path)
    out = tmp_path / "out.nc"
    code = main([command, str(path), "--out", str(out)])
    captured = capsys.readouterr()
    assert code == 4, captured.err
    assert path.name in captured.err
    assert captured.err.startswith("sdespec: error: ")
    assert "Traceback" not in captured.err
    assert not (tmp_path / "ran").exists()  # no code of the file ran
    assert not out.exists()
    assert not [entry for entry in os.listdir(tmp_path) if entry.endswith(".tmp")]


@pytest.mark.parametrize("make", [_object_npz, _bomb], ids=["objects", "bomb"])
def test_the_tensor_is_named_too(make, tmp_path, capsys):
    assert main(["fit", str(make(tmp_path))]) == 4
    assert "'w'" in capsys.readouterr().err


def test_json_gives_one_document_also_for_an_error(tmp_path, capsys):
    assert main(["fit", str(_missing(tmp_path)), "--json"]) == 4
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["schema"] == "sdespec.error/1"
    assert document["error"] == "FormatError"
    assert document["exit_code"] == 4


def test_bad_tensors_are_named_and_the_run_goes_on(tmp_path, capsys):
    nan, inf = GOOD.copy(), GOOD.copy()
    nan[3, 4] = np.nan
    inf[5, 6] = -np.inf
    path = tmp_path / "model.safetensors"
    save_file({"good": GOOD, "with_nan": nan, "with_inf": inf, "row": GOOD[:1], "column": GOOD[:, :1].copy()}, path)
    assert main(["fit", str(path), "--json", "--bootstrap", "0"]) == 0
    matrices = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)["matrices"]}
    assert matrices["good"]["status"] == "ok"
    assert matrices["with_nan"]["status"] == "invalid"
    assert "1 NaN" in matrices["with_nan"]["reason"]
    assert matrices["with_inf"]["status"] == "invalid"
    assert "1 infinite" in matrices["with_inf"]["reason"]
    for name in ("row", "column"):
        assert matrices[name]["status"] == "skipped"
        assert matrices[name]["reason"]
        assert matrices[name]["tail"] is None


@pytest.mark.parametrize(
    "words",
    [
        ["fit"],
        ["fit", "x.npz", "--no-such-option"],
        ["fits", "x.npz"],
        ["fit", "x.npz", "--bootstrap", "many"],
        ["fit", "x.npz", "--ks", "right"],
        ["fit", "x.npz", "--fail-on", "tail.exponnet<2"],
        ["fit", "x.npz", "--out", "no/such/folder/fits.nc"],
    ],
)
def test_usage_errors_exit_with_2(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.savez("x.npz", w=GOOD)
    assert main(words) == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    assert captured.err.startswith("sdespec: error: ")
    assert os.listdir(tmp_path) == ["x.npz"]


def test_options_of_the_fit_are_checked(tmp_path, capsys):
    path = tmp_path / "x.npz"
    np.savez(path, w=GOOD)
    assert main(["fit", str(path), "--laws", "weibull"]) == 2
    assert "allowed: " in capsys.readouterr().err
    assert main(["fit", str(path), "--level", "1.5"]) == 2


def test_an_output_that_is_a_folder(tmp_path, capsys):
    path = tmp_path / "x.npz"
    np.savez(path, w=GOOD)
    assert main(["measure", str(path), "--out", str(tmp_path)]) == 2
    assert "it is a folder" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["fit", "report"])
def test_a_foreign_result_file(command, tmp_path, capsys):
    path = tmp_path / "other.nc"
    path.write_text("no netcdf")
    assert main([command, str(path)]) == 4
    assert "other.nc" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["other.nc"]


def test_debug_shows_the_traceback(tmp_path, capsys):
    assert main(["fit", str(_missing(tmp_path)), "--debug"]) == 4
    assert "Traceback" in capsys.readouterr().err


def test_an_internal_error_is_said_without_a_traceback(tmp_path, monkeypatch, capsys):
    path = tmp_path / "x.npz"
    np.savez(path, w=GOOD)

    def broken(*args, **options):
        raise RuntimeError("boom")

    monkeypatch.setattr("sdespec.networks.measure", broken)
    assert main(["fit", str(path)]) == 5
    error = capsys.readouterr().err
    assert "RuntimeError: boom" in error
    assert "--debug" in error
    assert "Traceback" not in error


@pytest.mark.parametrize("command", ["fit", "measure"])
def test_the_input_is_never_overwritten(command, tmp_path, capsys):
    """Neither by its own name, nor through a link, nor inside a folder of steps, nor under a checkpoint's ending."""
    path, steps = tmp_path / "model.npz", tmp_path / "steps"
    steps.mkdir()
    np.savez(path, w=GOOD)
    np.savez(steps / "step_0.npz", w=GOOD)
    (tmp_path / "link.nc").symlink_to(path)
    before = path.read_bytes()
    for source, out in (
        (path, path),
        (path, tmp_path / "link.nc"),
        (steps, steps / "out.nc"),
        (path, tmp_path / "x.pt"),
    ):
        assert main([command, str(source), "--out", str(out)]) == 2
        assert "--out" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert [entry.name for entry in steps.iterdir()] == ["step_0.npz"]


def test_a_report_never_replaces_its_result(tmp_path, capsys):
    path, result = tmp_path / "model.npz", tmp_path / "fits.nc"
    np.savez(path, w=GOOD)
    assert main(["fit", str(path), "--bootstrap", "0", "--quiet", "--out", str(result)]) == 0
    before = result.read_bytes()
    assert main(["report", str(result), "--out", str(result)]) == 2
    assert result.read_bytes() == before


def test_a_gate_that_cannot_judge_says_so(tmp_path, capsys):
    path = tmp_path / "model.npz"
    np.savez(path, w=GOOD)
    words = ["fit", str(path), "--quiet", "--bootstrap", "0", "--min-tail", "1000", "--fail-on", "tail.exponent<99"]
    assert main(words) == 0
    assert "tail.exponent is missing for 1 of 1 rows" in capsys.readouterr().err


def test_an_interrupt_is_said_and_is_one_document(monkeypatch, tmp_path, capsys):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("sdespec.verbs.fit", stop)
    np.save(tmp_path / "w.npy", np.eye(10))
    assert main(["fit", str(tmp_path / "w.npy"), "--json"]) == 130
    captured = capsys.readouterr()
    assert json.loads(captured.out)["exit_code"] == 130
    assert "interrupted" in captured.err

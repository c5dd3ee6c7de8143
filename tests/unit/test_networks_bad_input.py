"""Bad files: a typed error that names file and tensor, no code run, no memory blow-up."""

import io
import json
import os
import pickle
import resource
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save_file

from sdespec.core.errors import FormatError, InputError, UnsafeFileError, UsageError
from sdespec.networks import measure


def refuse(path, error, message, tensor=None):
    """Measure a bad file: the exact class, the message, file and tensor, fast and without memory."""
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(error, match=message) as caught:
        measure(path)
    seconds = time.perf_counter() - start
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert type(caught.value) is error
    assert caught.value.exit_code == 4
    assert str(path) in str(caught.value)
    if tensor is not None:
        assert caught.value.tensor == tensor
        assert f"tensor {tensor!r}" in str(caught.value)
    assert peak < 64 * 2**20
    assert seconds < 10


def good_safetensors(path):
    save_file({"w": np.random.default_rng(0).normal(size=(20, 30)), "v": np.ones((9, 9))}, path)
    return path.read_bytes()


@pytest.mark.parametrize("name", ["nothing.safetensors", "nothing.npz", "nothing.pt", "nothing"])
def test_missing_file(tmp_path, name):
    refuse(tmp_path / name, FormatError, "no such file")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("notes.txt", b"some text", r"unknown format.*\.safetensors"),
        ("empty.safetensors", b"", "the file is empty"),
        ("model.npz", b"some text, not a zip archive", "not a .npz file, in spite of its name"),
        ("model.npy", b"some text", "not a .npy file"),
        ("model.pt", b"some text", "not a .pt file"),
        ("model.safetensors", b"some text that is long enough", "not a sound .safetensors file"),
        ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        ("model.bin", b"<!DOCTYPE html><html>Not found</html>", "web page"),
        ("model.h5", b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
        ("model.gguf", b"GGUF" + bytes(100), "GGUF"),
        ("model.json", b"{}", "no table 'weight_map'"),
        ("model.json", b"[1, 2", "not a JSON text"),
        ("model.json", b'{"weight_map": {"a": 1}}', "no table 'weight_map'"),
    ],
)
def test_wrong_format(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    refuse(tmp_path / name, FormatError, message)


def test_folders_without_one_checkpoint(tmp_path):
    refuse(tmp_path, FormatError, "a folder without a checkpoint")
    for name in ("a.npz", "b.npz"):
        np.savez(tmp_path / name, w=np.eye(9))
    refuse(tmp_path, FormatError, "2 checkpoints .* give one file")


@pytest.mark.parametrize("kept", [3, 8, 20, -1, -100])
def test_truncated_safetensors(tmp_path, kept):
    content = good_safetensors(tmp_path / "whole.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(content[:kept])
    refuse(tmp_path / "cut.safetensors", FormatError, "truncated, damaged or its header lies")


@pytest.mark.parametrize(
    "header",
    [
        {"w": {"dtype": "F64", "shape": [2**40, 2**30], "data_offsets": [0, 16]}},
        {"w": {"dtype": "F64", "shape": [2], "data_offsets": [0, 2**60]}},
        {
            name: {"dtype": "F64", "shape": [2], "data_offsets": [start, start + 16]}
            for name, start in (("w", 0), ("v", 8))
        },
        {"w": {"dtype": "F64", "shape": [-2, -1], "data_offsets": [0, 16]}},
        {"w": {"dtype": "F99", "shape": [2], "data_offsets": [0, 16]}},
        {"w": {"shape": [2], "data_offsets": [0, 16]}},
        {"w": 3},
    ],
    ids=["huge shape", "offset beyond", "overlap", "negative", "unknown type", "no type", "no entry"],
)
def test_safetensors_header_that_lies(tmp_path, header):
    text = json.dumps(header).encode()
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(24))
    refuse(tmp_path / "w.safetensors", FormatError, "header lies")


@pytest.mark.parametrize("length", [2**60, 2**63, 10**8])
def test_safetensors_length_that_lies(tmp_path, length):
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", length) + b'{"w": 1}' + bytes(50))
    refuse(tmp_path / "w.safetensors", FormatError, "header lies")


def test_safetensors_with_a_key_twice(tmp_path):
    entry = '{"dtype": "F64", "shape": [2], "data_offsets": [%d, %d]}'
    text = ("{" + f'"w": {entry % (0, 16)}, "w": {entry % (16, 32)}' + "}").encode()
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(32))
    refuse(tmp_path / "w.safetensors", FormatError, "not a sound")


def npy_bytes(shape, dtype="<f8", data=b""):
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


@pytest.mark.parametrize("shape", ["(5000000, 1000000)", "(3, 3)", "(2,)", "(-1, 4)", "(2**70,)", "'a'"])
def test_npy_header_that_lies(tmp_path, shape):
    (tmp_path / "w.npy").write_bytes(npy_bytes(shape, data=bytes(32)))
    refuse(tmp_path / "w.npy", FormatError, "header")
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("layer.npy", npy_bytes(shape, data=bytes(32)))
    refuse(tmp_path / "w.npz", FormatError, "header", tensor="layer")


def test_truncated_npy_and_npz(tmp_path):
    np.save(tmp_path / "w.npy", np.eye(40))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "w.npy").read_bytes()[:-8])
    refuse(tmp_path / "cut.npy", FormatError, "declares .* 12800 bytes, but 12792")
    (tmp_path / "head.npy").write_bytes((tmp_path / "w.npy").read_bytes()[:20])
    refuse(tmp_path / "head.npy", FormatError, "not a readable .npy header")
    np.savez(tmp_path / "w.npz", w=np.eye(40))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "w.npz").read_bytes()[:-30])
    refuse(tmp_path / "cut.npz", FormatError, "truncated or damaged zip archive")


@pytest.mark.parametrize("side", [20, 200])
def test_one_damaged_member_does_not_stop_the_others(tmp_path, side):
    rng = np.random.default_rng(1)
    np.savez(tmp_path / "w.npz", a=rng.normal(size=(side, side)), b=rng.normal(size=(side, side)))
    content = bytearray((tmp_path / "w.npz").read_bytes())
    content[1000] ^= 0xFF  # inside the numbers of the first member
    (tmp_path / "w.npz").write_bytes(content)
    ds = measure(tmp_path / "w.npz")
    assert ds.status.values.tolist() == ["invalid", "ok"]
    assert "unreadable" in str(ds.reason.values[0])
    assert "CRC" in str(ds.reason.values[0])


class RunsCode:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def test_object_arrays_are_refused_and_their_pickles_never_run(tmp_path):
    array = np.empty(2, dtype=object)
    array[0] = RunsCode(tmp_path / "ran")
    np.save(tmp_path / "w.npy", array, allow_pickle=True)
    refuse(tmp_path / "w.npy", UnsafeFileError, "object array.*pickles are never read")
    np.savez(tmp_path / "w.npz", good=np.eye(9), evil=array)
    refuse(tmp_path / "w.npz", UnsafeFileError, "object array", tensor="evil")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt", ".pkl", ".npz"])
def test_a_pickle_that_runs_code_is_never_opened(tmp_path, protocol, suffix):
    path = tmp_path / f"evil{suffix}"
    path.write_bytes(pickle.dumps({"w": np.float64(1.0).item(), "x": RunsCode(tmp_path / "ran")}, protocol=protocol))
    refuse(path, UnsafeFileError, r"asks for (posix|nt)\.mkdir, which could run code")
    assert not (tmp_path / "ran").exists()
    pickle.loads(path.read_bytes())  # the planted code does run where a pickle is loaded
    assert (tmp_path / "ran").exists()


def torch_like_archive(path, payload, extra=()):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", payload)
        for name in extra:
            archive.writestr(f"archive/{name}", b"\x80\x02}.")


def test_code_in_a_zipped_checkpoint(tmp_path):
    torch_like_archive(tmp_path / "evil.pt", pickle.dumps(RunsCode(tmp_path / "ran"), protocol=2))
    refuse(tmp_path / "evil.pt", UnsafeFileError, "which could run code")
    assert not (tmp_path / "ran").exists()


def test_torchscript_is_refused(tmp_path):
    torch_like_archive(tmp_path / "model.jit", b"\x80\x02}.", extra=["constants.pkl", "code/__torch__.py"])
    refuse(tmp_path / "model.jit", UnsafeFileError, "TorchScript")


@pytest.mark.parametrize(
    "payload", [b"\x80\x02", b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x80\x02X\xff\xff\xff\x7fab"]
)
def test_damaged_pickle(tmp_path, payload):
    (tmp_path / "model.pt").write_bytes(payload)
    refuse(tmp_path / "model.pt", FormatError, "truncated or damaged pickle")


BOMB = """
import resource, sys, time
from pathlib import Path
from sdespec.core.errors import UnsafeFileError
from sdespec.networks import measure
status = Path("/proc/self/status")
def peak():
    if status.exists():  # ru_maxrss starts at the peak of the parent process
        return int(status.read_text().split("VmHWM:")[1].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
start = time.perf_counter()
try:
    measure(sys.argv[1])
except UnsafeFileError as error:
    print(error.tensor, time.perf_counter() - start, peak() - before)
"""


def test_npz_bomb_costs_neither_memory_nor_time(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        block = bytes(2**20)
        with archive.open("w.npy", "w", force_zip64=True) as stream:
            stream.write(npy_bytes("(10000, 10000)"))
            for _ in range(800_000_000 // 2**20):
                stream.write(block)
            stream.write(bytes(800_000_000 % 2**20))
    assert (tmp_path / "bomb.npz").stat().st_size < 2**20
    run = subprocess.run(
        [sys.executable, "-c", BOMB, str(tmp_path / "bomb.npz")], capture_output=True, text=True, check=True
    )
    tensor, seconds, kilobytes = run.stdout.split()
    assert tensor == "w"
    assert float(seconds) < 2.0
    assert int(kilobytes) < 256 * 1024


def test_compressed_members_that_are_meant_are_read(tmp_path):
    # 30 MB of zeros expand far more than 200-fold, but to less than 64 MB
    np.savez_compressed(tmp_path / "sparse.npz", w=np.zeros((2000, 2000)))
    assert measure(tmp_path / "sparse.npz").reason.values.tolist() == ["all entries equal 0"]


def lying_zip(path, **fields):
    """An archive whose directory of contents says something else than the truth."""
    np.savez(path, w=np.random.default_rng(0).normal(size=(30, 30)))
    content = bytearray(path.read_bytes())
    place = content.rindex(b"PK\x01\x02")
    for name, value in fields.items():
        offset = {"compressed": 20, "expanded": 24, "start": 42}[name]
        content[place + offset : place + offset + 4] = struct.pack("<I", value)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"compressed": 2**31, "expanded": 2**31}, "the archive claims 2147483648 bytes"),
        ({"expanded": 2**31}, "refused|declares"),
        ({"start": 2**20}, "claims|damaged"),
    ],
)
def test_zip_directory_that_lies(tmp_path, fields, message):
    lying_zip(tmp_path / "w.npz", **fields)
    with pytest.raises(FormatError, match=message):
        measure(tmp_path / "w.npz")


def test_a_member_that_is_longer_than_it_says(tmp_path):
    lying_zip(tmp_path / "w.npz", expanded=100)
    ds = measure(tmp_path / "w.npz")
    assert ds.status.values.tolist() == ["invalid"]
    assert "unreadable" in str(ds.reason.values[0])


def test_a_name_twice_in_an_archive(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, np.eye(9))
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("w.npy", buffer.getvalue())
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("w.npy", buffer.getvalue())
    refuse(tmp_path / "w.npz", FormatError, "twice")


@pytest.mark.parametrize(
    ("shard", "message"),
    [
        ("../outside.safetensors", "outside of its folder"),
        ("/outside.safetensors", "outside of its folder"),
        ("a/../../outside.safetensors", "outside of its folder"),
        ("C:\\outside.safetensors", "outside of its folder"),
        ("..\\outside.safetensors", "outside of its folder"),
        ("missing.safetensors", "is missing beside the index"),
        ("model.safetensors", "does not hold it"),
    ],
)
def test_index_that_points_elsewhere(tmp_path, shard, message):
    folder = tmp_path / "model"
    folder.mkdir()
    good_safetensors(tmp_path / "outside.safetensors")
    good_safetensors(folder / "model.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"absent.weight": shard}}))
    refuse(index, FormatError, message, tensor="absent.weight")


def test_several_indices_in_a_folder(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.safetensors.index.json").write_text('{"weight_map": {}}')
    with pytest.raises(UsageError, match="several indices"):
        measure(tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_non_finite_weights_are_named_and_the_run_goes_on(tmp_path, value, dtype):
    bad = np.random.default_rng(2).normal(size=(20, 30)).astype(dtype)
    bad[3, 4] = bad[7, 8] = value
    save_file(
        {"bad": bad, "good": np.random.default_rng(3).normal(size=(20, 30)).astype(dtype)}, tmp_path / "w.safetensors"
    )
    ds = measure(tmp_path / "w.safetensors").set_index(layer="layer")
    assert str(ds.sel(layer="good").status.values) == "ok"
    row = ds.sel(layer="bad")
    assert str(row.status.values) == "invalid"
    counts = (2, 0) if np.isnan(value) else (0, 2)
    assert "{} NaN and {} infinite entries, the first at index (3, 4)".format(*counts) in str(row.reason.values)
    assert int(row.rank_count) == 0
    assert np.isnan(row.eigenvalue.values).all()


def test_overflowing_squares_are_invalid():
    ds = measure({"w": np.random.default_rng(4).normal(size=(20, 20)) * 1e200})
    assert ds.status.values.tolist() == ["invalid"]
    assert "overflow" in str(ds.reason.values[0])


def test_a_source_without_tensors():
    with pytest.raises(InputError, match="no tensor in it"):
        measure({})


def test_an_archive_without_tensors(tmp_path):
    with zipfile.ZipFile(tmp_path / "empty.npz", "w"):
        pass
    refuse(tmp_path / "empty.npz", FormatError, "there is no tensor in it")


def test_a_file_without_a_matrix_still_has_rows(tmp_path):
    np.savez(
        tmp_path / "w.npz", a=np.ones((1, 50)), b=np.ones((50, 1)), c=np.ones(4), d=np.array(2.0), e=np.array(["x"])
    )
    ds = measure(tmp_path / "w.npz")
    assert set(ds.status.values.tolist()) == {"skipped"}
    assert ds.reason.values.tolist() == [
        "a 1 x 50 matrix has one singular value only",
        "a 50 x 1 matrix has one singular value only",
        "a vector, not a matrix",
        "a scalar, not a matrix",
        "number type str32 holds no real numbers",
    ]


def test_resource_limits_are_measured_in_kilobytes():
    # the memory tests rely on this unit
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 10_000

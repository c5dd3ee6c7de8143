"""Every format gives back the same tensors, one at a time."""

import json
import zipfile

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from sdespec.core.errors import InputError, UsageError
from sdespec.networks import measure, read_tensors

TYPES = [np.float64, np.float32, np.float16, ml_dtypes.bfloat16]


def tensors(dtype=np.float32):
    rng = np.random.default_rng(0)
    return {
        "fc.weight": rng.normal(size=(24, 16)).astype(dtype),
        "fc.bias": rng.normal(size=16).astype(dtype),
        "head.weight": rng.normal(size=(10, 24)).astype(dtype),
        "scalar": np.asarray(rng.normal()).astype(dtype),
    }


def assert_same(found, expected):
    assert sorted(tensor.name for tensor in found) == sorted(expected)
    for tensor in found:
        array = tensor.read()
        wanted = expected[tensor.name]
        assert (tensor.shape, tensor.dtype, tensor.size) == (wanted.shape, wanted.dtype.name, wanted.size)
        assert array.dtype == wanted.dtype
        assert array.shape == wanted.shape
        assert array.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("dtype", TYPES)
def test_safetensors_round_trip(tmp_path, dtype):
    expected = tensors(dtype)
    save_file(expected, tmp_path / "model.safetensors", metadata={"format": "np"})
    assert_same(read_tensors(tmp_path / "model.safetensors"), expected)


@pytest.mark.parametrize("dtype", TYPES[:3])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_round_trip(tmp_path, dtype, save):
    expected = tensors(dtype)
    save(tmp_path / "model.npz", **expected)
    assert_same(read_tensors(str(tmp_path / "model.npz")), expected)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f8", ">f4"])
def test_npy_and_npz_keep_order_and_endianness(tmp_path, order, dtype):
    expected = np.asarray(tensors()["fc.weight"].astype(dtype), order=order)
    np.save(tmp_path / "w.npy", expected)
    np.savez(tmp_path / "w.npz", w=expected)
    for name in ("w.npy", "w.npz"):
        (tensor,) = read_tensors(tmp_path / name)
        assert np.array_equal(tensor.read(), expected)
        assert tensor.dtype == expected.dtype.name
        assert measure(tmp_path / name).status.values.tolist() == ["ok"]


@pytest.mark.parametrize("dtype", TYPES)
def test_spectra_are_those_of_the_decoded_values(tmp_path, dtype):
    matrix = np.random.default_rng(1).normal(size=(60, 40)).astype(dtype)
    save_file({"w": matrix}, tmp_path / "w.safetensors")
    ds = measure(tmp_path / "w.safetensors")
    expected = np.linalg.svd(matrix.astype(np.float64), compute_uv=False) ** 2
    np.testing.assert_allclose(ds.eigenvalue.values[0], expected, rtol=1e-9)
    assert str(ds.tensor_dtype.values[0]) == np.dtype(dtype).name


def write_raw_safetensors(path, entries):
    """Write types that the safetensors package cannot take from NumPy."""
    header, data = {}, b""
    for name, (code, array) in entries.items():
        raw = array.tobytes()
        header[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def test_float8_is_decoded_only_where_no_scale_belongs_to_it(tmp_path):
    values = np.random.default_rng(2).normal(size=(30, 20)).astype(ml_dtypes.float8_e4m3fn)
    scaled = {"b.weight": ("F8_E4M3", -values), "b.weight_scale_inv": ("F32", np.ones((1, 1), np.float32))}
    write_raw_safetensors(tmp_path / "w.safetensors", {"a.weight": ("F8_E4M3", values), **scaled})
    ds = measure(tmp_path / "w.safetensors")
    status = dict(zip(ds.layer.values.tolist(), ds.status.values.tolist(), strict=True))
    assert status == {"a.weight": "ok", "b.weight": "skipped", "b.weight_scale_inv": "skipped"}
    expected = np.linalg.svd(values.astype(np.float64), compute_uv=False) ** 2
    np.testing.assert_allclose(ds.sel(layer="a.weight").eigenvalue, expected, rtol=1e-9)
    assert "scales" in str(ds.sel(layer="b.weight").reason.values)


def test_types_without_a_decoder_are_skipped(tmp_path):
    write_raw_safetensors(tmp_path / "w.safetensors", {"w": ("F8_E8M0", np.zeros((9, 9), np.uint8))})
    ds = measure(tmp_path / "w.safetensors")
    assert str(ds.reason.values[0]) == "number type F8_E8M0 cannot be decoded"


def write_shards(folder, *, suffix=".safetensors"):
    expected = tensors()
    first = {name: expected[name] for name in ("fc.weight", "fc.bias")}
    second = {name: expected[name] for name in ("head.weight", "scalar")}
    save_file(first, folder / f"model-00001-of-00002{suffix}")
    save_file(second, folder / f"model-00002-of-00002{suffix}")
    weight_map = {name: f"model-0000{1 + (name in second)}-of-00002{suffix}" for name in expected}
    (folder / f"model{suffix}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return expected


def test_shards_by_folder_and_by_index(tmp_path):
    expected = write_shards(tmp_path)
    assert_same(read_tensors(tmp_path), expected)
    assert_same(read_tensors(tmp_path / "model.safetensors.index.json"), expected)


def test_a_folder_with_one_checkpoint_and_its_companions(tmp_path):
    expected = tensors()
    save_file(expected, tmp_path / "model.safetensors")
    (tmp_path / "optimizer.pt").write_bytes(b"never opened")
    (tmp_path / "training_args.bin").write_bytes(b"never opened")
    (tmp_path / "config.json").write_text("{}")
    assert_same(read_tensors(tmp_path), expected)


def test_content_decides_over_the_suffix(tmp_path):
    expected = tensors()
    save_file(expected, tmp_path / "weights.dat")
    assert_same(read_tensors(tmp_path / "weights.dat"), expected)
    np.savez(tmp_path / "model.npz", **expected)
    (tmp_path / "model.npz").rename(tmp_path / "model.bin")
    assert_same(read_tensors(tmp_path / "model.bin"), expected)


def test_other_members_of_an_npz_are_left_alone(tmp_path):
    np.savez(tmp_path / "model.npz", w=np.eye(3))
    with zipfile.ZipFile(tmp_path / "model.npz", "a") as archive:
        archive.writestr("README.txt", "text")
    assert [tensor.name for tensor in read_tensors(tmp_path / "model.npz")] == ["w"]


def test_sources_in_memory():
    nested = {"a": {"b": np.eye(3), "c": [np.zeros(2), np.ones(2)]}, "d": [[1.0, 2.0], [3.0, 4.0]], "epoch": 3}
    assert [(tensor.name, tensor.shape) for tensor in read_tensors(nested)] == [
        ("a.b", (3, 3)),
        ("a.c.0", (2,)),
        ("a.c.1", (2,)),
        ("d", (2, 2)),
        ("epoch", ()),
    ]
    assert [tensor.name for tensor in read_tensors(np.eye(3))] == ["matrix"]
    assert [tensor.shape for tensor in read_tensors([[1.0, 2.0]])] == [(1, 2)]


def test_sources_in_memory_that_make_no_sense():
    with pytest.raises(UsageError, match="cannot measure a int"):
        read_tensors(3)
    with pytest.raises(InputError, match="two tensors have this name") as caught:
        read_tensors({"a": {"b": np.eye(3)}, "a.b": np.eye(3)})
    assert caught.value.tensor == "a.b"


def test_nothing_but_the_header_is_read_before_it_is_asked_for(tmp_path):
    np.savez(tmp_path / "model.npz", w=np.eye(30))
    tensor = read_tensors(tmp_path / "model.npz")[0]
    assert np.array_equal(tensor.read(), tensor.read())
    (tmp_path / "model.npz").unlink()
    with pytest.raises(FileNotFoundError):
        tensor.read()

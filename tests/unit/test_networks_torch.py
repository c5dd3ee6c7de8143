"""PyTorch checkpoints and modules; torch is imported inside the tests."""

import argparse
import collections
import pathlib
import pickle
import types
import warnings

import numpy as np
import pytest

import sdespec as sd
from sdespec.core.errors import FormatError, UnsafeFileError
from sdespec.networks import read_tensors

pytestmark = pytest.mark.torch


def module(bias=True):
    import torch

    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(20, 30, bias=bias), torch.nn.BatchNorm1d(30), torch.nn.Linear(30, 12))


def assert_same(found, state):
    arrays = {tensor.name: tensor.read() for tensor in found}
    assert arrays.keys() == state.keys()
    for name, tensor in state.items():
        assert np.array_equal(arrays[name], tensor.detach().numpy())


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt", ".pth.tar"])
def test_state_dict_round_trip(tmp_path, zipped, suffix):
    import torch

    state = module().state_dict()
    torch.save(state, tmp_path / f"model{suffix}", _use_new_zipfile_serialization=zipped)
    assert_same(read_tensors(tmp_path / f"model{suffix}"), state)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16", "float8_e4m3fn"])
def test_spectra_are_those_of_the_decoded_values(tmp_path, dtype):
    import torch

    matrix = torch.randn(40, 30, generator=torch.Generator().manual_seed(1)).to(getattr(torch, dtype))
    torch.save({"w": matrix, "turned": matrix.T[:20]}, tmp_path / "w.pt")
    ds = sd.measure(tmp_path / "w.pt")
    for name, expected in (("w", matrix), ("turned", matrix.T[:20])):
        values = np.linalg.svd(expected.to(torch.float64).numpy(), compute_uv=False) ** 2
        row = ds.sel(layer=name)
        np.testing.assert_allclose(row.eigenvalue.values[: int(row.rank_count)], values, rtol=1e-9)
        assert str(row.tensor_dtype.values) == dtype


def test_nested_state_with_options_and_optimiser(tmp_path):
    import torch

    net = module()
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(4, 20)).sum().backward()
    optimizer.step()
    checkpoint = {
        "model_state": net.state_dict(),
        "optimizer_state": optimizer.state_dict(),
        "args": argparse.Namespace(lr=0.1),
        "options": types.SimpleNamespace(width=3),
        "loss": np.float64(0.5),
        "count": np.int64(3),
        "folder": pathlib.PosixPath("run"),
        "history": collections.OrderedDict(train=[0.5, 0.25]),
        "epoch": 3,
    }
    torch.save(checkpoint, tmp_path / "model.pt")
    ds = sd.measure(tmp_path / "model.pt", null="none")
    ok = ds.layer.values[ds.status.values == "ok"].tolist()
    assert ok == ["0.weight", "2.weight"]
    moments = [str(name) for name in ds.layer.values if "exp_avg" in str(name)]
    assert len(moments) == 12
    assert all(name.startswith("optimizer_state.state.") for name in moments)
    assert set(ds.role.sel(layer=moments).values.tolist()) == {"optimizer"}


def test_two_networks_in_one_file_keep_their_prefixes(tmp_path):
    import torch

    torch.save({"model": module().state_dict(), "net": module().state_dict()}, tmp_path / "gan.pt")
    names = [tensor.name for tensor in read_tensors(tmp_path / "gan.pt")]
    assert len(set(names)) == len(names) == 2 * len(module().state_dict())
    assert {name.split(".")[0] for name in names} == {"model", "net"}


def test_a_module_and_its_buffers():
    import torch

    net = module()
    net.register_buffer("table", torch.randn(20, 20))
    ds = sd.measure(net, null="none")
    assert ds.layer.values[ds.status.values == "ok"].tolist() == ["0.weight", "2.weight"]
    assert str(ds.reason.sel(layer="table").values) == "a buffer, not a trained weight"
    assert ds.at_initialization.sel(layer=["0.weight"]).values.tolist() == ["no"]  # 600 entries are too few
    big = sd.measure(torch.nn.Linear(100, 40))
    assert big.at_initialization.sel(layer="weight").item() == "uniform"


def test_default_initial_laws_are_recognised():
    import torch

    torch.manual_seed(1)
    net = torch.nn.ModuleDict(
        {
            "linear": torch.nn.Linear(128, 64),
            "conv": torch.nn.Conv2d(32, 64, 3),
            "lstm": torch.nn.LSTM(48, 64),
            "gru": torch.nn.GRU(48, 64),
            "attention": torch.nn.MultiheadAttention(64, 4),
            "embedding": torch.nn.Embedding(100, 64),
        }
    )
    ds = sd.measure(net, null="none")
    found = {
        str(name): str(law)
        for name, law, status in zip(ds.layer.values, ds.at_initialization.values, ds.status.values, strict=True)
        if status == "ok"
    }
    assert len(found) == 1 + 1 + 8 + 6 + 4 + 1
    assert {name for name, law in found.items() if law == "normal"} == {"embedding.weight"}
    assert {name for name, law in found.items() if law == "no"} == set()


def test_tied_parameters_are_measured_once(tmp_path):
    import torch

    net = torch.nn.ModuleDict({"emb": torch.nn.Embedding(30, 16), "head": torch.nn.Linear(16, 30, bias=False)})
    net["head"].weight = net["emb"].weight
    torch.save(net.state_dict(), tmp_path / "tied.pt")
    for source in (net, tmp_path / "tied.pt"):
        ds = sd.measure(source)
        assert ds.reason.values.tolist() == ["", "tied to emb.weight"]


def test_tensors_that_cannot_be_measured_have_a_reason():
    import torch

    source = {
        "sparse": torch.eye(20).to_sparse(),
        "meta": torch.empty(20, 20, device="meta"),
        "conj": torch.randn(20, 20, dtype=torch.complex64).conj(),
        "grad": torch.nn.Parameter(torch.randn(20, 20)),
    }
    ds = sd.measure(source)
    reasons = dict(zip(ds.layer.values.tolist(), ds.reason.values.tolist(), strict=True))
    assert "sparse" in reasons["sparse"]
    assert "meta device" in reasons["meta"]
    assert "complex" in reasons["conj"]
    assert reasons["grad"] == ""


class RunsCode:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        import os

        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_code_in_a_checkpoint_never_runs(tmp_path, zipped):
    import torch

    path = tmp_path / "evil.pt"
    torch.save({"w": torch.eye(20), "x": RunsCode(tmp_path / "ran")}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UnsafeFileError, match=r"posix\.mkdir") as caught:
        sd.measure(path)
    assert str(path) in str(caught.value)
    assert not (tmp_path / "ran").exists()
    torch.load(path, weights_only=False)  # the planted code does run where a pickle is loaded
    assert (tmp_path / "ran").exists()


def test_whole_modules_and_programs_are_refused(tmp_path):
    import torch

    torch.save(module(), tmp_path / "module.pt")
    with pytest.raises(UnsafeFileError, match="not plain tensors"):
        sd.measure(tmp_path / "module.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # new versions of torch deprecate the format, whose files stay
        torch.jit.save(torch.jit.trace(torch.nn.Linear(4, 4), torch.ones(1, 4)), tmp_path / "program.pt")
    with pytest.raises(UnsafeFileError, match="TorchScript"):
        sd.measure(tmp_path / "program.pt")


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("kept", [30, 300, -40])
def test_truncated_checkpoints(tmp_path, zipped, kept):
    import torch

    torch.save(module().state_dict(), tmp_path / "whole.pt", _use_new_zipfile_serialization=zipped)
    path = tmp_path / "cut.pt"
    path.write_bytes((tmp_path / "whole.pt").read_bytes()[:kept])
    with pytest.raises(FormatError, match=r"cut\.pt") as caught:
        sd.measure(path)
    assert type(caught.value) is FormatError


def test_a_pickle_that_is_no_checkpoint(tmp_path):
    (tmp_path / "data.pkl").write_bytes(pickle.dumps({"a": [1, 2]}, protocol=2))
    with pytest.raises(FormatError, match="not a sound PyTorch checkpoint"):
        sd.measure(tmp_path / "data.pkl")


def test_a_checkpoint_without_tensors(tmp_path):
    import torch

    torch.save({"epoch": 3}, tmp_path / "empty.pt")
    with pytest.raises(FormatError, match="there is no tensor in it"):
        sd.measure(tmp_path / "empty.pt")

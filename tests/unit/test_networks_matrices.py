"""Which matrices a tensor holds, by its name and shape."""

import numpy as np
import pytest

from sdespec.core.linalg import eigenvalues
from sdespec.networks import Tensor, measure, parts_of, read_tensors


def values(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def rows(source, **options):
    """Row name -> dataset of that row, without nulls."""
    ds = measure(source, null="none", **options)
    return {str(name): ds.isel(layer=i) for i, name in enumerate(ds.layer.values)}


def spectrum(row):
    return row.eigenvalue.values[: int(row.rank_count)]


def assert_spectra(found, expected):
    assert list(found) == list(expected)
    for name, matrix in expected.items():
        assert str(found[name].status.values) == "ok", str(found[name].reason.values)
        assert (int(found[name].n_rows), int(found[name].n_cols)) == matrix.shape
        np.testing.assert_allclose(spectrum(found[name]), eigenvalues(matrix), rtol=1e-9)


@pytest.mark.parametrize("stem", ["lstm.weight_{}_l0", "encoder.weight_{}_l1_reverse", "cell.weight_{}", "enc_w_{}"])
@pytest.mark.parametrize(("gates", "labels"), [(4, "ifgo"), (3, "rzn")])
def test_gates_are_split_in_the_order_of_torch(stem, gates, labels):
    inner, outer = values(gates * 16, 12), values(gates * 16, 16)
    source = {stem.format("ih"): inner, stem.format("hh"): outer}
    found = rows(source)
    blocks = {
        f"{name}[{label}]": matrix[16 * index : 16 * (index + 1)]
        for name, matrix in source.items()
        for index, label in enumerate(labels)
    }
    assert_spectra(found, blocks)
    assert {str(row.role.values) for row in found.values()} == {"gate"}
    assert_spectra(rows(source, fused="keep"), source)


def test_gates_of_an_lstm_with_a_projection():
    source = {
        "l.weight_ih_l0": values(64, 20),
        "l.weight_hh_l0": values(64, 8),
        "l.weight_hr_l0": values(8, 16),
    }
    assert len(rows(source)) == 4 + 4 + 1


def test_a_plain_recurrent_network_has_no_gates():
    source = {"rnn.weight_ih_l0": values(16, 12), "rnn.weight_hh_l0": values(16, 16)}
    assert_spectra(rows(source), source)


def test_gates_without_their_companion_are_kept_whole():
    source = {"rnn.weight_ih_l0": values(48, 12)}
    assert_spectra(rows(source), source)


@pytest.mark.parametrize(
    "name",
    ["mha.in_proj_weight", "blocks.0.attn.qkv.weight", "h.0.attn.c_attn.weight", "mixer.Wqkv.weight", "to_qkv.weight"],
)
@pytest.mark.parametrize("columns", [False, True])
def test_q_k_v_are_split_along_the_long_side(name, columns):
    matrix = values(16, 48) if columns else values(48, 16)
    blocks = np.split(matrix, 3, axis=1 if columns else 0)
    found = rows({name: matrix})
    assert_spectra(found, {f"{name}[{label}]": block for label, block in zip("qkv", blocks, strict=True)})
    assert {str(row.role.values) for row in found.values()} == {"projection"}
    assert {str(row.tensor.values) for row in found.values()} == {name}
    assert_spectra(rows({name: matrix}, fused="keep"), {name: matrix})


def test_other_fused_projections():
    kv, gate_up = values(32, 16), values(60, 16)
    found = rows({"to_kv.weight": kv, "mlp.gate_up_proj.weight": gate_up})
    expected = {"to_kv.weight[k]": kv[:16], "to_kv.weight[v]": kv[16:]}
    gate = {"mlp.gate_up_proj.weight[gate]": gate_up[:30], "mlp.gate_up_proj.weight[up]": gate_up[30:]}
    assert_spectra(found, expected | gate)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("attn.qkv.weight", (40, 16)), ("attn.query_key_value.weight", (48, 16)), ("fc.weight", (48, 16))],
    ids=["grouped queries", "interleaved heads", "no projection"],
)
def test_what_cannot_be_split_honestly_is_kept_whole(name, shape):
    source = {name: values(*shape)}
    assert_spectra(rows(source), source)


@pytest.mark.parametrize("shape", [(10, 9, 3), (10, 9, 3, 3), (10, 9, 2, 2, 2)])
def test_convolutions(shape):
    kernel = values(*shape)
    found = rows({"conv.weight": kernel})
    assert_spectra(found, {"conv.weight": kernel.reshape(10, -1)})
    assert str(found["conv.weight"].role.values) == "convolution"
    slices = {
        f"conv.weight[{','.join(map(str, place))}]": kernel[(slice(None), slice(None), *place)]
        for place in np.ndindex(*shape[2:])
    }
    assert_spectra(rows({"conv.weight": kernel}, conv="slices"), slices)


def test_one_by_one_convolutions_are_plain_matrices():
    kernel = values(10, 9, 1, 1)
    for conv in ("flatten", "slices"):
        assert_spectra(rows({"conv.weight": kernel}, conv=conv), {"conv.weight": kernel[:, :, 0, 0]})


def test_kernels_of_keras_and_flax_have_their_outputs_last():
    dense, kernel = values(12, 20), values(3, 3, 9, 10)
    found = rows({"dense.kernel": dense, "conv.kernel": kernel})
    outputs_first = np.moveaxis(kernel, (-1, -2), (0, 1))
    assert_spectra(found, {"dense.kernel": dense.T, "conv.kernel": outputs_first.reshape(10, -1)})
    sliced = rows({"conv.kernel": kernel}, conv="slices")
    np.testing.assert_allclose(spectrum(sliced["conv.kernel[1,2]"]), eigenvalues(kernel[1, 2]), rtol=1e-9)


def test_experts_are_measured_apart():
    stack = values(3, 10, 12)
    expected = {f"moe.experts.down_proj[{i}]": stack[i] for i in range(3)}
    assert_spectra(rows({"moe.experts.down_proj": stack}), expected)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("wte.weight", (30, 12)),
        ("embeddings.word_embeddings.weight", (30, 12)),
        ("enc_emb", (30, 12)),
        ("pos_embed", (1, 30, 12)),
        ("embed_tokens.weight", (30, 12)),
        ("model.shared.weight", (30, 12)),
    ],
)
def test_embeddings_are_measured_under_their_role(name, shape):
    found = rows({name: values(*shape)})
    assert_spectra(found, {name: values(*shape).reshape(30, 12)})
    assert str(found[name].role.values) == "embedding"


@pytest.mark.parametrize(
    "name", ["embeddings.LayerNorm.weight", "patch_embed.proj.weight", "member.weight", "lm_head.weight"]
)
def test_what_is_no_embedding(name):
    assert str(rows({name: values(12, 12)})[name].role.values) == "weight"


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "role", "reason"),
    [
        ("optimizer_state.state.0.exp_avg", (20, 20), "f4", "optimizer", "state of an optimiser"),
        ("optimizer.state.1.exp_avg_sq", (20, 20), "f4", "optimizer", "state of an optimiser"),
        ("last_optimizer_state.0.momentum_buffer", (400,), "f4", "optimizer", "state of an optimiser"),
        ("fc.weight.exp_avg", (20, 20), "f4", "optimizer", "state of an optimiser"),
        ("dense/kernel/Adam_1", (20, 20), "f4", "optimizer", "state of an optimiser"),
        ("bn.running_mean", (20,), "f4", "buffer", "a buffer, not a trained weight"),
        ("bn.num_batches_tracked", (), "i8", "buffer", "a buffer, not a trained weight"),
        ("embeddings.position_ids", (1, 512), "i8", "buffer", "a buffer, not a trained weight"),
        ("h.0.attn.bias", (1, 1, 32, 32), "f4", "buffer", "a buffer, not a trained weight"),
        ("attn.causal_mask", (32, 32), "f4", "buffer", "a buffer, not a trained weight"),
        ("stft_conv.weight", (258, 1, 256), "f4", "buffer", "a buffer, not a trained weight"),
        ("layer.qweight", (20, 20), "i4", "buffer", "part of a quantised weight, which is not decoded"),
        ("layer.scales", (20, 20), "f2", "buffer", "part of a quantised weight, which is not decoded"),
        ("table", (20, 20), "i4", "buffer", "integers or flags (int32), not weights"),
        ("flags", (20, 20), "?", "buffer", "integers or flags (bool), not weights"),
        ("fft", (20, 20), "c8", "weight", "complex numbers (complex64); spectra of real matrices only"),
        ("fc.bias", (20,), "f4", "vector", "a vector, not a matrix"),
        ("scale", (), "f4", "vector", "a scalar, not a matrix"),
        ("cls_token", (1, 1, 20), "f4", "weight", "a 1 x 20 matrix has one singular value only"),
        ("fc.weight", (1, 20), "f4", "weight", "a 1 x 20 matrix has one singular value only"),
        ("fc.weight", (20, 1), "f4", "weight", "a 20 x 1 matrix has one singular value only"),
        ("fc.weight", (7, 20), "f4", "weight", "smaller side 7 < minimum_side=8"),
        ("fc.weight", (0, 20), "f4", "weight", "empty"),
        ("big", (2, 2, 2, 2, 2, 2), "f4", "weight", "6 dimensions; no rule makes a matrix of them"),
    ],
)
def test_what_is_skipped_says_why(name, shape, dtype, role, reason):
    array = (values(*shape) * 10).astype(dtype)
    row = rows({name: array})[name]
    assert str(row.status.values) == "skipped"
    assert str(row.reason.values) == reason
    assert str(row.role.values) == role
    assert str(row.tensor_shape.values) == (" x ".join(map(str, shape)) or "scalar")
    assert int(row.rank_count) == 0
    assert np.isnan(row.eigenvalue.values).all()
    assert str(row.at_initialization.values) == ""


@pytest.mark.parametrize(("value", "text"), [(0.0, "0"), (0.5, "0.5")])
def test_constant_matrices(value, text):
    found = rows({"a": np.full((9, 9), value), "b": np.full((9, 9), value)})
    assert [str(row.reason.values) for row in found.values()] == [f"all entries equal {text}"] * 2


def test_tied_tensors_are_measured_once():
    matrix = values(12, 12)
    other = matrix.copy()
    other[0, 0] += 1e-12
    found = rows(
        {"emb": matrix, "head": matrix.copy(), "again": matrix, "near": other, "turned": matrix.reshape(9, 16)}
    )
    reasons = {name: str(row.reason.values) for name, row in found.items()}
    assert reasons == {"emb": "", "head": "tied to emb", "again": "tied to emb", "near": "", "turned": ""}


def test_names_of_rows_are_unique():
    source = {"c_attn.weight": values(48, 16), "c_attn.weight[q]": values(16, 16)}
    parts = parts_of(read_tensors(source), conv="flatten", fused="split")
    names = [part.layer for part in parts]
    assert len(set(names)) == len(names) == 4
    assert "c_attn.weight[q]" in names


def test_a_tensor_is_read_once_for_all_its_blocks():
    calls = []

    def read():
        calls.append(1)
        return values(48, 16)

    tensor = Tensor("c_attn.weight", (48, 16), "float64", read)
    assert len(parts_of([tensor], conv="flatten", fused="split")) == 3
    assert calls == []
    assert np.array_equal(parts_of([tensor], conv="flatten", fused="split")[1].take(read()), values(48, 16)[16:32])

"""The verb: rows, options, reproducibility, memory."""

import json
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import xarray as xr
from safetensors.numpy import save_file

import sdespec as sd
from sdespec.core.errors import UsageError
from sdespec.core.linalg import eigenvalues
from sdespec.spectra import entry_statistics, gaussian_null, shuffled_null


def source():
    rng = np.random.default_rng(0)
    return {
        "fc1.weight": rng.normal(size=(30, 20)),
        "fc1.bias": np.zeros(30),
        "attn.qkv.weight": rng.normal(size=(36, 12)).astype(np.float32),
        "fc2.weight": rng.uniform(-1, 1, size=(10, 150)) / np.sqrt(150),
    }


def test_the_schema_is_kept_and_every_value_is_right():
    weights = source()
    ds = sd.measure(weights, null_draws=2, seed=7)
    assert sd.validate(ds) is ds
    assert ds.sizes == {"layer": 6, "null_draw": 2, "rank": 20}
    assert ds.layer.values.tolist() == [
        "fc1.weight", "fc1.bias", "attn.qkv.weight[q]", "attn.qkv.weight[k]", "attn.qkv.weight[v]", "fc2.weight",
    ]  # fmt: skip
    for name, matrix in (
        ("fc1.weight", weights["fc1.weight"]),
        ("attn.qkv.weight[k]", weights["attn.qkv.weight"][12:24]),
    ):
        row = ds.sel(layer=name)
        count = int(row.rank_count)
        stats = entry_statistics(matrix)
        assert np.array_equal(row.eigenvalue.values[:count], eigenvalues(matrix))
        assert np.array_equal(row.null_eigenvalue.values[:, :count], shuffled_null(matrix, draws=2, seed=7, name=name))
        found = [float(row[f"entry_{key}"]) for key in ("mean", "variance", "kurtosis", "max_abs")]
        assert found == [stats.mean, stats.variance, stats.kurtosis, stats.max_abs]
    assert ds.at_initialization.values.tolist() == ["no", "", "no", "no", "no", "uniform"]
    assert ds.matrix.values.tolist() == ["W"] * 6


def test_the_arrays_of_the_user_stay_as_they_are():
    weights = source()
    before = {name: array.copy() for name, array in weights.items()}
    sd.measure(weights, null_draws=3)
    assert all(np.array_equal(weights[name], before[name]) for name in weights)


def test_null_depends_on_seed_name_and_draw_only():
    weights = source()
    one, two = sd.measure(weights, seed=1), sd.measure(weights, seed=1, null_draws=2)
    alone = sd.measure({"fc2.weight": weights["fc2.weight"]}, seed=1)
    assert np.array_equal(one.null_eigenvalue[:, 0], two.null_eigenvalue[:, 0], equal_nan=True)
    assert np.array_equal(alone.null_eigenvalue.values[0, 0], one.null_eigenvalue.values[-1, 0, :10])
    other = sd.measure(weights, seed=2)
    assert not np.array_equal(other.null_eigenvalue, one.null_eigenvalue, equal_nan=True)
    assert np.array_equal(other.eigenvalue, one.eigenvalue, equal_nan=True)


def test_gaussian_and_no_null():
    matrix = np.random.default_rng(1).normal(0.5, 1.0, size=(20, 30))
    ds = sd.measure({"w": matrix}, null="gaussian", null_draws=3, seed=4)
    expected = gaussian_null(20, 30, float(np.mean(matrix**2)), draws=3, seed=4, name="w")
    np.testing.assert_allclose(ds.null_eigenvalue.values[0], expected, rtol=1e-12)
    assert "null_eigenvalue" not in sd.measure({"w": matrix}, null="none")


def test_include_and_exclude_leave_a_row_with_the_reason():
    def status(**options):
        ds = sd.measure(source(), null="none", **options)
        return dict(zip(ds.layer.values.tolist(), ds.reason.values.tolist(), strict=True))

    reasons = status(include="fc*.weight")
    assert [name for name, reason in reasons.items() if not reason] == ["fc1.weight", "fc2.weight"]
    assert reasons["attn.qkv.weight[q]"] == "excluded by include=fc*.weight"
    reasons = status(exclude=["fc1.*", "*[[]v]"])
    assert [name for name, reason in reasons.items() if not reason] == [
        "attn.qkv.weight[q]", "attn.qkv.weight[k]", "fc2.weight",
    ]  # fmt: skip
    assert reasons["attn.qkv.weight[v]"] == "excluded by exclude=*[[]v]"
    assert [name for name, r in status(include=["attn.qkv.weight[k]"]).items() if not r] == ["attn.qkv.weight[k]"]


def test_max_bytes_and_minimum_side():
    ds = sd.measure(source(), null="none", max_bytes=8 * 600, minimum_side=13)
    reasons = dict(zip(ds.layer.values.tolist(), ds.reason.values.tolist(), strict=True))
    assert reasons["fc1.weight"] == ""
    assert reasons["fc2.weight"] == "smaller side 10 < minimum_side=13"
    assert "1.2e-05 GB in float64, more than max_bytes=4800" in sd.measure(source(), max_bytes=4800).reason.values


def test_directions_give_alignments():
    weights = source()
    top = np.linalg.svd(weights["fc1.weight"])[2][0]
    ds = sd.measure(
        weights, directions={"fc1.weight": {"top": top, "left": np.ones(30)}, "fc2.weight": {"top": np.ones(10)}}
    )
    assert ds.alignment.dims == ("layer", "direction", "mode")
    np.testing.assert_allclose(ds.alignment.sel(layer="fc1.weight", direction="top").values[:2], [1.0, 0.0], atol=1e-7)
    assert ds.alignment.sel(layer="fc2.weight", direction="left").isnull().all()
    assert ds.alignment.sel(layer="fc1.bias").isnull().all()
    with pytest.raises(UsageError, match=r"'fc9\.weight', which is not there"):
        sd.measure(weights, directions={"fc9.weight": {"top": top}})
    with pytest.raises(UsageError, match=r"needs length 20 \(right vectors\) or 30"):
        sd.measure(weights, directions={"fc1.weight": {"top": np.ones(7)}})


def test_progress_counts_every_row():
    calls = []
    sd.measure(source(), progress=lambda *call: calls.append(call))
    assert [done for done, _, _ in calls] == [1, 2, 3, 4, 5, 6]
    assert {total for _, total, _ in calls} == {6}
    assert calls[0][2] == "fc1.weight"


@pytest.mark.parametrize(
    "options",
    [
        {"conv": "fft"},
        {"fused": "maybe"},
        {"null": "iid"},
        {"null_draws": 0},
        {"minimum_side": 1},
        {"minimum_side": 8.5},
        {"max_bytes": 0},
        {"seed": -1},
        {"seed": 2**64},
        {"seed": True},
        {"include": [3]},
    ],
)
def test_options_that_are_not_allowed(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        sd.measure(source(), **options)


def test_the_result_survives_a_file_and_says_where_it_comes_from(tmp_path):
    folder = tmp_path / "private" / "folder"
    folder.mkdir(parents=True)
    save_file({"w": source()["fc1.weight"]}, folder / "model.safetensors")
    ds = sd.measure(folder / "model.safetensors", include=["w", "v*"], seed=5)
    sd.save(ds, tmp_path / "spectra.nc")
    assert sd.open(tmp_path / "spectra.nc").identical(ds)
    assert xr.load_dataset(tmp_path / "spectra.nc", engine="h5netcdf").attrs["file"] == "model.safetensors"
    expected = {"source": "measure", "conv": "flatten", "fused": "split", "null": "shuffled", "null_draws": 1}
    expected |= {"minimum_side": 8, "include": "w, v*", "exclude": "", "seed": 5, "max_bytes": 8 * 2**30}
    assert {key: ds.attrs[key] for key in expected} == expected
    call = json.loads(ds.attrs["provenance"])
    assert call["function"] == "sdespec.measure"
    assert call["arguments"]["source"]["file"] == "model.safetensors"
    assert len(call["arguments"]["source"]["sha256"]) == 64
    assert "private" not in ds.attrs["provenance"]


def test_a_file_without_matrices_survives_a_file(tmp_path):
    ds = sd.measure({"bias": np.zeros(4)})
    assert ds.sizes["rank"] == 1
    sd.save(ds, tmp_path / "spectra.nc")
    assert sd.open(tmp_path / "spectra.nc").identical(ds)


def test_a_file_and_its_arrays_give_the_same_numbers(tmp_path):
    np.savez(tmp_path / "model.npz", **source())
    from_file, in_memory = sd.measure(tmp_path / "model.npz"), sd.measure(source())
    xr.testing.assert_equal(from_file, in_memory)


def test_memory_in_python_is_bounded_by_the_largest_matrix():
    weights = {f"w{i}": np.random.default_rng(i).normal(size=(1200, 600)).astype(np.float32) for i in range(4)}
    largest = 8 * 1200 * 600
    sd.measure({"w": np.eye(9) + 1.0})  # imports
    tracemalloc.start()
    sd.measure(weights)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2.2 * largest


RSS = """
import resource, sys
import numpy as np
import sdespec as sd
sd.measure({"w": np.random.default_rng(0).normal(size=(700, 700))})  # imports, BLAS buffers
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
ds = sd.measure(sys.argv[1])
assert ds.status.values.tolist() == ["ok"] * 5, ds.reason.values
print(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))
"""


def test_memory_of_the_process_is_bounded_by_the_largest_matrix(tmp_path):
    """Five matrices, 94 MB in float64 all told: the process may grow by 3 times the largest, and 16 MB."""
    rng = np.random.default_rng(2)
    save_file({f"w{i}": rng.normal(size=(3000, 800)).astype(np.float32) for i in range(5)}, tmp_path / "w.safetensors")
    run = subprocess.run(
        [sys.executable, "-c", RSS, str(tmp_path / "w.safetensors")], capture_output=True, text=True, check=True
    )
    largest = 8 * 3000 * 800
    assert int(run.stdout) < 3 * largest + 16 * 2**20

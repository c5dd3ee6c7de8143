"""Folders of checkpoints at several steps."""

import numpy as np
import pytest
from safetensors.numpy import save_file

import sdespec as sd
from sdespec.core.errors import FormatError, UsageError
from sdespec.networks import find_steps, step_of


def weights(step, side=12):
    rng = np.random.default_rng(step)
    return {"fc.weight": rng.normal(size=(side, 20)), "fc.bias": rng.normal(size=side)}


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("step1000", 1000),
        ("step_0010.pt", 10),
        ("checkpoint-1160000", 1160000),
        ("ckpt_7.npz", 7),
        ("epoch=3-step=1000.ckpt", 1000),
        ("global_step500", 500),
        ("model-step-20.safetensors", 20),
        ("iter_0000100", 100),
        ("checkpoint_3_step_12.pth", 12),
        ("model.safetensors", None),
        ("epoch_3.pt", None),
        ("model-00001-of-00002.safetensors", None),
        ("footsteps3.npz", None),
    ],
)
def test_step_of_a_name(name, step):
    assert step_of(name) == step


@pytest.mark.parametrize("layout", ["folders", "npz", "safetensors"])
def test_steps_become_the_time_axis_in_numeric_order(tmp_path, layout):
    steps = [0, 200, 1000, 9000, 10000]
    for step in steps:
        if layout == "folders":
            (tmp_path / f"step{step}").mkdir()
            save_file(weights(step), tmp_path / f"step{step}" / "model.safetensors")
        elif layout == "npz":
            np.savez(tmp_path / f"step_{step}.npz", **weights(step))
        else:
            save_file(weights(step), tmp_path / f"checkpoint-{step}.safetensors")
    (tmp_path / "log.txt").write_text("step 3")
    ds = sd.measure(tmp_path, seed=1)
    assert sd.validate(ds) is ds
    assert ds.time.values.tolist() == steps
    assert ds.step.values.tolist() == steps
    assert ds.time.attrs["clock"] == "step"
    assert ds.eigenvalue.dims == ("layer", "time", "rank")
    assert ds.null_eigenvalue.dims == ("layer", "time", "null_draw", "rank")
    assert ds.status.dims == ("layer", "time")
    for index, step in enumerate(steps):
        alone = sd.measure(weights(step), seed=1)
        for name in ("eigenvalue", "null_eigenvalue"):
            found = ds[name].sel(layer="fc.weight").isel(time=index)
            assert np.array_equal(found, alone[name].sel(layer="fc.weight"))
    assert set(ds.status.sel(layer="fc.bias").values.tolist()) == {"skipped"}
    assert ds.attrs["file"] == tmp_path.name
    sd.save(ds, tmp_path / "spectra.nc")
    assert sd.open(tmp_path / "spectra.nc").identical(ds)


def test_ragged_sets_of_tensors(tmp_path):
    np.savez(tmp_path / "step1.npz", **weights(1))
    np.savez(tmp_path / "step2.npz", **weights(2), late=np.random.default_rng(0).normal(size=(9, 9)))
    np.savez(tmp_path / "step3.npz", **weights(3, side=10))
    bad = weights(4)
    bad["fc.weight"][0, 0] = np.nan
    np.savez(tmp_path / "step4.npz", **bad)
    ds = sd.measure(tmp_path)
    assert ds.layer.values.tolist() == ["fc.weight", "fc.bias", "late"]
    assert ds.status.sel(layer="fc.weight").values.tolist() == ["ok", "ok", "skipped", "invalid"]
    assert ds.status.sel(layer="late").values.tolist() == ["skipped", "ok", "skipped", "skipped"]
    assert ds.reason.sel(layer="late").values.tolist()[0] == "not in the checkpoint of step 1"
    assert ds.reason.sel(layer="fc.weight").values.tolist()[2] == "10 x 20 here, but 12 x 20 at first"
    assert ds.rank_count.sel(layer="fc.weight").values.tolist() == [12, 12, 0, 0]
    assert np.isnan(ds.eigenvalue.sel(layer="fc.weight").values[2:]).all()


def test_one_unreadable_checkpoint_costs_its_own_step_only(tmp_path):
    np.savez(tmp_path / "step1.npz", **weights(1))
    (tmp_path / "step2.npz").write_bytes((tmp_path / "step1.npz").read_bytes()[:-20])
    np.savez(tmp_path / "step3.npz", **weights(3))
    ds = sd.measure(tmp_path)
    assert ds.status.sel(layer="fc.weight").values.tolist() == ["ok", "invalid", "ok"]
    assert "step2.npz" in str(ds.reason.sel(layer="fc.weight").values[1])
    assert np.isnan(ds.eigenvalue.sel(layer="fc.weight").values[1]).all()
    for name in ("step1.npz", "step3.npz"):
        (tmp_path / name).unlink()
    with pytest.raises(FormatError, match=r"step2\.npz"):
        sd.measure(tmp_path)


def test_two_checkpoints_of_one_step(tmp_path):
    np.savez(tmp_path / "step1.npz", **weights(1))
    save_file(weights(1), tmp_path / "step_01.safetensors")
    with pytest.raises(UsageError, match="both of step 1"):
        sd.measure(tmp_path)


def test_progress_over_steps(tmp_path):
    for step in (1, 2, 3):
        np.savez(tmp_path / f"step{step}.npz", **weights(step))
    calls = []
    sd.measure(tmp_path, progress=lambda *call: calls.append(call))
    assert [done for done, _, _ in calls] == list(range(1, 7))
    assert {total for _, total, _ in calls} == {6}
    assert [step for step, _ in find_steps(tmp_path)] == [1, 2, 3]

"""Datasets survive the disk, and writing is all or nothing."""

import json
import os

import numpy as np
import pytest
import xarray as xr

import sdespec as sd
from sdespec.core import dataset
from sdespec.core.errors import FormatError, OutputError
from sdespec.core.provenance import digest, record


@pytest.fixture
def spectra():
    rng = np.random.default_rng(1)
    return sd.measure({"a": rng.normal(size=(60, 80)), "b": rng.normal(size=(9, 30)), "c": rng.normal(size=5)})


def test_round_trip_and_plain_xarray(spectra, tmp_path):
    fits = sd.fit(spectra, bootstrap=0)
    path = sd.save(fits, tmp_path / "fits.nc")
    assert sd.open(path).identical(fits)
    with xr.open_dataset(path) as plain:
        assert plain["eigenvalue"].attrs["units"] == "weight^2"
        assert str(plain["regime"].sel(layer="a").item()) == "random"
    assert [entry.name for entry in tmp_path.iterdir()] == ["fits.nc"]


def test_a_failed_write_leaves_the_old_file(spectra, tmp_path, monkeypatch):
    path = sd.save(spectra, tmp_path / "s.nc")
    before = path.read_bytes()

    def broken(self, name, **options):
        with open(name, "wb") as stream:
            stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", broken)
    with pytest.raises(OutputError, match="No space left"):
        sd.save(spectra, path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["s.nc"]


@pytest.mark.parametrize("target", ["", "missing/x.nc"])
def test_unwritable_targets(spectra, tmp_path, target):
    with pytest.raises(OutputError):
        sd.save(spectra, tmp_path / target)


def test_open_refuses_what_it_did_not_write(tmp_path):
    with pytest.raises(FormatError, match="no such file"):
        sd.open(tmp_path / "none.nc")
    (tmp_path / "text.nc").write_text("hello")
    with pytest.raises(FormatError, match="not a readable NetCDF-4"):
        sd.open(tmp_path / "text.nc")
    xr.Dataset({"x": 1.0}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(FormatError, match="sdespec_schema"):
        sd.open(tmp_path / "other.nc")


def test_a_truncated_result_is_refused(spectra, tmp_path):
    path = sd.save(spectra, tmp_path / "s.nc")
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(FormatError, match="not a readable NetCDF-4"):
        sd.open(path)


def test_written_files_have_ordinary_permissions(spectra, tmp_path):
    path = sd.save(spectra, tmp_path / "s.nc")
    plain = tmp_path / "plain"
    plain.write_text("")
    assert path.stat().st_mode == plain.stat().st_mode


def test_pad_of_nothing():
    values, counts = dataset.pad([])
    assert values.shape == (0, 0)
    assert counts.shape == (0,)


def test_provenance_describes_arrays_files_and_parents(spectra, tmp_path):
    file = tmp_path / "data.bin"
    file.write_bytes(b"abc")
    array = np.arange(3.0)
    text = record("sdespec.test", {"array": array, "file": file, "parent": spectra, "n": np.int64(3), "none": None})
    entry = json.loads(text)["arguments"]
    assert entry["array"] == {"shape": [3], "dtype": "float64", "sha256": digest(array)}
    assert entry["file"]["file"] == "data.bin"
    assert entry["file"]["sha256"].startswith("ba7816bf")
    assert entry["parent"]["dataset"]["function"] == "sdespec.measure"
    assert entry["n"] == 3
    assert entry["none"] is None
    assert str(tmp_path) not in text

"""Build, merge, save and open the Datasets that flow through sdespec."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from sdespec.core.errors import FormatError, InputError, OutputError
from sdespec.core.provenance import package_version
from sdespec.core.schema import DIMS, SCHEMA_VERSION, validate, variable_attrs

__all__ = ["build", "check_writable", "extend", "open_dataset", "pad", "refuse_swept", "save", "write_atomically"]

Entry = tuple[Sequence[str], Any] | tuple[Sequence[str], Any, Mapping[str, Any]]


def _data_array(name: str, entry: Entry) -> tuple[tuple[str, ...], np.ndarray, dict[str, Any]]:
    dims, values, *extra = entry
    array = np.asarray(values)
    if array.dtype.kind in "US":
        array = array.astype(object)  # fixed-width text would be cut short when merged, and is stored the same
    own = (dims,) if isinstance(dims, str) else tuple(dims)
    swept = own == (name,) and name not in DIMS  # a field of a sweep, which the schema does not know
    return own, array, ({} if swept else variable_attrs(name)) | dict(*extra)


def build(
    variables: Mapping[str, Entry],
    coords: Mapping[str, Entry],
    *,
    source: str,
    provenance: str,
    attrs: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Build a Dataset with the attributes of the registry, and validate it.

    Parameters
    ----------
    variables, coords : mapping
        From name to ``(dims, values)`` or ``(dims, values, attrs)``; the attributes are added to the registered ones.
    source : str
        What made it: ``"measure"``, ``"simulate"``, ``"predict"``, ...
    provenance : str
        JSON text of ``sdespec.core.provenance.record``.
    attrs : mapping, optional
        Further attributes; they must survive NetCDF.

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    SchemaError
        If it does not follow the schema.
    """
    ds = xr.Dataset(
        {name: _data_array(name, entry) for name, entry in variables.items()},
        coords={name: _data_array(name, entry) for name, entry in coords.items()},
        attrs={
            "sdespec_schema": SCHEMA_VERSION,
            "sdespec_version": package_version(),
            "source": source,
            "provenance": provenance,
            **(attrs or {}),
        },
    )
    return validate(ds)


def extend(
    ds: xr.Dataset,
    variables: Mapping[str, Entry],
    *,
    coords: Mapping[str, Entry] | None = None,
    provenance: str,
    attrs: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Return the Dataset with new variables; variables of the same name are replaced, the input is left alone.

    Parameters
    ----------
    ds : xarray.Dataset
        Result of an earlier verb.
    variables, coords : mapping
        From name to ``(dims, values)``.
    provenance : str
        Record of this call; it holds the record of ``ds`` as its argument.
    attrs : mapping, optional
        Further attributes.

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    SchemaError
        If the result does not follow the schema.
    """
    out = ds.drop_vars([name for name in variables if name in ds])
    used = {dim for array in out.data_vars.values() for dim in array.dims}
    out = out.drop_vars([name for name in (coords or {}) if name in out.coords and name not in used])
    out = out.assign_coords({name: _data_array(name, entry) for name, entry in (coords or {}).items()})
    out = out.assign({name: _data_array(name, entry) for name, entry in variables.items()})
    out.attrs = {**ds.attrs, **(attrs or {}), "provenance": provenance, "sdespec_version": package_version()}
    return validate(out)


def pad(spectra: Sequence[np.ndarray], length: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Stack spectra of unequal length, NaN at the end.

    Parameters
    ----------
    spectra : sequence of ndarray, each (k_i,)
        Values, largest first.
    length : int, optional
        Length of the padded axis; the longest by default.

    Returns
    -------
    values : ndarray, (len(spectra), length)
    counts : ndarray of int, (len(spectra),)
        How many of each row are real.

    Examples
    --------
    >>> pad([np.array([3.0, 1.0]), np.array([2.0])])
    (array([[ 3.,  1.],
           [ 2., nan]]), array([2, 1]))
    """
    counts = np.array([len(values) for values in spectra], dtype=np.int64)
    width = int(counts.max(initial=0)) if length is None else length
    out = np.full((len(spectra), width), np.nan)
    for row, values in zip(out, spectra, strict=True):
        row[: len(values)] = values
    return out, counts


def check_writable(path: str | os.PathLike[str]) -> Path:
    """Fail early where a file cannot be written.

    Parameters
    ----------
    path : path
        The file to be written later.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    OutputError
        If the folder does not exist or is not writable, or the path is a folder.
    """
    target = Path(path)
    if target.is_dir():
        raise OutputError(f"cannot write {target}: it is a folder; give the name of a file")
    if not target.parent.is_dir():
        raise OutputError(f"cannot write {target}: the folder {target.parent} does not exist; make it first")
    try:
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}; choose another place") from error
    return target


def write_atomically(path: str | os.PathLike[str], write: Any) -> Path:
    """Write to a temporary file beside the target and rename it into place, so nothing is ever half-written.

    Parameters
    ----------
    path : path
        The target.
    write : callable
        Called with the temporary path.

    Returns
    -------
    pathlib.Path
        The target.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    target = check_writable(path)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    os.close(handle)
    try:
        write(name)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)  # mkstemp makes it private
        os.replace(name, target)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        Path(name).unlink(missing_ok=True)
    return target


def save(ds: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Write a Dataset as NetCDF-4; the file appears whole or not at all.

    Parameters
    ----------
    ds : xarray.Dataset
        Any result of sdespec.
    path : path
        The file, customarily ending in ``.nc``.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    SchemaError
        If the Dataset does not follow the schema.
    OutputError
        If the file cannot be written.

    Examples
    --------
    >>> import sdespec as sd, numpy as np, tempfile, os
    >>> ds = sd.measure({"w": np.eye(10)})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = sd.save(ds, os.path.join(folder, "spectra.nc"))
    ...     sd.open(path).equals(ds)
    True
    """
    validate(ds)
    return write_atomically(path, lambda name: ds.to_netcdf(name, engine="h5netcdf"))


def open_dataset(path: str | os.PathLike[str]) -> xr.Dataset:
    """Open a Dataset that sdespec wrote, into memory.

    Parameters
    ----------
    path : path
        A NetCDF-4 file.

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    FormatError
        If the file is missing, is not NetCDF-4, or was not written by sdespec.
    SchemaError
        If its content does not follow the schema.
    """
    file = Path(path)
    if not file.exists():
        raise FormatError("no such file", file=str(file))
    try:
        ds = xr.load_dataset(file, engine="h5netcdf")
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise FormatError(f"not a readable NetCDF-4 file ({error})", file=str(file)) from error
    if "sdespec_schema" not in ds.attrs:
        raise FormatError("a NetCDF file, but not one that sdespec wrote (no attribute sdespec_schema)", file=str(file))
    return validate(ds)


def refuse_swept(data: xr.Dataset | xr.DataArray, what: str) -> None:
    """Raise an InputError where fields of a sweep are left; the message names them.

    Examples
    --------
    >>> refuse_swept(xr.DataArray([1.0], dims="time"), "the run")
    """
    swept = [str(dim) for dim in data.dims if dim not in DIMS]
    if swept:
        raise InputError(f"select one member of the sweep first: {what} still has the dims {', '.join(swept)}")

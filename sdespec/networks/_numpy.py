"""Tensors of .npy and .npz files; pickled objects are never read."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from sdespec.core.errors import FormatError, UnsafeFileError
from sdespec.networks._zip import checked_members, open_zip
from sdespec.networks.tensor import Tensor

__all__ = ["read_npy", "read_npz"]

_CHUNK = 1 << 20


def _header(stream: IO[bytes], path: Path, tensor: str | None) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type that a .npy stream declares; the stream is left at the first byte of data."""
    try:
        version = npy.read_magic(stream)
        if version == (1, 0):
            shape, fortran, dtype = npy.read_array_header_1_0(stream)
        elif version in ((2, 0), (3, 0)):
            shape, fortran, dtype = npy.read_array_header_2_0(stream)
        else:
            raise ValueError(f"version {version} is unknown")
    except (ValueError, EOFError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise FormatError(f"not a readable .npy header ({error})", file=str(path), tensor=tensor) from error
    if dtype.hasobject:
        raise UnsafeFileError(
            "an object array, which only a pickle can hold; pickles are never read. Save plain numbers instead",
            file=str(path),
            tensor=tensor,
        )
    if any(side < 0 for side in shape):
        raise FormatError(f"the header declares the shape {shape}", file=str(path), tensor=tensor)
    return shape, fortran, dtype


def _check_size(shape: tuple[int, ...], dtype: np.dtype[Any], held: int, path: Path, tensor: str | None) -> None:
    declared = math.prod(shape) * dtype.itemsize
    if declared != held:
        raise FormatError(
            f"the header declares {shape} {dtype}, that is {declared} bytes, but {held} are there; "
            "the file is truncated or its header lies",
            file=str(path),
            tensor=tensor,
        )


def read_npy(path: Path) -> tuple[Tensor, ...]:
    """The one array of a .npy file, memory-mapped."""
    with path.open("rb") as stream:
        shape, fortran, dtype = _header(stream, path, None)
        offset = stream.tell()
    _check_size(shape, dtype, path.stat().st_size - offset, path, None)

    def read() -> np.ndarray:
        if math.prod(shape) == 0:
            return np.empty(shape, dtype)
        mapped = np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape, order="F" if fortran else "C")
        return np.asarray(mapped)

    return (Tensor("matrix", shape, dtype.name, read, file=str(path)),)


def read_npz(path: Path) -> tuple[Tensor, ...]:
    """Arrays of a .npz archive, each expanded when it is read."""
    tensors = []
    with open_zip(path) as archive:
        for member in checked_members(path, archive):
            if not member.filename.endswith(".npy"):
                continue
            name = member.filename.removesuffix(".npy")
            try:
                with archive.open(member) as stream:
                    shape, fortran, dtype = _header(stream, path, name)
                    offset = stream.tell()
            except (zipfile.BadZipFile, zlib.error) as error:
                tensors.append(_damaged(path, name, error))
                continue
            _check_size(shape, dtype, member.file_size - offset, path, name)
            tensors.append(_member(path, member.filename, name, shape, fortran, dtype))
    return tuple(tensors)


def _damaged(path: Path, name: str, error: Exception) -> Tensor:
    """A member that cannot even be opened; the others may be sound."""
    problem = f"unreadable: {error}"
    return Tensor(name, (), "unknown", lambda: np.empty(0), file=str(path), problem=problem, damaged=True)


def _member(path: Path, member: str, name: str, shape: tuple[int, ...], fortran: bool, dtype: np.dtype[Any]) -> Tensor:
    def read() -> np.ndarray:
        out = np.empty(math.prod(shape), dtype)
        target = out.view(np.uint8)
        try:
            with open_zip(path) as archive, archive.open(member) as stream:
                _header(stream, path, name)
                filled = 0
                while filled < len(target):
                    chunk = stream.read(min(_CHUNK, len(target) - filled))
                    if not chunk:
                        raise FormatError(f"truncated after {filled} bytes", file=str(path), tensor=name)
                    target[filled : filled + len(chunk)] = np.frombuffer(chunk, np.uint8)
                    filled += len(chunk)
                stream.read(1)  # at the end of the member its checksum is verified
        except (zlib.error, zipfile.BadZipFile, EOFError) as error:
            raise FormatError(f"damaged data ({error})", file=str(path), tensor=name) from error
        return out.reshape(shape[::-1]).T if fortran else out.reshape(shape)

    return Tensor(name, shape, dtype.name, read, file=str(path))

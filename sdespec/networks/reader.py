"""Read the tensors of a checkpoint: the format is recognised by content, then by suffix."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from sdespec.core.errors import FormatError, InputError, UsageError
from sdespec.networks._memory import from_memory
from sdespec.networks._numpy import read_npy, read_npz
from sdespec.networks._safetensors import read_safetensors
from sdespec.networks._torch import read_torch
from sdespec.networks._zip import open_zip
from sdespec.networks.tensor import Tensor

__all__ = ["checkpoint_suffixes", "read_tensors"]

_FORMATS = ".npy, .npz, .safetensors, an index .json of shards, .pt, .pth, .bin, .ckpt, .pth.tar"
_TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".tar", ".pkl")
checkpoint_suffixes = (".safetensors", ".npz", ".npy", ".pt", ".pth", ".bin", ".ckpt", ".tar")
"""Suffixes by which a folder is searched, the preferred ones first."""

_INDEX = ".index.json"
_COMPANIONS = ("optimizer", "optim", "scheduler", "training_args", "rng_state", "scaler", "random_states")
_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself; fetch it with: git lfs pull"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras or NetCDF); a result of sdespec is opened with sdespec.open"),
    (b"CDF", "a NetCDF-3 file"),
    (b"GGUF", "a GGUF file"),
    (b"<!DOCTYPE", "a web page, not a checkpoint; the download went wrong"),
    (b"<html", "a web page, not a checkpoint; the download went wrong"),
)


def read_tensors(source: Any) -> tuple[Tensor, ...]:
    """Tensors of one checkpoint; their values are read later, one tensor at a time.

    Parameters
    ----------
    source : path, array, mapping or torch module
        A file, an index of shards, a folder with one checkpoint, or something in memory. Nested mappings are
        flattened, their keys joined by dots.

    Returns
    -------
    tuple of Tensor
        With unique names.

    Raises
    ------
    FormatError
        If a file is missing, of an unknown format, truncated, or its header lies.
    UnsafeFileError
        If reading could run code or exhaust memory.
    MissingDependencyError
        If a file needs torch and it is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> [(tensor.name, tensor.shape) for tensor in read_tensors({"a": np.eye(3), "b": {"c": np.zeros(2)}})]
    [('a', (3, 3)), ('b.c', (2,))]
    """
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        tensors = _read_folder(path) if path.is_dir() else _read_file(path)
        where = str(path)
    else:
        tensors, where = from_memory(source), None
    seen: set[str] = set()
    for tensor in tensors:
        if tensor.name in seen:
            raise InputError("two tensors have this name", file=where, tensor=tensor.name)
        seen.add(tensor.name)
    return tensors


def _read_file(path: Path) -> tuple[Tensor, ...]:
    head = _head(path)
    for magic, what in _FOREIGN:
        if head.startswith(magic):
            raise FormatError(f"{what}. Formats that can be read: {_FORMATS}", file=str(path))
    suffix = path.suffix.lower()
    if suffix == ".json":
        return _read_index(path)
    if head.startswith(b"\x93NUMPY"):
        return read_npy(path)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _read_archive(path)
    if suffix == ".safetensors" or _looks_like_safetensors(head, path.stat().st_size):
        return read_safetensors(path)
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        return read_torch(path)
    if suffix in (".npy", ".npz") or suffix in _TORCH_SUFFIXES:
        raise FormatError(
            f"not a {suffix} file, in spite of its name: it begins with {head[:8]!r}. It may be damaged; "
            f"formats that can be read: {_FORMATS}",
            file=str(path),
        )
    raise FormatError(f"unknown format. Formats that can be read: {_FORMATS}", file=str(path))


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            head = stream.read(64)
    except FileNotFoundError as error:
        raise FormatError("no such file", file=str(path)) from error
    except OSError as error:
        raise FormatError(f"cannot be opened ({error.strerror or error})", file=str(path)) from error
    if not head:
        raise FormatError("the file is empty", file=str(path))
    return head


def _looks_like_safetensors(head: bytes, size: int) -> bool:
    return len(head) > 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size - 8


def _read_archive(path: Path) -> tuple[Tensor, ...]:
    with open_zip(path) as archive:
        names = [PurePosixPath(name) for name in archive.namelist()]
    leaves = {name.name for name in names}
    if "data.pkl" in leaves or "constants.pkl" in leaves:
        return read_torch(path)
    if any(name.suffix == ".npy" for name in names) or (not names and path.suffix.lower() == ".npz"):
        return read_npz(path)
    raise FormatError(
        f"a zip archive without arrays or a torch checkpoint. Formats that can be read: {_FORMATS}", file=str(path)
    )


def _read_index(path: Path) -> tuple[Tensor, ...]:
    """Tensors of a sharded checkpoint; every shard must lie beside its index."""
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        raise FormatError(f"not a JSON text ({error})", file=str(path)) from error
    weight_map = index.get("weight_map") if isinstance(index, Mapping) else None
    if not isinstance(weight_map, Mapping) or not all(isinstance(shard, str) for shard in weight_map.values()):
        raise FormatError("not an index of shards: it has no table 'weight_map' of names", file=str(path))
    shards: dict[str, dict[str, Tensor]] = {}
    for name, shard in weight_map.items():
        if shard not in shards:
            _check_shard(path, name, shard)
            shards[shard] = {tensor.name: tensor for tensor in _read_file(path.parent / shard)}
        if name not in shards[shard]:
            raise FormatError(
                f"the index says that it is in {shard}, which does not hold it", file=str(path), tensor=name
            )
    listed = [shards[shard][name] for name, shard in weight_map.items()]
    unlisted = [tensor for shard in shards.values() for name, tensor in shard.items() if name not in weight_map]
    return (*listed, *unlisted)


def _check_shard(index: Path, name: str, shard: str) -> None:
    pure = PurePosixPath(shard.replace("\\", "/"))
    if pure.is_absolute() or ".." in pure.parts or (pure.parts and pure.parts[0].endswith(":")):
        raise FormatError(
            f"the index names the shard {shard!r}, outside of its folder; only files beside the index are read",
            file=str(index),
            tensor=name,
        )
    if not (index.parent / shard).is_file():
        raise FormatError(f"the shard {shard!r} is missing beside the index", file=str(index), tensor=name)


def _read_folder(folder: Path) -> tuple[Tensor, ...]:
    """The one checkpoint of a folder."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    indices = [path for path in files if path.name.endswith(_INDEX)]
    if indices:
        indices.sort(key=lambda path: ".safetensors" not in path.name)
        preferred = [path for path in indices if (".safetensors" in path.name) == (".safetensors" in indices[0].name)]
        if len(preferred) > 1:
            raise UsageError(f"{folder}: several indices ({', '.join(p.name for p in preferred)}); give one of them")
        return _read_index(indices[0])
    for suffix in checkpoint_suffixes:
        found = [path for path in files if path.suffix.lower() == suffix and not path.stem.startswith(_COMPANIONS)]
        if len(found) == 1:
            return _read_file(found[0])
        if found:
            raise FormatError(
                f"{len(found)} checkpoints ({', '.join(p.name for p in found[:3])}, ...) and no index "
                f"(*{_INDEX}); give one file",
                file=str(folder),
            )
    raise FormatError(f"a folder without a checkpoint. Formats that can be read: {_FORMATS}", file=str(folder))

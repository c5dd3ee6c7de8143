"""Tensors of .safetensors files, each mapped into memory when it is read."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from safetensors import SafetensorError, safe_open

from sdespec.core.errors import FormatError
from sdespec.networks.tensor import Tensor

__all__ = ["read_safetensors"]

_TYPES: dict[str, Any] = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
}


def read_safetensors(path: Path) -> tuple[Tensor, ...]:
    """Tensors of one file, in the order of their places; the safetensors package checks the header."""
    try:
        with safe_open(path, framework="numpy"):
            pass  # sizes, overlaps, duplicate keys and the length of the header are verified here
        with path.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(length))
    except (SafetensorError, OSError, ValueError, struct.error, RecursionError) as error:
        raise FormatError(
            f"not a sound .safetensors file ({error}); it is truncated, damaged or its header lies", file=str(path)
        ) from error
    header.pop("__metadata__", None)
    places = sorted(header.items(), key=lambda item: item[1]["data_offsets"])
    return tuple(_tensor(path, name, entry, 8 + length) for name, entry in places)


def _tensor(path: Path, name: str, entry: dict[str, Any], start: int) -> Tensor:
    shape = tuple(entry["shape"])
    code = entry["dtype"]
    dtype = _TYPES.get(code)
    if dtype is None:
        return Tensor(
            name, shape, code, lambda: np.empty(0), file=str(path), problem=f"number type {code} cannot be decoded"
        )
    offset = start + entry["data_offsets"][0]

    def read() -> np.ndarray:
        if 0 in shape:
            return np.empty(shape, dtype)
        n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        raw = np.asarray(np.memmap(path, dtype=np.uint8, mode="r", offset=offset, shape=(n_bytes,)))
        values: np.ndarray = raw.view(dtype).reshape(shape)
        return values

    return Tensor(name, shape, np.dtype(dtype).name, read, file=str(path))

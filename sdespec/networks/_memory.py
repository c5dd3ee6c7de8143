"""Tensors of arrays, mappings and torch modules that are in memory already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import ml_dtypes
import numpy as np

from sdespec.core.errors import FormatError, UsageError
from sdespec.networks.tensor import Tensor

__all__ = ["flatten", "from_memory", "is_torch_tensor", "tensor_from_torch", "unique_names"]

_MAX_NODES = 1_000_000  # containers of a pickle may refer to each other; this bounds the walk
_TORCH_BITS: dict[str, tuple[str, Any]] = {
    "bfloat16": ("int16", ml_dtypes.bfloat16),
    "float8_e4m3fn": ("uint8", ml_dtypes.float8_e4m3fn),
    "float8_e5m2": ("uint8", ml_dtypes.float8_e5m2),
    "float8_e4m3fnuz": ("uint8", ml_dtypes.float8_e4m3fnuz),
    "float8_e5m2fnuz": ("uint8", ml_dtypes.float8_e5m2fnuz),
}
_WRAPPERS = frozenset(
    ("state_dict", "model_state", "model_state_dict", "model", "model_dict", "net", "network", "module", "params")
)


def is_torch_tensor(value: Any) -> bool:
    """Recognise a torch tensor without importing torch."""
    return hasattr(value, "detach") and hasattr(value, "data_ptr")


def from_memory(source: Any) -> tuple[Tensor, ...]:
    """Tensors of an array, of a (nested) mapping of arrays, or of a torch module."""
    if callable(getattr(source, "state_dict", None)):
        buffers = {str(name) for name, _ in source.named_buffers()} if hasattr(source, "named_buffers") else set()
        return tuple(_tensor(name, value, buffer=name in buffers) for name, value in source.state_dict().items())
    if isinstance(source, Mapping):
        leaves = list(flatten(source))
        return tuple(_tensor(".".join(path), value) for path, value in leaves)
    if is_torch_tensor(source) or hasattr(source, "__array__") or isinstance(source, (list, tuple)):
        return (_tensor("matrix", source),)
    raise UsageError(
        f"cannot measure a {type(source).__name__}; give an array, a mapping of arrays, a torch module, "
        "or the path of a checkpoint"
    )


def flatten(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Leaves of nested mappings with their paths; every value that is no mapping is a leaf."""
    budget = [_MAX_NODES]

    def walk(node: Any, path: tuple[str, ...], above: frozenset[int]) -> Iterator[tuple[tuple[str, ...], Any]]:
        budget[0] -= 1
        if budget[0] < 0:
            raise FormatError(f"more than {_MAX_NODES} nested values; this is no checkpoint of a network")
        if isinstance(node, Mapping):
            if id(node) in above:
                return
            for key, value in node.items():
                yield from walk(value, (*path, str(key)), above | {id(node)})
        elif isinstance(node, (list, tuple)) and path and not _is_numeric(node):
            if id(node) in above:
                return
            for key, value in enumerate(node):
                yield from walk(value, (*path, str(key)), above | {id(node)})
        else:
            yield path, node

    yield from walk(tree, path, frozenset())


def _is_numeric(node: Any) -> bool:
    """A list of numbers is an array that was written by hand."""
    while isinstance(node, (list, tuple)) and node:
        node = node[0]
    return isinstance(node, (int, float))


def unique_names(paths: list[tuple[str, ...]]) -> list[str]:
    """Join paths by dots, without leading wrappers such as ``model_state`` where names stay unique."""

    def strip(path: tuple[str, ...]) -> str:
        start = 0
        while start < len(path) - 1 and path[start] in _WRAPPERS:
            start += 1
        return ".".join(path[start:])

    short = [strip(path) for path in paths]
    return short if len(set(short)) == len(short) else [".".join(path) for path in paths]


def _tensor(name: str, value: Any, *, buffer: bool = False) -> Tensor:
    if is_torch_tensor(value):
        return tensor_from_torch(name, value, buffer=buffer)
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:  # ragged lists, objects that refuse
        return Tensor(name, (), type(value).__name__, lambda: np.empty(0), problem=f"not an array ({error})")
    return Tensor(name, array.shape, array.dtype.name, lambda: array, buffer=buffer)


def tensor_from_torch(name: str, value: Any, *, file: str = "", buffer: bool = False) -> Tensor:
    """A torch tensor as a lazy tensor; the memory is shared, not copied."""
    dtype = str(value.dtype).removeprefix("torch.")
    problem = ""
    if value.is_sparse or "sparse" in str(value.layout):
        problem = "sparse; only dense tensors are measured"
    elif getattr(value, "is_quantized", False):
        problem = f"quantised ({dtype}); quantised weights are not decoded"
    elif value.device.type == "meta":
        problem = "on the meta device, so it has no values"
    storage = None
    if not problem and value.numel():
        storage = (value.device.type, value.data_ptr(), tuple(value.shape), tuple(value.stride()))

    def read() -> np.ndarray:
        tensor = value.detach().cpu()
        tensor = tensor.resolve_conj().resolve_neg()
        if dtype in _TORCH_BITS:
            import torch  # the tensor is there, so torch is

            bits, decoded = _TORCH_BITS[dtype]
            raw: np.ndarray = tensor.contiguous().view(getattr(torch, bits)).numpy()
            return raw.view(decoded)
        array: np.ndarray = tensor.numpy()
        return array

    return Tensor(name, tuple(value.shape), dtype, read, file=file, storage=storage, problem=problem, buffer=buffer)

"""Rules that turn the tensors of a checkpoint into matrices, decided from names, shapes and types alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import product
from typing import Literal

import numpy as np

from sdespec.networks.names import (
    channels_last,
    is_buffer,
    is_embedding,
    is_optimizer,
    is_quantised,
    module_and_leaf,
)
from sdespec.networks.tensor import Tensor

__all__ = ["Conv", "Fused", "Part", "parts_of", "select"]

Conv = Literal["flatten", "slices"]
Fused = Literal["split", "keep"]

_REAL = frozenset({"float64", "float32", "float16", "bfloat16", "float128", "longdouble"})
_RECURRENT = re.compile(r"(?P<stem>.*?)(?:weight|w)_(?P<kind>ih|hh)(?P<tail>(?:_l\d+)?(?:_reverse)?)$")
_GATES = {4: ("i", "f", "g", "o"), 3: ("r", "z", "n")}
_QKV = re.compile(r"(?:\w+_)?qkv$|Wqkv$|c_attn$|in_proj_weight$")
_KV = re.compile(r"to_kv$|kv$|kv_proj$")


@dataclass(frozen=True, eq=False)
class Part:
    """One row of the result: a matrix that a tensor holds, or the reason why there is none.

    Attributes
    ----------
    layer : str
        Name of the row.
    tensor : Tensor
        Where it comes from.
    role : str
        weight, convolution, embedding, gate, projection, vector, optimizer or buffer.
    n_rows, n_cols : int
        Shape of the matrix.
    reason : str
        Why it is skipped; empty otherwise.
    take : callable
        Array of the tensor -> matrix, a view where possible.
    fans : tuple of (int, int)
        Numbers of inputs and outputs of the whole tensor, which set the scale of initial laws.
    """

    layer: str
    tensor: Tensor
    role: str
    n_rows: int
    n_cols: int
    reason: str
    take: Callable[[np.ndarray], np.ndarray]
    fans: tuple[tuple[int, int], ...] = ()


def parts_of(tensors: Sequence[Tensor], *, conv: Conv, fused: Fused) -> list[Part]:
    """Matrices that the tensors of a checkpoint hold.

    Parameters
    ----------
    tensors : sequence of Tensor
        Of one checkpoint, since the shapes of some tell how others are built.
    conv : {"flatten", "slices"}
        Convolution kernels as one matrix, or one for each position.
    fused : {"split", "keep"}
        Whether stacked gates, stacked q, k, v and stacked experts are taken apart.

    Returns
    -------
    list of Part
        In the order of the tensors, each of which has at least one; names of rows are unique.

    Notes
    -----
    Gates are split in the order of torch: i, f, g, o (LSTM) and r, z, n (GRU). A fused projection is split where
    one side is three times the other, so not with grouped queries, nor where heads interleave q, k and v
    (``query_key_value``).

    Examples
    --------
    >>> tensor = Tensor("attn.c_attn.weight", (64, 192), "float32", lambda: np.zeros((64, 192)))
    >>> [(part.layer, part.n_rows, part.n_cols) for part in parts_of([tensor], conv="flatten", fused="split")][:2]
    [('attn.c_attn.weight[q]', 64, 64), ('attn.c_attn.weight[k]', 64, 64)]
    """
    shapes = {tensor.name: tensor.shape for tensor in tensors}
    out: list[Part] = []
    taken = set(shapes)
    for tensor in tensors:
        for part in _parts(tensor, shapes, conv, fused):
            name = part.layer
            while part.layer != tensor.name and name in taken:
                name += "'"  # another tensor has the name of this block
            taken.add(name)
            out.append(part if name == part.layer else replace(part, layer=name))
    return out


def select(
    parts: Sequence[Part],
    *,
    include: Sequence[str] | None,
    exclude: Sequence[str],
    minimum_side: int,
    max_bytes: int,
) -> list[Part]:
    """Put the reasons that the options of ``measure`` give into rows that have none yet."""
    out = []
    for part in parts:
        reason = part.reason or _option_reason(part, include, exclude, minimum_side, max_bytes)
        out.append(part if reason == part.reason else replace(part, reason=reason))
    return out


def _option_reason(
    part: Part, include: Sequence[str] | None, exclude: Sequence[str], minimum_side: int, max_bytes: int
) -> str:
    names = (part.tensor.name, part.layer)
    if include is not None and not any(_matches(names, pattern) for pattern in include):
        return f"excluded by include={', '.join(include)}"
    for pattern in exclude:
        if _matches(names, pattern):
            return f"excluded by exclude={pattern}"
    side = min(part.n_rows, part.n_cols)
    if side == 1:
        return f"a {part.n_rows} x {part.n_cols} matrix has one singular value only"
    if side < minimum_side:
        return f"smaller side {side} < minimum_side={minimum_side}"
    n_bytes = 8 * part.n_rows * part.n_cols
    if n_bytes > max_bytes:
        return f"{n_bytes / 1e9:.3g} GB in float64, more than max_bytes={max_bytes}"
    return ""


def _matches(names: tuple[str, str], pattern: str) -> bool:
    return any(name == pattern or fnmatchcase(name, pattern) for name in names)


def _parts(tensor: Tensor, shapes: Mapping[str, tuple[int, ...]], conv: Conv, fused: Fused) -> list[Part]:
    role, reason = _kind(tensor, shapes)
    shape = _squeezed(tensor, role)
    if not reason and len(shape) < 2:
        role, reason = "vector", _vector_reason(tensor.shape)
    if reason:
        return [_skipped(tensor, role, reason)]
    if len(shape) == 2:
        return _two_dimensional(tensor, shape, role, shapes, fused)
    if len(shape) > 5:
        return [_skipped(tensor, role, f"{len(shape)} dimensions; no rule makes a matrix of them")]
    if "expert" in tensor.name and len(shape) == 3:
        return _stack(tensor, shape, fused)
    return _convolution(tensor, shape, role, conv)


def _kind(tensor: Tensor, shapes: Mapping[str, tuple[int, ...]]) -> tuple[str, str]:
    """Role by name and type, and the reason to skip it (or nothing)."""
    name, dtype = tensor.name, tensor.dtype
    if is_optimizer(name):
        return "optimizer", "state of an optimiser"
    if is_quantised(name):
        return "buffer", "part of a quantised weight, which is not decoded"
    if tensor.buffer or is_buffer(name, tensor.shape):
        return "buffer", "a buffer, not a trained weight"
    role = "embedding" if is_embedding(name) else "weight"
    if tensor.problem:
        return role, tensor.problem
    if tensor.size == 0:
        return role, "empty"
    if dtype.startswith("float8"):
        stem = name.removesuffix("weight")
        if any(other.startswith(stem) and "scale" in other[len(stem) :] for other in shapes if other != name):
            return role, f"quantised: {dtype} with separate scales, which are not applied"
        return role, ""
    if dtype not in _REAL:
        return _not_real(role, dtype)
    return role, ""


def _not_real(role: str, dtype: str) -> tuple[str, str]:
    if dtype.startswith("complex"):
        return role, f"complex numbers ({dtype}); spectra of real matrices only"
    if dtype.startswith(("int", "uint", "bool")):
        return "buffer", f"integers or flags ({dtype}), not weights"
    return "buffer", f"number type {dtype} holds no real numbers"


def _squeezed(tensor: Tensor, role: str) -> tuple[int, ...]:
    """Shape without leading ones where they are no output channel of a convolution."""
    shape = tensor.shape
    leaf = module_and_leaf(tensor.name)[1]
    while len(shape) > 2 and shape[0] == 1 and (role == "embedding" or leaf not in ("weight", "kernel")):
        shape = shape[1:]
    return shape


def _vector_reason(shape: tuple[int, ...]) -> str:
    return "a scalar, not a matrix" if shape in ((), (1,)) else "a vector, not a matrix"


def _skipped(tensor: Tensor, role: str, reason: str) -> Part:
    shape = (*tensor.shape, 1, 1)[: max(2, len(tensor.shape))]
    n_cols = int(np.prod(shape[1:], dtype=np.float64)) if len(shape) > 2 else shape[1]
    return Part(tensor.name, tensor, role, shape[0], n_cols, reason, np.asarray)


def _two_dimensional(
    tensor: Tensor, shape: tuple[int, ...], role: str, shapes: Mapping[str, tuple[int, ...]], fused: Fused
) -> list[Part]:
    turned = channels_last(tensor.name)
    rows, cols = shape[::-1] if turned else shape
    fans = ((cols, rows),)

    def whole(array: np.ndarray) -> np.ndarray:
        matrix = array.reshape(shape)
        return matrix.T if turned else matrix

    labels, axis, fused_role = _fusion(tensor.name, (rows, cols), shapes)
    role = fused_role or role
    if fused == "keep" or not labels:
        return [Part(tensor.name, tensor, role, rows, cols, "", whole, fans)]
    length = (rows, cols)[axis] // len(labels)
    n_rows, n_cols = (length, cols) if axis == 0 else (rows, length)
    return [
        Part(
            f"{tensor.name}[{label}]",
            tensor,
            role,
            n_rows,
            n_cols,
            "",
            _block(whole, axis, slice(index * length, (index + 1) * length)),
            fans,
        )
        for index, label in enumerate(labels)
    ]


def _block(whole: Callable[[np.ndarray], np.ndarray], axis: int, place: slice) -> Callable[[np.ndarray], np.ndarray]:
    return lambda array: whole(array)[place] if axis == 0 else whole(array)[:, place]


def _fusion(
    name: str, shape: tuple[int, int], shapes: Mapping[str, tuple[int, ...]]
) -> tuple[tuple[str, ...], int, str]:
    """Labels of the matrices that are stacked in one, the axis along which, and the role."""
    module, leaf = module_and_leaf(name)
    recurrent = _RECURRENT.fullmatch(name)
    if recurrent:
        gates = _gates(name, recurrent, shape, shapes)
        return gates, 0, "gate" if gates else ""
    owner = leaf if leaf == "in_proj_weight" else module if leaf in ("weight", "kernel") else leaf
    rows, cols = shape
    if _QKV.match(owner):
        if rows == 3 * cols:
            return ("q", "k", "v"), 0, "projection"
        if cols == 3 * rows:  # GPT-2 stores (inputs, outputs)
            return ("q", "k", "v"), 1, "projection"
        return (), 0, "projection"
    if _KV.match(owner) and rows == 2 * cols:
        return ("k", "v"), 0, "projection"
    if owner == "gate_up_proj" and rows % 2 == 0:
        return ("gate", "up"), 0, "projection"
    return (), 0, "projection" if owner == "query_key_value" else ""


def _gates(
    name: str, match: re.Match[str], shape: tuple[int, int], shapes: Mapping[str, tuple[int, ...]]
) -> tuple[str, ...]:
    """Gates of an LSTM (4) or GRU (3) in the order of torch, from the shape of the recurrent matrix."""
    place = match.start("kind")
    recurrent = shapes.get(name[:place] + "hh" + name[place + 2 :])
    projected = shapes.get(name[:place] + "hr" + name[place + 2 :])
    hidden = 0
    if projected is not None and len(projected) == 2:
        hidden = projected[1]
    elif recurrent is not None and len(recurrent) == 2:
        hidden = recurrent[1]
    if hidden and shape[0] % hidden == 0:
        return _GATES.get(shape[0] // hidden, ())
    return ()


def _stack(tensor: Tensor, shape: tuple[int, ...], fused: Fused) -> list[Part]:
    """Matrices of experts that are stacked along the first axis."""
    if fused == "keep":
        return [_skipped(tensor, "weight", "a stack of experts; fused='split' measures each")]
    return [
        Part(
            f"{tensor.name}[{index}]",
            tensor,
            "weight",
            shape[1],
            shape[2],
            "",
            _at((index,)),
            ((shape[2], shape[1]), (shape[1], shape[2])),
        )
        for index in range(shape[0])
    ]


def _at(place: tuple[int | slice, ...]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda array: array[place]


def _convolution(tensor: Tensor, shape: tuple[int, ...], role: str, conv: Conv) -> list[Part]:
    """Kernels as outputs x (inputs * positions), or one matrix outputs x inputs for each position."""
    last = channels_last(tensor.name)
    outputs, inputs = (shape[-1], shape[-2]) if last else (shape[0], shape[1])
    positions = shape[:-2] if last else shape[2:]
    n_positions = int(np.prod(positions))
    fans = ((inputs * n_positions, outputs * n_positions),)
    role = "convolution" if role == "weight" else role

    def kernel(array: np.ndarray) -> np.ndarray:
        values = array.reshape(shape)
        return np.moveaxis(values, (-1, -2), (0, 1)) if last else values

    if conv == "flatten" or n_positions == 1:
        return [
            Part(
                tensor.name,
                tensor,
                role,
                outputs,
                inputs * n_positions,
                "",
                lambda array: kernel(array).reshape(outputs, -1),
                fans,
            )
        ]
    every = slice(None)
    return [
        Part(
            f"{tensor.name}[{','.join(map(str, place))}]",
            tensor,
            role,
            outputs,
            inputs,
            "",
            _position(kernel, (every, every, *place)),
            fans,
        )
        for place in product(*map(range, positions))
    ]


def _position(
    kernel: Callable[[np.ndarray], np.ndarray], place: tuple[int | slice, ...]
) -> Callable[[np.ndarray], np.ndarray]:
    return lambda array: kernel(array)[place]

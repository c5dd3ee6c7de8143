"""What every model has: a digest of its fields."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, is_dataclass
from types import CodeType
from typing import Any

import numpy as np

__all__ = ["Model"]


class Model:
    """Base of the models; a model is equal to itself only, and known by its digest."""

    @property
    def digest(self) -> str:
        """SHA-256 of type and fields, 16 hexadecimal digits; a function counts by its code and what it holds."""
        return hashlib.sha256(json.dumps(_plain(self), sort_keys=True).encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {"type": type(value).__name__} | {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, np.ndarray):
        return [list(value.shape), hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()]
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if callable(value):
        return _plain_function(value)
    return value


def _plain_function(function: Any) -> Any:
    """Code, constants, defaults and closure of a function, plain or compiled, or the state of a callable object."""
    function = getattr(function, "py_func", function)
    code = getattr(function, "__code__", None)
    if code is None:
        held = sorted(getattr(function, "__dict__", {}).items())
        if hasattr(function, "func"):  # functools.partial
            held += [("func", function.func), ("args", function.args), *sorted(function.keywords.items())]
        name = getattr(function, "__qualname__", type(function).__qualname__)
        return [name, type(function).__qualname__, [[key, _held(item)] for key, item in held]]
    cells = [_held(cell.cell_contents) for cell in function.__closure__ or ()]
    return [_plain_code(code), _held(function.__defaults__), cells, _held(getattr(function, "__self__", None))]


def _plain_code(code: CodeType) -> Any:
    constants = [_plain_code(item) if isinstance(item, CodeType) else repr(item) for item in code.co_consts]
    return [code.co_code.hex(), list(code.co_names), constants]


def _held(value: Any) -> Any:
    """What a function holds: numbers, text, arrays and functions in full, other objects by their type."""
    plain = isinstance(value, (bool, int, float, str, tuple, list, np.ndarray, type(None))) or callable(value)
    if isinstance(value, np.generic):
        return value.item()
    return _plain(value) if plain or is_dataclass(value) else type(value).__qualname__

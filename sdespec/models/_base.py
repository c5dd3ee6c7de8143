"""What every model has: a digest of its fields, and checks of them."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from sdespec.core.errors import UsageError

__all__ = ["Model", "require"]


def require(condition: bool, name: str, value: object, allowed: str) -> None:
    """Raise a UsageError that names a field, its value and what is allowed."""
    if not condition:
        raise UsageError(f"{name} is {value!r}; it must be {allowed}")


def positive(value: float) -> bool:
    """Whether a field is a positive finite number."""
    return math.isfinite(value) and value > 0.0


def not_negative(value: float) -> bool:
    """Whether a field is a finite number of at least zero."""
    return math.isfinite(value) and value >= 0.0


class Model:
    """Base of the models; a model is equal to itself only, and known by its digest."""

    @property
    def digest(self) -> str:
        """SHA-256 of type and fields, 16 hexadecimal digits."""
        return hashlib.sha256(json.dumps(_plain(self), sort_keys=True).encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {"type": type(value).__name__} | {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, np.ndarray):
        return [list(value.shape), hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()]
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value

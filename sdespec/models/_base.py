"""What every model has: a digest of its fields."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

__all__ = ["Model"]


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

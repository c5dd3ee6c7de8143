"""Record a call as one JSON text: arguments, arrays by shape and hash, seed, versions."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["digest", "package_version", "record"]

_PACKAGES = ("sdespec", "numpy", "scipy", "numba", "xarray")
_HASHED_BYTES = 1 << 30  # a larger file is recorded by its name and size alone


def package_version(name: str = "sdespec") -> str:
    """Version of an installed package, or ``"unknown"``.

    Examples
    --------
    >>> package_version("no-such-package")
    'unknown'
    """
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def digest(array: np.ndarray) -> str:
    """SHA-256 of the bytes of an array in C order, 16 hexadecimal digits.

    Examples
    --------
    >>> import numpy as np
    >>> digest(np.zeros(3)) == digest(np.zeros(3))
    True
    """
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()[:16]


def _describe(value: Any) -> Any:
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, np.generic):
        return _describe(value.item())
    if isinstance(value, np.ndarray):
        return {"shape": list(value.shape), "dtype": str(value.dtype), "sha256": digest(value)}
    if isinstance(value, os.PathLike):
        return _describe_path(Path(value))
    if hasattr(value, "data_vars"):  # a Dataset, which is a mapping too: its own record is the parent
        return {"dataset": json.loads(value.attrs.get("provenance", "null"))}
    if isinstance(value, Mapping):
        return {str(key): _describe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, range)):
        return [_describe(item) for item in value]
    return {"type": f"{type(value).__module__}.{type(value).__qualname__}", "repr": repr(value)[:200]}


def _describe_path(path: Path) -> dict[str, Any]:
    entry: dict[str, Any] = {"file": path.name}
    if path.is_file():
        entry["bytes"] = path.stat().st_size
        if entry["bytes"] <= _HASHED_BYTES:
            with path.open("rb") as stream:
                entry["sha256"] = hashlib.file_digest(stream, "sha256").hexdigest()
    return entry


def record(function: str, arguments: Mapping[str, Any]) -> str:
    """Describe a call as one JSON text.

    Parameters
    ----------
    function : str
        Public name, such as ``"sdespec.fit"``.
    arguments : mapping
        The arguments by name. Arrays are recorded by shape and SHA-256, files by name, size and SHA-256, Datasets
        by their own record.

    Returns
    -------
    str
        JSON with the keys ``function``, ``arguments``, ``versions`` and ``platform``.

    Examples
    --------
    >>> import json
    >>> json.loads(record("sdespec.fit", {"seed": 1}))["arguments"]
    {'seed': 1}
    """
    versions = {"python": platform.python_version()} | {name: package_version(name) for name in _PACKAGES}
    described = {name: _describe(value) for name, value in arguments.items()}
    return json.dumps(
        {"function": function, "arguments": described, "versions": versions, "platform": platform.machine()}
    )

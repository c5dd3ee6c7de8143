"""Tensors of PyTorch checkpoints, read with ``weights_only=True`` and never otherwise."""

from __future__ import annotations

import argparse
import pathlib
import pickle
import types
from pathlib import Path
from typing import Any

import numpy as np

from sdespec.core.errors import FormatError, MissingDependencyError, UnsafeFileError
from sdespec.networks._memory import flatten, is_torch_tensor, tensor_from_torch, unique_names
from sdespec.networks._pickle import check_pickle
from sdespec.networks._zip import checked_members, open_zip
from sdespec.networks.tensor import Tensor

__all__ = ["read_torch"]


def read_torch(path: Path) -> tuple[Tensor, ...]:
    """Tensors of a .pt, .pth, .bin, .ckpt or .pth.tar file, however deep they are nested.

    Files of the zip format are mapped into memory; those of the older format are read as a whole.
    """
    zipped = _check(path)
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError("torch", extra="torch", purpose=f"{path}: reading a PyTorch checkpoint") from error
    try:
        with torch.serialization.safe_globals(_safe_globals()):
            tree = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        message = str(error)
        if "Unsupported" in message or "not allowed" in message:
            raise UnsafeFileError(f"its pickle is not plain tensors: {_short(message)}", file=str(path)) from error
        raise FormatError(f"not a sound PyTorch checkpoint ({_short(message)})", file=str(path)) from error
    except Exception as error:  # a damaged file makes the unpickler raise nearly anything
        raise FormatError(
            f"not a sound PyTorch checkpoint ({type(error).__name__}: {_short(str(error))})", file=str(path)
        ) from error
    leaves = [(way or ("matrix",), leaf) for way, leaf in flatten(tree) if is_torch_tensor(leaf)]
    names = unique_names([way for way, _ in leaves])
    return tuple(tensor_from_torch(name, leaf, file=str(path)) for name, (_, leaf) in zip(names, leaves, strict=True))


def _check(path: Path) -> bool:
    """Look for programs and bombs without opening anything; tell whether the file is a zip archive."""
    with path.open("rb") as stream:
        zipped = stream.read(2) == b"PK"
        if not zipped:
            stream.seek(0)
            check_pickle(stream, path.stat().st_size, path)
            return False
    with open_zip(path) as archive:
        members = checked_members(path, archive)
        leaves = {member.filename.rsplit("/", 1)[-1]: member for member in members}
        if "constants.pkl" in leaves:
            raise UnsafeFileError(
                "a TorchScript archive, which holds a program; save its state_dict() instead", file=str(path)
            )
        program = leaves["data.pkl"]
        with archive.open(program) as stream:
            check_pickle(stream, program.file_size, path, count=1)
    return True


def _safe_globals() -> list[Any]:
    """Harmless classes that checkpoints hold beside tensors: options, paths and NumPy numbers."""
    scalar = np.float64(0.0).__reduce__()[0]  # the function that pickles of NumPy numbers name
    kinds = {type(np.dtype(code)) for code in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "?")}
    return [
        argparse.Namespace,
        types.SimpleNamespace,
        (pathlib.PurePosixPath, "pathlib.PosixPath"),
        (pathlib.PurePosixPath, "pathlib._local.PosixPath"),  # Python 3.13
        np.dtype,
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        *kinds,
    ]


def _short(message: str) -> str:
    """The line of a message of torch that says what is wrong."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    telling = [line for line in lines if "WeightsUnpickler error" in line]
    text = telling[0] if telling else (lines[0] if lines else "no message")
    if text.endswith("error:") and text in lines[:-1]:
        text = lines[lines.index(text) + 1]
    return text.split("Please use")[0].strip()[:300]

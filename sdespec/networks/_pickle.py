"""List what a pickle would import, by reading its opcodes; nothing is ever unpickled here."""

from __future__ import annotations

import pickletools
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from sdespec.core.errors import FormatError, UnsafeFileError

__all__ = ["SAFE_NAMES", "check_pickle"]

SAFE_NAMES: frozenset[str] = frozenset(
    (
        "_codecs.encode",
        "argparse.Namespace",
        "builtins.bytearray",
        "builtins.complex",
        "builtins.set",
        "collections.Counter",
        "collections.OrderedDict",
        "numpy._core.multiarray.scalar",
        "numpy.core.multiarray.scalar",
        "numpy.dtype",
        "pathlib.PosixPath",
        "pathlib._local.PosixPath",
        "types.SimpleNamespace",
    )
)
"""Harmless names outside of torch; those inside of torch are judged by torch itself."""

_MAX_PICKLES = 5  # a checkpoint of the old format is a row of five pickles, then the raw numbers


def check_pickle(stream: IO[bytes], size: int, path: Path, *, count: int = _MAX_PICKLES) -> None:
    """Refuse a file whose pickles ask for anything that is not known to be harmless.

    Parameters
    ----------
    stream : binary file
        At the beginning of the first pickle.
    size : int
        Number of bytes in it.
    path : Path
        For the message.
    count : int
        Number of pickles that may follow each other.

    Raises
    ------
    UnsafeFileError
        Naming what would have been imported.
    FormatError
        If the first pickle is damaged.
    """
    capped = _Capped(stream, size)
    for index in range(count):
        try:
            for name in _imports(capped):
                if name not in SAFE_NAMES and not name.startswith("torch."):
                    raise UnsafeFileError(
                        f"its pickle asks for {name}, which could run code; it was not opened. Save the plain tensors "
                        "(a state_dict), best as .safetensors",
                        file=str(path),
                    )
        except (ValueError, EOFError, OverflowError, MemoryError, UnicodeDecodeError, IndexError, KeyError) as error:
            if isinstance(error, UnsafeFileError):
                raise
            if index == 0:
                raise FormatError(f"truncated or damaged pickle ({error})", file=str(path)) from error
            return  # what follows the first pickle may be raw numbers


class _Capped:
    """A stream that is never asked for more than it holds, whatever lengths a pickle claims."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, length: int) -> bytes:
        data = self._stream.read(min(length, self._left))
        self._left -= len(data)
        return data

    def readline(self) -> bytes:
        line = self._stream.readline(self._left)
        self._left -= len(line)
        return line


def _imports(stream: _Capped) -> Iterator[str]:
    """Dotted names that one pickle would import."""
    texts: list[str] = []  # the last texts pushed: STACK_GLOBAL takes its two names from the stack
    memo: dict[int, str] = {}
    for opcode, argument, _ in pickletools.genops(cast(IO[bytes], stream)):
        if opcode.name in ("GLOBAL", "INST"):
            yield _dotted(*str(argument).split(" ", 1))
        elif opcode.name == "STACK_GLOBAL":
            yield _dotted(*texts[-2:]) if len(texts) > 1 else "an unnamed object"
        elif opcode.name in ("EXT1", "EXT2", "EXT4"):
            yield "an extension registry"
        elif isinstance(argument, str):
            texts.append(argument)
        elif opcode.name == "MEMOIZE" and texts:
            memo[len(memo)] = texts[-1]
        elif opcode.name in ("BINGET", "LONG_BINGET") and argument in memo:
            texts.append(memo[argument])


def _dotted(module: str, name: str) -> str:
    return f"{'builtins' if module == '__builtin__' else module}.{name}"

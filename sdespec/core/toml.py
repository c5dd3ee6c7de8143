"""TOML files, strictly read, with the nearest key where one is misspelt."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sdespec.core.errors import FormatError, UsageError

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

__all__ = ["read_toml", "unknown_key"]

_Content = TypeVar("_Content", bound="BaseModel")


def unknown_key(place: str, key: str, known: Iterable[str]) -> str:
    """Message about a key that does not exist.

    Examples
    --------
    >>> unknown_key("run.tmes", "tmes", ["times", "seed"])
    "unknown key 'run.tmes'; did you mean 'times'?"
    """
    names = list(known)
    close = difflib.get_close_matches(key, names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"allowed: {', '.join(names)}"
    return f"unknown key {place!r}; {hint}"


def read_toml(file: Path, content: type[_Content], known: Callable[[tuple[Any, ...]], Iterable[str]]) -> _Content:
    """Read a TOML file into a model of pydantic.

    Parameters
    ----------
    file : pathlib.Path
        The file.
    content : type
        Model that forbids unknown keys.
    known : callable
        From the place of an unknown key to the keys that are allowed there.

    Returns
    -------
    An instance of ``content``.

    Raises
    ------
    FormatError
        If the file is missing or not valid TOML.
    UsageError
        If a key is unknown or has a wrong value; the file and the key are named.
    """
    from pydantic import ValidationError

    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FormatError("no such file", file=str(file)) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FormatError(f"not a readable TOML file ({error})", file=str(file)) from error
    try:
        return content.model_validate(table)
    except ValidationError as error:
        raise UsageError(f"{file}: {_first(error, known)}") from None


def _first(error: ValidationError, known: Callable[[tuple[Any, ...]], Iterable[str]]) -> str:
    """The first fault; a misspelt key before a missing one, which it explains."""
    fault = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    place = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return unknown_key(place, str(fault["loc"][-1]), known(fault["loc"]))
    return f"{place}: {fault['msg']}"

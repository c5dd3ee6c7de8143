"""Gates that a user sets on a fit: ``tail.exponent<2``."""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sdespec.core.errors import UsageError
from sdespec.report.document import FitDocument, FittedMatrixDocument, LawDocument, TailDocument

__all__ = ["Gate", "parse_gate"]

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le, ">=": operator.ge, "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
_FORM = re.compile(r"^\s*([A-Za-z_][\w.]*)\s*(<=|>=|==|!=|<|>)\s*(.+?)\s*$")


@dataclass(frozen=True)
class Gate:
    """A condition on the matrices of a fit.

    Attributes
    ----------
    path : str
        Dotted path into an entry of ``matrices`` of the document ``sdespec.fit/1``.
    symbol : str
        One of ``< <= > >= == !=``.
    value : float or str
        What the entry is compared with.
    """

    path: str
    symbol: str
    value: float | str

    def hits(self, document: FitDocument) -> list[str]:
        """Say for which matrices the condition holds.

        Parameters
        ----------
        document : FitDocument
            The fit.

        Returns
        -------
        list of str
            One line for each; matrices where the entry is null never hit.
        """
        found = []
        for matrix in document.matrices:
            value = _resolve(matrix.model_dump(by_alias=True), self.path)
            if value is not None and _OPERATORS[self.symbol](value, self.value):
                shown = f"{value:.6g}" if isinstance(value, float) else str(value)
                found.append(f"{matrix.name}: {self.path} is {shown}")
        return found


def _resolve(entry: Any, path: str) -> Any:
    for part in path.split("."):
        if isinstance(entry, Mapping):
            entry = entry.get(part)
        elif isinstance(entry, (list, tuple)) and part.isdigit() and int(part) < len(entry):
            entry = entry[int(part)]
        else:
            return None
    return entry


def _paths() -> Iterator[tuple[str, bool]]:
    """Every path that can be gated, and whether it holds text."""
    for name, field in FittedMatrixDocument.model_fields.items():
        if name not in ("tail", "laws", "bulk_edge"):
            yield name, field.annotation in (str, str | None)
    for name in TailDocument.model_fields:
        if name != "interval":
            yield f"tail.{name}", False
    for pair in ("bulk_edge", "tail.interval"):
        yield f"{pair}.0", False
        yield f"{pair}.1", False


def parse_gate(text: str) -> Gate:
    """Read a gate such as ``tail.exponent<2`` or ``regime==broad_tail``.

    Parameters
    ----------
    text : str
        ``path operator value``; the path is one of an entry of ``matrices`` in ``fit --json``.

    Returns
    -------
    Gate

    Raises
    ------
    UsageError
        If the form, the path or the value is not allowed.

    Examples
    --------
    >>> parse_gate("tail.exponent < 2")
    Gate(path='tail.exponent', symbol='<', value=2.0)
    """
    match = _FORM.match(text)
    if match is None:
        raise UsageError(f"{text!r} is no gate; write 'path operator value', for example 'tail.exponent<2'")
    path, symbol, raw = match.groups()
    if path.startswith("laws."):
        return Gate(path, symbol, _law_value(path, raw, text))
    paths = dict(_paths())
    if path not in paths:
        close = difflib.get_close_matches(path, paths, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"allowed: {', '.join(paths)}, laws.NAME...."
        raise UsageError(f"there is no {path!r} to gate on; {hint}")
    if not paths[path]:
        return Gate(path, symbol, _float(raw, text))
    if symbol not in ("==", "!="):
        raise UsageError(f"{path!r} is text; compare it with == or !=, not {symbol}")
    return Gate(path, symbol, raw.strip("'\""))


def _law_value(path: str, raw: str, text: str) -> float:
    parts = path.split(".")
    if len(parts) < 3 or parts[2] not in LawDocument.model_fields:
        raise UsageError(f"{path!r} is no path; write laws.NAME.{{{','.join(LawDocument.model_fields)}}}")
    return _float(raw, text)


def _float(raw: str, text: str) -> float:
    try:
        return float(raw)
    except ValueError:
        raise UsageError(f"{raw!r} in {text!r} is not a number") from None

"""Gates that a user sets on a fit: ``tail.exponent<2``."""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sdespec.core.errors import UsageError
from sdespec.fits.likelihood import FITTED_LAWS, law_parameters
from sdespec.fits.regime import REGIMES
from sdespec.report.document import FitDocument, FittedMatrixDocument, TailDocument

__all__ = ["Gate", "parse_gate"]

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le, ">=": operator.ge, "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
_TEXTS: Mapping[str, tuple[str, ...]] = {
    "regime": REGIMES,
    "status": ("ok", "skipped", "invalid"),
    "at_initialization": ("no", "uniform", "normal"),
}
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

    def missing(self, document: FitDocument) -> int:
        """Number of rows where the entry is null, so that the gate cannot judge them."""
        return sum(_resolve(matrix.model_dump(by_alias=True), self.path) is None for matrix in document.matrices)

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


def parse_gate(text: str, *, laws: Sequence[str] = tuple(FITTED_LAWS)) -> Gate:
    """Read a gate such as ``tail.exponent<2`` or ``regime==broad_tail``.

    Parameters
    ----------
    text : str
        ``path operator value``; the path is one of an entry of ``matrices`` in ``fit --json``.
    laws : sequence of str
        Names of the laws that are fitted.

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
        return Gate(path, symbol, _law_value(path, raw, text, laws))
    paths = dict(_paths())
    if path not in paths:
        close = difflib.get_close_matches(path, paths, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"allowed: {', '.join(paths)}, laws.NAME...."
        raise UsageError(f"there is no {path!r} to gate on; {hint}")
    if not paths[path]:
        return Gate(path, symbol, _float(raw, text))
    if symbol not in ("==", "!="):
        raise UsageError(f"{path!r} is text; compare it with == or !=, not {symbol}")
    value = raw.strip("'\"")
    allowed = _TEXTS.get(path)
    if allowed is not None and value not in allowed:
        raise UsageError(f"{path!r} is never {value!r}; allowed: {', '.join(allowed)}")
    return Gate(path, symbol, value)


def _law_value(path: str, raw: str, text: str, laws: Sequence[str]) -> float:
    """Value of a gate on a law; the path must lead to a number."""
    parts = path.split(".")
    if len(parts) < 3 or parts[1] not in laws:
        raise UsageError(f"{path!r} names no fitted law; write laws.NAME.FIELD with NAME one of {', '.join(laws)}")
    numbers = ("ks_distance", "log_likelihood", "p_value")
    parameters = law_parameters(parts[1])
    if len(parts) == 3 and parts[2] in numbers:
        return _float(raw, text)
    if len(parts) == 4 and parts[2] == "parameters" and parts[3] in parameters:
        return _float(raw, text)
    allowed = [*numbers, *(f"parameters.{name}" for name in parameters)]
    raise UsageError(f"{path!r} is no number; write laws.{parts[1]}. and one of {', '.join(allowed)}")


def _float(raw: str, text: str) -> float:
    try:
        value = float(raw)
    except ValueError:
        raise UsageError(f"{raw!r} in {text!r} is not a number") from None
    if not math.isfinite(value):
        raise UsageError(f"{raw!r} in {text!r} is not finite, so the gate could not judge")
    return value

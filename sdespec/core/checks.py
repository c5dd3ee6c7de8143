"""Checks of arguments, with one wording for all errors."""

from __future__ import annotations

import math
import operator
from numbers import Integral, Real

from sdespec.core.errors import UsageError

__all__ = ["not_negative", "positive", "replicate_range", "require", "whole"]


def require(condition: bool, name: str, value: object, allowed: str) -> None:
    """Raise a UsageError that names an argument, its value and what is allowed."""
    if not condition:
        raise UsageError(f"{name} is {value!r}; it must be {allowed}")


def positive(value: object) -> bool:
    """Whether a value is a positive finite number."""
    return isinstance(value, Real) and math.isfinite(value) and float(value) > 0.0


def not_negative(value: object) -> bool:
    """Whether a value is a finite number of at least zero."""
    return isinstance(value, Real) and math.isfinite(value) and float(value) >= 0.0


def whole(value: object, name: str, minimum: int) -> int:
    """Return an integer argument as int, or raise a UsageError that names it."""
    number = int(value) if not isinstance(value, bool) and isinstance(value, Integral) else minimum - 1
    require(number >= minimum, name, value, f"an integer of at least {minimum}")
    return number


def replicate_range(replicates: int | range) -> range:
    """Indices of replicates from their number, or from a range of steps 1; anything else raises a UsageError."""
    try:
        indices = replicates if isinstance(replicates, range) else range(operator.index(replicates))
    except TypeError:
        indices = range(0)
    if len(indices) == 0 or indices.step != 1 or indices.start < 0:
        raise UsageError(f"replicates is {replicates!r}; give a positive number or a range of steps 1 from at least 0")
    return indices

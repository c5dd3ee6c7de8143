"""The exception family of sdespec; each class carries the exit code of the command line."""

from __future__ import annotations

__all__ = [
    "FormatError",
    "InputError",
    "InterruptedRunError",
    "MissingDependencyError",
    "NumericalError",
    "OutputError",
    "SchemaError",
    "SdespecError",
    "SpectrumError",
    "UnsafeFileError",
    "UsageError",
]


class SdespecError(Exception):
    """Base of every error that sdespec raises on purpose.

    Attributes
    ----------
    exit_code : int
        Exit status of the command line for this error.
    """

    exit_code: int = 5


class InterruptedRunError(SdespecError):
    """The user stopped the command (exit code 130); files appear whole or not at all."""

    exit_code = 130


class UsageError(SdespecError, ValueError):
    """An argument or option has a value that is not allowed (exit code 2)."""

    exit_code = 2


class OutputError(SdespecError, OSError):
    """The output that was asked for cannot be written (exit code 2)."""

    exit_code = 2


class MissingDependencyError(SdespecError, ImportError):
    """An optional package is missing (exit code 3); the message holds its install line."""

    exit_code = 3

    def __init__(self, package: str, *, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the optional package {package!r}; install it with: pip install 'sdespec[{extra}]'"
        )
        self.package = package
        self.extra = extra


class InputError(SdespecError, ValueError):
    """The input is invalid (exit code 4).

    Parameters
    ----------
    message : str
        What was given, what is allowed and what to do.
    file, tensor : str, optional
        Where it was found; they are put in front of the message.
    """

    exit_code = 4

    def __init__(self, message: str, *, file: str | None = None, tensor: str | None = None) -> None:
        place = ": ".join(part for part in (file, None if tensor is None else f"tensor {tensor!r}") if part)
        super().__init__(f"{place}: {message}" if place else message)
        self.file = file
        self.tensor = tensor


class FormatError(InputError):
    """A file is missing, truncated, of an unknown format, or its header lies (exit code 4)."""


class UnsafeFileError(FormatError):
    """Reading a file could run code or exhaust memory, so it was refused (exit code 4)."""


class SpectrumError(InputError):
    """A matrix or spectrum holds values that cannot be used: NaN, inf, negative, too few (exit code 4)."""


class SchemaError(InputError):
    """A Dataset does not follow the schema of ``sdespec.core.schema`` (exit code 4)."""


class NumericalError(SdespecError, ArithmeticError):
    """A numerical procedure failed (exit code 5)."""

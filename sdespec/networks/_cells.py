"""Measure the matrices of one tensor, with no more than one of them in memory."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from sdespec.core.errors import FormatError, NumericalError, SpectrumError
from sdespec.core.linalg import check_finite, eigenvalues
from sdespec.networks.matrices import Conv, Fused, Part
from sdespec.spectra import (
    EntryStatistics,
    PorterThomas,
    SpacingRatio,
    alignment,
    at_initialization,
    entry_statistics,
    gaussian_null,
    porter_thomas_sides,
    shuffled_null,
    spacing_ratio,
)

__all__ = ["N_MODES", "VECTORS", "Cell", "Options", "measure_parts"]

N_MODES = 10
"""Leading singular vectors whose angle with a direction is taken."""

VECTORS: tuple[Literal["left", "right"], ...] = ("left", "right")
"""Singular vectors that are tested, by their side."""

_SINGLE = 2.0**-23  # also for float64 files, which may hold what was made in float32
_PRECISION = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float8_e4m3fn": 2.0**-3, "float8_e5m2": 2.0**-2}
"""Machine epsilon of the types that are coarser."""


@dataclass(frozen=True)
class Options:
    """The options of ``measure``."""

    include: tuple[str, ...] | None
    exclude: tuple[str, ...]
    minimum_side: int
    conv: Conv
    fused: Fused
    null: str
    null_draws: int
    directions: Mapping[str, Mapping[str, np.ndarray]]
    vectors: bool
    max_bytes: int
    seed: int

    def arguments(self) -> dict[str, Any]:
        """By name, for the record."""
        return dict(vars(self))


@dataclass(frozen=True)
class Cell:
    """What is known of one row at one time."""

    status: str
    reason: str = ""
    spectrum: np.ndarray = field(default_factory=lambda: np.empty(0))
    null: np.ndarray | None = None
    statistics: EntryStatistics | None = None
    initialization: str = ""
    alignment: Mapping[str, np.ndarray] = field(default_factory=dict)
    spacing: SpacingRatio | None = None
    vectors: Mapping[Literal["left", "right"], PorterThomas] = field(default_factory=dict)


def measure_parts(parts: Sequence[Part], options: Options, tied: dict[Hashable, str]) -> Iterator[tuple[Part, Cell]]:
    """Measure the rows of one tensor.

    Parameters
    ----------
    parts : sequence of Part
        All of the same tensor.
    options : Options
        Of ``measure``.
    tied : dict
        Identity of the tensors that were measured before -> name; it is added to.

    Yields
    ------
    part : Part
    cell : Cell
    """
    wanted = [part for part in parts if not part.reason]
    if not wanted:
        for part in parts:
            yield part, Cell("invalid" if part.tensor.damaged else "skipped", part.reason)
        return
    tensor = wanted[0].tensor
    try:
        raw = tensor.read()
    except FormatError as error:
        yield from ((part, Cell("invalid", f"unreadable: {error}")) for part in parts)
        return
    twin = _twin(raw, tensor.storage, tensor.name, tied)
    precision = _PRECISION.get(raw.dtype.name, _SINGLE)
    last = wanted[-1]
    for part in parts:
        if part.reason or twin:
            yield part, Cell("skipped", part.reason or f"tied to {twin}")
            continue
        matrix = _double(part.take(raw), own=options.null == "shuffled")
        if part is last:
            del raw  # from here on the copy is enough
        cell = _measure(part, matrix, precision, options)
        del matrix
        yield part, cell


def _double(view: np.ndarray, *, own: bool) -> np.ndarray:
    """The matrix in float64, C order; a private copy where its entries will be shuffled."""
    return np.array(view, dtype=np.float64, order="C", copy=True if own else None)


def _twin(raw: np.ndarray, storage: Hashable, name: str, tied: dict[Hashable, str]) -> str:
    """Name of an earlier tensor with the same memory or content; constant tensors have no twin."""
    with np.errstate(invalid="ignore"):
        if raw.min() == raw.max():
            return ""
    content = np.ascontiguousarray(raw).reshape(-1).view(np.uint8)
    keys: list[Hashable] = [(raw.shape, str(raw.dtype), hashlib.blake2b(content.data, digest_size=16).digest())]
    if storage is not None:
        keys.append(storage)
    found = next((tied[key] for key in keys if key in tied), "")
    for key in keys:
        tied.setdefault(key, found or name)
    return found


def _measure(part: Part, matrix: np.ndarray, precision: float, options: Options) -> Cell:
    """One cell; the entries of ``matrix`` may be shuffled at the end."""
    try:
        check_finite(matrix)
        statistics = entry_statistics(matrix)
        if math.isnan(statistics.kurtosis):
            return Cell("skipped", f"all entries equal {statistics.mean:g}")
        spectrum = eigenvalues(matrix)
        initialization = at_initialization(
            matrix, precision=precision, fans=part.fans, statistics=statistics, largest=float(spectrum[0])
        )
        angles = {
            name: alignment(matrix, vector, n_modes=N_MODES)
            for name, vector in options.directions.get(part.layer, {}).items()
        }
        vectors = porter_thomas_sides(matrix) if options.vectors else {}
        null = _null(part, matrix, statistics, options)
    except (SpectrumError, NumericalError) as error:
        return Cell("invalid", str(error))
    return Cell("ok", "", spectrum, null, statistics, initialization, angles, _spacing(spectrum), vectors)


def _spacing(spectrum: np.ndarray) -> SpacingRatio | None:
    """Ratios of spacings; None where there are too few."""
    try:
        return spacing_ratio(spectrum)
    except SpectrumError:
        return None


def _null(part: Part, matrix: np.ndarray, statistics: EntryStatistics, options: Options) -> np.ndarray | None:
    if options.null == "none":
        return None
    if options.null == "shuffled":
        return shuffled_null(matrix, draws=options.null_draws, seed=options.seed, name=part.layer, overwrite=True)
    mean_square = statistics.variance + statistics.mean**2
    n_rows, n_cols = matrix.shape
    return gaussian_null(n_rows, n_cols, mean_square, draws=options.null_draws, seed=options.seed, name=part.layer)

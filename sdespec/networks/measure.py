"""The verb ``measure``: spectra, nulls and entry statistics of every matrix of a checkpoint."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import xarray as xr

from sdespec.core.errors import FormatError, InputError, UsageError
from sdespec.core.provenance import record
from sdespec.networks._cells import Cell, Options, measure_parts
from sdespec.networks._result import Row, Table
from sdespec.networks.matrices import Conv, Fused, Part, parts_of, select
from sdespec.networks.reader import read_tensors
from sdespec.networks.steps import find_steps
from sdespec.networks.tensor import Tensor

__all__ = ["measure"]

Progress = Callable[[int, int, str], None]
Directions = Mapping[str, Mapping[str, np.ndarray]]


def measure(
    source: Any,
    *,
    include: str | Sequence[str] | None = None,
    exclude: str | Sequence[str] | None = None,
    minimum_side: int = 8,
    conv: Conv = "flatten",
    fused: Fused = "split",
    null: str = "shuffled",
    null_draws: int = 1,
    directions: Directions | None = None,
    vectors: bool = False,
    max_bytes: int = 8 * 2**30,
    seed: int = 0,
    progress: Progress | None = None,
) -> xr.Dataset:
    r"""Measure the spectrum of every weight matrix of a checkpoint, with its null and the moments of its entries.

    .. math:: \lambda_k = s_k(W)^2

    Parameters
    ----------
    source : array, mapping, torch module or path
        A path is a file (.npy, .npz, .safetensors, .pt, .pth, .bin, .ckpt, .pth.tar), an index of shards, a folder
        with one checkpoint, or a folder of checkpoints at several steps (``step1000``, ``checkpoint-20``, ...),
        which adds the dim ``time``.
    include, exclude : str or sequence of str, optional
        Glob patterns of the names to measure and to leave out; both are matched against tensor and row names.
    minimum_side : int
        Matrices with a smaller side are skipped; at least 2.
    conv : {"flatten", "slices"}
        Convolution kernels as one matrix outputs x (inputs * positions), or one matrix for each position.
    fused : {"split", "keep"}
        Whether stacked gates of an LSTM or GRU, stacked q, k, v and stacked experts are measured apart.
    null : {"shuffled", "gaussian", "none"}
        ``shuffled`` permutes all entries; ``gaussian`` redraws them with mean zero and the same mean square.
    null_draws : int
        Number of draws of the null.
    directions : mapping, optional
        Row name -> direction name -> vector; adds ``alignment`` with the 10 leading singular vectors, right ones
        where the length is the number of columns, left ones where it is the number of rows.
    vectors : bool
        Whether singular vectors are held against random directions (``porter_thomas_p``, ``porter_thomas_rejected``,
        and ``porter_thomas_mode_p`` for each vector); takes a full decomposition, two to four times as
        long as the values alone.
    max_bytes : int
        Matrices that take more in float64 are skipped.
    seed : int
        Draw d of the null of a row depends on (seed, name of the row, d) only, at all times alike.
    progress : callable, optional
        Called with (done, total, name of the row).

    Returns
    -------
    xarray.Dataset
        Dims (layer[, time], ...). One row for each matrix and for each tensor that is none, with ``status`` (ok,
        skipped, invalid), ``reason``, ``role``, ``n_rows``, ``n_cols``, ``tensor``; variables ``eigenvalue,
        rank_count, null_eigenvalue, entry_mean, entry_variance, entry_kurtosis, entry_max_abs, at_initialization,
        spacing_ratio`` with its error and two p-values, and where asked for ``alignment`` and the test of vectors.

    Raises
    ------
    FormatError
        If a file is missing, of an unknown format, truncated, or its header lies.
    UnsafeFileError
        If reading could run code or exhaust memory.
    MissingDependencyError
        If a file needs torch and it is not installed.
    InputError
        If the source holds no tensor at all.
    UsageError
        If an option is not allowed.

    Notes
    -----
    One matrix is in memory at a time, in float64; the largest needs about three times its size (matrix, Gram matrix,
    workspace of LAPACK). PyTorch files are mapped, so their pages stay resident but the system may drop them; those
    of the old format, before 1.6, are read as a whole. Tensors with identical
    content are measured once. Rows and columns of ``kernel`` tensors of Keras and flax are exchanged, so that rows
    are outputs. Numbers from different choices of ``conv`` and ``fused`` must not be mixed; both are in the
    attributes.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> ds = measure({"fc.weight": rng.normal(size=(20, 30)), "fc.bias": np.zeros(20)})
    >>> ds.status.values.tolist(), ds.reason.values.tolist()
    (['ok', 'skipped'], ['', 'a vector, not a matrix'])
    >>> ds.sizes["rank"], int(ds.rank_count[0])
    (20, 20)
    """
    options = Options(
        include=None if include is None else _patterns(include, "include"),
        exclude=() if exclude is None else _patterns(exclude, "exclude"),
        minimum_side=minimum_side,
        conv=conv,
        fused=fused,
        null=null,
        null_draws=null_draws,
        directions=directions or {},
        vectors=bool(vectors),
        max_bytes=max_bytes,
        seed=seed,
    )
    _check(options)
    steps = _steps(source)
    table = _collect(source, steps, options, progress)
    for name in options.directions:
        if name not in table.rows:
            raise UsageError(f"directions names the row {name!r}, which is not there; rows: {_some(table.rows)}")
    arguments = {**options.arguments(), "source": _described(source, steps)}
    return table.dataset(options, file=_file_name(source), provenance=record("sdespec.measure", arguments))


def _patterns(value: str | Sequence[str], option: str) -> tuple[str, ...]:
    patterns = (value,) if isinstance(value, str) else tuple(value)
    if not all(isinstance(pattern, str) for pattern in patterns):
        raise UsageError(f"{option} is {value!r}; it must be a glob pattern or a sequence of them")
    return patterns


def _check(options: Options) -> None:
    for name, value, allowed in (
        ("conv", options.conv, get_args(Conv)),
        ("fused", options.fused, get_args(Fused)),
        ("null", options.null, ("shuffled", "gaussian", "none")),
    ):
        if value not in allowed:
            raise UsageError(f"{name} is {value!r}; allowed: {', '.join(map(repr, allowed))}")
    for name, number, least in (
        ("minimum_side", options.minimum_side, 2),
        ("null_draws", options.null_draws, 1),
        ("max_bytes", options.max_bytes, 1),
        ("seed", options.seed, 0),
    ):
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or not least <= number < 2**63:
            raise UsageError(f"{name} is {number!r}; it must be an integer, at least {least} and below 2^63")


def _steps(source: Any) -> list[tuple[int, Path]]:
    if isinstance(source, (str, os.PathLike)) and Path(source).is_dir():
        return find_steps(source)
    return []


def _collect(source: Any, steps: list[tuple[int, Path]], options: Options, progress: Progress | None) -> Table:
    """Measure one checkpoint after the other."""
    table = Table([step for step, _ in steps])
    done = 0
    checkpoints = [path for _, path in steps] or [source]
    lost: list[FormatError] = []
    for index, checkpoint in enumerate(checkpoints):
        try:
            done = _add_checkpoint(table, checkpoint, index, len(checkpoints), done, options, progress)
        except FormatError as error:  # one broken file of a training must not cost the others
            table.lose(index, f"unreadable: {error}")
            lost.append(error)
    if len(lost) == len(checkpoints):
        raise lost[0]
    return table


def _add_checkpoint(
    table: Table, checkpoint: Any, index: int, count: int, done: int, options: Options, progress: Progress | None
) -> int:
    """Measure one checkpoint, which is out of memory on return; gives the number of rows done so far."""
    tensors = read_tensors(checkpoint)
    if not tensors:
        where = str(checkpoint) if isinstance(checkpoint, (str, os.PathLike)) else None
        problem = "there is no tensor in it"
        raise InputError(problem) if where is None else FormatError(problem, file=where)
    parts = _planned(tensors, options)
    total = done + len(parts) * (count - index)
    for part, cell in _cells(parts, options):
        table.add(Row.of(part), index, cell)
        done += 1
        if progress is not None:
            progress(done, total, part.layer)
    return done


def _planned(tensors: Sequence[Tensor], options: Options) -> list[Part]:
    parts = parts_of(tensors, conv=options.conv, fused=options.fused)
    return select(
        parts,
        include=options.include,
        exclude=options.exclude,
        minimum_side=options.minimum_side,
        max_bytes=options.max_bytes,
    )


def _cells(parts: Sequence[Part], options: Options) -> Iterator[tuple[Part, Cell]]:
    """Cells of all rows; rows of the same tensor share one reading of it."""
    tied: dict[Any, str] = {}
    start = 0
    while start < len(parts):
        stop = start + 1
        while stop < len(parts) and parts[stop].tensor is parts[start].tensor:
            stop += 1
        yield from measure_parts(parts[start:stop], options, tied)
        start = stop


def _some(names: Mapping[str, Any]) -> str:
    return ", ".join(list(names)[:5]) + (", ..." if len(names) > 5 else "")


def _file_name(source: Any) -> str:
    return Path(source).resolve().name if isinstance(source, (str, os.PathLike)) else ""


def _described(source: Any, steps: list[tuple[int, Path]]) -> Any:
    """What the provenance keeps of the source: names and hashes, no folders."""
    if not isinstance(source, (str, os.PathLike)):
        return source
    path = Path(source)
    if path.is_file():
        return path
    entries = [entry for _, entry in steps] or [path]
    files = [
        file
        for entry in entries
        for file in (sorted(p for p in entry.iterdir() if p.is_file()) if entry.is_dir() else [entry])
    ]
    return {"folder": path.resolve().name, "files": files}

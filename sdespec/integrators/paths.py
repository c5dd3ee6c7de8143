"""Run the replicates: chunks of them on threads, in kernels that hold no lock."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from sdespec.core.errors import NumericalError, UsageError
from sdespec.core.linalg import blas_threads
from sdespec.core.rng import standard_normal, words_of
from sdespec.integrators._division_kernels import division_spectra
from sdespec.integrators._kernels import eigenvalues_of, exact_spectra, linear_steps, sorted_euler_steps
from sdespec.integrators.plan import Plan
from sdespec.integrators.schemes import step_constants
from sdespec.integrators.start import Start
from sdespec.laws import LaguerreEnsemble

__all__ = ["Paths", "Progress", "empty_paths", "given_weight", "in_chunks", "run", "run_one_time"]

Progress = Callable[[int, int, str], None]
Result = TypeVar("Result")

_START = 1  # purpose of the noise that draws a stationary start
_CHUNKS = 8  # for each thread: enough for an even load and for progress


@dataclass(frozen=True, eq=False)
class Paths:
    """All replicates at the records.

    Attributes
    ----------
    spectra : ndarray, (replicates, times, rank)
        Eigenvalues, descending.
    weights : ndarray or None, (replicates, times, n_rows, n_cols)
        Matrices, where they were asked for.
    violations : int
        Steps that broke the order or the sign of eigenvalues.
    newton_steps : int
        Steps of Newton's method, where there is one.
    steps_taken, steps_at_limit : int
        Adaptive steps, and those that no further halving could make agree.
    """

    spectra: np.ndarray
    weights: np.ndarray | None = None
    violations: int = 0
    newton_steps: int = 0
    steps_taken: int = 0
    steps_at_limit: int = 0


def run(plan: Plan, indices: range, threads: int | None, progress: Progress | None) -> Paths:
    """Follow every replicate from its start through all record times.

    Parameters
    ----------
    plan : Plan
        The run.
    indices : range
        Indices of the replicates.
    threads : int or None
        Number of threads, all cores by default; the result does not depend on it.
    progress : callable, optional
        Called with (done, total, text).

    Returns
    -------
    Paths
    """
    workers = threads or os.cpu_count() or 1
    paths = empty_paths(plan, indices)
    size = 1 if plan.whole_matrix else max(1, math.ceil(len(indices) / (workers * _CHUNKS)))
    follow = _spectral_chunk if plan.method == "exact" and not plan.whole_matrix else _step_chunk
    found = in_chunks(lambda chunk: follow(plan, chunk, indices.start, paths), indices, size, workers, progress)
    return replace(paths, violations=sum(found))


def empty_paths(plan: Plan, indices: range) -> Paths:
    """Arrays that the replicates fill."""
    records = (len(indices), len(plan.clock))
    weights = np.empty((*records, plan.n_rows, plan.whole_cols)) if plan.keep_weights else None
    return Paths(np.empty((*records, plan.rank)), weights)


def in_chunks(
    follow: Callable[[range], Result], indices: range, size: int, threads: int | None, progress: Progress | None
) -> list[Result]:
    """Call a function with ranges of replicates on a pool of threads; what it returns for each, in order."""
    chunks = [indices[start : start + size] for start in range(0, len(indices), size)]
    done, results = 0, []
    with blas_threads(0), ThreadPoolExecutor(max_workers=threads or os.cpu_count() or 1) as pool:
        for chunk, found in zip(chunks, pool.map(follow, chunks), strict=True):
            done += len(chunk)
            results.append(found)
            if progress is not None:
                progress(done, len(indices), "replicates")
    return results


def _checked(info: int, plan: Plan) -> None:
    """Raise if a kernel could not find the eigenvalues."""
    if info == -1:
        raise NumericalError(
            f"the matrix left the range of numbers; time_step is {plan.time_step:g}, give a shorter one"
        )
    if info != 0:
        raise NumericalError(f"LAPACK found no singular values of a matrix on the way (info {info})")


def _spectral_chunk(plan: Plan, chunk: range, first: int, paths: Paths) -> int:
    """Chains of spectra alone, exact in law."""
    constants = np.array([step_constants(plan.weight_decay, plan.diffusion, float(h)) for h in plan.lengths])
    factors, deviations = np.ascontiguousarray(constants.T)
    start = _first_spectra(plan, chunk, first)
    out = paths.spectra[chunk.start - first : chunk.stop - first]
    words = words_of(seed=plan.seed, replicate=chunk.start, step=plan.start.steps)
    _checked(_chain(plan, out, start, factors, deviations, words), plan)
    return 0


def _chain(
    plan: Plan, out: np.ndarray, start: np.ndarray, factors: np.ndarray, deviations: np.ndarray,
    words: tuple[np.uint64, ...],
) -> int:  # fmt: skip
    """Exact steps of the spectrum of a real, complex or quaternion matrix."""
    if plan.beta == 1.0:
        return int(exact_spectra(out, start, plan.larger_side, factors, deviations, *words))
    return int(division_spectra(out, start, plan.larger_side, int(plan.beta), factors, deviations, *words))


def _first_spectra(plan: Plan, chunk: range, first: int) -> np.ndarray:
    """Spectra at the start of the replicates of a chunk."""
    if plan.start.stationary:
        out = np.empty((len(chunk), 1, plan.rank))
        factor, deviation = step_constants(plan.weight_decay, plan.diffusion, math.inf)
        words = words_of(seed=plan.seed, replicate=chunk.start, step=0, purpose=_START)
        zero = np.zeros((len(chunk), plan.rank))
        _checked(_chain(plan, out, zero, np.array([factor]), np.array([deviation]), words), plan)
        return np.ascontiguousarray(out[:, 0])
    assert plan.start.spectra is not None
    given = plan.start.spectra
    rows = given[chunk.start - first : chunk.stop - first] if len(given) > 1 else np.repeat(given, len(chunk), axis=0)
    return np.ascontiguousarray(rows)


def _first_weight(plan: Plan, replicate: int, row: int) -> np.ndarray:
    """A matrix to start from."""
    start, shape = plan.start, (plan.n_rows, plan.whole_cols)
    if start.stationary:
        noise = standard_normal(shape, seed=plan.seed, replicate=replicate, purpose=_START)
        return math.sqrt(plan.diffusion / plan.weight_decay) * noise
    return given_weight(start, shape, row)


def given_weight(start: Start, shape: tuple[int, int], row: int) -> np.ndarray:
    """A copy of the matrix that the start gives to a replicate; a spectrum becomes a diagonal matrix."""
    if start.weights is not None:
        return np.array(start.weights[row if len(start.weights) > 1 else 0], order="C")
    assert start.spectra is not None
    weight = np.zeros(shape)
    np.fill_diagonal(weight, np.sqrt(start.spectra[row if len(start.spectra) > 1 else 0]))
    return weight


def _step_chunk(plan: Plan, chunk: range, first: int, paths: Paths) -> int:
    """Replicates whose matrix, or whose spectrum under a scheme with small steps, is followed."""
    return sum(_steps(plan, replicate, replicate - first, paths) for replicate in chunk)


def _steps(plan: Plan, replicate: int, row: int, paths: Paths) -> int:
    """One replicate, step by step; the order violations."""
    weight = _first_weight(plan, replicate, row) if plan.whole_matrix else np.empty((0, 0))
    spectrum = (
        np.empty(0) if plan.whole_matrix else _first_spectra(plan, range(replicate, replicate + 1), replicate - row)[0]
    )
    step, violations = plan.start.steps, 0
    for i, (length, count) in enumerate(zip(plan.lengths, plan.counts, strict=True)):
        words = words_of(seed=plan.seed, replicate=replicate, step=step)
        if length > 0.0 and not plan.whole_matrix:
            h = float(length) / count
            scheme = (plan.larger_side, plan.weight_decay, plan.diffusion, h, count)
            violations += sorted_euler_steps(spectrum, *scheme, *words)
        elif length > 0.0:
            if plan.method == "exact":
                factor, deviation = step_constants(plan.weight_decay, plan.diffusion, float(length))
            else:
                h = float(length) / count
                factor, deviation = 1.0 - plan.weight_decay * h, math.sqrt(2.0 * plan.diffusion * h)
            linear_steps(weight, factor, deviation, count, *words)
        if plan.whole_matrix:
            _checked(eigenvalues_of(weight, paths.spectra[row, i]), plan)
        else:
            paths.spectra[row, i] = spectrum
        if paths.weights is not None:
            paths.weights[row, i] = weight
        step += count
    return violations


def run_one_time(plan: Plan, indices: range) -> Paths:
    """Any beta and real dimension, where the law at the one time asked for is a Laguerre ensemble."""
    if plan.method != "exact" or plan.keep_weights or not plan.is_ensemble:
        raise UsageError(
            f"beta is {plan.beta:g} and n_cols {plan.n_cols:g}: only a spectrum at one time, from zero or in the "
            "stationary law, is exact; use method='strang' for paths, or beta = 1, 2 or 4 with integer sides (a matrix "
            "to save only at beta = 1)"
        )
    at_rest = plan.start.stationary or math.isinf(plan.clock[-1])
    if plan.clock[0] == 0.0 and not at_rest:
        return Paths(np.zeros((len(indices), 1, plan.rank)))
    length = math.inf if at_rest else float(plan.clock[0])
    deviation = step_constants(plan.weight_decay, plan.diffusion, length)[1]
    ensemble = LaguerreEnsemble(plan.n_rows, plan.n_cols, deviation**2, beta=plan.beta)
    drawn = ensemble.rvs(indices.stop, seed=plan.seed)[indices.start :]  # draw i depends on (seed, i) only
    return Paths(drawn[:, None])

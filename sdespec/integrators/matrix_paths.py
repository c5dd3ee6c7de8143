"""Run replicates of a whole matrix, or of a spectrum under a loss of it, on threads."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial
from typing import Any, cast

import numpy as np

from sdespec.core.errors import NumericalError
from sdespec.core.rng import Words, words_of
from sdespec.integrators._kernels import eigenvalues_of, exact_spectra
from sdespec.integrators._matrix_kernels import affine_steps, gradient_steps, regression_steps, sra1_steps
from sdespec.integrators.gradients import (
    Gradient,
    compiled_gradient,
    flow,
    plain_gradient,
    require_finite,
    row_derivative,
)
from sdespec.integrators.matrix_plan import turns_freely
from sdespec.integrators.matrix_schemes import AffineStep, euler_step, exact_step, ornstein_uhlenbeck_step
from sdespec.integrators.matrix_start import stationary_weight
from sdespec.integrators.paths import Paths, Progress, empty_paths, given_weight, in_chunks
from sdespec.integrators.plan import Plan
from sdespec.models import LinearRegressionSGD, MatrixSGD, QuadraticLoss, SpectralLoss

__all__ = ["run_matrix"]

Advance = Callable[[np.ndarray, float, int, Words], None]
"""Takes a matrix over a length in a number of steps, in place, with the words of the first of them."""

_CHUNK, _LARGE_CHUNK = 64, 512


def run_matrix(
    model: MatrixSGD | LinearRegressionSGD,
    plan: Plan,
    indices: range,
    threads: int | None,
    progress: Progress | None,
) -> Paths:
    """Follow every replicate from its start through all record times.

    Parameters
    ----------
    model : MatrixSGD or LinearRegressionSGD
        The process.
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

    Notes
    -----
    Memory: a few matrices for each thread, and the records.
    """
    paths = empty_paths(plan, indices)
    follow: Callable[[range], None]
    size = _CHUNK
    if plan.method == "strang" and not plan.keep_weights and isinstance(model, MatrixSGD) and turns_freely(model):
        follow, size = partial(_spectral_strang, model, plan, indices.start, paths), _LARGE_CHUNK
    else:
        advance = _regression(model) if isinstance(model, LinearRegressionSGD) else _advance(model, plan.method)
        follow = partial(_follow, model, plan, indices.start, paths, advance)
    in_chunks(follow, indices, size, threads, progress)
    return paths


def _first_weight(model: MatrixSGD | LinearRegressionSGD, plan: Plan, replicate: int, row: int) -> np.ndarray:
    """A matrix to start from."""
    if plan.start.stationary:
        return stationary_weight(cast(MatrixSGD, model), seed=plan.seed, replicate=replicate)
    return given_weight(plan.start, (model.n_rows, model.n_cols), row)


def _follow(
    model: MatrixSGD | LinearRegressionSGD, plan: Plan, first: int, paths: Paths, advance: Advance, chunk: range
) -> None:
    """Replicates of a chunk, matrix by matrix."""
    for replicate in chunk:
        row, step = replicate - first, plan.start.steps
        weight = _first_weight(model, plan, replicate, row)
        for i, (length, count) in enumerate(zip(plan.lengths, plan.counts, strict=True)):
            if length > 0.0:
                words = words_of(seed=plan.seed, replicate=replicate, step=step)
                with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is reported at the record
                    try:
                        advance(weight, float(length), count, words)
                    except np.linalg.LinAlgError:
                        weight[:] = np.nan
            _checked(eigenvalues_of(weight, paths.spectra[row, i]), plan)
            if paths.weights is not None:
                paths.weights[row, i] = weight
            step += count


def _checked(info: int, plan: Plan) -> None:
    if info == -1:
        remedy = "lower its learning rate" if plan.method == "recursion" else "give a shorter time_step"
        raise NumericalError(f"the matrix left the range of numbers under the method {plan.method!r}; {remedy}")
    if info != 0:
        raise NumericalError(f"LAPACK found no singular values of a matrix on the way (info {info})")


def _regression(model: LinearRegressionSGD) -> Advance:
    def advance(error: np.ndarray, length: float, count: int, words: Words) -> None:
        rate = model.learning_rate / model.batch_size
        regression_steps(error, rate, model.batch_size, float(model.label_noise), count, words)

    return advance


def _advance(model: MatrixSGD, method: str) -> Advance:
    """The scheme; constants of a step are made once for each of its lengths."""
    if method == "strang":
        assert isinstance(model.loss, SpectralLoss)
        return partial(_matrix_strang, model, row_derivative(model.loss.derivative, min(model.n_rows, model.n_cols)))
    linear = model.loss is None or isinstance(model.loss, QuadraticLoss)
    if method == "exact" or (linear and method in ("euler", "milstein")):
        return _affine(model, method)
    compiled = compiled_gradient(model)
    gradient = plain_gradient(model) if compiled is None else compiled
    # the plain form of a kernel runs the same lines with a gradient that is not compiled
    kernel: Any = sra1_steps if method == "sra1" else gradient_steps
    kernel = kernel.py_func if compiled is None else kernel
    if method == "sra1":
        return _sra1(model, kernel, gradient)
    return _with_gradient(model, kernel, gradient, method=method)


def _affine(model: MatrixSGD, method: str) -> Advance:
    @cache
    def constants(h: float) -> AffineStep:
        return exact_step(model, h) if method == "exact" else euler_step(model, h, milstein=method == "milstein")

    def advance(weight: np.ndarray, length: float, count: int, words: Words) -> None:
        affine_steps(weight, *constants(length / count), count, words)

    return advance


def _sra1(model: MatrixSGD, kernel: Any, gradient: Any) -> Advance:
    @cache
    def constants(h: float) -> AffineStep:
        return euler_step(model, h)

    def advance(weight: np.ndarray, length: float, count: int, words: Words) -> None:
        h = length / count
        kernel(weight, gradient, float(model.weight_decay), h, constants(h).noise, count, words)

    return advance


def _with_gradient(model: MatrixSGD, kernel: Any, gradient: Any, *, method: str) -> Advance:
    @cache
    def constants(h: float) -> tuple[AffineStep, float]:
        if method != "exponential":
            return euler_step(model, h, milstein=method == "milstein"), h
        decay = model.weight_decay
        return ornstein_uhlenbeck_step(model, h), -math.expm1(-decay * h) / decay if decay > 0.0 else h

    def advance(weight: np.ndarray, length: float, count: int, words: Words) -> None:
        step, rate = constants(length / count)
        kernel(weight, gradient, step.factor, rate, step.noise, count, words)

    return advance


def _matrix_strang(
    model: MatrixSGD, derivative: Gradient, weight: np.ndarray, length: float, count: int, words: Words
) -> None:
    """Half flow, exact step of the linear part, half flow; neighbouring half flows share their decomposition."""
    h = length / count
    linear = ornstein_uhlenbeck_step(model, h)

    def flowed(times: int) -> np.ndarray:
        left, values, right = np.linalg.svd(weight, full_matrices=False)
        for _ in range(times):
            values = flow(values[None], derivative, 0.5 * h)[0]
        return np.asarray((left * values) @ right)

    for k in range(count):
        if k == 0:
            weight[:] = flowed(1)
        affine_steps(weight, *linear, 1, (words[0] + np.uint64(k), *words[1:]))
        require_finite(weight)
        weight[:] = flowed(1 if k == count - 1 else 2)


def _spectral_strang(model: MatrixSGD, plan: Plan, first: int, paths: Paths, chunk: range) -> None:
    """Strang's splitting of the spectra alone: flows of all replicates of a chunk at once, exact steps between."""
    assert isinstance(model.loss, SpectralLoss)
    derivative = row_derivative(model.loss.derivative, plan.rank)
    values = np.array([_first_values(model, plan, replicate, replicate - first) for replicate in chunk])
    step, spectra = plan.start.steps, np.empty((len(chunk), 1, plan.rank))
    for i, (length, count) in enumerate(zip(plan.lengths, plan.counts, strict=True)):
        h = float(length) / max(count, 1)
        constants = ornstein_uhlenbeck_step(model, h)
        factors, deviations = np.array([constants.factor]), np.array([constants.noise.deviation])
        for k in range(count):
            start = flow(values, derivative, 0.5 * h) ** 2
            words = words_of(seed=plan.seed, replicate=chunk.start, step=step + k)
            _checked(exact_spectra(spectra, start, plan.larger_side, factors, deviations, *words), plan)
            values = flow(np.sqrt(spectra[:, 0]), derivative, 0.5 * h)
            require_finite(values)
        step += count
        paths.spectra[chunk.start - first : chunk.stop - first, i] = -np.sort(-(values**2), axis=1)


def _first_values(model: MatrixSGD, plan: Plan, replicate: int, row: int) -> np.ndarray:
    if plan.start.spectra is not None:
        return np.asarray(np.sqrt(plan.start.spectra[row if len(plan.start.spectra) > 1 else 0]))
    return np.asarray(np.linalg.svd(_first_weight(model, plan, replicate, row), compute_uv=False))

"""Paths of Dyson processes along a path of the noise: the drift-implicit Euler scheme, and adaptive steps."""

from __future__ import annotations

import math
import os
from dataclasses import replace

import numpy as np

from sdespec.core.rng import FIELDS, words_of
from sdespec.integrators._chamber_kernels import adaptive_steps, implicit_steps
from sdespec.integrators.dyson_paths import checked, first_spectra
from sdespec.integrators.paths import Paths, Progress, empty_paths, in_chunks
from sdespec.integrators.plan import Plan

__all__ = ["run_chamber"]

_CHUNKS = 4  # per worker, for the progress
_DEEPEST = 20  # halvings of a step


def run_chamber(plan: Plan, indices: range, threads: int | None, progress: Progress | None) -> Paths:
    """Follow the singular values of every replicate in their chamber.

    Parameters
    ----------
    plan : Plan
        With the method ``implicit`` or ``adaptive``.
    indices : range
        Replicates.
    threads : int, optional
        Number of threads; all cores by default. The result does not depend on it.
    progress : callable, optional
        Called with (done, total, text).

    Returns
    -------
    Paths
        With ``newton_steps``, and for ``adaptive`` with ``steps_taken`` and ``steps_at_limit``.

    Raises
    ------
    NumericalError
        If Newton's method does not converge.
    """
    paths, starts = empty_paths(plan, indices), first_spectra(plan, indices)
    workers = threads or os.cpu_count() or 1
    size = max(1, math.ceil(len(indices) / (workers * _CHUNKS)))

    def follow(chunk: range) -> np.ndarray:
        rows = range(chunk.start - indices.start, chunk.stop - indices.start)
        return sum((_path(plan, k, starts[i], paths.spectra[i]) for k, i in zip(chunk, rows, strict=True)), np.zeros(3))

    used, taken, at_limit = sum(in_chunks(follow, indices, size, workers, progress), np.zeros(3)).astype(int)
    return replace(paths, newton_steps=int(used), steps_taken=int(taken), steps_at_limit=int(at_limit))


def _path(plan: Plan, replicate: int, spectrum: np.ndarray, out: np.ndarray) -> np.ndarray:
    """One replicate; Newton steps, steps taken, and those that the last halving left too coarse."""
    n, m = plan.sides
    forces = (plan.diffusion * (plan.beta * (m - n + 1) - 1.0), 2.0 * plan.diffusion * plan.beta, plan.weight_decay)
    rate = math.sqrt(2.0 * plan.diffusion)
    deepest = min(_DEEPEST, FIELDS["entry"] - 1 - math.ceil(math.log2((n + 1) // 2 or 1)))
    values, step = np.sqrt(spectrum[::-1]), plan.start.steps  # the least keeps its sign from record to record
    used, taken = 0, np.zeros(2, dtype=np.int64)
    assert plan.pace is not None
    for i, (length, count) in enumerate(zip(plan.lengths, plan.counts, strict=True)):
        if count and not (i == 0 and plan.at_once):
            h = float(length) / count
            words = words_of(seed=plan.seed, replicate=replicate, step=step)
            if plan.method == "implicit":
                found = implicit_steps(values, *forces, rate, h, count, *words)
            else:
                found = adaptive_steps(values, *forces, rate, h, count, plan.pace.tolerance[i], deepest, taken, *words)
            used += checked(found, plan)
        step += count
        out[i] = (values * values)[::-1]
    return np.array([used, *taken])

"""Paths of Dyson processes of any repulsion: splitting, and the drift-implicit Euler scheme."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from sdespec.core.errors import NumericalError
from sdespec.core.rng import words_of
from sdespec.integrators._dyson_kernels import implicit_steps, splitting_steps
from sdespec.integrators.paths import Paths, Progress, empty_paths, in_chunks
from sdespec.integrators.plan import Plan
from sdespec.integrators.schemes import euler_step_count, step_constants
from sdespec.laws import LaguerreEnsemble

__all__ = ["run_dyson", "splitting_constants"]


def splitting_constants(n: int, m: float, diffusion: float, beta: float) -> tuple[float, float, float, float]:
    r"""How a Dyson process of repulsion beta splits into one that is exact and a flow that is left.

    .. math:: ds_k = \underbrace{ds_k^{(\beta_0, m_0)}}_{\text{exact}}
        + \Big[\frac{a}{s_k} + b \sum_{j \ne k} \frac{s_k}{s_k^2 - s_j^2}\Big] dt, \qquad b = 2D(\beta - \beta_0)

    For beta of at least 1 the exact part is the matrix, :math:`\beta_0 = 1` with as many columns :math:`m_0` as leave
    :math:`0 \le a < D`; below 1 it is n independent squared Bessel processes of dimension beta (m - n + 1).

    Parameters
    ----------
    n : int
        Number of values.
    m : float
        Larger side.
    diffusion, beta : float
        D and the repulsion.

    Returns
    -------
    base, dimension, inverse, pair : float
        :math:`\beta_0`, :math:`m_0` or the Bessel dimension, a and b.

    Examples
    --------
    >>> splitting_constants(4, 6.0, 0.5, 2.5)
    (1.0, 10.0, 0.25, 1.5)
    """
    dimension = beta * (m - n + 1)
    if beta < 1.0:
        return 0.0, dimension, 0.0, 2.0 * diffusion * beta
    columns = math.floor(dimension + n - 1 + 1e-12)
    inverse = diffusion * max(dimension - columns + n - 1, 0.0)
    return 1.0, float(columns), inverse if inverse > 1e-12 * diffusion else 0.0, 2.0 * diffusion * (beta - 1.0)


def run_dyson(plan: Plan, indices: range, threads: int | None, progress: Progress | None) -> Paths:
    """Follow the replicates; ``Paths.violations`` counts Newton steps, for there are no violations.

    Parameters
    ----------
    plan : Plan
        With the method ``strang`` or ``implicit``.
    indices : range
        Replicates.
    threads : int, optional
        Number of threads; all cores by default. The result does not depend on it.
    progress : callable, optional
        Called with (done, total, text).

    Returns
    -------
    Paths

    Raises
    ------
    NumericalError
        If Newton's method does not converge.
    """
    paths, starts = empty_paths(plan, indices), _starts(plan, indices)

    def follow(chunk: range) -> int:
        row = chunk.start - indices.start
        return _follow(plan, chunk.start, starts[row], paths.spectra[row])

    return replace(paths, violations=sum(in_chunks(follow, indices, 1, threads, progress)))


def _starts(plan: Plan, indices: range) -> np.ndarray:
    """Spectra (replicates, n) from which the steps begin: those at the first record where the start is zero."""
    n, m = plan.sides
    if plan.start.stationary or (plan.from_zero and plan.lengths[0] > 0.0):
        length = math.inf if plan.start.stationary else float(plan.lengths[0])
        deviation = step_constants(plan.weight_decay, plan.diffusion, length)[1]
        ensemble = LaguerreEnsemble(n, m, deviation**2, beta=plan.beta)
        return ensemble.rvs(indices.stop, seed=plan.seed)[indices.start :]
    assert plan.start.spectra is not None
    given = plan.start.spectra
    return np.array(given if len(given) > 1 else np.repeat(given, len(indices), axis=0), order="C")


def _follow(plan: Plan, replicate: int, spectrum: np.ndarray, out: np.ndarray) -> int:
    """One replicate; the Newton steps."""
    step, used = plan.start.steps, 0
    exact_first = plan.method == "strang" and plan.from_zero and plan.lengths[0] > 0.0
    for i, length in enumerate(plan.lengths):
        steps = _steps_of(plan, i)
        if i or not exact_first:
            for h, count in steps:
                words = words_of(seed=plan.seed, replicate=replicate, step=step)
                used += _advance(plan, spectrum, h, count, words) if length > 0.0 else 0
                step += count
        else:
            step += 1
        out[i] = spectrum
    return used


def _steps_of(plan: Plan, index: int) -> list[tuple[float, int]]:
    """Lengths of the steps to a record, equal ones together."""
    if plan.method == "implicit":
        count = euler_step_count(float(plan.lengths[index]), plan.time_step)
        return [(float(plan.lengths[index]) / count, count)] if count else []
    steps = plan.graded[index]
    lengths, counts = np.unique(steps, return_counts=True)
    return [(float(h), int(count)) for h, count in zip(lengths[::-1], counts[::-1], strict=True)]


def _advance(plan: Plan, spectrum: np.ndarray, h: float, count: int, words: tuple[np.uint64, ...]) -> int:
    n, m = plan.sides
    if plan.method == "implicit":
        inverse = plan.diffusion * (plan.beta * (m - n + 1) - 1.0)
        deviation = math.sqrt(2.0 * plan.diffusion * h)
        pair = 2.0 * plan.diffusion * plan.beta
        used = implicit_steps(spectrum, inverse, pair, plan.weight_decay, deviation, h, count, *words)
    else:
        factor, deviation = step_constants(plan.weight_decay, plan.diffusion, h)
        constants = splitting_constants(n, m, plan.diffusion, plan.beta)
        used = splitting_steps(spectrum, *constants, factor, deviation, h, count, *words)
    if used == -1:
        raise NumericalError(f"Newton's method did not converge; time_step is {plan.time_step:g}, give a shorter one")
    if used < 0:
        raise NumericalError("LAPACK found no singular values of a matrix on the way")
    return int(used)

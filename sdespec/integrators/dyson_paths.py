"""Paths of Dyson processes of any repulsion, in law: splitting."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace

import numpy as np

from sdespec.core.errors import NumericalError
from sdespec.core.rng import words_of
from sdespec.integrators._dyson_kernels import splitting_paths
from sdespec.integrators.paths import Paths, Progress, empty_paths, in_chunks
from sdespec.integrators.plan import Plan
from sdespec.integrators.schemes import step_constants
from sdespec.laws import LaguerreEnsemble

__all__ = ["checked", "first_spectra", "run_dyson", "splitting_constants"]


_SHORT = 4.0  # steps up to so many of the last one take independent values for the exact part, a seventh of the cost
_CHUNKS = 4  # per worker, for the progress


def splitting_constants(
    n: int, m: float, diffusion: float, weight_decay: float, beta: float, *, short: bool = False
) -> tuple[float, float, float, float, float]:
    r"""How a Dyson process of repulsion beta splits into one that is exact and a flow that is left.

    .. math:: ds_k = \underbrace{ds_k^{(\beta_0, m_0, g - c)}}_{\text{exact}}
        + \Big[\frac{a}{s_k} + b \sum_{j \ne k} \frac{s_k}{s_k^2 - s_j^2} - c\, s_k\Big] dt,
        \qquad b = 2D(\beta - \beta_0)

    For beta of at least 1 the exact part is the matrix, :math:`\beta_0 = 1`, with the columns of the process and the
    share 1/beta of the decay g: its drift is the same share of the whole, but for terms of order 1/n, so that the two
    parts commute but for the noise and even a step of the time of relaxation has no visible bias of the density. Below
    1, and over short steps, where it is as good and takes a seventh of the time, it is n independent squared Bessel
    processes of dimension beta (m - n + 1).

    Parameters
    ----------
    n : int
        Number of values.
    m : float
        Larger side.
    diffusion, weight_decay, beta : float
        D, g and the repulsion.
    short : bool
        Whether the step is a short one.

    Returns
    -------
    base, dimension, inverse, pair, decay : float
        :math:`\beta_0`, :math:`m_0` or the Bessel dimension, a, b and c.

    Examples
    --------
    >>> splitting_constants(4, 6.0, 0.5, 1.0, 2.5)
    (1.0, 6.0, 2.25, 1.5, 0.6)
    """
    dimension = beta * (m - n + 1)
    if min(beta, dimension) < 1.0 or short:
        return 0.0, dimension, 0.0, 2.0 * diffusion * beta, 0.0
    columns = max(n, math.floor(m))
    inverse = diffusion * (dimension - (columns - n + 1))
    return 1.0, float(columns), inverse, 2.0 * diffusion * (beta - 1.0), weight_decay * (1.0 - 1.0 / beta)


def run_dyson(plan: Plan, indices: range, threads: int | None, progress: Progress | None) -> Paths:
    """Follow the replicates by splitting.

    Parameters
    ----------
    plan : Plan
        With the method ``strang``.
    indices : range
        Replicates.
    threads : int, optional
        Number of threads; all cores by default. The result does not depend on it.
    progress : callable, optional
        Called with (done, total, text).

    Returns
    -------
    Paths
        With ``newton_steps``.

    Raises
    ------
    NumericalError
        If Newton's method does not converge.
    """
    paths, starts = empty_paths(plan, indices), first_spectra(plan, indices)
    workers = threads or os.cpu_count() or 1
    size = max(1, math.ceil(len(indices) / (workers * _CHUNKS)))
    steps = _Steps.of(plan)

    def follow(chunk: range) -> int:
        rows = slice(chunk.start - indices.start, chunk.stop - indices.start)
        out, start = paths.spectra[rows], np.ascontiguousarray(starts[rows])
        words = words_of(seed=plan.seed, replicate=chunk.start, step=plan.start.steps + steps.before)
        return checked(steps.follow(out, start, words), plan)

    used = sum(in_chunks(follow, indices, size, workers, progress))
    if math.isinf(plan.clock[-1]):
        paths.spectra[:, -1] = _at_rest(plan, indices)
    return replace(paths, newton_steps=used)


def _at_rest(plan: Plan, indices: range) -> np.ndarray:
    """Spectra at time inf, which know nothing of the start."""
    n, m = plan.sides
    own = int(np.random.SeedSequence([plan.seed, 1]).generate_state(1)[0])
    ensemble = LaguerreEnsemble(n, m, plan.diffusion / plan.weight_decay, beta=plan.beta)
    return ensemble.rvs(indices.stop, seed=own)[indices.start :]


@dataclass(frozen=True, eq=False)
class _Steps:
    """All steps of the splitting; ``before`` of them were taken at once, from zero to the first record."""

    ends: np.ndarray
    lengths: np.ndarray
    kinds: np.ndarray
    factors: np.ndarray
    deviations: np.ndarray
    constants: np.ndarray
    before: int

    @classmethod
    def of(cls, plan: Plan) -> _Steps:
        """Lay out the steps to each record."""
        n, m = plan.sides
        at_once = plan.at_once
        graded = [np.empty(0), *plan.graded[1:]] if at_once else plan.graded
        lengths = np.concatenate(graded)
        assert plan.pace is not None
        short = lengths <= _SHORT * np.repeat(plan.pace.last, [len(steps) for steps in graded])
        model = (n, m, plan.diffusion, plan.weight_decay, plan.beta)
        constants = np.array([splitting_constants(*model, short=one) for one in (False, True)])
        decays = plan.weight_decay - constants[short.astype(int), 4]
        factors, deviations = np.array(
            [step_constants(float(g), plan.diffusion, float(h)) for g, h in zip(decays, lengths, strict=True)]
        ).reshape(-1, 2).T  # fmt: skip
        return cls(
            ends=np.cumsum([len(steps) for steps in graded]),
            lengths=lengths,
            kinds=short.astype(np.int64),
            factors=np.ascontiguousarray(factors),
            deviations=np.ascontiguousarray(deviations),
            constants=constants,
            before=int(at_once),
        )

    def follow(self, out: np.ndarray, start: np.ndarray, words: tuple[np.uint64, ...]) -> int:
        """Take them all from the given spectra; the Newton steps or a negative number."""
        scheme = (self.ends, self.lengths, self.kinds, self.factors, self.deviations, self.constants)
        return int(splitting_paths(out, start, *scheme, *words))


def first_spectra(plan: Plan, indices: range) -> np.ndarray:
    """Spectra (replicates, n) from which the steps begin: those at the first record where the start is zero."""
    n, m = plan.sides
    if plan.start.stationary or plan.at_once:
        length = math.inf if plan.start.stationary else float(plan.lengths[0])
        deviation = step_constants(plan.weight_decay, plan.diffusion, length)[1]
        ensemble = LaguerreEnsemble(n, m, deviation**2, beta=plan.beta)
        return ensemble.rvs(indices.stop, seed=plan.seed)[indices.start :]
    assert plan.start.spectra is not None
    given = plan.start.spectra
    return np.array(given if len(given) > 1 else np.repeat(given, len(indices), axis=0), order="C")


def checked(used: int, plan: Plan) -> int:
    """The Newton steps of a kernel, or the error that it reports."""
    if used == -1:
        raise NumericalError(f"Newton's method did not converge; time_step is {plan.time_step:g}, give a shorter one")
    if used < 0:
        raise NumericalError("LAPACK found no singular values of a matrix on the way")
    return int(used)

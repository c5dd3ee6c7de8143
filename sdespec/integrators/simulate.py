"""Simulate the linear SDE of a weight matrix and of its squared singular values."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr

from sdespec.core.dataset import build
from sdespec.core.errors import UsageError
from sdespec.core.linalg import blas_threads, eigenvalues
from sdespec.core.provenance import record
from sdespec.core.rng import noise_stream
from sdespec.integrators.euler import euler_step_count, matrix_euler, sorted_euler
from sdespec.integrators.exact import matrix_step, spectral_step, step_constants
from sdespec.integrators.start import Start, start_of
from sdespec.laws import LaguerreEnsemble
from sdespec.models import DysonLaguerre, MatrixSGD

__all__ = ["METHODS", "simulate"]

Method = Literal["auto", "exact", "euler", "sorted_euler"]
METHODS: tuple[str, ...] = ("auto", "exact", "euler", "sorted_euler")
_ORDER = {"exact": math.inf, "euler": 1.0, "sorted_euler": 0.0}

Progress = Callable[[int, int, str], None]

_MAX_BYTES = 8 << 30


@dataclass(frozen=True, eq=False)
class _Plan:
    """One run in numbers; the lengths of steps lead from record to record."""

    n_rows: int
    n_cols: float
    weight_decay: float
    diffusion: float
    beta: float
    clock: np.ndarray
    lengths: np.ndarray
    start: Start
    seed: int
    method: str
    time_step: float
    keep_weights: bool

    @property
    def rank(self) -> int:
        return min(self.n_rows, self.whole_cols)

    @property
    def whole_cols(self) -> int:
        """Number of columns as an integer: a real one is rounded down, but never below the rank n_rows."""
        return _whole_cols(self.n_rows, self.n_cols)

    @property
    def larger_side(self) -> int:
        return int(max(self.n_rows, self.n_cols))


@dataclass(frozen=True, eq=False)
class _Path:
    """One replicate: eigenvalues and matrices at the records, and order violations on the way."""

    spectra: np.ndarray
    weights: np.ndarray | None = None
    violations: int = 0


def simulate(
    model: DysonLaguerre | MatrixSGD,
    times: Sequence[float] | np.ndarray,
    *,
    seed: int,
    replicates: int | range = 1,
    initial: Any = None,
    method: Method = "auto",
    time_step: float | None = None,
    threads: int | None = None,
    save_weights: bool = False,
    progress: Progress | None = None,
) -> xr.Dataset:
    r"""Simulate the spectrum of a weight matrix under weight decay and isotropic noise.

    .. math:: dW = -gW\,dt + \sqrt{2D}\,dB

    Parameters
    ----------
    model : DysonLaguerre or MatrixSGD
        The process.
    times : sequence of float, (k,)
        Increasing, at least 0, in the clock learning_rate * step; may end in ``inf`` with weight decay.
    seed : int
        The noise of a step is a function of (seed, replicate, step) only.
    replicates : int or range
        Number of independent replicates, or their indices: ``range(40, 64)`` gives exactly rows 40 to 63 of 64.
    initial : None, "stationary", array, Dataset or mapping
        Zero, the stationary law, matrices (n_rows, n_cols) or (replicates, n_rows, n_cols), or eigenvalues as
        ``{"eigenvalue": ...}`` in any order; a Dataset with a time dim is continued from its last time.
    method : {"auto", "exact", "euler", "sorted_euler"}
        ``exact``, which is ``auto``: exact in law at any step. ``euler``: Euler-Maruyama of the matrix.
        ``sorted_euler``: Euler-Maruyama of the eigenvalues, with absolute values and sorting; a baseline that is
        wrong, with its violations of order counted in the attribute ``order_violations``.
    time_step : float, optional
        Largest step of the Euler schemes, which need it.
    threads : int, optional
        Number of threads; all cores by default. The result does not depend on it.
    save_weights : bool
        Keep the matrices as ``weight``.
    progress : callable, optional
        Called with (done, total, text).

    Returns
    -------
    xarray.Dataset
        ``eigenvalue`` (layer, replicate, time, rank), and ``weight`` (layer, replicate, time, row, col).

    Raises
    ------
    UsageError
        If an argument is not allowed, the method does not fit the model, or the result would be too large.

    Notes
    -----
    The spectrum is a Markov chain by itself: the matrix may be turned to a diagonal one before each step, and the
    columns beyond 2n enter by their Bartlett factor, so a record costs O(n^3) whatever the larger side. Without
    ``save_weights`` only the joint law of the spectra at the record times is kept, not a path of the matrix.
    For beta other than 1 only what is exact is offered: one time, from zero or from the stationary law.

    References
    ----------
    Olsen et al., arXiv 2507.12709; Bru, Journal of Theoretical Probability 4 (1991) 725.

    Examples
    --------
    >>> from sdespec.models import DysonLaguerre
    >>> run = simulate(DysonLaguerre(4, 8, weight_decay=1.0, diffusion=0.3), [0.5, float("inf")], seed=7, replicates=3)
    >>> dict(run.eigenvalue.sizes)
    {'layer': 1, 'replicate': 3, 'time': 2, 'rank': 4}
    """
    indices = _replicates(replicates)
    plan = _plan(model, times, seed, indices, initial, method, time_step, save_weights)
    _check_size(plan, len(indices))
    if threads is not None and threads < 1:
        raise UsageError(f"threads is {threads}; it must be at least 1")
    if plan.beta != 1.0 or not float(plan.n_cols).is_integer():
        paths = _one_time(plan, indices)
    else:
        paths = _run(plan, indices, threads, progress)
    return _dataset(model, plan, indices, paths, initial)


def _replicates(replicates: int | range) -> range:
    indices = replicates if isinstance(replicates, range) else range(operator.index(replicates))
    if len(indices) == 0 or indices.step != 1 or indices.start < 0:
        raise UsageError(f"replicates is {replicates!r}; give a positive number or a range of steps 1 from at least 0")
    return indices


def _plan(
    model: DysonLaguerre | MatrixSGD,
    times: Sequence[float] | np.ndarray,
    seed: int,
    indices: range,
    initial: Any,
    method: str,
    time_step: float | None,
    save_weights: bool,
) -> _Plan:
    if not isinstance(model, (DysonLaguerre, MatrixSGD)):
        raise UsageError(f"{type(model).__name__} cannot be simulated here; give a DysonLaguerre or a MatrixSGD")
    if method not in METHODS:
        raise UsageError(f"method is {method!r}; allowed: {', '.join(METHODS)}")
    name = "exact" if method == "auto" else method
    if name != "exact" and time_step is None:
        raise UsageError(f"method {name!r} needs a time_step")
    if name == "exact" and time_step is not None:
        raise UsageError("time_step has no meaning for the exact method; leave it out")
    if time_step is not None and not (math.isfinite(time_step) and time_step > 0.0):
        raise UsageError(f"time_step is {time_step}; it must be positive and finite")
    if save_weights and name == "sorted_euler":
        raise UsageError("sorted_euler has no matrix to save")
    beta = model.beta if isinstance(model, DysonLaguerre) else 1.0
    columns = _whole_cols(model.n_rows, model.n_cols)
    start = start_of(initial, n_rows=model.n_rows, n_cols=columns, replicates=indices)
    if math.isinf(start.time):
        raise UsageError("the start is already at time inf; give its eigenvalues to start anew from them")
    clock = np.asarray(list(times), dtype=np.float64)
    if clock.ndim != 1 or clock.size == 0 or np.isnan(clock).any():
        raise UsageError(f"times are {times!r}; give at least one number")
    if clock[0] < start.time or np.any(np.diff(clock) <= 0.0):
        raise UsageError(f"times are {clock.tolist()}; they must increase from at least {start.time:g}")
    if (start.stationary or math.isinf(clock[-1])) and model.weight_decay == 0.0:
        raise UsageError("there is no stationary law at weight_decay = 0; give finite times and another start")
    if math.isinf(clock[-1]) and name != "exact":
        raise UsageError(f"method {name!r} never reaches time inf; only 'exact' does")
    return _Plan(
        model.n_rows, model.n_cols, model.weight_decay, model.diffusion, beta, clock,
        np.diff(np.concatenate(([start.time], clock))), start, operator.index(seed), name, time_step or math.inf,
        save_weights,
    )  # fmt: skip


def _whole_cols(n_rows: int, n_cols: float) -> int:
    return int(n_cols) if float(n_cols).is_integer() else max(n_rows, math.floor(n_cols))


def _check_size(plan: _Plan, count: int) -> None:
    size = 8 * count * len(plan.clock) * (plan.rank + (plan.rank * plan.larger_side if plan.keep_weights else 0))
    if size > _MAX_BYTES:
        raise UsageError(
            f"the result would take {size / 2**30:.1f} GiB, more than {_MAX_BYTES / 2**30:.0f}; "
            "ask for fewer times or replicates, or run ranges of replicates one after the other"
        )


def _run(plan: _Plan, indices: range, threads: int | None, progress: Progress | None) -> list[_Path]:
    paths: list[_Path] = []
    with blas_threads(0), ThreadPoolExecutor(max_workers=threads or os.cpu_count() or 1) as pool:
        for path in pool.map(lambda k: _replicate(plan, k, k - indices.start), indices):
            paths.append(path)
            if progress is not None:
                progress(len(paths), len(indices), "replicates")
    return paths


def _replicate(plan: _Plan, replicate: int, row: int) -> _Path:
    """One replicate from its start through all record times."""
    spectrum, weight = _first_state(plan, replicate, row)
    out = np.empty((len(plan.clock), plan.rank))
    kept = np.empty((len(plan.clock), plan.n_rows, int(plan.n_cols))) if plan.keep_weights else None
    whole_matrix = plan.keep_weights or plan.method == "euler"
    step, violations = plan.start.steps, 0
    for i, length in enumerate(plan.lengths):
        if length > 0.0:
            rng = noise_stream(plan.seed, replicate=replicate, step=step + i)
            if plan.method == "exact":
                factor, deviation = step_constants(plan.weight_decay, plan.diffusion, float(length))
                if whole_matrix:
                    weight = matrix_step(weight, factor, deviation, rng)
                else:
                    spectrum = spectral_step(spectrum, plan.larger_side, factor, deviation, rng)
            else:
                count = euler_step_count(float(length), plan.time_step)
                scheme = (plan.weight_decay, plan.diffusion, float(length) / count)
                if plan.method == "euler":
                    weight = matrix_euler(weight, *scheme, count, rng)
                else:
                    spectrum, found = sorted_euler(spectrum, plan.larger_side, *scheme, count, rng)
                    violations += found
        if whole_matrix:
            spectrum = eigenvalues(weight, method="svd")
        out[i] = spectrum
        if kept is not None:
            kept[i] = weight
    return _Path(out, kept, violations)


def _first_state(plan: _Plan, replicate: int, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Spectrum and a matrix that has it; the matrix is empty where no scheme needs one."""
    start, shape = plan.start, (plan.n_rows, int(plan.n_cols))
    whole_matrix = plan.keep_weights or plan.method == "euler"
    if start.stationary:
        rng = noise_stream(plan.seed, replicate=replicate, step=0, purpose=1)
        deviation = math.sqrt(plan.diffusion / plan.weight_decay)
        if whole_matrix:
            weight = deviation * rng.standard_normal(shape)
            return eigenvalues(weight), weight
        return spectral_step(np.zeros(plan.rank), plan.larger_side, 0.0, deviation, rng), np.empty((0, 0))
    assert start.spectra is not None
    spectrum = start.spectra[row if len(start.spectra) > 1 else 0]
    if not whole_matrix:
        return spectrum, np.empty((0, 0))
    if start.weights is not None:
        return spectrum, start.weights[row if len(start.weights) > 1 else 0]
    weight = np.zeros(shape)
    np.fill_diagonal(weight, np.sqrt(spectrum))
    return spectrum, weight


def _one_time(plan: _Plan, indices: range) -> list[_Path]:
    """Any beta and real dimension, where the law at the one time asked for is a Laguerre ensemble."""
    from_zero = plan.start.spectra is not None and not plan.start.spectra.any()
    at_rest = plan.start.stationary or math.isinf(plan.clock[-1])
    if plan.start.steps:
        raise UsageError(f"beta is {plan.beta:g} and n_cols {plan.n_cols:g}: such a run cannot be continued")
    if plan.method != "exact" or plan.keep_weights or len(plan.clock) != 1 or not (from_zero or at_rest):
        raise UsageError(
            f"beta is {plan.beta:g} and n_cols {plan.n_cols:g}: only a spectrum at one time, from zero or in the "
            "stationary law, is exact; use beta = 1 with integer sides for paths"
        )
    if plan.clock[0] == 0.0 and not at_rest:
        return [_Path(np.zeros((1, plan.rank))) for _ in indices]
    length = math.inf if at_rest else float(plan.clock[0])
    deviation = step_constants(plan.weight_decay, plan.diffusion, length)[1]
    ensemble = LaguerreEnsemble(plan.n_rows, plan.n_cols, deviation**2, beta=plan.beta)
    drawn = ensemble.rvs(indices.stop, seed=plan.seed)[indices.start :]  # draw i depends on (seed, i) only
    return [_Path(spectrum[None]) for spectrum in drawn]


def _dataset(
    model: DysonLaguerre | MatrixSGD, plan: _Plan, indices: range, paths: list[_Path], initial: Any
) -> xr.Dataset:
    run = ("layer", "replicate", "time")
    spectra = np.array([path.spectra for path in paths])[None]
    variables: dict[str, Any] = {
        "eigenvalue": ((*run, "rank"), spectra),
        "rank_count": (run, np.full(spectra.shape[:3], plan.rank, dtype=np.int64)),
    }
    coords: dict[str, Any] = {
        "layer": (("layer",), ["W"]),
        "n_rows": (("layer",), [int(plan.n_rows)]),
        "n_cols": (("layer",), [plan.whole_cols]),
        "matrix": (("layer",), ["W"]),
        "replicate": (("replicate",), np.array(indices)),
        "time": (("time",), plan.clock, {"clock": "learning_rate*step"}),
        "rank": (("rank",), np.arange(plan.rank)),
    }
    if plan.keep_weights:
        variables["weight"] = ((*run, "row", "col"), np.array([path.weights for path in paths])[None])
        coords |= {"row": (("row",), np.arange(plan.n_rows)), "col": (("col",), np.arange(int(plan.n_cols)))}
    attrs: dict[str, Any] = {
        "method": plan.method,
        "method_order": _ORDER[plan.method],
        "seed": plan.seed,
        "model": repr(model),
        "model_digest": model.digest,
        "steps_done": plan.start.steps + len(plan.clock),
    }
    if not float(plan.n_cols).is_integer():
        attrs["n_cols_exact"] = float(plan.n_cols)
    if plan.method == "sorted_euler":
        attrs["order_violations"] = sum(path.violations for path in paths)
    arguments = {"model": repr(model), "digest": model.digest, "times": plan.clock, "seed": plan.seed}
    arguments |= {"replicates": list(indices)[:: max(len(indices) - 1, 1)], "initial": initial, "method": plan.method}
    return build(variables, coords, source="simulate", provenance=record("sdespec.simulate", arguments), attrs=attrs)

"""Simulate the linear SDE of a weight matrix and of its squared singular values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr

from sdespec.core.checks import replicate_range
from sdespec.core.dataset import build
from sdespec.core.errors import UsageError
from sdespec.core.provenance import record
from sdespec.integrators.paths import Paths, Progress, run, run_one_time
from sdespec.integrators.plan import Plan, check_size, plan_of
from sdespec.models import DysonLaguerre, MatrixSGD

__all__ = ["simulate"]

Method = Literal["auto", "exact", "euler", "sorted_euler"]
_ORDER = {"exact": math.inf, "euler": 1.0, "sorted_euler": 0.0}


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
        The noise of a step is a function of (seed, replicate, step) only, so a path of the Euler schemes does
        not depend on the record times where these are whole numbers of steps apart.
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
    indices = replicate_range(replicates)
    plan = plan_of(model, times, seed, indices, initial, method, time_step, save_weights)
    check_size(plan, indices)
    if threads is not None and threads < 1:
        raise UsageError(f"threads is {threads}; it must be at least 1")
    if plan.beta != 1.0 or not float(plan.n_cols).is_integer():
        paths = run_one_time(plan, indices)
    else:
        paths = run(plan, indices, threads, progress)
    return _dataset(model, plan, indices, paths, initial)


def _dataset(model: DysonLaguerre | MatrixSGD, plan: Plan, indices: range, paths: Paths, initial: Any) -> xr.Dataset:
    run = ("layer", "replicate", "time")
    spectra = paths.spectra[None]
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
    if paths.weights is not None:
        variables["weight"] = ((*run, "row", "col"), paths.weights[None])
        coords |= {"row": (("row",), np.arange(plan.n_rows)), "col": (("col",), np.arange(int(plan.n_cols)))}
    attrs: dict[str, Any] = {
        "method": plan.method,
        "method_order": _ORDER[plan.method],
        "seed": plan.seed,
        "model": repr(model),
        "model_digest": model.digest,
        "steps_done": plan.start.steps + sum(plan.counts),
    }
    if not float(plan.n_cols).is_integer():
        attrs["n_cols_exact"] = float(plan.n_cols)
    if plan.method == "sorted_euler":
        attrs["order_violations"] = paths.violations
    arguments = {"model": repr(model), "digest": model.digest, "times": plan.clock, "seed": plan.seed}
    arguments |= {"replicates": list(indices)[:: max(len(indices) - 1, 1)], "initial": initial, "method": plan.method}
    return build(variables, coords, source="simulate", provenance=record("sdespec.simulate", arguments), attrs=attrs)

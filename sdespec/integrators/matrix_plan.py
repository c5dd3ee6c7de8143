"""What one simulation of a whole matrix is to do: the method that fits its structure, and the run in numbers."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from sdespec.core.errors import UsageError
from sdespec.integrators.matrix_schemes import Strengths, strengths
from sdespec.integrators.matrix_start import require_sampler
from sdespec.integrators.plan import Plan, clock_of
from sdespec.integrators.start import Start, start_of
from sdespec.models import LinearRegressionSGD, MatrixSGD, QuadraticLoss, SpectralLoss

__all__ = ["MATRIX_METHODS", "matrix_plan_of", "method_of", "regression_plan_of", "turns_freely"]

MATRIX_METHODS: tuple[str, ...] = ("strang", "exponential", "sra1", "milstein")
"""Methods that follow a matrix under noises and losses of any kind, beside exact and euler."""

_MOST_SEPARABLE = 48  # purposes that the counter has for them


def turns_freely(model: MatrixSGD) -> bool:
    """Whether rotations of rows and of columns change nothing, so that a spectrum alone can be started from."""
    return not strengths(model).separable and (model.loss is None or isinstance(model.loss, SpectralLoss))


def method_of(model: MatrixSGD, method: str) -> str:
    """The method that is used, or an error that names one that fits.

    Parameters
    ----------
    model : MatrixSGD
        The process.
    method : str
        "auto", or the one that is asked for.

    Returns
    -------
    str

    Raises
    ------
    UsageError
        If the method does not exist, or does not fit the structure of the model.

    Examples
    --------
    >>> from sdespec.models import RightMultiplicativeNoise
    >>> method_of(MatrixSGD(2, 3, 1.0, loss=SpectralLoss(lambda s: s**3)), "auto")
    'strang'
    >>> method_of(MatrixSGD(2, 3, 1.0, RightMultiplicativeNoise(0.1)), "auto")
    'euler'
    """
    found = strengths(model)
    linear = model.loss is None or isinstance(model.loss, QuadraticLoss)
    best = _best(model, found, linear)
    allowed = ("auto", "exact", "euler", *MATRIX_METHODS)
    if method == "auto":
        return best
    if method == "sorted_euler":
        raise UsageError(f"sorted_euler needs a spectrum that is closed by itself; use method={best!r} for this model")
    if method not in allowed:
        raise UsageError(f"method is {method!r}; allowed for a MatrixSGD: {', '.join(allowed)}")
    if method == "exact" and (found.multiplicative or not linear):
        raise UsageError(
            f"method 'exact' needs additive noise and a loss that is None or quadratic; use method={best!r}"
        )
    if method == "strang" and (found.multiplicative or not isinstance(model.loss, SpectralLoss)):
        raise UsageError(f"method 'strang' needs a SpectralLoss and additive noise; use method={best!r}")
    if method in ("exponential", "sra1") and found.multiplicative:
        raise UsageError(f"method {method!r} needs additive noise; use method={best!r}")
    if method == "milstein" and not _commutes(found):
        raise UsageError(
            "method 'milstein' needs noise that commutes: scalar multiplicative noise alone, or additive noise alone; "
            "other noises would need iterated integrals: use method='euler'"
        )
    return method


def _best(model: MatrixSGD, found: Strengths, linear: bool) -> str:
    if not found.multiplicative:
        return "exact" if linear else "strang" if isinstance(model.loss, SpectralLoss) else "sra1"
    return "milstein" if _commutes(found) else "euler"


def _commutes(found: Strengths) -> bool:
    return not found.multiplicative or not (found.additive or found.right > 0.0 or found.left > 0.0)


def matrix_plan_of(
    model: MatrixSGD,
    times: Sequence[float] | np.ndarray,
    seed: int,
    indices: range,
    initial: Any,
    method: str,
    time_step: float | None,
    save_weights: bool,
) -> Plan:
    """Check the arguments of ``simulate`` for a MatrixSGD of any kind and put them in numbers."""
    name = method_of(model, method)
    if name == "exact" and time_step is not None:
        raise UsageError("time_step has no meaning for the exact method; leave it out")
    if name != "exact" and time_step is None:
        raise UsageError(f"method {name!r} needs a time_step, its largest step; give one that is short")
    if time_step is not None and not (math.isfinite(time_step) and time_step > 0.0):
        raise UsageError(f"time_step is {time_step}; it must be positive and finite")
    if len(strengths(model).separable) > _MOST_SEPARABLE:
        raise UsageError(f"there are more than {_MOST_SEPARABLE} separable noises; add some of them up")
    start = start_of(initial, n_rows=model.n_rows, n_cols=model.n_cols, replicates=indices)
    if start.weights is None and start.spectra is not None and start.spectra.any() and not turns_freely(model):
        raise UsageError(
            "initial holds eigenvalues only, and the law of this model depends on the singular vectors too; give "
            "'weight', or the Dataset of a run with save_weights=True"
        )
    clock = clock_of(times, start)
    if start.stationary:
        require_sampler(model)
    if math.isinf(clock[-1]):
        if name != "exact":
            raise UsageError(f"method {name!r} never reaches time inf; give finite times, or initial='stationary'")
        model.require_stationary()
    return _plan(model, clock, start, seed, name, model.weight_decay, time_step, save_weights)


def regression_plan_of(
    model: LinearRegressionSGD,
    times: Sequence[float] | np.ndarray,
    seed: int,
    indices: range,
    initial: Any,
    method: str,
    time_step: float | None,
    save_weights: bool,
) -> Plan:
    """Check the arguments of ``simulate`` for the recursion of linear regression and put them in numbers."""
    if method not in ("auto", "recursion"):
        raise UsageError(f"method is {method!r}; LinearRegressionSGD has no other than 'auto', its own recursion")
    if time_step is not None:
        raise UsageError("time_step has no meaning for LinearRegressionSGD, whose times are numbers of updates")
    start = start_of(initial, n_rows=model.n_rows, n_cols=model.n_cols, replicates=indices)
    if start.stationary:
        raise UsageError("the stationary law of the recursion is not known; start from a matrix and let it relax")
    clock = clock_of(times, start)
    if not (np.isfinite(clock).all() and np.all(clock == np.floor(clock))):
        raise UsageError(f"times are {clock.tolist()}; for LinearRegressionSGD they are whole numbers of updates")
    return _plan(model, clock, start, seed, "recursion", 0.0, 1.0, save_weights)


def _plan(
    model: MatrixSGD | LinearRegressionSGD,
    clock: np.ndarray,
    start: Start,
    seed: int,
    method: str,
    weight_decay: float,
    time_step: float | None,
    save_weights: bool,
) -> Plan:
    return Plan(
        n_rows=model.n_rows,
        n_cols=model.n_cols,
        weight_decay=weight_decay,
        diffusion=math.nan,  # not one number
        beta=1.0,
        clock=clock,
        lengths=np.diff(np.concatenate(([start.time], clock))),
        start=start,
        seed=operator.index(seed),
        method=method,
        time_step=time_step or math.inf,
        keep_weights=save_weights,
    )

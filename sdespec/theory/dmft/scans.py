"""Learning rates at which training stops working, or reaches a given loss, by the theory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq

from sdespec.core.checks import whole
from sdespec.core.errors import UsageError
from sdespec.core.linalg import blas_threads
from sdespec.models import DeepLinearNetwork, DeepNetwork
from sdespec.theory.dmft.deep_linear import solve_deep_linear
from sdespec.theory.dmft.nonlinear_solver import SiteDynamics

__all__ = ["CriticalRate", "critical_learning_rate", "iso_loss_learning_rate", "loss_curve"]

Network = DeepLinearNetwork | DeepNetwork

_LOSS_LIMIT = 10.0
_ISO_TOLERANCE = 1e-10
_SAMPLED_TOLERANCE = 1e-3
# of the nonlinear solver: losses change by less than their sampling error below this
_SOLVER_TOLERANCE = 3e-2


@dataclass(frozen=True)
class CriticalRate:
    """Bracket of a critical learning rate.

    Attributes
    ----------
    stable, unstable : float
        Neighbours of a scan: training works at and below the first, and fails at the second; ``inf`` if it fails
        nowhere.
    """

    stable: float
    unstable: float

    @property
    def value(self) -> float:
        """Geometric mean of the two."""
        return math.sqrt(self.stable * self.unstable)


def loss_curve(
    model: Network,
    n_updates: int,
    learning_rates: Sequence[float] | np.ndarray,
    *,
    window: int = 1,
    samples: int = 4000,
    seed: int = 0,
) -> np.ndarray:
    """Loss after a number of updates as a function of the learning rate.

    Parameters
    ----------
    model : DeepLinearNetwork or DeepNetwork
        Its own learning rate is not used. The loss is the test loss of the former, the training loss of the latter.
    n_updates : int
        Number of updates.
    learning_rates : sequence of float, (k,)
        Positive.
    window : int
        The geometric mean of the losses after the last ``window`` numbers of updates is taken, at most n_updates + 1:
        for losses that swing.
    samples, seed : int
        Of the nonlinear theory, see ``predict``; no part in that of a DeepLinearNetwork.

    Returns
    -------
    ndarray, (k,)
        NaN where training diverged before.

    Raises
    ------
    UsageError
        If an argument is not allowed.

    Notes
    -----
    The rate of the least loss is no sound measure of transfer alone: the minimum is flat, or not resolved where the
    loss reaches rounding, and noise moves it with the width.

    Examples
    --------
    >>> net = DeepLinearNetwork(1.0, 2.0, 1, feature_strength=4.0, learning_rate=1.0)
    >>> loss_curve(net, 14, [0.02, 0.05, 0.1, 1.0]).round(4)
    array([0.3899, 0.1228, 0.0339,    nan])
    """
    if not 1 <= whole(window, "window", 1) <= n_updates + 1:
        raise UsageError(f"window is {window}; it must lie between 1 and n_updates + 1 = {n_updates + 1}")
    found = []
    for rate in learning_rates:
        one = replace(model, learning_rate=float(rate))
        losses = (
            solve_deep_linear(one, n_updates).test_loss
            if isinstance(one, DeepLinearNetwork)
            else _training_losses(one, n_updates, window, samples, seed)
        )
        reached = len(losses) and np.isfinite(losses[-1])
        with np.errstate(divide="ignore"):  # a loss of zero has the geometric mean zero
            found.append(float(np.exp(np.log(losses[-window:]).mean())) if reached else math.nan)
    return np.array(found)


def _training_losses(model: DeepNetwork, n_updates: int, window: int, samples: int, seed: int) -> np.ndarray:
    """Training losses after the last numbers of updates; empty where the solution ends before."""
    dynamics = SiteDynamics(
        model, samples=samples, seed=seed, tolerance=_SOLVER_TOLERANCE, responses=True, cap=samples // 4
    )
    with blas_threads(0):
        records = dynamics.run(range(n_updates + 1 - window, n_updates + 1))
    return np.array([record.train_loss for record in records] if len(records) == window else [])


def critical_learning_rate(
    model: Network,
    n_updates: int,
    *,
    bounds: tuple[float, float] = (1e-3, 10.0),
    step: float = 0.03,
    loss_limit: float = _LOSS_LIMIT,
    samples: int = 4000,
    seed: int = 0,
) -> CriticalRate:
    r"""Largest learning rate up to which training works for a number of updates.

    Training works where the solution does not stop before the last update and the loss after it is below
    ``loss_limit``. Rates are scanned upwards, each larger than the one before by the factor 1 + ``step``; the first
    that fails ends the scan, since larger ones may work again by chance of the phase.

    Parameters
    ----------
    model : DeepLinearNetwork or DeepNetwork
        As in ``loss_curve``.
    n_updates : int
        Number of updates.
    bounds : tuple of float
        Where the scan begins and where it ends at the latest.
    step : float
        Relative distance of neighbouring rates, positive; the result is known to within it.
    loss_limit : float
        Well above 1, the loss of the function that is zero everywhere: below the critical rate is a band in which
        the loss is erratic but bounded, and exceeds 1 at some of the updates.
    samples, seed : int
        As in ``loss_curve``.

    Returns
    -------
    CriticalRate

    Raises
    ------
    UsageError
        If training fails at the first rate, or an argument is not allowed.

    Examples
    --------
    >>> net = DeepLinearNetwork(1.0, float("inf"), 1, feature_strength=8.0, learning_rate=1.0)
    >>> rate = critical_learning_rate(net, 59)
    >>> round(rate.stable, 3), round(rate.unstable, 3)
    (0.211, 0.217)
    """
    stable = math.nan
    for rate in _rates(bounds, step):
        if not loss_curve(model, n_updates, [rate], samples=samples, seed=seed)[0] < loss_limit:
            if math.isnan(stable):
                raise UsageError(
                    f"training fails at {rate:g}, the first rate of the scan; lower bounds[0] or raise loss_limit"
                )
            return CriticalRate(stable, rate)
        stable = rate
    return CriticalRate(stable, math.inf)


def iso_loss_learning_rate(
    model: Network,
    n_updates: int,
    loss: float,
    *,
    bounds: tuple[float, float] = (1e-3, 10.0),
    step: float = 0.06,
    window: int = 1,
    samples: int = 4000,
    seed: int = 0,
) -> float:
    """Smallest learning rate at which the loss after a number of updates has fallen to a given one.

    Rates are scanned upwards as by ``critical_learning_rate``; between the first that reaches the loss and the one
    before it, the root is found to rounding (to .1 % in the
    nonlinear theory, whose losses have a sampling error). This is the branch on which training is too slow.

    Parameters
    ----------
    model : DeepLinearNetwork or DeepNetwork
        As in ``loss_curve``.
    n_updates : int
        Number of updates.
    loss : float
        Positive.
    bounds : tuple of float
        Where the scan begins and where it ends at the latest.
    step : float
        Relative distance of neighbouring rates, positive.
    window, samples, seed : int
        As in ``loss_curve``.

    Returns
    -------
    float
        NaN where the loss is not reached before training diverges or the scan ends.

    Raises
    ------
    UsageError
        If the loss is reached at the first rate, or an argument is not allowed.

    Examples
    --------
    >>> net = DeepLinearNetwork(1.0, 2.0, 1, feature_strength=4.0, learning_rate=1.0)
    >>> round(iso_loss_learning_rate(net, 14, 0.1), 4)
    0.0568
    """
    if not (math.isfinite(loss) and loss > 0.0):
        raise UsageError(f"loss is {loss!r}; it must be positive and finite")

    def score(rate: float) -> float:
        return float(loss_curve(model, n_updates, [rate], window=window, samples=samples, seed=seed)[0])

    before = math.nan
    for rate in _rates(bounds, step):
        value = score(rate)
        if math.isnan(value):
            break
        if value <= loss:
            if math.isnan(before):
                raise UsageError(
                    f"the loss is {value:g} at {rate:g} already, the first learning rate of the scan; lower bounds[0]"
                )
            root = brentq(
                lambda log_rate: math.log(score(math.exp(log_rate)) / loss), math.log(before), math.log(rate),
                xtol=_ISO_TOLERANCE if isinstance(model, DeepLinearNetwork) else _SAMPLED_TOLERANCE,
            )  # fmt: skip
            return math.exp(float(root))
        before = rate
    return math.nan


def _rates(bounds: tuple[float, float], step: float) -> list[float]:
    """Geometric grid between bounds."""
    low, high = bounds
    if not 0.0 < low < high < math.inf:
        raise UsageError(f"bounds are {bounds}; they must be two positive finite learning rates, the smaller first")
    if not (math.isfinite(step) and step > 0.0):
        raise UsageError(f"step is {step!r}; it must be positive and finite")
    count = int(math.log(high / low) / math.log1p(step)) + 1
    return [low * (1.0 + step) ** k for k in range(count)]

"""Constants of the steps: exact over any length, and Euler's."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["euler_step_count", "graded_steps", "step_constants"]


def step_constants(weight_decay: float, diffusion: float, length: float) -> tuple[float, float]:
    r"""Factor :math:`e^{-gh}` and added standard deviation of an entry over a step of length h, which may be infinite.

    Parameters
    ----------
    weight_decay, diffusion : float
        g and D.
    length : float
        h >= 0.

    Returns
    -------
    factor, deviation : float

    Examples
    --------
    >>> step_constants(1.0, 0.25, math.inf)
    (0.0, 0.5)
    """
    if math.isinf(length):
        return 0.0, math.sqrt(diffusion / weight_decay)
    if weight_decay == 0.0:
        return 1.0, math.sqrt(2.0 * diffusion * length)
    gained = -math.expm1(-2.0 * weight_decay * length)
    return math.exp(-weight_decay * length), math.sqrt(diffusion / weight_decay * gained)


def euler_step_count(length: float, time_step: float) -> int:
    """Least number of equal steps over a length, none longer than ``time_step``; none over no length.

    Examples
    --------
    >>> euler_step_count(1.0, 0.3), euler_step_count(0.0, 0.3)
    (4, 0)
    """
    return math.ceil(length / time_step * (1.0 - 1e-12))


def graded_steps(length: float, time_step: float, last: float, share: float) -> np.ndarray:
    """Steps over a length, none longer than ``time_step`` or than a share of what is left, until it is ``last``.

    Gaps between neighbours forget a step of length h on scales above the root of h: the short steps before a record
    give them their law there, at a cost that grows with the logarithm only.

    Examples
    --------
    >>> graded_steps(1.0, 0.5, 0.2, 0.5)
    array([0.5  , 0.25 , 0.125, 0.125])
    """
    steps, left = [], length
    while min(share * left, time_step) > last:
        steps.append(min(share * left, time_step))
        left -= steps[-1]
    count = euler_step_count(left, min(last, time_step))
    return np.array(steps + [left / count] * count)

"""Compiled steps of Dyson processes along a path of the noise; ``_dyson_reference`` holds the same in NumPy.

The state are singular values, ascending, inside the chamber 0 < s_1 < s_2 < ..., or |s_1| < s_2 < ... where nothing
keeps the smallest one from zero.
"""

from __future__ import annotations

import numpy as np

from sdespec.core._philox import fill_normal
from sdespec.core.jit import kernel
from sdespec.integrators._dyson_kernels import implicit_root, spread_out

__all__ = ["adaptive_steps", "implicit_steps"]


@kernel
def implicit_steps(
    y: np.ndarray,
    inverse: float,
    pair: float,
    decay: float,
    rate: float,
    length: float,
    count: int,
    step: np.uint64,
    replicate: np.uint64,
    tag: np.uint64,
    key0: np.uint64,
    key1: np.uint64,
) -> int:
    """``count`` drift-implicit Euler steps in place; Newton steps, or -1 if they fail."""
    n = y.shape[0]
    noise, moved = np.empty(n), np.empty(n)
    used = 0
    for k in range(count):
        fill_normal(noise, 0, step + np.uint64(k), replicate, tag, key0, key1)
        for i in range(n):
            moved[i] = y[i] + rate * np.sqrt(length) * noise[i]
        if k == 0:
            spread_out(y.copy(), length * inverse, length * pair, y)  # the start may lie on a wall
        found = implicit_root(moved, length * inverse, length * pair, length * decay, y)
        if found < 0:
            return -1
        used += found
    return used


@kernel
def _trapezoid(
    x: np.ndarray, kick: np.ndarray, inverse: float, pair: float, decay: float, length: float, y: np.ndarray
) -> int:
    """One step of the implicit trapezoidal rule from x to y; from a wall of the chamber, of Euler's implicit rule.

    The number of Newton steps, or -1 where they do not suffice.
    """
    n = x.shape[0]
    own = 0.5 * length
    crowded = inverse > 0.0 and x[0] * x[0] < 1e-6 * length * inverse
    for k in range(1, n):
        crowded |= (x[k] - x[k - 1]) ** 2 < 1e-6 * length * pair
    if crowded:
        own = length
        for k in range(n):
            y[k] = x[k] + kick[k]
    else:
        y[:] = 0.0
        for j in range(n):
            for k in range(n):
                gap = (x[k] - x[j]) * (x[k] + x[j])
                y[k] += pair / gap if gap != 0.0 else 0.0
        for k in range(n):
            force = y[k] * x[k] - decay * x[k] + (inverse / x[k] if inverse > 0.0 else 0.0)
            y[k] = x[k] + kick[k] + own * force
    moved = y.copy()
    spread_out(x, own * inverse, own * pair, y)
    return int(implicit_root(moved, own * inverse, own * pair, own * decay, y))


@kernel
def adaptive_steps(
    y: np.ndarray,
    inverse: float,
    pair: float,
    decay: float,
    rate: float,
    length: float,
    count: int,
    tolerance: float,
    deepest: int,
    taken: np.ndarray,
    step: np.uint64,
    replicate: np.uint64,
    tag: np.uint64,
    key0: np.uint64,
    key1: np.uint64,
) -> int:
    """``count`` steps in place, each halved until a step and its two halves agree to the tolerance.

    The noise of an interval is split at its middle by a normal that is keyed by the step and by the place of the
    interval in the binary tree below it, so that the path of the noise does not depend on what was refused. ``taken``
    counts the steps, and those at the deepest level that disagree. Newton steps, or -1 if they fail.
    """
    n = y.shape[0]
    blocks = (n + 1) // 2
    kicks, later = np.empty((deepest + 2, n)), np.empty((deepest + 2, n))
    middle, whole, first, second = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    used = 0
    for k in range(count):
        now = step + np.uint64(k)
        fill_normal(middle, 0, now, replicate, tag, key0, key1)
        for i in range(n):
            kicks[0, i] = rate * np.sqrt(length) * middle[i]
        level, index, known = 0, 0, False
        while True:
            h = length / 2.0**level
            fill_normal(middle, ((1 << level) + index) * blocks, now, replicate, tag, key0, key1)
            for i in range(n):
                kicks[level + 1, i] = 0.5 * (kicks[level, i] + rate * np.sqrt(h) * middle[i])
                later[level + 1, i] = kicks[level, i] - kicks[level + 1, i]
            found = 0 if known else _trapezoid(y, kicks[level], inverse, pair, decay, h, whole)
            one = _trapezoid(y, kicks[level + 1], inverse, pair, decay, 0.5 * h, first)
            two = -1 if one < 0 else _trapezoid(first, later[level + 1], inverse, pair, decay, 0.5 * h, second)
            used += max(found, 0) + max(one, 0) + max(two, 0)
            difference = np.inf
            if found >= 0 and one >= 0 and two >= 0:
                difference = 0.0
                for i in range(n):
                    difference = max(difference, abs(whole[i] - second[i]))
            if difference > tolerance and level < deepest:
                level, index, known = level + 1, 2 * index, one >= 0
                for i in range(n):
                    whole[i] = first[i]
                continue
            if two < 0:
                return -1
            taken[0] += 1
            taken[1] += difference > tolerance
            for i in range(n):
                y[i] = second[i]
            known = False
            while level > 0 and index % 2 == 1:
                level, index = level - 1, index // 2
            if level == 0:
                break
            index += 1
            for i in range(n):
                kicks[level, i] = later[level, i]
    return used

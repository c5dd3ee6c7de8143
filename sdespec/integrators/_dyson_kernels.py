"""Compiled steps of Dyson processes of any repulsion; ``_dyson_reference`` holds the same in NumPy."""

from __future__ import annotations

import numpy as np

from sdespec.core._philox import fill_chi_square, fill_normal
from sdespec.core.jit import kernel
from sdespec.integrators._kernels import exact_spectra

__all__ = ["implicit_root", "implicit_steps", "repulsion_flow", "splitting_steps"]

_CHI = np.uint64(1 << 25)  # as in the exact steps
_NEWTON = 60
_TOLERANCE = 1e-10
_HALVINGS = 40


@kernel
def implicit_root(x: np.ndarray, inverse: float, pair: float, shrink: float, y: np.ndarray) -> int:
    """Least point of |y - x|^2 / 2 + shrink |y|^2 / 2 - inverse sum log y_k - pair/2 sum_{j<k} log(y_k^2 - y_j^2).

    Newton's method in the chamber 0 < y_1 < y_2 < ..., no step longer than .95 of the way to its wall; ``y`` holds a
    point of the chamber, and the root afterwards. The number of steps, or -1 where they do not suffice.
    """
    n = x.shape[0]
    hessian, slope = np.empty((n, n)), np.empty(n)
    size = 1.0 + np.sqrt((x * x).sum())
    for step in range(_NEWTON):
        for k in range(n):
            slope[k] = y[k] * (1.0 + shrink) - x[k] - inverse / y[k]
            hessian[k, k] = 1.0 + shrink + inverse / (y[k] * y[k])
        for k in range(n):
            for j in range(k):
                gap = (y[k] - y[j]) * (y[k] + y[j])
                one = pair / gap
                slope[k] -= one * y[k]
                slope[j] += one * y[j]
                curvature = one / gap
                both = curvature * (y[k] * y[k] + y[j] * y[j])
                hessian[k, k] += both
                hessian[j, j] += both
                hessian[k, j] = -2.0 * curvature * y[k] * y[j]
                hessian[j, k] = hessian[k, j]
        if np.sqrt((slope * slope).sum()) <= _TOLERANCE * size:
            return step
        change = np.linalg.solve(hessian, slope)
        share = 1.0
        if change[0] > 0.0:
            share = min(share, 0.95 * y[0] / change[0])
        for k in range(1, n):
            closing = change[k] - change[k - 1]
            if closing > 0.0:
                share = min(share, 0.95 * (y[k] - y[k - 1]) / closing)
        for k in range(n):
            y[k] -= share * change[k]
    return -1


@kernel
def _spread(x: np.ndarray, inverse: float, pair: float, y: np.ndarray) -> None:
    """A point of the chamber near x, also where values coincide: what each would reach alone above its neighbour."""
    n = x.shape[0]
    below = 0.0
    for k in range(n):
        own = np.sqrt(x[k] * x[k] + inverse + pair * k)
        y[k] = own if own > below + 1e-3 * np.sqrt(inverse + pair) else below + 1e-3 * np.sqrt(inverse + pair)
        below = y[k]


@kernel
def repulsion_flow(x: np.ndarray, length: float, inverse: float, pair: float) -> int:
    """Follow dx_k/dt = inverse / x_k + pair sum_j x_k / (x_k^2 - x_j^2) in place, by the implicit midpoint rule.

    It is exact for one value, and for two far from the others. Where a step would leave the chamber it is halved; the
    number of Newton steps, or -1 where they do not suffice.
    """
    if inverse == 0.0 and (pair == 0.0 or x.shape[0] == 1):
        return 0
    n = x.shape[0]
    y = np.empty(n)
    left, step, total, halvings = length, length, 0, 0
    while left > 1e-14 * length:
        h = min(step, left)
        _spread(x, 0.5 * h * inverse, 0.5 * h * pair, y)
        used = implicit_root(x, 0.5 * h * inverse, 0.5 * h * pair, 0.0, y)
        inside = used >= 0
        below = 0.0
        for k in range(n):
            new = 2.0 * y[k] - x[k]
            inside &= new > below
            below = new
        if not inside:
            halvings += 1
            if halvings > _HALVINGS:
                return -1
            step = 0.5 * h
            continue
        for k in range(n):
            x[k] = 2.0 * y[k] - x[k]
        left -= h
        total += used
    return total


@kernel
def splitting_steps(
    spectrum: np.ndarray,
    base: float,
    dimension: float,
    inverse: float,
    pair: float,
    factor: float,
    deviation: float,
    length: float,
    count: int,
    step: np.uint64,
    replicate: np.uint64,
    tag: np.uint64,
    key0: np.uint64,
    key1: np.uint64,
) -> int:
    """``count`` steps of the splitting of descending eigenvalues in place; Newton steps, -1 or -2 where they failed.

    Half a step of the remaining repulsion, a step of the process of repulsion ``base`` (1, the matrix, or 0,
    independent values) exact in law, half a step of repulsion; the halves of neighbouring steps are one.
    """
    n = spectrum.shape[0]
    x = np.sqrt(spectrum[::-1].copy())
    factors, deviations = np.array([factor]), np.array([deviation])
    out, start = np.empty((1, 1, n)), np.empty((1, n))
    normal, chi, degrees = np.empty(n), np.empty(n), np.full(n, dimension - 1.0)
    used = repulsion_flow(x, 0.5 * length, inverse, pair)
    for k in range(count):
        if used < 0:
            return -1
        now = step + np.uint64(k)
        if base == 1.0:
            start[0] = (x * x)[::-1]
            if exact_spectra(out, start, int(dimension), factors, deviations, now, replicate, tag, key0, key1) != 0:
                return -2
            x[:] = np.sqrt(out[0, 0, ::-1])
        else:
            fill_normal(normal, 0, now, replicate, tag, key0, key1)
            chi[:] = 0.0
            if dimension > 1.0:
                fill_real_chi_square(chi, degrees, now, replicate, tag + _CHI, key0, key1)
            for i in range(n):
                moved = factor * x[i] + deviation * normal[i]
                x[i] = np.sqrt(moved * moved + deviation * deviation * chi[i])
            x.sort()
        more = repulsion_flow(x, length if k + 1 < count else 0.5 * length, inverse, pair)
        if more < 0:
            return -1
        used += more
    spectrum[:] = (x * x)[::-1]
    return used


@kernel
def fill_real_chi_square(
    out: np.ndarray,
    degrees: np.ndarray,
    step: np.uint64,
    replicate: np.uint64,
    tag: np.uint64,
    key0: np.uint64,
    key1: np.uint64,
) -> None:
    """Chi-squares of any positive degrees of freedom; below 1 a power of a beta variable takes two degrees away."""
    n = out.shape[0]
    fill_chi_square(out, np.where(degrees < 1.0, degrees + 2.0, degrees), step, replicate, tag, key0, key1)
    shift = np.uint64(1 << 26)
    uniform = np.empty(2 * n)
    if degrees.min() < 1.0:
        # two squared normals are exponential: their half has the distribution function 1 - exp(-x)
        fill_normal(uniform, 0, step, replicate, tag + shift, key0, key1)
        for i in range(n):
            if degrees[i] < 1.0:
                exponential = 0.5 * (uniform[2 * i] ** 2 + uniform[2 * i + 1] ** 2)
                out[i] *= np.exp(-2.0 * exponential / degrees[i])


@kernel
def implicit_steps(
    spectrum: np.ndarray,
    inverse: float,
    pair: float,
    decay: float,
    deviation: float,
    length: float,
    count: int,
    step: np.uint64,
    replicate: np.uint64,
    tag: np.uint64,
    key0: np.uint64,
    key1: np.uint64,
) -> int:
    """``count`` drift-implicit Euler steps of descending eigenvalues in place; Newton steps, or -1 if they fail."""
    n = spectrum.shape[0]
    y, noise, moved = np.sqrt(spectrum[::-1].copy()), np.empty(n), np.empty(n)
    used = 0
    for k in range(count):
        fill_normal(noise, 0, step + np.uint64(k), replicate, tag, key0, key1)
        for i in range(n):
            moved[i] = y[i] + deviation * noise[i]
        if k == 0:
            _spread(y.copy(), length * inverse, length * pair, y)  # the start may lie on a wall
        found = implicit_root(moved, length * inverse, length * pair, length * decay, y)
        if found < 0:
            return -1
        used += found
    spectrum[:] = (y * y)[::-1]
    return used

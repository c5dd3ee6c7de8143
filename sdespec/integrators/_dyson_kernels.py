"""Compiled steps of Dyson processes of any repulsion; ``_dyson_reference`` holds the same in NumPy."""

from __future__ import annotations

import numpy as np

from sdespec.core._philox import fill_chi_square, fill_normal, fill_poisson
from sdespec.core.jit import kernel
from sdespec.core.lapack import solve_positive
from sdespec.integrators._kernels import exact_spectra

__all__ = ["fill_real_chi_square", "implicit_root", "repulsion_flow", "splitting_paths", "spread_out"]

_CHI = np.uint64(1 << 25)  # as in the exact steps
_POISSON = np.uint64(1 << 27)
_LEAST = 1e-150  # values of a dimension near zero may underflow, and the flow needs positive ones
_NEWTON = 60
_ROOT, _FLOW = 1e-10, 1e-9  # gradient over size of the point: of an implicit step, and of the flow
_HALVINGS, _PATIENCE = 400, 4


@kernel
def _gradient(
    x: np.ndarray, inverse: float, pair: float, shrink: float, y: np.ndarray, slope: np.ndarray, curvature: np.ndarray
) -> float:
    """Gradient of the function below and the diagonal of its Hessian; the norm of the gradient."""
    n = x.shape[0]
    over = 1.0 / pair if pair > 0.0 else 0.0
    for k in range(n):
        slope[k] = y[k] * (1.0 + shrink) - x[k]
        curvature[k] = 1.0 + shrink
    if inverse > 0.0:
        for k in range(n):
            slope[k] -= inverse / y[k]
            curvature[k] += inverse / (y[k] * y[k])
    for j in range(n):  # this order leaves no sum in the inner loop, so it vectorises
        other, square = y[j], y[j] * y[j]
        for k in range(n):
            gap = (y[k] - other) * (y[k] + other)
            one = pair / gap if gap != 0.0 else 0.0
            slope[k] -= one * y[k]
            curvature[k] += one * one * over * (square + y[k] * y[k])
    return float(np.sqrt((slope * slope).sum()))


@kernel
def _tridiagonal(pair: float, y: np.ndarray, curvature: np.ndarray, change: np.ndarray) -> None:
    """Solve with the diagonal of the Hessian and its couplings of neighbours; ``change`` is the gradient at first."""
    n = y.shape[0]
    upper = np.empty(n)
    pivot = curvature[0]
    change[0] /= pivot
    for k in range(1, n):
        gap = (y[k] - y[k - 1]) * (y[k] + y[k - 1])
        coupling = -2.0 * pair / (gap * gap) * y[k] * y[k - 1]
        upper[k] = coupling / pivot
        pivot = curvature[k] - coupling * upper[k]
        change[k] = (change[k] - coupling * change[k - 1]) / pivot
    for k in range(n - 2, -1, -1):
        change[k] -= upper[k + 1] * change[k + 1]


@kernel
def _full(pair: float, y: np.ndarray, curvature: np.ndarray, change: np.ndarray) -> int:
    """The same with the whole Hessian; LAPACK's info."""
    n = y.shape[0]
    hessian = np.empty((n, n))
    for k in range(n):
        hessian[k, k] = curvature[k]
        for j in range(k):
            gap = (y[k] - y[j]) * (y[k] + y[j])
            hessian[k, j] = -2.0 * pair / (gap * gap) * y[k] * y[j]
            hessian[j, k] = hessian[k, j]
    return solve_positive(hessian, change)


@kernel
def implicit_root(
    x: np.ndarray, inverse: float, pair: float, shrink: float, y: np.ndarray, tolerance: float = _ROOT
) -> int:
    """Least point of |y - x|^2 / 2 + shrink |y|^2 / 2 - inverse sum log y_k - pair/2 sum_{j<k} log(y_k^2 - y_j^2).

    Newton's method in the chamber 0 < y_1 < y_2 < ..., or, without the inverse force, |y_1| < y_2 < ..., where the
    smallest value bears a sign; no step is longer than .95 of the way to a wall. ``y`` holds a point of the chamber,
    and the root afterwards. Couplings beyond neighbours are left out of the Hessian as long as the gradient keeps
    falling to a half. The number of steps, or -1 where they do not suffice.
    """
    n = x.shape[0]
    slope, curvature = np.empty(n), np.empty(n)
    limit = tolerance * (1.0 + np.sqrt((x * x).sum()))
    last, whole = np.inf, False
    for step in range(_NEWTON):
        size = _gradient(x, inverse, pair, shrink, y, slope, curvature)
        if size <= limit:
            return step
        whole |= step > 2 and size > 0.5 * last
        last = size
        if whole:
            if _full(pair, y, curvature, slope) != 0:
                return -1
        else:
            _tridiagonal(pair, y, curvature, slope)
        share = 1.0
        if inverse > 0.0 and slope[0] > 0.0:
            share = min(share, 0.95 * y[0] / slope[0])
        if inverse == 0.0 and n > 1 and slope[0] + slope[1] > 0.0:
            share = min(share, 0.95 * (y[0] + y[1]) / (slope[0] + slope[1]))
        for k in range(1, n):
            closing = slope[k] - slope[k - 1]
            if closing > 0.0:
                share = min(share, 0.95 * (y[k] - y[k - 1]) / closing)
        for k in range(n):
            y[k] -= share * slope[k]
    return -1


@kernel
def spread_out(x: np.ndarray, inverse: float, pair: float, y: np.ndarray) -> None:
    """A point of the chamber near the root: every gap grows as it would alone, half of it on either side.

    Where values coincide, each is put where it would come alone above its neighbours.
    """
    n = x.shape[0]
    least = 1e-3 * np.sqrt(inverse + pair)
    crowded = False
    for k in range(1, n):
        crowded |= x[k] - x[k - 1] < least
    before, below = 0.0, 0.0
    for k in range(n):
        if crowded:
            own = np.sqrt(x[k] * x[k] + inverse + pair * k)
        else:
            gap = x[k + 1] - x[k] if k + 1 < n else 0.0
            grown = np.sqrt(gap * gap + 2.0 * pair) - gap if k + 1 < n else 0.0
            own = x[k] + 0.5 * (before - grown)
            before = grown
        y[k] = own if own > below + least else below + least
        below = y[k]


@kernel
def repulsion_flow(x: np.ndarray, length: float, inverse: float, pair: float) -> int:
    """Follow dx_k/dt = inverse / x_k + pair sum_j x_k / (x_k^2 - x_j^2) in place, by the implicit midpoint rule.

    It is exact for one value, and for two far from the others. Where a step would leave the chamber it is halved, and
    after some halvings, as where a value is pressed against zero, taken by the implicit Euler rule, which cannot leave
    it. The number of Newton steps, or -1 where they do not suffice.
    """
    if inverse == 0.0 and (pair == 0.0 or x.shape[0] == 1):
        return 0
    n = x.shape[0]
    y = np.empty(n)
    left, step, total, halvings = length, length, 0, 0
    while left > 1e-14 * length:
        h = min(step, left)
        spread_out(x, 0.5 * h * inverse, 0.5 * h * pair, y)
        used = implicit_root(x, 0.5 * h * inverse, 0.5 * h * pair, 0.0, y, _FLOW)
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
            if used < 0 or halvings % _PATIENCE != 0:
                step = 0.5 * h
                continue
        for k in range(n):
            x[k] = 2.0 * y[k] - x[k] if inside else y[k]
        left -= h if inside else 0.5 * h
        total += used
    return total


@kernel
def _contracting_flow(x: np.ndarray, length: float, inverse: float, pair: float, decay: float) -> int:
    """The same with - decay x_k: the flow without it over a changed time, and a factor."""
    if decay == 0.0:
        return repulsion_flow(x, length, inverse, pair)
    found = repulsion_flow(x, 0.5 * np.expm1(2.0 * decay * length) / decay, inverse, pair)
    x *= np.exp(-decay * length)
    return found


@kernel
def _matrix_step(
    x: np.ndarray, columns: int, factor: float, deviation: float, step: np.uint64, replicate: np.uint64,
    tag: np.uint64, key0: np.uint64, key1: np.uint64,
) -> int:  # fmt: skip
    """Ascending singular values after an exact step of the matrix; LAPACK's info."""
    n = x.shape[0]
    start, out = np.empty((1, n)), np.empty((1, 1, n))
    for k in range(n):
        start[0, k] = x[n - 1 - k] * x[n - 1 - k]
    info = exact_spectra(
        out, start, columns, np.array([factor]), np.array([deviation]), step, replicate, tag, key0, key1
    )
    for k in range(n):
        x[k] = np.sqrt(out[0, 0, n - 1 - k])
    return info


@kernel
def _bessel_step(
    x: np.ndarray, dimension: float, factor: float, deviation: float, step: np.uint64, replicate: np.uint64,
    tag: np.uint64, key0: np.uint64, key1: np.uint64,
) -> None:  # fmt: skip
    """Ascending values after an exact step of independent Bessel processes.

    Their squares are noncentral chi-squares: a squared shifted normal and the other degrees, or, below one degree, a
    chi-square whose degrees are raised by twice a Poisson number.
    """
    n = x.shape[0]
    normal, chi = np.zeros(n), np.zeros(n)
    if dimension >= 1.0:
        fill_normal(normal, 0, step, replicate, tag, key0, key1)
        for i in range(n):
            normal[i] = factor * x[i] / deviation + normal[i]
        if dimension > 1.0:
            fill_real_chi_square(chi, np.full(n, dimension - 1.0), step, replicate, tag + _CHI, key0, key1)
    else:
        raised = np.empty(n)
        fill_poisson(raised, 0.5 * (factor * x / deviation) ** 2, step, replicate, tag + _POISSON, key0, key1)
        fill_real_chi_square(chi, dimension + 2.0 * raised, step, replicate, tag + _CHI, key0, key1)
    for i in range(n):
        x[i] = max(deviation * np.sqrt(normal[i] * normal[i] + chi[i]), _LEAST)
    for i in range(1, n):  # hardly out of order
        own, k = x[i], i
        while k > 0 and x[k - 1] > own:
            x[k] = x[k - 1]
            k -= 1
        x[k] = own


@kernel
def splitting_paths(
    out: np.ndarray,
    start: np.ndarray,
    ends: np.ndarray,
    lengths: np.ndarray,
    kinds: np.ndarray,
    factors: np.ndarray,
    deviations: np.ndarray,
    constants: np.ndarray,
    step: np.uint64,
    replicate: np.uint64,
    tag: np.uint64,
    key0: np.uint64,
    key1: np.uint64,
) -> int:
    """Paths of descending eigenvalues, out[r, i] at record i of replicate + r; Newton steps, -1 or -2 for a failure.

    Steps ``ends[i-1]`` to ``ends[i]`` lead to record i. Each is half a step of the repulsion that is left, a step that
    is exact in law, half a step of repulsion; neighbouring halves of one kind are one. ``kinds`` names the row of
    ``constants`` (repulsion of the exact part, its columns or Bessel dimension, inverse, pair, decay of the flow) of a
    step.
    """
    n = out.shape[2]
    used = 0
    for r in range(out.shape[0]):
        own = replicate + np.uint64(r)
        x = np.sqrt(start[r, ::-1].copy())
        first = 0
        for i in range(out.shape[1]):
            if ends[i] == 0:
                for j in range(n):
                    out[r, i, j] = start[r, j]
                continue
            waiting = 0.0
            for k in range(first, ends[i]):
                base, dimension, inverse, pair, decay = constants[kinds[k]]
                found = _contracting_flow(x, waiting + 0.5 * lengths[k], inverse, pair, decay)
                if found < 0:
                    return -1
                used += found
                now = step + np.uint64(k)
                if base == 1.0:
                    info = _matrix_step(x, int(dimension), factors[k], deviations[k], now, own, tag, key0, key1)
                    if info != 0:
                        return -2
                else:
                    _bessel_step(x, dimension, factors[k], deviations[k], now, own, tag, key0, key1)
                waiting = 0.5 * lengths[k]
                if k + 1 == ends[i] or kinds[k + 1] != kinds[k]:
                    found = _contracting_flow(x, waiting, inverse, pair, decay)
                    if found < 0:
                        return -1
                    used += found
                    waiting = 0.0
            first = ends[i]
            for j in range(n):
                out[r, i, j] = x[n - 1 - j] * x[n - 1 - j]
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
    raised, small = degrees.copy(), False
    for i in range(n):
        if degrees[i] < 1.0:
            raised[i], small = degrees[i] + 2.0, True
    fill_chi_square(out, raised, step, replicate, tag, key0, key1)
    shift = np.uint64(1 << 26)
    uniform = np.empty(2 * n)
    if small:
        # two squared normals are exponential: their half has the distribution function 1 - exp(-x)
        fill_normal(uniform, 0, step, replicate, tag + shift, key0, key1)
        for i in range(n):
            if degrees[i] < 1.0:
                exponential = 0.5 * (uniform[2 * i] ** 2 + uniform[2 * i + 1] ** 2)
                out[i] *= np.exp(-2.0 * exponential / degrees[i])

"""Compiled kernels of the threshold scan and of the splice; ``_reference`` holds the plain twins."""

from __future__ import annotations

import math

import numpy as np

from sdespec.core.jit import kernel

__all__ = [
    "candidate_distances",
    "fit_unit_gamma",
    "gamma_shape",
    "scan",
    "splice_profile",
    "tails",
    "unit_gamma_moments",
]

# Candidates are visited coarse to fine down to this stride, then in order: few of them set a record, and memory
# is read in sequence.
_FINE_STRIDE = 32
_COARSE_POINTS = 32
_STACK = 256
# Above the rounding of exp: a block is skipped only where it cannot raise the maximum by even one ulp.
_SLACK = 1e-15
# Bulks narrower than 0.1 % are given this shape: the sums of the moments have about 10 sqrt(shape) terms.
_LARGEST_SHAPE = 1e6


@kernel
def tails(log_values: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Collapse ties; return distinct logs, their positions, number of values below each, and S of each tail."""
    position = np.empty(len(log_values), np.int64)
    below = np.empty(len(log_values) + 1, np.float64)
    distinct = 0
    total = 0.0
    for k in range(len(log_values)):
        if counts[k] == 0:
            continue
        if distinct == 0 or log_values[k] > log_values[position[distinct - 1]]:
            position[distinct] = k
            below[distinct] = total
            distinct += 1
        total += counts[k]
    below[distinct] = total
    y = np.empty(distinct, np.float64)
    for i in range(distinct):
        y[i] = log_values[position[i]]
    sums = np.zeros(distinct, np.float64)
    for i in range(distinct - 2, -1, -1):
        sums[i] = sums[i + 1] + (total - below[i + 1]) * (y[i + 1] - y[i])
    return y, position[:distinct], below[: distinct + 1], sums


@kernel
def _deviation(below: np.ndarray, j: int, step: int, base: float, inverse: float, model: float) -> float:
    """Larger deviation of the model from the steps before and after distinct value j."""
    return float(max(model - (below[j] - base) * inverse, (below[j + step] - base) * inverse - model))


@kernel
def _distance(
    y: np.ndarray, below: np.ndarray, i: int, slope: float, step: int, limit: float, work: np.ndarray
) -> tuple[float, int]:
    """Distance of the tail from distinct value i, or the first deviation found that reaches ``limit``; its place."""
    last = len(y) - 1
    inverse = 1.0 / (below[last + 1] - below[i])
    base = below[i]
    worst = (below[i + step] - base) * inverse
    place = i
    if worst >= limit:
        return worst, place
    points = min(_COARSE_POINTS, last - i)
    used = 0  # rows of ``work``: left end, right end, model at both
    left = i
    model_left = 0.0
    for k in range(1, points + 1):
        j = i + (k * (last - i)) // points
        model = 1.0 - math.exp(slope * (y[i] - y[j]))
        deviation = _deviation(below, j, step, base, inverse, model)
        if deviation > worst:
            worst, place = deviation, j
            if worst >= limit:
                return worst, place
        if j - left > 1:
            work[0, used], work[1, used], work[2, used], work[3, used] = left, j, model_left, model
            used += 1
        left, model_left = j, model
    while used > 0:
        used -= 1
        left, right = int(work[0, used]), int(work[1, used])
        model_left, model_right = work[2, used], work[3, used]
        # Both distribution functions grow with j, so the ends bound every deviation in between.
        above = model_right - (below[left + 1] - base) * inverse
        under = (below[right - 1 + step] - base) * inverse - model_left
        if max(above, under) + _SLACK <= worst:
            continue
        j = (left + right) // 2
        model = 1.0 - math.exp(slope * (y[i] - y[j]))
        deviation = _deviation(below, j, step, base, inverse, model)
        if deviation > worst:
            worst, place = deviation, j
            if worst >= limit:
                return worst, place
        if j - left > 1:
            work[0, used], work[1, used], work[2, used], work[3, used] = left, j, model_left, model
            used += 1
        if right - j > 1:
            work[0, used], work[1, used], work[2, used], work[3, used] = j, right, model, model_right
            used += 1
    return worst, place


@kernel
def scan(
    log_values: np.ndarray, counts: np.ndarray, min_tail: int, two_sided: bool
) -> tuple[int, float, float, int, int]:
    """Exact threshold of least distance, from ascending logs and their multiplicities.

    Returns the position of the threshold (-1 without a candidate), its distance, S, the number of values in the
    tail, and the number of distinct values.
    """
    y, position, below, sums = tails(log_values, counts)
    distinct = len(y)
    total = below[distinct]
    step = 1 if two_sided else 0
    candidates = 0
    while candidates < distinct - 1 and total - below[candidates] >= min_tail and sums[candidates] > 0.0:
        candidates += 1
    if candidates == 0:
        return -1, np.inf, 0.0, 0, distinct
    work = np.empty((4, _STACK), np.float64)
    best = np.inf
    chosen = -1
    killer = 0
    stride = _FINE_STRIDE
    while stride < candidates:
        stride *= 2
    start = 0
    while stride >= 1:
        i = start
        while i < candidates:
            size = total - below[i]
            slope = size / sums[i]
            # On equal distances the smaller threshold wins, whatever the order of the visits.
            limit = best if i > chosen else np.nextafter(best, np.inf)
            if killer <= i:
                killer = (i + distinct) // 2
            model = 1.0 - math.exp(slope * (y[i] - y[killer]))
            if _deviation(below, killer, step, below[i], 1.0 / size, model) < limit:
                deviation, killer = _distance(y, below, i, slope, step, limit, work)
                if deviation < limit:
                    best, chosen = deviation, i
            if stride == 1:  # what the coarser passes left, in order
                i += 2 if (i + 1) % _FINE_STRIDE == 0 else 1
            else:
                i += stride if start == 0 else 2 * stride
        stride = 1 if stride == _FINE_STRIDE else stride // 2
        start = stride
    return position[chosen], best, sums[chosen], int(total - below[chosen]), distinct


@kernel
def candidate_distances(
    y: np.ndarray, below: np.ndarray, sums: np.ndarray, candidates: np.ndarray, two_sided: bool
) -> np.ndarray:
    """Exact distance of each of the given candidates, with block bounds only."""
    work = np.empty((4, _STACK), np.float64)
    out = np.empty(len(candidates), np.float64)
    step = 1 if two_sided else 0
    for k in range(len(candidates)):
        i = candidates[k]
        slope = (below[len(y)] - below[i]) / sums[i]
        out[k], _ = _distance(y, below, i, slope, step, np.inf, work)
    return out


@kernel
def gamma_shape(contrast: float) -> float:
    """Shape k of a gamma law with log k - psi(k) = ``contrast`` > 0, by Newton's method in 1 / k."""
    k = (3.0 - contrast + math.sqrt((contrast - 3.0) ** 2 + 24.0 * contrast)) / (12.0 * contrast)
    for _ in range(50):
        # log z - psi(z) and its derivative from their asymptotic series at z >= 10, reached by recurrence.
        z = k
        value = 0.0
        slope = 0.0
        while z < 10.0:
            value += 1.0 / z
            slope -= 1.0 / (z * z)
            z += 1.0
        r = 1.0 / z
        q = r * r
        value += r * 0.5 + q * (1 / 12 - q * (1 / 120 - q * (1 / 252 - q * (1 / 240 - q * (1 / 132)))))
        slope -= q * (0.5 + r * (1 / 6 - q * (1 / 30 - q * (1 / 42 - q * (1 / 30)))))
        if z > k:
            value += math.log(k) - math.log(z)
            slope += 1.0 / k - r
        change = (value - contrast) / (k * k * slope)
        k = 1.0 / (1.0 / k + change)
        if abs(change * k) < 1e-15:
            break
    return k


@kernel
def _digamma_trigamma(k: float) -> tuple[float, float]:
    """Psi and its derivative from their asymptotic series at z >= 10, reached by recurrence."""
    z = k
    value = 0.0
    slope = 0.0
    while z < 10.0:
        value -= 1.0 / z
        slope += 1.0 / (z * z)
        z += 1.0
    r = 1.0 / z
    q = r * r
    value += math.log(z) - r * 0.5 - q * (1 / 12 - q * (1 / 120 - q * (1 / 252 - q * (1 / 240 - q * (1 / 132)))))
    slope += r + q * (0.5 + r * (1 / 6 - q * (1 / 30 - q * (1 / 42 - q * (1 / 30)))))
    return value, slope


@kernel
def unit_gamma_moments(k: float, b: float) -> tuple[float, float, float, float, float, float]:
    """Density u^(k-1) exp(-b u) / Z on (0, 1), k > 0, b >= 0.

    Returns log Z, E u, E log u, Var u, Cov(u, log u), Var log u. Z exp(b) = sum_j b^j / (k (k+1) ... (k+j)): all terms
    are positive, and so are those of the derivatives.
    """
    if b > k + 40.0 + 10.0 * math.sqrt(k):  # less than 1e-16 is cut off
        psi, psi_slope = _digamma_trigamma(k)
        log_b = math.log(b)
        return math.lgamma(k) - k * log_b, k / b, psi - log_b, k / (b * b), 1.0 / b, psi_slope
    first = 1.0 / k
    term, harmonic, squares = first, first, first * first
    z = u = uu = log_sum = log_squares = u_log = 0.0
    following = 1.0 / (k + 1.0)
    j = 0.0
    while True:
        after = 1.0 / (k + j + 2.0)
        z += term
        log_sum += term * harmonic
        log_squares += term * (harmonic * harmonic + squares)
        term_u = term * k * following
        u += term_u
        u_log += term_u * (harmonic - first + following)
        uu += term_u * (k + 1.0) * after
        if term * (k + j + 1.0) <= 1e-17 * z * (k + j + 1.0 - b):
            break
        term *= b * following
        harmonic += following
        squares += following * following
        following = after
        j += 1.0
    inverse = 1.0 / z
    mean, mean_log = u * inverse, -log_sum * inverse
    return (
        math.log(z) - b,
        mean,
        mean_log,
        uu * inverse - mean * mean,
        -u_log * inverse - mean * mean_log,
        log_squares * inverse - mean_log * mean_log,
    )


@kernel
def fit_unit_gamma(k: float, b: float, mean: float, mean_log: float, tolerance: float) -> tuple[float, float, float]:
    """Maximum likelihood of that density from E u and E log u: k, b, and the log-likelihood of one value.

    Newton's method from (k, b) in the natural parameters of the family, in which the likelihood is concave; it stops
    where the gain still to come is below ``tolerance``, and adds it.
    """
    flat = -1.0 / mean_log
    if flat <= mean * (flat + 1.0):  # the likelihood falls with b from b = 0
        return flat, 0.0, (flat - 1.0) * mean_log + math.log(flat)
    log_z, e_u, e_log, v_u, cov, v_log = unit_gamma_moments(k, b)
    value = (k - 1.0) * mean_log - b * mean - log_z
    for _ in range(100):
        g_k, g_b = mean_log - e_log, e_u - mean
        det = v_u * v_log - cov * cov
        if not det > 0.0:  # lost to rounding
            break
        d_k, d_b = (v_u * g_k + cov * g_b) / det, (v_log * g_b + cov * g_k) / det
        gain = 0.5 * (g_k * d_k + g_b * d_b)
        if gain < tolerance:
            if k + d_k > 0.0 and b + d_b >= 0.0:
                return k + d_k, b + d_b, value + gain
            break
        step = min(1.0, 0.9 * k / max(-d_k, 1e-300))
        improved = False
        while step > 1e-9 and not improved:
            k_new, b_new = min(k + step * d_k, _LARGEST_SHAPE), max(b + step * d_b, 0.0)
            log_z, e_u, e_log, v_u, cov, v_log = unit_gamma_moments(k_new, b_new)
            value_new = (k_new - 1.0) * mean_log - b_new * mean - log_z
            improved = value_new > value
            step *= 0.5
        if not improved:
            break
        k, b, value = k_new, b_new, value_new
    return k, b, value


@kernel
def splice_profile(
    y: np.ndarray, below: np.ndarray, sums: np.ndarray, min_bulk: int, min_tail: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log-likelihood of a gamma law below and a Pareto law from each distinct value on, shares free; shape; rate.

    The densities are those of value / threshold, and so is the rate; the likelihood is that of the values
    themselves. -inf where too few values are on either side; the first entry is the Pareto law alone, shape NaN.
    """
    distinct = len(y)
    total = below[distinct]
    value = np.full(distinct, -np.inf)
    shape = np.full(distinct, np.nan)
    rate = np.full(distinct, np.nan)
    u_sum = log_sum = 0.0  # of value / threshold below the threshold
    k = b = 0.0
    for i in range(distinct):
        size = total - below[i]
        if size < min_tail or sums[i] <= 0.0:
            break
        tail = size * (math.log(size / sums[i]) - 1.0) - sums[i] - total * y[i]
        if i == 0:
            value[0] = tail
            continue
        gap = y[i] - y[i - 1]
        u_sum = (u_sum + below[i] - below[i - 1]) * math.exp(-gap)
        log_sum -= below[i] * gap
        if below[i] < min_bulk or i < 3:
            continue
        mean, mean_log = u_sum / below[i], log_sum / below[i]
        if b > 0.0:
            b *= math.exp(gap)
        if not 0.0 < b < 1e300:
            contrast = math.log(mean) - mean_log
            k = min(gamma_shape(contrast), _LARGEST_SHAPE) if contrast > 0.0 else _LARGEST_SHAPE
            b = k / mean
        k, b, bulk = fit_unit_gamma(k, b, mean, mean_log, 1e-4 / total)
        shares = below[i] * math.log(below[i] / total) + size * math.log(size / total)
        value[i] = below[i] * bulk + shares + tail
        shape[i] = k
        rate[i] = b
    return value, shape, rate

"""Compiled causal pass through the theory of deep linear networks; ``_reference`` holds the plain twin."""

from __future__ import annotations

import numpy as np

from sdespec.core.jit import kernel

__all__ = ["march"]

_BLOCK = 4


@kernel
def _combine(weights: np.ndarray, matrix: np.ndarray, size: int, out: np.ndarray) -> None:
    """Product of a row with the leading block of a lower triangular matrix (zeros above its diagonal are read)."""
    for j in range(size):
        out[j] = 0.0
    full = size - size % _BLOCK
    for k in range(0, full, _BLOCK):
        w0, w1, w2, w3 = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        r0, r1, r2, r3 = matrix[k], matrix[k + 1], matrix[k + 2], matrix[k + 3]
        for j in range(k + _BLOCK):
            out[j] += w0 * r0[j] + w1 * r1[j] + w2 * r2[j] + w3 * r3[j]
    for k in range(full, size):
        w = weights[k]
        row = matrix[k]
        for j in range(k + 1):
            out[j] += w * row[j]


@kernel
def _symmetric(weights: np.ndarray, matrix: np.ndarray, size: int, out: np.ndarray) -> None:
    """Product of a row with the leading block of a full matrix."""
    for j in range(size):
        out[j] = 0.0
    full = size - size % _BLOCK
    for k in range(0, full, _BLOCK):
        w0, w1, w2, w3 = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        r0, r1, r2, r3 = matrix[k], matrix[k + 1], matrix[k + 2], matrix[k + 3]
        for j in range(size):
            out[j] += w0 * r0[j] + w1 * r1[j] + w2 * r2[j] + w3 * r3[j]
    for k in range(full, size):
        w = weights[k]
        row = matrix[k]
        for j in range(size):
            out[j] += w * row[j]


@kernel
def _add_products(matrix: np.ndarray, vector: np.ndarray, size: int, out: np.ndarray) -> None:
    """Add the leading block of a lower triangular matrix times a column; four chains of sums at once."""
    full = size - size % _BLOCK
    for m in range(0, full, _BLOCK):
        r0, r1, r2, r3 = matrix[m], matrix[m + 1], matrix[m + 2], matrix[m + 3]
        s0 = s1 = s2 = s3 = 0.0
        for k in range(m + _BLOCK):
            x = vector[k]
            s0 += r0[k] * x
            s1 += r1[k] * x
            s2 += r2[k] * x
            s3 += r3[k] * x
        out[m] += s0
        out[m + 1] += s1
        out[m + 2] += s2
        out[m + 3] += s3
    for m in range(full, size):
        row = matrix[m]
        total = 0.0
        for k in range(m + 1):
            total += row[k] * vector[k]
        out[m] += total


@kernel
def _congruence(
    triangle: np.ndarray, source: np.ndarray, scale: float, beta: np.ndarray, n: int, work: np.ndarray, out: np.ndarray
) -> None:
    """Add row n of T diag(beta) S diag(beta) T^T times scale, T lower triangular, S symmetric."""
    size = n + 1
    row = triangle[n]
    for k in range(size):
        work[0, k] = row[k] * beta[k]
    _symmetric(work[0], source, size, work[1])
    for k in range(size):
        work[1, k] *= scale * beta[k]
    _add_products(triangle, work[1], size, out)


@kernel
def _rank_one(triangle: np.ndarray, scale: float, beta: np.ndarray, n: int, sums: np.ndarray, out: np.ndarray) -> None:
    """The same for S = 1 everywhere; ``sums`` keeps the sums of the rows of T diag(beta)."""
    total = 0.0
    for k in range(n + 1):
        total += triangle[n, k] * beta[k]
    sums[n] = total
    for m in range(n + 1):
        out[m] += scale * total * sums[m]


@kernel
def _store(matrix: np.ndarray, n: int, row: np.ndarray) -> bool:
    """Write a row and its mirror; whether its diagonal entry is finite."""
    for m in range(n + 1):
        matrix[n, m] = row[m]
        matrix[m, n] = row[m]
    return bool(np.isfinite(row[n]))


@kernel
def _inputs(
    n: int, gamma: float, inverse_width: float, s2: float, noise: float, inverse_samples: float, same: np.ndarray,
    beta: np.ndarray, G0: np.ndarray, V: np.ndarray, Q: np.ndarray, H0: np.ndarray, A0: np.ndarray,
    D0: np.ndarray, Rm: np.ndarray, RD: np.ndarray, BX: np.ndarray, BR: np.ndarray, Sx: np.ndarray,
    Rx: np.ndarray, sums: np.ndarray, ones: np.ndarray, work: np.ndarray,
) -> bool:  # fmt: skip
    """Row n of the site of the inputs and the data; D0 has its row n already."""
    size = n + 1
    r0 = inverse_width * s2 / gamma**2
    out = work[2]
    _combine(D0[n], BR, size, out)
    for k in range(size):
        Rm[n, k] = -out[k] / gamma
    Rm[n, n] = 1.0
    _combine(Rm[n], D0, size, out)
    for k in range(n):
        RD[n, k] = out[k] / gamma
    out[:size] = 0.0
    _rank_one(Rm, 1.0, ones, n, sums[0], out)
    _congruence(Rm, G0, r0, beta, n, work, out)
    if inverse_samples > 0.0:
        _congruence(RD, Rx, 1.0, ones, n, work, out)
    finite = _store(V, n, out)
    if inverse_samples > 0.0:
        for k in range(n):
            work[0, k] = -inverse_samples * RD[n, k] if same[n] == same[k] and same[n] >= 0 else 0.0
        work[0, n] = 0.0
        _combine(work[0], BX, size, out)
        BX[n, :n] = out[:n]
        BX[n, n] = 1.0
        _combine(BX[n], Rm, size, BR[n])
        _combine(BX[n], RD, size, out)
        for k in range(n):
            Sx[n, k] = -out[k]
        Sx[n, n] = 1.0
        out[:size] = 0.0
        _congruence(BX, V, 1.0, ones, n, work, out)
        _rank_one(BX, noise, ones, n, sums[1], out)
        finite &= _store(Q, n, out)
        for k in range(size):
            shared = k == n or (same[n] == same[k] and same[n] >= 0)
            Rx[n, k] = Rx[k, n] = inverse_samples * out[k] if shared else 0.0
        out[:size] = 0.0
        _rank_one(BR, 1.0, ones, n, sums[2], out)
        _congruence(BR, G0, r0, beta, n, work, out)
        _congruence(Sx, Rx, 1.0, ones, n, work, out)
        finite &= _store(H0, n, out)
    else:
        BR[n, :size] = Rm[n, :size]
        finite &= _store(H0, n, out)
        for k in range(size):
            out[k] += noise
        finite &= _store(Q, n, out)
    for k in range(size):
        A0[n, k] = -s2 * inverse_width * BR[n, k] * beta[k] / gamma
    return finite


@kernel
def _backward(
    n: int, e: float, s2: float, sa2: float, top: bool, omega: np.ndarray, beta: np.ndarray, G_above: np.ndarray,
    B_above: np.ndarray, H_below: np.ndarray, G: np.ndarray, B: np.ndarray, Dm: np.ndarray, Y: np.ndarray,
    YD: np.ndarray, XC: np.ndarray, sums: np.ndarray, work: np.ndarray,
) -> bool:  # fmt: skip
    """Row n of the backward half of a hidden site."""
    size = n + 1
    for k in range(n):
        Dm[n, k] = e * omega[n - k] * G_above[n, k]
        if not top:
            Dm[n, k] += beta[n] * B_above[n, k]
    _combine(Dm[n], XC, size, Y[n])
    Y[n, n] = 1.0
    _combine(Y[n], Dm, size, YD[n])
    for k in range(n):
        B[n, k] = s2 * YD[n, k] * beta[k]
    out = work[2]
    out[:size] = 0.0
    if top:
        _rank_one(Y, sa2, beta, n, sums, out)
    else:
        _congruence(Y, G_above, s2, beta, n, work, out)
    # Column n of H_below is still empty, and YD has no entry there.
    _congruence(YD, H_below, s2, beta, n, work, out)
    return _store(G, n, out)


@kernel
def _forward(
    n: int, e: float, s2: float, sa2: float, top: bool, omega: np.ndarray, beta: np.ndarray, H_below: np.ndarray,
    A_below: np.ndarray, G_above: np.ndarray, H: np.ndarray, A: np.ndarray, Dm: np.ndarray, Y: np.ndarray,
    X: np.ndarray, XC: np.ndarray, sums: np.ndarray, work: np.ndarray,
) -> bool:  # fmt: skip
    """Row n of the forward half of a hidden site."""
    size = n + 1
    for k in range(n):
        work[0, k] = beta[n] * A_below[n, k] + e * omega[n - k] * H_below[n, k]
    work[0, n] = beta[n] * A_below[n, n]
    _combine(work[0], Y, size, XC[n])
    _combine(XC[n], Dm, size, X[n])
    X[n, n] = 1.0
    if not top:
        for k in range(size):
            A[n, k] = s2 * XC[n, k] * beta[k]
    out = work[2]
    out[:size] = 0.0
    _congruence(X, H_below, s2, beta, n, work, out)
    if top:
        _rank_one(XC, sa2, beta, n, sums, out)
    else:
        _congruence(XC, G_above, s2, beta, n, work, out)
    return _store(H, n, out)


@kernel
def march(
    layers: int, gamma: float, e: float, inverse_width: float, s2: float, sa2: float, noise: float,
    inverse_samples: float, same: np.ndarray, omega: np.ndarray, beta: np.ndarray, limit: float,
    V: np.ndarray, Q: np.ndarray, H: np.ndarray, G: np.ndarray, A: np.ndarray, B: np.ndarray,
) -> int:  # fmt: skip
    """Fill the order parameters row by row; number of rows that are finite and below the limit.

    ``same`` is the index of the batch of every update; a negative one shares its samples with no other update.
    ``H[l]`` belongs to h^l, ``G[l]`` to g^(l+1), ``A[l]`` and ``B[l]`` to matrix l; ``G[layers]`` is one everywhere.
    """
    T = len(beta)
    shape = (layers + 1, T, T)
    X, Y, XC, YD, Dm = np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape)
    D0, Rm, RD, BR = np.zeros((T, T)), np.zeros((T, T)), np.zeros((T, T)), np.zeros((T, T))
    data = T if inverse_samples > 0.0 else 1
    BX, Sx, Rx = np.zeros((data, data)), np.zeros((data, data)), np.zeros((data, data))
    sums, work, ones = np.zeros((5, T)), np.zeros((3, T)), np.ones(T)
    for n in range(T):
        finite = True
        for layer in range(layers, 0, -1):
            top = layer == layers
            above = 0 if top else layer
            finite &= _backward(
                n, e, s2, sa2, top, omega, beta, G[layer], B[above], H[layer - 1], G[layer - 1], B[layer - 1],
                Dm[layer], Y[layer], YD[layer], XC[layer], sums[3], work,
            )  # fmt: skip
        for k in range(n):
            D0[n, k] = beta[n] * B[0, n, k] + e * omega[n - k] * G[0, n, k]
        finite &= _inputs(
            n, gamma, inverse_width, s2, noise, inverse_samples, same, beta, G[0], V, Q, H[0], A[0],
            D0, Rm, RD, BX, BR, Sx, Rx, sums, ones, work,
        )  # fmt: skip
        for layer in range(1, layers + 1):
            top = layer == layers
            below = 0 if top else layer
            finite &= _forward(
                n, e, s2, sa2, top, omega, beta, H[layer - 1], A[layer - 1], G[layer], H[layer], A[below],
                Dm[layer], Y[layer], X[layer], XC[layer], sums[4], work,
            )  # fmt: skip
        if not finite or V[n, n] > limit:
            return n
    return T

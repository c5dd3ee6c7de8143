"""Plain NumPy twin of the causal pass."""

from __future__ import annotations

import numpy as np

__all__ = ["march"]


def _row(n: int, triangle: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Row n, up to the diagonal, of T S T^T with T lower triangular."""
    block = triangle[: n + 1, : n + 1]
    product: np.ndarray = block @ (source[: n + 1, : n + 1] @ block[n])
    return product


def march(
    layers: int, gamma: float, e: float, inverse_width: float, s2: float, sa2: float, noise: float,
    inverse_samples: float, same: np.ndarray, omega: np.ndarray, beta: np.ndarray, limit: float,
    V: np.ndarray, Q: np.ndarray, H: np.ndarray, G: np.ndarray, A: np.ndarray, B: np.ndarray,
) -> int:  # fmt: skip
    """Fill the order parameters row by row; number of rows that are finite and below the limit."""
    T = len(beta)
    lag = np.subtract.outer(np.arange(T), np.arange(T))
    kernel = e * np.tril(omega[np.maximum(lag, 0)], -1)
    mask = ((same[:, None] == same) & (same[:, None] >= 0)) | (lag == 0)
    decay = np.outer(beta, beta)
    r0 = inverse_width * s2 / gamma**2
    shape = (layers + 1, T, T)
    X, Y, XC, YD, Dm = (np.zeros(shape) for _ in range(5))
    D0, Rm, RD, BR, BX, Sx, AX = (np.zeros((T, T)) for _ in range(7))
    with np.errstate(all="ignore"):
        for n in range(T):
            past, now = slice(0, n), slice(0, n + 1)
            for layer in range(layers, 0, -1):
                Dm[layer, n, past] = kernel[n, past] * G[layer, n, past]
                if layer < layers:
                    Dm[layer, n, past] += beta[n] * B[layer, n, past]
                Y[layer, n, now] = Dm[layer, n, now] @ XC[layer, now, now]
                Y[layer, n, n] = 1.0
                YD[layer, n, past] = (Y[layer, n, now] @ Dm[layer, now, now])[past]
                B[layer - 1, n, past] = s2 * YD[layer, n, past] * beta[past]
                source = (s2 if layer < layers else sa2) * decay * G[layer]
                row = _row(n, Y[layer], source) + _row(n, YD[layer], s2 * decay * H[layer - 1])
                G[layer - 1, n, now] = G[layer - 1, now, n] = row
            D0[n, past] = beta[n] * B[0, n, past] + kernel[n, past] * G[0, n, past]
            Rm[n, now] = -(D0[n, now] @ BR[now, now]) / gamma
            Rm[n, n] = 1.0
            RD[n, now] = Rm[n, now] @ D0[now, now] / gamma
            teacher = 1.0 + r0 * decay * G[0]
            shared = inverse_samples * np.where(mask, Q, 0.0)
            V[n, now] = V[now, n] = _row(n, Rm, teacher) + _row(n, RD, shared)
            AX[n, past] = -inverse_samples * np.where(mask, RD, 0.0)[n, past]
            BX[n, now] = AX[n, now] @ BX[now, now]
            BX[n, n] = 1.0
            BR[n, now] = BX[n, now] @ Rm[now, now]
            Sx[n, now] = -(BX[n, now] @ RD[now, now])
            Sx[n, n] = 1.0
            Q[n, now] = Q[now, n] = _row(n, BX, V + noise)
            shared = inverse_samples * np.where(mask, Q, 0.0)
            H[0, n, now] = H[0, now, n] = _row(n, BR, teacher) + _row(n, Sx, shared)
            A[0, n, now] = -s2 * inverse_width * BR[n, now] * beta[now] / gamma
            for layer in range(1, layers + 1):
                C = beta[n] * A[layer - 1, n, now] + kernel[n, now] * H[layer - 1, n, now]
                XC[layer, n, now] = C @ Y[layer, now, now]
                X[layer, n, now] = XC[layer, n, now] @ Dm[layer, now, now]
                X[layer, n, n] = 1.0
                if layer < layers:
                    A[layer, n, now] = s2 * XC[layer, n, now] * beta[now]
                source = (s2 if layer < layers else sa2) * decay * G[layer]
                row = _row(n, X[layer], s2 * decay * H[layer - 1]) + _row(n, XC[layer], source)
                H[layer, n, now] = H[layer, now, n] = row
            diagonals = [V[n, n], Q[n, n], *H[:, n, n], *G[:layers, n, n]]
            if not np.isfinite(diagonals).all() or V[n, n] > limit:
                return n
    return T

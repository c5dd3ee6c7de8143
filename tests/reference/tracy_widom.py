"""Make the table of the Tracy-Widom laws from Fredholm determinants, in multiple precision.

Run ``python tests/reference/tracy_widom.py`` to write ``sdespec/laws/data/tracy_widom.npz`` anew (some minutes).

With B_t(x, y) = Ai(x + y + t) on the half line and D_-, D_+ = det(1 - B_t), det(1 + B_t) (Ferrari and Spohn 2005),

    F_1(t) = D_-,    F_2(t) = D_- D_+,    F_4(t / 2^(2/3)) = (D_- + D_+) / 2,

where F_4 is in the scale of the stochastic Airy operator, the same as for the other two. The determinants are taken by
Gauss-Legendre quadrature (Bornemann 2010), which converges exponentially. The table holds the Chebyshev coefficients of
the log-odds log(F / (1 - F)) in t.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from pathlib import Path

import mpmath
import numpy as np

LOW, HIGH = -12.0, 12.0
POINTS = 128
NODES = 72
DIGITS = 90
TABLE = Path(__file__).parents[2] / "sdespec" / "laws" / "data" / "tracy_widom.npz"


@lru_cache(maxsize=4)
def legendre(nodes: int, digits: int) -> tuple[list[mpmath.mpf], list[mpmath.mpf]]:
    """Nodes and weights of the Gauss-Legendre rule on (-1, 1): Newton steps from double precision."""
    start = np.polynomial.legendre.leggauss(nodes)[0]
    points, weights = [], []
    with mpmath.workdps(digits + 10):
        for first in start:
            x = mpmath.mpf(float(first))
            for _ in range(8):
                before, now = mpmath.mpf(1), x
                for k in range(2, nodes + 1):
                    before, now = now, ((2 * k - 1) * x * now - (k - 1) * before) / k
                slope = nodes * (x * now - before) / (x * x - 1)
                x -= now / slope
            points.append(x)
            weights.append(2 / ((1 - x * x) * slope**2))
    return points, weights


def determinants(t: float, nodes: int = NODES, digits: int = DIGITS) -> tuple[mpmath.mpf, mpmath.mpf]:
    """det(1 - B_t) and det(1 + B_t)."""
    points, weights = legendre(nodes, digits)
    with mpmath.workdps(digits):
        half = (mpmath.mpf(18) + max(-t, 0.0)) / 2
        x = [half * (p + 1) for p in points]
        root = [mpmath.sqrt(half * w) for w in weights]
        minus, plus = mpmath.eye(nodes), mpmath.eye(nodes)
        for i in range(nodes):
            for j in range(i + 1):
                entry = root[i] * mpmath.airyai(x[i] + x[j] + t) * root[j]
                for k, m in {(i, j), (j, i)}:
                    minus[k, m] -= entry
                    plus[k, m] += entry
        return mpmath.det(minus), mpmath.det(plus)


def log_odds(t: float, nodes: int = NODES, digits: int = DIGITS) -> tuple[float, float, float]:
    """log(F / (1 - F)) for beta 1 and 2 at t, and for beta 4 at t / 2^(2/3)."""
    minus, plus = determinants(t, nodes, digits)
    with mpmath.workdps(digits):
        laws = (minus, minus * plus, (minus + plus) / 2)
        one, two, four = (float(mpmath.log(f / (1 - f))) for f in laws)
    return one, two, four


def table() -> dict[str, np.ndarray]:
    """Chebyshev coefficients by law, and the interval of t."""
    angle = np.pi * (np.arange(POINTS) + 0.5) / POINTS
    t = 0.5 * (LOW + HIGH) + 0.5 * (HIGH - LOW) * np.cos(angle)
    with ProcessPoolExecutor() as pool:
        values = np.array(list(pool.map(partial(log_odds), t.tolist())))
    basis = np.cos(np.outer(np.arange(POINTS), angle))
    coefficients = 2.0 / POINTS * basis @ values
    coefficients[0] /= 2.0
    out = {f"beta_{beta}": coefficients[:, k] for k, beta in enumerate((1, 2, 4))}
    return {"interval": np.array([LOW, HIGH])} | out


if __name__ == "__main__":
    np.savez(TABLE, **table())

"""The compiled noise of ``_philox`` in NumPy, operation by operation; for tests."""

from __future__ import annotations

import itertools

import numpy as np
from scipy import special

__all__ = ["chi_square", "log", "normal", "philox", "poisson", "uniform"]

_LOW = np.uint64(0xFFFFFFFF)


def philox(counter: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Ten rounds of Philox 4x32 on counters (..., 4) with a key (2,), as 32-bit words in uint64."""
    c = [counter[..., i].astype(np.uint64) for i in range(4)]
    k0, k1 = (int(word) for word in key)
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [
            (p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0), p1 & _LOW,
            (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1), p0 & _LOW,
        ]  # fmt: skip
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(c, axis=-1)


def uniform(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """(k + 1/2) 2^-52 with the k of the 52 leading bits."""
    mantissa = ((high << np.uint64(32)) | low) >> np.uint64(12)
    out: np.ndarray = (mantissa.astype(np.float64) + 0.5) * 2.0**-52
    return out


def log(x: np.ndarray) -> np.ndarray:
    """Logarithm by the series of atanh, after halving to [sqrt(1/2), sqrt(2))."""
    mantissa, exponent = np.frexp(x)
    small = mantissa < np.sqrt(0.5)
    f = np.where(small, 2.0 * mantissa, mantissa) - 1.0
    power = (exponent - small).astype(np.float64)
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    odd = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01))
    tail = 2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)
    even = z * (6.666666666666735130e-01 + w * tail)
    half = 0.5 * f * f
    rest = s * (half + (even + odd)) + power * 1.90821492927058770002e-10
    out: np.ndarray = power * 6.93147180369123816490e-01 - ((half - rest) - f)
    return out


def _polynomial(z: np.ndarray, coefficients: tuple[float, ...]) -> np.ndarray:
    out = np.full_like(z, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        out = coefficient + z * out
    return out


def normal(words: np.ndarray) -> np.ndarray:
    """Two normals from the four words (..., 4) of a block."""
    radius = np.sqrt(-2.0 * log(uniform(words[..., 0], words[..., 1])))
    angle = (uniform(words[..., 2], words[..., 3]) - 0.5) * 1.5707963267948966
    z = angle * angle
    sine = angle + angle * z * _polynomial(
        z,
        (-1.66666666666666324348e-01, 8.33333333332248946124e-03, -1.98412698298579493134e-04,
         2.75573137070700676789e-06, -2.50507602534068634195e-08, 1.58969099521155010221e-10),
    )  # fmt: skip
    cosine = 1.0 - (
        0.5 * z - z * z * _polynomial(
            z,
            (4.16666666666666019037e-02, -1.38888888888741095749e-03, 2.48015872894767294178e-05,
             -2.75573143513906633035e-07, 2.08757232129817482790e-09, -1.13596475577881948265e-11),
        )
    )  # fmt: skip
    turned, negative = (words[..., 3] & np.uint64(1)) == 1, (words[..., 3] & np.uint64(2)) == 2
    pair = np.stack([np.where(turned, sine, cosine), np.where(turned, -cosine, sine)], axis=-1)
    out: np.ndarray = radius[..., None] * np.where(negative[..., None], -pair, pair)
    return out


def chi_square(degrees: np.ndarray, words_of: object, tag: int) -> np.ndarray:
    """Chi-squares of whole degrees; ``words_of(entry, tag)`` gives the words of a block."""
    assert callable(words_of)
    out = np.empty(len(degrees))
    for i, degree in enumerate(degrees):
        if degree == 1.0:
            out[i] = normal(words_of(i, tag))[0] ** 2
            continue
        d = 0.5 * degree - 1.0 / 3.0
        attempt = tag
        while True:
            z, words = normal(words_of(i, attempt))[0], words_of(i, attempt + 1)
            attempt += 2
            v = 1.0 + 1.0 / np.sqrt(9.0 * d) * z
            v = v * v * v
            bound = 0.5 * z * z + d - d * v + d * log(np.array(v)) if v > 0.0 else -np.inf
            if log(uniform(words[0], words[1])) < bound:
                out[i] = 2.0 * d * v
                break
    return out


def poisson(means: np.ndarray, words_of: object, tag: int) -> np.ndarray:
    """Poisson numbers; ``words_of(entry, tag)`` gives the words of a block."""
    assert callable(words_of)
    out = np.empty(len(means))
    for i, mean in enumerate(means):
        if mean < 10.0:
            words = words_of(i, tag)
            sums = np.cumsum(np.exp(special.xlogy(np.arange(200), mean) - mean - special.gammaln(np.arange(1, 201))))
            out[i] = np.searchsorted(sums, uniform(words[0], words[1]))
            continue
        b = 0.931 + 2.53 * np.sqrt(mean)
        a = 0.02483 * b - 0.059
        for attempt in itertools.count(tag):
            words = words_of(i, attempt)
            u, v = uniform(words[0], words[1]) - 0.5, uniform(words[2], words[3])
            rest = 0.5 - abs(u)
            count = np.floor((2.0 * a / rest + b) * u + mean + 0.43)
            level = np.log(v * (1.1239 + 1.1328 / (b - 3.4)) / (a / rest**2 + b))
            inside = count >= 0.0 and not (rest < 0.013 and v > rest)
            surely = rest >= 0.07 and v <= 0.9277 - 3.6224 / (b - 2.0)
            if surely or (inside and level <= count * np.log(mean) - mean - special.gammaln(count + 1.0)):
                out[i] = count
                break
    return out

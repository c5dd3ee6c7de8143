"""Compiled noise: Philox 4x32-10, uniforms, normals and chi-squares, each a function of its counter.

Logarithm, sine and cosine are polynomials of our own, so that loops vectorise without a vendor's library and the
numbers are the same to the bit on every machine; ``_philox_reference`` holds the same operations in NumPy.
"""

from __future__ import annotations

import math

import numpy as np

from sdespec.core.jit import inlined, kernel

__all__ = ["BLOCKS", "fill_chi_square", "fill_normal", "fill_poisson", "fill_words", "normal_pair", "philox"]

_MULTIPLIER_0, _MULTIPLIER_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL_0, _WEYL_1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_TWELVE, _SIGN = np.uint64(12), np.uint64(62)
_ONE, _TWO, _ZERO, _TOP = np.uint64(1), np.uint64(2), np.uint64(0), np.uint64(1 << 63)
_UNIT = np.uint64(0x3FF0000000000000)  # bits of 1.0: a mantissa beside them is a number in [1, 2)
_ROOT_HALF = np.int64(0x3FE6A09E667F3BCD)  # bits of sqrt(1/2)
_MANTISSA = np.int64(52)
_MAGIC, _MAGIC_FLOAT = np.int64(0x4338000000000000), 6755399441055744.0  # integers become floats by adding bits
BLOCKS = 256
"""Blocks at a time: four words of each stay in the first cache."""


@inlined
def philox(
    c0: np.uint64, c1: np.uint64, c2: np.uint64, c3: np.uint64, key0: np.uint64, key1: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """Ten rounds of Philox 4x32; 32-bit words in 64-bit integers (Salmon et al., SC 2011)."""
    for _ in range(10):
        p0, p1 = _MULTIPLIER_0 * c0, _MULTIPLIER_1 * c2
        c0, c1, c2, c3 = (p1 >> _HALF) ^ c1 ^ key0, p1 & _LOW, (p0 >> _HALF) ^ c3 ^ key1, p0 & _LOW
        key0, key1 = (key0 + _WEYL_0) & _LOW, (key1 + _WEYL_1) & _LOW
    return c0, c1, c2, c3


@inlined
def _uniform(high: np.uint64, low: np.uint64) -> float:
    """(k + 1/2) 2^-52 with the k of the 52 leading bits; never 0 or 1."""
    return float(np.uint64((((high << _HALF) | low) >> _TWELVE) | _UNIT).view(np.float64) - (1.0 - 2.0**-53))


@inlined
def _log(x: float) -> float:
    """Logarithm of a normal positive number, error below 1 ulp, by the series of atanh in f/(2+f)."""
    bits = np.float64(x).view(np.int64)
    exponent = (bits - _ROOT_HALF) >> _MANTISSA
    f = np.int64(bits - (exponent << _MANTISSA)).view(np.float64) - 1.0
    power = np.int64(exponent + _MAGIC).view(np.float64) - _MAGIC_FLOAT
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    odd = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01))
    even = z * (
        6.666666666666735130e-01
        + w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01))
    )
    half = 0.5 * f * f
    small = s * (half + (even + odd)) + power * 1.90821492927058770002e-10
    return float(power * 6.93147180369123816490e-01 - ((half - small) - f))


@inlined
def normal_pair(w0: np.uint64, w1: np.uint64, w2: np.uint64, w3: np.uint64) -> tuple[float, float]:
    """Box-Muller: radius from the first two words, angle in a quarter and one of four quarters from the others."""
    radius = np.sqrt(-2.0 * _log(_uniform(w0, w1)))
    angle = (_uniform(w2, w3) - 0.5) * 1.5707963267948966
    z = angle * angle
    sine = angle + angle * z * (
        -1.66666666666666324348e-01
        + z
        * (
            8.33333333332248946124e-03
            + z
            * (
                -1.98412698298579493134e-04
                + z * (2.75573137070700676789e-06 + z * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10))
            )
        )
    )
    cosine = 1.0 - (
        0.5 * z
        - z
        * z
        * (
            4.16666666666666019037e-02
            + z
            * (
                -1.38888888888741095749e-03
                + z
                * (
                    2.48015872894767294178e-05
                    + z
                    * (-2.75573143513906633035e-07 + z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11))
                )
            )
        )
    )
    # choice and sign by masks: a branch would keep the loop from vectorising
    swap, sign = _ZERO - (w3 & _ONE), (w3 & _TWO) << _SIGN
    sine_bits, cosine_bits = np.float64(radius * sine).view(np.uint64), np.float64(radius * cosine).view(np.uint64)
    first = np.uint64(((sine_bits & swap) | (cosine_bits & ~swap)) ^ sign).view(np.float64)
    second = np.uint64(((cosine_bits & swap) | (sine_bits & ~swap)) ^ sign ^ (swap & _TOP)).view(np.float64)
    return first, second


@inlined
def fill_words(
    words: np.ndarray,
    first: int,
    count: int,
    step: np.uint64,
    replicate: np.uint64,
    tag: np.uint64,
    key0: np.uint64,
    key1: np.uint64,
) -> None:
    """Words of the blocks first, first + 1, ..., a column of ``words`` (4, BLOCKS) each."""
    for i in range(count):
        block = np.uint64(first + i)
        words[0, i], words[1, i], words[2, i], words[3, i] = philox(block, step, replicate, tag, key0, key1)


@kernel
def fill_normal(
    out: np.ndarray,
    first: int,
    step: np.uint64,
    replicate: np.uint64,
    tag: np.uint64,
    key0: np.uint64,
    key1: np.uint64,
) -> None:
    """Normals of the entries 2 * first, 2 * first + 1, ...; two to a block, whose number is the word of the entry."""
    size = out.shape[0]
    words = np.empty((4, BLOCKS), np.uint64)
    for start in range(0, (size + 1) // 2, BLOCKS):
        whole = min(BLOCKS, size // 2 - start)
        odd = min(BLOCKS, (size + 1) // 2 - start) - whole
        fill_words(words, first + start, whole + odd, step, replicate, tag, key0, key1)
        part = out[2 * start : 2 * (start + whole)]
        for i in range(whole):  # words first, then numbers: two loops, each of which vectorises
            a, b = normal_pair(words[0, i], words[1, i], words[2, i], words[3, i])
            part[2 * i], part[2 * i + 1] = a, b
        if odd:
            out[size - 1] = normal_pair(words[0, whole], words[1, whole], words[2, whole], words[3, whole])[0]


@kernel
def fill_chi_square(
    out: np.ndarray,
    degrees: np.ndarray,
    step: np.uint64,
    replicate: np.uint64,
    tag: np.uint64,
    key0: np.uint64,
    key1: np.uint64,
) -> None:
    """Chi-squares of whole degrees of freedom by Marsaglia and Tsang's rejection; attempts count in the tag."""
    for i in range(out.shape[0]):
        if degrees[i] == 1.0:
            w0, w1, w2, w3 = philox(np.uint64(i), step, replicate, tag, key0, key1)
            z = normal_pair(w0, w1, w2, w3)[0]
            out[i] = z * z
            continue
        d = 0.5 * degrees[i] - 1.0 / 3.0
        c = 1.0 / np.sqrt(9.0 * d)
        attempt = tag
        while True:
            w0, w1, w2, w3 = philox(np.uint64(i), step, replicate, attempt, key0, key1)
            z = normal_pair(w0, w1, w2, w3)[0]
            w0, w1, w2, w3 = philox(np.uint64(i), step, replicate, attempt + _ONE, key0, key1)
            attempt += _TWO
            v = 1.0 + c * z
            v = v * v * v
            if v > 0.0 and _log(_uniform(w0, w1)) < 0.5 * z * z + d - d * v + d * _log(v):
                out[i] = 2.0 * d * v
                break


@kernel
def fill_poisson(
    out: np.ndarray,
    means: np.ndarray,
    step: np.uint64,
    replicate: np.uint64,
    tag: np.uint64,
    key0: np.uint64,
    key1: np.uint64,
) -> None:
    """Poisson numbers as floats: inversion below a mean of 10, else Hoermann's transformed rejection.

    W. Hoermann, Insurance: Mathematics and Economics 12 (1993) 39, algorithm PTRS; attempts count in the tag.
    """
    for i in range(out.shape[0]):
        mean = means[i]
        if mean < 10.0:
            w0, w1, w2, w3 = philox(np.uint64(i), step, replicate, tag, key0, key1)
            left, chance, count = _uniform(w0, w1), np.exp(-mean), 0.0
            while left > chance and count < 200.0:
                left -= chance
                count += 1.0
                chance *= mean / count
            out[i] = count
            continue
        root = np.sqrt(mean)
        b = 0.931 + 2.53 * root
        a = 0.02483 * b - 0.059
        scale, surely = 1.1239 + 1.1328 / (b - 3.4), 0.9277 - 3.6224 / (b - 2.0)
        attempt = tag
        while True:
            w0, w1, w2, w3 = philox(np.uint64(i), step, replicate, attempt, key0, key1)
            attempt += _ONE
            u, v = _uniform(w0, w1) - 0.5, _uniform(w2, w3)
            rest = 0.5 - abs(u)
            count = np.floor((2.0 * a / rest + b) * u + mean + 0.43)
            if rest >= 0.07 and v <= surely:
                break
            if count < 0.0 or (rest < 0.013 and v > rest):
                continue
            if _log(v * scale / (a / (rest * rest) + b)) <= count * _log(mean) - mean - math.lgamma(count + 1.0):
                break
        out[i] = count

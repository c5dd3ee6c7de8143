"""Counter-based noise: each number is a function of (seed, replicate, step, entry, attempt), whatever else is drawn."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import numpy as np

from sdespec.core._philox import fill_chi_square, fill_normal
from sdespec.core.errors import UsageError

__all__ = ["FIELDS", "Words", "chi_square", "key_of", "standard_normal", "words_of"]

FIELDS: Mapping[str, int] = MappingProxyType({"entry": 32, "step": 32, "replicate": 32, "attempt": 24, "purpose": 8})
"""Bits of the fields of the 128-bit counter of Philox 4x32-10, least significant first.

The field ``entry`` counts blocks of two normals, so 2^33 entries fit; ``attempt`` counts the trials of rejection
samplers, and ``purpose`` keeps apart what one step draws for different ends.
"""

Words = tuple[np.uint64, np.uint64, np.uint64, np.uint64, np.uint64]
"""Step, replicate, purpose and attempt in one word, and the two words of the key: what the kernels take."""


@lru_cache(maxsize=256)
def _key(seed: int) -> tuple[int, int]:
    words = np.random.SeedSequence(seed).generate_state(2, np.uint32)
    return int(words[0]), int(words[1])


def key_of(seed: int) -> tuple[np.uint64, np.uint64]:
    """64-bit key of a seed as two words of 32 bits, spread by NumPy's SeedSequence.

    Parameters
    ----------
    seed : int
        At least 0, of any size.

    Returns
    -------
    tuple of two uint64

    Raises
    ------
    UsageError
        If the seed is not an integer of at least 0.

    Examples
    --------
    >>> all(word < 2**32 for word in key_of(7))
    True
    """
    try:
        whole = operator.index(seed)
    except TypeError:
        raise UsageError(f"seed is {seed!r}; it must be an integer of at least 0") from None
    if whole < 0:
        raise UsageError(f"seed is {seed}; it must be an integer of at least 0")
    key = _key(whole)
    return np.uint64(key[0]), np.uint64(key[1])


def words_of(*, seed: int, replicate: int, step: int, purpose: int = 0) -> Words:
    """Words of the counter and the key for the kernels, checked against the widths of the fields.

    Parameters
    ----------
    seed, replicate, step, purpose : int
        Seed of the run and fields of the counter.

    Returns
    -------
    step, replicate, purpose * 2^24, key0, key1 : uint64

    Raises
    ------
    UsageError
        If a number does not fit its field.

    Examples
    --------
    >>> [int(word) for word in words_of(seed=7, replicate=3, step=5, purpose=1)][:3]
    [5, 3, 16777216]
    """
    for name, value in (("step", step), ("replicate", replicate), ("purpose", purpose)):
        if not 0 <= value < 1 << FIELDS[name]:
            raise UsageError(f"{name} is {value}; it must fit the {FIELDS[name]}-bit field of the counter")
    return np.uint64(step), np.uint64(replicate), np.uint64(purpose << FIELDS["attempt"]), *key_of(seed)


def standard_normal(
    shape: tuple[int, ...], *, seed: int, replicate: int, step: int = 0, purpose: int = 0
) -> np.ndarray:
    """Independent normal numbers that depend on the arguments only.

    Parameters
    ----------
    shape : tuple of int
        At most 2^33 entries, in C order.
    seed : int
        Seed of the run.
    replicate, step, purpose : int
        Fields of the counter.

    Returns
    -------
    ndarray
        The same bits on every machine; entry i does not depend on the number of entries.

    Raises
    ------
    UsageError
        If a number does not fit its field.

    Notes
    -----
    Box-Muller on 52-bit uniforms, so no number exceeds 8.6 in size. About 2 ns a number.

    Examples
    --------
    >>> one = standard_normal((2, 3), seed=1, replicate=3)
    >>> bool((one.ravel()[:4] == standard_normal((4,), seed=1, replicate=3)).all())
    True
    """
    size = math.prod(shape)
    if size > 2 << FIELDS["entry"]:
        raise UsageError(f"{size} entries do not fit the {FIELDS['entry']}-bit field of the counter")
    out = np.empty(size)
    fill_normal(out, 0, *words_of(seed=seed, replicate=replicate, step=step, purpose=purpose))
    return out.reshape(shape)


def chi_square(degrees: np.ndarray, *, seed: int, replicate: int, step: int = 0, purpose: int = 0) -> np.ndarray:
    """Independent chi-square numbers of whole degrees of freedom that depend on the arguments only.

    Parameters
    ----------
    degrees : ndarray, (k,)
        Degrees of freedom, whole numbers of at least 1.
    seed : int
        Seed of the run.
    replicate, step, purpose : int
        Fields of the counter.

    Returns
    -------
    ndarray, (k,)

    Raises
    ------
    UsageError
        If a number does not fit its field, or a degree is not allowed.

    Notes
    -----
    Rejection of Marsaglia and Tsang, ACM Transactions on Mathematical Software 26 (2000) 363.

    Examples
    --------
    >>> chi_square(np.array([3.0, 10.0]), seed=1, replicate=0).shape
    (2,)
    """
    values = np.asarray(degrees, dtype=np.float64)
    if values.ndim != 1 or not (np.all(values >= 1.0) and np.all(values == np.floor(values))):
        raise UsageError(f"degrees are {degrees!r}; give a vector of whole numbers of at least 1")
    out = np.empty(len(values))
    fill_chi_square(out, values, *words_of(seed=seed, replicate=replicate, step=step, purpose=purpose))
    return out

"""Counter-based noise: each number is a function of (seed, replicate, step), whatever else is drawn."""

from __future__ import annotations

import operator
from functools import lru_cache

import numpy as np

from sdespec.core.errors import UsageError

__all__ = ["FIELDS", "key_of", "noise_stream", "standard_normal"]

FIELDS: tuple[str, ...] = ("block", "step", "replicate", "purpose")
"""Words of the 256-bit counter of Philox 4x64, 64 bits each, least significant first; the generator counts blocks."""

_LIMIT = 1 << 64


@lru_cache(maxsize=256)
def _key(seed: int) -> tuple[int, int]:
    words = np.random.SeedSequence(seed).generate_state(2, np.uint64)
    return int(words[0]), int(words[1])


def key_of(seed: int) -> np.ndarray:
    """128-bit key of a seed, spread by NumPy's SeedSequence.

    Parameters
    ----------
    seed : int
        At least 0, of any size.

    Returns
    -------
    ndarray of uint64, (2,)

    Raises
    ------
    UsageError
        If the seed is not an integer of at least 0.

    Examples
    --------
    >>> key_of(7).shape
    (2,)
    """
    try:
        whole = operator.index(seed)
    except TypeError:
        raise UsageError(f"seed is {seed!r}; it must be an integer of at least 0") from None
    if whole < 0:
        raise UsageError(f"seed is {seed}; it must be an integer of at least 0")
    return np.array(_key(whole), dtype=np.uint64)


def noise_stream(seed: int, *, replicate: int, step: int, purpose: int = 0) -> np.random.Generator:
    """Generator of the noise of one step of one replicate.

    Parameters
    ----------
    seed : int
        Seed of the run.
    replicate, step, purpose : int
        Words of the counter, each in [0, 2^64); streams of different words never meet, since the generator
        advances the word ``block`` only, which holds 2^64 blocks of four numbers.

    Returns
    -------
    numpy.random.Generator

    Raises
    ------
    UsageError
        If a word does not fit its field.

    Examples
    --------
    >>> one = noise_stream(1, replicate=3, step=0).standard_normal(4)
    >>> bool((one == noise_stream(1, replicate=3, step=0).standard_normal(4)).all())
    True
    """
    words = {"step": step, "replicate": replicate, "purpose": purpose}
    for name, value in words.items():
        if not 0 <= value < _LIMIT:
            raise UsageError(f"{name} is {value}; it must fit the 64-bit field of the counter")
    counter = np.array([0, step, replicate, purpose], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key_of(seed), counter=counter))


def standard_normal(
    shape: tuple[int, ...], *, seed: int, replicate: int, step: int = 0, purpose: int = 0
) -> np.ndarray:
    """Independent normal numbers that depend on the arguments only."""
    return noise_stream(seed, replicate=replicate, step=step, purpose=purpose).standard_normal(shape)

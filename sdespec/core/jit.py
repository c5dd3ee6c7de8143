"""The only place that sets Numba options."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar, cast

import numba

__all__ = ["inlined", "kernel"]

_Function = TypeVar("_Function", bound=Callable[..., object])


def kernel(function: _Function) -> _Function:
    """Compile a kernel: cached on disk, without the GIL, IEEE division as in NumPy.

    ``error_model="numpy"`` lets loops with divisions vectorise; ``fastmath`` stays off, so NaN and the order
    of sums keep their meaning. A cached kernel does not notice a change in another file whose kernels it calls: after
    editing one, remove the cache. The environment variable ``SDESPEC_NUMBA_CACHE=0`` switches the disk cache off.

    Parameters
    ----------
    function : callable
        A function in the subset of Python that Numba compiles.

    Returns
    -------
    callable
        The compiled dispatcher, under the type of ``function``.
    """
    cache = os.environ.get("SDESPEC_NUMBA_CACHE", "1") != "0"
    return cast(_Function, numba.njit(function, cache=cache, nogil=True, error_model="numpy"))


def inlined(function: _Function) -> _Function:
    """Compile a helper that is always inlined into its callers, so that their loops vectorise.

    Parameters
    ----------
    function : callable
        A small function in the subset of Python that Numba compiles.

    Returns
    -------
    callable
        The compiled dispatcher, under the type of ``function``.
    """
    return cast(_Function, numba.njit(function, nogil=True, error_model="numpy", forceinline=True))

"""Validation of a spectrum before any fit."""

from __future__ import annotations

import numpy as np

from sdespec.core.errors import SpectrumError, UsageError

__all__ = ["check_resamples", "check_spectrum"]

_LEAST_RESAMPLES = 20


def check_spectrum(values: np.ndarray, *, minimum: int = 3) -> np.ndarray:
    """Return the values as float64, or say what is wrong with them.

    Parameters
    ----------
    values : ndarray, (n,)
        Eigenvalues in any order.
    minimum : int
        How many distinct positive values are needed.

    Returns
    -------
    ndarray, (n,)
        Contiguous float64; zeros are kept.

    Raises
    ------
    SpectrumError
        If the array is not one-dimensional or not numeric, has NaN, infinite or negative values (the first index
        is named), or fewer than ``minimum`` distinct positive ones.

    Examples
    --------
    >>> check_spectrum([1, 2, 3])
    array([1., 2., 3.])
    """
    if np.iscomplexobj(values):
        raise SpectrumError("the values are complex; eigenvalues here are squared singular values, which are real")
    try:
        array = np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise SpectrumError(f"the values are not real numbers ({error}); give a one-dimensional array") from error
    if np.ndim(values) != 1:
        raise SpectrumError(f"the values have the shape {np.shape(values)}; give a one-dimensional array")
    for name, bad in (("NaN", np.isnan(array)), ("infinite", np.isinf(array)), ("negative", array < 0.0)):
        if bad.any():
            first = int(np.argmax(bad))
            raise SpectrumError(
                f"value {array[first]} at index {first} is {name} ({int(bad.sum())} such in all); "
                "eigenvalues must be finite and not negative"
            )
    n_distinct = len(np.unique(array[array > 0.0]))
    if n_distinct < minimum:
        raise SpectrumError(f"{n_distinct} distinct positive values in {len(array)}; at least {minimum} are needed")
    return array


def check_resamples(count: int) -> None:
    """Refuse numbers of resamples from which no interval and no p-value can be read."""
    if count != 0 and count < _LEAST_RESAMPLES:
        raise UsageError(f"bootstrap is {count}; give 0 to skip resampling, or at least {_LEAST_RESAMPLES} resamples")

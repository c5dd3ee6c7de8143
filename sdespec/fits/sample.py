"""Positive values in order, and the checks that all fits of a tail share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from sdespec.core.errors import SpectrumError, UsageError
from sdespec.fits.validation import check_resamples, check_spectrum

__all__ = ["SMALLEST_TAIL", "Ks", "PositiveSample", "check_options", "no_candidate", "positive_sample"]

Ks = Literal["two-sided", "left"]

SMALLEST_TAIL = 2


@dataclass(frozen=True, eq=False)
class PositiveSample:
    """Positive values in ascending order.

    Attributes
    ----------
    values : ndarray, (n,)
        Ascending.
    logs : ndarray, (n,)
        Their logarithms.
    n_zeros : int
        Zeros that were dropped.
    """

    values: np.ndarray
    logs: np.ndarray
    n_zeros: int


def positive_sample(values: ArrayLike) -> PositiveSample:
    """Sort, take logarithms, drop zeros; refuse values that no tail can be fitted to.

    Parameters
    ----------
    values : array_like, (n,)
        At least 0.

    Returns
    -------
    PositiveSample

    Raises
    ------
    SpectrumError
        As ``check_spectrum``.

    Examples
    --------
    >>> positive_sample([3.0, 0.0, 2.0, 1.0]).values
    array([1., 2., 3.])
    """
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype != np.float64:
        array = check_spectrum(array)
    ordered = np.sort(array)
    # Three comparisons tell a valid sample once it is sorted; anything else is left to the full check.
    if len(ordered) == 0 or not (ordered[0] >= 0.0 and ordered[-1] < math.inf):
        check_spectrum(array)
    n_zeros = int(np.searchsorted(ordered, 0.0, side="right"))
    positive = ordered[n_zeros:]
    # With the middle value apart from both ends there are three distinct values.
    middle = positive[len(positive) // 2] if len(positive) else 0.0
    if len(positive) < 3 or not positive[0] < middle < positive[-1]:
        check_spectrum(array)
    return PositiveSample(positive, np.log(positive), n_zeros)


def check_options(min_tail: int, ks: str = "two-sided", level: float = 0.95, bootstrap: int = 0) -> None:
    """Refuse options that no search for a tail allows.

    Parameters
    ----------
    min_tail : int
        At least 2.
    ks : str
        ``two-sided`` or ``left``.
    level : float
        Between 0 and 1.
    bootstrap : int
        0, or at least 20.

    Raises
    ------
    UsageError
        If one of them is not allowed.
    """
    if ks not in ("two-sided", "left"):
        raise UsageError(f"ks is {ks!r}; allowed: two-sided, left")
    if min_tail < SMALLEST_TAIL:
        raise UsageError(f"min_tail is {min_tail}; a tail needs at least {SMALLEST_TAIL} values")
    if not 0.0 < level < 1.0:
        raise UsageError(f"level is {level}; it must lie between 0 and 1")
    check_resamples(bootstrap)


def no_candidate(n: int, min_tail: int) -> SpectrumError:
    """Say why no threshold can be tried.

    Parameters
    ----------
    n : int
        Number of positive values.
    min_tail : int
        Smallest number of values in a tail.

    Returns
    -------
    SpectrumError
    """
    if n < min_tail:
        return SpectrumError(f"{n} positive values, fewer than min_tail={min_tail}; give more values or lower min_tail")
    return SpectrumError("the values are equal to rounding; a tail needs values that differ in their logarithms")

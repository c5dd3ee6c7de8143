"""Exponent and distance of a power law against its threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sdespec.core.errors import UsageError
from sdespec.fits import _kernels
from sdespec.fits.sample import Ks, check_options, no_candidate, positive_sample

__all__ = ["ThresholdCurve", "threshold_curve"]


@dataclass(frozen=True, eq=False)
class ThresholdCurve:
    """Exponent and distance against the threshold.

    Attributes
    ----------
    threshold : ndarray, (m,)
        Thresholds, ascending.
    exponent : ndarray, (m,)
        Maximum-likelihood exponent of each tail.
    ks_distance : ndarray, (m,)
        Distance of each tail.
    n_tail : ndarray of int, (m,)
        Values in each tail.
    """

    threshold: np.ndarray
    exponent: np.ndarray
    ks_distance: np.ndarray
    n_tail: np.ndarray


def threshold_curve(
    values: ArrayLike, *, min_tail: int = 10, ks: Ks = "two-sided", points: int = 2000
) -> ThresholdCurve:
    """Exponent and distance against the threshold, for plots.

    Parameters
    ----------
    values : array_like, (n,)
        Values, at least 0, in any order and unit; zeros are dropped.
    min_tail : int
        Smallest number of values in a tail.
    ks : {"two-sided", "left"}
        As in ``power_law_tail``.
    points : int
        Where there are more candidates, this many are taken, evenly spaced in rank; each is exact.

    Returns
    -------
    ThresholdCurve
        Thresholds ascending; its least distance is that of ``power_law_tail`` where no candidate was left out.

    Raises
    ------
    SpectrumError
        As in ``power_law_tail``.
    UsageError
        If an option is not allowed.

    Notes
    -----
    Cost O(sqrt(n)) exponentials for each threshold: blocks of values are bounded by their ends.

    Examples
    --------
    >>> curve = threshold_curve(np.arange(1.0, 101.0), min_tail=50)
    >>> len(curve.threshold), int(curve.n_tail[-1])
    (51, 50)
    """
    check_options(min_tail, ks)
    if points < 1:
        raise UsageError(f"points is {points}; at least 1 is needed")
    sample = positive_sample(values)
    y, position, below, sums = _kernels.tails(sample.logs, np.ones(len(sample.logs), np.int64))
    n_tail = below[-1] - below[:-1]
    candidates = np.flatnonzero((n_tail >= min_tail) & (sums > 0.0))
    if len(candidates) == 0:
        raise no_candidate(len(sample.values), min_tail)
    if len(candidates) > points:
        candidates = candidates[np.unique(np.linspace(0, len(candidates) - 1, points).astype(np.int64))]
    return ThresholdCurve(
        threshold=sample.values[position[candidates]],
        exponent=1.0 + n_tail[candidates] / sums[candidates],
        ks_distance=_kernels.candidate_distances(y, below, sums, candidates, ks == "two-sided"),
        n_tail=n_tail[candidates].astype(np.int64),
    )

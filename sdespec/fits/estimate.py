"""What an estimator of a law returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sdespec.laws import Law

__all__ = ["Estimate", "Interval"]

Interval = tuple[float, float]


@dataclass(frozen=True)
class Estimate:
    """A law with its parameters and their intervals.

    Attributes
    ----------
    law : Law
        The fitted law; a limit of the family where the likelihood grows towards one.
    parameters : mapping
        Parameters by the names of the constructor; infinite in a limit.
    intervals : mapping
        Intervals of those that were estimated.
    log_likelihood : float, optional
        At the estimate; by default the sum of the log-densities of ``law``.
    notes : tuple of str
        What a reader should know.
    joint : bool
        Whether the likelihood is that of the whole spectrum, eigenvalue repulsion included.
    n_removed : int
        Largest values that were left out as outliers.
    """

    law: Law
    parameters: Mapping[str, float]
    intervals: Mapping[str, Interval]
    log_likelihood: float | None = None
    notes: tuple[str, ...] = ()
    joint: bool = False
    n_removed: int = 0

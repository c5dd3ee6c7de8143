"""What speaks for a power-law tail and against it: calibrated p-values of the tail and of its rivals."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from sdespec.core.errors import SpectrumError
from sdespec.fits.power_law import Ks, PowerLawTail, power_law_tail
from sdespec.fits.rivals import RIVALS, Tails, cutoff_ratio, log_normal_ratio, rival, tails_of_rows

__all__ = ["LEAST_TAIL_P", "SIGNIFICANCE", "TailEvidence", "body_and_tail", "tail_evidence"]

SIGNIFICANCE = 0.05
"""Level at which a rival is rejected, and at which a power law is rejected in favour of one."""
LEAST_TAIL_P = 0.05
"""Least p-value of a tail that may be called a power law."""


_HIGHEST = 709.0
"""Logarithm of the largest value that is drawn."""


@dataclass(frozen=True)
class TailEvidence:
    """Calibrated p-values of one tail; small ones reject what they name, NaN where not computed.

    Attributes
    ----------
    power_law : float
        Of the power law, from its KS distance.
    against_log_normal, against_cutoff : float
        Of the power law, from its likelihood ratio against a free log-normal law, and a power law with a free
        exponential cutoff.
    log_normal : float
        Of a log-normal law whose centre is not below the median of the spectrum.
    cutoff : float
        Of a power law with an exponential cutoff in the lower half, in decades, of the tail.
    """

    power_law: float = math.nan
    against_log_normal: float = math.nan
    against_cutoff: float = math.nan
    log_normal: float = math.nan
    cutoff: float = math.nan

    @property
    def rejected(self) -> bool:
        """Whether the power law is rejected, by itself or in favour of a rival."""
        nested = min(self.against_log_normal, self.against_cutoff)
        return self.power_law < LEAST_TAIL_P or nested < 0.5 * SIGNIFICANCE

    @property
    def established(self) -> bool:
        """Whether all rivals are rejected and the power law is not."""
        tested = not math.isnan(self.power_law + self.log_normal + self.cutoff)
        return tested and not self.rejected and max(self.log_normal, self.cutoff) <= SIGNIFICANCE

    def sentence(self) -> str:
        """Say in a few words what follows."""
        if math.isnan(self.power_law):
            return "power law not tested"
        if self.against_log_normal < 0.5 * SIGNIFICANCE and self.against_log_normal <= self.against_cutoff:
            return f"log-normal preferred to a power law (p = {self.against_log_normal:.2g})"
        if self.against_cutoff < 0.5 * SIGNIFICANCE:
            return f"cut off: no power law (p = {self.against_cutoff:.2g})"
        if self.power_law < LEAST_TAIL_P:
            return f"no power law (p = {self.power_law:.2g})"
        if not self.established:
            open_ = [name for name, p in (("log-normal", self.log_normal), ("cutoff", self.cutoff)) if p > SIGNIFICANCE]
            return f"{' and '.join(open_)} not excluded"
        return "power law: log-normal and cut-off rivals rejected"


def body_and_tail(
    values: np.ndarray, threshold: float, quantile: Callable[[np.ndarray], np.ndarray], u: np.ndarray
) -> np.ndarray:
    """Draw spectra that keep the observed body below a threshold and have a given tail beyond it.

    Parameters
    ----------
    values : ndarray, (r,)
        Observed values, in any order.
    threshold : float
        Where the tail begins.
    quantile : callable
        log(value / threshold) beyond which the given shares of the tail lie.
    u : ndarray, (draws, r)
        Scores, ascending.

    Returns
    -------
    ndarray, (draws, r)
        Ascending along each row.
    """
    body = np.sort(values[values < threshold])
    split = len(body) / len(values)
    survival = np.clip((1.0 - u) / (1.0 - split), np.finfo(float).tiny, 1.0)
    drawn = threshold * np.exp(np.minimum(quantile(survival), _HIGHEST - max(math.log(threshold), 0.0)))
    if len(body):
        grid = (np.arange(len(body)) + 0.5) / len(values)
        drawn = np.where(u < split, np.interp(u, grid, body), drawn)
    return np.asarray(drawn)


@dataclass(frozen=True, eq=False)
class _Refits:
    """Spectra whose tails have been searched anew."""

    ks_distance: np.ndarray
    tails: Tails


def _refit(rows: np.ndarray, min_tail: int, ks: Ks, threshold: float | None) -> _Refits:
    kept, found = [], []
    for i, row in enumerate(rows):
        try:
            found.append(power_law_tail(row, min_tail=min_tail, ks=ks, threshold=threshold))
        except SpectrumError:  # no tail beyond a given threshold
            continue
        kept.append(i)
    return _Refits(
        np.array([tail.ks_distance for tail in found]),
        tails_of_rows(rows[kept], np.array([tail.threshold for tail in found])),
    )


def _share(at_least: np.ndarray) -> float:
    """P-value from draws that are at least as far; NaN without draws."""
    return math.nan if len(at_least) == 0 else (1.0 + float(np.count_nonzero(at_least))) / (len(at_least) + 1.0)


def tail_evidence(
    values: np.ndarray,
    tail: PowerLawTail,
    u: np.ndarray,
    *,
    min_tail: int,
    ks: Ks,
    threshold: float | None = None,
    rivals: bool = True,
) -> TailEvidence:
    """Calibrate the power law and its rivals on whole spectra.

    Parameters
    ----------
    values : ndarray, (r,)
        Squared singular values, positive.
    tail : PowerLawTail
        The fit to be judged.
    u : ndarray, (draws, r)
        Scores, ascending; rigid ones for the eigenvalues of one matrix.
    min_tail : int
        As in the fit.
    ks : {"two-sided", "left"}
        As in the fit.
    threshold : float, optional
        The threshold where it was given; otherwise it is searched anew in each draw.
    rivals : bool
        Whether the rivals are drawn too; else their p-values are NaN.

    Returns
    -------
    TailEvidence

    Notes
    -----
    Each null keeps the spectrum below the threshold and replaces the tail by the fitted law, power law or rival; each
    draw is fitted anew, the threshold included, and the same statistic is taken: for the power law its KS distance
    and the likelihood ratios against its free rivals, for a rival the ratio against the power law. Cost: two or three
    threshold searches for each draw.

    References
    ----------
    Clauset, Shalizi, Newman, SIAM Review 51 (2009) 661, section 4, with rigid instead of independent draws.
    """
    observed = tails_of_rows(np.sort(values)[None], np.array([tail.threshold]))
    slope = tail.exponent - 1.0
    null = _refit(body_and_tail(values, tail.threshold, lambda s: -np.log(s) / slope, u), min_tail, ks, threshold)
    p: Mapping[str, float] = dict.fromkeys(RIVALS, math.nan)
    against = (math.nan, math.nan)
    if rivals:
        against = (
            _share(log_normal_ratio(null.tails) <= log_normal_ratio(observed)[0] + 1e-9),
            _share(cutoff_ratio(null.tails) <= cutoff_ratio(observed)[0] + 1e-9),
        )
        p = {name: _rival_p(name, values, tail, observed, u, min_tail, ks, threshold) for name in RIVALS}
    return TailEvidence(
        power_law=_share(null.ks_distance >= tail.ks_distance),
        against_log_normal=against[0],
        against_cutoff=against[1],
        log_normal=p["log_normal"],
        cutoff=p["cutoff"],
    )


def _rival_p(
    name: str,
    values: np.ndarray,
    tail: PowerLawTail,
    observed: Tails,
    u: np.ndarray,
    min_tail: int,
    ks: Ks,
    threshold: float | None,
) -> float:
    fitted = rival(name, observed)
    rows = body_and_tail(values, tail.threshold, fitted.quantile, u)
    null = _refit(rows, min_tail, ks, threshold)
    return _share(rival(name, null.tails).ratio >= fitted.ratio[0])

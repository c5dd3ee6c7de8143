"""Regime of a spectrum: a decision table over the bulk, its outliers and the tail."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["REGIMES", "Evidence", "Regime", "decide_regime"]

REGIMES: tuple[str, ...] = ("random", "spikes", "broad_tail", "inflated_bulk", "undecided")

MINIMUM_RANK = 50
KS_FACTOR = 2.0
SPIKE_SHARE = 0.07
TAIL_SHARE = 0.10
BODY_SHARE = 0.50
INFLATION = 0.10


@dataclass(frozen=True)
class Evidence:
    """What the decision table looks at.

    Attributes
    ----------
    rank : int
        Number of eigenvalues r.
    n_outliers : int
        Eigenvalues beyond the edge of the fitted bulk.
    identifiable : bool
        False where more than half of the spectrum lies beyond the edge.
    ks_mp : float
        KS distance to Marchenko-Pastur at the mean square entry.
    ks_rest : float
        The same for the spectrum without its outliers.
    ks_null : float
        95 % quantile of that distance for random matrices of the same shape.
    n_tail : int
        Eigenvalues in the fitted tail once the largest eigenvalue is removed; 0 where no tail could be fitted.
    decades : float
        Decades that this tail spans.
    z_exponential : float
        Log-likelihood ratio of power law against exponential beyond the threshold, normalised; NaN if unknown.
    z_null : float
        97.5 % quantile of that ratio for random matrices of the same shape.
    variance_ratio : float
        Bulk variance over that of the reference; NaN without a reference.
    n_outliers_null : int
        Most outliers that a draw of the matrix's own null has.
    top_ratio_null : float
        Largest eigenvalue of these draws over that of the matrix.
    """

    rank: int
    n_outliers: int
    identifiable: bool
    ks_mp: float
    ks_rest: float
    ks_null: float
    n_tail: int
    decades: float
    z_exponential: float
    z_null: float
    variance_ratio: float = math.nan
    n_outliers_null: int = 0
    top_ratio_null: float = 0.0


@dataclass(frozen=True)
class Regime:
    """A regime and the reason for it.

    Attributes
    ----------
    name : str
        One of ``REGIMES``.
    reason : str
        The row of the table that decided, with its numbers.
    """

    name: str
    reason: str


def decide_regime(evidence: Evidence) -> Regime:
    """Decide the regime by the first row of the table that holds.

    ===========================================================================================  =============
    condition, tested in this order                                                              regime
    ===========================================================================================  =============
    fewer than 50 eigenvalues                                                                    undecided
    more than half beyond the edge: no bulk left; tail heavier than exponential                  broad_tail
    more than half beyond the edge otherwise                                                     undecided
    no outlier, bulk variance more than 10 % above the reference's                               inflated_bulk
    no outlier, KS at most twice the null's 95 % quantile                                        random
    no outlier, KS above that, a reference whose variance differs by more than 10 %              inflated_bulk
    no outlier, KS above that                                                                    undecided
    at most 7 % outliers, at most twice as many as the shuffled entries, or none larger          undecided
    a tail of half the ranks and a decade, heavier than exponential, no bulk beside it           broad_tail
    at most 7 % outliers, the rest within twice the null's KS                                    spikes
    at least 10 % outliers, a tail of a decade or of 10 % of the ranks, heavier than exponential  broad_tail
    all else                                                                                     undecided
    ===========================================================================================  =============

    "Heavier than exponential" means that the likelihood ratio of power law against exponential beyond the
    threshold, with the largest eigenvalue removed, exceeds the 97.5 % quantile of random matrices of the same
    shape. ``broad_tail`` is a statement about the spectrum, not a claim of a power law. Without a reference
    ``inflated_bulk`` is never returned.

    Parameters
    ----------
    evidence : Evidence
        Numbers of one spectrum.

    Returns
    -------
    Regime

    Examples
    --------
    >>> decide_regime(Evidence(200, 0, True, 0.01, 0.01, 0.016, 30, 0.3, -2.0, -1.5)).name
    'random'
    """
    e = evidence
    heavy = e.z_exponential > e.z_null
    limit = KS_FACTOR * e.ks_null
    if e.rank < MINIMUM_RANK:
        return Regime("undecided", f"{e.rank} eigenvalues; at least {MINIMUM_RANK} are needed")
    if not e.identifiable:
        if heavy:
            return Regime("broad_tail", "no bulk left: more than half of the spectrum is beyond its edge")
        return Regime("undecided", "no bulk left, and the tail is not heavier than an exponential one")
    if e.n_outliers == 0:
        return _without_outliers(e, limit)
    share = e.n_outliers / e.rank
    # chance alone makes one draw of the same entries exceed another, so twice as many are asked for
    alike = e.n_outliers_null > 0 and (e.n_outliers <= 2 * e.n_outliers_null or e.top_ratio_null >= 1.0)
    if share <= SPIKE_SHARE and alike:
        return Regime("undecided", f"{e.n_outliers} outliers, but the shuffled entries have {e.n_outliers_null} too")
    whole = e.n_tail >= BODY_SHARE * e.rank and e.decades >= 1.0
    if whole and heavy and e.ks_rest > limit:  # the median takes the body of such a law for a bulk
        return Regime("broad_tail", f"tail of {e.n_tail} of {e.rank} values, heavier than exponential, and no bulk")
    if share <= SPIKE_SHARE:
        if e.ks_rest <= limit:
            return Regime("spikes", f"{e.n_outliers} beyond an intact bulk (KS of the rest {e.ks_rest:.3g})")
        return Regime("undecided", f"few outliers, but the rest is no Marchenko-Pastur bulk (KS {e.ks_rest:.3g})")
    if share < TAIL_SHARE:
        return Regime("undecided", f"{share:.1%} outliers: too many for spikes, too few for a broad tail")
    long_enough = e.decades >= 1.0 or e.n_tail >= TAIL_SHARE * e.rank
    if long_enough and heavy:
        return Regime("broad_tail", f"{share:.0%} beyond the edge, tail heavier than exponential")
    if not long_enough:
        return Regime("undecided", f"{share:.0%} beyond the edge, but the tail is too short ({e.n_tail} values)")
    return Regime("undecided", f"{share:.0%} beyond the edge, but the tail is not heavier than an exponential one")


def _without_outliers(e: Evidence, limit: float) -> Regime:
    ratio = e.variance_ratio
    if ratio > 1.0 + INFLATION:
        return Regime("inflated_bulk", f"bulk variance {ratio:.3g} times that of the reference")
    if e.ks_mp <= limit:
        return Regime("random", f"KS to Marchenko-Pastur {e.ks_mp:.3g}, at most {limit:.3g}")
    if abs(ratio - 1.0) > INFLATION:
        return Regime("inflated_bulk", f"no Marchenko-Pastur bulk, variance {ratio:.3g} times the reference's")
    return Regime("undecided", f"no outlier, but KS to Marchenko-Pastur is {e.ks_mp:.3g}, above {limit:.3g}")

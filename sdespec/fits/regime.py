"""Regime of a spectrum: a decision table over the bulk, its outliers and the tail."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from sdespec.fits.bulk import BeyondBulk

__all__ = ["REGIMES", "Evidence", "Regime", "decide_regime"]

REGIMES: tuple[str, ...] = ("random", "spikes", "broad_tail", "inflated_bulk", "undecided")

MINIMUM_RANK = 50
KS_FACTOR = 2.0
SPIKE_SHARE = 0.07
TAIL_SHARE = 0.10
BODY_SHARE = 0.50
INFLATION = 0.10
HEAVY_TOP = 1.10
HEAVY_COUNT = 2
REACH = 2.50
MIDDLE = 0.45


@dataclass(frozen=True)
class Evidence:
    """What the decision is made from.

    Attributes
    ----------
    rank : int
        Number of eigenvalues.
    n_outliers : int
        Number beyond the edge of the bulk.
    identifiable : bool
        Whether at least half of the spectrum lies within the bulk.
    ks_mp : float
        KS distance of the whole spectrum to Marchenko-Pastur.
    ks_rest : float
        The same after removal of the outliers.
    ks_null : float
        95 % quantile of that distance for random matrices of the shape.
    n_tail : int
        Number of values in the tail of the spectrum without its largest value.
    decades : float
        Decades that this tail spans.
    z_exponential : float
        Likelihood ratio of power law against exponential in this tail.
    z_null : float
        Its 97.5 % quantile for random matrices of the shape.
    variance_ratio : float
        Bulk variance over that of the reference; NaN where there is none.
    n_outliers_null : int
        Most outliers that a draw of the matrix's own null has.
    top_over_edge, top_over_edge_null : float
        Largest eigenvalue over the upper edge of the bulk, of the matrix, and the median over the draws of its null.
    beyond : BeyondBulk
        What lies beyond a bulk that was fitted again without it until nothing more came out.
    faint : bool
        Whether no outlier exceeds the 99.9 % quantile of the largest eigenvalue of a random matrix.
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
    top_over_edge: float = 0.0
    top_over_edge_null: float = 0.0
    beyond: BeyondBulk = field(default_factory=BeyondBulk)
    faint: bool = False


@dataclass(frozen=True)
class Regime:
    """Regime of a spectrum and the row of the table that gave it.

    Attributes
    ----------
    name : str
        One of ``REGIMES``.
    reason : str
        The row of the table that decided, with its numbers.
    heavy_entries : bool
        True where the shuffled entries have the same tail: it comes from the law of the entries, not from their
        arrangement.
    """

    name: str
    reason: str
    heavy_entries: bool = False


def decide_regime(evidence: Evidence) -> Regime:
    """Decide the regime by the first row of the table that holds.

    ==========================================================================================  =============
    condition, tested in this order                                                             regime
    ==========================================================================================  =============
    fewer than 50 eigenvalues                                                                   undecided
    more than half beyond the edge, so that no bulk is left; tail heavier than random           broad_tail
    more than half beyond the edge otherwise                                                    undecided
    no outlier, bulk variance more than 10 % above the reference's                              inflated_bulk
    no outlier, KS at most twice the null's 95 % quantile                                       random
    no outlier, KS above that, a reference whose variance differs by more than 10 %             inflated_bulk
    no outlier, KS above that                                                                   undecided
    the largest 10 % beyond the edge, and so of the shuffled entries, with 2 outliers or more   broad_tail
    in one of the two and at least a third as many there
    at most 7 % outliers, the shuffled entries have half as many                                undecided
    a tail of half the ranks and a decade, heavier than random, no bulk beside it               broad_tail
    refitted, more than 7 % beyond the bulk, to 2.5 times its edge, thinning out                broad_tail
    refitted, at least 10 % beyond the bulk, but not as far or crowded far out: a second bulk   undecided
    at most 7 % outliers, none beyond the 99.9 % quantile of random matrices                    undecided
    at most 7 % outliers, the rest within twice the null's KS                                   spikes
    no bulk to refit, at least 10 % outliers, a tail of a decade or of 10 % of the ranks that   broad_tail
    is heavier than random
    all else                                                                                    undecided
    ==========================================================================================  =============

    Where the shuffled entries have the same tail, it is that of the law of the entries, as for Student's t with 3
    degrees of freedom or very sparse entries, and ``heavy_entries`` is True.
    "Heavier than random": the likelihood ratio of power law against exponential beyond the threshold, with the
    largest eigenvalue removed, exceeds the 97.5 % quantile of random matrices of the same shape, which is negative.
    "Refitted": outliers were taken out and the bulk fitted again until nothing more came out; half of a tail of a
    quarter of the ranks hides below the edge of a single fit. "Thinning out": the median of log(value / edge) of
    these is at most 0.45 of the second largest. ``broad_tail`` is a statement about the spectrum, not a claim of a
    power law. Without a reference ``inflated_bulk`` is never returned.

    Measured, with three draws of the null: "broad_tail" in none of 9400 Gaussian spectra of 64 x 64 to 600 x 600,
    "spikes" in 0.1 %; in all of 600 inverse Wishart and matrix F spectra of 64 to 300 values; for entries of Student's
    t with 3 degrees of freedom in 93 % of matrices with 64 ranks, 97 % with 100, 99.6 % with 150 to 300 (84, 95, 99
    with one draw), where the others show no outlier; in none of 400 whose rows have two variances. Networks of linear
    width: see the statistical tests.

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
        return Regime("undecided", "no bulk left, and the tail is not heavier than a random one")
    if e.n_outliers == 0:
        return _without_outliers(e, limit)
    share = e.n_outliers / e.rank
    # chance alone makes one draw of the same entries exceed another, so twice as many are asked for
    alike = e.n_outliers <= 2 * e.n_outliers_null
    several = max(e.n_outliers, e.n_outliers_null) >= HEAVY_COUNT  # one huge entry is no tail
    far = min(e.top_over_edge, e.top_over_edge_null) >= HEAVY_TOP
    if several and far and e.n_outliers <= 3 * e.n_outliers_null:
        return Regime("broad_tail", f"{_counted(e.n_outliers)} beyond the edge, up to {e.top_over_edge:.3g} times; the "
                      f"shuffled entries have {e.n_outliers_null}: heavy or sparse entries, not correlations",
                      heavy_entries=True)  # fmt: skip
    if share <= SPIKE_SHARE and alike:
        reason = f"{_counted(e.n_outliers)} beyond the edge, but the shuffled entries have {e.n_outliers_null} too"
        return Regime("undecided", reason)
    whole = e.n_tail >= BODY_SHARE * e.rank and e.decades >= 1.0
    if whole and heavy and e.ks_rest > limit:  # the median takes the body of such a law for a bulk
        return Regime("broad_tail", f"tail of {e.n_tail} of {e.rank} values, heavier than random, and no bulk")
    if e.beyond.count > SPIKE_SHARE * e.rank and e.beyond.reach >= REACH and e.beyond.middle <= MIDDLE:
        return Regime("broad_tail", _beyond_a_bulk(e))
    if e.beyond.count >= TAIL_SHARE * e.rank:
        why = "a second bulk rather than a tail" if e.beyond.middle > MIDDLE else "short for a tail"
        return Regime("undecided", f"{_beyond_a_bulk(e)}: {why}")
    if share <= SPIKE_SHARE:
        if e.faint:
            return Regime("undecided", f"{_counted(e.n_outliers)}, but none beyond what 1 of 1000 random matrices has")
        if e.ks_rest <= limit:
            return Regime("spikes", f"{e.n_outliers} beyond an intact bulk (KS of the rest {e.ks_rest:.3g})")
        return Regime("undecided", f"few outliers, but the rest is no Marchenko-Pastur bulk (KS {e.ks_rest:.3g})")
    if share < TAIL_SHARE:
        return Regime("undecided", f"{share:.1%} outliers: too many for spikes, too few for a broad tail")
    long_enough = e.decades >= 1.0 or e.n_tail >= TAIL_SHARE * e.rank
    if long_enough and heavy:
        return Regime("broad_tail", f"{share:.0%} beyond the edge, tail heavier than random")
    if not long_enough:
        return Regime("undecided", f"{share:.0%} beyond the edge, but the tail is too short ({e.n_tail} values)")
    return Regime("undecided", f"{share:.0%} beyond the edge, but the tail is not heavier than a random one")


def _counted(number: int) -> str:
    return "1 outlier" if number == 1 else f"{number} outliers"


def _beyond_a_bulk(e: Evidence) -> str:
    share, found = e.beyond.count / e.rank, e.beyond
    return (
        f"{share:.0%} beyond the edge of the bulk that they leave, up to {found.reach:.3g} times it without the largest"
    )


def _without_outliers(e: Evidence, limit: float) -> Regime:
    ratio = e.variance_ratio
    if ratio > 1.0 + INFLATION:
        return Regime("inflated_bulk", f"bulk variance {ratio:.3g} times that of the reference")
    if e.ks_mp <= limit:
        return Regime("random", f"KS to Marchenko-Pastur {e.ks_mp:.3g}, at most {limit:.3g}")
    if abs(ratio - 1.0) > INFLATION:
        return Regime("inflated_bulk", f"no Marchenko-Pastur bulk, variance {ratio:.3g} times the reference's")
    return Regime("undecided", f"no outlier, but KS to Marchenko-Pastur is {e.ks_mp:.3g}, above {limit:.3g}")

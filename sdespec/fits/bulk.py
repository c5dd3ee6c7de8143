"""Bulk of a spectrum: variance, edges, and the eigenvalues beyond them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np

from sdespec.core.errors import UsageError
from sdespec.fits.validation import check_spectrum
from sdespec.laws import MarchenkoPastur, TracyWidom, edge_centering

__all__ = [
    "EDGE_RULES",
    "VARIANCE_RULES",
    "BeyondBulk",
    "Outliers",
    "beyond_refitted_bulk",
    "bulk_without",
    "ks_marchenko_pastur",
    "outliers",
    "two_sided_distance",
    "variance_error",
]

Edge = Literal["tracy_widom", "factor", "finite_size", "asymptotic"]
VarianceRule = Literal["median", "clipped", "mean_square"]

EDGE_RULES: tuple[str, ...] = ("tracy_widom", "factor", "finite_size", "asymptotic")
VARIANCE_RULES: tuple[str, ...] = ("median", "clipped", "mean_square")

SPIKE_SHARE = 0.07  # share of the ranks up to which outliers leave a bulk that can be fitted again without them


@dataclass(frozen=True, eq=False)
class Outliers:
    """Bulk and outliers of one spectrum.

    Attributes
    ----------
    n_outliers : int
        Number of eigenvalues beyond ``cutoff``.
    outlier : ndarray, (n_outliers,)
        These eigenvalues, largest first.
    variance : float
        Variance of the entries of the bulk.
    bulk_edge : tuple of float
        Lower and upper Marchenko-Pastur edge at that variance, in units of ``eigenvalue``.
    cutoff : float
        Eigenvalues above it are outliers: the upper edge and the slack of the rule ``edge``.
    outlier_energy : float
        Share of the trace that the outliers carry.
    identifiable : bool
        False where more than half of the spectrum lies beyond the edge, so that no bulk is left to fit.
    below : ndarray, (n_below,)
        Eigenvalues below ``lower_cutoff``, smallest first; rows or columns that died make such values, a spike
        that is added to noise does not.
    lower_cutoff : float
        The lower edge less the slack of the same rule.
    """

    n_outliers: int
    outlier: np.ndarray
    variance: float
    bulk_edge: tuple[float, float]
    cutoff: float
    outlier_energy: float
    identifiable: bool
    below: np.ndarray = field(default_factory=lambda: np.empty(0))
    lower_cutoff: float = 0.0

    @property
    def n_below(self) -> int:
        """Number of eigenvalues below ``lower_cutoff``."""
        return len(self.below)


@lru_cache(maxsize=4096)
def _unit_median(n_rows: int, n_cols: int) -> float:
    return float(MarchenkoPastur(n_rows, n_cols, 1.0).ppf(0.5))


@lru_cache(maxsize=4096)
def _median_error(n_rows: int, n_cols: int) -> float:
    """Relative standard error of the variance that the median of a random spectrum gives.

    The count below a point fluctuates with variance (log n + 1/2)/pi^2, measured within 5 % for n from 64 to 600;
    the density at the median turns it into an error of the median.
    """
    law = MarchenkoPastur(n_rows, n_cols, 1.0)
    median = _unit_median(n_rows, n_cols)
    rank = min(n_rows, n_cols)
    return math.sqrt(math.log(rank) + 0.5) / (math.pi * rank * median * float(law.pdf(median)))


def variance_error(n_rows: int, n_cols: int, rule: VarianceRule | float) -> float:
    """Relative standard error of the variance of a bulk by a rule; 0 where it is known."""
    if not isinstance(rule, str):
        return 0.0
    return _median_error(n_rows, n_cols) if rule == "median" else math.sqrt(2.0 / (n_rows * n_cols))


@lru_cache(maxsize=4096)
def _tracy_widom_slack(n_rows: int, n_cols: int, level: float, uncertain: bool) -> float:
    """Quantile of the largest eigenvalue at unit variance, wider where the variance comes from the median."""
    law = TracyWidom(1)
    center, scale = edge_centering(n_rows, n_cols)
    spread = 1.0
    if uncertain:
        spread = math.sqrt(1.0 + (_median_error(n_rows, n_cols) * center / scale) ** 2 / law.var())
    return center + scale * (law.mean() + spread * (float(law.ppf(level)) - law.mean()))


@lru_cache(maxsize=4096)
def _lower_slack(n_rows: int, n_cols: int, level: float, uncertain: bool) -> float:
    """Quantile, from below, of the smallest eigenvalue at unit variance; the hard edge's own law for square shapes."""
    small, large = sorted((n_rows, n_cols))
    if small == large:
        # P(smallest > x/n) = exp(-x/2 - sqrt(x))
        return (math.sqrt(1.0 - 2.0 * math.log(level)) - 1.0) ** 2 / small
    a, b = math.sqrt(large - 0.5), math.sqrt(small - 0.5)
    scale = (1.0 / b - 1.0 / a) ** (1.0 / 3.0) / (a - b)  # of the logarithm
    law = TracyWidom(1)
    spread = math.sqrt(1.0 + (_median_error(small, large) / scale) ** 2 / law.var()) if uncertain else 1.0
    quantile = law.mean() + spread * (float(law.ppf(level)) - law.mean())
    return math.exp(2.0 * math.log(a - b) + scale**3 / 8.0 - scale * quantile)


def _bulk_variance(values: np.ndarray, n_rows: int, n_cols: int, rule: VarianceRule | float) -> float:
    """Variance of a matrix whose k leading singular directions have been taken away with their eigenvalues."""
    if not isinstance(rule, str):
        return float(rule)
    removed = min(n_rows, n_cols) - len(values)
    rows, cols = n_rows - removed, n_cols - removed
    if rule == "median":
        return float(np.median(values)) / _unit_median(rows, cols)
    return float(values.sum()) / (rows * cols)


def _unit_cutoff(
    n_rows: int, n_cols: int, edge: Edge, factor: float, level: float, rule: VarianceRule | float
) -> float:
    """Cutoff at unit variance."""
    upper = float((math.sqrt(n_rows) + math.sqrt(n_cols)) ** 2)
    if edge == "asymptotic":
        return upper
    if edge == "factor":
        return factor * upper
    if edge == "finite_size":
        return upper * (1.0 + 1.5 * math.pow(min(n_rows, n_cols), -2.0 / 3.0))
    return _tracy_widom_slack(n_rows, n_cols, level, rule == "median")


def _unit_lower_cutoff(
    n_rows: int, n_cols: int, edge: Edge, factor: float, level: float, rule: VarianceRule | float
) -> float:
    """Cutoff at the lower edge at unit variance."""
    if edge == "tracy_widom":
        return _lower_slack(n_rows, n_cols, level, rule == "median")
    lower, upper = MarchenkoPastur(n_rows, n_cols, 1.0).edges
    return lower * upper / _unit_cutoff(n_rows, n_cols, edge, factor, level, rule)


def bulk_without(
    removed: int,
    values: np.ndarray,
    n_rows: int,
    n_cols: int,
    *,
    edge: Edge,
    factor: float = 1.05,
    variance: VarianceRule | float,
    level: float = 0.99,
) -> tuple[float, float]:
    """Variance of the bulk that is left when the largest values are taken out of descending ones, and its cutoff."""
    estimate = _bulk_variance(values[removed:], n_rows, n_cols, variance)
    unit = _unit_cutoff(n_rows - removed, n_cols - removed, edge, factor, level, variance)
    return estimate, estimate * unit


def outliers(
    eigenvalues: np.ndarray,
    n_rows: int,
    n_cols: int,
    *,
    edge: Edge = "tracy_widom",
    factor: float = 1.05,
    variance: VarianceRule | float = "median",
    level: float = 0.99,
) -> Outliers:
    r"""Fit the Marchenko-Pastur bulk of a spectrum and find the eigenvalues beyond its edges.

    .. math:: \lambda_\pm = \sigma^2 (\sqrt n \pm \sqrt m)^2

    Parameters
    ----------
    eigenvalues : ndarray, (min(n_rows, n_cols),)
        Squared singular values, in any order.
    n_rows, n_cols : int
        Shape of the matrix.
    edge : {"tracy_widom", "factor", "finite_size", "asymptotic"}
        Where an outlier begins. ``tracy_widom``: the ``level`` quantile of the largest eigenvalue of a Gaussian
        matrix of this shape, with finite-size centring and, for ``variance="median"``, with room for the error of
        that estimate. ``factor``: ``factor`` times the upper edge.
        ``finite_size``: upper edge times ``1 + 1.5 min(n, m)^(-2/3)``. ``asymptotic``: the upper edge. The lower
        edge has the quantile of the smallest eigenvalue, or is divided by the same factor.
    factor : float
        Used by ``edge="factor"``, at least 1.
    variance : {"median", "clipped", "mean_square"} or float
        Variance of the bulk entries. ``median``: the median of the spectrum over that of Marchenko-Pastur.
        ``clipped``: the mean of the spectrum. Both are found again without the outliers, as long as these are at
        most 7 % of the ranks; with more there is no intact bulk to refine, and the first estimate stands.
        ``mean_square``: the mean square of all entries. A number: known.
    level : float
        Used by ``edge="tracy_widom"``; in (0, 1).

    Returns
    -------
    Outliers

    Raises
    ------
    SpectrumError
        If the spectrum has NaN, infinite or negative values, or not ``min(n_rows, n_cols)`` of them.
    UsageError
        If an option is not allowed.

    Notes
    -----
    The bulk that is left after k outliers is that of an (n - k) x (m - k) matrix. Iterating without the limit of
    7 % runs away on a broad spectrum, until no bulk is left. Where more than half of the spectrum lies beyond the
    edge, the picture of a bulk fails: ``identifiable`` is False. Cost O(r log r).

    At ``level=0.99`` Gaussian matrices of 64 x 64 to 600 x 600 have an outlier above in 0.5 to 1.2 % of draws, and,
    counted apart, one below in 0.4 to 1.3 %. A spike just above the threshold of detectability cannot be found by
    any test: at 300 x 600 and 1.1 times the threshold in strength the likelihood-ratio test that knows the variance
    and the strength finds 32 %, this one 22 %; at 1.31 times the threshold it finds 93 %.

    References
    ----------
    Johnstone, Annals of Statistics 29 (2001) 295, for centring and scale above; Ma, Bernoulli 18 (2012) 322, below;
    Edelman, SIAM Journal on Matrix Analysis 9 (1988) 543, for the smallest value of a square matrix.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> noise = rng.normal(size=(100, 200))
    >>> spike = 60 * np.outer(rng.normal(size=100), rng.normal(size=200)) / np.sqrt(100 * 200)
    >>> outliers(np.linalg.svd(noise + spike, compute_uv=False) ** 2, 100, 200).n_outliers
    1
    """
    _check_options(edge, factor, variance, level)
    values = np.sort(check_spectrum(eigenvalues, minimum=1))[::-1]
    rank = min(n_rows, n_cols)
    if len(values) != rank:
        raise UsageError(f"{len(values)} eigenvalues for a {n_rows} x {n_cols} matrix; exactly {rank} are needed")

    def search(removed: int) -> tuple[int, float, float]:
        """Outliers beyond the bulk that is left when some are taken out."""
        estimate, cutoff = bulk_without(
            removed, values, n_rows, n_cols, edge=edge, factor=factor, variance=variance, level=level
        )
        return max(int(np.count_nonzero(values > cutoff)), removed), estimate, cutoff

    first = search(0)
    count, estimate, cutoff = first
    removed = 0
    while count > removed and count <= SPIKE_SHARE * rank and variance in ("median", "clipped"):
        removed = count
        count, estimate, cutoff = search(removed)
    if removed and count > SPIKE_SHARE * rank:
        count, estimate, cutoff = first
    lower, upper = MarchenkoPastur(n_rows, n_cols, estimate).edges if estimate > 0.0 else (0.0, 0.0)
    kept = (n_rows - count, n_cols - count) if count <= SPIKE_SHARE * rank else (n_rows, n_cols)
    below = estimate * _unit_lower_cutoff(*kept, edge, factor, level, variance)
    total = float(values.sum())
    return Outliers(
        n_outliers=count,
        outlier=values[:count].copy(),
        variance=estimate,
        bulk_edge=(lower, upper),
        cutoff=cutoff,
        outlier_energy=float(values[:count].sum()) / total if total > 0.0 else 0.0,
        identifiable=count <= rank // 2,
        below=values[count:][values[count:] < below][::-1].copy(),
        lower_cutoff=below,
    )


@dataclass(frozen=True)
class BeyondBulk:
    """What lies beyond a bulk that was fitted again without it until nothing more came out.

    Attributes
    ----------
    count : int
        Number of eigenvalues; 0 where the search runs away, past half of the ranks, so that there is no such bulk.
    reach : float
        Second of them over the upper edge; 0 where there are fewer than two.
    middle : float
        Median of log(value / edge) over that of the second one, the largest left out: below 1/2 where they thin out
        away from the edge, as a tail does, above where they are a second bulk of their own.
    """

    count: int = 0
    reach: float = 0.0
    middle: float = 1.0


def beyond_refitted_bulk(
    eigenvalues: np.ndarray, n_rows: int, n_cols: int, *, edge: Edge = "tracy_widom"
) -> BeyondBulk:
    """Outliers of the median bulk without the limit that ``outliers`` sets to fitting again.

    Parameters
    ----------
    eigenvalues : ndarray, (min(n_rows, n_cols),)
        Squared singular values, valid.
    n_rows, n_cols : int
        Shape of the matrix.
    edge : {"tracy_widom", "factor", "finite_size", "asymptotic"}
        As in ``outliers``.

    Returns
    -------
    BeyondBulk

    Notes
    -----
    A tail of a quarter of the ranks lifts the median and so hides half of itself from a single fit. Where a bulk
    exists the search ends at it; where the whole spectrum is broad it does not end. Cost O(r) a round.

    Examples
    --------
    >>> matrix = np.random.default_rng(0).normal(size=(90, 99))
    >>> beyond_refitted_bulk(np.linalg.svd(matrix, compute_uv=False) ** 2, 90, 99)
    BeyondBulk(count=0, reach=0.0, middle=1.0)
    """
    values = np.sort(eigenvalues)[::-1]
    removed, upper = -1, math.nan
    count = 0
    while count > removed:
        removed = count
        if removed > len(values) // 2:
            return BeyondBulk()
        shape = (n_rows - removed, n_cols - removed)
        estimate = _bulk_variance(values[removed:], n_rows, n_cols, "median")
        upper = estimate * MarchenkoPastur(*shape, 1.0).edges[1]
        count = max(
            int(np.count_nonzero(values > estimate * _unit_cutoff(*shape, edge, 1.05, 0.99, "median"))), removed
        )
    if count < 2 or upper == 0.0:
        return BeyondBulk(count)
    logs = np.log(values[1:count] / upper)
    return BeyondBulk(count, float(values[1] / upper), float(np.median(logs) / logs[0]))


def _check_options(edge: str, factor: float, variance: VarianceRule | float, level: float) -> None:
    if edge not in EDGE_RULES:
        raise UsageError(f"edge is {edge!r}; allowed: {', '.join(EDGE_RULES)}")
    if isinstance(variance, str) and variance not in VARIANCE_RULES:
        raise UsageError(f"variance is {variance!r}; allowed: a number or one of {', '.join(VARIANCE_RULES)}")
    if not isinstance(variance, str) and not (math.isfinite(variance) and variance > 0.0):
        raise UsageError(f"variance is {variance}; a known variance must be positive and finite")
    if not factor >= 1.0:
        raise UsageError(f"factor is {factor}; it multiplies the upper edge and must be at least 1")
    if not 0.0 < level < 1.0:
        raise UsageError(f"level is {level}; it must lie between 0 and 1")


def ks_marchenko_pastur(eigenvalues: np.ndarray, n_rows: int, n_cols: int) -> float:
    r"""Two-sided Kolmogorov-Smirnov distance to Marchenko-Pastur at the mean square of the entries.

    .. math:: D = \sup_x |F_r(x) - F_{MP}(x; \mathrm{tr} S / nm)|

    Parameters
    ----------
    eigenvalues : ndarray, (r,)
        Squared singular values, in any order; r = min(n_rows, n_cols), or fewer when the largest have been
        removed, in which case the shape must have been reduced alike.
    n_rows, n_cols : int
        Shape of the matrix.

    Returns
    -------
    float
        In [0, 1]; 1 for the zero matrix.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.random.default_rng(0).normal(size=(200, 300))
    >>> ks_marchenko_pastur(np.linalg.svd(w, compute_uv=False) ** 2, 200, 300) < 0.02
    True
    """
    values = np.sort(eigenvalues)
    mean_square = float(values.sum()) / (n_rows * n_cols)
    if mean_square == 0.0:
        return 1.0
    cdf = MarchenkoPastur(n_rows, n_cols, mean_square).cdf(values)
    return two_sided_distance(cdf)


def two_sided_distance(cdf: np.ndarray) -> float:
    """KS distance of a sample from the values of the law's distribution function at the ascending sample."""
    n = len(cdf)
    steps = np.arange(n) / n
    return float(max(np.max(cdf - steps), np.max(steps + 1.0 / n - cdf)))

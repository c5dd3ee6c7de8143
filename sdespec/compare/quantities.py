"""Rows of a comparison: what is derived from the two sides of a cell."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sdespec.compare import statistics
from sdespec.compare.sides import SCALARS, Cell, Label
from sdespec.compare.statistics import Band, Estimate
from sdespec.compare.summary import Replicates, Statistics, Summary, bin_edges, summary_of

__all__ = ["QUANTITIES", "Row", "rows_of"]

_RANKS = 9  # order statistics that are compared at most
_FEWEST, _FEW = 25, 100  # eigenvalues of a bin that is compared, and below which counts are taken as independent
_ROUNDING = 1e-9  # relative size of differences that are rounding


@dataclass(frozen=True)
class Row:
    """One compared quantity.

    Attributes
    ----------
    quantity, term : str
        Name of the quantity, and which order, mode or rank of it (empty where there is one).
    label : tuple
        Dims and their values.
    observed, predicted : Estimate
        The two sides.
    scale : {"difference", "ratio", "logarithm", "distance"}
        How the interval is made; for a ratio the errors are those of logarithms.
    band : Band, optional
        Fluctuation of a distance.
    slack : float
        Systematic error of a limit law at finite size, which widens the interval.
    comparable : bool
        False where the two sides cannot be held together.
    """

    quantity: str
    term: str
    label: Label
    observed: Estimate
    predicted: Estimate
    scale: Literal["difference", "ratio", "logarithm", "distance"] = "difference"
    band: Band | None = None
    slack: float = 0.0
    comparable: bool = True

    @property
    def name(self) -> str:
        """Text such as ``trace_mean[layer=W,time=0.5]``."""
        parts = [f"{dim}={value:g}" if isinstance(value, float) else f"{dim}={value}" for dim, value in self.label]
        inside = ",".join([*parts, self.term] if self.term else parts)
        return f"{self.quantity}[{inside}]" if inside else self.quantity

    @property
    def stderr(self) -> float:
        """Standard error of the difference, on the scale of the observed value."""
        if self.band is not None:
            return self.band.spread
        error = math.hypot(self.observed.stderr, self.predicted.stderr)
        return error * abs(self.predicted.value) if self.scale == "ratio" else error

    def bounds(self, level: float) -> tuple[float, float]:
        """Interval of the difference that leaves out ``level``."""
        difference = self.observed.value - self.predicted.value
        if not self.comparable or not math.isfinite(difference):
            return math.nan, math.nan
        rounding = _ROUNDING * max(abs(self.observed.value), abs(self.predicted.value)) + self.slack
        if self.band is not None:
            half = self.band.level + self.band.spread * math.sqrt(2.0 * math.log(1.0 / level))  # Borell's inequality
            return difference - half - rounding, difference + half + rounding
        error = math.hypot(self.observed.stderr, self.predicted.stderr)
        half = statistics.student(_freedom(self.observed, self.predicted), level) * error if error > 0.0 else error
        if self.scale == "ratio" and error > 0.0:
            ratio = self.observed.value / self.predicted.value if self.predicted.value > 0.0 else math.nan
            low, high = (self.predicted.value * (ratio * math.exp(sign * half) - 1.0) for sign in (-1, 1))
            return low - rounding, high + rounding
        return difference - half - rounding, difference + half + rounding


def _freedom(a: Estimate, b: Estimate) -> float:
    """Degrees of freedom of a difference, after Welch."""
    total = a.stderr**2 + b.stderr**2
    parts = sum(one.stderr**4 / one.freedom for one in (a, b) if one.stderr > 0.0)
    return total**2 / parts if parts > 0.0 else math.inf


def _number(cell: Cell, name: str) -> Estimate | None:
    """A number that a prediction holds, with its error where it is given."""
    if cell.numbers is None or name not in cell.numbers:
        return None
    value, error = float(cell.numbers[name]), 0.0
    if f"{name}_stderr" in cell.numbers:
        error = float(cell.numbers[f"{name}_stderr"])
    return Estimate(value, error)


def _borrowed(mine: Estimate, other: Summary | None, size: int, rank: int | None) -> Estimate:
    """The error of a single replicate, taken from the spread of the replicates that predict it."""
    if size > 1 or other is None or other.size < 2:
        return mine
    spread = other.single(rank)
    return Estimate(mine.value, spread.stderr, spread.freedom)


def _trace_mean(label: Label, mine: Summary, other: Cell) -> Iterator[Row]:
    observed, rival = mine.trace_mean(), summary_of(other)
    if rival is not None:
        yield Row("trace_mean", "", label, _borrowed(observed, rival, mine.size, None), rival.trace_mean())
        return
    predicted = _number(other, "trace_mean")
    if predicted is None and math.isfinite(other.law_mean):
        predicted = Estimate(other.law_mean * mine.rank)
    if predicted is None:
        return
    spread = _number(other, "trace_variance")
    if mine.size == 1 and spread is not None and spread.value >= 0.0:
        observed = Estimate(observed.value, math.sqrt(spread.value))
    slack = abs(predicted.value) / mine.rank if math.isfinite(other.law_mean) else 0.0
    yield Row("trace_mean", "", label, observed, predicted, slack=slack)


def _trace_variance(label: Label, mine: Summary, other: Cell) -> Iterator[Row]:
    predicted, rival = _number(other, "trace_variance"), summary_of(other)
    if rival is not None:
        predicted = rival.trace_variance()
    elif predicted is not None and predicted.value > 0.0:
        predicted = Estimate(predicted.value, predicted.stderr / predicted.value)  # the error of the logarithm
    if predicted is not None:
        yield Row("trace_variance", "", label, mine.trace_variance(), predicted, scale="ratio")


def _orders(rank: int) -> list[int]:
    """Orders that are compared: 2, 3 and powers of two up to the rank; order 1 is the trace."""
    powers = [2**k for k in range(2, rank.bit_length()) if 2**k < rank]
    return sorted({order for order in (2, 3, *powers, rank) if 2 <= order <= rank})


def _elementary(label: Label, mine: Summary, other: Cell) -> Iterator[Row]:
    given = other.numbers is not None and "log_elementary_moment" in other.numbers
    if not isinstance(mine, Replicates) or (other.spectra is None and not given):
        return
    observed = statistics.log_elementary(mine.spectra)
    rivals = statistics.log_elementary(other.spectra) if other.spectra is not None else None
    for order in _orders(mine.rank):
        if rivals is not None:
            predicted = rivals[order]
        else:
            assert other.numbers is not None
            predicted = Estimate(float(other.numbers["log_elementary_moment"].sel(order=order)))
        if math.isfinite(observed[order].value) or math.isfinite(predicted.value):  # both vanish: nothing to say
            yield Row(
                "log_elementary_moment", f"order={order}", label, observed[order], predicted, scale="logarithm"
            )  # fmt: skip


def _pooled(spectra: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Empirical cdf of pooled eigenvalues."""
    ordered = np.sort(spectra.ravel())
    return lambda points: np.searchsorted(ordered, points, side="right") / len(ordered)


def _density(label: Label, mine: Summary, other: Cell) -> Iterator[Row]:
    if isinstance(mine, Statistics):
        yield from _binned(label, mine, other)
    elif isinstance(mine, Replicates):
        yield from _distance(label, mine.spectra, other)


def _distance(label: Label, mine: np.ndarray, other: Cell) -> Iterator[Row]:
    """KS distance of pooled eigenvalues to those of the other side, or to its cdf."""
    if other.spectra is not None:
        size = len(mine)
        own = statistics.cdf_band(mine if size > 1 else other.spectra, size=size, seed=1)
        rival = statistics.cdf_band(other.spectra, size=len(other.spectra), seed=2)
        band = Band(own.level + rival.level, math.hypot(own.spread, rival.spread))
        distance = statistics.ks_distance(mine, _pooled(other.spectra))
        yield Row("density", "", label, Estimate(distance), Estimate(0.0), scale="distance", band=band)
    elif other.cdf is not None:
        band = statistics.cdf_band(mine, size=len(mine), seed=1)
        distance = statistics.ks_distance(mine, other.cdf)
        slack = _share(other, mine.shape[1]) if other.limit else 0.0
        yield Row("density", "", label, Estimate(distance), Estimate(0.0), scale="distance", band=band, slack=slack)
    elif other.numbers is not None and "density" in other.numbers and mine.any():  # zeros have no density
        nothing = Estimate(math.nan)
        yield Row("density", "", label, nothing, nothing, scale="distance", comparable=False)


def _share(other: Cell, rank: int) -> float:
    """What a cdf of a limit law may lack at finite rank; the mass of outliers vanishes in it, but not there."""
    apart = _number(other, "n_outliers")
    return (1.0 + (apart.value if apart else 0.0)) / rank


def _binned(label: Label, mine: Statistics, other: Cell) -> Iterator[Row]:
    """Densities in the bins that hold enough eigenvalues for a normal error."""
    edges, rival = bin_edges(mine.numbers), summary_of(other)
    if edges is None:
        return
    widths = np.diff(edges)
    if rival is not None:
        predicted = rival.density(edges)
    elif other.cdf is not None:
        predicted = [Estimate(float(value)) for value in np.diff(other.cdf(edges)) / widths]
    else:
        predicted = [Estimate(math.nan)] * len(widths)
    if all(math.isnan(one.value) for one in predicted):
        nothing = Estimate(math.nan)
        if other.numbers is not None and "density" in other.numbers:
            yield Row("density", "", label, nothing, nothing, comparable=False)
        return
    slack = _share(other, mine.rank) if other.limit and rival is None else 0.0
    for left, width, found, expected in zip(edges[:-1], widths, mine.density(edges), predicted, strict=True):
        one = 1.0 / (mine.size * mine.rank * width)  # what a single eigenvalue adds
        count = max(found.value, expected.value) / one
        if count < _FEWEST:
            continue
        error = max(found.stderr, math.sqrt(count) * one if count < _FEW else 0.0)
        observed = Estimate(found.value, error, found.freedom)
        yield Row("density", f"x={left + 0.5 * width:g}", label, observed, expected, slack=slack / width)


def _outlier(label: Label, mine: Summary, other: Cell) -> Iterator[Row]:
    if other.numbers is None or "outlier" not in other.numbers:
        return
    places = np.atleast_1d(np.asarray(other.numbers["outlier"].values, dtype=np.float64))
    for mode in np.flatnonzero(np.isfinite(places)):
        if mode >= mine.rank:
            return
        predicted = Estimate(float(places[mode]), _place_error(other, int(mode)))
        observed = _single(mine.eigenvalue(int(mode)), predicted, mine.size)
        slack = abs(predicted.value) / mine.rank
        apart = _apart(other, int(mode), mine.rank)
        yield Row("outlier", f"mode={mode}", label, observed, predicted, slack=slack, comparable=apart)


def _place_error(cell: Cell, mode: int) -> float:
    """Standard error of a predicted outlier, where it is given."""
    if cell.numbers is None or "outlier_stderr" not in cell.numbers:
        return 0.0
    error = float(cell.numbers["outlier_stderr"][mode])
    return error if math.isfinite(error) else 0.0


def _single(mine: Estimate, predicted: Estimate, size: int) -> Estimate:
    """A single replicate has no error besides that of the prediction, if this is the spread of one network."""
    return Estimate(mine.value) if size == 1 and predicted.stderr > 0.0 else mine


def _apart(cell: Cell, mode: int, rank: int) -> bool:
    """Whether an outlier is clear of the window about the escape where finite matrices smear the transition."""
    if cell.numbers is None or "escape" not in cell.numbers or mode >= cell.numbers.sizes["mode"]:
        return True
    escape = float(cell.numbers["escape"][mode])
    return not abs(escape - 1.0) < rank ** (-1.0 / 3.0)


def _eigenvalue(label: Label, mine: Summary, other: Cell) -> Iterator[Row]:
    rival, rank = summary_of(other), mine.rank
    if rival is None:
        return
    for k in np.unique(np.linspace(0, rank - 1, min(rank, _RANKS)).round().astype(int)):
        observed = _borrowed(mine.eigenvalue(k), rival, mine.size, k)
        yield Row("eigenvalue", f"rank={k}", label, observed, rival.eigenvalue(k))


def _scalar(name: str, label: Label, observed: Cell, predicted: Cell) -> Iterator[Row]:
    """Mean over replicates of a number of the whole network."""
    assert observed.scalars is not None
    if name not in observed.scalars or predicted.scalars is None or name not in predicted.scalars:
        return
    mine, theirs = observed.scalars[name], predicted.scalars[name]
    if not (np.isfinite(mine).all() and np.isfinite(theirs).all()):
        yield Row(name, "", label, Estimate(math.nan), Estimate(math.nan), comparable=False)
        return
    if len(theirs) > 1:
        rivals = Replicates(theirs[:, None])
        yield Row(name, "", label, _borrowed(statistics.mean(mine), rivals, len(mine), 0), statistics.mean(theirs))
        return
    rival = Estimate(float(theirs[0]), predicted.errors.get(name, 0.0))
    yield Row(name, "", label, _single(statistics.mean(mine), rival, len(mine)), rival)


_SPECTRAL: dict[str, Callable[[Label, Summary, Cell], Iterator[Row]]] = {
    "trace_mean": _trace_mean,
    "trace_variance": _trace_variance,
    "log_elementary_moment": _elementary,
    "density": _density,
    "outlier": _outlier,
    "eigenvalue": _eigenvalue,
}

QUANTITIES: tuple[str, ...] = (*_SPECTRAL, *SCALARS)
"""What can be compared, in the order of the rows."""


def rows_of(label: Label, observed: Cell, predicted: Cell, quantities: Sequence[str]) -> list[Row]:
    """All rows of one cell."""
    if observed.scalars is not None:
        return [row for name in quantities if name in SCALARS for row in _scalar(name, label, observed, predicted)]
    quantities = [name for name in quantities if name in _SPECTRAL]
    mine, theirs = summary_of(observed), summary_of(predicted)
    if mine is None:
        return []
    if theirs is not None and theirs.rank != mine.rank:
        nothing = Estimate(math.nan)
        return [Row(name, "", label, nothing, nothing, comparable=False) for name in quantities if name != "outlier"]
    return [row for name in quantities for row in _SPECTRAL[name](label, mine, predicted)]

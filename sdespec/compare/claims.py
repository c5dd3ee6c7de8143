"""Claims: a closed grammar of statements about a result, judged with intervals and never by code."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from scipy import special

from sdespec.core.errors import UsageError

__all__ = ["OUTCOMES", "RELATIONS", "Claim", "Finding", "judge"]

RELATIONS: tuple[str, ...] = (
    "equal", "less", "greater", "constant_along", "increasing_along", "decreasing_along", "slope_along",
    "argmin_along", "absent", "verdict",
)  # fmt: skip
OUTCOMES: tuple[str, ...] = ("reproduced", "contradicted", "undecided")

_NEEDS_ALONG = tuple(name for name in RELATIONS if name.endswith("_along"))
_NEEDS_VALUE = ("less", "greater", "slope_along", "argmin_along", "verdict")


@dataclass(frozen=True)
class Claim:
    """One statement about a quantity of a result.

    Attributes
    ----------
    id, paper, text : str
        Name, source and wording.
    quantity : str
        Variable of the Dataset.
    of : str
        Name of the Dataset of the study that holds it.
    relation : str
        One of ``RELATIONS``.
    select : mapping
        Coordinate values, or for ``time, rank, mode, replicate, order`` also a negative position from the end.
    along : str, optional
        Dimension of the relations that end in ``_along``.
    tolerance : mapping
        ``relative`` or ``absolute``, a positive number.
    against : str, optional
        Name of another Dataset with the same quantity.
    value : float or str, optional
        What the quantity is compared with.
    """

    id: str
    paper: str
    text: str
    quantity: str
    of: str
    relation: str
    select: Mapping[str, Any] = field(default_factory=dict)
    along: str | None = None
    tolerance: Mapping[str, float] = field(default_factory=dict)
    against: str | None = None
    value: float | str | None = None

    def __post_init__(self) -> None:
        """Refuse a claim that cannot be judged."""
        place = f"claim {self.id!r}"
        if self.relation not in RELATIONS:
            raise UsageError(f"{place}: relation is {self.relation!r}; allowed: {', '.join(RELATIONS)}")
        if (self.relation in _NEEDS_ALONG) != (self.along is not None):
            need = "needs" if self.relation in _NEEDS_ALONG else "takes no"
            raise UsageError(f"{place}: relation {self.relation!r} {need} 'along'")
        if self.relation in _NEEDS_VALUE and self.value is None and self.against is None:
            raise UsageError(f"{place}: relation {self.relation!r} needs 'value' or 'against'")
        if self.relation == "equal" and (self.value is None) == (self.against is None):
            raise UsageError(f"{place}: relation 'equal' needs either 'value' or 'against'")
        if set(self.tolerance) - {"relative", "absolute"} or any(not t > 0 for t in self.tolerance.values()):
            raise UsageError(f"{place}: tolerance is {dict(self.tolerance)}; write relative = or absolute =, positive")
        if self.relation in ("equal", "constant_along", "slope_along", "argmin_along") and not self.tolerance:
            raise UsageError(f"{place}: relation {self.relation!r} needs a tolerance")


@dataclass(frozen=True)
class Finding:
    """What became of a claim.

    Attributes
    ----------
    claim : Claim
        The statement.
    outcome : str
        One of ``OUTCOMES``.
    estimate : float
        The number that was judged; NaN where it is text.
    interval : tuple of float
        Its interval at the level of the judgement; both ends equal where no error is known.
    evidence : str
        The numbers in one line.
    """

    claim: Claim
    outcome: str
    estimate: float
    interval: tuple[float, float]
    evidence: str


def judge(claim: Claim, datasets: Mapping[str, xr.Dataset], *, level: float = 0.99) -> Finding:
    """Judge a claim by the interval of its quantity.

    A claim is reproduced where the whole interval fulfils it, contradicted where the whole interval violates it,
    and undecided otherwise. Intervals come from ``<quantity>_stderr``, or from ``interval``; without either the
    value itself is judged.

    Parameters
    ----------
    claim : Claim
        The statement.
    datasets : mapping
        Datasets of the study by name.
    level : float
        Probability of the intervals.

    Returns
    -------
    Finding

    Raises
    ------
    UsageError
        If the claim names a Dataset, variable, coordinate or dim that does not exist.

    Examples
    --------
    >>> ds = xr.Dataset({"train_loss": 0.5, "train_loss_stderr": 0.01})
    >>> claim = Claim("c", "-", "loss is small", "train_loss", "run", "less", value=0.6)
    >>> judge(claim, {"run": ds}).outcome
    'reproduced'
    """
    z = float(special.ndtri(0.5 + level / 2.0))
    if claim.relation == "verdict":
        return _judge_verdict(claim, datasets)
    values, errors, along = _series(claim, datasets, claim.of)
    if claim.relation == "absent":
        absent = not np.isfinite(values).any() or bool(np.all(values[np.isfinite(values)] == 0.0))
        return Finding(
            claim, "reproduced" if absent else "contradicted", math.nan, (math.nan, math.nan),
            "nothing there" if absent else f"{int(np.isfinite(values).sum())} values",
        )  # fmt: skip
    if claim.relation in ("equal", "less", "greater"):
        return _judge_scalar(claim, datasets, values, errors, z)
    assert along is not None
    return _judge_series(claim, values, errors, along, z)


def _select(claim: Claim, ds: xr.Dataset) -> xr.Dataset:
    for name, value in claim.select.items():
        if name not in ds.dims and name not in ds.coords:
            raise UsageError(f"claim {claim.id!r}: select names {name!r}, which is not in {claim.of!r}")
        if name in ds.dims and isinstance(value, int) and value < 0:
            ds = ds.isel({name: value})
        elif name in ds.dims:
            try:
                ds = ds.sel({name: value})
            except KeyError:
                raise UsageError(f"claim {claim.id!r}: there is no {name} = {value!r}") from None
    return ds


def _series(
    claim: Claim, datasets: Mapping[str, xr.Dataset], source: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Values, standard errors and coordinates along the claim's dim; a scalar has one value."""
    if source not in datasets:
        raise UsageError(f"claim {claim.id!r}: there is no Dataset {source!r}; there are {', '.join(datasets)}")
    ds = _select(claim, datasets[source])
    if claim.quantity not in ds:
        raise UsageError(f"claim {claim.id!r}: {source!r} holds no {claim.quantity!r}")
    array = ds[claim.quantity]
    dims = (claim.along,) if claim.along else ()
    if set(array.dims) != set(dims) and claim.relation != "absent":
        raise UsageError(f"claim {claim.id!r}: {claim.quantity!r} has the dims {array.dims} left, it must have {dims}")
    values = np.atleast_1d(array.values.astype(float))
    name = f"{claim.quantity}_stderr"
    errors = np.atleast_1d(ds[name].values.astype(float)) if name in ds else np.zeros(values.shape)
    return values, errors, None if claim.along is None else ds[claim.along].values


def _width(claim: Claim, scale: float) -> float:
    return float(claim.tolerance.get("absolute", 0.0)) + float(claim.tolerance.get("relative", 0.0)) * abs(scale)


def _inside(low: float, high: float, width: float) -> str:
    """Outcome for "within plus or minus width of zero"."""
    if -width <= low and high <= width:
        return "reproduced"
    return "contradicted" if low > width or high < -width else "undecided"


def _positive(low: float, high: float) -> str:
    """Outcome for "above zero"."""
    return "reproduced" if low > 0.0 else "contradicted" if high < 0.0 else "undecided"


def _judge_scalar(
    claim: Claim, datasets: Mapping[str, xr.Dataset], values: np.ndarray, errors: np.ndarray, z: float
) -> Finding:
    value, error = float(values[0]), float(errors[0])
    if claim.against is not None:
        others, other_errors, _ = _series(claim, datasets, claim.against)
        target, error = float(others[0]), math.hypot(error, float(other_errors[0]))
    else:
        target = float(claim.value)  # type: ignore[arg-type]  # its presence was checked at construction
    low, high = value - target - z * error, value - target + z * error
    if claim.relation == "equal":
        outcome = _inside(low, high, _width(claim, target))
    else:
        outcome = _positive(low, high) if claim.relation == "greater" else _positive(-high, -low)
    if not math.isfinite(value - target):
        outcome = "undecided"
    text = f"{value:.6g} ± {error:.2g} against {target:.6g}"
    return Finding(claim, outcome, value, (low + target, high + target), text)


def _judge_series(claim: Claim, values: np.ndarray, errors: np.ndarray, along: np.ndarray, z: float) -> Finding:
    shown = ", ".join(f"{x}: {value:.5g}" for x, value in zip(along, values, strict=True))
    if not np.isfinite(values).all() or len(values) < 2:
        return Finding(claim, "undecided", math.nan, (math.nan, math.nan), f"values missing: {shown}")
    if claim.relation == "constant_along":
        mean = float(values.mean())
        spread = values - mean
        outcomes = [_inside(s - z * e, s + z * e, _width(claim, mean)) for s, e in zip(spread, errors, strict=True)]
        worst = int(np.argmax(np.abs(spread)))
        span = (float(spread[worst] - z * errors[worst]), float(spread[worst] + z * errors[worst]))
        return Finding(claim, _all(outcomes), float(spread[worst]), span, shown)
    if claim.relation in ("increasing_along", "decreasing_along"):
        sign = 1.0 if claim.relation == "increasing_along" else -1.0
        steps = sign * np.diff(values)
        step_errors = z * np.hypot(errors[1:], errors[:-1])
        outcomes = [_positive(s - e, s + e) for s, e in zip(steps, step_errors, strict=True)]
        least = int(np.argmin(steps))
        span = (float(steps[least] - step_errors[least]), float(steps[least] + step_errors[least]))
        return Finding(claim, _all(outcomes), float(steps[least]), span, shown)
    target = float(claim.value)  # type: ignore[arg-type]  # its presence was checked at construction
    if claim.relation == "argmin_along":
        place = float(along[int(np.argmin(values))])
        low = values - z * errors
        rivals = along[low <= (values + z * errors).min()].astype(float)
        span = (float(rivals.min()), float(rivals.max()))
        return Finding(claim, _inside(span[0] - target, span[1] - target, _width(claim, target)), place, span, shown)
    x, y = np.log(along.astype(float)), np.log(values)
    weight = x - x.mean()
    slope = float(np.sum(weight * y) / np.sum(weight**2))
    error = z * float(np.sqrt(np.sum((weight * errors / values) ** 2)) / np.sum(weight**2))
    span = (slope - error, slope + error)
    return Finding(claim, _inside(span[0] - target, span[1] - target, _width(claim, target)), slope, span, shown)


def _all(outcomes: list[str]) -> str:
    if "contradicted" in outcomes:
        return "contradicted"
    return "undecided" if "undecided" in outcomes else "reproduced"


def _judge_verdict(claim: Claim, datasets: Mapping[str, xr.Dataset]) -> Finding:
    """Whether compare gave the same verdict for all selected rows."""
    if claim.of not in datasets:
        raise UsageError(f"claim {claim.id!r}: there is no Dataset {claim.of!r}; there are {', '.join(datasets)}")
    ds = _select(claim, datasets[claim.of])
    if "verdict" not in ds:
        raise UsageError(f"claim {claim.id!r}: {claim.of!r} holds no 'verdict'; it must be a result of compare")
    rows = ds["verdict"]
    if "quantity" in rows.dims:
        chosen = [str(name).startswith(claim.quantity) for name in ds["quantity"].values]
        rows = rows.isel(quantity=chosen)
    found = [str(value) for value in np.atleast_1d(rows.values)]
    if not found:
        raise UsageError(f"claim {claim.id!r}: no compared quantity starts with {claim.quantity!r}")
    counts = {name: found.count(name) for name in sorted(set(found))}
    if set(found) == {str(claim.value)}:
        outcome = "reproduced"
    else:
        opposite = {"agree": "disagree", "disagree": "agree"}.get(str(claim.value))
        outcome = "contradicted" if opposite in found else "undecided"
    text = ", ".join(f"{count} {name}" for name, count in counts.items())
    return Finding(claim, outcome, math.nan, (math.nan, math.nan), text)

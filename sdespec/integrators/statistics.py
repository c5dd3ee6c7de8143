"""Statistics over many replicates that are never all in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from sdespec.core.checks import replicate_range, require, whole
from sdespec.core.dataset import build
from sdespec.core.errors import UsageError
from sdespec.core.provenance import record
from sdespec.integrators.paths import Progress
from sdespec.integrators.simulate import simulate

__all__ = ["simulate_statistics"]

_TAKEN = ("save_weights",)


class _Moments:
    """Mean and sums of powers of the deviations of arrays that come in batches (Chan, Golub and LeVeque; Pebay)."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: np.ndarray = np.zeros(())
        self.squares: np.ndarray = np.zeros(())
        self.cubes: np.ndarray = np.zeros(())
        self.fourths: np.ndarray = np.zeros(())

    @np.errstate(over="ignore", invalid="ignore")  # fourth powers of heavy tails
    def add(self, batch: np.ndarray) -> None:
        """Take in a batch (replicates, ...)."""
        mean = batch.mean(axis=0)
        apart = batch - mean
        squares, cubes, fourths = ((apart**power).sum(axis=0) for power in (2, 3, 4))
        a, b = self.count, len(batch)
        n = a + b
        shift = mean - self.mean
        self.fourths = (
            self.fourths + fourths + shift**4 * (a * b / n) * ((a * a - a * b + b * b) / n**2)
            + 6.0 * shift**2 * ((a / n) ** 2 * squares + (b / n) ** 2 * self.squares)
            + 4.0 * shift * (a / n * cubes - b / n * self.cubes)
        )  # fmt: skip
        self.cubes = (
            self.cubes + cubes + shift**3 * (a * b / n) * ((a - b) / n)
            + 3.0 * shift * (a / n * squares - b / n * self.squares)
        )  # fmt: skip
        self.squares = self.squares + squares + shift**2 * (a * b / n)
        self.mean = self.mean + shift * (b / n)
        self.count = n

    @property
    def variance(self) -> np.ndarray:
        """Unbiased variance."""
        return np.asarray(self.squares / (self.count - 1))

    @property
    def error(self) -> np.ndarray:
        """Standard error of the mean."""
        return np.sqrt(self.variance / self.count)

    @property
    def variance_error(self) -> np.ndarray:
        """Standard error of the variance, NaN for fewer than four replicates."""
        n = self.count
        if n < 4:
            return np.full_like(self.squares, np.nan)
        spread = self.fourths / n - (n - 3) / (n - 1) * self.variance**2
        return np.sqrt(np.maximum(spread, 0.0) / n)


def simulate_statistics(
    model: Any,
    times: Sequence[float] | np.ndarray,
    *,
    seed: int,
    replicates: int | range,
    edges: Sequence[float] | np.ndarray | None = None,
    batch: int = 512,
    progress: Progress | None = None,
    **options: Any,
) -> xr.Dataset:
    r"""Simulate many replicates and keep means, variances and a histogram only.

    .. math:: \bar\lambda_k = \frac1R \sum_r \lambda_k^{(r)}, \qquad
        \hat\rho(x) = \frac{\#\{(r, k): \lambda_k^{(r)} \in \text{bin}\}}{R\,n\,\text{width}}

    Parameters
    ----------
    model, times, seed
        As in ``sdespec.simulate``.
    replicates : int or range
        At least two. The draws are those of ``sdespec.simulate`` with the same arguments.
    edges : sequence of float, (bins + 1,), optional
        Edges of the bins of the density, increasing; no density without them.
    batch : int
        Replicates that are in memory at a time, at least 1.
    progress : callable, optional
        Called with (done, total, text).
    **options
        ``initial``, ``method``, ``time_step``, ``threads``, as in ``sdespec.simulate``.

    Returns
    -------
    xarray.Dataset
        ``eigenvalue_mean`` and ``eigenvalue_variance`` (layer, time, rank), ``trace_mean`` and ``trace_variance``
        (layer, time), means and the variance of the trace with their ``_stderr``; with ``edges`` the ``density``
        (layer, time, x) at the centres of the bins, with the error of replicates as ``density_stderr``, and the edges
        as the attribute ``bin_edges``.

    Raises
    ------
    UsageError
        If an argument is not allowed.

    Notes
    -----
    Memory is that of one batch and of the results, whatever the number of replicates; batches are merged in their
    order, so that the result depends neither on threads nor, beyond rounding, on ``batch``. Values outside the edges
    count in the mass, so that the density is that of all eigenvalues. ``sdespec.compare`` takes the result on either
    side.

    Examples
    --------
    >>> from sdespec.models import DysonLaguerre
    >>> found = simulate_statistics(DysonLaguerre(2, 4, 1.0, 0.5), [float("inf")], seed=0, replicates=4000)
    >>> abs(found.trace_mean.item() - 4.0) < 5 * found.trace_mean_stderr.item()
    True
    """
    indices = replicate_range(replicates)
    whole(batch, "batch", 1)
    require(len(indices) >= 2, "replicates", replicates, "at least 2, for a variance")
    for name in _TAKEN:
        require(name not in options, name, options.get(name), "left out: nothing of single replicates is kept")
    bins = None if edges is None else _checked_edges(edges)
    eigenvalue, trace, density = _Moments(), _Moments(), _Moments()
    initial = options.pop("initial", None)
    run = xr.Dataset()
    for start in range(indices.start, indices.stop, batch):
        part = range(start, min(start + batch, indices.stop))
        own = _rows(initial, indices, part)
        run = simulate(model, times, seed=seed, replicates=part, initial=own, **options)
        values = run["eigenvalue"].values[0]
        eigenvalue.add(values)
        trace.add(values.sum(axis=2))
        if bins is not None:
            density.add(_histograms(values, bins))
        if progress is not None:
            progress(part.stop - indices.start, len(indices), "replicates")
    arguments = {"times": run["time"].values, "replicates": [indices.start, indices.stop - 1], "initial": initial}
    moments = {"eigenvalue": eigenvalue, "trace": trace} | ({"density": density} if bins is not None else {})
    return _dataset(run, moments, bins, arguments | options, len(indices))


def _checked_edges(edges: Sequence[float] | np.ndarray) -> np.ndarray:
    bins = np.asarray(edges, dtype=np.float64)
    if bins.ndim != 1 or len(bins) < 2 or not np.isfinite(bins).all() or np.any(np.diff(bins) <= 0.0):
        raise UsageError(f"edges are {edges!r}; give two or more finite numbers that increase")
    return bins


def _rows(initial: Any, indices: range, part: range) -> Any:
    """The rows of an array of one start for each replicate that belong to a batch; other forms as they are."""
    if initial is None or isinstance(initial, (str, xr.Dataset)):
        return initial
    cut = slice(part.start - indices.start, part.stop - indices.start)
    if not hasattr(initial, "items"):
        array = np.asarray(initial, dtype=np.float64)
        return array[cut] if array.ndim == 3 and len(array) == len(indices) else array
    return {
        name: np.asarray(value)[cut] if np.ndim(value) > 1 and len(value) == len(indices) else value
        for name, value in initial.items()
    }


def _histograms(values: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Density of each replicate and time (replicates, times, bins)."""
    flat = values.reshape(-1, values.shape[2])
    place = np.searchsorted(bins, flat, side="right") - 1
    place[flat == bins[-1]] = len(bins) - 2
    inside = (place >= 0) & (place < len(bins) - 1)
    row = np.broadcast_to(np.arange(len(flat))[:, None], flat.shape)
    counts = np.bincount(row[inside] * (len(bins) - 1) + place[inside], minlength=len(flat) * (len(bins) - 1))
    shape = (*values.shape[:2], len(bins) - 1)
    return np.asarray(counts.reshape(shape) / (values.shape[2] * np.diff(bins)))


def _dataset(
    run: xr.Dataset, moments: dict[str, _Moments], bins: np.ndarray | None, arguments: dict[str, Any], count: int
) -> xr.Dataset:
    variables: dict[str, Any] = {}
    for name, found in moments.items():
        dims = ("layer", "time", *{"eigenvalue": ("rank",), "density": ("x",)}.get(name, ()))
        mean = name if name == "density" else f"{name}_mean"
        variables |= {mean: (dims, found.mean[None]), f"{mean}_stderr": (dims, found.error[None])}
        if name != "density":
            variables[f"{name}_variance"] = (dims, found.variance[None])
    variables["trace_variance_stderr"] = (("layer", "time"), moments["trace"].variance_error[None])
    names = ("layer", "n_rows", "n_cols", "matrix", "time", "rank")
    coords: dict[str, Any] = {name: (run[name].dims, run[name].values, dict(run[name].attrs)) for name in names}
    if bins is not None:
        coords["x"] = (("x",), 0.5 * (bins[1:] + bins[:-1]))
    orders = ("method_order", "method_strong_order", "method_weak_order")
    kept = ("method", *orders, "seed", "model", "model_digest", "steps_done", "n_cols_exact")
    attrs = {name: run.attrs[name] for name in kept if name in run.attrs} | {"n_replicates": count}
    given = {"model": attrs["model"], "digest": attrs["model_digest"], "seed": attrs["seed"]} | arguments
    if bins is not None:
        attrs["bin_edges"] = bins
    made = record("sdespec.integrators.simulate_statistics", given)
    return build(variables, coords, source="simulate", provenance=made, attrs=attrs)

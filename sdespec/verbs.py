"""The verbs: what a user calls on a source or on a Dataset."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from sdespec.core.errors import InputError, UsageError
from sdespec.fits.bulk import Edge
from sdespec.fits.calibration import Calibration
from sdespec.fits.dataset import Progress, fit_dataset
from sdespec.fits.power_law import Ks
from sdespec.fits.spectrum_fit import FitOptions
from sdespec.networks import measure
from sdespec.tables import comparison_closing, comparison_rows, is_comparison, is_run, run_closing, run_rows

__all__ = ["fit", "measure", "rows", "summary"]


def fit(
    spectra: Any,
    *,
    laws: Sequence[str] = ("gamma", "inverse_gamma", "log_normal", "pareto"),
    pool: Sequence[str] = (),
    min_tail: int = 10,
    ks: Ks = "two-sided",
    threshold: float | None = None,
    bootstrap: int = 200,
    calibration: Calibration = "ensemble",
    edge: Edge = "tracy_widom",
    level: float = 0.95,
    reference: Any = None,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    r"""Fit bulk, outliers, tail and laws of every spectrum, each with its null, and decide its regime.

    .. math:: \rho(\lambda) \propto \lambda^{-\alpha}, \quad \lambda \ge \lambda_{min}

    Parameters
    ----------
    spectra : xarray.Dataset or source
        Result of ``measure`` or ``simulate``, or anything that ``measure`` takes.
    laws : sequence of str
        Names of laws in snake case, those of ``sdespec.fits.law``. All but ``pareto`` and ``truncated_pareto`` are
        fitted to the whole spectrum; these two are fitted tails, with the threshold as their minimum and the
        likelihood of the tail alone. ``law_note`` says what to know of a fit, or why there is none: a beta prime law
        without a tail has ``b`` infinite and the note ``no tail``.
    pool : sequence of str
        Dims among ``replicate`` and ``time`` whose spectra are fitted jointly, as independent matrices of one law;
        the variables of the fit do not have them. Tail and laws see all values at once, and the draws of the
        p-values pool as many spectra. Bulk and regime are those of single matrices: numbers are means, outliers
        are all of them together, the regime is that of more than half of the matrices. Successive times of one
        training are not independent: pool times that are far apart only.
    min_tail : int
        Smallest number of eigenvalues in a tail, at least 3.
    ks : {"two-sided", "left"}
        Distance that chooses the threshold; ``left`` is the one-sided convention of other packages.
    threshold : float, optional
        A known threshold; by default it is searched.
    bootstrap : int
        Number of resamples of the interval, in each of which the threshold is searched again, and of draws of
        the calibrated p-values; 0 skips both.
    calibration : {"ensemble", "iid"}
        Whether the draws of the p-values are as rigid as eigenvalues, or independent. Matrices of one shape share
        these draws, which do not depend on ``seed``.
    edge : {"tracy_widom", "factor", "finite_size", "asymptotic"}
        Where an outlier begins; see ``sdespec.fits.outliers``.
    level : float
        Probability of the intervals.
    reference : xarray.Dataset or source, optional
        Spectra whose bulk variance ``inflated_bulk`` is judged against. By default the first time where there is
        a time axis; without any, ``inflated_bulk`` is never returned.
    seed : int
        Seed of the resamples and, where ``spectra`` is a source, of its null.
    threads : int, optional
        Number of threads; all cores by default. The result does not depend on it.
    progress : callable, optional
        Called with (done, total, layer).

    Returns
    -------
    xarray.Dataset
        The spectra with the variables ``regime, verdict_text, n_outliers, outlier, variance, bulk_edge,
        tail_exponent, tail_interval, ...`` of the schema, dims (layer[, replicate, time]).

    Raises
    ------
    InputError
        If there is nothing to fit.
    UsageError
        If an option is not allowed.

    Notes
    -----
    With ``bootstrap > 0`` p-values and intervals of the parameters of whole-spectrum laws come from draws of whole
    spectra, as rigid as ``calibration`` says; each is fitted anew, the threshold of a tail included. Without, the
    intervals suppose independent values, as that of the exponent always does. "Power law" is said only of a broad
    tail where the power law is not rejected and both rivals are, at the level 5 % of such draws: log-normal tails
    centred at or above the median of the spectrum (``log_normal_p_value``), and exponential cutoffs in the lower
    half of the tail's decades (``cutoff_p_value``). Weaker rivals hold the power law as a limit and cannot be
    excluded by any finite spectrum.

    References
    ----------
    Clauset, Shalizi, Newman, SIAM Review 51 (2009) 661; Marchenko and Pastur (1967).

    Examples
    --------
    >>> import numpy as np
    >>> import sdespec as sd
    >>> fits = sd.fit({"w": np.random.default_rng(0).normal(size=(100, 150))}, bootstrap=0)
    >>> str(fits.regime.item())
    'random'
    """
    options = FitOptions(
        laws=tuple(laws),
        min_tail=min_tail,
        ks=ks,
        threshold=threshold,
        bootstrap=bootstrap,
        calibration=calibration,
        edge=edge,
        level=level,
    )
    if not isinstance(spectra, xr.Dataset):
        spectra = measure(spectra, seed=seed)
    if reference is not None and not isinstance(reference, xr.Dataset):
        reference = measure(reference, null="none")
    return fit_dataset(
        spectra, options=options, seed=seed, threads=threads, reference=reference, pool=pool, progress=progress
    )


def summary(ds: xr.Dataset) -> str:
    """Say in a few lines what a Dataset holds: one line for each matrix or quantity, and a closing count.

    Parameters
    ----------
    ds : xarray.Dataset
        Result of ``measure``, ``fit``, ``simulate``, ``predict`` or ``compare``.

    Returns
    -------
    str
        A table.

    Raises
    ------
    InputError
        If the Dataset has no layers.

    Examples
    --------
    >>> import numpy as np
    >>> import sdespec as sd
    >>> spectra = sd.measure({"w": np.random.default_rng(0).normal(size=(20, 30))})
    >>> print(sd.summary(sd.fit(spectra, bootstrap=0)).splitlines()[-1])
    1 matrix: 1 undecided
    """
    header, body = rows(ds)
    widths = [max(len(line[i]) for line in [header, *body]) for i in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in [header, *body]]
    return "\n".join([*(line.rstrip() for line in lines), closing(ds)])


def rows(ds: xr.Dataset) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table of a Dataset, as text; the last time where there is a time axis.

    Parameters
    ----------
    ds : xarray.Dataset
        Result of ``measure``, ``fit``, ``simulate``, ``predict`` or ``compare``.

    Returns
    -------
    header : list of str
    rows : list of list of str
    """
    if is_comparison(ds):
        return comparison_rows(ds)
    if "layer" not in ds.dims:
        raise InputError("the Dataset has no dim 'layer'; give a result of measure or fit")
    if is_run(ds):
        return run_rows(ds)
    ds = without_pooled(ds)
    if "replicate" in ds.dims:
        raise UsageError("select one replicate first, with ds.isel(replicate=0)")
    if "time" in ds.dims:
        ds = ds.isel(time=-1)
    fitted = "regime" in ds
    header = ["matrix", "shape", "n", "status"]
    if fitted:
        header = ["matrix", "shape", "n", "outliers", "exponent", "n_tail", "shuffled", "regime", "verdict"]
    return header, [_row(ds.isel(layer=i), fitted) for i in range(ds.sizes["layer"])]


def _row(one: xr.Dataset, fitted: bool) -> list[str]:
    name, status = str(one["layer"].values), str(one["status"].values) if "status" in one.coords else "ok"
    reason = str(one["reason"].values) if "reason" in one.coords else ""
    if status != "ok":
        shape = str(one["tensor_shape"].values)
        return [name, shape, "-", *(["-"] * 4 + [status, reason] if fitted else [f"{status}: {reason}"])]
    shape = f"{int(one['n_rows'])} x {int(one['n_cols'])}"
    rank = str(int(one["rank_count"])) if "rank_count" in one else "-"
    if not fitted:
        return [name, shape, rank, status]
    lower, upper = one["tail_interval"].values
    exponent = "-"
    if math.isfinite(float(one["tail_exponent"])):
        exponent = f"{float(one['tail_exponent']):.2f} [{lower:.1f}, {upper:.1f}]"
    return [
        name,
        shape,
        rank,
        str(int(one["n_outliers"])),
        exponent,
        str(int(one["n_tail"])),
        number(float(one["tail_exponent_shuffled"]), ".2f"),
        str(one["regime"].values),
        str(one["verdict_text"].values),
    ]


def without_pooled(ds: xr.Dataset) -> xr.Dataset:
    """Leave out the dims over which a fit was pooled, at their first entry."""
    dims = [dim for dim in str(ds.attrs.get("pool", "")).split() if dim in ds.dims]
    return ds.isel(dict.fromkeys(dims, 0), drop=True)


def number(value: float, form: str = ".3g") -> str:
    """Format a number, ``-`` where there is none."""
    return format(value, form) if math.isfinite(value) else "-"


_PLURALS = {
    "broad_tail": ("broad tail", "broad tails"),
    "spikes": ("spikes", "spikes"),
    "random": ("random", "random"),
    "inflated_bulk": ("inflated bulk", "inflated bulks"),
    "undecided": ("undecided", "undecided"),
}


def closing(ds: xr.Dataset) -> str:
    """Count matrices, regimes and tensors without a spectrum, or verdicts, in one line."""
    if is_comparison(ds):
        return comparison_closing(ds)
    if is_run(ds):
        return run_closing(ds)
    when = ""
    ds = without_pooled(ds)
    if "time" in ds.dims:
        count = ds.sizes["time"]
        ds = ds.isel(time=-1)
        when = f" at time {float(ds['time']):g}, the last of {count}"
    status = ds["status"].values.astype(str) if "status" in ds.coords else np.full(ds.sizes["layer"], "ok")
    n_ok = int((status == "ok").sum())
    text = f"{n_ok} {'matrix' if n_ok == 1 else 'matrices'}{when}"
    if "regime" in ds:
        regimes = ds["regime"].values.astype(str)
        counts: Mapping[str, int] = {name: int((regimes == name).sum()) for name in _PLURALS}
        parts = [f"{count} {_PLURALS[name][count != 1]}" for name, count in counts.items() if count]
        text += f": {', '.join(parts)}" if parts else ""
    for kind in ("skipped", "invalid"):
        count = int((status == kind).sum())
        if count:
            text += f"; {count} {'tensor' if count == 1 else 'tensors'} {kind}, each listed"
    return text

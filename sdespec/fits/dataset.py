"""Fit every spectrum of a Dataset."""

from __future__ import annotations

import math
import operator
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import xarray as xr

from sdespec.core.dataset import extend
from sdespec.core.errors import InputError, UsageError
from sdespec.core.provenance import record
from sdespec.fits.bulk import outliers
from sdespec.fits.spectrum import FitOptions, SpectrumFit, fit_spectrum
from sdespec.laws import law_class

__all__ = ["Progress", "fit_dataset"]

Progress = Callable[[int, int, str], None]

_RUN_DIMS = ("layer", "replicate", "time")
_PARAMETERS = ("shape", "scale", "exponent", "minimum")


def fit_dataset(
    spectra: xr.Dataset,
    *,
    options: FitOptions,
    seed: int = 0,
    threads: int | None = None,
    reference: xr.Dataset | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Fit each spectrum (layer, replicate, time) of a Dataset.

    Parameters
    ----------
    spectra : xarray.Dataset
        With ``eigenvalue`` and the coordinates ``n_rows`` and ``n_cols``.
    options : FitOptions
        What to fit, and how.
    seed : int
        The resamples of a spectrum depend on the seed, its layer name, replicate and time index only.
    threads : int, optional
        Number of threads; all cores by default. The result does not depend on it.
    reference : xarray.Dataset, optional
        Spectra whose bulk variance ``inflated_bulk`` is judged against; the first time where there is a time axis.
    progress : callable, optional
        Called with (done, total, layer).

    Returns
    -------
    xarray.Dataset
        The input with the variables of the fit.

    Raises
    ------
    InputError
        If the Dataset holds no spectra.
    """
    if "eigenvalue" not in spectra or "layer" not in spectra.dims:
        raise InputError("the Dataset holds no 'eigenvalue' over 'layer'; give a result of measure or simulate")
    foreign = [str(dim) for dim in spectra["eigenvalue"].dims if dim not in (*_RUN_DIMS, "rank")]
    if foreign:
        raise UsageError(f"the spectra have the dims {foreign} beside {_RUN_DIMS}; select along them first")
    if threads is not None and threads < 1:
        raise UsageError(f"threads is {threads}; it must be at least 1")
    if not options.laws:
        raise UsageError("laws is empty; name one or more, such as ('gamma',)")
    dims = tuple(dim for dim in _RUN_DIMS if dim in spectra["eigenvalue"].dims)
    shape = tuple(spectra.sizes[dim] for dim in dims)
    variance = _reference_variance(spectra, reference, options)
    cells = list(np.ndindex(shape))
    done = 0

    def run(cell: tuple[int, ...]) -> SpectrumFit:
        return _fit_cell(spectra, dims, cell, options=options, seed=seed, reference=variance)

    fits = np.empty(shape, dtype=object)
    with ThreadPoolExecutor(max_workers=threads or os.cpu_count() or 1) as pool:
        for cell, fitted in zip(cells, pool.map(run, cells), strict=True):
            fits[cell] = fitted
            done += 1
            if progress is not None:
                progress(done, len(cells), str(spectra["layer"].values[cell[0]]))
    n_modes = max((fitted.bulk.n_outliers for fitted in fits.flat if fitted.bulk is not None), default=0)
    width = max(n_modes, 1, spectra["alignment"].sizes["mode"] if "alignment" in spectra else 0)
    arguments: dict[str, Any] = {"spectra": spectra, "seed": seed, "reference": reference, **vars(options)}
    return extend(
        spectra,
        _variables(fits, dims, options, width),
        coords=_coords(options, width),
        provenance=record("sdespec.fit", arguments),
        attrs={
            "fit_seed": seed,
            "min_tail": options.min_tail,
            "ks": options.ks,
            "edge": options.edge,
            "edge_level": 0.99,
            "level": options.level,
            "bootstrap": options.bootstrap,
            "calibration": options.calibration,
            "ci_kind": "bootstrap with re-searched threshold" if options.bootstrap else "exact at fixed threshold",
            "ci_prob": options.level,
        },
    )


def _fit_cell(
    spectra: xr.Dataset,
    dims: tuple[str, ...],
    cell: tuple[int, ...],
    *,
    options: FitOptions,
    seed: int,
    reference: Mapping[str, float],
) -> SpectrumFit:
    one = spectra.isel(dict(zip(dims, cell, strict=True)))
    name = str(one["layer"].values)
    status = str(one["status"].values) if "status" in one.coords else "ok"
    if status != "ok":
        return SpectrumFit(status=status)
    values = one["eigenvalue"].values
    values = values[np.isfinite(values)]
    null = None
    if "null_eigenvalue" in one:
        null = one["null_eigenvalue"].values[:, : len(values)]
    stream = np.random.SeedSequence([seed, zlib.crc32(name.encode()), *cell[1:]])
    return fit_spectrum(
        values,
        int(one["n_rows"]),
        int(one["n_cols"]),
        options=options,
        null=null,
        seed=int(stream.generate_state(1, np.uint64)[0] >> 1),
        reference_variance=reference.get(name, math.nan),
        initial=str(one["at_initialization"].values) if "at_initialization" in one else "",
    )


def _reference_variance(spectra: xr.Dataset, reference: xr.Dataset | None, options: FitOptions) -> dict[str, float]:
    """Bulk variance of each layer of the reference, by the same rule as in the fit."""
    source = reference
    if source is None:
        if "time" not in spectra["eigenvalue"].dims:
            return {}
        source = spectra.isel(time=0)
    elif "time" in source.dims:
        source = source.isel(time=0)
    out = {}
    shapes = {
        str(name): (int(n_rows), int(n_cols))
        for name, n_rows, n_cols in zip(
            spectra["layer"].values, spectra["n_rows"].values, spectra["n_cols"].values, strict=True
        )
    }
    if reference is not None and not shapes.keys() & set(map(str, source["layer"].values)):
        raise InputError("the reference has none of the layers of the spectra")
    for index, name in enumerate(map(str, source["layer"].values)):
        values = source["eigenvalue"].isel(layer=index).values
        values = values.reshape(-1, values.shape[-1])[0]
        values = values[np.isfinite(values)]
        n_rows, n_cols = int(source["n_rows"][index]), int(source["n_cols"][index])
        here = shapes.get(name)
        if here is not None and len(values) and sorted(here) != sorted((n_rows, n_cols)):
            raise InputError(f"layer {name!r} is {here[0]} x {here[1]}, but {n_rows} x {n_cols} in the reference")
        if len(values) == min(n_rows, n_cols) and values[0] > 0.0:
            out[name] = outliers(values, n_rows, n_cols, edge=options.edge).variance
    return out


def _coords(options: FitOptions, width: int) -> dict[str, tuple[Sequence[str], Any]]:
    return {
        "law": (("law",), list(options.laws)),
        "parameter": (("parameter",), list(_parameters(options))),
        "mode": (("mode",), np.arange(width)),
        "side": (("side",), ["lower", "upper"]),
        "ci_bound": (("ci_bound",), ["lower", "upper"]),
    }


def _parameters(options: FitOptions) -> tuple[str, ...]:
    used = [name for law_name in options.laws for name in law_class(law_name).parameter_names()]
    return tuple(dict.fromkeys([*(p for p in _PARAMETERS if p in used), *used]))


def _column(
    fits: np.ndarray, get: Callable[[SpectrumFit], Any], inner: tuple[int, ...] = (), kind: str = "float"
) -> np.ndarray:
    """One variable over all fits."""
    dtype: Any = {"float": np.float64, "int": np.int64, "text": object}[kind]
    out = np.empty(fits.shape + inner, dtype=dtype)
    for cell in np.ndindex(fits.shape):
        out[cell] = get(fits.item(*cell))
    return out


def _bulk_columns(fits: np.ndarray, dims: tuple[str, ...], width: int) -> dict[str, tuple[Sequence[str], Any]]:
    def modes(f: SpectrumFit) -> np.ndarray:
        row = np.full(width, np.nan)
        if f.bulk is not None:
            row[: f.bulk.n_outliers] = f.bulk.outlier
        return row

    def edges(f: SpectrumFit) -> tuple[float, float]:
        return f.bulk.bulk_edge if f.bulk is not None and f.bulk.identifiable else (math.nan, math.nan)

    def of(name: str) -> Callable[[SpectrumFit], float]:
        return lambda f: math.nan if f.bulk is None else float(getattr(f.bulk, name))

    return {
        "n_outliers_shuffled": (dims, _column(fits, lambda f: f.n_outliers_shuffled, kind="int")),
        "n_outliers": (dims, _column(fits, lambda f: 0 if f.bulk is None else f.bulk.n_outliers, kind="int")),
        "outlier": ((*dims, "mode"), _column(fits, modes, (width,))),
        "variance": (dims, _column(fits, of("variance"))),
        "outlier_energy": (dims, _column(fits, of("outlier_energy"))),
        "outlier_cutoff": (dims, _column(fits, of("cutoff"))),
        "bulk_edge": ((*dims, "side"), _column(fits, edges, (2,))),
    }


def _tail_columns(fits: np.ndarray, dims: tuple[str, ...]) -> dict[str, tuple[Sequence[str], Any]]:
    def of(name: str) -> Callable[[SpectrumFit], float]:
        return lambda f: math.nan if f.tail is None else float(getattr(f.tail, name))

    def interval(f: SpectrumFit) -> tuple[float, float]:
        return (math.nan, math.nan) if f.tail is None else f.tail.interval

    return {
        "tail_exponent": (dims, _column(fits, of("exponent"))),
        "tail_exponent_corrected": (dims, _column(fits, of("exponent_corrected"))),
        "tail_interval": ((*dims, "ci_bound"), _column(fits, interval, (2,))),
        "threshold": (dims, _column(fits, of("threshold"))),
        "n_tail": (dims, _column(fits, lambda f: 0 if f.tail is None else f.tail.n_tail, kind="int")),
        "tail_decades": (dims, _column(fits, of("decades"))),
        "ks_distance": (dims, _column(fits, of("ks_distance"))),
    }


def _law_columns(fits: np.ndarray, dims: tuple[str, ...], options: FitOptions) -> dict[str, tuple[Sequence[str], Any]]:
    parameters = _parameters(options)
    n_laws, n_parameters = len(options.laws), len(parameters)

    def estimates(f: SpectrumFit) -> np.ndarray:
        out = np.full((n_laws, n_parameters), np.nan)
        for i, name in enumerate(options.laws):
            if name in f.laws:
                for key, value in f.laws[name].parameters.items():
                    out[i, parameters.index(key)] = value
        return out

    def intervals(f: SpectrumFit) -> np.ndarray:
        out = np.full((n_laws, n_parameters, 2), np.nan)
        for i, name in enumerate(options.laws):
            if name in f.laws:
                for key, bounds in f.laws[name].intervals.items():
                    out[i, parameters.index(key)] = bounds
        return out

    def each(get: Callable[[SpectrumFit, str], float]) -> Callable[[SpectrumFit], np.ndarray]:
        return lambda f: np.array([get(f, name) if name in f.laws else math.nan for name in options.laws])

    inner = (n_laws,)
    return {
        "parameter_estimate": (
            (*dims, "law", "parameter"),
            _column(fits, estimates, (n_laws, n_parameters)),
        ),
        "parameter_interval": (
            (*dims, "law", "parameter", "ci_bound"),
            _column(fits, intervals, (n_laws, n_parameters, 2)),
        ),
        "log_likelihood": ((*dims, "law"), _column(fits, each(lambda f, n: f.laws[n].log_likelihood), inner)),
        "law_ks_distance": ((*dims, "law"), _column(fits, each(lambda f, n: f.laws[n].ks_distance), inner)),
        "p_value": ((*dims, "law"), _column(fits, each(lambda f, n: f.law_p_values[n]), inner)),
    }


def _variables(
    fits: np.ndarray, dims: tuple[str, ...], options: FitOptions, width: int
) -> dict[str, tuple[Sequence[str], Any]]:
    out = _bulk_columns(fits, dims, width) | _tail_columns(fits, dims) | _law_columns(fits, dims, options)
    for name in (
        "ks_mp",
        "ks_mp_rest",
        "ks_mp_shuffled",
        "ks_mp_null_quantile",
        "tail_p_value",
        "tail_exponent_shuffled",
        "tail_z_exponential",
        "tail_z_null_quantile",
    ):
        out[name] = (dims, _column(fits, operator.attrgetter(name)))
    out["regime"] = (dims, _column(fits, lambda f: "" if f.regime is None else f.regime.name, kind="text"))
    out["verdict_text"] = (dims, _column(fits, lambda f: f.verdict, kind="text"))
    out["preferred_law"] = (dims, _column(fits, lambda f: f.preferred_law, kind="text"))
    out["fit_status"] = (dims, _column(fits, lambda f: f.status, kind="text"))
    return out

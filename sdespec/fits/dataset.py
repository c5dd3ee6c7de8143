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
from sdespec.fits.likelihood import law_parameters
from sdespec.fits.spectrum import fit_spectrum
from sdespec.fits.spectrum_fit import FitOptions, SpectrumFit

__all__ = ["Progress", "fit_dataset"]

Progress = Callable[[int, int, str], None]

_RUN_DIMS = ("layer", "replicate", "time")
_EVIDENCE = {
    "tail_p_value": "power_law",
    "tail_p_against_log_normal": "against_log_normal",
    "tail_p_against_cutoff": "against_cutoff",
    "log_normal_p_value": "log_normal",
    "cutoff_p_value": "cutoff",
}
_PARAMETERS = ("shape", "scale", "exponent", "minimum")


def fit_dataset(
    spectra: xr.Dataset,
    *,
    options: FitOptions,
    seed: int = 0,
    threads: int | None = None,
    reference: xr.Dataset | None = None,
    pool: Sequence[str] = (),
    progress: Progress | None = None,
) -> xr.Dataset:
    """Fit each spectrum (layer, replicate, time) of a Dataset, or pools of them.

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
    pool : sequence of str
        Dims among ``replicate`` and ``time`` whose spectra are fitted jointly, as independent matrices.
    progress : callable, optional
        Called with (done, total, layer).

    Returns
    -------
    xarray.Dataset
        The input with the variables of the fit; they do not have the pooled dims.

    Raises
    ------
    InputError
        If the Dataset holds no spectra.
    UsageError
        If a dim or an option is not allowed.
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
    pooled = _check_pool(spectra, pool)
    dims = tuple(dim for dim in _RUN_DIMS if dim in spectra["eigenvalue"].dims and dim not in pooled)
    shape = tuple(spectra.sizes[dim] for dim in dims)
    variance = {} if reference is None and "time" in pooled else _reference_variance(spectra, reference, options)
    cells = list(np.ndindex(shape))
    done = 0

    def run(cell: tuple[int, ...]) -> SpectrumFit:
        return _fit_cell(spectra, dims, cell, options=options, seed=seed, reference=variance)

    fits = np.empty(shape, dtype=object)
    with ThreadPoolExecutor(max_workers=threads or os.cpu_count() or 1) as executor:
        for cell, fitted in zip(cells, executor.map(run, cells), strict=True):
            fits[cell] = fitted
            done += 1
            if progress is not None:
                progress(done, len(cells), str(spectra["layer"].values[cell[0]]))
    n_modes = max((fitted.bulk.n_outliers for fitted in fits.flat if fitted.bulk is not None), default=0)
    width = max(n_modes, 1, spectra["alignment"].sizes["mode"] if "alignment" in spectra else 0)
    arguments: dict[str, Any] = {"spectra": spectra, "seed": seed, "reference": reference, **vars(options)}
    arguments |= {"pool": pooled} if pooled else {}
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
            "ci_kind": _tail_ci_kind(options),
            "ci_prob": options.level,
            "parameter_ci_kind": _parameter_ci_kind(options),
            "pool": " ".join(pooled),
        },
    )


def _tail_ci_kind(options: FitOptions) -> str:
    """Where the interval of the exponent comes from; a threshold that is given is not searched again."""
    searched = options.bootstrap and options.threshold is None
    return "bootstrap with re-searched threshold" if searched else "exact at fixed threshold"


def _parameter_ci_kind(options: FitOptions) -> str:
    """Where the intervals of the parameters of whole-spectrum laws come from."""
    if options.bootstrap == 0:
        return "likelihood, independent values"
    return "draws of whole spectra" if options.calibration == "ensemble" else "draws of independent values"


def _check_pool(spectra: xr.Dataset, pool: Sequence[str]) -> tuple[str, ...]:
    """Dims to be pooled, in the order of the Dataset."""
    if isinstance(pool, str):
        raise UsageError(f"pool is {pool!r}; give the dims as a sequence, such as pool=({pool!r},)")
    for dim in pool:
        if dim == "layer":
            raise UsageError("layers are not pooled: their scales and shapes differ; rescale and join them first")
        if dim not in _RUN_DIMS or dim not in spectra["eigenvalue"].dims:
            present = [str(d) for d in spectra["eigenvalue"].dims if d in _RUN_DIMS[1:]]
            raise UsageError(f"pool names {dim!r}, which is no dim of the spectra; allowed here: {present}")
    return tuple(dim for dim in _RUN_DIMS if dim in pool)


def _rows(array: xr.DataArray) -> np.ndarray:
    """Spectra without padding, one row each; rows without any value are left out, unless there is no other."""
    values = array.values.reshape(-1, array.sizes["rank"])
    values = values[np.isfinite(values).any(axis=1)]
    values = values[:, np.isfinite(values).any(axis=0)]
    return np.asarray(values if len(values) else np.empty((1, 0)))


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
    values = _rows(one["eigenvalue"])
    null = None
    if "null_eigenvalue" in one:
        null = one["null_eigenvalue"].values.reshape(-1, one.sizes["rank"])[:, : values.shape[1]]
    stream = np.random.SeedSequence([seed, zlib.crc32(name.encode()), *cell[1:]])
    return fit_spectrum(
        values,
        int(one["n_rows"]),
        int(one["n_cols"]),
        options=options,
        null=null,
        seed=int(stream.generate_state(1, np.uint64)[0] >> 1),
        reference_variance=reference.get(name, math.nan),
        initial=_initial(one),
    )


def _initial(one: xr.Dataset) -> str:
    """The initial law that the entries still fill, where all pooled matrices agree."""
    if "at_initialization" not in one:
        return ""
    names = set(one["at_initialization"].values.ravel().astype(str))
    return names.pop() if len(names) == 1 else ""


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
    used = [name for law_name in options.laws for name in law_parameters(law_name)]
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

    def strengths(f: SpectrumFit) -> np.ndarray:
        row = np.full(width, np.nan)
        if f.spikes is not None:
            row[: len(f.spikes.strength)] = f.spikes.strength
        return row

    def strength_intervals(f: SpectrumFit) -> np.ndarray:
        row = np.full((width, 2), np.nan)
        if f.spikes is not None:
            row[: len(f.spikes.strength)] = f.spikes.interval
        return row

    def spikes(name: str) -> Callable[[SpectrumFit], float]:
        return lambda f: math.nan if f.spikes is None else float(getattr(f.spikes, name))

    def edges(f: SpectrumFit) -> tuple[float, float]:
        return f.bulk.bulk_edge if f.bulk is not None and f.bulk.identifiable else (math.nan, math.nan)

    def of(name: str) -> Callable[[SpectrumFit], float]:
        return lambda f: math.nan if f.bulk is None else float(getattr(f.bulk, name))

    return {
        "n_outliers_shuffled": (dims, _column(fits, lambda f: f.n_outliers_shuffled, kind="int")),
        "n_outliers": (dims, _column(fits, lambda f: 0 if f.bulk is None else f.bulk.n_outliers, kind="int")),
        "outlier": ((*dims, "mode"), _column(fits, modes, (width,))),
        "variance": (dims, _column(fits, of("variance"))),
        "variance_interval": ((*dims, "ci_bound"), _column(fits, operator.attrgetter("variance_interval"), (2,))),
        "outlier_energy": (dims, _column(fits, of("outlier_energy"))),
        "outlier_cutoff": (dims, _column(fits, of("cutoff"))),
        "spike_strength": ((*dims, "mode"), _column(fits, strengths, (width,))),
        "spike_strength_interval": ((*dims, "mode", "ci_bound"), _column(fits, strength_intervals, (width, 2))),
        "spike_undetected": (dims, _column(fits, spikes("undetected"))),
        "spike_threshold": (dims, _column(fits, spikes("threshold"))),
        "n_below": (dims, _column(fits, lambda f: 0 if f.bulk is None else f.bulk.n_below, kind="int")),
        "lower_cutoff": (dims, _column(fits, of("lower_cutoff"))),
        "bulk_edge": ((*dims, "side"), _column(fits, edges, (2,))),
    }


def _tail_columns(fits: np.ndarray, dims: tuple[str, ...]) -> dict[str, tuple[Sequence[str], Any]]:
    def of(part: str, name: str) -> Callable[[SpectrumFit], float]:
        return lambda f: math.nan if getattr(f, part) is None else float(getattr(getattr(f, part), name))

    def count(part: str, name: str) -> Callable[[SpectrumFit], int]:
        return lambda f: 0 if getattr(f, part) is None else int(getattr(getattr(f, part), name))

    def interval(part: str) -> Callable[[SpectrumFit], tuple[float, float]]:
        return lambda f: (math.nan, math.nan) if getattr(f, part) is None else getattr(f, part).interval

    bounds = (*dims, "ci_bound")
    return {
        "tail_exponent": (dims, _column(fits, of("tail", "exponent"))),
        "tail_exponent_corrected": (dims, _column(fits, of("tail", "exponent_corrected"))),
        "tail_interval": (bounds, _column(fits, interval("tail"), (2,))),
        "threshold": (dims, _column(fits, of("tail", "threshold"))),
        "n_tail": (dims, _column(fits, count("tail", "n_tail"), kind="int")),
        "tail_decades": (dims, _column(fits, of("tail", "decades"))),
        "ks_distance": (dims, _column(fits, of("tail", "ks_distance"))),
        "calibrated_exponent": (dims, _column(fits, of("calibrated", "exponent"))),
        "calibrated_interval": (bounds, _column(fits, interval("calibrated"), (2,))),
        "calibrated_threshold": (dims, _column(fits, of("calibrated", "threshold"))),
        "n_calibrated": (dims, _column(fits, count("calibrated", "n_tail"), kind="int")),
        "n_accepted": (dims, _column(fits, count("calibrated", "n_accepted"), kind="int")),
        "spliced_exponent": (dims, _column(fits, of("spliced", "exponent"))),
        "spliced_interval": (bounds, _column(fits, interval("spliced"), (2,))),
        "spliced_threshold": (dims, _column(fits, of("spliced", "threshold"))),
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
        "law_note": (
            (*dims, "law"),
            _column(fits, lambda f: np.array([f.law_notes.get(n, "") for n in options.laws], object), inner, "text"),
        ),
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
        "no_tail_p_value",
        "tail_exponent_without_largest",
        "tail_exponent_shuffled",
        "tail_z_exponential",
        "tail_z_null_quantile",
    ):
        out[name] = (dims, _column(fits, operator.attrgetter(name)))
    for variable, name in _EVIDENCE.items():
        out[variable] = (dims, _column(fits, operator.attrgetter(f"tail_evidence.{name}")))
    out["regime"] = (dims, _column(fits, lambda f: "" if f.regime is None else f.regime.name, kind="text"))
    out["regime_reason"] = (dims, _column(fits, lambda f: "" if f.regime is None else f.regime.reason, kind="text"))
    out["tail_note"] = (dims, _column(fits, lambda f: f.tail_note, kind="text"))
    out["verdict_text"] = (dims, _column(fits, lambda f: f.verdict, kind="text"))
    out["preferred_law"] = (dims, _column(fits, lambda f: f.preferred_law, kind="text"))
    out["fit_status"] = (dims, _column(fits, lambda f: f.status, kind="text"))
    return out

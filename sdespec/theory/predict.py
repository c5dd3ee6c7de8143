"""Predict the Dataset that a simulation of the linear SDE should give."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from sdespec.core.dataset import build
from sdespec.core.errors import UsageError
from sdespec.core.linalg import eigenvalues
from sdespec.core.provenance import record
from sdespec.models import MatrixSGD
from sdespec.theory._process import LinearModel, Process, checked_grid, clock_of, process_of
from sdespec.theory.density import SpectralLaw, spectral_law
from sdespec.theory.moments import log_elementary_moment, trace_mean, trace_variance
from sdespec.theory.predict_matrix import predict_matrix

__all__ = ["predict"]

_GRID = 400
_SPIKE_SHARE = 0.05


def predict(
    model: LinearModel,
    times: Sequence[float] | np.ndarray,
    *,
    initial: Any = None,
    grid: np.ndarray | None = None,
) -> xr.Dataset:
    r"""Exact moments, and density, edges and outliers for large matrices, of the linear SDE at given times.

    Parameters
    ----------
    model : DysonLaguerre or MatrixSGD
        The process; nothing is simulated.
    times : sequence of float, (k,)
        Increasing, at least 0; may end in ``inf`` where a stationary law exists.
    initial : None, "stationary", array or Dataset
        Start: zero, the stationary law, a matrix (n_rows, n_cols), or eigenvalues (rank,) as a mapping or Dataset
        with ``eigenvalue``; a Dataset with a time dim gives its last time.
    grid : ndarray, optional
        Eigenvalues at which the density is given; 400 points over the support of all times by default.

    Returns
    -------
    xarray.Dataset
        ``trace_mean, trace_variance, log_elementary_moment, density, atom, bulk_edge, n_outliers, outlier``, dims
        (layer, time, ...). At time 0 the spectrum is what was given: density and edges are missing there.

    Raises
    ------
    UsageError
        If the times or the start are not allowed.

    Notes
    -----
    Moments are exact for every size and beta. Density, edges and outliers are those of large matrices, with
    corrections of order 1/n; they do not depend on beta beyond the factor it gives to the variance. Where at most
    5 % of the initial eigenvalues are not zero, these are spikes, whose mass vanishes in the bulk; otherwise the
    empirical law of all of them is the initial law, and there are no outliers.

    A MatrixSGD with a QuadraticLoss or separable noise is a Gaussian matrix with a mean and a covariance: trace,
    density, edges and outliers, from an initial *matrix*; only the trace where several noises are not separable
    together. Noise that multiplies the matrix has the mean of the trace; without a loss and beside isotropic noise also
    its variance and, for noise on one side, the density of the stationary law. Other losses have no theory.

    References
    ----------
    Dozier and Silverstein (2007), for the density; Bru (1991), for the process.

    Examples
    --------
    >>> from sdespec.models import DysonLaguerre
    >>> model = DysonLaguerre(n_rows=32, n_cols=64, weight_decay=1.0, diffusion=0.3)
    >>> float(predict(model, [0.5, float("inf")]).trace_mean[0, 1])
    614.4
    """
    if isinstance(model, MatrixSGD) and not model.linear_isotropic:
        return predict_matrix(model, times, initial=initial, grid=grid)
    process = process_of(model)
    clock = clock_of(times)
    if math.isinf(clock[-1]):
        process.require_stationary()
    start, stationary = _initial(initial, process)
    if stationary:
        process.require_stationary()
    laws = [_law(process, time, start, stationary) for time in clock]
    points = _grid(laws, start, grid)
    spikes = np.empty(0) if stationary else _spikes(start)
    n_modes = max(len(spikes), 1)
    outlier = np.full((1, len(clock), n_modes), np.nan)
    edges = np.full((1, len(clock), 2), np.nan)
    density = np.full((1, len(clock), len(points)), np.nan)
    for i, (time, law) in enumerate(zip(clock, laws, strict=True)):
        if law is None:
            continue
        edges[0, i] = law.edges
        density[0, i] = law.density(points)
        places = [law.outlier(process.decay(time) * spike) for spike in spikes]
        found = sorted((place for place in places if math.isfinite(place)), reverse=True)
        outlier[0, i, : len(found)] = found
    at = [math.inf if stationary else time for time in clock]
    run = ("layer", "time")
    return build(
        {
            "trace_mean": (run, [[trace_mean(model, time, start) for time in at]]),
            "trace_variance": (run, [[trace_variance(model, time, start) for time in at]]),
            "log_elementary_moment": ((*run, "order"), [[log_elementary_moment(model, time, start) for time in at]]),
            "density": ((*run, "x"), density),
            "atom": (run, np.zeros((1, len(clock)))),
            "bulk_edge": ((*run, "side"), edges),
            "outlier": ((*run, "mode"), outlier),
            "n_outliers": (run, np.isfinite(outlier).sum(-1)),
        },
        {
            "layer": (("layer",), ["W"]),
            "n_rows": (("layer",), [int(model.n_rows)]),
            "n_cols": (("layer",), [int(model.n_cols)]),
            "matrix": (("layer",), ["W"]),
            "time": (("time",), clock, {"clock": "learning_rate*step"}),
            "x": (("x",), points),
            "order": (("order",), np.arange(process.n + 1)),
            "side": (("side",), ["lower", "upper"]),
            "mode": (("mode",), np.arange(n_modes)),
        },
        source="predict",
        provenance=record(
            "sdespec.predict", {"model": repr(model), "digest": model.digest, "times": clock, "initial": initial}
        ),
        attrs={"model": repr(model), "model_digest": model.digest},
    )


def _initial(initial: Any, process: Process) -> tuple[np.ndarray | None, bool]:
    """Initial eigenvalues, descending, and whether the start is the stationary law."""
    if initial is None:
        return None, False
    if isinstance(initial, str):
        if initial != "stationary":
            raise UsageError(f"initial is {initial!r}; the only text allowed is 'stationary'")
        return None, True
    if isinstance(initial, (xr.Dataset, Mapping)):
        values = _from_mapping(initial)
    else:
        matrix = np.asarray(initial, dtype=np.float64)
        if matrix.ndim != 2:
            raise UsageError(f"initial has the shape {matrix.shape}; a prediction starts from one matrix")
        values = eigenvalues(matrix)
    if values.shape != (process.n,):
        raise UsageError(f"initial has {values.shape} eigenvalues; exactly {process.n} are needed")
    if not np.isfinite(values).all() or values.min() < 0.0:
        raise UsageError("the initial eigenvalues must be finite and at least 0")
    return np.sort(values)[::-1], False


def _from_mapping(initial: Any) -> np.ndarray:
    given = [name for name in ("eigenvalue", "weight") if name in initial]
    if len(given) != 1:
        raise UsageError(f"initial holds {given}; give exactly one of 'eigenvalue' and 'weight'")
    entry = initial[given[0]]
    if isinstance(entry, xr.DataArray):
        for dim in ("time", "layer", "replicate"):
            if dim in entry.dims:
                if dim != "time" and entry.sizes[dim] != 1:
                    raise UsageError(
                        f"initial has {entry.sizes[dim]} entries along {dim!r}; a prediction starts from one"
                    )
                entry = entry.isel({dim: -1})
    values = np.asarray(entry, dtype=np.float64)
    if values.ndim == 2 and given[0] == "eigenvalue" and len(values) == 1:
        values = values[0]
    return eigenvalues(values) if given[0] == "weight" else values


def _spikes(start: np.ndarray | None) -> np.ndarray:
    """Initial eigenvalues that are few enough to have a vanishing mass."""
    if start is None:
        return np.empty(0)
    large = start[start > 1e-12 * max(float(start[0]), 1e-300)]
    return large if 0 < len(large) <= max(1.0, _SPIKE_SHARE * len(start)) and len(start) > 1 else np.empty(0)


def _law(process: Process, time: float, start: np.ndarray | None, stationary: bool) -> SpectralLaw | None:
    """Limit law at a time; none at time 0, where the spectrum is what was given."""
    at = math.inf if stationary else time
    variance = process.beta * process.variance(at)
    if variance == 0.0:
        return None
    bulk = np.zeros(process.n) if start is None or len(_spikes(start)) else start
    return spectral_law(process.decay(at) * bulk, process.n, process.m, variance)


def _grid(laws: Sequence[SpectralLaw | None], start: np.ndarray | None, grid: np.ndarray | None) -> np.ndarray:
    if grid is not None:
        return checked_grid(grid)
    ends = [law.edges for law in laws if law is not None]
    if not ends:
        top = 1.0 if start is None else max(float(start[0]), 1.0)
        return np.linspace(0.0, top, _GRID)
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    return np.linspace(max(low - 0.02 * (high - low), 1e-6 * high), high * 1.02, _GRID)

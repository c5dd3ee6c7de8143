"""Predict spectra of a weight matrix under any linear drift, and under noise that multiplies it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from sdespec.core.dataset import build
from sdespec.core.errors import UsageError
from sdespec.core.provenance import record
from sdespec.laws import GaussianMatrixEnsemble, MatrixFEnsemble
from sdespec.models import (
    IsotropicNoise,
    LeftMultiplicativeNoise,
    MatrixSGD,
    QuadraticLoss,
    RightMultiplicativeNoise,
    ScalarMultiplicativeNoise,
    SeparableNoise,
)
from sdespec.theory._process import checked_grid, clock_of
from sdespec.theory.equivalent import GaussianEquivalent, gaussian_equivalent
from sdespec.theory.trace_moments import trace_mean_of, trace_variance_of
from sdespec.theory.transition import GaussianTransition, linear_transition

__all__ = ["MatrixProcess", "matrix_process", "predict_matrix"]

_GRID = 300


@dataclass(frozen=True, eq=False)
class MatrixProcess:
    """A MatrixSGD in numbers.

    Attributes
    ----------
    model : MatrixSGD
        The model.
    decay, force : ndarray, (m, m) and (n, m)
        Drift F - W K.
    additive : tuple of (ndarray (n, n), ndarray (m, m))
        Covariances of the additive noises, per unit of time.
    right, left, scalar : float
        Diffusions of the noises that multiply the matrix.
    """

    model: MatrixSGD
    decay: np.ndarray
    force: np.ndarray
    additive: tuple[tuple[np.ndarray, np.ndarray], ...]
    right: float
    left: float
    scalar: float

    @property
    def multiplicative(self) -> bool:
        """Whether any noise multiplies the matrix."""
        return self.right > 0.0 or self.left > 0.0 or self.scalar > 0.0

    def transition(self, start: np.ndarray, time: float) -> GaussianTransition:
        """Law at a time from a matrix, where no noise multiplies it."""
        return linear_transition(start, time, decay=self.decay, force=self.force, noises=self.additive)

    def trace_mean(self, start: np.ndarray, time: float) -> float:
        r"""Mean trace where noise multiplies the matrix; infinite where it grows for ever.

        Without a loss :math:`\dot E = (-2g + 2 k_R m + 2 k_L n + 2 d) E + \mathrm{tr} A\, \mathrm{tr} C`.
        """
        if self.model.loss is None:
            n, m = start.shape
            rate = 2.0 * (self.right * m + self.left * n + self.scalar - self.model.weight_decay)
            gain = sum(float(np.trace(rows) * np.trace(cols)) for rows, cols in self.additive)
            if math.isinf(time):
                return -gain / rate if rate < 0.0 else math.inf
            grown = math.expm1(rate * time) / rate if rate else time
            return math.exp(rate * time) * float((start**2).sum()) + gain * grown
        added = sum((float(np.trace(rows)) * cols for rows, cols in self.additive), np.zeros_like(self.decay))
        strengths = {"right": self.right, "left": self.left, "scalar": self.scalar}
        return trace_mean_of(start, time, decay=self.decay, force=self.force, added=added, **strengths)

    def trace_variance(self, start: np.ndarray, time: float) -> float | None:
        """Variance of the trace where noise multiplies the matrix; known beside isotropic noise, without a loss."""
        model = self.model
        if model.loss is not None or model.of_kind(SeparableNoise):
            return None
        diffusion = sum(noise.diffusion for noise in model.of_kind(IsotropicNoise))
        strengths = {"right": self.right, "left": self.left, "scalar": self.scalar}
        return trace_variance_of(start, time, decay=model.weight_decay, diffusion=diffusion, **strengths)

    def stationary(self) -> GaussianMatrixEnsemble | MatrixFEnsemble:
        """Stationary ensemble.

        Raises
        ------
        UsageError
            If there is none, or none is known in closed form.
        """
        model = self.model
        model.require_stationary()
        if not self.multiplicative:
            return self.transition(np.zeros((model.n_rows, model.n_cols)), math.inf).ensemble
        others = (SeparableNoise, ScalarMultiplicativeNoise)
        isotropic = model.loss is None and not any(isinstance(noise, others) for noise in model.noises)
        diffusion = sum(float(rows[0, 0] * cols[0, 0]) for rows, cols in self.additive) / 2.0
        if isotropic and diffusion > 0.0 and (self.right == 0.0 or self.left == 0.0):
            n, m, k = model.n_rows, model.n_cols, self.right + self.left
            # noise on the left is that on the right of the transpose, whose spectrum is the same
            degrees = model.weight_decay / k + 1.0 + (n - m if self.right else 0)
            return MatrixFEnsemble(n, m, degrees, diffusion / k)
        raise UsageError(
            "the stationary ensemble is known for additive noise, and without a loss for isotropic noise beside noise "
            "that multiplies the matrix from one side; simulate the other ones"
        )


def matrix_process(model: MatrixSGD) -> MatrixProcess:
    """Numbers of a model.

    Parameters
    ----------
    model : MatrixSGD
        With no loss or a QuadraticLoss.

    Returns
    -------
    MatrixProcess

    Raises
    ------
    UsageError
        If its drift is not linear.
    """
    n, m = model.n_rows, model.n_cols
    additive: list[tuple[np.ndarray, np.ndarray]] = []
    strength = {RightMultiplicativeNoise: 0.0, LeftMultiplicativeNoise: 0.0, ScalarMultiplicativeNoise: 0.0}
    for noise in model.noises:
        if isinstance(noise, IsotropicNoise):
            additive.append((np.eye(n), 2.0 * noise.diffusion * np.eye(m)))
        elif isinstance(noise, SeparableNoise):
            additive.append((np.asarray(noise.row_covariance), np.asarray(noise.col_covariance)))
        else:
            strength[type(noise)] += noise.diffusion
    decay, force = model.weight_decay * np.eye(m), np.zeros((n, m))
    if isinstance(model.loss, QuadraticLoss):
        decay = decay + model.loss.curvature
        force = model.loss.target @ model.loss.curvature
    elif model.loss is not None:
        raise UsageError(f"loss is {model.loss!r}; only None and QuadraticLoss have a theory: simulate the other ones")
    right, left, scalar = strength.values()
    return MatrixProcess(model, decay, force, tuple(additive), right, left, scalar)


def predict_matrix(
    model: MatrixSGD, times: Sequence[float] | np.ndarray, *, initial: Any = None, grid: np.ndarray | None = None
) -> xr.Dataset:
    """Trace, and density, edges and outliers where they are known; see ``sdespec.theory.predict``."""
    process = matrix_process(model)
    clock = clock_of(times)
    start, stationary = _start(initial, model)
    at = [math.inf if stationary else float(time) for time in clock]
    if process.multiplicative:
        variables, points = _multiplicative(process, start, at, grid)
    else:
        variables, points = _gaussian(process, start, at, grid)
    coords: dict[str, Any] = {
        "layer": (("layer",), ["W"]),
        "n_rows": (("layer",), [model.n_rows]),
        "n_cols": (("layer",), [model.n_cols]),
        "matrix": (("layer",), ["W"]),
        "time": (("time",), clock, {"clock": "learning_rate*step"}),
    }
    if points is not None:
        coords |= {"x": (("x",), points), "side": (("side",), ["lower", "upper"])}
    if "outlier" in variables:
        coords["mode"] = (("mode",), np.arange(variables["outlier"][1].shape[2]))
    return build(
        variables,
        coords,
        source="predict",
        provenance=record(
            "sdespec.predict", {"model": repr(model), "digest": model.digest, "times": clock, "initial": initial}
        ),
        attrs={"model": repr(model), "model_digest": model.digest},
    )


def _start(initial: Any, model: MatrixSGD) -> tuple[np.ndarray, bool]:
    """Matrix at time 0, and whether the start is the stationary law."""
    shape = (model.n_rows, model.n_cols)
    if initial is None or isinstance(initial, str):
        if isinstance(initial, str) and initial != "stationary":
            raise UsageError(f"initial is {initial!r}; the only text allowed is 'stationary'")
        return np.zeros(shape), initial is not None
    if isinstance(initial, (xr.Dataset, Mapping)):
        if "weight" not in initial:
            raise UsageError(
                "initial has no 'weight'; under a loss or such noise spectra depend on singular vectors: give matrices"
            )
        entry = initial["weight"]
        if isinstance(entry, xr.DataArray):
            entry = entry.isel({dim: -1 for dim in ("layer", "time") if dim in entry.dims}).squeeze(drop=True)
        initial = entry
    matrix = np.asarray(initial, dtype=np.float64)
    if matrix.shape != shape or not np.isfinite(matrix).all():
        raise UsageError(f"initial has the shape {matrix.shape}; a prediction starts from one finite {shape} matrix")
    return matrix, False


def _gaussian(
    process: MatrixProcess, start: np.ndarray, at: list[float], grid: np.ndarray | None
) -> tuple[dict[str, Any], np.ndarray | None]:
    """Everything of a Gaussian matrix; the trace alone where its covariance is not separable."""
    found = [process.transition(start, time) for time in at]
    run = ("layer", "time")
    trace: dict[str, Any] = {
        "trace_mean": (run, [[law.trace_mean for law in found]]),
        "trace_variance": (run, [[law.trace_variance for law in found]]),
    }
    if not all(law.is_separable for law in found):
        return trace, None
    noisy = [law for law in found if any(rows.any() and cols.any() for rows, cols in law.covariances)]
    laws = {id(law): gaussian_equivalent(law.ensemble) for law in noisy}
    edges = {key: law.edges for key, law in laws.items()}
    points = _grid(list(edges.values()), start, grid)
    places = {key: law.outliers for key, law in laws.items()}
    width = max([1, *(len(values) for values in places.values())])
    outlier = np.full((1, len(at), width), np.nan)
    density, ends = np.full((1, len(at), len(points)), np.nan), np.full((1, len(at), 2), np.nan)
    for i, law in enumerate(found):
        if id(law) in laws:
            density[0, i], ends[0, i] = laws[id(law)].density(points), edges[id(law)]
            outlier[0, i, : len(places[id(law)])] = places[id(law)]
    return trace | {
        "density": ((*run, "x"), density),
        "atom": (run, np.zeros((1, len(at)))),
        "bulk_edge": ((*run, "side"), ends),
        "outlier": ((*run, "mode"), outlier),
        "n_outliers": (run, np.isfinite(outlier).sum(-1)),
    }, points


def _multiplicative(
    process: MatrixProcess, start: np.ndarray, at: list[float], grid: np.ndarray | None
) -> tuple[dict[str, Any], np.ndarray | None]:
    """Moments of the trace, and the density of the stationary law where it is known."""
    run = ("layer", "time")
    variables: dict[str, Any] = {"trace_mean": (run, [[process.trace_mean(start, time) for time in at]])}
    spread = [process.trace_variance(start, time) for time in at]
    if None not in spread:
        variables["trace_variance"] = (run, [spread])
    if not any(math.isinf(time) for time in at):
        return variables, None
    process.model.require_stationary()
    try:
        ensemble = process.stationary()
    except UsageError:  # it exists, but its density is not known
        return variables, None
    bulk = ensemble.bulk if isinstance(ensemble, MatrixFEnsemble) else gaussian_equivalent(ensemble)
    ends = bulk.edges if isinstance(bulk, GaussianEquivalent) else bulk.support()
    points = _grid([ends], start, grid)
    density, edge = np.full((1, len(at), len(points)), np.nan), np.full((1, len(at), 2), np.nan)
    for i, time in enumerate(at):
        if math.isinf(time):
            density[0, i] = bulk.density(points) if isinstance(bulk, GaussianEquivalent) else bulk.pdf(points)
            edge[0, i] = ends
    variables["density"] = ((*run, "x"), density)
    variables["atom"] = (run, np.zeros((1, len(at))))
    variables["bulk_edge"] = ((*run, "side"), edge)
    return variables, points


def _grid(ends: list[tuple[float, float]], start: np.ndarray, grid: np.ndarray | None) -> np.ndarray:
    """Points over the support of all times; equally spaced roots, since spectra crowd at a hard edge."""
    if grid is not None:
        return np.asarray(np.maximum(checked_grid(grid), 1e-300))
    if not ends:
        return np.linspace(0.0, max(float((start**2).sum()), 1.0), _GRID)
    low, high = math.sqrt(min(low for low, _ in ends)), math.sqrt(max(high for _, high in ends))
    return np.linspace(max(low - 0.02 * (high - low), 1e-4 * high), 1.02 * high, _GRID) ** 2

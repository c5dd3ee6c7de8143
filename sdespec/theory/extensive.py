"""Predict densities, edges, outliers and losses of networks with extensively many outputs."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from sdespec.core.dataset import build
from sdespec.core.errors import NumericalError, UsageError
from sdespec.core.provenance import record
from sdespec.models import ExtensiveOutputNetwork
from sdespec.theory.extensive_balanced import LastLaw, balanced_law, isolated_value
from sdespec.theory.extensive_hidden import hidden_law, hidden_loss
from sdespec.theory.extensive_roots import SpectralLaw

__all__ = ["predict"]

_POINTS = 400
_FEWEST_POINTS = 40
_WIDE = 30.0  # ratio of singular values from which decades are covered evenly as well
_HARD_EDGE = 1e-4  # of the largest singular value: where the grid begins if the density reaches down to 0


def predict(
    model: ExtensiveOutputNetwork,
    times: Sequence[float] | np.ndarray,
    *,
    initial: None = None,
    grid: np.ndarray | None = None,
) -> xr.Dataset:
    r"""Density, edges and outlier of the weights of a network with extensively many outputs, at given times.

    With train="hidden" the columns of M are Gaussian given the read-out, with a covariance that is a function of the
    eigenvalues k of :math:`A^T A`:

    .. math:: N\,\mathrm{Cov} = s_0^2\, e^{-2kt} + \sigma_B^2\, \frac{(1 - e^{-kt})^2}{k}

    With train="both" and initialization="orthogonal" the exact solution of the flow is a pencil of matrices, whose
    spectrum follows by free compression.

    Parameters
    ----------
    model : ExtensiveOutputNetwork
        The network; nothing is simulated.
    times : sequence of float, (k,)
        Increasing, at least 0: whole numbers of updates with a learning_rate, otherwise times of gradient flow, which
        may end in ``inf`` unless train="hidden" and output_ratio=1.
    initial : None
        Weights start as the model says.
    grid : ndarray, optional
        Squared singular values at which the density is given, at least 0; by default about 400, denser at the edges
        of all times.

    Returns
    -------
    xarray.Dataset
        ``density`` (x), the continuous part of the law of the min(n_rows, n_cols) squared singular values, whose mass
        at 0 is ``atom``; ``bulk_edge`` (side), the outermost edges also where the bulk is split in two;
        ``outlier`` (mode) and ``n_outliers`` of a target_spike, all over (layer, time); ``converged`` (time). With
        train="hidden" also ``train_loss`` (time), and with a target_spike ``escape`` (layer, time, mode). The layers
        are W0 (M) and, where both are trained, W1 (A), which have the same squared singular values.

    Raises
    ------
    UsageError
        If an argument is not allowed, or no theory is known: train="both" with a Gaussian start or by gradient descent.

    Warns
    -----
    UserWarning
        Where there is no number: with train="both" at 2 max(x) t > 16 for the singular values x of the target, with
        gradient descent that diverges, and where 4096 nodes do not resolve the law. Values are missing there, and
        ``converged`` is 0.

    Notes
    -----
    For large networks: the largest eigenvalue without an outlier lies below the edge by O(N^{-2/3}), the loss has an
    error of O(1/N). The loss is the mean over outputs of the squared error on white inputs; the spike of the target
    counts in it where ``width`` says how much.

    An orthogonal start has one squared singular value at time 0: its edges are given, but no density. After infinite
    time the squared singular values of both matrices are the singular values of the target.

    The outlier with train="hidden" is that of a rank-one matrix, :math:`A^T` times a function of :math:`A A^T` times
    the left vector of the spike, in separable noise.

    References
    ----------
    Lauditi, Pehlevan and Bordelon, arXiv 2605.07870, for the setting; Silverstein and Bai, Journal of Multivariate
    Analysis 54 (1995) 175, for the transform of sample covariances; Nica and Speicher, American Journal of Mathematics
    118 (1996) 799, for free compression.

    Examples
    --------
    >>> ds = predict(ExtensiveOutputNetwork(0.5, target_variance=4.0), [0.2, 1.0, 4.0])
    >>> (ds.bulk_edge[0, :, 1] ** 0.5).values.round(3)
    array([1.92 , 2.32 , 3.881])
    """
    if initial is not None:
        raise UsageError(f"initial is {type(initial).__name__!r}; this network starts as its model says: None")
    _check_model(model)
    clock = _times(model, times)
    laws, losses = _laws(model, clock)
    points = _grid(laws, grid)
    shape = (1, len(clock))
    edges, outlier = np.full((*shape, 2), np.nan), np.full((*shape, 1), np.nan)
    density, atom, escape = (
        np.full((*shape, len(points)), np.nan),
        np.full(shape, np.nan),
        np.full(outlier.shape, np.nan),
    )
    solved = np.array([law is not None for law in laws], dtype=np.int64)
    for i, law in enumerate(laws):
        try:
            if law is not None:
                density[0, i], edges[0, i], atom[0, i] = law.density(points), law.edges, law.atom
                outlier[0, i, 0], escape[0, i, 0] = law.outlier, law.escape
        except NumericalError:
            solved[i] = 0
    for values in (edges, outlier, density, atom, escape):
        values[:, solved == 0] = np.nan
    _warn(clock, solved)
    hidden = model.train == "hidden"
    run = ("layer", "time")
    variables: dict[str, Any] = {
        "density": ((*run, "x"), density),
        "atom": (run, atom),
        "bulk_edge": ((*run, "side"), edges),
        "outlier": ((*run, "mode"), outlier),
        "n_outliers": (run, np.isfinite(outlier).sum(-1)),
    }
    if hidden and model.target_spike is not None:
        variables["escape"] = ((*run, "mode"), escape)
    layers = 1 if hidden else 2
    variables = {name: (dims, np.repeat(values, layers, axis=0)) for name, (dims, values) in variables.items()}
    if hidden:
        variables["train_loss"] = (("time",), np.where(solved, losses, np.nan))
    variables["converged"] = (("time",), solved)
    return _dataset(model, clock, points, variables)


def _check_model(model: ExtensiveOutputNetwork) -> None:
    if not isinstance(model, ExtensiveOutputNetwork):
        raise UsageError(f"{type(model).__name__} is not predicted here; give an ExtensiveOutputNetwork")
    if model.train == "hidden":
        return
    if model.initialization != "orthogonal":
        raise UsageError(
            "no theory is known where both matrices are trained from a Gaussian start: simulate this network, or take "
            "initialization='orthogonal' or train='hidden'"
        )
    if model.learning_rate is not None:
        raise UsageError(
            f"learning_rate is {model.learning_rate:g}; where both matrices are trained the theory is of gradient "
            "flow: take learning_rate=None, or simulate"
        )


def _times(model: ExtensiveOutputNetwork, times: Sequence[float] | np.ndarray) -> np.ndarray:
    clock = np.asarray(list(times), dtype=np.float64)
    if clock.ndim != 1 or clock.size == 0 or np.isnan(clock).any():
        raise UsageError(f"times are {times!r}; give at least one number")
    if clock[0] < 0.0 or np.any(np.diff(clock) <= 0.0):
        raise UsageError(f"times are {clock.tolist()}; they must increase from at least 0")
    if model.learning_rate is not None and not np.all(np.isfinite(clock) & (clock == np.floor(clock))):
        raise UsageError(f"times are {clock.tolist()}; gradient descent needs whole numbers of updates")
    if math.isinf(clock[-1]) and model.train == "hidden" and model.output_ratio == 1.0:
        raise UsageError("times end in inf; with output_ratio=1 the weights grow for ever: give finite times")
    return clock


def _laws(model: ExtensiveOutputNetwork, clock: np.ndarray) -> tuple[list[SpectralLaw | None], np.ndarray]:
    """Laws and losses at all times; None where there is no law."""
    laws: list[SpectralLaw | None] = []
    losses = np.full(len(clock), np.nan)
    for i, time in enumerate(clock.tolist()):
        try:
            laws.append(_law(model, time))
            if model.train == "hidden":
                losses[i] = hidden_loss(model, time)
        except NumericalError:
            laws.append(None)
    return laws, losses


def _law(model: ExtensiveOutputNetwork, time: float) -> SpectralLaw:
    if model.train == "hidden":
        return hidden_law(model, time)
    if time == 0.0:
        return _OneValue(model.weight_variance)
    if math.isinf(time):
        return LastLaw(math.sqrt(model.target_variance), isolated_value(model))
    return balanced_law(model, time)


class _OneValue:
    """Law of an orthogonal matrix, all of whose squared singular values are equal."""

    atom = 0.0
    outlier = math.nan
    escape = math.nan

    def __init__(self, value: float) -> None:
        self.edges = (value, value)

    def density(self, grid: np.ndarray) -> np.ndarray:
        """Missing, since the mass sits at one point."""
        return np.full(len(grid), np.nan)


def _grid(laws: Sequence[SpectralLaw | None], grid: np.ndarray | None) -> np.ndarray:
    if grid is not None:
        points = np.asarray(grid, dtype=np.float64)
        if points.ndim != 1 or points.size < 2 or not points[0] >= 0.0 or not np.all(np.diff(points) > 0.0):
            raise UsageError("grid must be increasing eigenvalues of at least 0")
        return points
    spans = [law.edges for law in laws if law is not None and law.edges[1] > law.edges[0]]
    if not spans:
        return np.linspace(0.0, 1.0, _POINTS)
    count = max(_FEWEST_POINTS, _POINTS // len(spans))
    parts = []
    for low, high in spans:
        last = math.sqrt(high)
        first = max(math.sqrt(low), _HARD_EDGE * last)
        wide = last > _WIDE * first
        # even in singular values but denser at their ends, for hard edges and roots alike
        share = 0.5 - 0.5 * np.cos(np.linspace(0.0, math.pi, count // 2 if wide else count))
        parts.append((first + (last - first) * share) ** 2)
        if wide:
            parts.append(np.geomspace(first, last, count // 2) ** 2)
    return np.unique(np.concatenate(parts))


def _warn(clock: np.ndarray, solved: np.ndarray) -> None:
    lost = clock[solved == 0]
    if lost.size:
        warnings.warn(
            f"no theory at {lost.size} of {clock.size} times, the first one {lost[0]:g}: the training diverges, or its "
            "spectrum is out of the range that can be resolved; values there are missing, and converged is 0",
            UserWarning,
            stacklevel=3,
        )


def _dataset(
    model: ExtensiveOutputNetwork, clock: np.ndarray, points: np.ndarray, variables: dict[str, Any]
) -> xr.Dataset:
    width = int(model.width or 0)
    shapes = [(width, round(model.input_ratio * width))]
    if model.train == "both":
        shapes.append((round(model.output_ratio * width), width))
    layers = len(shapes)
    return build(
        variables,
        {
            "layer": (("layer",), [f"W{layer}" for layer in range(layers)]),
            "n_rows": (("layer",), [rows for rows, _ in shapes]),
            "n_cols": (("layer",), [cols for _, cols in shapes]),
            "matrix": (("layer",), ["M", "A"][:layers]),
            "time": (("time",), clock, {"clock": model.clock}),
            "x": (("x",), points),
            "side": (("side",), ["lower", "upper"]),
            "mode": (("mode",), np.arange(1)),
        },
        source="predict",
        provenance=record("sdespec.predict", {"model": repr(model), "digest": model.digest, "times": clock}),
        attrs={"model": repr(model), "model_digest": model.digest},
    )

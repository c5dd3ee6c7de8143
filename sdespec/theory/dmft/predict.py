"""Predict losses, bulk edges and outliers of a deep linear network."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from sdespec.core.dataset import build
from sdespec.core.errors import UsageError
from sdespec.core.linalg import blas_threads
from sdespec.core.provenance import record
from sdespec.models import DeepLinearNetwork, DeepNetwork
from sdespec.theory.dmft.deep_linear import LinearDmft, solve_deep_linear
from sdespec.theory.dmft.nonlinear_solver import Progress
from sdespec.theory.dmft.outliers import Outliers, SpikedMatrix, overlap_factor
from sdespec.theory.dmft.predict_network import predict_network

__all__ = ["learned_matrix", "predict"]

_MODES = 3
# Initial weights of which less is left are taken as this much, so that the spikes keep a scale.
_FORGOTTEN = 1e-9


def predict(
    model: DeepLinearNetwork | DeepNetwork,
    times: Sequence[float] | np.ndarray,
    *,
    initial: Any = None,
    grid: np.ndarray | None = None,
    approximation: str = "none",
    samples: int = 4000,
    seed: int = 0,
    solver_tolerance: float = 1e-2,
    kernels: bool = False,
    progress: Progress | None = None,
) -> xr.Dataset:
    r"""Losses, bulk edges, outliers and their order parameters of a deep network of infinite width at given times.

    .. math:: M_l(t) = \beta(t) M_l(0) + \text{spikes that depend on } M_l(0), \qquad
        \mathrm{edge}_\pm^2 = \beta(t)^2 s^2 (1 \pm \sqrt q)^2

    Parameters
    ----------
    model : DeepLinearNetwork or DeepNetwork
        The network; nothing is simulated. That of a deep linear network is exact, that of a nonlinear one sampled.
    times : sequence of int, (k,)
        Increasing numbers of updates that are done before the record, at least 0.
    initial : None
        Weights start random, as the model says.
    grid : None
        There is no density to be evaluated on a grid.
    approximation : {"none", "independent_spike", "static_kernel", "gradient_independent"}
        ``independent_spike`` leaves out the responses, as if the spikes did not depend on the initial weights: the
        classical formula. It is exact after one update where the network starts from f = 0, as it does for D/N or
        1 / gamma_0 to zero, and wrong from the second update on.
        The last two are for nonlinear networks: the tangent kernel stays as it is at the start (training inputs and
        losses only), or gradients are independent of the forward pass (no responses of hidden weights at all).
    samples : int
        Sites of a nonlinear network, a multiple of 4; errors fall with its root, and ``residual`` tells them for the
        outputs. Keep it above 20 times the attribute ``directions`` where outliers shall be right to a percent.
    seed : int
        Seed of these samples.
    solver_tolerance : float
        Share below which a new feature adds no direction: 1e-2 is good to .1 % in outliers, 3e-2 to .3 %.
    progress : callable, optional
        Called with (done, total, text), for nonlinear networks.
    kernels : bool
        Add ``feature_kernel`` and ``gradient_kernel`` over (layer, time, time_other): :math:`h(t) \cdot h(t')` and
        :math:`g(t) \cdot g(t')` of the hidden layer that the named matrix makes.

    Returns
    -------
    xarray.Dataset
        ``test_loss, train_loss, converged`` over (time), ``bulk_edge, n_outliers, outlier, escape`` over
        (layer, time, ...), in squared singular values. With one hidden layer, no batches and infinitely many
        samples also ``ntk_top`` and ``sharpness``.

    Raises
    ------
    UsageError
        If an argument is not allowed.

    Warns
    -----
    UserWarning
        Where gradient descent diverges: values are missing, and ``converged`` is 0, from there on.

    Notes
    -----
    Exact for large networks. A finite one of width N differs by O(1/N) in the mean and O(N^{-1/2}) from seed to seed;
    its largest eigenvalue without an outlier lies below the edge by O(N^{-2/3}). The training loss of batches is that
    on the batch of the update at this time for a deep linear network, and that on all samples for a nonlinear one.

    ``batches`` over ever new samples make a stream: what is carried along grows with the batches, not with the samples.
    All samples and test inputs are looked at where there is a record, without a trace in what follows; with ``kernels``
    they are carried at every time, so that kernels at two times are those of one solution.

    References
    ----------
    Lauditi, Pehlevan and Bordelon, arXiv 2605.07870; Bordelon and Pehlevan, arXiv 2502.02531.

    Examples
    --------
    >>> net = DeepLinearNetwork(1.0, float("inf"), 1, feature_strength=8.0, learning_rate=0.01)
    >>> ds = predict(net, [0, 15, 30, 59])
    >>> (ds.outlier[0, :, 0] ** 0.5).values.round(3)
    array([  nan, 2.111, 2.771, 2.926])
    """
    if initial is not None:
        raise UsageError(f"initial is {type(initial).__name__!r}; a network starts as its model says: None")
    if grid is not None:
        raise UsageError("grid is given; a deep network has no density to evaluate on it: leave it out")
    if isinstance(model, DeepNetwork):
        with blas_threads(0):  # many small matrices
            return predict_network(
                model, _times(times), approximation=approximation, samples=samples, seed=seed,
                solver_tolerance=solver_tolerance, kernels=kernels, progress=progress,
            )  # fmt: skip
    if approximation not in ("none", "independent_spike"):
        raise UsageError(
            f"approximation is {approximation!r}; for a deep linear network it must be 'none' or 'independent_spike'"
        )
    clock = _times(times)
    solution = solve_deep_linear(model, int(clock[-1]))
    solved = clock < solution.reached
    if not solved.all():
        warnings.warn(
            f"gradient descent at learning_rate {model.learning_rate:g} diverges after {solution.reached} updates; "
            "values from there on are missing, and converged is 0",
            UserWarning,
            stacklevel=2,
        )
    with blas_threads(0):  # many small matrices
        variables = _spectra(solution, clock, independent=approximation == "independent_spike")
    variables |= {"test_loss": (("time",), solution.test_loss[clock]), "converged": (("time",), solved.astype(int))}
    variables["train_loss"] = (("time",), solution.train_loss[clock])
    if model.hidden_layers == 1 and math.isinf(model.sample_ratio) and model.batch_ratio is None:
        top = np.fmax(variables["outlier"][1][0, :, 0], variables["bulk_edge"][1][0, :, 1])
        top = top + np.diagonal(solution.G[0])[clock]
        variables |= {"ntk_top": (("time",), top), "sharpness": (("time",), model.learning_rate * top)}
    if kernels:
        pairs = np.ix_(clock, clock)
        dims = ("layer", "time", "time_other")
        variables["feature_kernel"] = (dims, np.array([H[pairs] for H in solution.H[1:]]))
        variables["gradient_kernel"] = (dims, np.array([G[pairs] for G in solution.G[:-1]]))
    n_modes = variables["outlier"][1].shape[-1]
    names = [f"W{layer}" for layer in range(model.hidden_layers)]
    dim = model.input_dim or 0
    width = round(model.width_ratio * dim)
    return build(
        variables,
        {
            "layer": (("layer",), names),
            "n_rows": (("layer",), [width] * len(names)),
            "n_cols": (("layer",), [dim] + [width] * (len(names) - 1)),
            "matrix": (("layer",), ["M"] * len(names)),
            "time": (("time",), clock.astype(np.float64), {"clock": "step"}),
            "side": (("side",), ["lower", "upper"]),
            "mode": (("mode",), np.arange(n_modes)),
            **({"time_other": (("time_other",), clock.astype(np.float64))} if kernels else {}),
        },
        source="predict",
        provenance=record(
            "sdespec.predict",
            {"model": repr(model), "digest": model.digest, "times": clock, "approximation": approximation},
        ),
        attrs={"model": repr(model), "model_digest": model.digest, "approximation": approximation},
    )


def learned_matrix(solution: LinearDmft, layer: int, time: int, *, independent: bool = False) -> SpikedMatrix:
    r"""Matrix :math:`M_l(t) / \beta(t)` of a solved network, as a random matrix plus spikes.

    .. math:: K_{ss} = e\, \omega(t-s) / \beta(t), \qquad s < t

    Parameters
    ----------
    solution : LinearDmft
        Solved at least up to ``time``.
    layer : int
        0 ... L-1.
    time : int
        Number of updates.
    independent : bool
        Leave out the responses.

    Returns
    -------
    SpikedMatrix

    Raises
    ------
    UsageError
        If the solution does not reach the time.

    Examples
    --------
    >>> net = DeepLinearNetwork(1.0, float("inf"), 2, feature_strength=8.0, learning_rate=0.008)
    >>> learned_matrix(solve_deep_linear(net, 40), 1, 40).solve().singular_value.round(3)
    array([2.24])
    """
    if not 0 <= time < solution.reached:
        raise UsageError(f"time is {time}; the solution holds 0 ... {solution.reached - 1}")
    factors = (overlap_factor(solution.G[layer][:time, :time]), overlap_factor(solution.H[layer][:time, :time]))
    return _spiked(solution, layer, time, factors, independent)


def _spiked(
    solution: LinearDmft, layer: int, time: int, factors: tuple[np.ndarray, np.ndarray], independent: bool
) -> SpikedMatrix:
    """The same from factors that may hold later vectors as well."""
    block = slice(0, time)
    left, right = factors
    coupling = solution.update_scale * solution.impulse[1 : time + 1][::-1] / _kept(solution, time)
    return SpikedMatrix(
        left[block],
        right[block],
        coupling,
        None if independent else solution.A[layer][block, block],
        None if independent else solution.B[layer][block, block],
        variance=solution.model.weight_variance,
        aspect=1.0 / solution.model.width_ratio if layer == 0 else 1.0,
    )


def _kept(solution: LinearDmft, time: int) -> float:
    """What is left of the initial weights, kept away from zero."""
    beta = float(solution.beta[time])
    return math.copysign(max(abs(beta), _FORGOTTEN), beta)


def _spectra(solution: LinearDmft, clock: np.ndarray, *, independent: bool) -> dict[str, tuple[Any, ...]]:
    """Edges, outliers and their order parameters of every matrix at every time."""
    model = solution.model
    layers = int(model.hidden_layers)
    found: dict[tuple[int, int], Outliers] = {}
    edges = np.full((layers, len(clock), 2), np.nan)
    solved = np.flatnonzero(clock < solution.reached).tolist()
    last = int(clock[solved[-1]]) if solved else 0
    for layer in range(layers):
        root = 1.0 if layer else math.sqrt(1.0 / model.width_ratio)
        factors = (overlap_factor(solution.G[layer][:last, :last]), overlap_factor(solution.H[layer][:last, :last]))
        for i in solved:
            time = int(clock[i])
            scale = model.weight_variance * solution.beta[time] ** 2
            edges[layer, i] = scale * (1.0 - root) ** 2, scale * (1.0 + root) ** 2
            found[layer, i] = _spiked(solution, layer, time, factors, independent).solve(modes=_MODES)
    modes = max([_MODES, *(len(item.singular_value) for item in found.values())])
    shape = (layers, len(clock), modes)
    outlier, escape = np.full(shape, np.nan), np.full(shape, np.nan)
    for (layer, i), item in found.items():
        kept = _kept(solution, int(clock[i]))
        outlier[layer, i, : len(item.singular_value)] = (kept * item.singular_value) ** 2
        escape[layer, i, : len(item.escape)] = item.escape
    run = ("layer", "time")
    return {
        "bulk_edge": ((*run, "side"), edges),
        "outlier": ((*run, "mode"), outlier),
        "n_outliers": (run, np.isfinite(outlier).sum(-1)),
        "escape": ((*run, "mode"), escape),
    }


def _times(times: Sequence[float] | np.ndarray) -> np.ndarray:
    """Times as integers."""
    given = np.asarray(list(times), dtype=np.float64)
    if given.ndim != 1 or given.size == 0 or not np.isfinite(given).all() or np.any(given != np.floor(given)):
        raise UsageError(f"times are {times!r}; give at least one whole number of updates")
    if given[0] < 0.0 or np.any(np.diff(given) <= 0.0):
        raise UsageError(f"times are {given.tolist()}; they must increase from at least 0")
    return given.astype(np.int64)

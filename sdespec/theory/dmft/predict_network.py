"""Predict losses, outputs, kernels and spectra of a nonlinear network of infinite width."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import xarray as xr

from sdespec.core.checks import positive, require, whole
from sdespec.core.dataset import build
from sdespec.core.errors import UsageError
from sdespec.core.provenance import record as provenance_of
from sdespec.models import DeepNetwork
from sdespec.theory.dmft.nonlinear_solver import (
    NonlinearRecord,
    Progress,
    SiteDynamics,
    error_and_loss,
    estimated_cost,
)

__all__ = ["APPROXIMATIONS", "predict_network"]

APPROXIMATIONS: tuple[str, ...] = ("none", "independent_spike", "static_kernel", "gradient_independent")

_MODES = 3
_SAMPLES_FOR_A_DIRECTION = 4
_MAX_SECONDS, _MAX_BYTES = 3600.0, 8 * 2.0**30


def predict_network(
    model: DeepNetwork,
    clock: np.ndarray,
    *,
    approximation: str,
    samples: int,
    seed: int,
    solver_tolerance: float,
    kernels: bool,
    progress: Progress | None,
) -> xr.Dataset:
    """Solve the mean-field dynamics and put the records into a Dataset; see ``sdespec.theory.dmft.predict``."""
    require(approximation in APPROXIMATIONS, "approximation", approximation, f"one of {', '.join(APPROXIMATIONS)}")
    whole(samples, "samples", 64)
    require(samples % 4 == 0, "samples", samples, "a multiple of 4: antithetic pairs in two halves")
    require(positive(solver_tolerance) and solver_tolerance < 1.0, "solver_tolerance", solver_tolerance, "in (0, 1)")
    cap = samples // _SAMPLES_FOR_A_DIRECTION
    last = int(clock[-1])
    _affordable(model, last, samples, cap)
    dynamics = SiteDynamics(
        model, samples=samples, seed=whole(seed, "seed", 0), tolerance=solver_tolerance,
        responses=approximation != "gradient_independent", cap=cap,
    )  # fmt: skip
    if approximation == "static_kernel":
        records = _static(dynamics, clock)
        kernels = False
    else:
        records = dynamics.run(clock.tolist(), kernels=kernels, progress=progress)
    if len(records) < len(clock):
        warnings.warn(
            f"gradient descent at learning_rate {model.learning_rate:g} diverges before update "
            f"{int(clock[len(records)])}; values from there on are missing, and converged is 0",
            UserWarning,
            stacklevel=3,
        )
    variables = _scalars(model, records, len(clock))
    if approximation != "static_kernel":
        independent = approximation in ("independent_spike", "gradient_independent")
        variables |= _spectra(model, dynamics, records, len(clock), independent=independent)
    if kernels:
        variables |= _kernels(model, records, len(clock))
    return build(
        variables,
        _coords(model, variables, clock),
        source="predict",
        provenance=provenance_of(
            "sdespec.predict",
            {"model": repr(model), "digest": model.digest, "times": clock, "approximation": approximation,
             "samples": samples, "seed": seed, "solver_tolerance": solver_tolerance},
        ),
        attrs={
            "model": repr(model),
            "model_digest": model.digest,
            "approximation": approximation,
            "samples": samples,
            "seed": seed,
            "solver_tolerance": solver_tolerance,
            "directions": max((max(w.left.rank, w.right.rank) for w in dynamics.hidden), default=0),
        },
    )  # fmt: skip


def _affordable(model: DeepNetwork, last: int, samples: int, cap: int) -> None:
    seconds, size = estimated_cost(model, last, samples, cap)
    if seconds > _MAX_SECONDS or size > _MAX_BYTES:
        raise UsageError(
            f"the solution may take up to {seconds / 60:.0f} minutes and {size / 2**30:.1f} GiB, more than "
            f"{_MAX_SECONDS / 60:.0f} and {_MAX_BYTES / 2**30:.0f}; take fewer samples or fewer updates"
        )


def _static(dynamics: SiteDynamics, clock: np.ndarray) -> list[NonlinearRecord]:
    """The linear dynamics of the outputs under the tangent kernel of the start; training inputs only."""
    model = dynamics.model
    kernel = dynamics.run([0])[0].tangent
    shape = (model.n_samples, model.n_outputs)
    return dynamics.static_records(kernel.reshape(*shape, *shape), clock.tolist())


def _scalars(model: DeepNetwork, records: list[NonlinearRecord], count: int) -> dict[str, Any]:
    """Losses, outputs and the top of the tangent kernel."""
    inputs = len(records[0].output) if records else model.n_samples
    output = np.full((count, inputs, model.n_outputs), np.nan)
    numbers = {name: np.full(count, np.nan) for name in ("train_loss", "ntk_top", "residual", "test_loss")}
    for i, record in enumerate(records):
        output[i] = record.output
        numbers["train_loss"][i] = record.train_loss
        numbers["ntk_top"][i] = np.linalg.eigvalsh(record.tangent)[-1] / model.n_samples
        numbers["residual"][i] = record.residual
        if model.test_targets is not None and inputs > model.n_samples:
            numbers["test_loss"][i] = error_and_loss(model.loss, model.test_targets, record.output[model.n_samples :])[
                1
            ]
    if model.test_targets is None or inputs == model.n_samples:
        del numbers["test_loss"]
    variables: dict[str, Any] = {name: (("time",), values) for name, values in numbers.items()}
    variables["sharpness"] = (("time",), model.learning_rate * numbers["ntk_top"])
    variables["converged"] = (("time",), (np.arange(count) < len(records)).astype(int))
    variables["network_output"] = (("time", "sample", "channel"), output)
    return variables


def _spectra(
    model: DeepNetwork, dynamics: SiteDynamics, records: list[NonlinearRecord], count: int, *, independent: bool
) -> dict[str, Any]:
    """Eigenvalues of the first matrix; edges, outliers and their order parameters of the hidden ones."""
    layers, rank = int(model.hidden_layers), model.n_features
    eigenvalue = np.full((layers, count, rank), np.nan)
    edges = np.full((layers, count, 2), np.nan)
    outlier, escape = np.full((layers, count, _MODES), np.nan), np.full((layers, count, _MODES), np.nan)
    for i, record in enumerate(records):
        eigenvalue[0, i] = record.first_layer
        for layer in range(1, layers):
            edges[layer, i] = 0.0, 4.0 * model.weight_variance * record.beta**2
            found = dynamics.hidden[layer - 1].spiked(record, layer - 1, independent=independent).solve(modes=_MODES)
            if len(found.singular_value) > outlier.shape[2]:
                more = len(found.singular_value) - outlier.shape[2]
                outlier, escape = (np.pad(a, ((0, 0), (0, 0), (0, more)), constant_values=np.nan)
                                   for a in (outlier, escape))  # fmt: skip
            outlier[layer, i, : len(found.singular_value)] = (record.beta * found.singular_value) ** 2
            escape[layer, i, : len(found.escape)] = found.escape
    run = ("layer", "time")
    return {
        "eigenvalue": ((*run, "rank"), eigenvalue),
        "rank_count": (run, np.isfinite(eigenvalue).sum(-1)),
        "bulk_edge": ((*run, "side"), edges),
        "outlier": ((*run, "mode"), outlier),
        "n_outliers": (run, np.isfinite(outlier).sum(-1)),
        "escape": ((*run, "mode"), escape),
    }


def _kernels(model: DeepNetwork, records: list[NonlinearRecord], count: int) -> dict[str, Any]:
    """Products of activations and of backward fields (summed over outputs) at all pairs of times.

    Backward fields of test inputs do not exist; their place is NaN.
    """
    layers, p = int(model.hidden_layers), model.n_samples
    inputs = len(records[0].output) if records else p
    shape = (layers, count, inputs, count, inputs)
    feature, gradient = np.full(shape, np.nan), np.full(shape, np.nan)
    for i, one in enumerate(records):
        for j, other in enumerate(records):
            for layer in range(layers):
                a, b = one.features[layer], other.features[layer]
                feature[layer, i, :, j] = a @ b.T / a.shape[1]
                c, d = (x.gradients[layer].reshape(p, -1) for x in (one, other))
                gradient[layer, i, :p, j, :p] = c @ d.T / a.shape[1]
    dims = ("layer", "time", "sample", "time_other", "sample_other")
    return {"feature_kernel": (dims, feature), "gradient_kernel": (dims, gradient)}


def _coords(model: DeepNetwork, variables: dict[str, Any], clock: np.ndarray) -> dict[str, Any]:
    layers, width = int(model.hidden_layers), int(model.width or 0)
    inputs = variables["network_output"][1].shape[1]
    coords: dict[str, Any] = {
        "layer": (("layer",), [f"W{layer}" for layer in range(layers)]),
        "n_rows": (("layer",), [width] * layers),
        "n_cols": (("layer",), [model.n_features] + [width] * (layers - 1)),
        "matrix": (("layer",), ["W/sqrt(width)"] * layers),
        "time": (("time",), clock.astype(np.float64), {"clock": "step"}),
        "sample": (("sample",), np.arange(inputs)),
        "sample_set": (("sample",), ["train"] * model.n_samples + ["test"] * (inputs - model.n_samples)),
        "channel": (("channel",), np.arange(model.n_outputs)),
    }
    if "eigenvalue" in variables:
        coords |= {
            "rank": (("rank",), np.arange(model.n_features)),
            "side": (("side",), ["lower", "upper"]),
            "mode": (("mode",), np.arange(variables["outlier"][1].shape[2])),
        }
    if "feature_kernel" in variables:
        coords |= {"time_other": (("time_other",), clock.astype(np.float64)),
                   "sample_other": (("sample_other",), np.arange(inputs))}  # fmt: skip
    return coords

"""Kernels of a nonlinear network in the mean-field theory, its approximations, and finite networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import sdespec as sd
from sdespec.core.dataset import build


def data() -> tuple[np.ndarray, np.ndarray]:
    """Three random inputs of dimension 20 with the labels 1, -1, 1."""
    inputs = np.random.default_rng(7).standard_normal((20, 3))
    inputs *= np.sqrt(20.0) / np.linalg.norm(inputs, axis=0)
    return inputs.T, np.array([1.0, -1.0, 1.0])


def run(parameters: dict[str, Any], *, seed: int) -> dict[str, xr.Dataset]:
    """Predict all strengths with kernels; at one of them train networks and hold the approximations against them."""
    p = parameters
    inputs, targets = data()
    model = sd.models.DeepNetwork(
        inputs, targets, 2, width=p["width"], feature_strength=p["simulated"], learning_rate=p["learning_rate"]
    )
    options = {"samples": p["samples"], "seed": seed}
    theory = sd.predict(sd.sweep(model, feature_strength=p["feature_strengths"]), p["times"], kernels=True, **options)
    static = sd.predict(model, p["times"], approximation="static_kernel", **options)
    independent = sd.predict(model, p["times"], approximation="gradient_independent", **options)
    networks = sd.simulate(model, p["times"], seed=seed, replicates=p["replicates"])
    own = theory.sel(feature_strength=p["simulated"], drop=True)
    early = {"time": p["judged"]}
    late = {"time": p["times"][-3:]}
    hidden = {"layer": ["W1"]}
    loss = {"quantities": ["train_loss"], "tolerance": 0.15, "significance": 0.05}
    outlier = {"quantities": ["outlier"], "tolerance": 0.05, "significance": 0.05}
    return {
        "theory": theory,
        "networks": networks,
        "final_kernel": _final(theory),
        "static_theory": static,
        "comparison": sd.compare(networks.sel(early), own.sel(early), **loss),
        "static": sd.compare(networks.sel(early), static.sel(early), **loss),
        "comparison_outlier": sd.compare(networks.sel(hidden).sel(late), own.sel(hidden).sel(late), **outlier),
        "independent_outlier": sd.compare(
            networks.sel(hidden).sel(late), _unbounded(independent).sel(hidden).sel(late), **outlier
        ),
    }


def _unbounded(independent: xr.Dataset) -> xr.Dataset:
    """The rival is held to its outlier also near its escape; where it has none, to its edge."""
    edge = independent["bulk_edge"].sel(side="upper", drop=True)
    return (
        independent.assign(outlier=independent["outlier"].fillna(edge).assign_attrs(independent["outlier"].attrs))
        .isel(mode=[0])
        .drop_vars("escape")
    )


def _final(theory: xr.Dataset) -> xr.Dataset:
    """The feature kernel at the last time, averaged over samples."""
    kernel = theory["feature_kernel"].isel(time=-1, time_other=[-1])
    same = xr.DataArray(np.arange(kernel.sizes["sample"]), dims="same")
    mean = kernel.isel(sample=same, sample_other=same).mean("same").transpose("feature_strength", "layer", "time_other")
    coords = {name: theory[name] for name in ("feature_strength", "layer", "n_rows", "n_cols", "matrix")}
    return build(
        {"feature_kernel": (mean.dims, mean.values)},
        {name: (coord.dims, coord.values) for name, coord in coords.items()}
        | {"time_other": (("time_other",), mean["time_other"].values)},
        source="study",
        provenance=theory.attrs["provenance"],
    )


def draw(datasets: dict[str, xr.Dataset]) -> dict[str, Figure]:
    """The feature kernel at two times, and the loss of theory, approximation and networks."""
    theory, networks = datasets["theory"], datasets["networks"]
    strengths = theory["feature_strength"].values
    kernels = Figure(figsize=(9.0, 3.6), layout="constrained")
    for ax, strength in zip(kernels.subplots(1, 2), (strengths[0], strengths[-1]), strict=True):
        sd.plot.kernels(theory.sel(feature_strength=strength), layer="W1", ax=ax)
        ax.set_title(f"feature strength {strength:g}", fontsize="medium")
    losses = Figure(figsize=(6.2, 4.0), layout="constrained")
    ax = losses.subplots()
    for replicate in networks["replicate"].values:
        line = networks["train_loss"].sel(replicate=replicate)
        ax.plot(line["time"], line, color="#3b6ea8", alpha=0.35, lw=0.8, label="networks" if replicate == 0 else None)
    own = theory["train_loss"].sel(feature_strength=2.0)
    ax.plot(own["time"], own, color="#c8452f", lw=1.6, label="theory")
    static = datasets["static_theory"]["train_loss"]
    ax.plot(static["time"], static, "--", color="#1b1b1b", lw=1.2, label="static kernel")
    ax.set(yscale="log", xlabel="updates", ylabel="training loss")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    return {
        "Feature kernel of the last hidden layer at two times": kernels,
        "Training loss at feature strength 2": losses,
    }

"""Outliers of deep linear networks: the theory of dependent spikes, its rival, and finite networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import sdespec as sd
from sdespec.core.dataset import build


def run(parameters: dict[str, Any], *, seed: int) -> dict[str, xr.Dataset]:
    """Predict a range of feature strengths, simulate two of them, and compare the strongest."""
    p = parameters
    strengths = p["feature_strengths"]
    model = sd.models.DeepLinearNetwork(
        p["width_ratio"], float("inf"), p["hidden_layers"], feature_strength=strengths[-1],
        learning_rate=p["learning_rate"], input_dim=p["input_dim"],
    )  # fmt: skip
    prediction = sd.predict(sd.sweep(model, feature_strength=strengths), p["times"])
    rival = sd.predict(model, p["times"], approximation="independent_spike")
    ends = sd.sweep(model, feature_strength=[3.0, strengths[-1]])
    networks = sd.simulate(ends, p["times"], seed=seed, replicates=p["replicates"])
    strongest = networks.sel(feature_strength=strengths[-1], drop=True)
    judged = {"observed": strongest.isel(time=[-3, -1]), "quantities": ["outlier"], "tolerance": 0.04}
    return {
        "prediction": prediction,
        "networks": networks.drop_vars("rank_count"),
        "largest": _largest(networks.isel(time=-1)),
        "comparison": sd.compare(predicted=prediction.sel(feature_strength=strengths[-1], drop=True), **judged),
        # the rival is held to its outlier also where it believes this to be near its escape
        "independent": sd.compare(predicted=rival.drop_vars("escape"), **judged),
        "rival": rival,
    }


def _largest(networks: xr.Dataset) -> xr.Dataset:
    """Mean of the largest squared singular value over the networks, with its error."""
    top = networks["eigenvalue"].isel(rank=[0])
    mean, error = top.mean("replicate"), top.std("replicate", ddof=1) / np.sqrt(top.sizes["replicate"])
    dims = ("feature_strength", "layer", "rank")
    coords = {name: networks[name] for name in ("feature_strength", "layer", "n_rows", "n_cols", "matrix")}
    return build(
        {
            "eigenvalue": (dims, mean.transpose(*dims).values),
            "eigenvalue_stderr": (dims, error.transpose(*dims).values),
        },
        {name: (coord.dims, coord.values) for name, coord in coords.items()} | {"rank": (("rank",), [0])},
        source="study",
        provenance=networks.attrs["provenance"],
    )


def draw(datasets: dict[str, xr.Dataset]) -> dict[str, Figure]:
    """Trajectories of the outliers with both theories, and the order parameter of the escape."""
    prediction, networks, rival = datasets["prediction"], datasets["networks"], datasets["rival"]
    strongest = float(prediction["feature_strength"].values[-1])
    trajectories = Figure(figsize=(8.5, 3.8), layout="constrained")
    for ax, layer in zip(trajectories.subplots(1, 2), ("W0", "W1"), strict=True):
        sd.plot.outliers(
            prediction.sel(feature_strength=strongest), observed=networks.sel(feature_strength=strongest), layer=layer,
            ax=ax,
        )  # fmt: skip
        times = rival["time"].values
        ax.plot(
            times, rival["outlier"].sel(layer=layer, mode=0), "--", color="#1b1b1b", lw=1.2, label="independent spike"
        )
        ax.legend(frameon=False, fontsize="small")
    escape = Figure(figsize=(5.6, 3.8), layout="constrained")
    ax = escape.subplots()
    values = prediction["escape"].isel(mode=0)
    for layer, color in (("W0", "#3b6ea8"), ("W1", "#c8452f")):
        ax.plot(values["feature_strength"], values.sel(layer=layer).isel(time=-1), "o-", color=color, label=layer)
    ax.axhline(1.0, color="#8c8c8c", lw=1, ls=":")
    ax.text(values["feature_strength"].values[0], 1.02, "an outlier exists above", color="#606060", fontsize="small")
    ax.set(xlabel="feature strength", ylabel="escape order parameter after training")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    return {
        f"Outliers of both matrices at feature strength {strongest:g}": trajectories,
        "Distance to escape": escape,
    }

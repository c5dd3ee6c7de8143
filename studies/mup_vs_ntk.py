"""Width dependence of outliers and of the top tangent mode, in theory at all widths and in networks at some."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import sdespec as sd

COLORS = {"mup": "#3b6ea8", "ntk": "#c8452f"}


def run(parameters: dict[str, Any], *, seed: int) -> dict[str, xr.Dataset]:
    """Predict all widths in both parametrizations, train networks at some, and compare."""
    p = parameters
    both = ["mup", "ntk"]
    model = sd.models.DeepLinearNetwork(
        1.0, float("inf"), p["hidden_layers"], feature_strength=p["feature_strength"],
        learning_rate=p["learning_rate"], input_dim=p["input_dim"],
    )  # fmt: skip
    theory = sd.predict(sd.sweep(model, width_ratio=p["width_ratios"], parametrization=both), p["times"])
    networks = sd.simulate(
        sd.sweep(model, width_ratio=p["simulated"], parametrization=both), p["times"], seed=seed,
        replicates=p["replicates"],
    )  # fmt: skip
    shallow = sd.models.DeepLinearNetwork(
        1.0, float("inf"), 1, feature_strength=p["feature_strength"], learning_rate=p["learning_rate"]
    )
    tangent = sd.predict(sd.sweep(shallow, width_ratio=[0.5, 1.0, 2.0, 4.0], parametrization=both), p["times"])
    end = {"time": [-1]}
    hidden = {"layer": ["W1"]}  # an outlier of W0 near its escape is smeared in finite networks
    return {
        "theory": theory,
        "wide": theory.sel(width_ratio=theory["width_ratio"] >= 4.0),
        "while_it_stands": theory.sel(width_ratio=theory["width_ratio"] <= 8.0),
        "networks": networks,
        "comparison": sd.compare(
            networks.sel(hidden).isel(end), theory.sel(hidden).isel(end), quantities=["outlier"], tolerance=0.06
        ),
        "tangent": tangent,
    }


def draw(datasets: dict[str, xr.Dataset]) -> dict[str, Figure]:
    """The outlier at the end of training, and the top tangent mode, against width."""
    theory, networks, tangent = datasets["theory"], datasets["networks"], datasets["tangent"]
    figure = Figure(figsize=(6.2, 4.2), layout="constrained")
    ax = figure.subplots()
    edge = float(theory["bulk_edge"].sel(layer="W1", side="upper").isel(time=-1, width_ratio=0, parametrization=0))
    ax.axhspan(edge - 0.3, edge, color="#8c8c8c", alpha=0.25, lw=0, label="bulk")
    for name, color in COLORS.items():
        line = theory["outlier"].sel(layer="W1", parametrization=name, mode=0).isel(time=-1)
        ax.plot(line["width_ratio"], line, "-", color=color, label=f"{name}, theory")
        top = networks["eigenvalue"].sel(layer="W1", parametrization=name).isel(time=-1, rank=0)
        error = 2.0 * top.std("replicate", ddof=1) / np.sqrt(top.sizes["replicate"])
        ax.errorbar(
            top["width_ratio"], top.mean("replicate"), error, fmt="o", color=color, ms=4, label=f"{name}, networks"
        )
    ax.set(xscale="log", xlabel="width / input dimension", ylabel="outlier of W1 (squared singular value)")
    ax.set_xticks(theory["width_ratio"].values, [f"{x:g}" for x in theory["width_ratio"].values], minor=False)
    ax.minorticks_off()
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize="small")
    modes = Figure(figsize=(6.2, 4.2), layout="constrained")
    ax = modes.subplots()
    for name, color in COLORS.items():
        for width, alpha in zip(tangent["width_ratio"].values, (0.35, 0.55, 0.75, 1.0), strict=True):
            line = tangent["ntk_top"].sel(parametrization=name, width_ratio=width)
            ax.plot(line["time"], line, color=color, alpha=alpha, label=f"{name}, N = {width:g} D")
    ax.set(xlabel="updates", ylabel="top mode of the tangent kernel")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize="x-small", ncols=2)
    return {
        "Outlier of the hidden matrix against width": figure,
        "Top mode of the tangent kernel (one hidden layer)": modes,
    }

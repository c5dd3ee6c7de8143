"""Spectrum of a matrix trained on many outputs: density, the bump that detaches, and the edge against width."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import sdespec as sd
from sdespec.core.dataset import build

_GAP = 0.9  # squared singular value between bulk and bump of the fewest outputs at the last time


def run(parameters: dict[str, Any], *, seed: int) -> dict[str, xr.Dataset]:
    """Predict and simulate every number of outputs, and the edge of the most at several widths."""
    p = parameters
    ratios, times = p["output_ratios"], p["times"]
    model = sd.models.ExtensiveOutputNetwork(
        ratios[0], weight_variance=p["weight_variance"], target_variance=p["target_variance"], width=p["width"]
    )
    sweep = sd.sweep(model, output_ratio=ratios)
    grid = np.linspace(1e-3, 4.4, 1500) ** 2  # even in the singular value: the density diverges at a hard edge
    theory = sd.predict(sweep, times, grid=grid)
    networks = sd.simulate(sweep, times, seed=seed, replicates=p["replicates"])
    most = dataclasses.replace(model, output_ratio=ratios[-1])
    tops = [
        sd.simulate(dataclasses.replace(most, width=width), times[-1:], seed=seed + 1, replicates=p["edge_replicates"])
        for width in p["widths"]
    ]
    largest = _largest(tops, p["widths"])
    edge = theory["bulk_edge"].sel(output_ratio=ratios[-1], side="upper").isel(time=-1)
    place = int(np.abs(theory["x"].values - _GAP).argmin())
    return {
        "theory": theory,
        "networks": networks,
        "comparison": sd.compare(networks, theory, quantities=["density"], tolerance=0.04),
        "gap": _at(theory, place),
        "largest": largest,
        "widest": largest.isel(width=[-1]).isel(width=0, drop=True),
        "edge": _place(largest, float(edge.item())),
    }


def _at(theory: xr.Dataset, place: int) -> xr.Dataset:
    """The density at one place at the last time."""
    one = theory["density"].isel(layer=0, time=-1, x=[place])
    return build(
        {"density": (("output_ratio", "x"), one.values)},
        {"output_ratio": (("output_ratio",), one["output_ratio"].values), "x": (("x",), one["x"].values)},
        source="study",
        provenance=theory.attrs["provenance"],
    )


def _largest(tops: list[xr.Dataset], widths: list[int]) -> xr.Dataset:
    """Mean of the largest squared singular value at each width, with its error."""
    values = [top["eigenvalue"].isel(layer=0, time=0, rank=0).values for top in tops]
    mean = np.array([one.mean() for one in values])
    error = np.array([one.std(ddof=1) / np.sqrt(len(one)) for one in values])
    return build(
        {"eigenvalue": (("width", "rank"), mean[:, None]), "eigenvalue_stderr": (("width", "rank"), error[:, None])},
        {"width": (("width",), widths), "rank": (("rank",), [0])},
        source="study",
        provenance=tops[0].attrs["provenance"],
    )


def _place(largest: xr.Dataset, value: float) -> xr.Dataset:
    """A number in the form of the largest eigenvalue."""
    return build(
        {"eigenvalue": (("rank",), [value])},
        {"rank": (("rank",), [0])},
        source="study",
        provenance=largest.attrs["provenance"],
    )


def draw(datasets: dict[str, xr.Dataset]) -> dict[str, Figure]:
    """Densities of singular values for each number of outputs, and the edge against width."""
    theory, networks = datasets["theory"], datasets["networks"]
    ratios = theory["output_ratio"].values
    densities = Figure(figsize=(9.0, 3.4), layout="constrained")
    for ax, ratio in zip(densities.subplots(1, len(ratios), sharey=True), ratios, strict=True):
        one = theory.sel(output_ratio=ratio).isel(layer=0, time=-1)
        roots = np.sqrt(one["x"].values)
        values = np.sqrt(networks["eigenvalue"].sel(output_ratio=ratio).isel(layer=0, time=-1).values.ravel())
        ax.hist(values, bins=60, density=True, color="#3b6ea8", alpha=0.45, label="networks")
        ax.plot(roots, 2.0 * roots * one["density"], color="#c8452f", lw=1.4, label="theory")
        ax.set(title=f"outputs / width = {ratio:g}", xlabel="singular value")
        ax.spines[["top", "right"]].set_visible(False)
    densities.axes[0].set_ylabel("density")
    densities.axes[0].legend(frameon=False, fontsize="small")
    largest = datasets["largest"]
    edges = Figure(figsize=(5.6, 3.8), layout="constrained")
    ax = edges.subplots()
    mean, error = largest["eigenvalue"].isel(rank=0), largest["eigenvalue_stderr"].isel(rank=0)
    ax.errorbar(mean["width"], mean, 2.0 * error, fmt="o-", color="#3b6ea8", ms=4, label="networks")
    ax.axhline(float(datasets["edge"]["eigenvalue"].item()), color="#c8452f", lw=1.4, label="edge, theory")
    ax.set(xscale="log", xlabel="width", ylabel="largest squared singular value")
    ax.set_xticks(mean["width"].values, [str(width) for width in mean["width"].values])
    ax.minorticks_off()
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    return {"Singular values at the last time": densities, "Largest squared singular value against width": edges}

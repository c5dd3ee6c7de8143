"""Critical and iso-loss learning rates against width, in theory and in networks, and the orbit of period two."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import sdespec as sd
from sdespec.core.dataset import build
from sdespec.core.provenance import record
from sdespec.theory import dmft

BOTH = ("mup", "ntk")
COLORS = {"mup": "#3b6ea8", "ntk": "#c8452f"}


def run(parameters: dict[str, Any], *, seed: int) -> dict[str, xr.Dataset]:
    """Scan the rates of the theory, test the critical ones on networks, and find the orbit."""
    p = parameters
    provenance = record("study", {"parameters": p, "seed": seed})
    widths = p["width_ratios"]
    hard = sd.models.DeepLinearNetwork(1.0, float("inf"), 1, p["critical_strength"], 1.0, input_dim=p["input_dim"])
    soft = sd.models.DeepLinearNetwork(1.0, p["sample_ratio"], 1, p["iso_strength"], 1.0)
    critical = _scan(hard, widths, lambda net: dmft.critical_learning_rate(net, p["critical_updates"] - 1).value)
    iso = _scan(soft, widths, lambda net: dmft.iso_loss_learning_rate(net, p["iso_updates"] - 1, p["iso_loss"]))
    coords = {"width_ratio": (("width_ratio",), widths), "parametrization": (("parametrization",), list(BOTH))}
    rates = build(
        {
            "critical_learning_rate": (("width_ratio", "parametrization"), critical),
            "iso_loss_learning_rate": (("width_ratio", "parametrization"), iso),
        },
        coords,
        source="study",
        provenance=provenance,
    )
    return {
        "rates": rates,
        "iso": rates.sel(width_ratio=rates["width_ratio"] >= 2.0),
        "below": _losses(hard, rates, 0.93, p, seed, provenance, worst=np.max),
        "above": _losses(hard, rates, 1.1, p, seed, provenance, worst=np.min),
        **_orbits(p, seed, provenance),
        "curves": _curves(soft, widths, p["iso_updates"], provenance),
    }


def _scan(model: Any, widths: list[float], find: Any) -> np.ndarray:
    """A rate for every width and parametrization."""
    return np.array(
        [[find(dataclasses.replace(model, width_ratio=w, parametrization=name)) for name in BOTH] for w in widths]
    )


def _losses(
    model: Any, rates: xr.Dataset, factor: float, p: dict[str, Any], seed: int, provenance: str, *, worst: Any
) -> xr.Dataset:
    """Worst loss over all networks at a multiple of the critical rate of their width; 1e12 is divergence."""
    found = []
    for width in rates["width_ratio"].values:
        dim = max(20, round(p["input_dim"] / np.sqrt(width)))
        for name in BOTH:
            rate = float(rates["critical_learning_rate"].sel(width_ratio=width, parametrization=name)) * factor
            net = dataclasses.replace(
                model, width_ratio=float(width), parametrization=name, learning_rate=rate, input_dim=dim
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # to diverge is what is asked
                run = sd.simulate(net, [p["critical_updates"]], seed=seed, replicates=p["replicates"])
            found.append(np.nan_to_num(run["test_loss"].values, nan=1e12))
    return build({"test_loss": ((), float(worst(found)))}, {}, source="study", provenance=provenance)


def _orbits(p: dict[str, Any], seed: int, provenance: str) -> dict[str, xr.Dataset]:
    """Two successive values of the sharpness late in training, sorted, with their geometric mean."""
    model = sd.models.DeepLinearNetwork(
        1.0, float("inf"), 1, p["critical_strength"], p["orbit_rate"], input_dim=p["orbit_dim"]
    )
    times = [p["orbit_updates"], p["orbit_updates"] + 1]
    out = {}
    for name, ds in (("orbit", sd.predict(model, times)), ("network_orbit", sd.simulate(model, times, seed=seed))):
        low, high = np.sort(ds["sharpness"].values.ravel())
        out[name] = build(
            {"sharpness": (("phase",), [low, high, np.sqrt(low * high)])},
            {"phase": (("phase",), ["lower", "upper", "geometric mean"])},
            source="study",
            provenance=provenance,
        )
    return out


def _curves(model: Any, widths: list[float], updates: int, provenance: str) -> xr.Dataset:
    """Last loss against the learning rate."""
    grid = np.geomspace(0.01, 0.6, 45)
    losses = [
        [
            dmft.loss_curve(dataclasses.replace(model, width_ratio=w, parametrization=name), updates - 1, grid)
            for name in BOTH
        ]
        for w in widths
    ]
    return build(
        {"test_loss": (("width_ratio", "parametrization", "rate"), np.array(losses))},
        {"width_ratio": (("width_ratio",), widths), "parametrization": (("parametrization",), list(BOTH)),
         "rate": (("rate",), grid)},
        source="study",
        provenance=provenance,
    )  # fmt: skip


def draw(datasets: dict[str, xr.Dataset]) -> dict[str, Figure]:
    """Loss against the rate at each width, and the critical rate against width."""
    curves, rates = datasets["curves"], datasets["rates"]
    figure = Figure(figsize=(8.5, 3.8), layout="constrained")
    for ax, name in zip(figure.subplots(1, 2, sharey=True), BOTH, strict=True):
        for width, alpha in zip(
            curves["width_ratio"].values, np.linspace(0.35, 1.0, curves.sizes["width_ratio"]), strict=True
        ):
            line = curves["test_loss"].sel(width_ratio=width, parametrization=name)
            ax.plot(line["rate"], line, color=COLORS[name], alpha=alpha, label=f"N = {width:g} D")
        ax.set(xscale="log", yscale="log", xlabel="learning rate", title={"mup": "muP", "ntk": "neural tangent"}[name])
        ax.set(ylim=(5e-3, 1.5))
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, fontsize="small")
    figure.axes[0].set_ylabel("test loss after training")
    critical = Figure(figsize=(5.6, 3.8), layout="constrained")
    ax = critical.subplots()
    for name in BOTH:
        line = rates["critical_learning_rate"].sel(parametrization=name)
        ax.plot(
            line["width_ratio"], line, "o-", color=COLORS[name], label={"mup": "muP", "ntk": "neural tangent"}[name]
        )
    ax.set(xscale="log", yscale="log", xlabel="width / input dimension", ylabel="critical learning rate")
    ax.set_xticks(rates["width_ratio"].values, [f"{x:g}" for x in rates["width_ratio"].values])
    ax.set_yticks([0.2, 0.3, 0.4, 0.6], ["0.2", "0.3", "0.4", "0.6"])
    ax.minorticks_off()
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    return {"Loss against the learning rate, by width": figure, "Critical learning rate against width": critical}

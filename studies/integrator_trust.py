"""The stationary law under two schemes: exact, and explicit Euler with sorting."""

from __future__ import annotations

from typing import Any

import xarray as xr
from matplotlib.figure import Figure

import sdespec as sd


def run(parameters: dict[str, Any], *, seed: int) -> dict[str, xr.Dataset]:
    """Start in the stationary law, run each scheme for a while, and compare with the sampler of that law."""
    p = parameters
    model = sd.models.DysonLaguerre(p["n_rows"], p["n_cols"], p["weight_decay"], p["diffusion"])
    law = sd.theory.stationary_ensemble(model)
    out = {}
    for method, options in (("exact", {}), ("sorted_euler", {"time_step": p["time_step"]})):
        run = sd.simulate(
            model, [p["time"]], seed=seed, replicates=p["replicates"], initial="stationary", method=method, **options
        )
        out[method] = sd.compare(run, law, tolerance=0.06)
    return out


def draw(datasets: dict[str, xr.Dataset]) -> dict[str, Figure]:
    """Differences with their intervals, one figure a scheme."""
    figures = {}
    for name, check in datasets.items():
        figure = Figure(figsize=(7, 4.5), layout="constrained")
        sd.plot.comparison(check, ax=figure.subplots())
        figures[f"{name.replace('_', ' ')} against the stationary law"] = figure
    return figures

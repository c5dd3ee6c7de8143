"""Dyson motion of squared singular values: simulation against theory, and a spike that drowns."""

from __future__ import annotations

from typing import Any

import xarray as xr
from matplotlib.figure import Figure

import sdespec as sd
from sdespec.core.dataset import extend


def run(parameters: dict[str, Any], *, seed: int) -> dict[str, xr.Dataset]:
    """Simulate from zero and from a spike, predict both, and compare."""
    p = parameters
    model = sd.models.DysonLaguerre(p["n_rows"], p["n_cols"], p["weight_decay"], p["diffusion"])
    simulation = sd.simulate(model, p["times"], seed=seed, replicates=p["replicates"])
    prediction = sd.predict(model, p["times"])
    comparison = sd.compare(
        simulation,
        prediction,
        quantities=["trace_mean", "density"],
        tolerance={"trace_mean": 0.02, "density": 0.05},
    )
    start = {"eigenvalue": [p["spike"]] + [0.0] * (min(p["n_rows"], p["n_cols"]) - 1)}
    spiked = sd.simulate(model, p["times"], seed=seed + 1, replicates=p["replicates"], initial=start)
    return {
        "simulation": simulation,
        "prediction": prediction,
        "comparison": comparison,
        "spike": sd.predict(model, p["times"], initial=start),
        "spike_simulation": _largest(spiked),
    }


def _largest(spiked: xr.Dataset) -> xr.Dataset:
    """Mean of the largest eigenvalue over the replicates, with its error, as the observed outlier."""
    top = spiked["eigenvalue"].isel(rank=0)
    mean, error = top.mean("replicate"), top.std("replicate", ddof=1) / top.sizes["replicate"] ** 0.5
    return extend(
        spiked,
        {
            "outlier": (("layer", "time", "mode"), mean.values[..., None]),
            "outlier_stderr": (("layer", "time", "mode"), error.values[..., None]),
        },
        coords={"mode": (("mode",), [0])},
        provenance=spiked.attrs["provenance"],
    )


def draw(datasets: dict[str, xr.Dataset]) -> dict[str, Figure]:
    """Densities in time with the theory, and the paths of one replicate."""
    densities, paths = Figure(figsize=(8, 4.5), layout="constrained"), Figure(figsize=(6, 4), layout="constrained")
    sd.plot.density_evolution(datasets["simulation"], datasets["prediction"], ax=densities.subplots())
    sd.plot.trajectories(datasets["spike_simulation"], ax=paths.subplots())
    return {"Density at each time, simulated and predicted": densities, "Eigenvalues from a spike": paths}

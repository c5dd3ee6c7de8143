"""Progressive sharpening of a nonlinear network in the infinite-width theory and in finite networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import sdespec as sd
from sdespec.core.dataset import build

_LAST = 0.15  # share of the run that counts as its end


def data() -> tuple[np.ndarray, np.ndarray]:
    """Sixteen Gaussian inputs of dimension three, labelled with the sign of the product of their entries."""
    inputs = np.random.default_rng(0).standard_normal((3, 16))
    inputs *= np.sqrt(3.0) / np.linalg.norm(inputs, axis=0)
    return inputs.T, np.sign(inputs.prod(axis=0))


def run(parameters: dict[str, Any], *, seed: int) -> dict[str, xr.Dataset]:
    """Predict and train, compare early times, and find the highest and the last values."""
    p = parameters
    inputs, targets = data()
    model = sd.models.DeepNetwork(
        inputs, targets, 2, width=p["width"], feature_strength=p["feature_strength"], learning_rate=p["learning_rate"]
    )
    times = sorted({0, *p["early"], *range(0, p["n_updates"], p["every"])})
    theory = sd.predict(model, times, samples=p["samples"], seed=seed, solver_tolerance=0.03)
    networks = sd.simulate(model, times, seed=seed, replicates=p["replicates"])
    late = [time for time in times if time > (1.0 - _LAST) * p["n_updates"]]
    early = {"time": p["early"]}
    return {
        "theory": theory,
        "networks": networks.drop_vars("eigenvalue"),
        "below_the_edge": theory[["sharpness"]].sel(early),
        "comparison": sd.compare(
            networks.sel(early), theory.sel(early), quantities=["sharpness"], tolerance=0.15, significance=0.05
        ),
        "highest": _one(theory, float(theory["sharpness"].max())),
        "plateau": _one(theory, float(theory["sharpness"].sel(time=late).mean())),
        "network_plateau": _mean(networks, networks["sharpness"].sel(time=late).mean("time").values),
    }


def _one(source: xr.Dataset, value: float) -> xr.Dataset:
    return build({"sharpness": ((), value)}, {}, source="study", provenance=source.attrs["provenance"])


def _mean(source: xr.Dataset, values: np.ndarray) -> xr.Dataset:
    """Mean over networks with its error."""
    error = values.std(ddof=1) / np.sqrt(len(values))
    variables = {"sharpness": ((), values.mean()), "sharpness_stderr": ((), error)}
    return build(variables, {}, source="study", provenance=source.attrs["provenance"])


def draw(datasets: dict[str, xr.Dataset]) -> dict[str, Figure]:
    """Sharpness and loss in time."""
    theory, networks = datasets["theory"], datasets["networks"]
    figures = {}
    for name, label, title in (
        ("sharpness", "learning rate x top mode of the tangent kernel", "Sharpness in time"),
        ("train_loss", "training loss", "Training loss in time"),
    ):
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        ax = figure.subplots()
        for replicate in networks["replicate"].values:
            line = networks[name].sel(replicate=replicate)
            ax.plot(
                line["time"], line, color="#3b6ea8", alpha=0.5, lw=0.9, label="networks" if replicate == 0 else None
            )
        ax.plot(theory["time"], theory[name], color="#c8452f", lw=1.6, label="theory, infinite width")
        if name == "sharpness":
            ax.axhline(2.0, color="#1b1b1b", ls=":", lw=1, label="edge of stability")
        else:
            ax.set_yscale("log")
        ax.set(xlabel="updates", ylabel=label)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False)
        figures[title] = figure
    return figures

"""Distance of the stationary spectrum to the best gamma law, against the number of values and the repulsion."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from scipy import special

import sdespec as sd
from sdespec.core.dataset import build
from sdespec.core.provenance import record
from sdespec.fits.bulk import two_sided_distance

COLORS = {"gamma": "#c8452f", "marchenko_pastur": "#3b6ea8", "beta_laguerre": "#4d8f5b"}
GROUPS = 10


def run(parameters: dict[str, Any], *, seed: int) -> dict[str, xr.Dataset]:
    """Draw stationary spectra of the SDE, fit gamma laws to them, and measure what is left."""
    p = parameters
    provenance = record("study", {"parameters": p, "seed": seed})
    spectra = {n: _stationary(n, p["n_values"] // n, seed) for n in p["sizes"]}
    return {
        "sizes": _sizes(spectra, provenance),
        "repulsion": _repulsion(p, seed, provenance),
        "numbers": _numbers(spectra, p, seed, provenance),
        "calibration": _calibration(p, seed, provenance),
    }


def _stationary(n: int, count: int, seed: int) -> np.ndarray:
    """Spectra (count, n) of the stationary law of the SDE, twice as many columns as rows."""
    model = sd.models.DysonLaguerre(n, 2 * n, weight_decay=1.0, diffusion=1.0)
    run = sd.simulate(model, [float("inf")], seed=seed, replicates=count)
    return np.asarray(run["eigenvalue"].values[0, :, 0])


def _distance(values: np.ndarray, law: Any) -> float:
    """Two-sided KS distance of a sample to a law."""
    return two_sided_distance(law.cdf(np.sort(values)))


def _with_error(spectra: np.ndarray, statistic: Any) -> tuple[float, float]:
    """A statistic of all values, and its error by leaving out one of ten groups of spectra."""
    groups = np.array_split(np.arange(len(spectra)), GROUPS)
    parts = [statistic(np.delete(spectra, group, axis=0).ravel()) for group in groups]
    return statistic(spectra.ravel()), float(np.std(parts) * np.sqrt(GROUPS - 1.0))


def _sizes(spectra: dict[int, np.ndarray], provenance: str) -> xr.Dataset:
    """KS distances to the best gamma law and to the Marchenko-Pastur law, against the number of values."""
    found = []
    for n, values in spectra.items():
        limit = sd.laws.MarchenkoPastur(n, 2 * n, 1.0)
        found.append(
            [
                _with_error(values, lambda x: sd.fits.law(x, "gamma").ks_distance),
                _with_error(values, lambda x, limit=limit: _distance(x, limit)),
            ]
        )
    array = np.array(found)
    coords = {
        "size": (("size",), list(spectra)),
        "law": (("law",), ["gamma", "marchenko_pastur"]),
    }
    return build(
        {
            "law_ks_distance": (("size", "law"), array[..., 0]),
            "law_ks_distance_stderr": (("size", "law"), array[..., 1]),
        },
        coords,
        source="study",
        provenance=provenance,
    )


def _repulsion(p: dict[str, Any], seed: int, provenance: str) -> xr.Dataset:
    """The same for weaker and weaker repulsion beta = 2c/n, with the law of high temperature beside the gamma law."""
    n, a = p["repulsion_size"], p["repulsion_exponent"]
    found = []
    for c in p["repulsions"]:
        model = sd.models.DysonLaguerre.high_temperature(n, c, a)
        ensemble = sd.laws.LaguerreEnsemble(n, model.n_cols, model.variance, beta=model.beta)
        values = ensemble.rvs(p["n_values"] // n, seed=seed)
        limit = sd.laws.BetaLaguerre(c, a, 1.0)
        found.append(
            [
                _with_error(values, lambda x: sd.fits.law(x, "gamma").ks_distance),
                _with_error(values, lambda x, limit=limit: _distance(x, limit)),
            ]
        )
    array = np.array(found)
    coords = {"c": (("c",), p["repulsions"]), "law": (("law",), ["gamma", "beta_laguerre"])}
    return build(
        {
            "law_ks_distance": (("c", "law"), array[..., 0]),
            "law_ks_distance_stderr": (("c", "law"), array[..., 1]),
        },
        coords,
        source="study",
        provenance=provenance,
    )


def _numbers(spectra: dict[int, np.ndarray], p: dict[str, Any], seed: int, provenance: str) -> xr.Dataset:
    """Mass of the best gamma law beyond the edge; KS p-values of what is gamma exactly: traces, and hard edges."""
    largest = max(spectra)
    edge = sd.laws.MarchenkoPastur(largest, 2 * largest, 1.0).support()[1]
    beyond, error = _with_error(spectra[largest], lambda x: float(sd.fits.law(x, "gamma").law.sf(edge)))
    n, count = p["exact_size"], p["exact_draws"]
    traces = _stationary(n, count, seed + 1).sum(axis=1)
    trace = _distance(traces, sd.laws.Gamma(n * n, 2.0))
    model = sd.models.DysonLaguerre(n, n + 1, weight_decay=1.0, diffusion=1.0)
    least = sd.simulate(model, [float("inf")], seed=seed + 2, replicates=count)["eigenvalue"].values[0, :, 0, -1]
    hard = _distance(least, sd.laws.Exponential(2.0 / n))
    values = [beyond, *(float(special.kolmogorov(np.sqrt(count) * distance)) for distance in (trace, hard))]
    errors = np.array([error, 0.0, 0.0])
    return build(
        {"observed": (("quantity",), values), "observed_stderr": (("quantity",), errors)},
        {"quantity": (("quantity",), ["gamma mass beyond the edge", "p of the trace", "p of the smallest"])},
        source="study",
        provenance=provenance,
    )


def _calibration(p: dict[str, Any], seed: int, provenance: str) -> xr.Dataset:
    """Median p-value of the gamma law in single spectra, for rigid and for independent values."""
    n = p["single_size"]
    model = sd.models.DysonLaguerre(n, 2 * n, weight_decay=1.0, diffusion=1.0)
    single = sd.simulate(model, [float("inf")], seed=seed + 3, replicates=p["single_draws"])
    kinds = ["ensemble", "iid"]
    found = [
        sd.fit(single, laws=("gamma",), calibration=kind, bootstrap=p["bootstrap"], seed=seed)["p_value"].median()
        for kind in kinds
    ]
    return build(
        {"p_value": (("calibration", "law"), np.array(found, dtype=np.float64)[:, None])},
        {"calibration": (("calibration",), kinds), "law": (("law",), ["gamma"])},
        source="study",
        provenance=provenance,
    )


def draw(datasets: dict[str, xr.Dataset]) -> dict[str, Figure]:
    """Distances against the number of values and against the repulsion."""
    figure = Figure(figsize=(8.5, 3.8), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for ax, name, dim in zip(axes, ("sizes", "repulsion"), ("size", "c"), strict=True):
        ds = datasets[name]
        for law in ds["law"].values.tolist():
            one = ds.sel(law=law)
            ax.errorbar(
                one[dim], one["law_ks_distance"], 2.0 * one["law_ks_distance_stderr"], fmt="o-", ms=4,
                color=COLORS[law], label=law.replace("_", " "),
            )  # fmt: skip
        ax.set(xscale="log", yscale="log")
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False)
    axes[0].set(xlabel="number of values n, m = 2n, beta = 1", ylabel="KS distance of the stationary spectrum")
    axes[0].set_xticks(datasets["sizes"]["size"].values, [str(n) for n in datasets["sizes"]["size"].values])
    axes[0].minorticks_off()
    axes[1].set(xlabel="repulsion c = beta n / 2")
    return {"A gamma law is right for one value, or without repulsion": figure}

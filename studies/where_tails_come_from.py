"""Additive noise has no tail; noise that multiplies the weights has one over runs, and none within a large spectrum."""

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

BLUE, RED, GREEN = "#3b6ea8", "#c8452f", "#4d8f5b"


def run(parameters: dict[str, Any], *, seed: int) -> dict[str, xr.Dataset]:
    """Simulate and draw, fit tails over runs and within spectra, and put the exponents beside the theory."""
    p = parameters
    provenance = record("study", {"parameters": p, "seed": seed})
    return {
        "laws": _laws(p, seed, provenance),
        "over_runs": _over_runs(p, seed, provenance),
        "within": _within(p, seed, provenance),
        "recursion": _recursion(p, seed, provenance),
    }


def _distance(values: np.ndarray, law: Any) -> float:
    """Two-sided KS distance of a sample to a law."""
    return two_sided_distance(law.cdf(np.sort(values)))


def _model(n: int, m: int, noise: Any) -> Any:
    """Weights under decay 1 and additive noise of stationary variance 1/2, and noise that multiplies them."""
    return sd.models.MatrixSGD(n, m, 1.0, (sd.models.IsotropicNoise(0.5), noise))


def _laws(p: dict[str, Any], seed: int, provenance: str) -> xr.Dataset:
    """p-values of the exact law of one row under scalar noise, and of the gamma law without it."""
    d = p["scalar_diffusion"]
    model = _model(1, p["row"], sd.models.ScalarMultiplicativeNoise(d))
    run = sd.simulate(model, [p["relaxed"]], seed=seed, replicates=p["runs"], method="euler", time_step=p["time_step"])
    values = run["eigenvalue"].values[0, :, 0, 0]
    exact = sd.laws.BetaPrime(0.5 * p["row"], 0.5 + 0.5 / d, 0.5 / d)
    shifted = sd.laws.BetaPrime(0.5 * p["row"], 1.0 + 0.5 / d, 0.5 / d)  # the other calculus
    distances = [_distance(values, law) for law in (exact, shifted)]
    found = [float(special.kolmogorov(np.sqrt(len(values)) * distance)) for distance in distances]
    names = ["exact law of one row", "the law in the other calculus"]
    coords = {"quantity": (("quantity",), names)}
    return build({"observed": (("quantity",), found)}, coords, source="study", provenance=provenance)


def _hill(values: np.ndarray, share: float) -> tuple[float, float]:
    """Exponent of the density of the upper share of the values, and its error over independent values."""
    count = int(share * len(values))
    tail = np.sort(values)[-count - 1 :]
    survival = (count - 1.0) / float(np.log(tail[1:] / tail[0]).sum())
    return 1.0 + survival, survival / np.sqrt(count)


def _over_runs(p: dict[str, Any], seed: int, provenance: str) -> xr.Dataset:
    """Exponents over runs of the stationary laws of right noise, matrix F ensembles, beside those of the theory."""
    n, m = p["small_rows"], p["small_cols"]
    found, errors, expected = [], [], []
    for k in p["right_diffusions"]:
        model = _model(n, m, sd.models.RightMultiplicativeNoise(k))
        tops = sd.theory.stationary_ensemble(model).rvs(p["draws"], seed=seed)[:, 0]
        exponent, error = _hill(tops, p["share"])
        found.append(exponent)
        errors.append(error)
        expected.append(1.0 + 0.5 * sd.theory.tail_index_sde(model))
    dims = ("diffusion",)
    return build(
        {
            "tail_exponent": (("origin", *dims), [found, expected]),
            "tail_exponent_stderr": (("origin", *dims), [errors, [0.0] * len(found)]),
        },
        {"origin": (("origin",), ["draws", "theory"]), "diffusion": (dims, p["right_diffusions"])},
        source="study",
        provenance=provenance,
    )


def _within(p: dict[str, Any], seed: int, provenance: str) -> xr.Dataset:
    """Exponents that a Hill estimate finds within single large spectra, and how far these end beyond their edge."""
    n, m = p["large_rows"], p["large_cols"]
    exponents, errors, ends = [], [], []
    for index in p["indices"]:
        ensemble = sd.laws.MatrixFEnsemble(n, m, n - 1 + 2 * index)  # survival exponent of the largest value
        spectra = ensemble.rvs(p["large_draws"], seed=seed)
        each = [_hill(spectrum, 0.1)[0] for spectrum in spectra]
        exponents.append(np.mean(each))
        errors.append(np.std(each, ddof=1) / np.sqrt(len(each)))
        # at the least index there is no edge: the limit law itself has a power law, of exponent 3/2
        edge = ensemble.bulk.support()[1] if ensemble.n_denominator > n else np.nan
        ends.append(np.median(spectra[:, 0]) / edge)
    scalar = _model(n, m, sd.models.ScalarMultiplicativeNoise(p["scalar_diffusion"]))
    run = sd.simulate(scalar, [p["relaxed"]], seed=seed, replicates=p["large_runs"], method="euler", time_step=0.05)
    scaled = run["eigenvalue"].values[0, :, 0]
    distances = [
        _distance(spectrum, sd.laws.MarchenkoPastur(n, m, float(spectrum.sum()) / (n * m))) for spectrum in scaled
    ]
    spread = scaled.sum(axis=1).max() / scaled.sum(axis=1).min()
    return build(
        {
            "tail_exponent": (("index",), exponents),
            "tail_exponent_stderr": (("index",), errors),
            "ks_mp": ((), float(max(distances))),
            "observed": (("quantity",), [float(spread), float(ends[-1])]),
        },
        {
            "index": (("index",), p["indices"]),
            "quantity": (("quantity",), ["largest over smallest trace", "largest value over the edge"]),
        },
        source="study",
        provenance=provenance,
    )


def _recursion(p: dict[str, Any], seed: int, provenance: str) -> xr.Dataset:
    """Exponent of the discrete recursion of one weight, beside the two that theories give."""
    model = sd.models.LinearRegressionSGD(1, 1, p["learning_rate"], 1, label_noise=1.0)
    times = p["burn_in"] + p["apart"] * np.arange(p["records"])
    run = sd.simulate(model, times, seed=seed, replicates=p["recursions"])
    exponent, error = _hill(run["eigenvalue"].values.ravel(), p["recursion_share"])
    indices = [sd.theory.tail_index_kesten(model), sd.theory.tail_index_sde(model)]
    return build(
        {
            "tail_exponent": (("origin",), [exponent, *(1.0 + 0.5 * index for index in indices)]),
            "tail_exponent_stderr": (("origin",), [error, 0.0, 0.0]),
        },
        {"origin": (("origin",), ["recursion", "kesten", "sde"])},
        source="study",
        provenance=provenance,
    )


def draw(datasets: dict[str, xr.Dataset]) -> dict[str, Figure]:
    """Exponents over runs against theory, and those that are found within single spectra."""
    over, within = datasets["over_runs"], datasets["within"]
    figure = Figure(figsize=(8.5, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    theory, draws = over["tail_exponent"].sel(origin="theory"), over["tail_exponent"].sel(origin="draws")
    left.plot(over["diffusion"], theory, color=BLUE, label="theory")
    error = 2.0 * over["tail_exponent_stderr"].sel(origin="draws")
    left.errorbar(over["diffusion"], draws, error, fmt="o", ms=4, color=RED, label="largest values of many runs")
    left.set(xlabel="strength of the right noise", ylabel="exponent of the density", title="over runs")
    right.errorbar(
        within["index"], within["tail_exponent"], 2.0 * within["tail_exponent_stderr"], fmt="o-", ms=4, color=RED,
        label="Hill estimate, upper tenth of one spectrum",
    )  # fmt: skip
    right.plot(within["index"], 1.0 + within["index"], color=BLUE, label="over runs, theory")
    right.set(xscale="log", yscale="log", xlabel="index of the largest value", title="within one spectrum")
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, fontsize="small")
    return {"Exponents over runs, and within one spectrum that ends at an edge": figure}

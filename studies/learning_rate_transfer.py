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
        **_nonlinear(p, seed, provenance),
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


def _parity_network(width: int, parametrization: str) -> Any:
    """Two hidden layers of tanh that learn the sign of the product of three inputs, sixteen samples."""
    inputs = np.random.default_rng(0).standard_normal((3, 16))
    inputs *= np.sqrt(3) / np.linalg.norm(inputs, axis=0)
    return sd.models.DeepNetwork(
        inputs.T, np.sign(inputs.prod(axis=0)), 2, width=width, feature_strength=1.0, base_width=128,
        parametrization=parametrization, learning_rate=1.0,
    )  # fmt: skip


def _nonlinear(p: dict[str, Any], seed: int, provenance: str) -> dict[str, xr.Dataset]:
    """Iso-loss rates of a nonlinear network, by theory and by networks, from the mean log loss of a window."""
    widths, levels = p["nonlinear_widths"], p["nonlinear_losses"]
    rates = np.geomspace(*p["nonlinear_rates"], p["nonlinear_points"])
    updates, window = p["nonlinear_updates"], p["nonlinear_window"]
    shape = (len(widths), len(BOTH), len(levels))
    theory, network, error = np.empty(shape), np.empty(shape), np.empty(shape)
    for i, width in enumerate(widths):
        for j, name in enumerate(BOTH):
            net = _parity_network(width, name)
            if name == "mup" and i:
                theory[i, j] = theory[0, j]  # the limit of infinite width knows no width
            else:
                scores = dmft.loss_curve(net, updates, rates, window=window, samples=p["samples"], seed=seed)
                theory[i, j] = _crossings(rates, np.log(scores), levels)
            # the seed variance falls as 1/width, so fewer wide networks have the same error
            logs = _network_scores(net, rates, updates, window, p["network_units"] // width, seed)
            network[i, j] = _crossings(rates, logs.mean(axis=1), levels)
            count = logs.shape[1]
            left_out = [_crossings(rates, np.delete(logs, k, axis=1).mean(axis=1), levels) for k in range(count)]
            error[i, j] = np.std(left_out, axis=0) * np.sqrt(count - 1)  # jackknife
    dims = ("width", "parametrization", "level")
    coords = {
        "width": (("width",), widths),
        "parametrization": (("parametrization",), list(BOTH)),
        "level": (("level",), levels),
    }
    one = build({"iso_loss_learning_rate": (dims, theory)}, coords, source="study", provenance=provenance)
    other = build(
        {"iso_loss_learning_rate": (dims, network), "iso_loss_learning_rate_stderr": (dims, error)},
        coords,
        source="study",
        provenance=provenance,
    )
    return {"nonlinear_theory": one, "nonlinear_networks": other}


def _network_scores(net: Any, rates: np.ndarray, updates: int, window: int, count: int, seed: int) -> np.ndarray:
    """Mean log loss over the window for every rate and network."""
    times = range(updates + 1 - window, updates + 1)
    scores = []
    for rate in rates:
        one = dataclasses.replace(net, learning_rate=float(rate))
        run = sd.simulate(one, times, seed=seed, replicates=count, spectra=False)
        scores.append(np.log(run["train_loss"].values).mean(axis=1))
    return np.array(scores)


def _crossings(rates: np.ndarray, logs: np.ndarray, levels: list[float]) -> np.ndarray:
    """Rates at which the score first falls to the levels; linear in logarithms between the rates."""
    found = []
    for level in np.log(levels):
        last = int(np.argmax(logs <= level))
        if last == 0:
            raise ValueError(
                f"the loss {np.exp(level):g} is not crossed between the rates {rates[0]:g} and {rates[-1]:g}"
            )
        share = (logs[last - 1] - level) / (logs[last - 1] - logs[last])
        found.append(rates[last - 1] * (rates[last] / rates[last - 1]) ** share)
    return np.array(found)


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
    return {
        "Loss against the learning rate, by width": figure,
        "Critical learning rate against width": critical,
        "Rates of equal loss of a nonlinear network": _draw_nonlinear(datasets),
    }


def _draw_nonlinear(datasets: dict[str, xr.Dataset]) -> Figure:
    """Iso-loss rates against width: networks as points with error bars, theory as lines."""
    theory, networks = (datasets[name]["iso_loss_learning_rate"] for name in ("nonlinear_theory", "nonlinear_networks"))
    errors = datasets["nonlinear_networks"]["iso_loss_learning_rate_stderr"]
    figure = Figure(figsize=(5.6, 3.8), layout="constrained")
    ax = figure.subplots()
    for name in BOTH:
        for level, style in zip(theory["level"].values, ("-", "--"), strict=True):
            chosen = {"parametrization": name, "level": level}
            label = f"{ {'mup': 'muP', 'ntk': 'neural tangent'}[name] }, loss {level:g}"
            ax.plot(theory["width"], theory.sel(chosen), style, color=COLORS[name], label=label)
            ax.errorbar(theory["width"], networks.sel(chosen), errors.sel(chosen), fmt="o", ms=4, color=COLORS[name])
    ax.set(xscale="log", yscale="log", xlabel="width", ylabel="learning rate that reaches the loss")
    ax.set_xticks(theory["width"].values, [f"{x:g}" for x in theory["width"].values])
    ax.set_yticks([0.5, 0.7, 1.0, 1.4], ["0.5", "0.7", "1", "1.4"])
    ax.minorticks_off()
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize="small", title="lines: theory, points: networks", title_fontsize="small")
    return figure

"""The demonstration: a small trained network that comes with the package, from checkpoint to report."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path

import xarray as xr

from sdespec.compare import compare
from sdespec.core.dataset import extend, save
from sdespec.core.errors import OutputError
from sdespec.core.provenance import record
from sdespec.dispatch import predict, simulate
from sdespec.models import DysonLaguerre
from sdespec.report import write_report
from sdespec.verbs import fit, measure

__all__ = ["NETWORK", "run_demo"]

NETWORK = "digits_mlp"

Progress = Callable[[int, int, str], None]


def run_demo(
    folder: str | os.PathLike[str], *, seed: int = 0, progress: Callable[[str], Progress] | None = None
) -> xr.Dataset:
    """Measure and fit the bundled network, hold two roads against each other, write ``result.nc`` and ``report.html``.

    The two roads are the exact simulation of a weight matrix under weight decay and noise, and its theory.

    Parameters
    ----------
    folder : path
        Where to write; made if it does not exist.
    seed : int
        Seed of the nulls and resamples.
    progress : callable, optional
        Called with the name of a stage; gives the progress function of that stage.

    Returns
    -------
    xarray.Dataset
        The fits, dims (layer, time), and the verdicts of the comparison over ``quantity``.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {target}: {error.strerror or error}") from error

    def stage(name: str) -> Progress | None:
        return None if progress is None else progress(name)

    with as_file(files("sdespec.demo") / "data" / NETWORK) as network:
        spectra = measure(network, seed=seed, progress=stage("measure"))
    fits = fit(spectra, seed=seed, progress=stage("fit"))
    result = _with_verdicts(fits, _two_roads(seed, stage("simulate")))
    save(result, target / "result.nc")
    write_report(
        result,
        target / "report.html",
        title="A network trained on handwritten digits",
        progress=stage("report"),
    )
    return result


def _two_roads(seed: int, progress: Progress | None) -> xr.Dataset:
    """Simulation against theory of the same model, which do not know each other."""
    model = DysonLaguerre(n_rows=32, n_cols=64, weight_decay=1.0, diffusion=0.3)
    run = simulate(model, [0.1, 0.5, 3.0, math.inf], seed=seed, replicates=1000, progress=progress)
    theory = predict(model, run["time"].values)
    return compare(run, theory, quantities=["trace_mean", "density"], tolerance=0.06)


def _with_verdicts(fits: xr.Dataset, check: xr.Dataset) -> xr.Dataset:
    """The fits with the rows of the comparison beside them."""
    rows = {str(name): (tuple(map(str, array.dims)), array.values) for name, array in check.data_vars.items()}
    return extend(
        fits,
        rows,
        coords={"quantity": (("quantity",), check["quantity"].values)},
        provenance=record("sdespec.demo", {"fits": fits, "comparison": check}),
    )

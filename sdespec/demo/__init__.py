"""The demonstration: a small trained network that comes with the package, from checkpoint to report."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path

import xarray as xr

from sdespec.core.dataset import save
from sdespec.core.errors import OutputError
from sdespec.report import write_report
from sdespec.verbs import fit, measure

__all__ = ["NETWORK", "run_demo"]

NETWORK = "digits_mlp"

Progress = Callable[[int, int, str], None]


def run_demo(
    folder: str | os.PathLike[str], *, seed: int = 0, progress: Callable[[str], Progress] | None = None
) -> xr.Dataset:
    """Measure and fit the bundled network at all its steps; write ``result.nc`` and ``report.html``.

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
        The fits, dims (layer, time).

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
    save(fits, target / "result.nc")
    write_report(
        fits,
        target / "report.html",
        title="A network trained on handwritten digits",
        progress=stage("report"),
    )
    return fits

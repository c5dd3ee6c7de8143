"""The commands simulate, predict and compare; they hold no logic, like those of ``sdespec.cli``."""

from __future__ import annotations

import sys
from pathlib import Path

from sdespec.cli import OUTPUT, Output, Screen, check_out, write

__all__ = ["compare", "predict", "simulate"]


def simulate(model: Path, /, *, out: Path | None = None, seed: int | None = None, output: Output = OUTPUT) -> int:
    """Draw the spectra of a model at the times of its file.

    Parameters
    ----------
    model
        A TOML file with the tables [model] (type, its fields, noises and loss) and [run] (times, seed,
        replicates, method, time_step, initial).
    out
        File for the result, NetCDF-4.
    seed
        Seed instead of that of the file.
    output
        Options of printing.
    """
    screen = Screen(output)
    check_out(out, model)
    from sdespec.model_file import load_model_file, run_document

    file = load_model_file(model)
    result = file.simulate(seed=seed)
    screen.table(result)
    write(result, out, screen)
    screen.document(run_document(result).model_dump_json(by_alias=True, indent=1))
    return 0


def predict(model: Path, /, *, out: Path | None = None, output: Output = OUTPUT) -> int:
    """Calculate moments, density, edges and outliers of a model at the times of its file.

    Parameters
    ----------
    model
        A TOML file with the tables [model] (type, its fields, noises and loss) and [run] (times, initial;
        the rest is for simulate).
    out
        File for the result, NetCDF-4.
    output
        Options of printing.
    """
    screen = Screen(output)
    check_out(out, model)
    from sdespec.model_file import load_model_file, run_document

    result = load_model_file(model).predict()
    screen.table(result)
    write(result, out, screen)
    screen.document(run_document(result).model_dump_json(by_alias=True, indent=1))
    return 0


def compare(
    observed: Path,
    predicted: Path,
    /,
    *,
    tolerance: float | None = None,
    significance: float = 1e-3,
    fail_on_disagree: bool = False,
    out: Path | None = None,
    output: Output = OUTPUT,
) -> int:
    """Hold a result of simulate or measure against one of predict or simulate.

    Parameters
    ----------
    observed
        A file with eigenvalues.
    predicted
        A file of predict, or another one with eigenvalues.
    tolerance
        Largest relative difference that still counts as agreement; without it nothing can agree.
    significance
        Probability that one or more true predictions are said to disagree.
    fail_on_disagree
        Exit with 1 where a quantity disagrees.
    out
        File for the result, NetCDF-4.
    output
        Options of printing.
    """
    screen = Screen(output)
    check_out(out)
    from sdespec.compare import compare as compare_verb
    from sdespec.core.dataset import open_dataset
    from sdespec.model_file import compare_document

    check = compare_verb(
        open_dataset(observed), open_dataset(predicted), tolerance=tolerance, significance=significance
    )
    screen.table(check)
    write(check, out, screen)
    document = compare_document(check)
    screen.document(document.model_dump_json(by_alias=True, indent=1))
    hits = [line.name for line in document.quantities if line.verdict == "disagree"]
    if fail_on_disagree and hits:
        print(f"--fail-on-disagree: {len(hits)} of {len(document.quantities)}: {', '.join(hits[:5])}", file=sys.stderr)
        return 1
    return 0

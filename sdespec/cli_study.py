"""The command line of studies."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from cyclopts import App

from sdespec.cli import OUTPUT, Output, Screen
from sdespec.core.errors import FormatError, UsageError

__all__ = ["app"]

app = App(name="study", help="List and run studies: a TOML file with claims, and the script that makes its results.")


@app.command(name="list")
def list_studies(folder: Path = Path("studies"), /, *, output: Output = OUTPUT) -> int:
    """List the studies of a folder.

    Parameters
    ----------
    folder
        Folder with the TOML files.
    output
        Options of printing.
    """
    from sdespec.study import load_study

    if not folder.is_dir():
        raise FormatError("no such folder of studies", file=str(folder))
    studies = [(path, load_study(path)) for path in sorted(folder.glob("*.toml"))]
    screen = Screen(output)
    for path, study in studies:
        screen.say(f"{path}   {study.title}   {len(study.claims)} claims")
    entries = [
        {"file": str(path), "id": study.id, "title": study.title, "paper": study.paper, "claims": len(study.claims)}
        for path, study in studies
    ]
    screen.document(json.dumps({"schema": "sdespec.study-list/1", "studies": entries}))
    return 0


@app.command
def schema() -> int:
    """Print the JSON schema of the TOML file of a study."""
    from sdespec.study import study_schema

    print(json.dumps(study_schema(), indent=1))
    return 0


@app.command
def run(
    file: Path,
    /,
    *,
    quick: bool = False,
    set_: tuple[str, ...] = (),
    seed: int | None = None,
    out: Path = Path("results"),
    fresh: bool = False,
    fail_on_contradicted: bool = False,
    output: Output = OUTPUT,
) -> int:
    """Run a study, judge its claims and write its report; unchanged results are reused.

    Parameters
    ----------
    file
        TOML file of the study; its script is executed.
    quick
        Take the parameters of the table 'quick'.
    set_
        A parameter as in TOML, such as 'replicates=200'; may be repeated.
    seed
        Seed instead of that of the file.
    out
        Folder of results.
    fresh
        Run the script even where earlier results are valid.
    fail_on_contradicted
        Exit with 1 where a claim is contradicted.
    output
        Options of printing.
    """
    from sdespec.study import load_study, run_study

    screen = Screen(output)
    study = load_study(file, quick=quick, overrides=dict(_setting(text) for text in set_), seed=seed)
    result = run_study(study, out, fresh=fresh)
    width = max(len(finding.claim.id) for finding in result.findings)
    for finding in result.findings:
        screen.say(f" {finding.claim.id:{width}}  {finding.outcome:12}  {finding.evidence}")
    counts = ", ".join(f"{count} {name}" for name, count in result.counts.items() if count)
    screen.say(f" claims: {len(result.findings)} checked: {counts}     {result.folder / 'report.html'}")
    screen.document((result.folder / "findings.json").read_text(encoding="utf-8"))
    return 1 if fail_on_contradicted and result.counts["contradicted"] else 0


def _setting(text: str) -> tuple[str, Any]:
    """One parameter, written as in TOML."""
    try:
        ((name, value),) = tomllib.loads(text).items()
    except (tomllib.TOMLDecodeError, ValueError):
        raise UsageError(
            f"{text!r} is no parameter; write name=value as in TOML, for example 'replicates=200'"
        ) from None
    return name, value

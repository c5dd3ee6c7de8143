"""Run a study: make or reuse its Datasets, judge its claims, write result and report."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import xarray as xr

from sdespec.compare.claims import Finding, judge
from sdespec.core.dataset import open_dataset, save, write_atomically
from sdespec.core.errors import OutputError, UsageError
from sdespec.core.provenance import package_version
from sdespec.report.study import study_page
from sdespec.study.config import Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["StudyResult", "run_study"]


@dataclass(frozen=True)
class StudyResult:
    """What a run of a study gave.

    Attributes
    ----------
    study : Study
        The study.
    findings : tuple of Finding
        Outcome of each claim, in the order of the file.
    folder : pathlib.Path
        Where ``findings.json``, ``report.html``, figures and Datasets are.
    reused : bool
        True where the Datasets of an earlier run were still valid.
    """

    study: Study
    findings: tuple[Finding, ...]
    folder: Path
    reused: bool

    @property
    def counts(self) -> dict[str, int]:
        """Number of claims by outcome."""
        return {
            name: sum(f.outcome == name for f in self.findings) for name in ("reproduced", "contradicted", "undecided")
        }


def run_study(study: Study, folder: str | os.PathLike[str] = "results", *, fresh: bool = False) -> StudyResult:
    """Run a study, or reuse its Datasets where script, parameters, seed and version are unchanged.

    Parameters
    ----------
    study : Study
        From ``load_study``.
    folder : path
        Results go to a folder of the study's name below it.
    fresh : bool
        Run the script even where earlier Datasets are valid.

    Returns
    -------
    StudyResult

    Raises
    ------
    UsageError
        If the script lacks ``run`` or gives something else than a mapping of Datasets.
    OutputError
        If the folder cannot be written.

    Notes
    -----
    The script is Python code of the study and is executed; run only studies that you trust.
    """
    target = Path(folder) / study.id
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {target}: {error.strerror or error}") from error
    key = _key(study)
    datasets = None if fresh else _reuse(target, key)
    reused = datasets is not None
    script = _load(study)
    if datasets is None:
        datasets = _datasets(script.run(dict(study.parameters), seed=study.seed), study)
        for name, ds in datasets.items():
            save(ds, target / f"{name}.nc")
        stages = json.dumps({"key": key, "datasets": list(datasets)})
        write_atomically(target / "stages.json", lambda name: Path(name).write_text(stages, encoding="utf-8"))
    findings = tuple(judge(claim, datasets) for claim in study.claims)
    figures: Mapping[str, Figure] = script.draw(datasets) if hasattr(script, "draw") else {}
    document = json.dumps(_document(study, findings), indent=1, allow_nan=False)
    write_atomically(target / "findings.json", lambda name: Path(name).write_text(document, encoding="utf-8"))
    page = study_page(
        title=study.title, question=study.question, paper=study.paper, parameters=study.parameters, seed=study.seed,
        findings=findings, figures=figures,
    )  # fmt: skip
    write_atomically(target / "report.html", lambda name: Path(name).write_text(page, encoding="utf-8"))
    return StudyResult(study, findings, target, reused)


def _key(study: Study) -> str:
    """What the Datasets depend on."""
    parts = json.dumps([study.parameters, study.seed, package_version()], sort_keys=True, default=str)
    return hashlib.sha256(study.script.read_bytes() + parts.encode()).hexdigest()


def _reuse(target: Path, key: str) -> dict[str, xr.Dataset] | None:
    stages = target / "stages.json"
    if not stages.is_file():
        return None
    record = json.loads(stages.read_text(encoding="utf-8"))
    if record.get("key") != key or not all((target / f"{name}.nc").is_file() for name in record["datasets"]):
        return None
    return {name: open_dataset(target / f"{name}.nc") for name in record["datasets"]}


def _load(study: Study) -> ModuleType:
    name = f"sdespec_study_{study.id.replace('-', '_')}"
    spec = importlib.util.spec_from_file_location(name, study.script)
    if spec is None or spec.loader is None:
        raise UsageError(f"{study.script} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    if not isinstance(getattr(module, "run", None), Callable):  # type: ignore[arg-type]  # an abstract class is meant
        raise UsageError(f"{study.script} has no function run(parameters, *, seed)")
    return module


def _datasets(made: Any, study: Study) -> dict[str, xr.Dataset]:
    if not isinstance(made, Mapping) or not all(isinstance(ds, xr.Dataset) for ds in made.values()):
        raise UsageError(f"run in {study.script} must give a mapping of names to Datasets, not {type(made).__name__}")
    return {str(name): ds for name, ds in made.items()}


def _document(study: Study, findings: tuple[Finding, ...]) -> dict[str, Any]:
    def number(value: float) -> float | None:
        return value if abs(value) < float("inf") else None  # NaN is not below infinity

    return {
        "schema": "sdespec.study/1",
        "study": study.id,
        "seed": study.seed,
        "parameters": study.parameters,
        "claims": [
            {
                "id": f.claim.id,
                "paper": f.claim.paper,
                "text": f.claim.text,
                "outcome": f.outcome,
                "estimate": number(f.estimate),
                "interval": [number(f.interval[0]), number(f.interval[1])],
                "evidence": f.evidence,
            }
            for f in findings
        ],
    }

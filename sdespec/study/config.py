"""The TOML file of a study, strictly read."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sdespec.compare.claims import Claim
from sdespec.core.errors import FormatError, UsageError
from sdespec.core.toml import read_toml

__all__ = ["Study", "load_study", "study_schema"]


class _Strict(BaseModel):
    """Frozen, with no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ClaimEntry(_Strict):
    """One ``[[claim]]`` table; see ``sdespec.compare.claims.Claim``."""

    id: str
    paper: str
    text: str
    quantity: str
    of: str
    relation: str
    select: dict[str, Any] = Field(default_factory=dict)
    along: str | None = None
    tolerance: dict[str, float] = Field(default_factory=dict)
    against: str | None = None
    value: float | str | None = None


class StudyFile(_Strict):
    """The whole file."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str
    paper: str
    question: str
    script: str
    seed: int = 0
    parameters: dict[str, Any] = Field(default_factory=dict)
    quick: dict[str, Any] = Field(default_factory=dict)
    claim: list[ClaimEntry] = Field(min_length=1)


class Study(_Strict):
    """A study that can be run.

    Attributes
    ----------
    id, title, paper, question : str
        Name, heading, sources, and what is asked.
    script : pathlib.Path
        Python file with the function ``run(parameters, *, seed) -> dict of Datasets`` and, if it draws,
        ``draw(datasets) -> dict of figures``.
    seed : int
        Seed handed to the script.
    parameters : dict
        Parameters handed to the script.
    claims : tuple of Claim
        Statements to be judged.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    id: str
    title: str
    paper: str
    question: str
    script: Path
    seed: int
    parameters: dict[str, Any]
    claims: tuple[Claim, ...]


def study_schema() -> dict[str, Any]:
    """JSON schema of the TOML file of a study.

    Examples
    --------
    >>> study_schema()["title"]
    'StudyFile'
    """
    return StudyFile.model_json_schema()


def load_study(
    path: str | os.PathLike[str],
    *,
    quick: bool = False,
    overrides: dict[str, Any] | None = None,
    seed: int | None = None,
) -> Study:
    """Read the TOML file of a study.

    Parameters
    ----------
    path : path
        The file.
    quick : bool
        Take the parameters of the table ``quick`` over those of ``parameters``.
    overrides : dict, optional
        Parameters that win over both; only names that the study has.
    seed : int, optional
        Seed instead of that of the file.

    Returns
    -------
    Study

    Raises
    ------
    FormatError
        If the file is missing or not valid TOML, or the script is missing.
    UsageError
        If a key is unknown or has a wrong value, or a claim cannot be judged.
    """
    file = Path(path)
    entry = read_toml(file, StudyFile, lambda place: (ClaimEntry if place[0] == "claim" else StudyFile).model_fields)
    script = file.parent / entry.script
    if not script.is_file():
        raise FormatError(f"the script {entry.script!r} is not beside it", file=str(file))
    changes = (entry.quick if quick else {}) | (overrides or {})
    unknown = [name for name in changes if name not in entry.parameters]
    if unknown:
        close = difflib.get_close_matches(unknown[0], entry.parameters, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"parameters: {', '.join(entry.parameters)}"
        raise UsageError(f"{file}: there is no parameter {unknown[0]!r}; {hint}")
    return Study(
        id=entry.id,
        title=entry.title,
        paper=entry.paper,
        question=entry.question,
        script=script,
        seed=entry.seed if seed is None else seed,
        parameters=entry.parameters | changes,
        claims=tuple(Claim(**claim.model_dump()) for claim in entry.claim),
    )

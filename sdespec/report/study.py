"""One self-contained HTML page of a study: question, claims with outcomes and evidence, figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sdespec.core.provenance import package_version
from sdespec.report.page import environment, svg_address

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sdespec.compare.claims import Finding

__all__ = ["study_page"]


def study_page(
    *,
    title: str,
    question: str,
    paper: str,
    parameters: Mapping[str, Any],
    seed: int,
    findings: Sequence[Finding],
    figures: Mapping[str, Figure],
) -> str:
    """Make the page of a study.

    Parameters
    ----------
    title, question, paper : str
        Heading, what was asked, and of which papers.
    parameters : mapping
        Parameters of the run.
    seed : int
        Its seed.
    findings : sequence of Finding
        Judged claims.
    figures : mapping
        Figures by caption.

    Returns
    -------
    str
        HTML that needs nothing else.
    """
    return (
        environment()
        .get_template("study.html.j2")
        .render(
            title=title,
            question=question,
            paper=paper,
            parameters=dict(parameters),
            seed=seed,
            findings=findings,
            figures={caption: svg_address(figure) for caption, figure in figures.items()},
            version=package_version(),
        )
    )

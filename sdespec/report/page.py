"""What the pages share: templates, figures as data, and the options of a result."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import xarray as xr
from jinja2 import Environment, PackageLoader, StrictUndefined

from sdespec.verbs import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["environment", "figure_address", "options_of", "svg_address"]


def svg_address(figure: Figure) -> str:
    """A figure as a data address; its own image, so that identifiers of two figures never meet."""
    import matplotlib as mpl

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "sdespec", "path.simplify": True}):
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()


def figure_address(draw: Callable[[Axes], object]) -> str:
    """Draw one plot on a figure of the size that the page has room for."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.5), layout="constrained")
    draw(figure.subplots())
    return svg_address(figure)


def environment() -> Environment:
    """Templates of the package: everything is escaped, an unknown name is an error."""
    out = Environment(
        loader=PackageLoader("sdespec.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    out.filters["number"] = lambda value, form=".3g": "–" if value is None else number(value, form)
    return out


def options_of(ds: xr.Dataset) -> dict[str, str]:
    """Every choice that touched the data, in the words of the options."""
    hidden = {"provenance", "sdespec_schema", "references", "source", "file"}
    return {str(key).replace("_", " "): str(value) for key, value in ds.attrs.items() if key not in hidden}

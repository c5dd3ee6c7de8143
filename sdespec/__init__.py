"""Spectral dynamics of neural-network weights: simulate, fit, predict, compare, forecast.

Names are loaded on first use, so that ``import sdespec`` stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sdespec import fits, integrators, laws, models, networks, spectra, theory
    from sdespec import plots as plot
    from sdespec.compare import compare
    from sdespec.core.dataset import open_dataset as open
    from sdespec.core.dataset import save
    from sdespec.core.schema import validate
    from sdespec.dispatch import predict, rescale, simulate, sweep
    from sdespec.networks import measure
    from sdespec.verbs import fit, summary
    from sdespec.width_errors import finite_width

__all__ = [
    "compare",
    "finite_width",
    "fit",
    "fits",
    "integrators",
    "laws",
    "measure",
    "models",
    "networks",
    "open",
    "plot",
    "predict",
    "rescale",
    "save",
    "simulate",
    "spectra",
    "summary",
    "sweep",
    "theory",
    "validate",
]

# public name -> (module, attribute; "" for the module itself)
_LAZY: dict[str, tuple[str, str]] = {
    "compare": ("sdespec.compare", "compare"),
    "finite_width": ("sdespec.width_errors", "finite_width"),
    "fit": ("sdespec.verbs", "fit"),
    "fits": ("sdespec.fits", ""),
    "integrators": ("sdespec.integrators", ""),
    "laws": ("sdespec.laws", ""),
    "measure": ("sdespec.networks", "measure"),
    "models": ("sdespec.models", ""),
    "networks": ("sdespec.networks", ""),
    "open": ("sdespec.core.dataset", "open_dataset"),
    "plot": ("sdespec.plots", ""),
    "predict": ("sdespec.dispatch", "predict"),
    "rescale": ("sdespec.dispatch", "rescale"),
    "save": ("sdespec.core.dataset", "save"),
    "simulate": ("sdespec.dispatch", "simulate"),
    "spectra": ("sdespec.spectra", ""),
    "summary": ("sdespec.verbs", "summary"),
    "sweep": ("sdespec.dispatch", "sweep"),
    "theory": ("sdespec.theory", ""),
    "validate": ("sdespec.core.schema", "validate"),
}


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562)."""
    if name == "__version__":
        return import_module("sdespec.core.provenance").package_version()
    if name not in _LAZY:
        raise AttributeError(f"module 'sdespec' has no attribute {name!r}; public names: {', '.join(__all__)}")
    module, attribute = _LAZY[name]
    loaded = import_module(module)
    value = getattr(loaded, attribute) if attribute else loaded
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])

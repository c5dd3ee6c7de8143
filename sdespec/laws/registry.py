"""The one-body laws by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sdespec.core.errors import UsageError
from sdespec.laws._base import Law
from sdespec.laws.exponential import Exponential
from sdespec.laws.gamma import Gamma
from sdespec.laws.inverse_gamma import InverseGamma
from sdespec.laws.log_normal import LogNormal
from sdespec.laws.marchenko_pastur import MarchenkoPastur
from sdespec.laws.pareto import Pareto
from sdespec.laws.tracy_widom import TracyWidom

__all__ = ["LAWS", "law_class"]

_CLASSES: tuple[type[Law], ...] = (Exponential, Gamma, InverseGamma, LogNormal, MarchenkoPastur, Pareto, TracyWidom)

LAWS: Mapping[str, type[Law]] = MappingProxyType({law.law_name(): law for law in _CLASSES})
"""One-body laws by their names in snake case."""


def law_class(name: str) -> type[Law]:
    """Class of a one-body law by its name.

    Parameters
    ----------
    name : str
        Name in snake case.

    Returns
    -------
    type

    Raises
    ------
    UsageError
        If no law has this name; the message lists the names.

    Examples
    --------
    >>> law_class("inverse_gamma").parameter_names()
    ('shape', 'scale')
    """
    if name not in LAWS:
        raise UsageError(f"unknown law {name!r}; allowed: {', '.join(LAWS)}")
    return LAWS[name]

"""Schemes for the stochastic differential equations of the models."""

from sdespec.integrators.adapters import to_sdeint
from sdespec.integrators.simulate import simulate

__all__ = ["simulate", "to_sdeint"]

"""Schemes for the stochastic differential equations of the models."""

from sdespec.integrators.adapters import to_sdeint
from sdespec.integrators.simulate import simulate
from sdespec.integrators.statistics import simulate_statistics

__all__ = ["simulate", "simulate_statistics", "to_sdeint"]

"""Schemes for the stochastic differential equations of the models."""

from sdespec.integrators.simulate import simulate

__all__ = ["simulate"]

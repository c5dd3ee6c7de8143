"""Finite networks, trained: the experiments that theories of training are held against."""

from sdespec.training.simulate import simulate

__all__ = ["simulate"]

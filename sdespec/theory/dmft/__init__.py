"""Dynamical mean-field theory: order parameters of networks, and outliers of their weights."""

from sdespec.theory.dmft.deep_linear import LinearDmft, solve_deep_linear
from sdespec.theory.dmft.nonlinear_errors import predict_with_errors
from sdespec.theory.dmft.outliers import Outliers, SpikedMatrix, overlap_factor
from sdespec.theory.dmft.predict import learned_matrix, predict
from sdespec.theory.dmft.scans import CriticalRate, critical_learning_rate, iso_loss_learning_rate, loss_curve

__all__ = [
    "CriticalRate",
    "LinearDmft",
    "Outliers",
    "SpikedMatrix",
    "critical_learning_rate",
    "iso_loss_learning_rate",
    "learned_matrix",
    "loss_curve",
    "overlap_factor",
    "predict",
    "predict_with_errors",
    "solve_deep_linear",
]

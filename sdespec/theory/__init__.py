"""Predictions: exact moments, ensembles, densities at finite time, edges and outliers."""

from sdespec.theory.density import SpectralLaw, spectral_law
from sdespec.theory.ensembles import stationary_ensemble, transition_ensemble
from sdespec.theory.equivalent import GaussianEquivalent, gaussian_equivalent
from sdespec.theory.moments import (
    log_elementary_moment,
    square_trace_mean,
    trace_cdf,
    trace_mean,
    trace_variance,
)
from sdespec.theory.predict import predict
from sdespec.theory.tail_index import tail_index_kesten, tail_index_sde
from sdespec.theory.transition import GaussianTransition, linear_transition

__all__ = [
    "GaussianEquivalent",
    "GaussianTransition",
    "SpectralLaw",
    "gaussian_equivalent",
    "linear_transition",
    "log_elementary_moment",
    "predict",
    "spectral_law",
    "square_trace_mean",
    "stationary_ensemble",
    "tail_index_kesten",
    "tail_index_sde",
    "trace_cdf",
    "trace_mean",
    "trace_variance",
    "transition_ensemble",
]

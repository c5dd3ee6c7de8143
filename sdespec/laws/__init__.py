"""Probability laws: densities and samplers, one law a file; no fitting."""

from __future__ import annotations

from sdespec.laws._base import Law
from sdespec.laws.beta_laguerre import BetaLaguerre
from sdespec.laws.beta_prime import BetaPrime
from sdespec.laws.exponential import Exponential
from sdespec.laws.gamma import Gamma
from sdespec.laws.gamma_pareto import GammaPareto
from sdespec.laws.gaussian_matrix_ensemble import GaussianMatrixEnsemble
from sdespec.laws.inverse_gamma import InverseGamma
from sdespec.laws.laguerre_ensemble import LaguerreEnsemble
from sdespec.laws.log_normal import LogNormal
from sdespec.laws.marchenko_pastur import MarchenkoPastur
from sdespec.laws.matrix_f_ensemble import MatrixFEnsemble
from sdespec.laws.pareto import Pareto
from sdespec.laws.reciprocal import Reciprocal
from sdespec.laws.registry import LAWS, law_class
from sdespec.laws.tracy_widom import TracyWidom, edge_centering
from sdespec.laws.transported_ensemble import TransportedEnsemble, rigid_scores
from sdespec.laws.truncated_pareto import TruncatedPareto
from sdespec.laws.wachter import Wachter

__all__ = [
    "LAWS",
    "BetaLaguerre",
    "BetaPrime",
    "Exponential",
    "Gamma",
    "GammaPareto",
    "GaussianMatrixEnsemble",
    "InverseGamma",
    "LaguerreEnsemble",
    "Law",
    "LogNormal",
    "MarchenkoPastur",
    "MatrixFEnsemble",
    "Pareto",
    "Reciprocal",
    "TracyWidom",
    "TransportedEnsemble",
    "TruncatedPareto",
    "Wachter",
    "edge_centering",
    "law_class",
    "rigid_scores",
]

"""Models: the physics, stated once; data only."""

from sdespec.models.deep_linear_network import DeepLinearNetwork
from sdespec.models.deep_network import DeepNetwork
from sdespec.models.dictionary import sgd_diffusion
from sdespec.models.dyson_laguerre import DysonLaguerre
from sdespec.models.extensive_output_network import ExtensiveOutputNetwork
from sdespec.models.linear_regression import LinearRegressionSGD
from sdespec.models.losses import QuadraticLoss, SpectralLoss
from sdespec.models.matrix_sgd import MatrixSGD
from sdespec.models.noise import (
    IsotropicNoise,
    LeftMultiplicativeNoise,
    RightMultiplicativeNoise,
    ScalarMultiplicativeNoise,
    SeparableNoise,
)
from sdespec.models.table import model_from_table

__all__ = [
    "DeepLinearNetwork",
    "DeepNetwork",
    "DysonLaguerre",
    "ExtensiveOutputNetwork",
    "IsotropicNoise",
    "LeftMultiplicativeNoise",
    "LinearRegressionSGD",
    "MatrixSGD",
    "QuadraticLoss",
    "RightMultiplicativeNoise",
    "ScalarMultiplicativeNoise",
    "SeparableNoise",
    "SpectralLoss",
    "model_from_table",
    "sgd_diffusion",
]

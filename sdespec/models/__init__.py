"""Models: the physics, stated once; data only."""

from sdespec.models.deep_linear_network import DeepLinearNetwork
from sdespec.models.deep_network import DeepNetwork
from sdespec.models.dictionary import sgd_diffusion
from sdespec.models.dyson_laguerre import DysonLaguerre
from sdespec.models.extensive_output_network import ExtensiveOutputNetwork
from sdespec.models.matrix_sgd import MatrixSGD
from sdespec.models.noise import IsotropicNoise

__all__ = [
    "DeepLinearNetwork",
    "DeepNetwork",
    "DysonLaguerre",
    "ExtensiveOutputNetwork",
    "IsotropicNoise",
    "MatrixSGD",
    "sgd_diffusion",
]

"""Real networks: readers of checkpoints, the matrices in their tensors, and the verb ``measure``."""

from sdespec.networks.matrices import Part, parts_of
from sdespec.networks.measure import measure
from sdespec.networks.reader import read_tensors
from sdespec.networks.steps import find_steps, step_of
from sdespec.networks.tensor import Tensor

__all__ = ["Part", "Tensor", "find_steps", "measure", "parts_of", "read_tensors", "step_of"]

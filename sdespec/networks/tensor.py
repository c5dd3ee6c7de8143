"""A named tensor of a checkpoint that is read when it is asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np

__all__ = ["Tensor"]


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor of a checkpoint; nothing but its header is in memory before ``read`` is called.

    Attributes
    ----------
    name : str
        Name in the checkpoint, unique there.
    shape : tuple of int
        Shape in the file.
    dtype : str
        Number type in the file, such as ``"float32"`` or ``"bfloat16"``.
    read : callable
        Returns the array in that type; may be called again.
    file : str
        The file it comes from; empty in memory.
    storage : hashable, optional
        Identity of the memory behind it; tied tensors share it.
    problem : str
        Why its values cannot be had although the file is sound; empty otherwise.
    buffer : bool
        True where the source says that it is no parameter.
    damaged : bool
        True where ``problem`` is damage of the file, so that the tensor is invalid and not only skipped.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], np.ndarray]
    file: str = ""
    storage: Hashable = None
    problem: str = ""
    buffer: bool = False
    damaged: bool = False

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)

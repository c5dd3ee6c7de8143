"""The compiled steps of ``_matrix_kernels`` in NumPy, with the noise given; for tests."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from sdespec.integrators._matrix_kernels import Noise

__all__ = ["additive", "affine_step", "multiplicative", "regression_step", "sra1_step"]


def additive(noise: Noise, isotropic: np.ndarray, separable: list[np.ndarray]) -> np.ndarray:
    """Additive noise from normals (n, m), one matrix for each separable noise."""
    out = noise.deviation * isotropic
    for root, drawn, other in zip(noise.rows, separable, noise.cols, strict=True):
        out = out + root @ drawn @ other
    return out


def multiplicative(weight: np.ndarray, noise: Noise, scalar: float, right: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Multiplicative noise from one normal, normals (m, m) and normals (n, n)."""
    common = noise.scalar * scalar + noise.milstein * (scalar**2 - 1.0)
    return np.asarray(common * weight + noise.right * weight @ right + noise.left * left @ weight)


def affine_step(weight: np.ndarray, propagator: np.ndarray, offset: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """One step W -> W E + offset + noise."""
    return np.asarray(weight @ propagator + offset + drawn)


def sra1_step(
    weight: np.ndarray, drift: Callable[[np.ndarray], np.ndarray], length: float, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """One step of SRA1 from the increment ``first`` and an independent one of the same law.

    References
    ----------
    Roessler, SIAM Journal on Numerical Analysis 48 (2010) 922, section 6.3.
    """
    mixed = 0.5 * length * (first + second / math.sqrt(3.0))
    stage = weight + 0.75 * length * drift(weight) + 1.5 * mixed / length
    return np.asarray(weight + length * (drift(weight) / 3.0 + 2.0 * drift(stage) / 3.0) + first)


def regression_step(
    error: np.ndarray, learning_rate: float, label_noise: float, inputs: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """One update from inputs (m, batch) and normals of the labels (n, batch)."""
    gradient = (error @ inputs - label_noise * labels) @ inputs.T / inputs.shape[1]
    return np.asarray(error - learning_rate * gradient)

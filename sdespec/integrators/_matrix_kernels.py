"""Compiled steps of a whole matrix under any noise; ``_matrix_reference`` holds the same in NumPy.

``gradient_steps`` and ``sra1_steps`` take the gradient as a function pointer, so they are compiled once for all losses;
their plain Python forms run the same lines for gradients that are not compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sdespec.core._philox import fill_normal
from sdespec.core.jit import kernel
from sdespec.core.rng import Words

__all__ = ["Noise", "affine_steps", "gradient_steps", "regression_steps", "sra1_steps"]

# what is added to the tag of the counter: purposes 4, 5, 6 for multiplicative noises, 16 + p for the p-th separable
# one, 64 more for the second normals of SRA1
_SCALAR, _RIGHT, _LEFT = np.uint64(4 << 24), np.uint64(5 << 24), np.uint64(6 << 24)
_LABEL = np.uint64(7 << 24)
_FIRST_SEPARABLE, _SECOND, _PURPOSE = np.uint64(16 << 24), np.uint64(64 << 24), np.uint64(1 << 24)
_NOTHING = np.uint64(0)
_FEW = 4  # ratio of the sides from which multiplicative noise is drawn in the space of the rows or columns only


class Noise(NamedTuple):
    """Amplitudes of the noise of one step; all hold the length of the step.

    ``deviation`` of independent entries; square roots ``rows`` (p, n, n) and ``cols`` (p, m, m) of separable
    covariances; factors of the matrix in the multiplicative noises; ``milstein`` is that of xi^2 - 1.
    """

    deviation: float
    rows: np.ndarray
    cols: np.ndarray
    scalar: float
    right: float
    left: float
    milstein: float


@kernel
def _add_additive(out: np.ndarray, noise: Noise, words: Words, shift: np.uint64) -> None:
    """Isotropic and separable noise onto a matrix."""
    drawn = np.empty(out.shape)
    if noise.deviation > 0.0:
        fill_normal(drawn.reshape(-1), 0, words[0], words[1], words[2] + shift, words[3], words[4])
        out += noise.deviation * drawn
    for p in range(noise.rows.shape[0]):
        tag = words[2] + shift + _FIRST_SEPARABLE + np.uint64(p) * _PURPOSE
        fill_normal(drawn.reshape(-1), 0, words[0], words[1], tag, words[3], words[4])
        out += np.dot(np.dot(noise.rows[p], drawn), noise.cols[p])


@kernel
def _add_multiplicative(out: np.ndarray, weight: np.ndarray, noise: Noise, words: Words) -> None:
    """Noises proportional to the matrix onto another one."""
    n, m = weight.shape
    if noise.scalar > 0.0:
        one = np.empty(1)
        fill_normal(one, 0, words[0], words[1], words[2] + _SCALAR, words[3], words[4])
        out += (noise.scalar * one[0] + noise.milstein * (one[0] * one[0] - 1.0)) * weight
    # orthonormal rows turn m x m independent normals into n x m ones: with W = R^T Q^T, W dB' is R^T times those
    if noise.right > 0.0:
        few = m >= _FEW * n
        drawn = np.empty((n if few else m, m))
        fill_normal(drawn.reshape(-1), 0, words[0], words[1], words[2] + _RIGHT, words[3], words[4])
        factor = np.ascontiguousarray(np.linalg.qr(np.ascontiguousarray(weight.T))[1].T) if few else weight
        out += noise.right * np.dot(factor, drawn)
    if noise.left > 0.0:
        few = n >= _FEW * m
        drawn = np.empty((n, m if few else n))
        fill_normal(drawn.reshape(-1), 0, words[0], words[1], words[2] + _LEFT, words[3], words[4])
        factor = np.ascontiguousarray(np.linalg.qr(weight)[1]) if few else weight
        out += noise.left * np.dot(drawn, factor)


@kernel
def _affine_step(
    weight: np.ndarray, factor: float, propagator: np.ndarray, offset: np.ndarray, noise: Noise, words: Words
) -> None:
    """One step W -> W E + offset + noise in place; an empty propagator stands for E = factor, an empty offset for 0."""
    new = np.dot(weight, propagator) if propagator.shape[0] > 0 else factor * weight
    if offset.shape[0] > 0:
        new += offset
    _add_additive(new, noise, words, _NOTHING)
    _add_multiplicative(new, weight, noise, words)
    for i in range(weight.shape[0]):  # entry by entry: an assignment of arrays takes two seconds to compile
        for j in range(weight.shape[1]):
            weight[i, j] = new[i, j]


@kernel
def affine_steps(
    weight: np.ndarray,
    factor: float,
    propagator: np.ndarray,
    offset: np.ndarray,
    noise: Noise,
    count: int,
    words: Words,
) -> None:
    """``count`` steps W -> W E + offset + noise in place."""
    for k in range(count):
        own = (words[0] + np.uint64(k), words[1], words[2], words[3], words[4])
        _affine_step(weight, factor, propagator, offset, noise, own)


@kernel
def gradient_steps(
    weight: np.ndarray,
    gradient: Callable[[np.ndarray], np.ndarray],
    factor: float,
    rate: float,
    noise: Noise,
    count: int,
    words: Words,
) -> None:
    """``count`` steps W -> factor W - rate gradient(W) + noise in place: Euler's, Milstein's or the exponential one."""
    empty = np.empty((0, 0))
    for k in range(count):
        own = (words[0] + np.uint64(k), words[1], words[2], words[3], words[4])
        _affine_step(weight, factor, empty, -rate * gradient(weight), noise, own)


@kernel
def sra1_steps(
    weight: np.ndarray,
    gradient: Callable[[np.ndarray], np.ndarray],
    decay: float,
    length: float,
    noise: Noise,
    count: int,
    words: Words,
) -> None:
    """``count`` steps of SRA1 in place for the drift -(gradient(W) + decay W) and additive noise."""
    for k in range(count):
        own = (words[0] + np.uint64(k), words[1], words[2], words[3], words[4])
        first, second = np.zeros(weight.shape), np.zeros(weight.shape)
        _add_additive(first, noise, own, _NOTHING)
        _add_additive(second, noise, own, _SECOND)
        drift = -gradient(weight) - decay * weight
        # 1/length times the integral of the noise over time is (first + second / sqrt 3) / 2
        stage = weight + 0.75 * length * drift + 0.75 * (first + 0.5773502691896258 * second)
        later = -gradient(stage) - decay * stage
        weight += length * (drift + 2.0 * later) / 3.0 + first


@kernel
def regression_steps(error: np.ndarray, rate: float, batch: int, label_noise: float, count: int, words: Words) -> None:
    """``count`` updates of linear regression on fresh batches, in place; ``rate`` is that of one sample."""
    n, m = error.shape
    inputs, labels = np.empty((m, batch)), np.empty((n, batch))
    for k in range(count):
        step = words[0] + np.uint64(k)
        fill_normal(inputs.reshape(-1), 0, step, words[1], words[2], words[3], words[4])
        residual = np.dot(error, inputs)
        if label_noise > 0.0:
            fill_normal(labels.reshape(-1), 0, step, words[1], words[2] + _LABEL, words[3], words[4])
            residual -= label_noise * labels
        error -= rate * np.dot(residual, inputs.T)

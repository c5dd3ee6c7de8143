"""Constants of one step of a whole matrix: exact, exponential, Euler's and Milstein's.

Orders are slopes of the measured error against the step: strong ones on one Brownian path between steps of 1/8 and
1/64 (1/32 and 1/256 for sra1, whose slope falls towards 3/2), weak ones of the mean of tr S over the same steps, and of
E[tr S^2 + g tr S] between 0.1 and 0.05 for Strang's splitting. Costs are microseconds a step and replicate on one
core at 4 x 6 and at 64 x 64.

==================  ===========  ======  =====  ============  ============================================
noise and drift     method       strong  weak   cost          when to use
==================  ===========  ======  =====  ============  ============================================
additive, linear    exact        exact   exact  one a record  always: weight decay, quadratic losses
additive, spectral  strang       -       1.9    2.7, 140      losses of the singular values, spectra alone
additive, any loss  sra1         1.6     2.2    1.3, 28       smooth losses; two gradients a step
additive, any loss  exponential  1.2     1.2    0.5, 9        weight decay that is fast against the loss
additive, any loss  euler        1.1     1.2    0.5, 9        a check of the others
scalar alone        milstein     0.9     1.0    0.5, 5        the only multiplicative noise that commutes
scalar              euler        0.6     1.0    0.6, 9        scalar noise beside additive noise
right, left         euler        0.5     1.0    1.0, 26       matrix noise
==================  ===========  ======  =====  ============  ============================================

The costs of sra1, exponential and euler are those of a compiled loss (elementwise, cubic); a plain Python function
costs 15, 5 and 6 at 4 x 6 and 43, 17 and 20 at 64 x 64. An exact record at 64 x 64 takes 2 ms with its eigenvalues.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from sdespec.integrators._matrix_kernels import Noise
from sdespec.integrators.schemes import step_constants
from sdespec.models import (
    IsotropicNoise,
    LeftMultiplicativeNoise,
    MatrixSGD,
    QuadraticLoss,
    RightMultiplicativeNoise,
    ScalarMultiplicativeNoise,
    SeparableNoise,
)

__all__ = ["AffineStep", "euler_step", "exact_step", "ornstein_uhlenbeck_step", "square_root", "strengths"]

_EMPTY = np.empty((0, 0))


class AffineStep(NamedTuple):
    """Constants of W -> W E + offset + noise; an empty propagator stands for E = factor, an empty offset for 0."""

    factor: float
    propagator: np.ndarray
    offset: np.ndarray
    noise: Noise


class Strengths(NamedTuple):
    """Diffusions of a model, those of one kind added up."""

    isotropic: float
    scalar: float
    right: float
    left: float
    separable: tuple[SeparableNoise, ...]

    @property
    def multiplicative(self) -> bool:
        """Whether there is any multiplicative noise."""
        return self.scalar + self.right + self.left > 0.0

    @property
    def additive(self) -> bool:
        """Whether there is any additive noise."""
        return self.isotropic > 0.0 or bool(self.separable)


def strengths(model: MatrixSGD) -> Strengths:
    """Add up the noises of each kind."""
    return Strengths(
        sum(noise.diffusion for noise in model.of_kind(IsotropicNoise)),
        sum(noise.diffusion for noise in model.of_kind(ScalarMultiplicativeNoise)),
        sum(noise.diffusion for noise in model.of_kind(RightMultiplicativeNoise)),
        sum(noise.diffusion for noise in model.of_kind(LeftMultiplicativeNoise)),
        tuple(model.of_kind(SeparableNoise)),
    )


def square_root(matrix: np.ndarray) -> np.ndarray:
    """Symmetric square root of a positive semi-definite matrix; rounding below zero is dropped."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)


def _stack(matrices: list[np.ndarray], side: int) -> np.ndarray:
    return np.ascontiguousarray(matrices) if matrices else np.empty((0, side, side))


def _gained(rates: np.ndarray, length: float) -> np.ndarray:
    """Integral of exp(-rate s) for s from 0 to the length, which may be infinite; of any sign of the rates."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        out = -np.expm1(-rates * length) / rates
    return np.asarray(np.where(rates == 0.0, length, out))


def euler_step(model: MatrixSGD, length: float, *, milstein: bool = False) -> AffineStep:
    """Step of Euler-Maruyama, with the term of Milstein of the scalar noise if asked for.

    A loss that is not quadratic is left out; its gradient times the length is what the step lacks.
    """
    found = strengths(model)
    root = math.sqrt(length)
    noise = Noise(
        math.sqrt(2.0 * found.isotropic) * root,
        _stack([square_root(one.row_covariance) for one in found.separable], model.n_rows),
        _stack([root * square_root(one.col_covariance) for one in found.separable], model.n_cols),
        math.sqrt(2.0 * found.scalar) * root,
        math.sqrt(2.0 * found.right) * root,
        math.sqrt(2.0 * found.left) * root,
        found.scalar * length if milstein else 0.0,
    )
    factor = 1.0 - model.weight_decay * length
    if not isinstance(model.loss, QuadraticLoss):
        return AffineStep(factor, _EMPTY, _EMPTY, noise)
    curvature = model.loss.curvature
    propagator = factor * np.eye(model.n_cols) - length * curvature
    return AffineStep(factor, propagator, length * model.loss.target @ curvature, noise)


def ornstein_uhlenbeck_step(model: MatrixSGD, length: float) -> AffineStep:
    """Exact step of weight decay and additive noise over a length, which may be infinite; the loss is left out."""
    found = strengths(model)
    g = model.weight_decay
    factor, deviation = step_constants(g, found.isotropic, length)
    gained = math.sqrt(float(_gained(np.array(2.0 * g), length)))
    rows = _stack([square_root(one.row_covariance) for one in found.separable], model.n_rows)
    cols = _stack([gained * square_root(one.col_covariance) for one in found.separable], model.n_cols)
    return AffineStep(factor, _EMPTY, _EMPTY, Noise(deviation, rows, cols, 0.0, 0.0, 0.0, 0.0))


def exact_step(model: MatrixSGD, length: float) -> AffineStep:
    r"""Exact step of any linear drift and additive noise over a length, which may be infinite.

    .. math:: E = e^{-(K+g)h}, \qquad \text{offset} = T K (K+g)^{-1} (1 - E), \qquad
        C_h = \int_0^h e^{-(K+g)s} C e^{-(K+g)s} ds

    Parameters
    ----------
    model : MatrixSGD
        With additive noises and a loss that is None or quadratic.
    length : float
        h >= 0.

    Returns
    -------
    AffineStep

    Notes
    -----
    In the eigenbasis of the curvature the integral is an entrywise product; the covariances of the rows stay.

    Examples
    --------
    >>> step = exact_step(MatrixSGD(1, 1, 0.5, IsotropicNoise(1.0), QuadraticLoss([[3.0]], [[1.0]])), math.inf)
    >>> step.offset.item(), round(step.noise.cols.item() ** 2, 12)
    (2.0, 0.666666666667)
    """
    if not isinstance(model.loss, QuadraticLoss):
        return ornstein_uhlenbeck_step(model, length)
    found = strengths(model)
    curvature, basis = np.linalg.eigh(model.loss.curvature)
    rates = curvature + model.weight_decay
    propagator = (basis * np.exp(-rates * length)) @ basis.T
    offset = model.loss.target @ ((basis * (curvature * _gained(rates, length))) @ basis.T)
    weights = _gained(rates[:, None] + rates[None, :], length)
    rows = [square_root(one.row_covariance) for one in found.separable]
    cols = [square_root(basis @ (basis.T @ one.col_covariance @ basis * weights) @ basis.T) for one in found.separable]
    if found.isotropic > 0.0:
        rows.append(np.eye(model.n_rows))
        cols.append((basis * np.sqrt(2.0 * found.isotropic * np.diag(weights))) @ basis.T)
    noise = Noise(0.0, _stack(rows, model.n_rows), _stack(cols, model.n_cols), 0.0, 0.0, 0.0, 0.0)
    return AffineStep(0.0, propagator, np.ascontiguousarray(offset), noise)

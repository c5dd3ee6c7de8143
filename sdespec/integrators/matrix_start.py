"""Stationary matrices of the models whose stationary law is known in closed form."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.linalg import solve_triangular

from sdespec.core.errors import UsageError
from sdespec.core.rng import words_of
from sdespec.integrators._matrix_kernels import Noise, affine_steps
from sdespec.integrators.matrix_schemes import AffineStep, euler_step, exact_step, square_root, strengths
from sdespec.models import MatrixSGD, QuadraticLoss

__all__ = ["require_sampler", "stationary_weight"]

_PURPOSE = 128  # above those of the steps
_STREAM = 0x57A7
_FORGOTTEN = 10.0


def require_sampler(model: MatrixSGD) -> None:
    """Raise if there is no stationary law, or none that can be drawn from."""
    model.require_stationary()
    found = strengths(model)
    if not found.multiplicative or _closed_form(model):
        return
    raise UsageError(
        "the stationary law of this model is not known in closed form: beside one kind of multiplicative noise that "
        "needs additive noise and no loss, or one that pulls all entries to zero alike, and beside right (left) noise "
        "a col_covariance (row_covariance) proportional to the identity; start from a matrix and record after a time "
        f"of {_FORGOTTEN / model.relaxation_rate:.3g} or more, when a share of e^-{_FORGOTTEN:g} of the start is left"
    )


def _closed_form(model: MatrixSGD) -> bool:
    """Whether the law beside multiplicative noise is that of a scaled or a matrix-F distributed Gaussian."""
    found = strengths(model)
    if sum(strength > 0.0 for strength in (found.scalar, found.right, found.left)) != 1 or not found.additive:
        return False
    if model.loss is not None and not (isinstance(model.loss, QuadraticLoss) and _pulls_alike(model.loss)):
        return False
    if found.scalar > 0.0:
        return True
    inner = [one.col_covariance if found.right > 0.0 else one.row_covariance for one in found.separable]
    return all(_multiple_of_identity(matrix) for matrix in inner)


def _multiple_of_identity(matrix: np.ndarray) -> bool:
    return bool(np.array_equal(matrix, matrix[0, 0] * np.eye(len(matrix))))


def _pulls_alike(loss: QuadraticLoss) -> bool:
    """Whether the gradient is a number times the matrix."""
    return _multiple_of_identity(loss.curvature) and not (loss.target @ loss.curvature).any()


def stationary_weight(model: MatrixSGD, *, seed: int, replicate: int) -> np.ndarray:
    r"""Draw a matrix from the stationary law.

    Parameters
    ----------
    model : MatrixSGD
        One that ``require_sampler`` lets pass.
    seed, replicate : int
        The draw depends on nothing else.

    Returns
    -------
    ndarray, (n_rows, n_cols)

    Notes
    -----
    Additive noise: Gaussian. Beside multiplicative noise, with N what the additive noises add per unit of time and g
    the decay, that of a loss included:

    scalar noise d
        :math:`W = \sqrt V N` with V of the inverse gamma law of shape 1/2 + g/(2d) and scale 1/(4d), for any N, since a
        number commutes with all of them.
    right noise k
        :math:`W = A^{1/2} Y^{-1/2} Z / \sqrt{2k}` with standard normal Z and a Wishart matrix Y (n x n) of
        :math:`g/k + 1 + n - m` degrees of freedom, for N of independent columns of covariance A, since a matrix on the
        left commutes with the noise.
    left noise k
        :math:`W = Y^{-1/2} Z C^{1/2} / \sqrt{2k}` with :math:`g/k + 1` degrees of freedom, for N of independent rows
        of covariance C.
    """
    found = strengths(model)
    shape = (model.n_rows, model.n_cols)
    if not found.multiplicative:
        weight = np.zeros(shape)
        if isinstance(model.loss, QuadraticLoss) or found.additive:
            words = words_of(seed=seed, replicate=replicate, step=0, purpose=_PURPOSE)
            affine_steps(weight, *_last_step(model), 1, words)
        return weight
    decay = model.weight_decay + (float(model.loss.curvature[0, 0]) if isinstance(model.loss, QuadraticLoss) else 0.0)
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, replicate, _STREAM])))
    normal = rng.standard_normal(shape)
    if found.scalar > 0.0:
        variance = 1.0 / (4.0 * found.scalar) / rng.standard_gamma(0.5 + decay / (2.0 * found.scalar))
        noise = _unit_step(model)
        added = noise.deviation * normal
        for rows, cols in zip(noise.rows, noise.cols, strict=True):
            added += rows @ rng.standard_normal(shape) @ cols
        return np.asarray(math.sqrt(variance) * added)
    k = found.right + found.left
    degrees = decay / k + 1.0 + (model.n_rows - model.n_cols if found.right > 0.0 else 0)
    n = model.n_rows
    factor = np.tril(rng.standard_normal((n, n)), -1)
    np.fill_diagonal(factor, np.sqrt(rng.chisquare(degrees - np.arange(n))))
    out: np.ndarray = solve_triangular(factor.T, normal, lower=False) / math.sqrt(2.0 * k)
    return np.asarray(_outer_root(model) @ out if found.right > 0.0 else out @ _outer_root(model))


@lru_cache(maxsize=8)  # the same for all replicates
def _last_step(model: MatrixSGD) -> AffineStep:
    return exact_step(model, math.inf)


@lru_cache(maxsize=8)
def _unit_step(model: MatrixSGD) -> Noise:
    """Amplitudes of what the noises add per unit of time."""
    return euler_step(model, 1.0).noise


@lru_cache(maxsize=8)
def _outer_root(model: MatrixSGD) -> np.ndarray:
    """Root of the covariance of the additive noise on the side that the multiplicative noise leaves alone."""
    found = strengths(model)
    if found.right > 0.0:
        total = 2.0 * found.isotropic * np.eye(model.n_rows)
        return square_root(total + sum(one.row_covariance * one.col_covariance[0, 0] for one in found.separable))
    total = 2.0 * found.isotropic * np.eye(model.n_cols)
    return square_root(total + sum(one.col_covariance * one.row_covariance[0, 0] for one in found.separable))

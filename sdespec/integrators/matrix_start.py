"""Stationary matrices of the models whose stationary law is known in closed form."""

from __future__ import annotations

import math

import numpy as np
from scipy.linalg import solve_triangular

from sdespec.core.errors import UsageError
from sdespec.core.rng import words_of
from sdespec.integrators._matrix_kernels import affine_steps
from sdespec.integrators.matrix_schemes import exact_step, strengths
from sdespec.models import MatrixSGD, QuadraticLoss

__all__ = ["require_sampler", "stationary_weight"]

_PURPOSE = 128  # above those of the steps
_STREAM = 0x57A7


def require_sampler(model: MatrixSGD) -> None:
    """Raise if there is no stationary law, or none that can be drawn from."""
    model.require_stationary()
    found = strengths(model)
    if not found.multiplicative:
        return
    kinds = sum(strength > 0.0 for strength in (found.scalar, found.right, found.left))
    if model.loss is not None or kinds != 1 or found.separable or found.isotropic == 0.0:
        raise UsageError(
            "the stationary law of this model is not known in closed form: that needs additive noise and a loss that "
            "is None or quadratic, or isotropic noise beside one kind of multiplicative noise and loss=None; start "
            "from a matrix and let it relax"
        )


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
    Additive noise: Gaussian. Isotropic noise D beside right-multiplicative noise k: :math:`W = \sqrt{D/k}\, Y^{-1/2} Z`
    with standard normal Z and a Wishart matrix Y (n x n) of :math:`g/k + 1 + n - m` degrees of freedom, of
    :math:`g/k + 1` beside left-multiplicative noise. Beside scalar noise d: :math:`W = \sqrt{V} Z` with V of the
    inverse gamma law of shape 1/2 + g/(2d) and scale D/(2d).
    """
    found = strengths(model)
    shape = (model.n_rows, model.n_cols)
    if not found.multiplicative:
        weight = np.zeros(shape)
        if isinstance(model.loss, QuadraticLoss) or found.additive:
            words = words_of(seed=seed, replicate=replicate, step=0, purpose=_PURPOSE)
            affine_steps(weight, *exact_step(model, math.inf), 1, words)
        return weight
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, replicate, _STREAM])))
    normal = rng.standard_normal(shape)
    if found.scalar > 0.0:
        shape_parameter = 0.5 + model.weight_decay / (2.0 * found.scalar)
        variance = found.isotropic / (2.0 * found.scalar) / rng.standard_gamma(shape_parameter)
        return math.sqrt(variance) * normal
    k = found.right + found.left
    degrees = model.weight_decay / k + 1.0 + (model.n_rows - model.n_cols if found.right > 0.0 else 0)
    n = model.n_rows
    factor = np.tril(rng.standard_normal((n, n)), -1)
    np.fill_diagonal(factor, np.sqrt(rng.chisquare(degrees - np.arange(n))))
    out: np.ndarray = solve_triangular(factor.T, normal, lower=False)
    return math.sqrt(found.isotropic / k) * out

"""Steps that are exact in law at any length: the matrix, and its spectrum alone."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["matrix_step", "spectral_step", "step_constants"]


def step_constants(weight_decay: float, diffusion: float, length: float) -> tuple[float, float]:
    r"""Factor :math:`e^{-gh}` and added standard deviation of an entry over a step of length h, which may be infinite.

    Parameters
    ----------
    weight_decay, diffusion : float
        g and D.
    length : float
        h >= 0.

    Returns
    -------
    factor, deviation : float
    """
    if math.isinf(length):
        return 0.0, math.sqrt(diffusion / weight_decay)
    if weight_decay == 0.0:
        return 1.0, math.sqrt(2.0 * diffusion * length)
    gained = -math.expm1(-2.0 * weight_decay * length)
    return math.exp(-weight_decay * length), math.sqrt(diffusion / weight_decay * gained)


def matrix_step(weight: np.ndarray, factor: float, deviation: float, rng: np.random.Generator) -> np.ndarray:
    r"""One exact step of the matrix, :math:`W \to e^{-gh} W + \sqrt{v_h}\, Z`.

    Parameters
    ----------
    weight : ndarray, (n, m)
        State.
    factor, deviation : float
        From ``step_constants``.
    rng : numpy.random.Generator
        Noise of this step.

    Returns
    -------
    ndarray, (n, m)
    """
    return factor * weight + deviation * rng.standard_normal(weight.shape)


def spectral_step(
    spectrum: np.ndarray, larger_side: int, factor: float, deviation: float, rng: np.random.Generator
) -> np.ndarray:
    r"""One step of the eigenvalues, exact in law: the matrix may be turned to diag(s) before the noise is added.

    Where m >= 2n, the m - n columns beside the diagonal block enter by their Gram matrix only; their Bartlett
    factor, a triangle with chi variables on its diagonal, has the same law, so the cost does not depend on m.

    Parameters
    ----------
    spectrum : ndarray, (n,)
        Eigenvalues.
    larger_side : int
        m >= n.
    factor, deviation : float
        From ``step_constants``.
    rng : numpy.random.Generator
        Noise of this step.

    Returns
    -------
    ndarray, (n,)
        Descending. Singular values come from LAPACK's SVD, so small ones keep their relative accuracy.
    """
    n = len(spectrum)
    extra = larger_side - n
    if extra >= n:
        matrix = np.empty((n, 2 * n))
        matrix[:, :n] = rng.standard_normal((n, n))
        triangle = np.tril(rng.standard_normal((n, n)), -1)
        np.fill_diagonal(triangle, np.sqrt(rng.chisquare(extra - np.arange(n))))
        matrix[:, n:] = triangle
    else:
        matrix = rng.standard_normal((n, larger_side))
    matrix *= deviation
    matrix[np.arange(n), np.arange(n)] += factor * np.sqrt(spectrum)
    values: np.ndarray = np.linalg.svd(matrix, compute_uv=False) ** 2
    return values

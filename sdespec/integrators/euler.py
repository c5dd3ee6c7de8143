"""Euler-Maruyama: of the matrix, and of the eigenvalues as a baseline that is known to be wrong."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["euler_step_count", "matrix_euler", "sorted_euler"]


def euler_step_count(length: float, time_step: float) -> int:
    """Least number of equal steps over a length, none longer than ``time_step``.

    Examples
    --------
    >>> euler_step_count(1.0, 0.3)
    4
    """
    return max(1, math.ceil(length / time_step * (1.0 - 1e-12)))


def matrix_euler(
    weight: np.ndarray, weight_decay: float, diffusion: float, step: float, count: int, rng: np.random.Generator
) -> np.ndarray:
    r"""Euler-Maruyama of the matrix, :math:`W \to (1 - gh) W + \sqrt{2Dh}\, Z`, strong order 1 for additive noise.

    Parameters
    ----------
    weight : ndarray, (n, m)
        State; it is left alone.
    weight_decay, diffusion : float
        g and D.
    step : float
        h.
    count : int
        Number of steps.
    rng : numpy.random.Generator
        Noise, drawn matrix by matrix in C order.

    Returns
    -------
    ndarray, (n, m)
    """
    out, noise = weight.copy(), np.empty(weight.shape)
    factor, deviation = 1.0 - weight_decay * step, math.sqrt(2.0 * diffusion * step)
    for _ in range(count):
        rng.standard_normal(out=noise)
        noise *= deviation
        out *= factor
        out += noise
    return out


def sorted_euler(
    spectrum: np.ndarray,
    larger_side: int,
    weight_decay: float,
    diffusion: float,
    step: float,
    count: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, int]:
    r"""Euler-Maruyama of the eigenvalues with absolute values and sorting, the scheme that a user would write first.

    .. math:: \lambda_k \to \lambda_k + 2\sqrt{2D\lambda_k h}\,\xi_k + h\Big[-2g\lambda_k + 2D\Big(m +
        \sum_{j\ne k}\frac{\lambda_k + \lambda_j}{\lambda_k - \lambda_j}\Big)\Big]

    Parameters
    ----------
    spectrum : ndarray, (n,)
        Eigenvalues; coinciding ones do not repel in this scheme.
    larger_side : int
        m.
    weight_decay, diffusion, step : float
        g, D and h.
    count : int
        Number of steps.
    rng : numpy.random.Generator
        Noise.

    Returns
    -------
    spectrum : ndarray, (n,)
        Descending.
    violations : int
        Number of steps after which a value was negative or out of order.

    Notes
    -----
    A baseline only: between neighbours the drift is as singular as the noise, so kicks of the order of
    diffusion * step / gap throw values past each other at any practical step.
    """
    values = np.sort(spectrum)[::-1].copy()
    violations = 0
    for _ in range(count):
        gaps = values[:, None] - values[None, :]
        np.fill_diagonal(gaps, np.inf)
        gaps[gaps == 0.0] = np.inf
        repulsion = ((values[:, None] + values[None, :]) / gaps).sum(axis=1)
        drift = -2.0 * weight_decay * values + 2.0 * diffusion * (larger_side + repulsion)
        kick = 2.0 * np.sqrt(2.0 * diffusion * values * step) * rng.standard_normal(len(values))
        values = values + drift * step + kick
        if values.min() < 0.0 or np.any(np.diff(values) > 0.0):
            violations += 1
        values = np.sort(np.abs(values))[::-1]
    return values, violations

"""Tail indices of weights under noise that multiplies them: of the diffusion, and of the discrete recursion."""

from __future__ import annotations

import math

import numpy as np
from scipy import special
from scipy.optimize import brentq

from sdespec.core.errors import UsageError
from sdespec.models import (
    IsotropicNoise,
    LinearRegressionSGD,
    MatrixSGD,
    RightMultiplicativeNoise,
    ScalarMultiplicativeNoise,
    SeparableNoise,
)

__all__ = ["tail_index_kesten", "tail_index_sde"]

_POINTS = 8001
_LARGEST = 1e7
_FLOOR = -1e3  # stands for the logarithm of zero, which is met with probability zero


def tail_index_sde(model: MatrixSGD | LinearRegressionSGD) -> float:
    r"""Tail index of the stationary weights of a diffusion with isotropic and multiplicative noise.

    .. math:: P(|W| > s) \sim s^{-\alpha}, \qquad \alpha = \frac{g}{k} - (m - 2) \ \text{(right)}, \qquad
        \alpha = \frac{g}{k} - (n - 2) \ \text{(left)}, \qquad \alpha = 1 + \frac{g}{d} \ \text{(scalar)}

    Parameters
    ----------
    model : MatrixSGD or LinearRegressionSGD
        Weight decay, isotropic noise, and one noise that multiplies the matrix, from the right, from the left or as a
        scalar. For a LinearRegressionSGD it is its ``diffusion_model``, :math:`\alpha = B/\eta + (3 - m)/2`.

    Returns
    -------
    float
        Survival exponent of the largest *singular value*. The density of the largest eigenvalue has the exponent
        alpha/2 + 1.

    Raises
    ------
    UsageError
        If there is no stationary law, or the model has another noise or a loss.

    Notes
    -----
    This is the tail over runs. Within the spectrum of one large matrix there is none: that of the right noise has two
    edges, that of the scalar noise is scaled as a whole. The discrete recursion has another index, see
    ``tail_index_kesten``.

    Examples
    --------
    >>> tail_index_sde(LinearRegressionSGD(1, 1, learning_rate=0.5, batch_size=1, label_noise=1.0))
    3.0
    """
    if isinstance(model, LinearRegressionSGD):
        model = model.diffusion_model()
    model.require_stationary()
    others = [noise for noise in model.noises if not isinstance(noise, IsotropicNoise)]
    if model.loss is not None or len(others) != 1:
        raise UsageError(
            f"{model!r} has no known tail index; give weight decay, isotropic and one multiplicative noise"
        )
    noise = others[0]
    if isinstance(noise, SeparableNoise) or noise.diffusion == 0.0:
        raise UsageError(f"{noise!r} makes no tail; give noise that multiplies the matrix")
    if isinstance(noise, ScalarMultiplicativeNoise):
        return 1.0 + model.weight_decay / noise.diffusion
    side = model.n_cols if isinstance(noise, RightMultiplicativeNoise) else model.n_rows
    return model.weight_decay / noise.diffusion - (side - 2)


def tail_index_kesten(model: LinearRegressionSGD) -> float:
    r"""Tail index of the stationary weights of SGD on linear regression, the discrete recursion itself.

    .. math:: E\,\Big|\Big(1 - \frac{\eta}{B} X^T X\Big) e_1\Big|^\alpha =
        E\Big[\Big(1 - \frac{\eta}{B} r\Big)^2 + \frac{\eta^2}{B^2} r y\Big]^{\alpha/2} = 1, \qquad
        r \sim \chi^2_B, \quad y \sim \chi^2_{m-1}

    Parameters
    ----------
    model : LinearRegressionSGD
        With positive label noise the weights have this tail; without it they go to zero.

    Returns
    -------
    float
        Survival exponent of the largest singular value.

    Raises
    ------
    UsageError
        If the recursion has no stationary law: the mean logarithm of the growth of a vector is not negative.

    Notes
    -----
    The diffusion has another index, by a factor of order one, also as the learning rate goes to zero: for one input
    and B = 1 the product of index and learning rate tends to 1.7956, where that of the diffusion tends to 1. All
    cumulants of the noise contribute, not the second alone.

    References
    ----------
    Kesten, Acta Mathematica 131 (1973) 207; Gurbuzbalaban, Simsekli and Zhu, arXiv 2006.04740.

    Examples
    --------
    >>> round(tail_index_kesten(LinearRegressionSGD(1, 1, learning_rate=0.5, batch_size=1, label_noise=1.0)), 2)
    2.9
    """
    weight, growth = _growth(model, 0.0)
    drift = float((np.exp(weight) * np.maximum(growth, _FLOOR)).sum())
    if drift >= 0.0:
        raise UsageError(
            f"there is no stationary law: vectors grow by {drift:.3g} in the mean of their logarithm at learning_rate "
            f"{model.learning_rate:g}, batch_size {model.batch_size} and {model.n_cols} inputs; lower the learning "
            "rate or take larger batches"
        )
    high = 1.0
    while _log_mean(*_growth(model, high), high) < 0.0:
        high *= 2.0
        if high > _LARGEST:
            raise UsageError(f"the tail index is above {_LARGEST:g}: there is no tail to speak of")
    weight, growth = _growth(model, high)
    low = 0.5 * high
    while _log_mean(weight, growth, low) > 0.0:  # below the index the mean is below 1, and 1 at zero
        low *= 0.5
    return float(brentq(lambda index: _log_mean(weight, growth, index), low, high, xtol=1e-10, rtol=1e-10))


def _log_mean(weight: np.ndarray, growth: np.ndarray, index: float) -> float:
    """Logarithm of the mean of a power of the growth of a vector."""
    return float(special.logsumexp(weight + index * growth))


def _growth(model: LinearRegressionSGD, index: float) -> tuple[np.ndarray, np.ndarray]:
    """Log weights and log growths of a vector on a grid of r and y, wide enough for this power."""
    rate = model.learning_rate / model.batch_size
    r, weight = _chi_square(model.batch_size, index, _POINTS if model.n_cols == 1 else _POINTS // 8)
    squares = ((1.0 - rate * r) ** 2)[:, None]
    weight = weight[:, None]
    if model.n_cols > 1:
        y, other = _chi_square(model.n_cols - 1, index, _POINTS // 16)
        squares, weight = squares + rate**2 * r[:, None] * y, weight + other
    with np.errstate(divide="ignore"):
        return weight, 0.5 * np.log(squares)


def _chi_square(degrees: int, index: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Values and log weights of the trapezoidal rule in log r, whose integrand falls at both ends."""
    half = 0.5 * degrees
    spread = math.sqrt(degrees + index)
    low = max(math.log(degrees) - 60.0 / half, math.log(max(degrees - 12.0 * math.sqrt(degrees), 1e-30)))
    logs = np.linspace(low, math.log(degrees + 2.0 * index + 12.0 * spread + 80.0), count)
    values = np.exp(logs)
    weight = half * (logs - math.log(2.0)) - 0.5 * values - special.gammaln(half) + math.log(logs[1] - logs[0])
    return values, weight

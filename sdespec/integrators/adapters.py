"""Models in the convention of sdeint, for cross-checks and for its users."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from sdespec.core.errors import UsageError
from sdespec.laws import MarchenkoPastur
from sdespec.models import DysonLaguerre, MatrixSGD

__all__ = ["to_sdeint"]

Drift = Callable[[np.ndarray, float], np.ndarray]
Diffusion = Callable[[np.ndarray, float], np.ndarray]

_MAX_ENTRIES = 10_000


def to_sdeint(model: DysonLaguerre | MatrixSGD) -> tuple[Drift, Diffusion, np.ndarray]:
    r"""Functions f(y, t) and G(y, t) and a start y0, as sdeint takes them: :math:`dy = f\,dt + G\,dB`.

    Parameters
    ----------
    model : DysonLaguerre or MatrixSGD
        A matrix becomes its entries in C order, started at zero; a Dyson motion its eigenvalues, largest first,
        started at the quantiles of its stationary law (of unit variance without weight decay).

    Returns
    -------
    f, G : callable
        Drift (d,) and dense diffusion (d, d).
    y0 : ndarray, (d,)

    Raises
    ------
    UsageError
        If the dense diffusion would have more than 10 000 entries: d is at most 100.

    Notes
    -----
    sdeint itself is not imported. Its default scheme needs iterated integrals that additive noise makes useless;
    use ``sdeint.itoEuler``.

    Examples
    --------
    >>> from sdespec.models import IsotropicNoise
    >>> f, G, y0 = to_sdeint(MatrixSGD(2, 3, weight_decay=1.0, noise=IsotropicNoise(0.5)))
    >>> f(np.ones(6), 0.0).tolist(), G(y0, 0.0).shape
    ([-1.0, -1.0, -1.0, -1.0, -1.0, -1.0], (6, 6))
    """
    if isinstance(model, MatrixSGD):
        size = model.n_rows * model.n_cols
        _check(size)
        decay, constant = model.weight_decay, math.sqrt(2.0 * model.diffusion) * np.eye(size)
        return (lambda y, t: -decay * y), (lambda y, t: constant), np.zeros(size)
    if not isinstance(model, DysonLaguerre):
        raise UsageError(f"{type(model).__name__} has no form for sdeint; give a DysonLaguerre or a MatrixSGD")
    n, m = sorted((float(model.n_rows), float(model.n_cols)))
    if not float(model.n_cols).is_integer():
        n, m = float(model.n_rows), float(model.n_cols)
    _check(int(n))
    g, d, beta = model.weight_decay, model.diffusion, model.beta

    def drift(y: np.ndarray, t: float) -> np.ndarray:
        gaps = y[:, None] - y[None, :]
        np.fill_diagonal(gaps, np.inf)
        repulsion = ((y[:, None] + y[None, :]) / gaps).sum(axis=1)
        return np.asarray(-2.0 * g * y + 2.0 * d * beta * (m + repulsion))

    def diffusion(y: np.ndarray, t: float) -> np.ndarray:
        return np.diag(2.0 * np.sqrt(2.0 * d * np.abs(y)))

    variance = beta * (d / g if g > 0.0 else 1.0)
    shares = (np.arange(int(n), 0, -1) - 0.5) / n
    return drift, diffusion, np.asarray(MarchenkoPastur(n, m, variance).ppf(shares))


def _check(size: int) -> None:
    if size * size > _MAX_ENTRIES:
        raise UsageError(
            f"{size} variables make a dense diffusion of {size * size} entries; sdeint is offered up to "
            f"{_MAX_ENTRIES}: use sdespec.simulate for larger ones"
        )

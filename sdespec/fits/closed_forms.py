"""Laws whose maximum likelihood is a closed form or one root of an equation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from scipy import special

from sdespec.core.errors import SpectrumError
from sdespec.fits import _kernels
from sdespec.fits.estimate import Interval
from sdespec.laws import Exponential, Gamma, InverseGamma, Law, LogNormal, Pareto

__all__ = ["CLOSED_FORMS", "closed_form_intervals", "fit_gamma"]


def fit_gamma(values: np.ndarray) -> tuple[float, float]:
    r"""Shape and scale of a gamma law by maximum likelihood, with no check of the values.

    .. math:: \log k - \psi(k) = \log \bar x - \overline{\log x}, \qquad \theta = \bar x / k

    Parameters
    ----------
    values : ndarray of float64, (n,)
        Positive, not all equal, with a finite sum.

    Returns
    -------
    shape, scale : float

    Raises
    ------
    SpectrumError
        If the values are equal to rounding.

    Notes
    -----
    The two sums cost O(n); the root takes about four steps of Newton's method in 1 / k.

    Examples
    --------
    >>> shape, scale = fit_gamma(np.array([1.0, 2.0, 3.0]))
    >>> round(shape * scale, 12)
    2.0
    """
    # Without the methods of arrays, which cost more than the sum of a thousand values.
    n = len(values)
    return _gamma_parameters(values, float(np.add.reduce(values)) / n, float(np.add.reduce(np.log(values))) / n)


def _mean(x: np.ndarray) -> float:
    """Mean, also where the sum overflows."""
    with np.errstate(over="ignore"):
        total = float(np.add.reduce(x))
    return total / len(x) if math.isfinite(total) else float(np.add.reduce(x / len(x)))


def _gamma_parameters(x: np.ndarray, mean: float, mean_log: float) -> tuple[float, float]:
    contrast = math.log(mean) - mean_log
    if contrast < 1e-4:  # the difference cancels
        deviation = (x - mean) / mean
        contrast = float((deviation - np.log1p(deviation)).mean())
    if not contrast > 0.0:
        raise SpectrumError(f"{len(x)} values that are equal to rounding (mean {mean:g}); no law can be fitted to them")
    shape = float(_kernels.gamma_shape(contrast))
    return shape, mean / shape


def _gamma(x: np.ndarray) -> Gamma:
    return Gamma(*_gamma_parameters(x, _mean(x), float(np.log(x).mean())))


def _inverse_gamma(x: np.ndarray) -> InverseGamma:
    """A gamma law of the reciprocals, in units of the largest, so that they do not overflow."""
    smallest = float(x.min())
    ratios = smallest / x
    shape, scale = _gamma_parameters(ratios, _mean(ratios), math.log(smallest) - float(np.log(x).mean()))
    return InverseGamma(shape, smallest / scale)


def _log_normal(x: np.ndarray) -> LogNormal:
    logs = np.log(x)
    return LogNormal(float(logs.std()), math.exp(float(logs.mean())))


def _exponential(x: np.ndarray) -> Exponential:
    return Exponential(_mean(x))


def _pareto(x: np.ndarray) -> Pareto:
    minimum = float(x.min())
    return Pareto(1.0 + 1.0 / (float(np.log(x).mean()) - math.log(minimum)), minimum)


CLOSED_FORMS: Mapping[str, Callable[[np.ndarray], Law]] = MappingProxyType(
    {
        "gamma": _gamma,
        "inverse_gamma": _inverse_gamma,
        "log_normal": _log_normal,
        "exponential": _exponential,
        "pareto": _pareto,
    }
)
"""Laws whose maximum likelihood is a closed form or one root, by their names in snake case."""


def closed_form_intervals(fitted: Law, n: int, level: float) -> dict[str, Interval]:
    """Exact where a pivot exists; else from the Fisher information in the logs of the parameters."""
    half = (1.0 - level) / 2.0
    if isinstance(fitted, (Gamma, InverseGamma)):
        k = fitted.shape
        trigamma = float(special.zeta(2.0, k))
        determinant = n * (k * trigamma - 1.0) if k < 1e6 else 0.5 * n / k
        z = -float(special.ndtri(half))
        return {
            "shape": _scaled(k, z / math.sqrt(k * determinant)),
            "scale": _scaled(fitted.scale, z * math.sqrt(trigamma / determinant)),
        }
    if isinstance(fitted, LogNormal):
        high, low = (float(v) for v in special.chdtri(n - 1.0, [half, 1.0 - half]))
        width = float(special.stdtrit(n - 1.0, 1.0 - half)) * fitted.shape / math.sqrt(n - 1.0)
        return {
            "shape": (fitted.shape * math.sqrt(n / high), fitted.shape * math.sqrt(n / low)),
            "scale": _scaled(fitted.scale, width),
        }
    if isinstance(fitted, Pareto):
        slope = fitted.exponent - 1.0
        low, high = (float(v) for v in special.gammaincinv(n - 1.0, [half, 1.0 - half]))
        # n (n - 1) log(smallest / minimum) over the sum of the logs has the F law with 2 and 2 (n - 1) degrees.
        below = math.expm1(-math.log1p(-level) / (n - 1.0)) / slope
        return {
            "exponent": (1.0 + low * slope / n, 1.0 + high * slope / n),
            "minimum": (fitted.minimum * math.exp(-below), fitted.minimum),
        }
    low, high = (float(v) for v in special.gammaincinv(float(n), [half, 1.0 - half]))
    scale = fitted.parameters["scale"]
    return {"scale": (scale * (n / high), scale * (n / low))}


def _scaled(value: float, log_factor: float) -> Interval:
    factor = math.exp(min(log_factor, 700.0))
    return value / factor, value * factor

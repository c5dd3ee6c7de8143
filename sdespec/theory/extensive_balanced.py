"""Spectral law of both weights of a two-layer network that starts from orthogonal matrices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sdespec.core.errors import NumericalError
from sdespec.models import ExtensiveOutputNetwork
from sdespec.theory.extensive_roots import blocks, refined, root, upper_half_plane

__all__ = ["BalancedLaw", "LastLaw", "balanced_law", "isolated_value"]

_FEWEST_NODES = 100
_MOST_NODES = 1600
_LONGEST = 16.0
_WIDTH = 0.3
_THINNEST = 1e-12
_BISECTIONS = 60
_NEAR = 0.05
_FAR = 1e4


@dataclass(frozen=True, eq=False)
class BalancedLaw:
    r"""Limit law of the squared singular values of M and of A, which are the same at all times.

    The exact solution of the flow at finite N is the pencil :math:`s_0^2 V^T F_\lambda V - \lambda`, whose positive
    eigenvalues are as many as the squared singular values above :math:`\lambda`; V is an N-dimensional subspace of 2N
    dimensions and F diagonal, with the singular values x of the target,

    .. math:: F_\pm = e^{\pm 2xt} \mp \lambda\, \frac{e^{\pm 2xt} - 1}{x}

    For large N the subspace is free from F, and the spectrum follows from that of F by free compression,

    .. math:: \frac{\lambda}{s_0^2} = \omega - \frac{1}{g(\omega)}, \qquad
        g(\omega) = \int \rho(dx) \Big(\frac1{\omega - F_+} + \frac1{\omega - F_-}\Big), \qquad
        G(\lambda) = \int \rho(dx) \sum_\pm \frac{\partial_\lambda F_\pm - s_0^{-2}}{F_\pm - \omega}

    Attributes
    ----------
    points, weights : ndarray, (k,)
        Gauss-Legendre quadrature on [-1, 1].
    deviation : float
        The singular values of the target without its spike follow the quarter circle on [0, 2 deviation].
    time : float
        Time of gradient flow, positive.
    variance : float
        :math:`s_0^2`.
    isolated : float
        Singular value of the target beyond all others; NaN where there is none.

    Notes
    -----
    The equation over 2 x 2 matrices that the balanced flow leads to has one scalar unknown only: both unknown
    diagonal entries are equal, and the others vanish.
    """

    points: np.ndarray
    weights: np.ndarray
    deviation: float
    time: float
    variance: float
    isolated: float

    @property
    def atom(self) -> float:
        """Mass at 0: none at a finite time."""
        return 0.0

    @property
    def escape(self) -> float:
        """Not known: the theory tells where the outlier is, but has no order parameter for it."""
        return math.nan

    def _quadrature(
        self, level: np.ndarray, omega: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """F, its derivative over the level, and weights, (levels, 2k): F_+ first, then F_-.

        F_+ rises through all that matters within a distance of order exp(-2xt), at or beyond x = level. Nodes gather
        where it passes the point omega, spaced in proportion to the distance.
        """
        top = 2.0 * self.deviation
        centre, width = np.minimum(level, top), np.full(len(level), _WIDTH)
        if omega is not None:
            centre, slope = self._passage(level, omega.real)
            rate = np.maximum(slope, 1.0) * np.sqrt(np.maximum(top**2 - centre**2, (1e-3 * top) ** 2))
            width = np.clip(omega.imag / rate, _THINNEST, _WIDTH)
        angle, width = np.arccos(centre / top)[:, None], width[:, None]
        first, last = -np.arcsinh(angle / width), np.arcsinh((0.5 * math.pi - angle) / width)
        place = first + 0.5 * (last - first) * (self.points + 1.0)
        theta = angle + width * np.sinh(place)
        weights = (2.0 / math.pi) * self.weights * (last - first) * width * np.cosh(place) * np.sin(theta) ** 2
        factors, slope = self._factors(top * np.cos(theta), level[:, None])
        return factors, slope, np.concatenate([weights, weights], axis=1)

    def _passage(self, level: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where F_+ passes a value beyond x = level, at most the largest x, and its slope over x there."""
        top = 2.0 * self.deviation
        low, high = np.minimum(level, top), np.full(len(level), top)
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            above = 1.0 + np.expm1(2.0 * middle * self.time) * (1.0 - level / middle) > value
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        growth = np.exp(2.0 * high * self.time)
        return high, np.abs(2.0 * self.time * growth * (1.0 - level / high) + (growth - 1.0) * level / high**2)

    def _factors(self, x: np.ndarray, level: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """F and its derivative over the level, F_+ first along the last axis, then F_-."""
        rise, fall = np.expm1(2.0 * x * self.time), -np.expm1(-2.0 * x * self.time)
        slope = -np.concatenate([rise / x, fall / x], axis=-1)
        return np.concatenate([1.0 + rise, 1.0 - fall], axis=-1) + level * slope, slope

    def density(self, grid: np.ndarray) -> np.ndarray:
        """Density of the squared singular values, of mass 1.

        Parameters
        ----------
        grid : ndarray, (k,)
            Squared singular values, at least 0.

        Returns
        -------
        ndarray, (k,)

        Raises
        ------
        NumericalError
            If Newton's method does not converge somewhere.
        """
        x = np.asarray(grid, dtype=np.float64)
        out = np.zeros_like(x)
        lower, upper = self.edges
        for block in blocks(np.flatnonzero((x > lower) & (x < upper)), 2 * len(self.points)):
            out[block] = self._inside(x[block])
        return out

    def _inside(self, level: np.ndarray) -> np.ndarray:
        """Density at points between the edges."""
        factors, slope, weights = self._quadrature(level)

        def gather(omega: np.ndarray) -> None:
            nonlocal factors, slope, weights
            factors, slope, weights = self._quadrature(level, omega)

        def inverse(omega: np.ndarray, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            gaps = 1.0 / (omega[:, None] - factors[index])
            share = weights[index] * gaps
            first, second = share.sum(axis=1), -(share * gaps).sum(axis=1)
            return 2.0 * (omega - 1.0 / first), 2.0 * (1.0 + second / first**2)

        scale = np.abs(factors).max(axis=1) + level / self.variance
        omega = upper_half_plane(inverse, 2.0 * level / self.variance, scale, gather)
        share = weights * (slope - 1.0 / self.variance) / (factors - omega[:, None])
        return np.asarray(np.abs(share.sum(axis=1).imag) / math.pi)

    def _end(self, level: float, sign: float) -> tuple[float, float]:
        """Point omega of the last eigenvalue of the compressed matrix on one side, and that eigenvalue."""
        factors, _, weights = self._row(level)
        end = float((sign * factors).max()) * sign
        gaps = np.abs(factors - end)
        there = gaps <= 1e-14 * abs(end)
        last, rest = float(weights[there].sum()), float((weights[~there] / gaps[~there]).sum())
        gaps[there] = 0.0

        def slope(log_gap: float) -> float:
            inverse = 1.0 / (gaps + math.exp(log_gap))
            return float(weights @ inverse**2) / float(weights @ inverse) ** 2 - 1.0

        # positive where the last node outweighs the others, and tends to 1/2 - 1 far off
        gap = math.exp(root(slope, math.log(_NEAR * last / rest), math.log((float(gaps.max()) + abs(end)) * _FAR)))
        omega = end + sign * gap
        return omega, omega - 1.0 / float((weights / (omega - factors)).sum())

    def _row(self, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        factors, slope, weights = self._quadrature(np.array([level]))
        return factors[0], slope[0], weights[0]

    @property
    def edges(self) -> tuple[float, float]:
        """Lowest and highest edge of the spectrum; gaps in between are not told."""
        lower = root(lambda level: self._excess(level, -1.0), 0.0, self._high)
        return lower, self._upper

    def _excess(self, level: float, sign: float) -> float:
        """How far the last eigenvalue of the pencil on one side lies above 0."""
        return self._end(level, sign)[1] - level / self.variance

    @property
    def _high(self) -> float:
        """More than all squared singular values, since the pencil averages logistic paths from the variance to x."""
        return self.variance + 2.0 * self.deviation

    @property
    def _upper(self) -> float:
        return root(lambda level: self._excess(level, 1.0), 0.0, self._high)

    @property
    def outlier(self) -> float:
        r"""Squared singular value beyond the upper edge that the isolated one of the target makes; NaN without one.

        .. math:: \omega(\lambda) = F_+(x_*; \lambda)

        on the branch of :math:`\omega` beyond the largest F.
        """
        if not math.isfinite(self.isolated):
            return math.nan
        place = np.array([self.isolated])

        def excess(level: float) -> float:
            factors, _, weights = self._row(level)
            own = float(self._factors(place, np.array([level]))[0].max())
            least, value = self._end(level, 1.0)
            target = level / self.variance
            if value >= target:  # at the edge, up to rounding
                return own - least

            def distance(omega: float) -> float:
                return omega - 1.0 / float((weights / (omega - factors)).sum()) - target

            # by convexity, omega - 1/g is above its asymptote (omega + mean)/2
            mean = 0.5 * float(factors @ weights)
            return own - root(distance, least, max(2.0 * target - mean, least) + abs(target) + abs(mean))

        upper = self._upper
        if excess(upper) <= 0.0:
            return math.nan
        return root(excess, upper, self.variance + self.isolated)


@dataclass(frozen=True, eq=False)
class LastLaw:
    r"""Limit law of the same after infinite time: squared singular values of M and A are the x of the target.

    Attributes
    ----------
    deviation : float
        Their density is the quarter circle on [0, 2 deviation].
    outlier : float
        Singular value of the target beyond all others; NaN where there is none.
    """

    deviation: float
    outlier: float
    atom: float = 0.0
    escape: float = math.nan

    @property
    def edges(self) -> tuple[float, float]:
        """Lowest and highest edge of the spectrum."""
        return 0.0, 2.0 * self.deviation

    def density(self, grid: np.ndarray) -> np.ndarray:
        """Density at points of at least 0, (k,)."""
        inside = np.maximum(4.0 * self.deviation**2 - np.asarray(grid, dtype=np.float64) ** 2, 0.0)
        return np.asarray(np.sqrt(inside) / (math.pi * self.deviation**2))


def isolated_value(model: ExtensiveOutputNetwork) -> float:
    """Singular value of a square target that its spike isolates; NaN where it drowns in the bulk."""
    spike = model.target_spike or 0.0
    return spike + model.target_variance / spike if spike**2 > model.target_variance else math.nan


def balanced_law(model: ExtensiveOutputNetwork, time: float) -> BalancedLaw:
    r"""Limit law of both weights at a time of gradient flow.

    Parameters
    ----------
    model : ExtensiveOutputNetwork
        With train="both", initialization="orthogonal" and no learning_rate.
    time : float
        Positive and finite.

    Returns
    -------
    BalancedLaw

    Raises
    ------
    NumericalError
        If twice the time times the largest singular value of the bulk of the target is more than 16.

    Notes
    -----
    The singular values of the target without its spike follow the quarter circle on [0, 2 sigma]; a spike of the
    strength theta > sigma isolates theta + sigma^2/theta. Beyond 2 max(x) t = 16 the numbers exp(2xt) take the digits
    that the density needs; the spectrum is then close to its limit, where the squared singular values are the x.

    Examples
    --------
    >>> model = ExtensiveOutputNetwork(1.0, train="both", initialization="orthogonal")
    >>> round(balanced_law(model, 1.0).edges[1] ** 0.5, 4)
    1.3515
    """
    exponent = 4.0 * time * math.sqrt(model.target_variance)
    isolated = isolated_value(model)
    if exponent > _LONGEST:
        raise NumericalError(
            f"2 max(x) t is {exponent:g} at time {time:g}, beyond the {_LONGEST:g} up to which the theory is verified"
        )
    return refined(lambda count: _law(model, time, isolated, count), _FEWEST_NODES, _MOST_NODES)


def _law(model: ExtensiveOutputNetwork, time: float, isolated: float, count: int) -> BalancedLaw:
    deviation = math.sqrt(model.target_variance)
    return BalancedLaw(*_legendre(count), deviation, time, model.weight_variance, isolated)


@lru_cache(maxsize=16)
def _legendre(count: int) -> tuple[np.ndarray, np.ndarray]:
    points, weights = np.polynomial.legendre.leggauss(count)
    return points, weights

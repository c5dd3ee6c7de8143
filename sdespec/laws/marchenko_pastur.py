"""Marchenko-Pastur law of the squared singular values of a random matrix."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import SupportsIndex

import numpy as np

from sdespec.core.checks import positive, require
from sdespec.core.errors import UsageError
from sdespec.laws._base import Array, Law
from sdespec.laws._root import invert

__all__ = ["MarchenkoPastur"]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)
_NEAR_EDGE = 0.3
"""Angle below which the mass next to an edge is integrated: the closed form loses relative accuracy there."""
_SMALL_RATIO = 0.1
"""Ratio of sides' square roots below which the closed form is summed as a series: it divides by the ratio squared."""


@dataclass(frozen=True)
class MarchenkoPastur(Law):
    r"""Marchenko-Pastur law of the min(n, m) squared singular values of an n x m matrix with independent entries.

    .. math:: \rho(x) = \frac{\sqrt{(x_+ - x)(x - x_-)}}{2\pi\, \min(n, m)\, v\, x}, \qquad
       x_\pm = v\,(\sqrt n \pm \sqrt m)^2

    Parameters
    ----------
    n_rows, n_cols : int or float
        Shape of the matrix, positive; the law is symmetric in the two and has no atom.
    variance : float
        Variance :math:`v > 0` of one entry.

    Raises
    ------
    UsageError
        If a parameter is not positive.

    Notes
    -----
    The unit is that of unnormalised squared singular values. In the angle :math:`\varphi` of
    :math:`x = v (n + m - 2\sqrt{nm}\cos\varphi)`, with :math:`r = \sqrt{\min/\max}`,

    .. math:: \pi F = \varphi + r \sin\varphi - (1 - r^2) \sum_{j \ge 2} r^{j-2}\, \frac{\sin j\varphi}{j},

    where the sum is :math:`[\arctan(r\sin\varphi / (1 - r\cos\varphi)) - r \sin\varphi]/r^2`. ``cdf``, ``sf`` and
    ``ppf`` keep their relative accuracy at both edges. Cost of ``ppf``: about three evaluations of ``cdf``.

    References
    ----------
    Marchenko and Pastur, Math. USSR Sb. 1, 457 (1967).

    Examples
    --------
    >>> law = MarchenkoPastur(n_rows=100, n_cols=400, variance=0.25)
    >>> law.edges
    (25.0, 225.0)
    >>> law.mean()
    100.0
    """

    n_rows: float
    n_cols: float
    variance: float

    def __post_init__(self) -> None:
        """Check the parameters."""
        require(positive(self.n_rows), "n_rows", self.n_rows, "positive")
        require(positive(self.n_cols), "n_cols", self.n_cols, "positive")
        require(positive(self.variance), "variance", self.variance, "positive")

    @property
    def _sides(self) -> tuple[float, float]:
        small, large = sorted((float(self.n_rows), float(self.n_cols)))
        return small, large

    @property
    def _ratio(self) -> float:
        small, large = self._sides
        return math.sqrt(small / large)

    @property
    def _gap(self) -> float:
        """1 - ratio, without cancellation."""
        small, large = self._sides
        return (large - small) / (math.sqrt(large) * (math.sqrt(large) + math.sqrt(small)))

    @property
    def _width(self) -> float:
        small, large = self._sides
        return 4.0 * self.variance * math.sqrt(small) * math.sqrt(large)

    @property
    def edges(self) -> tuple[float, float]:
        """Lower and upper edge, in the unit of squared singular values."""
        small, large = self._sides
        total = math.sqrt(large) + math.sqrt(small)
        return self.variance * ((large - small) / total) ** 2, self.variance * total**2

    def support(self) -> tuple[float, float]:
        """Lower and upper end of the support, the edges."""
        return self.edges

    def mean(self) -> float:
        """Mean, variance * max(n_rows, n_cols)."""
        return self.moment(1)

    def var(self) -> float:
        """Variance of the law, variance**2 * n_rows * n_cols."""
        small, large = self._sides
        return self.variance**2 * small * large

    def moment(self, order: SupportsIndex) -> float:
        r"""Exact moment of integer order; negative orders are inverse moments.

        .. math:: E x^k = (v\,m)^k \sum_{i=0}^{k-1} \frac{1}{i+1} \binom{k}{i}\binom{k-1}{i}\, q^i, \qquad
           E x^{-k-1} = \frac{E x^k}{(v\,(m - n))^{2k+1}}, \qquad q = n/m \le 1

        Parameters
        ----------
        order : int
            Any integer.

        Returns
        -------
        float
            Infinite where it does not exist: negative orders of square shapes.

        Raises
        ------
        UsageError
            If the order is no integer.

        Examples
        --------
        >>> MarchenkoPastur(n_rows=100, n_cols=200, variance=0.5).moment(-1)
        0.02
        """
        try:
            k = order.__index__()
        except AttributeError as error:
            raise UsageError(f"order is {order!r}; it must be an integer") from error
        small, large = self._sides
        if k < 0:
            difference = self.variance * (large - small)
            return self.moment(-k - 1) / difference ** (-2 * k - 1) if difference > 0.0 else math.inf
        if k == 0:
            return 1.0
        ratio = small / large
        total = sum(math.comb(k, i) * math.comb(k - 1, i) // (i + 1) * ratio**i for i in range(k))
        return (self.variance * large) ** k * total

    def _from_edges(self, x: Array) -> tuple[Array, Array]:
        lower, upper = self.edges
        return x - lower, upper - x

    def _logpdf(self, x: Array) -> Array:
        above, below = self._from_edges(x)
        constant = math.log(2.0 * math.pi * self._sides[0] * self.variance)
        if self.edges[0] == 0.0:
            return np.asarray(0.5 * (np.log(below) - np.log(x)) - constant)
        return np.asarray(0.5 * (np.log(below) + np.log(above)) - np.log(x) - constant)

    def _score(self, x: Array) -> Array:
        above, below = self._from_edges(x)
        if self.edges[0] == 0.0:
            return np.asarray(-0.5 / x - 0.5 / below)
        return np.asarray(-1.0 / x + 0.5 / above - 0.5 / below)

    def _cdf(self, x: Array) -> Array:
        above, below = self._from_edges(x)
        angle = 2.0 * np.arctan2(np.sqrt(above), np.sqrt(below))
        return self._mass_below(angle, np.pi - angle)

    def _sf(self, x: Array) -> Array:
        above, below = self._from_edges(x)
        angle = 2.0 * np.arctan2(np.sqrt(below), np.sqrt(above))
        return self._mass_above(angle)

    def _mass_below(self, angle: Array, rest: Array) -> Array:
        """Mass between the lower edge and an angle; ``rest`` is pi - angle."""
        ratio, gap = self._ratio, self._gap
        out = self._closed_form(angle)
        high = rest < _NEAR_EDGE
        out[high] = 1.0 - _edge_mass(rest[high], 1.0 + ratio, -ratio)
        # the integrand has poles at the imaginary angles +-gap/sqrt(ratio): stay well inside
        low = angle < min(_NEAR_EDGE, 0.5 * gap / math.sqrt(ratio))
        out[low] = _edge_mass(angle[low], gap, ratio)
        return out

    def _mass_above(self, angle: Array) -> Array:
        """Mass between an angle, counted from the upper edge, and that edge."""
        ratio = self._ratio
        out = 1.0 - self._mass_below(np.pi - angle, angle)
        near = angle < _NEAR_EDGE
        out[near] = _edge_mass(angle[near], 1.0 + ratio, -ratio)
        return out

    def _closed_form(self, angle: Array) -> Array:
        ratio, gap = self._ratio, self._gap
        sine, cosine = np.sin(angle), np.cos(angle)
        if ratio < _SMALL_RATIO:
            series = _sine_series(ratio, sine, cosine)
        else:
            series = (np.arctan2(ratio * sine, 1.0 - ratio * cosine) - ratio * sine) / ratio**2
        return np.asarray((angle + ratio * sine - gap * (1.0 + ratio) * series) / np.pi)

    def _ppf(self, p: Array) -> Array:
        lower, upper = self.edges
        out = np.empty(p.shape)
        low = p <= 0.5
        ratio, gap = self._ratio, self._gap
        angle = _invert_mass(lambda a: self._mass_below(a, np.pi - a), p[low], gap, ratio)
        out[low] = lower + self._width * np.sin(0.5 * angle) ** 2
        angle = _invert_mass(self._mass_above, 1.0 - p[~low], 1.0 + ratio, -ratio)
        out[~low] = upper - self._width * np.sin(0.5 * angle) ** 2
        return np.asarray(np.clip(out, lower, upper))


def _angle_density(angle: Array, gap: float, ratio: float) -> Array:
    """Density of the angle from one edge: (2/pi) sin^2 a / (gap^2 + 4 ratio sin^2(a/2))."""
    half = np.sin(0.5 * angle) ** 2
    return np.asarray((8.0 / np.pi) * half * (1.0 - half) / (gap**2 + 4.0 * ratio * half))


def _edge_mass(angle: Array, gap: float, ratio: float) -> Array:
    """Integral of the angle's density from an edge, by Gauss-Legendre quadrature (relative error 1e-15)."""
    points = 0.5 * angle[:, None] * (1.0 + _NODES)
    return np.asarray(0.5 * angle * (_angle_density(points, gap, ratio) @ _WEIGHTS))


def _sine_series(ratio: float, sine: Array, cosine: Array) -> Array:
    """Sum over j >= 2 of ratio^(j-2) sin(j angle)/j, to double precision."""
    before, now = sine, 2.0 * sine * cosine
    out = 0.5 * now
    power, order = ratio, 3
    while power > 1e-18:
        before, now = now, 2.0 * cosine * now - before
        out = out + (power / order) * now
        power, order = power * ratio, order + 1
    return np.asarray(out)


def _invert_mass(mass: Callable[[Array], Array], target: Array, gap: float, ratio: float) -> Array:
    """Angle from an edge that holds the mass ``target <= 1/2``."""
    # the mass grows as the cube of the angle up to angles of order gap, then linearly
    scale = min(1.0, max(gap, 1e-12))
    nodes = np.unique(np.concatenate([[0.0], np.geomspace(1e-2 * scale, np.pi, 257), np.linspace(0.0, np.pi, 257)]))
    values = mass(nodes)
    inside = target > 0.0
    wanted = target[inside]
    start = np.interp(np.cbrt(wanted), np.cbrt(values), nodes)
    out = np.zeros(target.shape)
    out[inside] = invert(lambda a: (mass(a), _angle_density(a, gap, ratio)), wanted, nodes, values, start)
    return np.asarray(out)

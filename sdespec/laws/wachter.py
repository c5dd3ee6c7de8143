"""Wachter law: the limit of spectra of a Wishart matrix over another."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sdespec.core.checks import positive, require
from sdespec.laws._base import Array, Law
from sdespec.laws._root import invert
from sdespec.laws.marchenko_pastur import MarchenkoPastur, _angle_density

__all__ = ["Wachter"]

_ANGLES = np.concatenate([[0.0], np.geomspace(1e-9, np.pi, 1025)])


@dataclass(frozen=True)
class Wachter(Law):
    r"""Wachter law, the limit of the eigenvalues of :math:`s\,X Y^{-1}` for independent Wishart matrices X and Y.

    With X of m, Y of N degrees of freedom, both n x n of unit covariance, and for :math:`n \le m`

    .. math:: \rho(x) = \frac{(N - n)\,\sqrt{(x_+ - x)(x - x_-)}}{2\pi\, n\, x\, (s + x)}, \qquad
        x_\pm = s \Big(\frac{\sqrt{m N} \pm \sqrt{n (m + N - n)}}{N - n}\Big)^2 ,

    a power law of exponent 3/2 between edges that move apart as N approaches n.

    Parameters
    ----------
    n_rows, n_cols : int or float
        Shape (n, m) of the numerator, positive. For n > m it is the law of the m values that are not zero, that of
        (m, n, N + m - n).
    n_denominator : int or float
        Degrees of freedom N > n_rows of the denominator.
    scale : float
        :math:`s > 0`, in the unit of ``x``.

    Raises
    ------
    UsageError
        If a parameter is not allowed.

    Notes
    -----
    The right multiplicative matrix diffusion with weight decay g, additive diffusion D and multiplicative diffusion k
    has N = g/k + n + 1 - m and s = D/k. In the normalisation (X/m)(Y/N)^{-1} take s = N/m. As N grows with s = v N it
    tends to ``MarchenkoPastur(n, m, v)``. In u = x/(s + x) the density is that of two Marchenko-Pastur laws with the
    same edges, one in u, one in 1 - u, whose distribution functions give this one's with relative accuracy at both
    edges.

    References
    ----------
    Wachter, Annals of Statistics 8 (1980) 937; Bai and Silverstein, Spectral Analysis of Large Dimensional Random
    Matrices (2010), section 4.4.

    Examples
    --------
    >>> law = Wachter(n_rows=100, n_cols=200, n_denominator=300, scale=2.0)
    >>> law.mean()
    2.0
    """

    n_rows: float
    n_cols: float
    n_denominator: float
    scale: float = 1.0

    def __post_init__(self) -> None:
        """Check the parameters."""
        require(positive(self.n_rows), "n_rows", self.n_rows, "positive")
        require(positive(self.n_cols), "n_cols", self.n_cols, "positive")
        above = positive(self.n_denominator) and self.n_denominator > self.n_rows
        require(above, "n_denominator", self.n_denominator, f"finite and above n_rows = {self.n_rows!r}")
        require(positive(self.scale), "scale", self.scale, "positive")

    @property
    def _sides(self) -> tuple[float, float, float]:
        """Smaller side n, larger side m, and N."""
        n, m, denominator = float(self.n_rows), float(self.n_cols), float(self.n_denominator)
        return (n, m, denominator) if n <= m else (m, n, denominator + m - n)

    @property
    def _roots(self) -> tuple[float, float]:
        """Square roots of m N and of n (m + N - n)."""
        n, m, denominator = self._sides
        return math.sqrt(m) * math.sqrt(denominator), math.sqrt(n) * math.sqrt(m + denominator - n)

    @property
    def edges(self) -> tuple[float, float]:
        """Lower and upper edge."""
        n, m, denominator = self._sides
        total = sum(self._roots)
        # the difference of the roots is (m - n)(N - n)/total
        return self.scale * ((m - n) / total) ** 2, self.scale * (total / (denominator - n)) ** 2

    def support(self) -> tuple[float, float]:
        """Lower and upper end of the support, the edges."""
        return self.edges

    def mean(self) -> float:
        """Mean, scale * max(n, m) / (N - n) with n the smaller side."""
        n, m, denominator = self._sides
        return self.scale * m / (denominator - n)

    def var(self) -> float:
        """Variance of the law."""
        n, m, denominator = self._sides
        spare = denominator - n
        return self.scale**2 * (n / spare) * (m / spare) * ((m + spare) / spare)

    @property
    def _parts(self) -> tuple[_Part, _Part]:
        """The laws in u and in 1 - u."""
        (low, high), s = self.edges, self.scale
        first, second = self._roots
        spare = self._sides[2] - self._sides[0]
        width = 4.0 * (first / spare) * (second / spare) / ((1.0 + high / s) * (1.0 + low / s))
        return (
            _Part.between(low / (s + low), high / (s + high), width),
            _Part.between(s / (s + high), s / (s + low), width),
        )

    def _below(self, angle: Array) -> tuple[Array, Array]:
        """Mass between the lower edge and an angle, and its derivative."""
        one, two = self._parts
        total = one.mass + two.mass
        mass = one.mass * one.law._mass_below(angle, np.pi - angle) + two.mass * two.law._mass_above(angle)
        slope = one.mass * one.rising(angle) + two.mass * two.falling(angle)
        return np.asarray(mass / total), np.asarray(slope / total)

    def _above(self, angle: Array) -> tuple[Array, Array]:
        """Mass between an angle, counted from the upper edge, and that edge, and its derivative."""
        one, two = self._parts
        total = one.mass + two.mass
        mass = one.mass * one.law._mass_above(angle) + two.mass * two.law._mass_below(angle, np.pi - angle)
        slope = one.mass * one.falling(angle) + two.mass * two.rising(angle)
        return np.asarray(mass / total), np.asarray(slope / total)

    def _logpdf(self, x: Array) -> Array:
        low, high = self.edges
        n, _, denominator = self._sides
        constant = math.log((denominator - n) / (2.0 * math.pi * n))
        near = -0.5 * np.log(x) if low == 0.0 else 0.5 * np.log(x - low) - np.log(x)
        return np.asarray(constant + near + 0.5 * np.log(high - x) - np.log(self.scale + x))

    def _score(self, x: Array) -> Array:
        low, high = self.edges
        near = -0.5 / x if low == 0.0 else 0.5 / (x - low) - 1.0 / x
        return np.asarray(near - 0.5 / (high - x) - 1.0 / (self.scale + x))

    def _half_tangents(self, x: Array) -> tuple[Array, Array]:
        """Sides of the right triangle of half the angle."""
        (low, high), s = self.edges, self.scale
        return np.sqrt((x - low) * (1.0 + high / s)), np.sqrt((high - x) * (1.0 + low / s))

    def _cdf(self, x: Array) -> Array:
        opposite, adjacent = self._half_tangents(x)
        return self._below(2.0 * np.arctan2(opposite, adjacent))[0]

    def _sf(self, x: Array) -> Array:
        opposite, adjacent = self._half_tangents(x)
        return self._above(2.0 * np.arctan2(adjacent, opposite))[0]

    def _ppf(self, p: Array) -> Array:
        out = np.empty(p.shape)
        low = p <= 0.5
        out[low] = self._place(*_sine_cosine(_invert_mass(self._below, p[low])))
        cosine, sine = _sine_cosine(_invert_mass(self._above, 1.0 - p[~low]))
        out[~low] = self._place(sine, cosine)
        return np.asarray(np.clip(out, *self.edges))

    def _place(self, sine: Array, cosine: Array) -> Array:
        """Value at half an angle from the lower edge."""
        (low, high), s = self.edges, self.scale
        # (x - low)(s + high)/((high - x)(s + low)) = tan^2, solved for x without differences
        up, down = sine**2 * (1.0 + low / s), cosine**2 * (1.0 + high / s)
        return np.asarray((up * high + down * low) / (up + down))


class _Part(NamedTuple):
    """A Marchenko-Pastur law with given edges, and four times its share before normalisation."""

    law: MarchenkoPastur
    mass: float

    @classmethod
    def between(cls, low: float, high: float, width: float) -> _Part:
        """Law between two edges; ``width`` is their difference."""
        total = math.sqrt(low) + math.sqrt(high)
        mass = (width / total) ** 2
        return cls(MarchenkoPastur(0.25 * mass, 0.25 * total**2, 1.0), mass)

    def rising(self, angle: Array) -> Array:
        """Density of the angle from the lower edge."""
        return _angle_density(angle, self.law._gap, self.law._ratio)

    def falling(self, angle: Array) -> Array:
        """Density of the angle from the upper edge."""
        return _angle_density(angle, 1.0 + self.law._ratio, -self.law._ratio)


def _sine_cosine(angle: Array) -> tuple[Array, Array]:
    return np.sin(0.5 * angle), np.cos(0.5 * angle)


def _invert_mass(mass: Callable[[Array], tuple[Array, Array]], target: Array) -> Array:
    """Angle from an edge that holds the mass ``target <= 1/2``."""
    values, slopes = mass(_ANGLES)
    values = np.maximum.accumulate(values)
    least, first = _ANGLES[1], values[1]
    inside = target > first
    wanted = target[inside]
    start = np.interp(np.cbrt(wanted), np.cbrt(values), _ANGLES)
    # the mass below the first node is a power of the angle: the cube, or the angle itself where the edge is 0
    out = np.asarray(least * (np.minimum(target, first) / first) ** (first / (least * slopes[1])))
    out[inside] = invert(mass, wanted, _ANGLES, values, start)
    return np.asarray(out)

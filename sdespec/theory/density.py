"""Density, edges and outliers of the linear SDE at any time, for large matrices, by an explicit inverse."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sdespec.core.errors import NumericalError, UsageError

__all__ = ["SpectralLaw", "spectral_law"]

_NEWTON_STEPS = 60
_FAR = 1e300  # stands for "not allowed" in a search for the least value
_HEIGHT = 1e-9  # imaginary part at which the density is read, relative to the scale of the spectrum


@dataclass(frozen=True, eq=False)
class SpectralLaw:
    r"""Limit law of the eigenvalues of a large matrix after Gaussian noise has been added to it.

    With x the eigenvalue over m, q = n/m, v the added variance, :math:`\mu_0` the law of the initial x and
    :math:`F(\omega) = \int \mu_0(d\tau)/(\omega - \tau)`,

    .. math:: f = 1 + q v F(\omega), \qquad z(\omega) = \omega f^2 + v (1 - q) f, \qquad G(z) = F / f

    so that the inverse of the Stieltjes transform is explicit: edges are extrema of z on the real line, a
    vanishing mass at :math:`\tau` has an outlier at :math:`z(\tau)` where :math:`z'(\tau) > 0`.

    Parameters
    ----------
    atoms, weights : ndarray, (k,)
        Initial law in units of ``eigenvalue``: places and masses.
    n, m : float
        Smaller and larger side.
    variance : float
        Added variance of an entry, positive.

    References
    ----------
    Dozier and Silverstein, Journal of Multivariate Analysis 98 (2007) 678.
    """

    atoms: np.ndarray
    weights: np.ndarray
    n: float
    m: float
    variance: float

    @property
    def _q(self) -> float:
        return self.n / self.m

    def _terms(self, omega: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """F and its derivative."""
        gaps = 1.0 / (omega[..., None] - self.atoms / self.m)
        return (self.weights * gaps).sum(-1), -(self.weights * gaps**2).sum(-1)

    def inverse(self, omega: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """z, its derivative, and f, at omega (in x)."""
        first, slope = self._terms(omega)
        q, v = self._q, self.variance
        f, f_slope = 1.0 + q * v * first, q * v * slope
        z = omega * f**2 + v * (1.0 - q) * f
        return z, f**2 + (2.0 * omega * f + v * (1.0 - q)) * f_slope, f

    def density(self, grid: np.ndarray) -> np.ndarray:
        """Density of the eigenvalues, of mass 1; there is no atom after time 0.

        Parameters
        ----------
        grid : ndarray, (k,)
            Eigenvalues.

        Returns
        -------
        ndarray, (k,)

        Raises
        ------
        NumericalError
            If the inverse does not converge somewhere.

        Notes
        -----
        Newton's method for z(omega) = x + i eta, carried down from a large to a tiny imaginary part, all points at
        once. Cost O(k times the number of atoms).
        """
        x = np.asarray(grid, dtype=np.float64) / self.m
        scale = float(self.atoms.max()) / self.m + self.variance * (1.0 + math.sqrt(self._q)) ** 2
        omega = x + 1j * scale * 4.0
        height = 4.0
        while True:
            omega = self._newton(x + 1j * scale * height, omega)
            if height <= _HEIGHT:
                break
            height = max(height * 0.08, _HEIGHT)
        first, _ = self._terms(omega)
        transform = first / (1.0 + self._q * self.variance * first)
        return np.asarray(np.maximum(-transform.imag, 0.0) / (math.pi * self.m))

    def _newton(self, target: np.ndarray, omega: np.ndarray) -> np.ndarray:
        """Solve from a nearby start; steps that would leave the upper half plane are halved."""
        omega = omega.copy()
        active = np.arange(omega.size)
        for _ in range(_NEWTON_STEPS):
            z, slope, _ = self.inverse(omega[active])
            step = (z - target[active]) / slope
            new = omega[active] - step
            for _ in range(40):
                below = new.imag <= 0.0
                if not below.any():
                    break
                step[below] *= 0.5
                new[below] = omega[active][below] - step[below]
            omega[active] = new
            active = active[np.abs(step) > 1e-13 * (np.abs(new) + 1e-300)]
            if not active.size:
                return omega
        if np.abs(self.inverse(omega[active])[0] - target[active]).max() > 1e-7 * np.abs(target).max():
            raise NumericalError(f"the density did not converge at {active.size} of {omega.size} points")
        return omega

    @property
    def edges(self) -> tuple[float, float]:
        """Lower and upper end of the support."""
        low, high = float(self.atoms.min()) / self.m, float(self.atoms.max()) / self.m
        scale = high + self.variance * (1.0 + math.sqrt(self._q)) ** 2

        def above(log_gap: np.ndarray) -> np.ndarray:
            return self.inverse(high + np.exp(log_gap))[0]

        def below(log_gap: np.ndarray) -> np.ndarray:
            z, _, f = self.inverse(low - np.exp(log_gap))
            return np.where(f > 0.0, -z, _FAR)

        span = (math.log(scale) - 20.0, math.log(scale) + 6.0)
        upper = _least(above, span)
        lower = -_least(below, span)
        return max(lower, 0.0) * self.m, upper * self.m

    def outlier(self, eigenvalue: float) -> float:
        """Place of the outlier that an initial eigenvalue of vanishing mass makes; NaN where it drowns in the bulk.

        Parameters
        ----------
        eigenvalue : float
            Where the initial eigenvalue stands now, that is after its own decay.

        Returns
        -------
        float
        """
        z, slope, _ = self.inverse(np.array([eigenvalue / self.m]))
        return float(z[0]) * self.m if slope[0] > 0.0 else math.nan


def _least(function: Callable[[np.ndarray], np.ndarray], span: tuple[float, float]) -> float:
    """Least value on an interval: scans, each around the best point of the one before."""
    low, high = span
    for _ in range(6):
        grid = np.linspace(low, high, 121)
        values = function(grid)
        best = int(np.argmin(values))
        low, high = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, 120)])
    return float(values[best])


def spectral_law(initial: np.ndarray, n: float, m: float, variance: float) -> SpectralLaw:
    """Limit law that starts from the empirical law of given eigenvalues.

    Parameters
    ----------
    initial : ndarray, (k,)
        Eigenvalues after their decay, at least 0; equal ones are joined.
    n, m : float
        Smaller and larger side.
    variance : float
        Added variance of an entry, positive.

    Returns
    -------
    SpectralLaw

    Raises
    ------
    UsageError
        If the variance is not positive or an eigenvalue is negative.

    Examples
    --------
    >>> law = spectral_law(np.zeros(4), 4, 8, 0.5)
    >>> [round(edge, 6) for edge in law.edges]
    [0.343146, 11.656854]
    """
    if not (math.isfinite(variance) and variance > 0.0):
        raise UsageError(f"variance is {variance}; a density needs noise of positive variance")
    values = np.asarray(initial, dtype=np.float64)
    if values.size == 0 or not np.isfinite(values).all() or values.min() < 0.0:
        raise UsageError("the initial eigenvalues must be finite and at least 0")
    atoms, counts = np.unique(values, return_counts=True)
    return SpectralLaw(atoms, counts / counts.sum(), float(n), float(m), float(variance))

"""Density, edges and outliers of a large Gaussian matrix with a mean and separable covariance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from sdespec.core.errors import NumericalError, UsageError
from sdespec.laws import GaussianMatrixEnsemble

__all__ = ["GaussianEquivalent", "gaussian_equivalent"]

_HEIGHTS = (4.0, 0.4, 0.04, 4e-3, 4e-4, 4e-5, 4e-6, 4e-7, 4e-8, 4e-9, 4e-10)
_LOWEST = 1e-8  # last imaginary part near zero, relative to the point, and the least point looked at
_NEWTON_STEPS = 200
_HALVINGS = 4  # of the way from one height to the next
_INSIDE = 1e-5  # of the largest mass in a relative interval: a root edge is found to about the square of this
_SPIKE_SHARE = 0.05
_CHUNK = 1 << 22  # complex numbers of a batch
_COARSE, _BISECTIONS = 160, 22
_RESIDUAL = 1e-6
_STEP = 1e-7  # of a difference quotient, relative
_MARGIN = 1e-7  # beyond the edge, relative


@dataclass(frozen=True, eq=False)
class GaussianEquivalent:
    r"""Deterministic equivalent of the resolvent of :math:`W W^T`, :math:`W = M + A^{1/2} Z C^{1/2}`.

    .. math:: T = \big[-z(1 + \tilde\delta A) + M (1 + \delta C)^{-1} M^T\big]^{-1}, \quad
        \tilde T = \big[-z(1 + \delta C) + M^T (1 + \tilde\delta A)^{-1} M\big]^{-1}, \quad
        \delta = \mathrm{tr}\,A T, \quad \tilde\delta = \mathrm{tr}\,C \tilde T

    For M = 0 this is the generalised Marchenko-Pastur law of a separable covariance, for multiples of the identity
    the information-plus-noise law.

    Parameters
    ----------
    rows, cols : ndarray, (n,) and (m,)
        Eigenvalues of A and C, n <= m.
    left, right : ndarray, (n, k) and (m, k)
        Factors of the part of the mean that is of the bulk, in the eigenbases of A and C: M = left right^T.
    spike_left, spike_right : ndarray, (n, s) and (m, s)
        The same of its spikes, whose mass vanishes.

    References
    ----------
    Hachem, Loubaton and Najim, Annals of Applied Probability 17 (2007) 875; Paul and Silverstein, Journal of
    Multivariate Analysis 100 (2009) 37.
    """

    rows: np.ndarray
    cols: np.ndarray
    left: np.ndarray
    right: np.ndarray
    spike_left: np.ndarray
    spike_right: np.ndarray

    @property
    def scale(self) -> float:
        """A number of the size of the largest eigenvalue, from above."""
        noise = math.sqrt(self.rows.max() * self.cols.sum()) + math.sqrt(self.cols.max() * self.rows.sum())
        mean = float(np.linalg.norm(self.left, 2) * np.linalg.norm(self.right, 2)) if self.left.size else 0.0
        return (noise + mean) ** 2

    @property
    def mean(self) -> float:
        """Mean eigenvalue, exact at every size but for the spikes."""
        square = float(np.sum((self.left.T @ self.left) * (self.right.T @ self.right)))
        return (square + float(self.rows.sum() * self.cols.sum())) / len(self.rows)

    def _evaluate(self, z: np.ndarray, pair: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the right sides give for delta and rho = -z delta tilde of each z, (2, k), and the trace of T.

        Unlike delta tilde, rho is smooth where z goes to zero.
        """
        own = 1.0 / (pair[1][:, None] * self.rows - z[:, None])
        other = 1.0 / (1.0 + pair[0][:, None] * self.cols)
        if not self.left.shape[1]:
            return np.stack([own @ self.rows, other @ self.cols]), own.sum(axis=1)
        inner = (self.right.T * other[:, None, :]) @ self.right
        gram = (self.left.T * own[:, None, :]) @ self.left
        core = np.linalg.solve(np.eye(self.left.shape[1]) + inner @ gram, inner)  # T = E - E left core left^T E
        if 2 * self.left.shape[1] > len(self.rows):
            traced = _inverse_diagonal(1.0 / own, self.left, inner)
        else:
            traced = own - np.einsum("zik,ik->zi", self.left @ core, self.left) * own**2
        if 2 * self.right.shape[1] > len(self.cols):
            kept = _inverse_diagonal(1.0 / other, self.right, gram)
        else:
            back = gram - gram @ core @ gram  # left^T T left
            kept = other - np.einsum("zjk,jk->zj", self.right @ back, self.right) * other**2
        return np.stack([traced @ self.rows, kept @ self.cols]), traced.sum(axis=1)

    def _newton(self, z: np.ndarray, pair: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Solve from a nearby start; the pair and whether it solves the equations.

        Where a step of Newton's would leave the transforms of measures on the half line, one of half the way to the
        right sides is taken, which cannot.
        """
        pair = pair.copy()
        active = np.arange(z.size)
        for _ in range(_NEWTON_STEPS):
            now, at = pair[:, active], z[active]
            value = now - self._evaluate(at, now)[0]
            columns = []
            for k in range(2):
                moved = now.copy()
                width = _STEP * np.abs(now[k])
                moved[k] += width
                columns.append((moved - self._evaluate(at, moved)[0] - value) / width)
            (a, c), (b, d) = columns
            step = np.stack([d * value[0] - b * value[1], a * value[1] - c * value[0]]) / (a * d - b * c)
            new = now - step
            below = (new[0].imag <= 0.0) | ((at * new[0]).imag < 0.0)
            below |= (new[1].imag > 0.0) | ((new[1] / at).imag > 0.0)
            step[:, below] = 0.5 * value[:, below]
            pair[:, active] = now - step
            done = (np.abs(step) <= 1e-11 * np.abs(now)).all(axis=0)
            active = active[~done]
            if not active.size:
                break
        rest = np.abs(pair - self._evaluate(z, pair)[0])  # at an edge a step cannot be small: the root is double
        return pair, (rest <= _RESIDUAL * np.abs(pair)).all(axis=0)

    def transform(self, grid: np.ndarray) -> np.ndarray:
        """Trace of T just above the real axis, divided by n.

        Parameters
        ----------
        grid : ndarray, (k,)
            Eigenvalues.

        Returns
        -------
        ndarray of complex, (k,)

        Raises
        ------
        NumericalError
            If the equations are not solved somewhere.

        Notes
        -----
        Newton's method for the two numbers, carried down from a large to a tiny imaginary part, points at once. Cost
        for each of the k points: some hundred times O(n + m); with a mean of rank r in the bulk, where each point
        starts from its neighbour instead, some ten times O((n + m) r^2).
        """
        points = np.asarray(grid, dtype=np.float64)
        rank = max(self.left.shape[1], 1)
        size = max(1, _CHUNK // (rank * (len(self.rows) + len(self.cols))))
        parts = [self._transform(points[start : start + size]) for start in range(0, len(points), size)]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.complex128)

    def _transform(self, points: np.ndarray) -> np.ndarray:
        z, pair = self._pair(points)
        return np.asarray(self._evaluate(z, pair)[1] / len(self.rows))

    def _pair(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The two numbers just above the real axis."""
        z = points + 1j * np.minimum(self.scale * _HEIGHTS[-1], _LOWEST * points)
        if not self.left.shape[1]:
            return z, self._continued(points)
        pair = np.empty((2, len(points)), dtype=np.complex128)  # dear: each point starts from its neighbour
        for i in range(len(points)):
            one = slice(i, i + 1)
            if i:
                pair[:, one], solved = self._newton(z[one], pair[:, i - 1 : i])
            if not i or not solved[0]:
                pair[:, one] = self._continued(points[one])
        return z, pair

    def _continued(self, points: np.ndarray) -> np.ndarray:
        """From a large to a tiny imaginary part."""
        height = np.full(points.shape, self.scale)
        pair = np.stack([-self.rows.sum() / (points + 1j * height), np.full(points.shape, self.cols.sum() + 0j)])
        for share in (*_HEIGHTS, 0.0):
            lowest = np.minimum(self.scale * _HEIGHTS[-1], _LOWEST * points)
            lower = np.full(points.shape, self.scale * share) if share else lowest
            pair, solved = self._lowered(points, pair, height, lower, _HALVINGS)
            height = lower
        if not solved.all():
            raise NumericalError(f"the density did not converge at {np.count_nonzero(~solved)} of {points.size} points")
        return pair

    def _lowered(
        self, points: np.ndarray, pair: np.ndarray, height: np.ndarray, lower: np.ndarray, halvings: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """From one imaginary part to a lower one, over one between where that is too far; and whether it is solved."""
        found, solved = self._newton(points + 1j * lower, pair)
        far = ~solved
        if halvings and far.any():
            middle = np.sqrt(height[far] * lower[far])
            half, _ = self._lowered(points[far], pair[:, far], height[far], middle, halvings - 1)
            found[:, far], solved[far] = self._lowered(points[far], half, middle, lower[far], halvings - 1)
        return found, solved

    def density(self, grid: np.ndarray) -> np.ndarray:
        """Density of the eigenvalues, of mass 1.

        Parameters
        ----------
        grid : ndarray, (k,)
            Eigenvalues, positive.

        Returns
        -------
        ndarray, (k,)
        """
        return np.asarray(np.maximum(self.transform(grid).imag, 0.0) / math.pi)

    @property
    def edges(self) -> tuple[float, float]:
        """Lower and upper end of the support."""
        around = self.mean * np.linspace(0.9, 1.1, 9)  # a spectrum of a small aspect ratio is narrow
        coarse = np.union1d(np.geomspace(_LOWEST, 1.2, _COARSE) * self.scale, around)
        share = coarse * self.density(coarse)  # not the density, which is infinite at a hard edge
        level = float(share.max()) * _INSIDE
        inside = np.flatnonzero(share > level)
        within = coarse[[inside[0], inside[-1]]]
        beyond = np.array([coarse[inside[0] - 1] if inside[0] else 0.0, coarse[min(inside[-1] + 1, len(coarse) - 1)]])
        for _ in range(_BISECTIONS):
            middle = 0.5 * (within + beyond)
            dense = middle * self.density(middle) > level
            within, beyond = np.where(dense, middle, within), np.where(dense, beyond, middle)
        return float(within[0]), float(within[1])

    @property
    def outliers(self) -> np.ndarray:
        """Places of the outliers above the bulk that the spikes of the mean make, largest first."""
        if not self.spike_left.shape[1]:
            return np.empty(0)
        low = self.edges[1] * (1.0 + _MARGIN)
        size = float(np.linalg.norm(self.spike_left, 2) * np.linalg.norm(self.spike_right, 2))
        high = (math.sqrt(self.scale) + size) ** 2
        beyond = [k for k in range(self.spike_left.shape[1]) if self._excess(low, k) > 0.0]
        return np.array([float(brentq(self._excess, low, high, args=(k,), rtol=1e-12)) for k in beyond])

    def _excess(self, place: float, k: int) -> float:
        """Zero where the k-th outlier stands, and falling: rho A - x + L K L^T is singular there."""
        pair = self._pair(np.array([place]))[1][:, 0].real
        inner = (self.spike_right.T / (1.0 + pair[0] * self.cols)) @ self.spike_right
        gram = (self.spike_left.T / (place - pair[1] * self.rows)) @ self.spike_left
        root = np.linalg.cholesky(gram)
        return float(np.linalg.eigvalsh(root.T @ inner @ root)[-1 - k] - 1.0)


def _inverse_diagonal(diagonal: np.ndarray, factor: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Diagonal of (diag d + F G F^T)^{-1}; at nearly full rank the formula of Woodbury cancels near zero."""
    whole = factor @ inner @ factor.T
    index = np.arange(diagonal.shape[1])
    whole[:, index, index] += diagonal
    return np.asarray(np.diagonal(np.linalg.inv(whole), axis1=1, axis2=2))


def gaussian_equivalent(ensemble: GaussianMatrixEnsemble) -> GaussianEquivalent:
    """Limit law of the squared singular values of a Gaussian matrix.

    Parameters
    ----------
    ensemble : GaussianMatrixEnsemble
        Mean and separable covariance. Where the rank of the mean is at most 5 % of the smaller side, or 1, its parts
        are spikes; otherwise it belongs to the bulk, and there are no outliers.

    Returns
    -------
    GaussianEquivalent

    Raises
    ------
    UsageError
        If there is no noise.

    Examples
    --------
    >>> ensemble = GaussianMatrixEnsemble(np.zeros((50, 100)), 1.0, 0.02)
    >>> [round(edge, 3) for edge in gaussian_equivalent(ensemble).edges]
    [0.172, 5.828]
    """
    mean = np.asarray(ensemble.mean)
    turned = mean.shape[0] > mean.shape[1]
    given = [(ensemble.row_covariance, mean.shape[0]), (ensemble.col_covariance, mean.shape[1])]
    (rows, u), (cols, v) = (_eigen(covariance, side) for covariance, side in given)
    if not (rows.any() and cols.any()):
        raise UsageError("a covariance is zero; a density needs noise")
    values = mean if u is None else u.T @ mean
    values = values if v is None else values @ v
    left, strengths, right = np.linalg.svd(values, full_matrices=False)
    rank = int(np.count_nonzero(strengths > 1e-12 * max(float(strengths[0]), 1e-300)))
    factors = left[:, :rank] * strengths[:rank], right[:rank].T
    if turned:
        rows, cols, factors = cols, rows, factors[::-1]
    empty = np.empty((len(rows), 0)), np.empty((len(cols), 0))
    if rank <= max(1.0, _SPIKE_SHARE * len(rows)) and len(rows) > 1:
        return GaussianEquivalent(rows, cols, *empty, *factors)
    return GaussianEquivalent(rows, cols, *factors, *empty)


def _eigen(covariance: float | np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Eigenvalues, and eigenvectors unless the covariance is diagonal."""
    value = np.asarray(covariance, dtype=np.float64)
    if value.ndim < 2:
        return np.broadcast_to(value, (side,)).astype(np.float64), None
    spectrum, vectors = np.linalg.eigh(value)
    return np.maximum(spectrum, 0.0), vectors

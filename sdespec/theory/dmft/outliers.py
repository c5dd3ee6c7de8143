"""Outliers of a random matrix plus spikes that depend on it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import brentq

from sdespec.core.errors import UsageError

__all__ = ["Outliers", "SpikedMatrix", "overlap_factor"]

_TRUNCATION = 1e-13
_SMALLEST_SHARE = 1e-4
_ROOT_TOLERANCE = 1e-12
_DOUBLINGS = 200


@dataclass(frozen=True, eq=False)
class Outliers:
    r"""Singular values beyond the bulk of one matrix.

    Attributes
    ----------
    singular_value : ndarray, (k,)
        The outliers, descending.
    escape : ndarray, (modes,)
        Leading :math:`\theta_i` at the edge, descending; outlier i exists exactly where it exceeds 1. NaN where
        there are fewer spikes.
    """

    singular_value: np.ndarray
    escape: np.ndarray


def overlap_factor(overlaps: np.ndarray) -> np.ndarray:
    """Factor F of a positive semidefinite matrix of overlaps, F F^T, with as few columns as its numerical rank.

    Parameters
    ----------
    overlaps : ndarray, (k, k)
        Overlaps of k vectors; the smallest may be below rounding.

    Returns
    -------
    ndarray, (k, rank)
        Its first j rows are a factor of the overlaps of the first j vectors. Directions that carry less than 1e-13
        of the vectors, each scaled to length one, are left out.

    Examples
    --------
    >>> factor = overlap_factor(np.ones((4, 4)))
    >>> factor.shape, bool(np.allclose(factor @ factor.T, 1.0))
    ((4, 1), True)
    """
    diagonal = np.diagonal(overlaps)
    if diagonal.size == 0 or diagonal.max() <= 0.0:
        return np.zeros((len(overlaps), 0))
    # Without the scale, the early vectors of a run that grows by orders of magnitude would be cut off.
    scale = np.sqrt(np.maximum(diagonal, _SMALLEST_SHARE * diagonal.max()))
    values, vectors = np.linalg.eigh(overlaps / np.outer(scale, scale))
    keep = values > _TRUNCATION * values[-1]
    factor: np.ndarray = scale[:, None] * (vectors[:, keep] * np.sqrt(values[keep]))[:, ::-1]
    return factor


@dataclass(frozen=True, eq=False)
class SpikedMatrix:
    r"""Random matrix plus spikes, :math:`M = M_0 + U K V^T`, whose directions U and V may depend on M_0.

    M_0 is N2 x N1 with entries N(0, variance/N2), q = N1/N2. The columns of U and V are causal functions of
    :math:`M_0 V` and :math:`M_0^T U`. With the overlaps :math:`G = U^T U`, :math:`\Phi = V^T V`, the responses A of V
    to :math:`M_0^T U` and B of U to :math:`M_0 V`, and the transforms :math:`m_L, m_R` of the bulk, outliers solve

    .. math:: \theta_i(\lambda) = 1, \qquad \theta = \mathrm{eig}\,(F^T J F), \quad
        J = \begin{pmatrix} 0 & K \\ K^T & 0 \end{pmatrix}, \quad
        F = \begin{pmatrix} 1 & -m_L B \\ -m_R A & 1 \end{pmatrix}^{-1}
        \begin{pmatrix} \sqrt{m_L}\, G^{1/2} & \\ & \sqrt{m_R}\, \Phi^{1/2} \end{pmatrix}

    Parameters
    ----------
    left, right : ndarray, (k_left, r_left) and (k_right, r_right)
        Factors of G and :math:`\Phi`; see ``overlap_factor``.
    coupling : ndarray, (k,) or (k_left, k_right)
        K; a vector is its diagonal.
    right_response, left_response : ndarray, (k_right, k_left) and (k_left, k_right), or None
        A and B. Without them the spikes are independent of the bulk.
    variance : float
        N2 times the variance of an entry of M_0.
    aspect : float
        q.

    Raises
    ------
    UsageError
        If only one response is given, or shapes contradict each other.

    Notes
    -----
    Each :math:`\theta_i` falls monotonically in :math:`\lambda`, so that the number of outliers is the number of
    :math:`\theta_i` above 1 at the edge, and each is one bracketed root. An evaluation costs O(k^2 r).

    References
    ----------
    Lauditi, Pehlevan and Bordelon, arXiv 2605.07870, for the question; Benaych-Georges and Nadakuditi (2012) for
    independent spikes.

    Examples
    --------
    >>> spike = SpikedMatrix(np.ones((1, 1)), np.ones((1, 1)), np.array([2.0]))
    >>> spike.solve().singular_value
    array([2.5])
    """

    left: np.ndarray
    right: np.ndarray
    coupling: np.ndarray
    right_response: np.ndarray | None = None
    left_response: np.ndarray | None = None
    variance: float = 1.0
    aspect: float = 1.0

    def __post_init__(self) -> None:
        """Check the shapes."""
        rows, cols = len(self.left), len(self.right)
        if (self.right_response is None) != (self.left_response is None):
            raise UsageError("give both responses, or neither for spikes that are independent of the bulk")
        wanted = [
            (self.right_response, (cols, rows), "right_response"),
            (self.left_response, (rows, cols), "left_response"),
        ]
        if self.coupling.ndim != 1 or rows != cols or len(self.coupling) != rows:
            wanted.append((self.coupling, (rows, cols), "coupling"))
        for array, shape, name in wanted:
            if array is not None and array.shape != shape:
                raise UsageError(f"{name} has the shape {array.shape}; with these factors it must be {shape}")

    @property
    def edge(self) -> float:
        """Largest singular value of the bulk."""
        return math.sqrt(self.variance) * (1.0 + math.sqrt(self.aspect))

    def transforms(self, value: float) -> tuple[float, float]:
        r"""Transforms :math:`m_L, m_R` of the bulk at a singular value of at least the edge.

        .. math:: 1/m_L = \lambda - s^2 q\, m_R, \qquad 1/m_R = \lambda - s^2 m_L

        Parameters
        ----------
        value : float
            :math:`\lambda`.

        Returns
        -------
        tuple of float
        """
        half = value**2 + self.variance * (1.0 - self.aspect)
        root = math.sqrt(max(half**2 - 4.0 * self.variance * value**2, 0.0))
        left = 2.0 * value / (half + root)
        return left, 1.0 / (value - self.variance * left)

    def solve(self, *, modes: int = 3) -> Outliers:
        """Outliers and the order parameters of their escape.

        Parameters
        ----------
        modes : int
            Length of ``escape``; all outliers are returned whatever it is.

        Returns
        -------
        Outliers
        """
        escape = np.full(modes, np.nan)
        theta = self.theta_function()
        at_edge = theta(self.edge)[: min(self.left.shape[1], self.right.shape[1])]
        at_edge = at_edge[at_edge > 0.0]
        escape[: len(at_edge)] = at_edge[:modes]
        count = int((at_edge > 1.0).sum())
        found = np.empty(count)
        high = self._beyond(theta, count)
        for mode in range(count):
            found[mode] = self._root(theta, mode, high)
            high = min(high, (found[mode] - self.edge) * (1.0 + 1e-9) + 1e-9 * self.edge)
        return Outliers(found, escape)

    def theta_function(self) -> Callable[[float], np.ndarray]:
        r"""The function :math:`\theta(\lambda)`: all eigenvalues of the symmetric problem, descending.

        Returns
        -------
        callable
            From a number to an array of length r_left + r_right.
        """
        left, right, coupling = self.left, self.right, self.coupling
        A, B = self.right_response, self.left_response
        rows = len(left)
        if A is not None and B is not None:
            product, seen = B @ A, B @ right
            triangular = not np.triu(product).any()

        def theta(value: float) -> np.ndarray:
            if not rows:
                return np.zeros(0)
            m_left, m_right = self.transforms(value)
            source = math.sqrt(m_left) * left
            direct = math.sqrt(m_right) * right
            if A is None or B is None:
                upper = np.hstack([source, np.zeros((rows, right.shape[1]))])
                lower = np.hstack([np.zeros((len(right), left.shape[1])), direct])
            else:
                both = np.hstack([source, m_left * math.sqrt(m_right) * seen])
                system = -m_left * m_right * product
                if triangular:  # a unit diagonal is understood
                    upper = solve_triangular(system, both, lower=True, unit_diagonal=True, check_finite=False)
                else:
                    upper = np.linalg.solve(np.eye(rows) + system, both)
                lower = m_right * (A @ upper)
                lower[:, left.shape[1] :] += direct
            weighted = coupling[:, None] * lower if coupling.ndim == 1 else coupling @ lower
            half = upper.T @ weighted
            values: np.ndarray = np.linalg.eigvalsh(half + half.T)[::-1]
            return values

        return theta

    def _beyond(self, theta: Callable[[float], np.ndarray], count: int) -> float:
        """Distance from the edge beyond which no outlier lies."""
        distance = self.edge
        for _ in range(_DOUBLINGS if count else 0):
            if theta(self.edge + distance)[0] < 1.0:
                break
            distance *= 2.0
        return distance

    def _root(self, theta: Callable[[float], np.ndarray], mode: int, high: float) -> float:
        """Singular value of one outlier; theta is smooth in the square root of the distance from the edge."""
        found = brentq(
            lambda root: float(theta(self.edge + root**2)[mode]) - 1.0, 0.0, math.sqrt(high), xtol=_ROOT_TOLERANCE
        )
        return self.edge + float(found) ** 2

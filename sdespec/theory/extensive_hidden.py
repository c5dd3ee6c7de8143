"""Spectral law of a hidden weight that is trained below a frozen read-out with extensively many outputs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigvalsh_tridiagonal

from sdespec.core.errors import NumericalError
from sdespec.models import ExtensiveOutputNetwork
from sdespec.theory.extensive_roots import blocks, refined, root, upper_half_plane

__all__ = ["HiddenLaw", "hidden_law", "hidden_loss", "kept_and_learned", "readout_nodes"]

_FEWEST_NODES = 128
_MOST_NODES = 4096
_LOSS_NODES = 1024
_ROUNDING = 1e-13
_LARGEST = 1e140


@dataclass(frozen=True, eq=False)
class HiddenLaw:
    r"""Limit law of the squared singular values of M, whose columns have the covariance S/N given the read-out.

    With :math:`\varphi = D/N`, weights :math:`w` of the values of S and :math:`m` the Stieltjes transform of
    :math:`M^T M`,

    .. math:: z(\omega) = \omega \Big(\varphi + \sum_k \frac{w_k S_k}{\omega - S_k}\Big), \qquad
        m(z) = -\frac{1}{\varphi\,\omega}

    so that the inverse is explicit: edges are extrema of z on the real line.

    Attributes
    ----------
    covariance, weights : ndarray, (k,)
        Values of S, and their weights, of sum 1.
    ratio : float
        :math:`\varphi`.
    spike : ndarray, (k,)
        Squared length of the rank-one part of M that the spike of the target makes, over the values of S.

    References
    ----------
    Silverstein and Bai, Journal of Multivariate Analysis 54 (1995) 175, for the equation of the transform.
    """

    covariance: np.ndarray
    weights: np.ndarray
    ratio: float
    spike: np.ndarray

    @property
    def rank(self) -> float:
        """Share of the N directions in which S is not 0."""
        return float(self.weights[self.covariance > 0.0].sum())

    @property
    def atom(self) -> float:
        """Mass at 0 of the law of the min(N, D) squared singular values."""
        return max(0.0, 1.0 - min(self.rank, self.ratio) / min(1.0, self.ratio))

    def inverse(self, omega: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values of z and its derivative, at real or complex points (n,)."""
        share = self.covariance / (omega[:, None] - self.covariance)
        first, second = share.dot(self.weights), (share * share).dot(self.weights)
        return omega * (self.ratio + first), self.ratio - second

    @property
    def _edge_points(self) -> tuple[float, float]:
        """The omega of the outermost edges: where z' = 0 outside the values of S, once on each side."""
        there = self.covariance > 0.0
        values, weights = self.covariance[there], self.weights[there]
        order = np.argsort(values)
        values, weights = values[order], weights[order]

        def beyond(end: int, sign: float) -> float:
            gaps = np.abs(values - values[end])
            # the last value alone, and all of them at the place of the last one, give the bracket
            low = 0.5 * values[end] * math.sqrt(weights[end] / self.ratio)
            high = 2.0 * math.sqrt(float(weights @ values**2) / self.ratio)

            def slope(log_gap: float) -> float:
                return float(weights @ (values / (gaps + math.exp(log_gap))) ** 2) - self.ratio

            return float(values[end]) + sign * math.exp(root(slope, math.log(low), math.log(high)))

        return beyond(0, -1.0), beyond(-1, 1.0)

    @property
    def edges(self) -> tuple[float, float]:
        """Lowest and highest edge of the spectrum besides its atom at 0; gaps in between are not told."""
        if self.rank == 0.0:
            return 0.0, 0.0
        lower, upper = self.inverse(np.array(self._edge_points))[0].tolist()
        return (lower if lower > _ROUNDING * upper else 0.0), upper

    def density(self, grid: np.ndarray) -> np.ndarray:
        """Continuous part of the law of the min(N, D) squared singular values.

        Parameters
        ----------
        grid : ndarray, (k,)
            Squared singular values, at least 0.

        Returns
        -------
        ndarray, (k,)
            Of mass 1 - atom. NaN at 0 where the density has no limit, for its lowest edge is 0.

        Raises
        ------
        NumericalError
            If Newton's method does not converge somewhere.

        Notes
        -----
        Cost O(k times the number of values of S).
        """
        x = np.asarray(grid, dtype=np.float64)
        out = np.zeros_like(x)
        if self.rank == 0.0:
            return out
        lower, upper = self.edges
        inside = (x > lower) & (x < upper)
        scale = self._edge_points[1]

        def inverse(omega: np.ndarray, _: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            value, slope = self.inverse(omega)
            return value / self.ratio, slope / self.ratio

        for block in blocks(np.flatnonzero(inside), len(self.weights)):
            omega = upper_half_plane(inverse, x[block] / self.ratio, np.full(len(block), scale))
            # -1/(ratio omega) is the transform for D values
            out[block] = np.maximum((-1.0 / omega).imag, 0.0) / (math.pi * min(1.0, self.ratio))
        if lower == 0.0:
            out[x == 0.0] = math.nan
        return out

    @property
    def escape(self) -> float:
        r"""Length of the spike of M over the least one that has an outlier.

        .. math:: \theta^2 = \frac1\varphi \sum_k \frac{a_k}{\omega_+ - S_k}

        with :math:`a_k` the entries of ``spike`` and :math:`\omega_+` the point of the upper edge.
        """
        if self.rank == 0.0:
            return 0.0
        return math.sqrt(float((self.spike / (self._edge_points[1] - self.covariance)).sum()) / self.ratio)

    @property
    def outlier(self) -> float:
        r"""Squared singular value beyond the upper edge that the spike of the target makes; NaN without one.

        .. math:: \lambda = z(\omega), \qquad \sum_k \frac{a_k}{\omega - S_k} = \varphi, \qquad \omega > \omega_+
        """
        if not self.escape > 1.0:
            return math.nan

        def excess(omega: float) -> float:
            return float((self.spike / (omega - self.covariance)).sum()) - self.ratio

        low = self._edge_points[1]
        omega = root(excess, low, max(low, float(self.covariance.max()) + float(self.spike.sum()) / self.ratio) * 1.001)
        return float(self.inverse(np.array([omega]))[0][0])


def readout_nodes(output_ratio: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    r"""Gauss quadrature over the eigenvalues of :math:`A^T A` that are not 0.

    .. math:: \rho(k) = \frac{\sqrt{(k - k_-)(k_+ - k)}}{2 \pi k}, \qquad k_\pm = (1 \pm \sqrt c)^2

    Parameters
    ----------
    output_ratio : float
        c, positive.
    count : int
        Number of nodes.

    Returns
    -------
    nodes, weights : ndarray, (count,)
        The weights sum to min(1, c): for c < 1 the share 1 - c of the N eigenvalues is 0.

    Notes
    -----
    Exact for polynomials up to the degree 2 count - 1. The polynomials orthogonal to this law have a constant
    recurrence but for its first step, whatever c, so c = 1 needs no care.

    Examples
    --------
    >>> k, w = readout_nodes(0.5, 30)
    >>> [round(float((w * k**power).sum()), 12) for power in range(3)]
    [0.5, 0.5, 0.75]
    """
    small = min(output_ratio, 1.0 / output_ratio)
    diagonal = np.full(count, 1.0 + small)
    diagonal[0] = 1.0
    side = math.sqrt(small)
    nodes = eigvalsh_tridiagonal(diagonal, np.full(count - 1, side))
    before, now = np.zeros(count), np.ones(count)
    norm = np.ones(count)
    for step in range(count - 1):
        before, now = now, ((nodes - diagonal[step]) * now - (side if step else 0.0) * before) / side
        norm += now * now
    weights = 1.0 / norm
    # eigenvalues of A A^T for few outputs, of A^T A, which are larger by the ratio, for many
    return np.maximum(nodes, 0.0) * max(output_ratio, 1.0), weights * (min(output_ratio, 1.0) / weights.sum())


def kept_and_learned(k: np.ndarray, time: float, learning_rate: float | None) -> tuple[np.ndarray, np.ndarray]:
    """What is left of the start, and k times what is learned, along modes of the read-out at a time."""
    if learning_rate is None:
        with np.errstate(invalid="ignore"):
            exponent = np.where(k > 0.0, -k * time, 0.0)
        return np.exp(exponent), -np.expm1(exponent)
    rest = 1.0 - learning_rate * k
    with np.errstate(divide="ignore"):
        learned = np.where(
            rest > 0.5, -np.expm1(time * np.log1p(-np.minimum(learning_rate * k, 0.5))), 1.0 - rest**time
        )
    return rest**time, learned


def _law(model: ExtensiveOutputNetwork, time: float, count: int) -> HiddenLaw:
    c = model.output_ratio
    k, weights = readout_nodes(c, count)
    with np.errstate(over="ignore", invalid="ignore"):
        kept, learned = kept_and_learned(k, time, model.learning_rate)
        gain = np.divide(learned**2, k, out=np.zeros_like(k), where=k > 0.0)
        covariance = model.weight_variance * kept**2 + model.target_variance * gain
        spike = (model.target_spike or 0.0) ** 2 * gain * weights / c
    if c < 1.0:  # directions that no output reads stay as they are
        covariance = np.append(covariance, model.weight_variance)
        weights, spike = np.append(weights, 1.0 - c), np.append(spike, 0.0)
    if not covariance.max() < _LARGEST:  # also where it is not a number
        raise NumericalError(f"the covariance of the weights overflows at time {time:g}")
    covariance[covariance < 1.0 / _LARGEST] = 0.0  # squares of what is smaller would underflow
    return HiddenLaw(covariance, weights, model.input_ratio, spike)


def hidden_law(model: ExtensiveOutputNetwork, time: float) -> HiddenLaw:
    r"""Limit law of the hidden weight at a time, with as many nodes as it takes.

    .. math:: S(k) = s_0^2\, e^{-2kt} + \sigma_B^2\, \frac{(1 - e^{-kt})^2}{k}

    where :math:`e^{-kt}` is :math:`(1 - \eta k)^n` after n updates of gradient descent, and S = s_0^2 at k = 0.

    Parameters
    ----------
    model : ExtensiveOutputNetwork
        With train="hidden".
    time : float
        Time of gradient flow, which may be infinite unless output_ratio is 1, or number of updates.

    Returns
    -------
    HiddenLaw

    Raises
    ------
    NumericalError
        If S overflows, or edges and density still move with 4096 nodes.

    Notes
    -----
    The nodes are doubled until edges and density stay where they are.

    Examples
    --------
    >>> law = hidden_law(ExtensiveOutputNetwork(0.5, target_variance=4.0), 4.0)
    >>> round(law.edges[1] ** 0.5, 3)
    3.881
    """
    return refined(lambda count: _law(model, time, count), _FEWEST_NODES, _MOST_NODES)


def hidden_loss(model: ExtensiveOutputNetwork, time: float) -> float:
    r"""Mean over outputs of the squared error on white inputs, for a large network.

    .. math:: \frac{|A M - B|^2}{C} = \varphi \int \rho(dk)\, e^{-2kt} (s_0^2 k + \sigma_B^2)

    with :math:`\rho` the law of :math:`A A^T`, of mass 1.

    Parameters
    ----------
    model : ExtensiveOutputNetwork
        With train="hidden". With a ``width`` the spike of the target counts as well, which is of order 1/N.
    time : float
        Time of gradient flow or number of updates.

    Returns
    -------
    float
    """
    c = model.output_ratio
    k, weights = readout_nodes(c, _LOSS_NODES)
    with np.errstate(over="ignore", invalid="ignore"):
        left = kept_and_learned(k, time, model.learning_rate)[0] ** 2
    unread = max(0.0, 1.0 - 1.0 / c)  # share of the outputs that no hidden unit reaches
    own = model.input_ratio * model.weight_variance * float((weights * k) @ left) / c
    target = model.input_ratio * model.target_variance
    if model.width is not None and model.target_spike is not None:
        target += model.target_spike**2 / (c * model.width)
    return own + target * (float(weights @ left) / c + unread)

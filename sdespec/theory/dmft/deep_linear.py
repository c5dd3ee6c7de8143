"""Order parameters of deep linear networks in the proportional limit, in one causal pass."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sdespec.core.errors import UsageError
from sdespec.models import DeepLinearNetwork
from sdespec.theory.dmft._kernels import march

__all__ = ["LinearDmft", "solve_deep_linear"]

LOSS_LIMIT = 1e6
_MEMORY_LIMIT = 2**32


@dataclass(frozen=True, eq=False)
class LinearDmft:
    r"""Order parameters of a deep linear network at the times 0 ... T-1, times being numbers of updates.

    Matrix l = 0 ... L-1 is that of the model, and l = L the read-out. With :math:`h^0 = \hat\Sigma v`,
    :math:`h^{l+1} = M_l h^l`, :math:`g^L = a`, :math:`g^l = M_l^T g^{l+1}` and the error
    :math:`v = b - M_0^T g^1 / \gamma_0`,

    .. math:: M_l(t) = \beta(t) M_l(0) + e \sum_{s<t} \omega(t-s)\, g^{l+1}(s)\, h^l(s)^T, \qquad e = \eta \gamma_0

    Every array of two times is NaN from the row and column ``reached`` on.

    Attributes
    ----------
    model : DeepLinearNetwork
        What was solved.
    V, Q : ndarray, (T, T)
        Overlaps of the error on new data, without label noise, and on the training data: their diagonals are the
        test loss and the loss on the current batch.
    H : ndarray, (L+1, T, T)
        ``H[l]`` are the overlaps of h^l.
    G : ndarray, (L+1, T, T)
        ``G[l]`` are the overlaps of g^(l+1); ``G[L]`` is one.
    A, B : ndarray, (L, T, T)
        Responses of h^l to M_l^T g^(l+1), and of g^(l+1) to M_l h^l; lower triangular, ``A[0]`` with its diagonal.
    impulse : ndarray, (T,)
        :math:`\omega`: what is left of an update of size one after 0 ... T-1 updates; ``impulse[0]`` is 0.
    beta : ndarray, (T,)
        What is left of the initial weights.
    reached : int
        Number of times that were solved. It is below T where the loss exceeds 1e6 or is not finite.
    """

    model: DeepLinearNetwork
    V: np.ndarray
    Q: np.ndarray
    H: np.ndarray
    G: np.ndarray
    A: np.ndarray
    B: np.ndarray
    impulse: np.ndarray
    beta: np.ndarray
    reached: int

    @property
    def test_loss(self) -> np.ndarray:
        """Mean squared error on new data without label noise, (T,); known to about 1e-15, and cut off at 0."""
        loss: np.ndarray = np.maximum(np.diagonal(self.V), 0.0)
        return loss

    @property
    def train_loss(self) -> np.ndarray:
        """Mean squared error on the data of the current update, (T,); NaN where ``batches`` names none."""
        loss: np.ndarray = np.maximum(np.diagonal(self.Q), 0.0)
        if self.model.batches is not None:
            loss[len(self.model.batches) :] = np.nan
        return loss

    @property
    def update_scale(self) -> float:
        r""":math:`e = \eta \gamma_0`."""
        return self.model.learning_rate * self.model.gamma


def memory(model: DeepLinearNetwork, count: int) -> tuple[np.ndarray, np.ndarray]:
    """What is left of an update and of the initial weights after 0 ... count-1 updates."""
    impulse, beta = np.zeros(count), np.ones(count)
    impulse[1:2] = 1.0
    velocity = 0.0
    for t in range(1, count):
        if t >= 2:
            impulse[t] = (1.0 + model.momentum - model.weight_decay) * impulse[t - 1] - model.momentum * impulse[t - 2]
        velocity = model.momentum * velocity - model.weight_decay * beta[t - 1]
        beta[t] = beta[t - 1] + velocity
    return impulse, beta


def solver_arguments(model: DeepLinearNetwork, n_updates: int) -> tuple[Any, ...]:
    """Arguments of the kernel and of its twin; the last six are the arrays to be filled."""
    count, layers, gamma = n_updates + 1, int(model.hidden_layers), model.gamma
    impulse, beta = memory(model, count)
    same = np.zeros(count, np.int64)
    samples = model.sample_ratio
    if model.batch_ratio is not None:
        samples = model.batch_ratio
        same[:] = -1
        if model.batches is not None:
            named = np.asarray(model.batches, dtype=np.int64)[:count]
            same[: len(named)] = named
    shape = (layers + 1, count, count)
    G = np.zeros(shape)
    G[layers] = 1.0
    return (
        layers, gamma, model.learning_rate * gamma, 1.0 / model.width_ratio, float(model.weight_variance),
        float(model.readout_variance), float(model.label_noise) ** 2, 0.0 if math.isinf(samples) else 1.0 / samples,
        same, impulse, beta, LOSS_LIMIT,
        np.zeros((count, count)), np.zeros((count, count)), np.zeros(shape), G,
        np.zeros((layers, count, count)), np.zeros((layers, count, count)),
    )  # fmt: skip


def solve_deep_linear(model: DeepLinearNetwork, n_updates: int) -> LinearDmft:
    r"""Solve the order parameters of a deep linear network for the first updates, row by row.

    All equations are causal and every inverse is that of a unit triangular matrix, so that row t follows from the
    rows before it: backward fields from the read-out down, the site of the data, forward fields up. For the input
    site, with :math:`\circ` the entrywise product and :math:`\omega_{ts} = \omega(t-s)`,

    .. math:: D_0 = \beta B^0 + e\,\omega \circ G^1,\quad R = (1 + D_0 B_X/\gamma_0)^{-1},\quad
        V = R\,(1 + \tfrac{D}{N} \tfrac{s^2}{\gamma_0^2} \beta G^1 \beta)\,R^T + R D_0 R_X D_0^T R^T / \gamma_0^2

    and at hidden site l, with :math:`C = \beta A^{l-1} + e\,\omega \circ H^{l-1}` and
    :math:`D = \beta B^l + e\,\omega \circ G^{l+1}`,

    .. math:: A^l = s^2 (1 - C D)^{-1} C \beta, \qquad B^{l-1} = s^2 (1 - D C)^{-1} D \beta

    Parameters
    ----------
    model : DeepLinearNetwork
        Any of its variants; ``input_dim`` is not used.
    n_updates : int
        Number of updates T - 1 >= 0; at most the number of ``batches`` where these are given.

    Returns
    -------
    LinearDmft
        Where gradient descent diverges it is filled up to ``reached``, and nothing is raised.

    Raises
    ------
    UsageError
        If ``n_updates`` is not allowed, or the arrays would need more than 4 GiB.

    Notes
    -----
    Exact for N, D, P to infinity at fixed ratios. One pass, O(L T^3) time and O(L T^2) memory. With batches the
    samples are shared between the updates of the same batch only; fresh samples at every update are the case in
    which no two updates share any.

    References
    ----------
    Bordelon and Pehlevan, arXiv 2502.02531; Lauditi, Pehlevan and Bordelon, arXiv 2605.07870.

    Examples
    --------
    >>> from sdespec.models import DeepLinearNetwork
    >>> net = DeepLinearNetwork(2.0, 2.0, 1, feature_strength=6.0, learning_rate=0.015)
    >>> solve_deep_linear(net, 79).test_loss[[0, 20, 40, 79]].round(4)
    array([1.0139, 0.2273, 0.0754, 0.017 ])
    """
    if isinstance(n_updates, bool) or not float(n_updates).is_integer() or n_updates < 0:
        raise UsageError(f"n_updates is {n_updates!r}; it must be an integer of at least 0")
    if model.batches is not None and n_updates > len(model.batches):
        raise UsageError(
            f"{n_updates} updates were asked for, and batches names {len(model.batches)}; give a batch for each update"
        )
    memory_bytes = 8 * (n_updates + 1) ** 2 * (9 * model.hidden_layers + 16)
    if memory_bytes > _MEMORY_LIMIT:
        raise UsageError(
            f"{n_updates} updates need about {memory_bytes / 2**30:.1f} GiB, and {_MEMORY_LIMIT / 2**30:.0f} are "
            "allowed; ask for fewer updates"
        )
    arguments = solver_arguments(model, int(n_updates))
    reached = march(*arguments)
    *_, impulse, beta, _, V, Q, H, G, A, B = arguments
    for array in (V, Q, H, G, A, B):
        array[..., reached:, :] = np.nan
        array[..., :, reached:] = np.nan
    return LinearDmft(model, V, Q, H, G, A, B, impulse, beta, reached)

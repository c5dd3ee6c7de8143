"""One finite deep linear network under gradient descent, by products of matrices and vectors only."""

from __future__ import annotations

import math

import numpy as np

from sdespec.models import DeepLinearNetwork
from sdespec.training._kernels import momentum_update, plain_update
from sdespec.training.observables import tangent_top
from sdespec.training.plan import Plan
from sdespec.training.samples import Samples
from sdespec.training.streams import Purpose, Stream

__all__ = ["LOSS_LIMIT", "TrainedNetwork"]

LOSS_LIMIT = 1e12
"""Test loss beyond which a run counts as diverged."""


class TrainedNetwork:
    r"""State of one replicate; it changes in place.

    With :math:`M_L = a^T`, :math:`g^{L+1} = 1`, :math:`g^l = M_l^T g^{l+1}`, the error
    :math:`v = b - g^0 / \gamma_0` of the linear map, :math:`h^0` the mean of residual times input and
    :math:`h^{l+1} = M_l h^l`, an update is of rank one for every matrix and the read-out,

    .. math:: V_l \to \mu V_l + \eta\gamma_0\, g^{l+1} (h^l)^T - \kappa M_l, \qquad M_l \to M_l + V_l

    Parameters
    ----------
    plan : Plan
        The experiment.
    seed, replicate : int
        What all random numbers are functions of.

    Attributes
    ----------
    matrices : list of ndarray
        M_0 ... M_{L-1}.
    readout : ndarray, (N,)
        a.
    teacher : ndarray, (D,)
        b, of norm one.
    samples : Samples
        Training data.
    step : int
        Number of updates done.

    Examples
    --------
    >>> from sdespec.models import DeepLinearNetwork
    >>> from sdespec.training.plan import plan_of
    >>> net = DeepLinearNetwork(1.0, float("inf"), 2, feature_strength=4.0, learning_rate=0.01, input_dim=30)
    >>> run = TrainedNetwork(plan_of(net, [0]), seed=1, replicate=0)
    >>> before = run.test_loss
    >>> run.update()
    >>> run.step, run.test_loss < before
    (1, True)
    """

    def __init__(self, plan: Plan[DeepLinearNetwork], *, seed: int, replicate: int) -> None:
        model, stream = plan.model, Stream(seed, replicate)
        scale = math.sqrt(model.weight_variance / plan.width)
        self._plan = plan
        self._stream = stream
        self.matrices = [scale * stream.normal(shape, Purpose.WEIGHTS, i) for i, shape in enumerate(plan.shapes)]
        self.readout = math.sqrt(model.readout_variance / plan.width) * stream.normal((plan.width,), Purpose.READOUT)
        direction = stream.normal((plan.dim,), Purpose.TEACHER)
        self.teacher = direction / np.linalg.norm(direction)
        self.samples = Samples(plan, stream)
        self.step = 0
        self._velocities = [np.zeros_like(layer) for layer in self._layers()] if model.momentum else []
        self.refresh()

    def _layers(self) -> list[np.ndarray]:
        """Matrices and read-out, all of them as matrices; views."""
        return [*self.matrices, self.readout[None, :]]

    def refresh(self) -> None:
        """Calculate the backward vectors and the error from the weights."""
        backward = [np.ones(1), self.readout]
        for matrix in reversed(self.matrices):
            backward.append(backward[-1].dot(matrix))  # unlike @, dot lets other threads run
        self._backward = backward[::-1]  # g^0 ... g^{L+1}
        self.error: np.ndarray = self.teacher - self._backward[0] / self._plan.model.gamma

    @property
    def test_loss(self) -> float:
        """Mean squared error on new data against labels without noise, the squared norm of v."""
        return float(self.error @ self.error)

    @property
    def train_loss(self) -> float:
        """Mean squared error on the data of the next update."""
        return self.samples.loss(self.error, self.step)

    @property
    def diverged(self) -> bool:
        """Whether the test loss is not finite or beyond 1e12."""
        return not self.test_loss <= LOSS_LIMIT

    @property
    def backward_norms(self) -> np.ndarray:
        r"""Squared norms of g^1 ... g^{L+1}, (L+1,)."""
        return np.array([float(vector @ vector) for vector in self._backward[1:]])

    def measure(self) -> dict[str, float | np.ndarray] | None:
        """What is recorded before the next update besides spectra; nothing where the network has diverged.

        Returns
        -------
        dict or None
            ``train_loss, test_loss, ntk_top``.
        """
        if self.diverged:
            return None
        probe = self._stream.normal((self._plan.samples or self._plan.dim,), Purpose.PROBE)
        top = tangent_top(self.matrices, self.backward_norms, self.samples.inputs, probe)
        return {"train_loss": self.train_loss, "test_loss": self.test_loss, "ntk_top": top}

    def update(self) -> None:
        """One update of all weights at once, from the weights before it."""
        model = self._plan.model
        forward = [self.samples.direction(self.error, self.step)]
        for matrix in self.matrices:
            forward.append(matrix.dot(forward[-1]))
        rate, decay = model.learning_rate * model.gamma, model.weight_decay
        # from the first matrix up: g^L is the read-out itself, which changes last
        for i, layer in enumerate(self._layers()):
            pair = self._backward[i + 1], forward[i]
            if model.momentum:
                momentum_update(layer, self._velocities[i], *pair, rate, model.momentum, decay)
            else:
                plain_update(layer, *pair, rate, decay)
        self.step += 1
        self.refresh()

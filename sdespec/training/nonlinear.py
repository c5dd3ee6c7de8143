"""One finite nonlinear network under gradient descent."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax, softmax

from sdespec.models import DeepNetwork
from sdespec.training._kernels import low_rank_momentum_update, low_rank_update
from sdespec.training.activations import activate
from sdespec.training.plan import Plan
from sdespec.training.streams import Purpose, Stream

__all__ = ["LOSS_LIMIT", "Fields", "NonlinearNetwork", "mean_loss", "residual"]

LOSS_LIMIT = 1e12
"""Training loss beyond which a run counts as diverged."""

# Squares of larger weights come close to the end of float64.
_LARGEST = 1e140


@dataclass(frozen=True, eq=False)
class Fields:
    """What a forward pass leaves behind.

    Attributes
    ----------
    values : list of ndarray, (P, N)
        Scaled inputs (P, D), then the activations of the layers 1 ... L.
    slopes : list of ndarray, (P, N)
        Derivatives of those activations, layers 1 ... L.
    """

    values: list[np.ndarray]
    slopes: list[np.ndarray]


def residual(loss: str, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Minus the derivative of the loss of a sample with respect to its outputs.

    Parameters
    ----------
    loss : {"square", "cross_entropy"}
        Half the squared error summed over outputs, or the cross-entropy of the softmax.
    outputs, targets : ndarray, (P, C)
        f and y.

    Returns
    -------
    ndarray, (P, C)

    Examples
    --------
    >>> residual("cross_entropy", np.zeros((1, 2)), np.array([[1.0, 0.0]]))
    array([[ 0.5, -0.5]])
    """
    if loss == "cross_entropy":
        outputs = softmax(outputs, axis=1)
    return np.asarray(targets - outputs)


def mean_loss(loss: str, outputs: np.ndarray, targets: np.ndarray) -> float:
    """Mean squared error over samples and outputs (no factor 1/2), or mean cross-entropy over samples.

    Parameters
    ----------
    loss : {"square", "cross_entropy"}
        Which one.
    outputs, targets : ndarray, (P, C)
        f and y.

    Returns
    -------
    float

    Examples
    --------
    >>> mean_loss("square", np.zeros((1, 2)), np.array([[1.0, 3.0]]))
    5.0
    """
    if loss == "cross_entropy":
        return -float(np.sum(targets * log_softmax(outputs, axis=1))) / len(outputs)
    return float(np.mean((targets - outputs) ** 2))


class NonlinearNetwork:
    r"""State of one replicate; it changes in place.

    With :math:`M_l = W^l / \sqrt N`, the inputs :math:`\phi(h^0) = x \sqrt{N/D}`, :math:`h^{l+1} = M_l \phi(h^l)`,
    the backward fields :math:`d^L = \phi'(h^L) \circ \sum_c \Delta_c w_c`,
    :math:`d^l = \phi'(h^l) \circ M_l^T d^{l+1}` of the residuals :math:`\Delta`, an update is

    .. math:: V_l \to \mu V_l + \frac{\eta\gamma_0}{P N} \sum_\mu d^{l+1}_\mu \phi(h^l_\mu)^T - \kappa M_l,
        \qquad M_l \to M_l + V_l

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
    readout : ndarray, (C, N)
        w, with entries of order one.
    step : int
        Number of updates done.
    diverged : bool
        Whether an update met a loss that is not finite or beyond 1e12; no further update is done then.

    Notes
    -----
    The sum over outputs is taken before the backward pass, so an update costs 4 P N^2 flops a matrix in products and
    2 P N^2 in the update of rank P, whatever the number of outputs.

    Examples
    --------
    >>> from sdespec.training.plan import plan_of
    >>> net = DeepNetwork([[1.0, -1.0], [1.0, 1.0]], [1.0, -1.0], 2, width=64, learning_rate=0.5)
    >>> run = NonlinearNetwork(plan_of(net, [0]), seed=1, replicate=0)
    >>> before = run.measure()["train_loss"]
    >>> run.update()
    >>> before, bool(run.measure()["train_loss"] < before)
    (1.0, True)
    """

    def __init__(self, plan: Plan[DeepNetwork], *, seed: int, replicate: int) -> None:
        model, stream = plan.model, Stream(seed, replicate)
        deviation = math.sqrt(model.weight_variance)
        scale = deviation / math.sqrt(plan.width)
        self._model = model
        self._width = plan.width
        self.matrices = [scale * stream.normal(shape, Purpose.WEIGHTS, i) for i, shape in enumerate(plan.shapes)]
        self.readout = deviation * stream.normal((model.n_outputs, plan.width), Purpose.READOUT)
        self.step = 0
        self.diverged = False
        self._velocities = [np.zeros_like(layer) for layer in self._layers()] if model.momentum else []
        tests = [] if model.test_inputs is None else [model.test_inputs]
        self._inputs = np.vstack([model.inputs, *tests]) * math.sqrt(plan.width / plan.dim)
        self._start = np.zeros((len(self._inputs), model.n_outputs))
        if model.centered:
            self._start = self._outputs(self.forward(slice(None)), slice(None))

    def _layers(self) -> list[np.ndarray]:
        """Matrices and read-out; views."""
        return [*self.matrices, self.readout]

    def forward(self, rows: slice | np.ndarray) -> Fields:
        """Propagate samples.

        Parameters
        ----------
        rows : slice or ndarray
            Which inputs, training inputs first.

        Returns
        -------
        Fields
        """
        fields = Fields([self._inputs[rows]], [])
        for matrix in self.matrices:
            # unlike @, dot lets other threads run
            value, slope = activate(self._model.activation, fields.values[-1].dot(matrix.T))
            fields.values.append(value)
            fields.slopes.append(slope)
        return fields

    def _outputs(self, fields: Fields, rows: slice | np.ndarray) -> np.ndarray:
        """Outputs (P, C) less those of the start, if the network is centred."""
        raw = fields.values[-1].dot(self.readout.T) / (self._model.gamma * self._width)
        return np.asarray(raw - self._start[rows])

    def _batch(self) -> tuple[slice | np.ndarray, np.ndarray]:
        """Samples of the next update and their weights, whose sum is 1."""
        count = self._model.n_samples
        if self._model.batches is None:
            return slice(count), np.full(count, 1.0 / count)
        rows, hits = np.unique(self._model.batches[self.step], return_counts=True)
        return rows, hits / hits.sum()

    def _targets(self) -> np.ndarray:
        """Labels (P, C) of the next update; noisy where the model says so, NaN where its noise has come to an end."""
        labels: np.ndarray = self._model.targets
        noise = self._model.label_noise
        if noise is None:
            return labels
        return labels + (noise[self.step] if self.step < len(noise) else math.nan)

    def update(self) -> None:
        """One update of all weights at once, from the weights before it."""
        model = self._model
        rows, shares = self._batch()
        fields = self.forward(rows)
        outputs, targets = self._outputs(fields, rows), self._targets()[rows]
        if not mean_loss(model.loss, outputs, targets) <= LOSS_LIMIT:
            self.diverged = True
            return
        error = (model.learning_rate * model.gamma * shares)[:, None] * residual(model.loss, outputs, targets)
        backward = [error, fields.slopes[-1] * error.dot(self.readout)]
        for matrix, slope in zip(self.matrices[:0:-1], fields.slopes[-2::-1], strict=True):
            backward.append(slope * backward[-1].dot(matrix))
        for i, (layer, left) in enumerate(zip(self._layers(), backward[::-1], strict=True)):
            rate = 1.0 if i == len(self.matrices) else 1.0 / self._width
            right = np.ascontiguousarray(fields.values[i])
            if model.momentum:
                low_rank_momentum_update(
                    layer, self._velocities[i], left, right, rate, model.momentum, model.weight_decay
                )
            else:
                low_rank_update(layer, left, right, rate, model.weight_decay)
        self.step += 1

    def tangent_kernel(self, fields: Fields) -> np.ndarray:
        r"""Neural tangent kernel between all pairs of samples and outputs.

        .. math:: K_{\mu c, \nu c'} = \sum_{l=0}^{L} G^{l+1}_{\mu c, \nu c'} \Phi^l_{\mu\nu}, \quad
            \Phi^l = \frac1N \phi(h^l)^T \phi(h^l), \quad G^l = \frac1N (g^l)^T g^l, \quad
            g^l = \gamma_0 N \frac{\partial f}{\partial h^l}

        Parameters
        ----------
        fields : Fields
            Forward pass of the P samples.

        Returns
        -------
        ndarray, (P C, P C)
            The output changes fastest.

        Notes
        -----
        Costs 2 P C N^2 flops a matrix.
        """
        count, outputs, width = len(fields.values[0]), len(self.readout), self._width
        kernel = np.zeros((count, outputs, count, outputs))
        gradients = np.tile(np.eye(outputs) * math.sqrt(width), (count, 1))  # at the read-out, G is the unit matrix
        backward = np.broadcast_to(self.readout, (count, outputs, width))
        for i in range(len(self.matrices), -1, -1):
            values = fields.values[i]
            couplings = gradients.dot(gradients.T).reshape(kernel.shape)
            kernel += couplings / width * (values.dot(values.T) / width)[:, None, :, None]
            if i > 0:
                gradients = (fields.slopes[i - 1][:, None, :] * backward).reshape(-1, width)
                backward = gradients.dot(self.matrices[i - 1]).reshape(count, outputs, -1)
        return kernel.reshape(count * outputs, -1)

    def measure(self) -> dict[str, float | np.ndarray] | None:
        """What is recorded before the next update besides spectra; nothing where the network has diverged.

        Returns
        -------
        dict or None
            ``train_loss`` (over all training samples, against the noisy labels of the next update, so NaN after the
            last ones), ``ntk_top``, ``network_output`` (n_samples + n_test, C), and ``test_loss`` where the model has
            test_targets.
        """
        model, count = self._model, self._model.n_samples
        if self.diverged or not all(np.abs(layer).max() < _LARGEST for layer in self._layers()):
            return None
        fields = self.forward(slice(None))
        outputs = self._outputs(fields, slice(None))
        found: dict[str, float | np.ndarray] = {"network_output": outputs}
        if not mean_loss(model.loss, outputs[:count], model.targets) <= LOSS_LIMIT:
            return None
        found["train_loss"] = mean_loss(model.loss, outputs[:count], self._targets())
        if model.test_targets is not None:
            found["test_loss"] = mean_loss(model.loss, outputs[count:], model.test_targets)
        trained = Fields([value[:count] for value in fields.values], [slope[:count] for slope in fields.slopes])
        kernel = self.tangent_kernel(trained)
        if not np.isfinite(kernel).all():  # saturated units hide weights that have run away from the loss
            return None
        found["ntk_top"] = float(np.linalg.eigvalsh(kernel)[-1]) / count
        return found

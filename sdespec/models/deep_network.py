"""Nonlinear networks on fixed data, as wide as one likes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from sdespec.core.checks import positive, require
from sdespec.core.errors import UsageError
from sdespec.models._base import Model

__all__ = ["Activation", "DeepNetwork"]

Activation = Literal["tanh", "erf", "softplus", "relu", "linear"]


@dataclass(frozen=True, eq=False, repr=False)
class DeepNetwork(Model):
    r"""Deep network trained by gradient descent on fixed inputs, in the mean-field scaling.

    .. math:: h^1 = W^0 x / \sqrt{D}, \quad h^{l+1} = W^l \phi(h^l) / \sqrt{N}, \quad
        f = \frac{1}{\gamma_0 N}\, w \cdot \phi(h^L)

    with all entries starting as N(0, weight_variance), the loss :math:`\frac1P\sum_\mu \ell(f_\mu, y_\mu)` with
    :math:`\ell = (y - f)^2/2` or the cross-entropy, and updates of :math:`-\eta\gamma_0^2 N` times the gradient.

    Parameters
    ----------
    inputs : array_like, (n_samples, n_features)
        Squared norms of about n_features.
    targets : array_like, (n_samples,) or (n_samples, n_outputs)
        Labels; one-hot for the cross-entropy.
    hidden_layers : int
        L >= 1: the matrices W0 ... W{L-1}.
    width : int, optional
        N; a simulation needs it, and so does the neural-tangent parametrization.
    activation : {"tanh", "erf", "softplus", "relu", "linear"}
        ``erf`` is :math:`\mathrm{erf}(\sqrt{\pi} h / 2)`; the others are bare.
    feature_strength : float
        :math:`\gamma_0` at the width base_width, positive.
    base_width : float
        Width at which the two parametrizations agree, positive.
    learning_rate : float
        :math:`\eta > 0`; it has no default.
    weight_variance : float
        Variance of the initial weights, positive.
    parametrization : {"mup", "ntk"}
        ``mup``: :math:`\gamma_0` = feature_strength. ``ntk``: feature_strength * sqrt(base_width / width).
    centered : bool
        Subtract the output at the start, as in the limit of infinite width.
    loss : {"square", "cross_entropy"}
        The loss.
    momentum : float
        Heavy-ball momentum in [0, 1).
    weight_decay : float
        Share of the weights that is taken off at every update (learning rate included), in [0, 1).
    batches : sequence of index arrays, optional
        Samples of each update; all of them by default.
    label_noise : array_like, (steps, n_samples, n_outputs), optional
        Added to the targets of each update.
    test_inputs, test_targets : array_like, optional
        Further inputs (n_test, n_features), which are not trained on, and their labels.

    Raises
    ------
    UsageError
        If a field is not allowed, or fields contradict each other.

    References
    ----------
    Bordelon and Pehlevan, arXiv 2205.09653; Lauditi, Pehlevan and Bordelon, arXiv 2605.07870.

    Examples
    --------
    >>> net = DeepNetwork([[1.0, -1.0], [1.0, 1.0]], [1.0, -1.0], 2, width=64, learning_rate=0.5)
    >>> net.n_outputs, net.gamma
    (1, 1.0)
    """

    inputs: Any
    targets: Any
    hidden_layers: int
    width: int | None = None
    activation: Activation = "tanh"
    feature_strength: float = 1.0
    base_width: float = 1.0
    learning_rate: float = field(kw_only=True)
    weight_variance: float = 1.0
    parametrization: Literal["mup", "ntk"] = "mup"
    centered: bool = True
    loss: Literal["square", "cross_entropy"] = "square"
    momentum: float = 0.0
    weight_decay: float = 0.0
    batches: Sequence[Any] | None = None
    label_noise: Any = None
    test_inputs: Any = None
    test_targets: Any = None

    def __post_init__(self) -> None:
        """Check the fields, and keep arrays that nobody can change."""
        for name in ("feature_strength", "base_width", "learning_rate", "weight_variance"):
            require(positive(getattr(self, name)), name, getattr(self, name), "positive and finite")
        layers = self.hidden_layers
        require(float(layers).is_integer() and layers >= 1, "hidden_layers", layers, "an integer of at least 1")
        allowed = get_args(Activation)
        require(self.activation in allowed, "activation", self.activation, f"one of {', '.join(allowed)}")
        require(self.parametrization in ("mup", "ntk"), "parametrization", self.parametrization, "'mup' or 'ntk'")
        require(self.loss in ("square", "cross_entropy"), "loss", self.loss, "'square' or 'cross_entropy'")
        require(0.0 <= self.momentum < 1.0, "momentum", self.momentum, "in [0, 1)")
        require(0.0 <= self.weight_decay < 1.0, "weight_decay", self.weight_decay, "in [0, 1)")
        if self.width is None:
            require(self.parametrization == "mup", "width", None, "given for the neural-tangent parametrization")
        else:
            require(float(self.width).is_integer() and self.width >= 1, "width", self.width, "an integer of at least 1")
        object.__setattr__(self, "inputs", _matrix(self.inputs, "inputs"))
        object.__setattr__(self, "targets", _labels(self.targets, "targets", self.n_samples))
        self._check_loss()
        self._check_sequences()
        self._check_tests()

    def _check_loss(self) -> None:
        if self.loss == "cross_entropy":
            hot = np.isin(self.targets, (0.0, 1.0)).all() and bool(np.all(self.targets.sum(axis=1) == 1.0))
            if self.n_outputs < 2 or not hot:
                raise UsageError("targets must be one-hot rows of two or more outputs for loss='cross_entropy'")
            if self.label_noise is not None:
                raise UsageError("label_noise is for loss='square'; one-hot labels have none")

    def _check_sequences(self) -> None:
        if self.batches is not None:
            batches = tuple(_frozen(np.asarray(batch, dtype=np.int64).ravel()) for batch in self.batches)
            for step, batch in enumerate(batches):
                if not len(batch) or batch.min() < 0 or batch.max() >= self.n_samples:
                    raise UsageError(f"batch {step} is {batch.tolist()}; give indices in 0 ... {self.n_samples - 1}")
            object.__setattr__(self, "batches", batches)
        if self.label_noise is not None:
            noise = np.asarray(self.label_noise, dtype=np.float64)
            noise = noise[..., None] if noise.ndim == 2 else noise
            if noise.ndim != 3 or noise.shape[1:] != self.targets.shape or not np.isfinite(noise).all():
                shape = ("steps", *self.targets.shape)
                raise UsageError(f"label_noise has the shape {noise.shape}; give finite numbers of the shape {shape}")
            object.__setattr__(self, "label_noise", _frozen(noise))

    def _check_tests(self) -> None:
        if self.test_inputs is None:
            require(self.test_targets is None, "test_targets", "given", "left out where there are no test_inputs")
            return
        tests = _matrix(self.test_inputs, "test_inputs")
        if tests.shape[1] != self.inputs.shape[1]:
            raise UsageError(f"test_inputs have {tests.shape[1]} features, inputs {self.inputs.shape[1]}")
        object.__setattr__(self, "test_inputs", tests)
        if self.test_targets is not None:
            labels = _labels(self.test_targets, "test_targets", len(tests))
            if labels.shape[1] != self.n_outputs:
                raise UsageError(f"test_targets have {labels.shape[1]} outputs, targets {self.n_outputs}")
            object.__setattr__(self, "test_targets", labels)

    @property
    def n_samples(self) -> int:
        """Number of training inputs P."""
        return len(self.inputs)

    @property
    def n_features(self) -> int:
        """Dimension D of the inputs."""
        return int(self.inputs.shape[1])

    @property
    def n_outputs(self) -> int:
        """Number of outputs C."""
        return int(self.targets.shape[1])

    @property
    def gamma(self) -> float:
        r"""Feature strength :math:`\gamma_0` at this width."""
        if self.parametrization == "mup":
            return self.feature_strength
        assert self.width is not None
        return self.feature_strength * math.sqrt(self.base_width / self.width)

    def __repr__(self) -> str:
        return (
            f"DeepNetwork({self.n_samples} samples of {self.n_features} features, n_outputs={self.n_outputs}, "
            f"hidden_layers={self.hidden_layers}, width={self.width}, activation={self.activation!r}, "
            f"feature_strength={self.feature_strength:g}, learning_rate={self.learning_rate:g}, "
            f"weight_variance={self.weight_variance:g}, parametrization={self.parametrization!r}, loss={self.loss!r}): "
            "f = w.phi(h^L)/(gamma0 N), gradient descent at the rate learning_rate * gamma0^2 * N"
        )


def _frozen(array: np.ndarray) -> np.ndarray:
    out = array.copy()
    out.setflags(write=False)
    return out


def _matrix(given: Any, name: str) -> np.ndarray:
    """A finite matrix with at least one row and column, none of whose rows vanishes."""
    array = np.asarray(given, dtype=np.float64)
    if array.ndim != 2 or array.size == 0 or not np.isfinite(array).all():
        raise UsageError(f"{name} have the shape {array.shape}; give finite numbers (n_samples, n_features)")
    if not (array**2).sum(axis=1).all():
        raise UsageError(f"{name} hold a row of zeros; squared norms must be about n_features = {array.shape[1]}")
    return _frozen(array)


def _labels(given: Any, name: str, count: int) -> np.ndarray:
    """Finite labels as a matrix with one row for each sample."""
    array = np.asarray(given, dtype=np.float64)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or len(array) != count or array.shape[1] == 0 or not np.isfinite(array).all():
        raise UsageError(
            f"{name} have the shape {np.shape(given)}; give finite numbers ({count},) or ({count}, n_outputs)"
        )
    return _frozen(array)

"""Deep linear networks whose width, input dimension and sample number grow together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sdespec.core.checks import not_negative, positive, require
from sdespec.core.errors import UsageError
from sdespec.models._base import Model

__all__ = ["DeepLinearNetwork"]

_WHOLE = 1e-9


@dataclass(frozen=True, eq=False, repr=False)
class DeepLinearNetwork(Model):
    r"""Deep linear network trained by gradient descent on Gaussian data with a linear teacher.

    With inputs :math:`x \sim N(0, 1_D)`, labels :math:`y = b \cdot x + \sigma \xi` and :math:`|b| = 1`,

    .. math:: f(x) = \frac{1}{\gamma_0}\, a^T M_{L-1} \cdots M_1 M_0\, x, \qquad
        M_l \to M_l + \eta \gamma_0^2\, (-\nabla_{M_l} \tfrac12 \langle (y - f)^2 \rangle)

    The entries of the N x N matrices (N x D for M_0) start as N(0, weight_variance / N), those of the read-out a as
    N(0, readout_variance / N); a is trained as the matrices are.

    Parameters
    ----------
    width_ratio : float
        N/D, positive.
    sample_ratio : float
        Number of training samples over D, positive; ``inf`` is the population loss, or fresh samples at every
        update where batch_ratio is given.
    hidden_layers : int
        L >= 1, the number of the matrices W0 ... W{L-1}.
    feature_strength : float
        :math:`\gamma_0` at the width of base_width, positive.
    learning_rate : float
        :math:`\eta > 0`.
    weight_variance, readout_variance : float
        N times the variance of an initial entry, positive.
    label_noise : float
        Standard deviation of the noise of the training labels, at least 0; test_loss is against noiseless labels.
    parametrization : {"mup", "ntk"}
        ``mup``: :math:`\gamma_0` is the same at every width. ``ntk``: it is feature_strength *
        sqrt(base_width / width_ratio), which is the neural-tangent parametrization.
    base_width : float
        Width, in units of D, at which the two parametrizations agree; positive.
    momentum : float
        Heavy-ball momentum in [0, 1).
    weight_decay : float
        Share of the weights that is taken off at every update (learning rate included), in [0, 1).
    batch_ratio : float, optional
        Batch size over D. Without batches, every update has fresh samples, and sample_ratio must be inf.
    batches : sequence of int, optional
        Index of the batch of every update, for several passes over sample_ratio / batch_ratio fixed batches.
    input_dim : int, optional
        D. Only a simulation needs it.

    Raises
    ------
    UsageError
        If a field is not allowed, or fields contradict each other.

    References
    ----------
    Lauditi, Pehlevan, Bordelon, arXiv 2605.07870; Bordelon, Pehlevan, arXiv 2502.02531.

    Examples
    --------
    >>> net = DeepLinearNetwork(4.0, float("inf"), 2, feature_strength=8.0, learning_rate=0.01, parametrization="ntk")
    >>> net.gamma
    4.0
    """

    width_ratio: float
    sample_ratio: float
    hidden_layers: int
    feature_strength: float
    learning_rate: float
    weight_variance: float = 1.0
    readout_variance: float = 1.0
    label_noise: float = 0.0
    parametrization: Literal["mup", "ntk"] = "mup"
    base_width: float = 1.0
    momentum: float = 0.0
    weight_decay: float = 0.0
    batch_ratio: float | None = None
    batches: Sequence[int] | None = None
    input_dim: int | None = None

    def __post_init__(self) -> None:
        """Check the fields."""
        for name in ("width_ratio", "feature_strength", "learning_rate", "weight_variance", "readout_variance",
                     "base_width"):  # fmt: skip
            require(positive(getattr(self, name)), name, getattr(self, name), "positive and finite")
        require(self.sample_ratio > 0.0, "sample_ratio", self.sample_ratio, "positive; inf is the population loss")
        layers = self.hidden_layers
        require(float(layers).is_integer() and layers >= 1, "hidden_layers", layers, "an integer of at least 1")
        require(not_negative(self.label_noise), "label_noise", self.label_noise, "at least 0 and finite")
        require(self.parametrization in ("mup", "ntk"), "parametrization", self.parametrization, "'mup' or 'ntk'")
        require(0.0 <= self.momentum < 1.0, "momentum", self.momentum, "in [0, 1)")
        require(0.0 <= self.weight_decay < 1.0, "weight_decay", self.weight_decay, "in [0, 1)")
        if self.input_dim is not None:
            require(float(self.input_dim).is_integer() and self.input_dim >= 1, "input_dim", self.input_dim,
                    "an integer of at least 1")  # fmt: skip
        self._check_batches()

    def _check_batches(self) -> None:
        if self.batch_ratio is None:
            require(self.batches is None, "batches", self.batches, "left out where there is no batch_ratio")
            return
        require(positive(self.batch_ratio), "batch_ratio", self.batch_ratio, "positive and finite")
        if self.batches is None:
            require(math.isinf(self.sample_ratio), "sample_ratio", self.sample_ratio,
                    "inf where every update has fresh samples (batch_ratio without batches)")  # fmt: skip
            return
        object.__setattr__(self, "batches", tuple(int(index) for index in self.batches))
        count = self.sample_ratio / self.batch_ratio
        if not math.isfinite(count) or abs(count - round(count)) > _WHOLE * count:
            raise UsageError(
                f"sample_ratio is {self.sample_ratio} and batch_ratio {self.batch_ratio}; "
                "their quotient, the number of fixed batches, must be an integer"
            )
        assert self.batches is not None
        outside = [index for index in self.batches if not 0 <= index < round(count)]
        if outside:
            raise UsageError(f"batches hold the index {outside[0]}; it must lie in 0 ... {round(count) - 1}")

    @property
    def gamma(self) -> float:
        r"""Feature strength :math:`\gamma_0` at this width."""
        if self.parametrization == "mup":
            return self.feature_strength
        return self.feature_strength * math.sqrt(self.base_width / self.width_ratio)

    def __repr__(self) -> str:
        more = "".join(
            f", {name}={getattr(self, name)!r}"
            for name, default in (
                ("weight_variance", 1.0), ("readout_variance", 1.0), ("label_noise", 0.0), ("momentum", 0.0),
                ("weight_decay", 0.0), ("batch_ratio", None), ("input_dim", None),
            )
            if getattr(self, name) != default
        )  # fmt: skip
        return (
            f"DeepLinearNetwork(width_ratio={self.width_ratio:g}, sample_ratio={self.sample_ratio:g}, "
            f"hidden_layers={self.hidden_layers}, feature_strength={self.feature_strength:g}, "
            f"learning_rate={self.learning_rate:g}, parametrization={self.parametrization!r}{more}): "
            f"f(x) = a.M{self.hidden_layers - 1}...M0 x / {self.gamma:g}, gradient descent on the mean of (y - f)^2 / 2"
        )

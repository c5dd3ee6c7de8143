"""A linear network whose outputs are as many as its hidden units."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from sdespec.core.checks import not_negative, positive, require
from sdespec.core.errors import UsageError
from sdespec.models._base import Model

__all__ = ["ExtensiveOutputNetwork"]


@dataclass(frozen=True, eq=False, repr=False)
class ExtensiveOutputNetwork(Model):
    r"""Two-layer linear network with C = output_ratio N outputs on white inputs, under the population loss.

    .. math:: f(x) = A M x, \qquad L = \tfrac12 |A M - B|^2

    Parameters
    ----------
    output_ratio : float
        C/N, positive.
    input_ratio : float
        D/N, positive.
    weight_variance : float
        N times the variance of an initial entry of M, at least 0; the square of the scale of an orthogonal start.
    target_variance : float
        N times the variance of an entry of the target B, positive.
    target_spike : float, optional
        Strength of a rank-one part added to the target, positive.
    train : {"hidden", "both"}
        ``hidden``: A is frozen, its entries N(0, 1/N). ``both``: A is trained as well.
    initialization : {"gaussian", "orthogonal"}
        ``orthogonal``: M and A start as sqrt(weight_variance) times orthogonal matrices, and all sides are equal.
    learning_rate : float, optional
        Gradient descent with this rate, whose times are numbers of updates; gradient flow in real time by default.
    width : int, optional
        N; only a simulation needs it.

    Raises
    ------
    UsageError
        If a field is not allowed, or fields contradict each other.

    References
    ----------
    Lauditi, Pehlevan and Bordelon, arXiv 2605.07870.

    Examples
    --------
    >>> ExtensiveOutputNetwork(0.5, target_variance=2.0).clock
    'learning_rate*step'
    """

    output_ratio: float
    input_ratio: float = 1.0
    weight_variance: float = 1.0
    target_variance: float = 1.0
    target_spike: float | None = None
    train: Literal["hidden", "both"] = "hidden"
    initialization: Literal["gaussian", "orthogonal"] = "gaussian"
    learning_rate: float | None = None
    width: int | None = None

    def __post_init__(self) -> None:
        """Check the fields."""
        for name in ("output_ratio", "input_ratio", "target_variance"):
            require(positive(getattr(self, name)), name, getattr(self, name), "positive and finite")
        require(not_negative(self.weight_variance), "weight_variance", self.weight_variance, "at least 0 and finite")
        for name in ("target_spike", "learning_rate"):
            value = getattr(self, name)
            require(value is None or positive(value), name, value, "positive and finite, or None")
        require(self.train in ("hidden", "both"), "train", self.train, "'hidden' or 'both'")
        kinds = ("gaussian", "orthogonal")
        require(self.initialization in kinds, "initialization", self.initialization, "'gaussian' or 'orthogonal'")
        if self.initialization == "orthogonal":
            square = self.output_ratio == 1.0 and self.input_ratio == 1.0 and self.train == "both"
            if not square:
                raise UsageError(
                    "initialization='orthogonal' needs train='both', output_ratio=1 and input_ratio=1, since all "
                    f"sides must be equal; given: {self.train!r}, {self.output_ratio:g}, {self.input_ratio:g}"
                )
            require(self.weight_variance > 0.0, "weight_variance", self.weight_variance, "positive")
        if self.width is not None:
            require(float(self.width).is_integer() and self.width >= 2, "width", self.width, "an integer of at least 2")

    @property
    def clock(self) -> str:
        """Unit of the times: "step" for gradient descent, "learning_rate*step" for gradient flow."""
        return "learning_rate*step" if self.learning_rate is None else "step"

    @property
    def scale(self) -> float:
        """Square root of weight_variance."""
        return math.sqrt(self.weight_variance)

    def __repr__(self) -> str:
        rate = "gradient flow" if self.learning_rate is None else f"gradient descent at {self.learning_rate:g}"
        return (
            f"ExtensiveOutputNetwork(output_ratio={self.output_ratio:g}, input_ratio={self.input_ratio:g}, "
            f"weight_variance={self.weight_variance:g}, target_variance={self.target_variance:g}, "
            f"target_spike={self.target_spike}, train={self.train!r}, initialization={self.initialization!r}, "
            f"width={self.width}): f = A M x against the target B, {rate}"
        )

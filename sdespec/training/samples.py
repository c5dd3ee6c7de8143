"""Training data of a network with a linear teacher: what gradient descent sees of the error."""

from __future__ import annotations

import math

import numpy as np

from sdespec.models import DeepLinearNetwork
from sdespec.training.plan import Plan
from sdespec.training.streams import Purpose, Stream

__all__ = ["Samples"]


class Samples:
    r"""Data of one replicate.

    With the error :math:`v = b - \beta` of the linear map, the samples X of an update and their label noise
    :math:`\sigma\xi`, an update sees :math:`h^0 = X^T (X v + \sigma\xi) / B`; on the population it sees v itself.

    Parameters
    ----------
    plan : Plan
        The experiment.
    stream : Stream
        Numbers of the replicate.

    Attributes
    ----------
    inputs : ndarray or None, (P, D)
        All fixed samples; none on the population, or where every update has fresh ones.
    """

    def __init__(self, plan: Plan[DeepLinearNetwork], stream: Stream) -> None:
        self._plan = plan
        self._stream = stream
        self.inputs: np.ndarray | None = None
        self._noise = np.empty(0)
        if plan.samples:
            self.inputs, self._noise = self._draw(plan.samples, 0)

    def _draw(self, count: int, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and the noise of their labels."""
        inputs = self._stream.normal((count, self._plan.dim), Purpose.INPUTS, step)
        noise = self._stream.normal((count,), Purpose.LABEL_NOISE, step)
        return inputs, self._plan.model.label_noise * noise

    def of_update(self, step: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Inputs and label noise that an update uses.

        Parameters
        ----------
        step : int
            Number of updates done before.

        Returns
        -------
        tuple of ndarray, or None
            (B, D) and (B,); None on the population.
        """
        plan = self._plan
        if self.inputs is None:
            return self._draw(plan.batch, step) if plan.batch else None
        if plan.model.batches is None:
            return self.inputs, self._noise
        first = plan.model.batches[step] * plan.batch
        rows = slice(first, first + plan.batch)
        return self.inputs[rows], self._noise[rows]

    def direction(self, error: np.ndarray, step: int) -> np.ndarray:
        """Vector h^0 of an update: the mean of residual times input.

        Parameters
        ----------
        error : ndarray, (D,)
            v.
        step : int
            Number of updates done before.

        Returns
        -------
        ndarray, (D,)
        """
        used = self.of_update(step)
        if used is None:
            return error
        inputs, noise = used
        direction: np.ndarray = (inputs.dot(error) + noise).dot(inputs) / len(inputs)
        return direction

    def loss(self, error: np.ndarray, step: int) -> float:
        """Mean squared error on the samples of the next update; NaN where ``batches`` names none.

        Parameters
        ----------
        error : ndarray, (D,)
            v.
        step : int
            Number of updates done before.

        Returns
        -------
        float
        """
        if step >= self._plan.batches_done:
            return math.nan
        used = self.of_update(step)
        if used is None:
            return float(error @ error) + float(self._plan.model.label_noise) ** 2
        inputs, noise = used
        return float(np.mean((inputs.dot(error) + noise) ** 2))

"""Finite networks with extensively many outputs: exact hidden weights, and flows of both matrices."""

from __future__ import annotations

import math
from enum import IntEnum

import numpy as np

from sdespec.core.rng import standard_normal
from sdespec.models import ExtensiveOutputNetwork

__all__ = ["BothTrained", "Draws", "HiddenTrained", "Purpose", "sizes_of"]

_DIVERGED = 1e150  # an entry beyond it has squares that overflow in a spectrum


class Purpose(IntEnum):
    """Field ``purpose`` of the noise counter, one for each kind of number."""

    HIDDEN = 20
    READOUT = 21
    TARGET = 22
    SPIKE_LEFT = 23
    SPIKE_RIGHT = 24


def sizes_of(model: ExtensiveOutputNetwork) -> tuple[int, int, int]:
    """Numbers C, N and D of outputs, hidden units and inputs."""
    width = int(model.width or 0)
    return round(model.output_ratio * width), width, round(model.input_ratio * width)


class Draws:
    """Start and target of one replicate.

    Parameters
    ----------
    model : ExtensiveOutputNetwork
        With a width.
    seed, replicate : int
        Seed of the run and index of the replicate.
    """

    def __init__(self, model: ExtensiveOutputNetwork, seed: int, replicate: int) -> None:
        self._model = model
        self._seed = seed
        self._replicate = replicate
        self.outputs, self.width, self.inputs = sizes_of(model)

    def _normal(self, rows: int, cols: int, purpose: Purpose) -> np.ndarray:
        return standard_normal((rows, cols), seed=self._seed, replicate=self._replicate, purpose=int(purpose))

    def _start(self, rows: int, cols: int, purpose: Purpose) -> np.ndarray:
        """An initial matrix as the model says: Gaussian, or uniform over the orthogonal ones."""
        draw = self._normal(rows, cols, purpose)
        if self._model.initialization == "gaussian":
            return draw * (self._model.scale / math.sqrt(self.width))
        q, r = np.linalg.qr(draw)
        # the factor of QR is uniform only where the diagonal of R is made positive
        return np.asarray(self._model.scale * q * np.where(np.diagonal(r) < 0.0, -1.0, 1.0))

    def hidden(self) -> np.ndarray:
        """M at time 0."""
        return self._start(self.width, self.inputs, Purpose.HIDDEN)

    def readout(self) -> np.ndarray:
        """A at time 0: that of a frozen read-out has the variance 1/N."""
        if self._model.train == "both":
            return self._start(self.outputs, self.width, Purpose.READOUT)
        return self._normal(self.outputs, self.width, Purpose.READOUT) / math.sqrt(self.width)

    def target(self) -> np.ndarray:
        """B, Gaussian plus a rank-one matrix of unit vectors in random directions times the strength of the spike."""
        scale = math.sqrt(self._model.target_variance / self.width)
        target = scale * self._normal(self.outputs, self.inputs, Purpose.TARGET)
        if self._model.target_spike is not None:
            left = self._normal(self.outputs, 1, Purpose.SPIKE_LEFT)
            right = self._normal(1, self.inputs, Purpose.SPIKE_RIGHT)
            target += self._model.target_spike / (np.linalg.norm(left) * np.linalg.norm(right)) * (left * right)
        return target


class HiddenTrained:
    r"""Hidden weight below a frozen read-out, exact at any time.

    .. math:: M(t) = e^{-A^T A t} M_0 + \frac{1 - e^{-A^T A t}}{A^T A} A^T B

    and with :math:`(1 - \eta A^T A)^n` in place of the exponential after n updates of gradient descent.

    Parameters
    ----------
    model : ExtensiveOutputNetwork
        With train="hidden" and a width.
    seed, replicate : int
        Seed of the run and index of the replicate.

    Notes
    -----
    One singular value decomposition of the read-out, O(N^3), and two products of matrices.
    """

    def __init__(self, model: ExtensiveOutputNetwork, seed: int, replicate: int) -> None:
        draws = Draws(model, seed, replicate)
        self._rate = model.learning_rate
        self._outputs = draws.outputs
        left, self._values, self._modes = np.linalg.svd(draws.readout(), full_matrices=draws.outputs < draws.width)
        count = len(self._values)
        target = draws.target()
        self._target = left[:, :count].T @ target
        self._start = self._modes @ draws.hidden()
        # what no hidden unit reaches stays an error
        self._lost = (
            max(0.0, float((target * target).sum() - (self._target**2).sum())) if draws.outputs > count else 0.0
        )

    def at(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        """Hidden weight in the basis of the modes of the read-out, and the factors that are left of the start."""
        k = self._values**2
        kept, learned = self._factors(k, time)
        out = self._start.copy()
        count = len(k)
        out[:count] *= kept[:, None]
        out[:count] += (learned / self._values)[:, None] * self._target
        return out, kept

    def _factors(self, k: np.ndarray, time: float) -> tuple[np.ndarray, np.ndarray]:
        """What is left of the start, and 1 less that."""
        if self._rate is None:
            return np.exp(-k * time), -np.expm1(-k * time)
        small = self._rate * k < 0.5
        kept = (1.0 - self._rate * k) ** time
        exact = -np.expm1(time * np.log1p(-np.where(small, self._rate * k, 0.0)))
        return kept, np.where(small, exact, 1.0 - kept)

    def record(self, time: float) -> tuple[list[np.ndarray], float] | None:
        """Matrices with the spectrum of the weights, and the loss; None where gradient descent has diverged."""
        matrix, kept = self.at(time)
        if not np.abs(matrix).max() < _DIVERGED:
            return None
        count = len(kept)
        error = kept[:, None] * (self._values[:, None] * self._start[:count] - self._target)
        return [matrix], (float((error * error).sum()) + self._lost) / self._outputs

    def weights(self, matrices: list[np.ndarray]) -> list[np.ndarray]:
        """The weights themselves."""
        return [self._modes.T @ matrices[0]]


class BothTrained:
    r"""Both matrices, by steps in time or by updates.

    .. math:: \dot M = A^T (B - A M), \qquad \dot A = (B - A M) M^T

    Parameters
    ----------
    model : ExtensiveOutputNetwork
        With train="both" and a width.
    seed, replicate : int
        Seed of the run and index of the replicate.
    time_step : float
        Largest step of the classical Runge-Kutta method of order 4; gradient descent has none.
    """

    def __init__(self, model: ExtensiveOutputNetwork, seed: int, replicate: int, time_step: float) -> None:
        draws = Draws(model, seed, replicate)
        self._rate = model.learning_rate
        self._outputs = draws.outputs
        self._time_step = time_step
        self._target = draws.target()
        self._hidden, self._readout = draws.hidden(), draws.readout()
        self._time = 0.0

    def _slopes(self, hidden: np.ndarray, readout: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        error = self._target - readout @ hidden
        return readout.T @ error, error @ hidden.T

    def _step(self, size: float) -> None:
        """One step of Runge-Kutta."""
        m, a = self._hidden, self._readout
        m1, a1 = self._slopes(m, a)
        m2, a2 = self._slopes(m + 0.5 * size * m1, a + 0.5 * size * a1)
        m3, a3 = self._slopes(m + 0.5 * size * m2, a + 0.5 * size * a2)
        m4, a4 = self._slopes(m + size * m3, a + size * a3)
        self._hidden = m + size / 6.0 * (m1 + 2.0 * m2 + 2.0 * m3 + m4)
        self._readout = a + size / 6.0 * (a1 + 2.0 * a2 + 2.0 * a3 + a4)

    @property
    def _diverged(self) -> bool:
        return not max(np.abs(self._hidden).max(), np.abs(self._readout).max()) < _DIVERGED

    def _advance(self, time: float) -> None:
        if self._rate is not None:
            for _ in range(round(time - self._time)):
                slopes = self._slopes(self._hidden, self._readout)
                self._hidden = self._hidden + self._rate * slopes[0]
                self._readout = self._readout + self._rate * slopes[1]
                if self._diverged:
                    break
        else:
            count = math.ceil((time - self._time) / self._time_step * (1.0 - 1e-12))
            for _ in range(count):
                self._step((time - self._time) / count)
                if self._diverged:
                    break
        self._time = time

    def record(self, time: float) -> tuple[list[np.ndarray], float] | None:
        """Both matrices and the loss at a time not before the last one; None where they have diverged."""
        self._advance(time)
        if self._diverged:
            return None
        error = self._target - self._readout @ self._hidden
        return [self._hidden, self._readout], float((error * error).sum()) / self._outputs

    def weights(self, matrices: list[np.ndarray]) -> list[np.ndarray]:
        """The weights themselves."""
        return matrices

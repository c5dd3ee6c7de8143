"""Fields of inputs that are looked at but not trained on at this time: test inputs, and those outside the batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sdespec.theory.dmft.feature_bank import FeatureBank
from sdespec.theory.dmft.sources import Source

__all__ = ["HiddenState", "Passive"]

_NEGLIGIBLE = 1e-13  # of the largest overlap of what a basis has not seen


@dataclass(frozen=True, eq=False)
class HiddenState:
    """One hidden weight at one time, as far as the trained inputs have made it.

    Attributes
    ----------
    right, left : FeatureBank
        Bases of what the weight reads and of what drives it, with the directions of this time.
    forward_rows, backward_rows : ndarray, (rank, S)
        Sources of the directions of ``right`` and of ``left``.
    heard : int
        Number of directions of ``left`` that activations of this time hear of: all but those of this time.
    learned : ndarray, (left rank, right rank)
        Learned part of the weight.
    """

    right: FeatureBank
    left: FeatureBank
    forward_rows: np.ndarray
    backward_rows: np.ndarray
    heard: int
    learned: np.ndarray


class Passive:
    r"""Forward and backward pass of inputs that leave no trace in the bases.

    What the basis q of the trained inputs has not seen of an activation, :math:`\rho = \phi - q R`, meets initial
    weights that are independent of the past: fresh normals with the overlaps of :math:`\rho`. A backward field of
    sample :math:`\mu` responds to these normals through its own field :math:`u_\mu` alone, so that

    .. math:: z_\mu = \beta s\,(\zeta^r R^g_\mu + \zeta' L_\mu)
        + q_\phi\big[\beta s\langle g_\mu \zeta^u\rangle + K^T R^g_\mu\big]
        + \beta s\,\rho_\mu \frac{\langle g_\mu u_\mu\rangle}{\langle \rho_\mu^2\rangle}

    Parameters
    ----------
    activation : callable
        Values and slopes of fields.
    samples : int
        S.
    seed : int
        Seed of the fresh normals; they are the same at all times.
    scale : float
        :math:`\beta s`, root of the variance of what is left of the initial weights.
    responses : bool
        False leaves out the averages over sources.
    """

    def __init__(
        self,
        activation: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
        *,
        samples: int,
        seed: int,
        scale: float,
        responses: bool,
    ) -> None:
        self._activation, self._samples, self._seed = activation, samples, seed
        self._scale, self._responses = scale, responses
        self._unseen: list[tuple[np.ndarray, np.ndarray]] = []

    def forward(self, fields: np.ndarray, hidden: list[HiddenState]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Activations and slopes (inputs, S) of every hidden layer, from the fields of the first one."""
        values, slopes = [], []
        self._unseen = []
        for index, state in enumerate([*hidden, None]):
            value, slope = self._activation(fields)
            values.append(value)
            slopes.append(slope)
            if state is None:
                break
            read, rest = _split(value, state.right.directions)
            fresh = self._fresh(rest, kind=_KIND + 2 * index, even=True)
            self._unseen.append((rest, fresh))
            inner = state.learned[: state.heard] @ read
            if self._responses:
                inner = inner + self._scale / self._samples * (state.backward_rows[: state.heard] @ value.T)
            fields = self._scale * (read.T @ state.forward_rows + fresh)
            fields += inner.T @ state.left.directions[: state.heard]
        return values, slopes

    def backward(self, read_out: np.ndarray, slopes: list[np.ndarray], hidden: list[HiddenState]) -> list[np.ndarray]:
        """Backward fields (inputs, outputs, S) of every hidden layer; after ``forward``."""
        fields = np.broadcast_to(read_out, (len(slopes[0]), *read_out.shape))
        gradients: list[np.ndarray] = []
        for layer in range(len(slopes) - 1, -1, -1):
            gradient = slopes[layer][:, None, :] * fields
            gradients.insert(0, gradient)
            if layer:
                fields = self._pull_back(gradient, hidden[layer - 1], layer - 1)
        return gradients

    def _pull_back(self, gradient: np.ndarray, state: HiddenState, index: int) -> np.ndarray:
        """Backward fields through one hidden weight."""
        flat = gradient.reshape(-1, self._samples)
        drive, rest = _split(flat, state.left.directions)
        inner = state.learned.T @ drive
        if self._responses:
            inner = inner + self._scale / self._samples * (state.forward_rows @ flat.T)
        fresh = self._fresh(rest, kind=_KIND + 2 * index + 1, even=False)
        fields = self._scale * (drive.T @ state.backward_rows + fresh) + inner.T @ state.right.directions
        fields = fields.reshape(gradient.shape)
        if self._responses:
            unseen, noise = self._unseen[index]
            size = (unseen**2).mean(axis=1)
            heard = np.einsum("pcs,ps->pc", gradient, noise) / self._samples
            share = np.divide(heard, size[:, None], out=np.zeros_like(heard), where=size[:, None] > 0.0)
            fields = fields + self._scale * share[:, :, None] * unseen[:, None, :]
        return np.asarray(fields)

    def _fresh(self, rest: np.ndarray, *, kind: int, even: bool) -> np.ndarray:
        """Normals (inputs, S) with the overlaps of what the basis has not seen."""
        values, vectors = np.linalg.eigh(rest @ rest.T / self._samples)
        values, vectors = values[::-1], vectors[:, ::-1]
        keep = values > max(_NEGLIGIBLE * float(values[0]), 0.0)
        root = vectors[:, keep] * np.sqrt(values[keep])
        # the symmetric root follows a change of the overlaps smoothly, so that records of near times are near
        root = root @ vectors[:, keep].T
        rows = Source(self._samples, seed=self._seed, kind=kind, even=even).rows(len(root))
        return np.asarray(root @ rows)


def _split(features: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (rank, inputs) in a basis, and the rest (inputs, S)."""
    samples = features.shape[1]
    rest = features
    found = np.zeros((len(directions), len(features)))
    for _ in range(2):  # twice is enough
        part = directions @ rest.T / samples
        rest = rest - part.T @ directions
        found += part
    return found, rest


_KIND = 1_000_000  # first number of the fresh sources, beyond those of the hidden weights

"""The causal pass against whole matrices that are inverted and iterated, written down from the equations anew.

The same iteration with a mistake planted in it shows which numbers guard against that mistake.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from scipy.optimize import brentq

from sdespec.models import DeepLinearNetwork
from sdespec.theory.dmft import solve_deep_linear

INF = math.inf
MISTAKES = ("none", "inclusive update", "strictly causal response", "no D/N")


@dataclass
class Iterated:
    """Order parameters from sweeps over growing windows, every inverse taken of the whole matrix."""

    model: DeepLinearNetwork
    horizon: int
    mistake: str = "none"
    window: int = 4
    residual: float = INF
    V: np.ndarray = field(init=False)
    H: list[np.ndarray] = field(init=False)
    G: list[np.ndarray] = field(init=False)
    A: list[np.ndarray] = field(init=False)
    B: list[np.ndarray] = field(init=False)

    def __post_init__(self) -> None:
        T, L = self.horizon, self.model.hidden_layers
        self.V = np.zeros((T, T))
        self.H, self.G, self.A, self.B = ([np.zeros((T, T)) for _ in range(L + 2)] for _ in range(4))
        self.G[L + 1] = np.ones((T, T))
        self.Q, self.BX = np.zeros((T, T)), np.eye(T)
        for end in range(self.window, T + self.window, self.window):
            n = min(end, T)
            for _ in range(40):
                before = np.concatenate([a[:n, :n].ravel() for a in (self.V, *self.H, *self.G)])
                self.sweep(n)
                after = np.concatenate([a[:n, :n].ravel() for a in (self.V, *self.H, *self.G)])
                self.residual = float(np.abs(after - before).max())
                if self.residual < 1e-14 * np.abs(after).max():
                    break

    def sweep(self, n: int) -> None:
        m, L = self.model, self.model.hidden_layers
        gamma, s2, sa2 = m.gamma, m.weight_variance, m.readout_variance
        iq = 1.0 if self.mistake == "no D/N" else 1.0 / m.width_ratio
        later = np.tril(np.ones((n, n)), 0 if self.mistake == "inclusive update" else -1)
        e = m.learning_rate * gamma
        alpha, one, eye = m.sample_ratio, np.ones((n, n)), np.eye(n)
        w = np.s_[:n, :n]
        G, H, A, B = ([array[w].copy() for array in arrays] for arrays in (self.G, self.H, self.A, self.B))
        BX, Q = self.BX[w], self.Q[w]
        D0 = B[0] + e * later * G[1]
        r0 = iq * s2 * G[1] / gamma**2
        for _ in range(2):  # the response of the data is needed in the response of the inputs, and the other way round
            Rm = np.linalg.inv(eye + D0 @ BX / gamma)
            BX = np.linalg.inv(eye + Rm @ D0 / (alpha * gamma))
        V = Rm @ (one + r0 + D0 @ (Q / alpha) @ D0.T / gamma**2) @ Rm.T
        Q = BX @ (V + m.label_noise**2) @ BX.T
        Sx = eye - BX @ Rm @ D0 / gamma
        H[0] = BX @ Rm @ (one + r0) @ Rm.T @ BX.T + Sx @ (Q / alpha) @ Sx.T
        A[0] = -s2 * iq * BX @ Rm / gamma
        if self.mistake == "strictly causal response":
            A[0] = np.tril(A[0], -1)
        for step in (*range(1, L + 1), *range(L, 0, -1)):
            source = s2 * G[step + 1] if step < L else sa2 * one
            C = A[step - 1] + e * later * H[step - 1]
            D = (B[step] if step < L else 0.0) + e * later * G[step + 1]
            X, Y = np.linalg.inv(eye - C @ D), np.linalg.inv(eye - D @ C)
            H[step] = X @ (s2 * H[step - 1] + C @ source @ C.T) @ X.T
            G[step] = Y @ (source + s2 * D @ H[step - 1] @ D.T) @ Y.T
            A[step] = s2 * X @ C
            B[step - 1] = s2 * Y @ D
        for mine, new in zip((self.G, self.H, self.A, self.B), (G, H, A, B), strict=True):
            for target, array in zip(mine, new, strict=True):
                target[w] = array
        self.V[w], self.Q[w], self.BX[w] = V, Q, BX

    def outlier(self, layer: int, time: int, *, independent: bool = False, spikes: int | None = None) -> float:
        """Outlier from the eigenvalues of the dense 2k x 2k problem; NaN where there is none."""
        k = time if spikes is None else spikes
        w = np.s_[:k, :k]
        s2, e = self.model.weight_variance, self.model.learning_rate * self.model.gamma
        q = 1.0 / self.model.width_ratio if layer == 0 else 1.0
        A, B = (np.zeros((k, k)) if independent else array[layer][w] for array in (self.A, self.B))
        eye, zero = np.eye(k), np.zeros((k, k))
        J = np.block([[zero, e * eye], [e * eye, zero]])

        def excess(value: float) -> float:
            b = value**2 + s2 * (1.0 - q)
            left = (b - math.sqrt(max(b**2 - 4.0 * s2 * value**2, 0.0))) / (2.0 * s2 * value)
            right = 1.0 / (value - s2 * left)
            inverse = np.linalg.inv(np.block([[eye, -left * B], [-right * A, eye]]))
            inner = np.block([[left * self.G[layer + 1][w], zero], [zero, right * self.H[layer][w]]])
            return float(np.linalg.eigvals(J @ inverse @ inner @ inverse.T).real.max()) - 1.0

        edge = math.sqrt(s2) * (1.0 + math.sqrt(q))
        return float(brentq(excess, edge, 20.0, xtol=1e-10)) if excess(edge) > 0.0 else math.nan


ROWS = {
    "L=1, nu=1, population": (DeepLinearNetwork(1.0, INF, 1, 8.0, 0.01), 60),
    "L=1, nu=2, alpha=2": (DeepLinearNetwork(2.0, 2.0, 1, 6.0, 0.015), 80),
    "L=2, nu=1, population": (DeepLinearNetwork(1.0, INF, 2, 8.0, 0.008), 80),
    "L=2, nu=.5, alpha=1.5": (DeepLinearNetwork(0.5, 1.5, 2, 3.0, 0.03), 60),
    "other variances, noise": (
        DeepLinearNetwork(2.0, 1.5, 3, 4.0, 0.02, weight_variance=0.8, readout_variance=1.5, label_noise=0.4), 40,
    ),
    "whole-window iteration overflows": (DeepLinearNetwork(1.0, INF, 2, 2.5, 0.04), 50),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_one_pass_equals_iterated_inverses(name: str) -> None:
    model, horizon = ROWS[name]
    ours, other = solve_deep_linear(model, horizon - 1), Iterated(model, horizon)
    assert ours.reached == horizon
    assert other.residual < 1e-12 * max(1.0, np.abs(other.G[1]).max())
    layers = model.hidden_layers
    pairs = [(ours.V, other.V), (ours.Q, other.Q)]
    pairs += [(ours.H[k], other.H[k]) for k in range(layers + 1)]
    pairs += [(ours.G[k], other.G[k + 1]) for k in range(layers + 1)]
    pairs += [(ours.A[k], other.A[k]) for k in range(layers)]
    pairs += [(ours.B[k], other.B[k]) for k in range(layers)]
    for a, b in pairs:
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)


# Losses at 0, 20, 40, 79 updates and outliers at 20, 40, 79 of the second row; the first loss is exact.
LOSSES = np.array([1.0 + 1.0 / 72.0, 0.227, 0.0754, 0.0170])
OUTLIERS = np.array([2.167, 2.375, 2.466])
DEEP_OUTLIERS = np.array([[2.134, 2.149, 2.149], [2.205, 2.240, 2.240]])


def agreement(mistake: str) -> tuple[float, float, float]:
    """Largest relative errors of the initial loss, the later losses and the outliers."""
    other = Iterated(ROWS["L=1, nu=2, alpha=2"][0], 80, mistake)
    losses = np.abs(np.diagonal(other.V)[[0, 20, 40, 79]] / LOSSES - 1.0)
    outliers = np.array([other.outlier(0, time) for time in (20, 40, 79)])
    return (
        float(losses[0]),
        float(losses[1:].max()),
        float(np.nan_to_num(np.abs(outliers / OUTLIERS - 1.0), nan=1.0).max()),
    )


def test_the_iteration_meets_the_targets() -> None:
    initial, losses, outliers = agreement("none")
    assert initial < 1e-10
    assert losses < 0.003
    assert outliers < 0.0005
    deep = Iterated(ROWS["L=2, nu=1, population"][0], 80)
    found = np.array([[deep.outlier(layer, time) for time in (20, 40, 79)] for layer in (0, 1)])
    np.testing.assert_allclose(found, DEEP_OUTLIERS, rtol=5e-4)


@pytest.mark.parametrize("mistake", MISTAKES[1:])
def test_planted_mistakes_miss_the_targets(mistake: str) -> None:
    """Losses are met to .3 % and outliers to .05 % without a mistake, so that these bars leave no doubt."""
    initial, losses, outliers = agreement(mistake)
    assert losses > 0.05
    assert outliers > 0.003
    assert (initial > 0.01) == (mistake != "strictly causal response")


def test_planted_mistakes_in_the_outlier() -> None:
    """Independent spikes are off by more than 3 %; a spike too many by more than 1 % while the outlier moves."""
    right = Iterated(ROWS["L=1, nu=1, population"][0], 60)
    targets = np.array([2.111, 2.771, 2.926])
    times = (15, 30, 59)
    assert np.abs(np.array([right.outlier(0, t) for t in times]) / targets - 1.0).max() < 5e-4
    independent = np.array([right.outlier(0, t, independent=True) for t in times])
    assert (independent / targets - 1.0 < -0.03).all()
    assert abs(right.outlier(0, 15, spikes=16) / targets[0] - 1.0) > 0.01

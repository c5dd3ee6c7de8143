"""Moments of the matrix schemes against exact targets written out here, sharp enough for an error of 5 % anywhere.

Means are allowed 4.5 standard errors (probability 7e-6 each); every planted error is beyond them.
"""

import math

import numba
import numpy as np
import pytest

from sdespec.integrators import simulate
from sdespec.models import (
    IsotropicNoise,
    LeftMultiplicativeNoise,
    MatrixSGD,
    RightMultiplicativeNoise,
    ScalarMultiplicativeNoise,
    SeparableNoise,
)

KINDS = {"right": RightMultiplicativeNoise, "left": LeftMultiplicativeNoise}


def _score(sample, target):
    """Deviations of the means over the first axis from their targets, in standard errors."""
    return np.abs(sample.mean(axis=0) - target) * math.sqrt(len(sample)) / sample.std(axis=0)


# --- noise on one side: the closed equations of tr S, tr S^2 and (tr S)^2 ------------------------------------------


def _generator(side, n, m, g, d, k):
    """d/dt of E (1, tr S, tr S^2, (tr S)^2) by Ito's formula; noise on the left is that on the right of W^T."""
    n, m = (n, m) if side == "right" else (m, n)
    rate = 2 * k * m - 2 * g
    return np.array(
        [
            [0, 0, 0, 0],
            [2 * d * n * m, rate, 0, 0],
            [0, 4 * d * (n + m + 1), 2 * rate + 4 * k, 4 * k],
            [0, 4 * d * (n * m + 2), 8 * k, 2 * rate],
        ]
    )


def _euler_map(side, n, m, g, d, k, h):
    """What one Euler step of length h does to the same moments: W' = aW + Y, Y Gaussian with m independent columns."""
    n, m = (n, m) if side == "right" else (m, n)
    a, b, c = 1 - g * h, 2 * k * h, 2 * d * h  # covariance of a column of Y given W: b S + c

    def row(**values):
        return np.array([values.get(name, 0.0) for name in ("one", "p1", "p2", "p11")])

    t1, ts = row(one=n * c, p1=b), row(p1=c, p2=b)  # tr of it, and of its product with S
    t2, t11 = row(one=n * c * c, p1=2 * b * c, p2=b * b), row(one=(n * c) ** 2, p1=2 * b * c * n, p11=b * b)
    cross = row(p1=n * c, p11=b)  # tr of it times tr S
    p2 = row(p2=a**4) + 2 * a * a * ((m + 1) * ts + cross) + m * (m + 1) * t2 + m * t11
    p11 = row(p11=a**4) + 2 * a * a * m * cross + m * m * t11 + 4 * a * a * ts + 2 * m * t2
    return np.array([row(one=1.0), row(p1=a * a) + m * t1, p2, p11])


G, D, K, STEP, COUNT = 1.0, 0.5, 0.22, 0.05, 16
START = np.array([[1.5, -1.0, 0.5], [0.3, 0.4, 1.0]])


def _first_moments():
    s = START @ START.T
    return np.array([1.0, np.trace(s), (s * s).sum(), np.trace(s) ** 2])


@pytest.mark.parametrize("side", KINDS)
def test_the_moments_of_a_step_tend_to_the_differential_equations(side):
    """The map of one step and Ito's formula are written independently; they differ by the length of the step."""
    slope = (_euler_map(side, 2, 3, G, D, K, 1e-6) - np.eye(4)) / 1e-6
    np.testing.assert_allclose(slope, _generator(side, 2, 3, G, D, K), atol=1e-4)
    assert np.abs(slope - _generator(side, 2, 3, G, D, 1.05 * K)).max() > 0.01


@pytest.mark.parametrize("side", KINDS)
def test_dynamics_of_matrix_noise(side):
    """E tr S, E tr S^2 and E (tr S)^2 after 16 Euler steps, exactly those of the scheme at 120 000 replicates.

    False-alarm rate 2e-5. Planted: 5 % in the multiplicative noise, the diffusion or the decay, the other side.
    """
    model = MatrixSGD(2, 3, G, (IsotropicNoise(D), KINDS[side](K)))
    run = simulate(model, [COUNT * STEP], seed=3, replicates=120_000, initial=START, time_step=STEP)
    s = run.eigenvalue.values[0, :, 0]
    found = np.stack([s.sum(axis=1), (s * s).sum(axis=1), s.sum(axis=1) ** 2], axis=1)

    def worst(side, g, d, k):
        target = np.linalg.matrix_power(_euler_map(side, 2, 3, g, d, k, STEP), COUNT) @ _first_moments()
        return _score(found, target[1:]).max()

    assert worst(side, G, D, K) < 4.5
    other = "left" if side == "right" else "right"
    for wrong in ((side, G, D, 1.05 * K), (side, G, 1.05 * D, K), (side, 1.05 * G, D, K), (other, G, D, K)):
        assert worst(*wrong) > 4.5


# --- one step: drift and covariances of the eigenvalues under covariances that are not diagonal --------------------


def _turned(side, low, seed):
    """A covariance with correlations between all entries."""
    basis = np.linalg.qr(np.random.default_rng(seed).standard_normal((side, side)))[0]
    return (basis * np.linspace(low, 2.0, side)) @ basis.T


ROWS, COLS = _turned(3, 0.2, 1), _turned(4, 0.3, 2)
BASES = [np.linalg.qr(np.random.default_rng(seed).standard_normal((side, side)))[0] for seed, side in ((3, 3), (4, 4))]
SPECTRUM = np.array([4.0, 2.0, 0.7])
WEIGHT = BASES[0] @ (np.sqrt(SPECTRUM)[:, None] * BASES[1].T[:3])


def _drift_and_covariance(rows, cols, g, d, scalar):
    """Section 2.1 of the theory with A and C in the bases of the singular vectors; isotropic and scalar parts added."""
    u, v = BASES[0], BASES[1][:, :3]
    a, c, total, s = u.T @ rows @ u, v.T @ cols @ v, np.trace(cols), np.sqrt(SPECTRUM)
    drift = (2 * scalar - 2 * g) * SPECTRUM + np.diag(a) * total + 2 * d * 4
    for k in range(3):
        for j in range(3):
            if j != k:
                pair = a[k, k] * c[j, j] * SPECTRUM[j] + a[j, j] * c[k, k] * SPECTRUM[k]
                pair += 2 * a[k, j] * c[k, j] * s[k] * s[j] + 2 * d * (SPECTRUM[k] + SPECTRUM[j])
                drift[k] += pair / (SPECTRUM[k] - SPECTRUM[j])
    products = np.outer(s, s)
    return drift, 4 * products * (a * c + 2 * d * np.eye(3)) + 8 * scalar * products**2


def test_drift_and_covariances_of_the_eigenvalues_in_one_step_of_the_kernel():
    """100 000 Euler steps of 1e-6 through ``simulate``; drifts and all six covariances, false-alarm rate 6e-5.

    The linear part of the change is taken off with the noise that was drawn. Planted: 5 % in either covariance, the
    decay 10 % up (a small part of the drift), and covariances without their off-diagonal parts.
    """
    g, d, scalar, h, count = 0.6, 0.1, 0.2, 1e-6, 100_000
    noises = (SeparableNoise(ROWS, COLS), IsotropicNoise(d), ScalarMultiplicativeNoise(scalar))
    model = MatrixSGD(3, 4, g, noises)
    run = simulate(
        model, [h], seed=0, replicates=count, initial=WEIGHT, method="euler", time_step=h, save_weights=True
    )  # fmt: skip
    drawn = run.weight.values[0, :, 0] - (1 - g * h) * WEIGHT
    linear = 2 * np.sqrt(SPECTRUM) * np.einsum("ik,rij,jk->rk", BASES[0], drawn, BASES[1][:, :3])
    drifts = (run.eigenvalue.values[0, :, 0] - SPECTRUM - linear) / h
    products = np.einsum("rk,rj->rkj", linear, linear) / h

    def worst(rows, cols, g):
        drift, covariance = _drift_and_covariance(rows, cols, g, d, scalar)
        upper = np.triu_indices(3)
        return _score(drifts, drift).max(), _score(products, covariance)[upper].max()

    assert max(worst(ROWS, COLS, g)) < 4.5
    assert worst(ROWS, COLS, 1.1 * g)[0] > 4.5
    assert min(worst(1.05 * ROWS, COLS, g)) > 4.5
    u, v = BASES
    plain = [q @ np.diag(np.diag(q.T @ one @ q)) @ q.T for q, one in ((u, ROWS), (v, COLS))]
    assert min(worst(plain[0], COLS, g)) > 4.5
    assert min(worst(ROWS, plain[1], g)) > 4.5


# --- weak order of SRA1 --------------------------------------------------------------------------------------------


@numba.njit
def _linear(w):
    return 3.0 * w


def test_sra1_has_weak_order_two():
    """E tr S for the gradient 3 W hits the mean of the scheme at steps .25 and .125, and that mean has order two.

    30 000 replicates, false-alarm rate 1.4e-5. Planted: the mean of Euler's scheme, and at the coarse step the exact one.
    """
    model, rate, start = MatrixSGD(2, 3, 0.0, IsotropicNoise(0.5), _linear), 3.0, float((START**2).sum())

    def after(factor, gained, count):
        return factor**count * start + 6 * gained * (1 - factor**count) / (1 - factor)

    def own(count):
        a = rate / count
        return after((1 - a + a * a / 2) ** 2, ((1 - a / 2) ** 2 + a * a / 12) / count, count)

    exact = after(math.exp(-2 * rate), -math.expm1(-2 * rate) / (2 * rate), 1)
    for count in (4, 8):
        options = {"seed": 1, "replicates": 30_000, "initial": START, "method": "sra1", "time_step": 1 / count}
        traces = simulate(model, [1.0], **options).eigenvalue.values[0, :, 0].sum(axis=1)
        assert _score(traces, own(count)) < 4.5
        assert _score(traces, after((1 - rate / count) ** 2, 1 / count, count)) > 4.5
        assert count == 8 or _score(traces, exact) > 4.5
    assert 3.9 < (own(32) - exact) / (own(64) - exact) < 4.2

"""Finite-time densities, edges and outliers against matrices drawn here with plain NumPy."""

import math

import numpy as np
import pytest
from scipy import stats

from sdespec.models import DysonLaguerre
from sdespec.theory import spectral_law, square_trace_mean, trace_cdf

N, M = 400, 800


def _distance(law, values):
    grid = np.linspace(law.edges[0] * 0.99, law.edges[1] * 1.01, 4000)
    density = law.density(grid)
    cdf = np.concatenate(([0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(grid))))
    assert cdf[-1] == pytest.approx(1.0, abs=2e-3)
    found = np.interp(np.sort(values), grid, cdf)
    return float(np.abs(found - (np.arange(len(values)) + 0.5) / len(values)).max())


def _draw(rng, start, decay, variance):
    weight = np.zeros((N, M))
    weight[np.arange(N), np.arange(N)] = np.sqrt(decay * start)
    weight += math.sqrt(variance) * rng.normal(size=(N, M))
    return np.linalg.eigvalsh(weight @ weight.T)


@pytest.mark.parametrize("time", [0.05, 0.2, 0.6, 2.0])
def test_two_atom_start(time):
    """max |dF| < .01 at four times; measured .004 to .006, so it fails by chance with probability below 1e-4."""
    g, d = 0.8, 0.4
    start = np.where(np.arange(N) < N // 2, 0.3, 2.0) * M
    decay, variance = math.exp(-2 * g * time), d / g * -math.expm1(-2 * g * time)
    values = _draw(np.random.default_rng(1), start, decay, variance)
    law = spectral_law(decay * start, N, M, variance)
    assert _distance(law, values) < 0.01
    spread = 8 * N ** (-2 / 3)  # of an edge eigenvalue, in units of the edge
    assert values[-1] == pytest.approx(law.edges[1], rel=spread)


def test_planted_bugs_in_the_density():
    """A factor sqrt(2) in the noise, a transposed aspect and a forgotten decay all break the bound of .01."""
    g, d, time = 0.8, 0.4, 0.6
    start = np.where(np.arange(N) < N // 2, 0.3, 2.0) * M
    decay, variance = math.exp(-2 * g * time), d / g * -math.expm1(-2 * g * time)
    values = _draw(np.random.default_rng(1), start, decay, variance)
    for law in (
        spectral_law(decay * start, N, M, math.sqrt(2) * variance),
        spectral_law(decay * start, N, N, variance),
        spectral_law(start, N, M, variance),
    ):
        grid = np.linspace(max(law.edges[0] * 0.99, 1e-9), law.edges[1] * 1.01, 4000)
        density = law.density(grid)
        cdf = np.concatenate(([0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(grid))))
        found = np.interp(values, grid, cdf)
        assert np.abs(found - (np.arange(N) + 0.5) / N).max() > 0.01


def test_outliers_of_spiked_matrices():
    """theta = 1, 1.5, 2.5 at v = q = 1/2: means over 30 matrices within 4.5 errors and a bias of 1/n of theory."""
    rng = np.random.default_rng(2)
    law = spectral_law(np.zeros(N), N, M, 0.5)
    for theta in (1.0, 1.5, 2.5):
        start = np.zeros(N)
        start[0] = theta**2 * M
        tops = np.array([_draw(rng, start, 1.0, 0.5)[-1] for _ in range(30)]) / M
        expected = law.outlier(theta**2 * M) / M
        assert abs(tops.mean() - expected) < 4.5 * tops.std() / math.sqrt(30) + 2 * expected / N


def test_law_of_the_trace_and_its_square():
    """KS of 6000 traces at p > 1e-3, E tr S^2 within 4.5 errors; a 5 % wrong diffusion is rejected."""
    rng = np.random.default_rng(3)
    model, start, time = DysonLaguerre(4, 6, 0.8, 0.3), np.array([3.0, 2.0, 0.5, 0.1]), 0.5
    decay, v = math.exp(-0.8), 0.3 / 0.8 * -math.expm1(-0.8)
    weights = math.sqrt(v) * rng.normal(size=(6000, 4, 6))
    weights[:, np.arange(4), np.arange(4)] += np.sqrt(decay * start)
    grams = weights @ weights.transpose(0, 2, 1)
    traces = np.trace(grams, axis1=1, axis2=2)
    assert stats.kstest(traces, lambda x: trace_cdf(model, time, x, start)).pvalue > 1e-3
    wrong = DysonLaguerre(4, 6, 0.8, 0.3 * 1.05)
    assert stats.kstest(traces, lambda x: trace_cdf(wrong, time, x, start)).pvalue < 1e-3
    squares = (grams**2).sum(axis=(1, 2))
    error = squares.std() / math.sqrt(6000)
    assert abs(squares.mean() - square_trace_mean(model, time, start)) < 4.5 * error

"""Exact moments of the linear SDE against matrices drawn one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

from sdespec.models import DysonLaguerre, IsotropicNoise, MatrixSGD
from sdespec.theory import log_elementary_moment, trace_mean, trace_variance

DECAY, DIFFUSION, TIME, DRAWS = 0.7, 0.3, 0.4, 20_000
LIMIT = 4.42  # |z| of a standard normal exceeds it with probability 1e-5


@pytest.fixture(scope="module")
def spectra():
    """Spectra at TIME from a fixed start, by four steps of the Ornstein-Uhlenbeck recursion of the entries."""
    draw = np.random.default_rng(11)
    start = draw.standard_normal((4, 7))
    weight, step = np.broadcast_to(start, (DRAWS, 4, 7)), TIME / 4
    shrink, spread = math.exp(-DECAY * step), math.sqrt(DIFFUSION / DECAY * -math.expm1(-2 * DECAY * step))
    for _ in range(4):
        weight = shrink * weight + spread * draw.standard_normal((DRAWS, 4, 7))
    return np.linalg.svd(start, compute_uv=False) ** 2, np.linalg.svd(weight, compute_uv=False) ** 2


def _z_of_trace(model, start, observed):
    spread = math.sqrt(trace_variance(model, TIME, start) / DRAWS)
    return abs(observed.sum(1).mean() - trace_mean(model, TIME, start)) / spread


def test_trace_mean_and_planted_errors(spectra):
    """False-alarm rate 1e-5; halved noise, double beta and a missing Ito term are rejected."""
    start, observed = spectra
    assert _z_of_trace(MatrixSGD(4, 7, DECAY, IsotropicNoise(DIFFUSION)), start, observed) < LIMIT
    assert _z_of_trace(DysonLaguerre(4, 7, DECAY, DIFFUSION / 2), start, observed) > LIMIT
    assert _z_of_trace(DysonLaguerre(4, 7, DECAY, DIFFUSION, beta=2.0), start, observed) > LIMIT
    without_ito = math.exp(-2 * DECAY * TIME) * start.sum()
    assert abs(observed.sum(1).mean() - without_ito) > LIMIT * observed.sum(1).std() / math.sqrt(DRAWS)


def _distance(model, start, observed, freedom):
    """Kolmogorov distance of the trace to the noncentral chi-square law, times sqrt of the number of draws."""
    added = model.diffusion / DECAY * -math.expm1(-2 * DECAY * TIME)
    values = np.sort(observed.sum(1)) / added
    law = special.chndtr(values, freedom, math.exp(-2 * DECAY * TIME) * start.sum() / added)
    rank = np.arange(DRAWS + 1) / DRAWS
    return math.sqrt(DRAWS) * max((rank[1:] - law).max(), (law - rank[:-1]).max())


def test_trace_is_noncentral_chi_square(spectra):
    """False-alarm rate 1e-5 (special.kolmogorov(2.48) < 1e-5); one degree of freedom too many is rejected."""
    start, observed = spectra
    model = MatrixSGD(4, 7, DECAY, IsotropicNoise(DIFFUSION))
    assert special.kolmogorov(2.48) < 1e-5
    assert _distance(model, start, observed, 28) < 2.48
    assert _distance(model, start, observed, 29) > 2.48


def test_mean_determinant_and_planted_aspect(spectra):
    """False-alarm rate about 1e-5 (the mean of 20 000 draws is nearly normal); one column too many is rejected."""
    start, observed = spectra
    values = observed.prod(1)
    spread = values.std() / math.sqrt(DRAWS)
    mean = math.exp(log_elementary_moment(DysonLaguerre(4, 7, DECAY, DIFFUSION), TIME, start)[-1])
    wrong = math.exp(log_elementary_moment(DysonLaguerre(4, 8, DECAY, DIFFUSION), TIME, start)[-1])
    assert abs(values.mean() - mean) < LIMIT * spread
    assert abs(values.mean() - wrong) > LIMIT * spread

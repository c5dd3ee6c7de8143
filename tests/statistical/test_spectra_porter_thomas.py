"""Size and power of the test of singular vectors, and what it cannot see."""

import math

import numpy as np
import pytest
from scipy import special, stats

from sdespec.spectra import porter_thomas
from sdespec.spectra._directions import largest_component, null_law, statistics


def _haar(spectrum, n_cols, rng):
    """Random singular vectors with given squared singular values."""
    n = len(spectrum)
    left = np.linalg.qr(rng.normal(size=(n, n)))[0]
    return (left * np.sqrt(spectrum)) @ np.linalg.qr(rng.normal(size=(n_cols, n)))[0].T


@pytest.mark.parametrize(("shape", "side"), [((64, 64), "right"), ((64, 256), "right"), ((64, 256), "left")])
def test_the_size_on_gaussian_matrices(shape, side):
    """200 matrices: each mode rejects at its level, the verdict over all modes at most so (orthogonality helps it).

    Long run .01 to .04 at .05: more than 18 of 200 by chance in less than 1 of 1000 runs. Planted: the tables of
    Kolmogorov for independent values reject far too few modes.
    """
    found = [porter_thomas(np.random.default_rng([91, k]).normal(size=shape), side=side) for k in range(200)]
    assert sum(one.p_overall < 0.05 for one in found) <= 18
    for name in ("p_value", "p_localized"):
        p = np.concatenate([getattr(one, name) for one in found])
        assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.012)
    size = shape[0] if side == "left" else shape[1]
    table = stats.kstwo(size).sf(np.concatenate([one.ks_distance for one in found]))
    assert np.mean(table < 0.05) < 0.035


def test_structure_along_the_coordinates_is_found():
    """Dead, scaled and sparse directions: the verdict rejects in each of 10 draws, below 1e-4."""
    for k in range(10):
        rng = np.random.default_rng([92, k])
        noise = rng.normal(size=(100, 150))
        scaled = noise * np.where(np.arange(150) < 30, 3.0, 1.0)
        sparse = noise.copy()
        sparse[:, :8] += 4.0 * rng.normal(size=(100, 1)) * np.ones(8)
        cauchy = rng.standard_t(1, size=(100, 150))
        for matrix in (scaled, cauchy):
            assert porter_thomas(matrix).p_overall < 1e-4
        assert porter_thomas(sparse, n_modes=1).p_value[0] < 1e-3


def test_the_blind_spot():
    """Random vectors with any spectrum pass, a power law as well as noise, and so does a generic spike."""
    passed = 0
    for k in range(20):
        rng = np.random.default_rng([93, k])
        heavy = (1.0 - rng.random(80)) ** (-1.0 / 0.6)
        found = porter_thomas(_haar(heavy, 120, rng))
        spike = rng.normal(size=(80, 120)) + 40.0 * np.outer(rng.normal(size=80), rng.normal(size=120)) / math.sqrt(
            9600
        )
        passed += found.p_overall > 0.05 and porter_thomas(spike).p_overall > 0.05
    assert passed >= 16


def test_a_spike_along_few_coordinates_and_one_along_many():
    """A spike of 3 along 12 of 400 components is seen below 1e-3, the least p-value; along all of them it is not."""
    rng = np.random.default_rng(94)
    noise = rng.normal(size=(600, 400)) / math.sqrt(400)
    left = rng.normal(size=600)
    left /= np.linalg.norm(left)
    few = np.zeros(400)
    few[rng.choice(400, 12, replace=False)] = 1.0 / math.sqrt(12)
    many = rng.normal(size=400)
    many /= np.linalg.norm(many)
    assert porter_thomas(noise + 3.0 * np.outer(left, few), n_modes=1).p_value[0] < 2e-4
    assert porter_thomas(noise + 3.0 * np.outer(left, many), n_modes=1).p_value[0] > 0.01
    share = float(np.mean(porter_thomas(noise).p_value < 0.05))
    assert special.bdtrc(round(400 * share) - 1, 400, 0.05) > 1e-3


@pytest.mark.parametrize(("size", "count"), [(11, 40_000), (100, 40_000), (3000, 4000)])
def test_the_laws_between_the_lengths_of_the_table(size, count):
    """Fresh directions: shares below .05 and .01 of three p-values within 4.5 standard errors, 8 % for the table.

    False alarm 4e-5 for the file. The bound of the largest component may be conservative. Planted: the laws of twice
    the length are off.
    """
    draws = np.random.default_rng([95, size]).normal(size=(count, size))
    draws /= np.linalg.norm(draws, axis=1, keepdims=True)
    distance, participation = statistics(draws)

    def worst(length):
        law, found = null_law(length), []
        for p in (law.p_far(distance), law.p_localized(participation)):
            for level in (0.05, 0.01):
                error = 4.5 * math.sqrt(level / count) + 0.08 * level
                found.append(abs(np.mean(p < level) - level) / error)
        return max(found)

    assert worst(size) < 1.0
    if size < 3000:
        assert worst(2 * size) > 1.0
    for level in (0.05, 0.01):
        share, error = np.mean(largest_component(draws) < level), 4.5 * math.sqrt(level / count)
        assert 0.75 * level - error < share < level + error


def test_the_bound_beyond_the_table_is_one():
    """Distances that one of a hundred thousand directions of 32 components exceeds: the p-value said is no smaller.

    Of a million draws fewer than N p + 4.5 sqrt(N p) are said to be below p. Planted: the slope of the table's end,
    made steeper by half, says it of more.
    """
    rng = np.random.default_rng(96)
    law, p, steep = null_law(32), [], []
    for _ in range(10):
        draws = rng.normal(size=(100_000, 32))
        draws /= np.linalg.norm(draws, axis=1, keepdims=True)
        distance = statistics(draws)[0]
        p.append(law.p_far(distance))
        steep.append(special.ndtr(1.15 * special.ndtri(p[-1])))
    for level in (1e-4, 1e-5):
        most = 1e6 * level + 4.5 * math.sqrt(1e6 * level)
        assert np.sum(np.concatenate(p) < level) < most
        assert np.sum(np.concatenate(steep) < level) > most

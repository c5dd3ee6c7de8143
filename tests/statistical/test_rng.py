"""The noise stream: its law, and independence along every field of the counter.

Each z-score below is refused beyond 4.5, a false alarm of 7e-6; each KS p-value below 1e-6. With about 150
scores in the file, a sound generator fails with a probability near 1e-3.
"""

import numpy as np
import pytest
from scipy.special import chdtr, kolmogorov, ndtr, pdtr

from sdespec.core._philox import fill_poisson
from sdespec.core._philox_reference import normal
from sdespec.core.rng import chi_square, standard_normal, words_of

N = 1_000_000


def _ks(sample, cdf):
    """p-value of the two-sided Kolmogorov-Smirnov test."""
    u = np.sort(cdf(sample))
    grid = np.arange(1, len(u) + 1) / len(u)
    distance = max((grid - u).max(), (u - grid + 1 / len(u)).max())
    return kolmogorov(np.sqrt(len(u)) * distance)


def _moment_scores(z):
    """z-scores of the first four moments of standard normals."""
    targets = {1: (0.0, 1.0), 2: (1.0, 2.0), 3: (0.0, 15.0), 4: (3.0, 96.0)}
    return np.array([(np.mean(z**k) - mean) / np.sqrt(var / z.size) for k, (mean, var) in targets.items()])


def _stream(along):
    """A million normals along one field of the counter, the others fixed."""
    if along == "entry":
        return standard_normal((N,), seed=1, replicate=0)
    width = N // 1000
    return np.array(
        [standard_normal((width,), seed=1, **({"replicate": 0} | {along: k})) for k in range(1000)]
    ).T.ravel()


@pytest.mark.parametrize("along", ["entry", "step", "replicate"])
def test_normal_and_uncorrelated_along_each_field(along):
    z = _stream(along)
    for part in (z, z[::2], z[1::2]):  # the two numbers of a block also by themselves
        assert np.abs(_moment_scores(part)).max() < 4.5
        assert _ks(part, ndtr) > 1e-6
    for lag in (1, 2, 3, 4, 8, 512, 1000):
        for a in (z, (z**2 - 1) / np.sqrt(2)):  # both of unit variance
            assert abs(np.sum(a[:-lag] * a[lag:]) / np.sqrt(z.size)) < 4.5


def test_adjacent_seeds_and_purposes_are_uncorrelated():
    z = standard_normal((N,), seed=1, replicate=0)
    for other in (
        standard_normal((N,), seed=2, replicate=0),
        standard_normal((N,), seed=1, replicate=0, purpose=1),
    ):
        assert abs(np.sum(z * other) / np.sqrt(N)) < 4.5


def test_tails_have_their_mass():
    z = np.abs(standard_normal((4 * N,), seed=3, replicate=0))
    for bound in (2.0, 3.0, 4.0, 4.5):
        p = 2 * ndtr(-bound)
        assert abs((z > bound).sum() - z.size * p) < 4.5 * np.sqrt(z.size * p)


@pytest.mark.parametrize("degree", [1, 2, 3, 7, 64, 4000])
def test_chi_squares(degree):
    found = chi_square(np.full(200_000, float(degree)), seed=4, replicate=0)
    assert _ks(found, lambda x: chdtr(degree, x)) > 1e-6


@pytest.mark.parametrize("mean", [0.05, 3.0, 9.9, 10.0, 40.0, 3000.0])
def test_poisson_numbers(mean):
    """Randomized distribution function uniform by KS, above 1e-6; a mean 2 % larger is caught."""
    size = 200_000
    out, jitter = np.empty(size), np.random.default_rng(0).random(size)
    fill_poisson(out, np.full(size, mean), *words_of(seed=5, replicate=0, step=0))
    for other, right in ((mean, True), (mean * 1.02 + 0.01, False)):
        levels = pdtr(out, other) - jitter * (
            pdtr(out, other) - np.where(out > 0, pdtr(np.maximum(out - 1, 0), other), 0)
        )
        assert bool(_ks(levels, lambda u: u) > 1e-6) is right


def test_planted_bugs_are_seen():
    """Too few distinct words, a wrong half of the angle, and one degree too many each raise an alarm."""
    rng = np.random.default_rng(0)
    words = rng.integers(0, 2**32, size=(N // 2, 4), dtype=np.uint64)
    assert np.abs(_moment_scores(normal(words).ravel())).max() < 4.5
    half = words.copy()
    half[:, 3] &= ~np.uint64(2)  # no sign: one half plane only
    assert np.abs(_moment_scores(normal(half)[:, 0])).max() > 50
    coarse = words.copy()
    coarse[:, 0] &= ~np.uint64(0x0FFFFFFF)  # four bits of radius
    coarse[:, 1] = 0
    assert _ks(normal(coarse).ravel(), ndtr) < 1e-6
    repeated = np.tile(normal(words[: N // 4]).ravel(), 2)
    assert abs(np.sum(repeated[: N // 2] * repeated[N // 2 :]) / np.sqrt(N // 2)) > 50
    found = chi_square(np.full(200_000, 65.0), seed=4, replicate=0)
    assert _ks(found, lambda x: chdtr(64, x)) < 1e-6

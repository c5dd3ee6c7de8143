import numpy as np
import pytest
from scipy import special

from sdespec.core.linalg import eigenvalues
from sdespec.spectra import gaussian_null, shuffled_null

DRAWS = 200
N_ROWS, N_COLS = 24, 40


def spiked(seed):
    """Entries with a strong row pattern and heavy tails, which a shuffle must destroy and keep."""
    rng = np.random.default_rng(seed)
    return rng.standard_t(9, (N_ROWS, N_COLS)) + np.linspace(-3, 3, N_COLS)


def z_of_second_moment(null, entries):
    """Mean of sum(eigenvalue^2) against its exact value under a uniform permutation of the entries.

    sum(eigenvalue^2) = sum over (i, k, j, l) of w_ij w_kj w_il w_kl; the terms are grouped by which of the four
    places coincide, and the mean of each group is an elementary symmetric average over places without repetition.
    """
    n, m = N_ROWS, N_COLS
    size = n * m
    p1, p2, p4 = (np.sum(entries**k) for k in (1, 2, 4))
    p3 = np.sum(entries**3)
    pairs = (p2**2 - p4) / (size * (size - 1))
    # sum over distinct places of w_a w_b w_c w_d by Newton's identities
    four = p1**4 - 6 * p1**2 * p2 + 3 * p2**2 + 8 * p1 * p3 - 6 * p4
    distinct = four / (size * (size - 1) * (size - 2) * (size - 3))
    expected = size * (p4 / size) + (n * m * (m - 1) + m * n * (n - 1)) * pairs + n * (n - 1) * m * (m - 1) * distinct
    values = np.sum(null**2, axis=1)
    return (values.mean() - expected) / (values.std(ddof=1) / np.sqrt(len(values)))


def test_second_moment_of_the_shuffled_null_is_exact():
    """Mean over 200 draws within 4 standard errors of the exact mean: false-alarm rate 1e-4."""
    entries = spiked(0)
    assert abs(z_of_second_moment(shuffled_null(entries, draws=DRAWS, seed=1), entries)) < 4.0


@pytest.mark.parametrize("wrong", ["rows only", "columns only", "redrawn without the mean"])
def test_wrong_shuffles_are_found(wrong):
    rng = np.random.default_rng(2)
    entries = spiked(0)
    null = []
    for _ in range(DRAWS):
        if wrong == "rows only":
            shuffled = rng.permutation(entries, axis=0)
        elif wrong == "columns only":
            shuffled = rng.permuted(entries, axis=0)
        else:
            shuffled = rng.normal(0.0, 0.9 * entries.std(), entries.shape)
        null.append(eigenvalues(shuffled))
    assert abs(z_of_second_moment(np.array(null), entries)) > 4.0


def p_of_uniform_places(positions, count):
    """Chi-square p-value of the places where a marked entry landed."""
    observed = np.bincount(positions, minlength=count)
    expected = len(positions) / count
    return float(special.chdtrc(count - 1, np.sum((observed - expected) ** 2 / expected)))


def places(draws, seed):
    """Where the first entry goes, read from the working array after each single draw."""
    out = []
    for index in range(draws):
        work = np.zeros((3, 4))
        work[0, 0] = 1.0
        shuffled_null(work, draws=2, seed=seed, name=str(index), overwrite=True)
        out.append(int(np.argmax(work)))
    return np.array(out)


def test_every_place_is_equally_likely_after_two_draws():
    """Chi-square with 11 degrees of freedom: false-alarm rate 1e-4."""
    found = places(1200, 3)
    assert p_of_uniform_places(found, 12) > 1e-4
    assert p_of_uniform_places(np.where(found == 0, 1, found), 12) < 1e-4  # planted: one place is never reached


def test_gaussian_null_follows_the_moments_of_the_wishart_law():
    """E tr S = n m v and E tr S^2 = n m (n + m + 1) v^2 for real entries, 4 standard errors each: rate 1.3e-4."""
    variance, draws = 0.7, 2000
    null = gaussian_null(N_ROWS, N_COLS, variance, draws=draws, seed=4)
    first, second = null.sum(axis=1), np.sum(null**2, axis=1)
    size = N_ROWS * N_COLS
    exact = {1: size * variance, 2: size * (N_ROWS + N_COLS + 1) * variance**2}
    complex_field = size * (N_ROWS + N_COLS) * variance**2  # the formula of complex entries must be told apart

    def z(values, mean):
        return (values.mean() - mean) / (values.std(ddof=1) / np.sqrt(draws))

    assert abs(z(first, exact[1])) < 4.0
    assert abs(z(second, exact[2])) < 4.0
    assert abs(z(second, complex_field)) > 4.0

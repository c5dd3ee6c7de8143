"""Null spectra: what the singular values of a matrix would be if its entries had no arrangement."""

from __future__ import annotations

import hashlib

import numpy as np

from sdespec.core.errors import UsageError
from sdespec.core.linalg import eigenvalues

__all__ = ["gaussian_null", "shuffled_null"]


def _sequence(seed: int, name: str, *index: int) -> np.random.SeedSequence:
    """Stream of one layer: it depends on the seed, the name and the index only."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise UsageError(f"seed is {seed!r}; it must be an integer, at least 0")
    words = np.frombuffer(hashlib.sha256(name.encode()).digest()[:16], dtype="<u4")
    return np.random.SeedSequence([int(seed), *map(int, words), *index])


def _check_draws(draws: int) -> None:
    if draws < 1:
        raise UsageError(f"draws is {draws}; at least one draw is needed")


def shuffled_null(
    matrix: np.ndarray, *, draws: int = 1, seed: int = 0, name: str = "", overwrite: bool = False
) -> np.ndarray:
    r"""Squared singular values after a uniformly random permutation of all entries.

    .. math:: \lambda^0 = s\bigl(\pi(W)\bigr)^2, \qquad \pi \text{ a uniform permutation of the } n m \text{ places}

    Parameters
    ----------
    matrix : ndarray, (n, m)
        Real and finite.
    draws : int
        Number of independent permutations.
    seed : int
        Not negative.
    name : str
        Name of the layer; draw d depends on (seed, name, d) and the entries only, whatever ``draws`` is.
    overwrite : bool
        Permute the entries of ``matrix`` itself where it is a C-ordered float64 array, which saves a copy as large
        as the matrix. Its entries are then left in random order.

    Returns
    -------
    ndarray, (draws, min(n, m))
        Descending along the second axis.

    Raises
    ------
    SpectrumError
        If the array is not a real, finite matrix.
    UsageError
        If ``draws`` or ``seed`` is not allowed.

    Notes
    -----
    The null keeps the law of the entries, their mean and their heavy tails, and removes their arrangement. Each
    draw permutes the result of the one before it: products of independent uniform permutations are again
    independent and uniform. Cost per draw: O(n m) for the permutation and one computation of singular values.

    Examples
    --------
    >>> shuffled_null(np.ones((2, 3)), draws=2).round(12)
    array([[6., 0.],
           [6., 0.]])
    """
    _check_draws(draws)
    work = np.asarray(matrix)
    if not (overwrite and work.dtype == np.float64 and work.flags.c_contiguous and work.flags.writeable):
        work = np.array(work, dtype=np.float64, order="C", copy=True)
    out = []
    for draw in range(draws):
        np.random.Generator(np.random.Philox(_sequence(seed, name, draw))).shuffle(work.reshape(-1))
        out.append(eigenvalues(work))
    return np.stack(out)


def gaussian_null(
    n_rows: int, n_cols: int, variance: float, *, draws: int = 1, seed: int = 0, name: str = ""
) -> np.ndarray:
    r"""Squared singular values of matrices of independent Gaussian entries of mean zero.

    .. math:: \lambda^0 = s(G)^2, \qquad G_{ij} \sim N(0, \text{variance})

    Parameters
    ----------
    n_rows, n_cols : int
        Shape.
    variance : float
        Variance of an entry, positive.
    draws : int
        Number of independent draws.
    seed : int
        Not negative.
    name : str
        Name of the layer; draw d depends on (seed, name, d) only.

    Returns
    -------
    ndarray, (draws, min(n_rows, n_cols))
        Descending along the second axis.

    Raises
    ------
    UsageError
        If an argument is not allowed.

    Notes
    -----
    No matrix is made: the values come from the bidiagonal model of the Laguerre ensemble. Unlike
    ``shuffled_null`` it knows nothing of heavy tails or of the mean of the entries.

    References
    ----------
    Dumitriu and Edelman, J. Math. Phys. 43 (2002) 5830, section III.

    Examples
    --------
    >>> gaussian_null(10, 20, 0.5, draws=3).shape
    (3, 10)
    """
    from sdespec.laws import LaguerreEnsemble  # here, since the shuffled null needs no laws

    _check_draws(draws)
    stream = int(_sequence(seed, name).generate_state(1, np.uint64)[0] >> 1)
    out: np.ndarray = LaguerreEnsemble(n_rows, n_cols, variance).rvs(draws, seed=stream)
    return out

"""Tell whether the entries of a matrix fill exactly a standard initial law."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from scipy import special

from sdespec.spectra.entries import EntryStatistics, entry_statistics, row_blocks

__all__ = ["at_initialization"]

_SINGLE = float(np.finfo(np.float32).eps)
_MIN_ENTRIES = 1024
_EDGE = 14.0  # a bound is missed by more than _EDGE / (expected density at the edge) with probability exp(-14)
_Z = 5.0  # standard errors allowed to mean and kurtosis
_Z_STD = 3.3  # fewer for the standard deviation, since every Gaussian matrix meets the other tests
_KS = float(special.kolmogi(1e-6))
_GRID = 1024
_TRACY_WIDOM = 6.0  # the Tracy-Widom law of beta = 1 exceeds it with probability below 1e-5
_TRUNCATION = 2.0
_TRUNCATED_MASS = float(special.erf(_TRUNCATION / math.sqrt(2.0)))
_TRUNCATED_STD = math.sqrt(1.0 - 2.0 * _TRUNCATION * math.exp(-2.0) / math.sqrt(2.0 * math.pi) / _TRUNCATED_MASS)


@dataclass(frozen=True)
class _Law:
    """A symmetric law with standard deviation 1; ``moments`` are its even moments 4, 6 and 8."""

    label: str
    bound: float
    edge_density: float
    moments: tuple[float, float, float]
    cdf: Callable[[np.ndarray], np.ndarray]

    @property
    def kurtosis_variance(self) -> float:
        """Variance of the sample kurtosis times the sample size, by the delta method."""
        fourth, sixth, eighth = self.moments
        return eighth - 4.0 * fourth * sixth + 4.0 * fourth**3 - fourth**2


def _truncated_moments() -> tuple[float, float, float]:
    """Even moments of the normal law cut at two standard deviations, in units of its own."""
    edge = math.exp(-0.5 * _TRUNCATION**2) / math.sqrt(2.0 * math.pi) / _TRUNCATED_MASS
    moment = {0: 1.0}
    for order in (2, 4, 6, 8):
        moment[order] = (order - 1) * moment[order - 2] - 2.0 * _TRUNCATION ** (order - 1) * edge
    return (
        moment[4] / _TRUNCATED_STD**4,
        moment[6] / _TRUNCATED_STD**6,
        moment[8] / _TRUNCATED_STD**8,
    )


def _truncated_cdf(x: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = special.erf(x * _TRUNCATED_STD / math.sqrt(2.0)) / _TRUNCATED_MASS
    return 0.5 + 0.5 * scaled


_ROOT3 = math.sqrt(3.0)
_UNIFORM = _Law("uniform", _ROOT3, 0.5 / _ROOT3, (9 / 5, 27 / 7, 9.0), lambda x: 0.5 + x / (2.0 * _ROOT3))
_NORMAL = _Law("normal", math.inf, 0.0, (3.0, 15.0, 105.0), lambda x: np.asarray(special.ndtr(x)))
_TRUNCATED = _Law(
    "normal",
    _TRUNCATION / _TRUNCATED_STD,
    math.exp(-2.0) / math.sqrt(2.0 * math.pi) / _TRUNCATED_MASS * _TRUNCATED_STD,
    _truncated_moments(),
    _truncated_cdf,
)


def _candidates(fans: Sequence[tuple[int, int]]) -> Iterator[tuple[_Law, float]]:
    """Standard initial laws and their standard deviations."""
    for fan_pair in fans:
        squares = [(1.0 / fan, 2.0 / fan, 3.0 / fan, 6.0 / fan) for fan in fan_pair]
        for one, two, three, six in squares:
            yield from ((_UNIFORM, math.sqrt(bound / 3.0)) for bound in (one, three, six))
            yield from ((law, math.sqrt(variance)) for variance in (one, two) for law in (_NORMAL, _TRUNCATED))
        glorot = math.sqrt(2.0 / sum(fan_pair))
        yield from ((law, glorot) for law in (_UNIFORM, _NORMAL, _TRUNCATED))
    for std in (0.02, 1.0):
        yield _NORMAL, std
    yield _TRUNCATED, 0.02
    yield _TRUNCATED, 0.02 * _TRUNCATED_STD


def _moments_agree(law: _Law, std: float, stats: EntryStatistics, precision: float) -> bool:
    """Cheap tests, in the order in which they refuse most."""
    size = stats.size
    allowed, rounding = _Z_STD, precision**2  # rounding is unbiased, so moments feel its square
    if math.isfinite(law.bound):
        allowed = _Z
        bound = law.bound * std
        window = _EDGE / (2.0 * law.edge_density * law.bound * size) + precision
        if not bound * (1.0 - window) <= stats.max_abs <= bound * (1.0 + precision):
            return False
    fourth = law.moments[0]
    relative = math.sqrt(stats.variance) / std - 1.0
    if abs(relative) > allowed * math.sqrt((fourth - 1.0) / (4.0 * size)) + rounding:
        return False
    if abs(stats.mean) > _Z * std / math.sqrt(size) + rounding * std:
        return False
    return abs(stats.kurtosis + 3.0 - fourth) <= _Z * math.sqrt(law.kurtosis_variance / size) + rounding


def _sides_agree(law: _Law, std: float, matrix: np.ndarray) -> bool:
    """Sums and sums of squares of rows and columns must scatter as those of independent entries do."""
    fourth, sixth, eighth = law.moments
    spread = fourth - 1.0  # variance of a squared entry
    square_kurtosis = (eighth - 4.0 * sixth + 6.0 * fourth - 3.0) / spread**2 - 3.0
    sums, squares = _marginals(matrix)
    for axis in (0, 1):
        count, length = matrix.shape[1 - axis], matrix.shape[axis]
        for values, variance, kurtosis in (
            (sums[axis] / (std * length), 1.0, fourth - 3.0),
            (squares[axis] / (std**2 * length), spread, square_kurtosis),
        ):
            scatter = float(np.sum((values - values.mean()) ** 2)) * length / variance
            error = math.sqrt(max(count - 1, 1) * (2.0 + kurtosis / length))
            if scatter - (count - 1) > (_Z + 1.0) * error:
                return False
    return True


def _top_agrees(std: float, shape: tuple[int, ...], largest: float) -> bool:
    """The largest squared singular value must not stick out of the bulk of independent entries."""
    first, second = math.sqrt(max(shape[0] - 1, 1)), math.sqrt(max(shape[1] - 1, 1))
    width = (first + second) * (1.0 / first + 1.0 / second) ** (1.0 / 3.0)
    edge: float = std**2 * ((first + second) ** 2 + _TRACY_WIDOM * width)
    return largest <= edge


def _marginals(matrix: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Sums and sums of squares along each axis."""
    columns = np.zeros((2, matrix.shape[1]))
    rows: list[np.ndarray] = []
    for block in row_blocks(matrix):
        squared = block * block
        columns += (block.sum(axis=0), squared.sum(axis=0))
        rows.append(np.stack((block.sum(axis=1), squared.sum(axis=1))))
    along_rows = np.concatenate(rows, axis=1)
    return [columns[0], along_rows[0]], [columns[1], along_rows[1]]


def _distance(law: _Law, std: float, matrix: np.ndarray) -> float:
    """KS distance on a fixed grid, which needs no sorted copy of the entries."""
    reach = min(law.bound, 5.0)
    grid = np.linspace(-reach, reach, _GRID + 1)[1:-1]
    below = np.zeros(grid.size + 1, dtype=np.int64)
    for block in row_blocks(matrix):
        places = np.searchsorted(grid, block.ravel() / std, side="left")
        below += np.bincount(places, minlength=grid.size + 1)
    empirical = np.cumsum(below)[:-1] / matrix.size
    return float(np.max(np.abs(empirical - law.cdf(grid))))


def at_initialization(
    matrix: np.ndarray,
    *,
    precision: float = _SINGLE,
    fans: Sequence[tuple[int, int]] = (),
    statistics: EntryStatistics | None = None,
    largest: float | None = None,
) -> str:
    r"""Tell whether the entries fill exactly a standard initial law.

    .. math:: |w| \le b, \quad b^2 \in \Bigl\{\frac{k}{\mathrm{fan}}, \frac{6}{n + m}\Bigr\}
              \qquad\text{or}\qquad
              w \sim N(0, s^2), \quad s^2 \in \Bigl\{\frac{k}{\mathrm{fan}}, \frac{2}{n + m}, 0.02^2, 1\Bigr\}

    Parameters
    ----------
    matrix : ndarray, (n, m)
        Real and finite.
    precision : float
        Machine epsilon of the type in which the entries were stored; float32 by default.
    fans : sequence of (int, int)
        Numbers of inputs and outputs beside (m, n), for matrices that were cut out of a larger tensor.
    statistics : EntryStatistics, optional
        Of the same matrix, where they are known already.
    largest : float, optional
        Largest squared singular value, where it is known: one beyond the Marchenko-Pastur edge, by more than 6 units
        of the Tracy-Widom law, refutes every initial law.

    Returns
    -------
    {"no", "uniform", "normal"}
        ``uniform`` for k in {1, 3, 6}; ``normal`` for k in {1, 2}, also cut at two standard deviations.

    Raises
    ------
    SpectrumError
        If the array is not a real, finite matrix.

    Notes
    -----
    A law is accepted when all of these hold: the largest entry is within its expected gap below the bound (where
    there is a bound) and not above it; mean, kurtosis and standard deviation are within 5 standard errors (3.3 for
    the standard deviation where there is no bound); sums and sums of squares of rows and columns scatter as those of
    independent entries do; and the KS distance on a grid of 1024 points is below its 1e-6 quantile. Cost O(n m),
    and nothing as large as the matrix is made.

    Miss rate, a matrix drawn from the law but called "no": 1e-3 for ``normal``, nearly all of it from the standard
    deviation, and below 5e-4 for laws with a bound. With fewer than 1024 entries the answer is always "no", since
    too many laws would fit.

    False alarms. ``uniform`` is sharp: entries that moved by more than 14 / (n m) of the bound leave the law.
    ``normal`` cannot be sharp: no test of the entries tells a matrix that moved in a random direction by less than
    about sqrt(6.6 / sqrt(2 n m)) of its norm from one that never moved, and independent Gaussian entries of unrelated
    scale are accepted if their standard deviation comes within 3.3 / sqrt(2 n m) of one of the named ones, of which
    there are 4 to 7. With its logarithm uniform over two decades that is 1 % for 384 x 384, 6 % for 64 x 64 and 12 %
    for 32 x 32. So ``normal`` means "cannot be told from". Orthogonal initial matrices are not recognised, nor
    embeddings with a row of zeros.

    References
    ----------
    Glorot and Bengio, AISTATS (2010), eq. 16; He et al., ICCV (2015), eq. 10.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> at_initialization(rng.uniform(-1, 1, (64, 256)) / 16)
    'uniform'
    >>> at_initialization(rng.normal(0, 0.0091, (64, 256)))
    'no'
    """
    stats = statistics or entry_statistics(matrix)
    if stats.size < _MIN_ENTRIES or not stats.variance > 0.0:
        return "no"
    n_rows, n_cols = matrix.shape
    pairs = dict.fromkeys(chain([(n_cols, n_rows)], fans))
    for law, std in _candidates(list(pairs)):
        if not _moments_agree(law, std, stats, precision):
            continue
        if largest is not None and not _top_agrees(std, matrix.shape, largest):
            continue
        if _sides_agree(law, std, matrix):
            distance = _distance(law, std, matrix)
            if distance <= _KS / math.sqrt(stats.size) + 0.25 * precision:
                return law.label
    return "no"

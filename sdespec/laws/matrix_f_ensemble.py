"""Matrix F ensemble: whole spectra of a Wishart matrix over another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special
from scipy.linalg import solve_triangular

from sdespec.core.checks import not_negative, positive, require, whole
from sdespec.core.errors import UsageError
from sdespec.laws._base import Array, Named, stream
from sdespec.laws.wachter import Wachter

__all__ = ["MatrixFEnsemble"]


@dataclass(frozen=True)
class MatrixFEnsemble(Named):
    r"""Eigenvalues of :math:`s\,Y^{-1/2} X Y^{-1/2}` for independent real Wishart matrices X and Y.

    With X of m, Y of N degrees of freedom, both n x n of unit covariance, and for :math:`n \le m`

    .. math::
        p(\lambda) = \frac{1}{Z} \prod_k \lambda_k^{(m-n-1)/2} (1 + \lambda_k/s)^{-(m+N)/2}
        \prod_{j<k} |\lambda_j - \lambda_k|

    Parameters
    ----------
    n_rows, n_cols : int or float
        Shape (n, m) of the numerator. Two integers may come in either order: for n > m these are the m values that
        are not zero, the ensemble (m, n, N + m - n). Else n_cols may be any real number above n_rows - 1.
    n_denominator : int or float
        Degrees of freedom N > n_rows - 1 of the denominator, real.
    scale : float
        :math:`s > 0`, in the unit of the values.

    Raises
    ------
    UsageError
        If a parameter is not allowed.

    Notes
    -----
    The largest value has a power-law survival function of exponent (N - n + 1)/2; the values of one large spectrum
    have none: they fill ``bulk``, a law between two edges.

    References
    ----------
    Forrester, Log-Gases and Random Matrices (2010), section 3.6 and the Selberg integral, Proposition 4.7.1.

    Examples
    --------
    >>> ensemble = MatrixFEnsemble(n_rows=3, n_cols=5, n_denominator=7.5)
    >>> ensemble.rvs(2, seed=0).shape
    (2, 3)
    >>> ensemble.tail_exponent
    2.75
    """

    n_rows: int
    n_cols: float
    n_denominator: float
    scale: float = 1.0

    def __post_init__(self) -> None:
        """Check the parameters."""
        integer = positive(self.n_rows) and float(self.n_rows).is_integer()
        require(integer, "n_rows", self.n_rows, "a positive integer")
        require(positive(self.n_cols), "n_cols", self.n_cols, "positive")
        allowed = self.n_cols > self.n_rows - 1 or float(self.n_cols).is_integer()
        require(allowed, "n_cols", self.n_cols, f"an integer, or above n_rows - 1 = {self.n_rows - 1}")
        above = positive(self.n_denominator) and self.n_denominator > self.n_rows - 1
        require(above, "n_denominator", self.n_denominator, f"finite and above n_rows - 1 = {self.n_rows - 1}")
        require(positive(self.scale), "scale", self.scale, "positive")

    @classmethod
    def stationary(
        cls, n_rows: int, n_cols: int, *, weight_decay: float, diffusion: float, multiplicative: float
    ) -> MatrixFEnsemble:
        r"""Stationary law of a matrix under noise that multiplies it from the right.

        .. math:: dW = -g W\,dt + \sqrt{2D}\,dB + \sqrt{2k}\,W\,dB', \qquad
            N = \frac{g}{k} + n + 1 - m, \quad s = \frac{D}{k}

        with :math:`W` of n x m, :math:`n \le m`, and a square matrix :math:`B'` of independent Brownian motions.

        Parameters
        ----------
        n_rows, n_cols : int
            Shape of W, n_rows at most n_cols.
        weight_decay : float
            Rate g.
        diffusion : float
            D > 0 of the additive noise.
        multiplicative : float
            k > 0 of the noise that multiplies W.

        Returns
        -------
        MatrixFEnsemble

        Raises
        ------
        UsageError
            If no stationary law exists: it needs g > k (m - 2).

        Examples
        --------
        >>> MatrixFEnsemble.stationary(2, 3, weight_decay=4.0, diffusion=0.5, multiplicative=1.0)
        MatrixFEnsemble(n_rows=2, n_cols=3, n_denominator=4.0, scale=0.5)
        """
        n, m = whole(n_rows, "n_rows", 1), whole(n_cols, "n_cols", 1)
        require(n <= m, "n_rows", n_rows, f"at most n_cols = {m}; transpose the matrix and its noise")
        require(not_negative(weight_decay), "weight_decay", weight_decay, "at least 0")
        require(positive(diffusion), "diffusion", diffusion, "positive")
        require(positive(multiplicative), "multiplicative", multiplicative, "positive")
        least = multiplicative * (m - 2)
        require(weight_decay > least, "weight_decay", weight_decay, f"above multiplicative * (n_cols - 2) = {least:g}")
        return cls(n, m, weight_decay / multiplicative + n + 1 - m, diffusion / multiplicative)

    @property
    def parameters(self) -> dict[str, float]:
        """Constructor arguments by name."""
        return {name: float(getattr(self, name)) for name in self.parameter_names()}

    @property
    def _sides(self) -> tuple[int, float, float]:
        """Number of values n, and the degrees of freedom m and N."""
        if self.n_cols <= self.n_rows - 1:
            return int(self.n_cols), float(self.n_rows), self.n_denominator + self.n_cols - self.n_rows
        return int(self.n_rows), float(self.n_cols), float(self.n_denominator)

    @property
    def rank(self) -> int:
        """Number of values in a spectrum."""
        return self._sides[0]

    @property
    def bulk(self) -> Wachter:
        """Law of one value in a large matrix; it needs n_denominator > n_rows."""
        return Wachter(*self._sides, self.scale)

    @property
    def edges(self) -> tuple[float, float]:
        """Lower and upper edge of the bulk."""
        return self.bulk.edges

    @property
    def tail_exponent(self) -> float:
        """Exponent (N - n + 1)/2 of the survival function of the largest value."""
        n, _, denominator = self._sides
        return 0.5 * (denominator - n + 1.0)

    def reciprocal(self) -> MatrixFEnsemble:
        """Ensemble of the reciprocal values: numerator and denominator change places.

        Examples
        --------
        >>> MatrixFEnsemble(2, 3, 4, scale=0.5).reciprocal()
        MatrixFEnsemble(n_rows=2, n_cols=4.0, n_denominator=3.0, scale=2.0)
        """
        n, m, denominator = self._sides
        return MatrixFEnsemble(n, denominator, m, 1.0 / self.scale)

    def rvs(self, size: int, *, seed: int) -> Array:
        """Draw whole spectra, exactly at any size.

        Parameters
        ----------
        size : int
            Number of spectra, at least 0.
        seed : int
            At least 0; spectrum i depends on ``(seed, i)`` only.

        Returns
        -------
        ndarray, (size, rank)
            Each row descending, never negative.

        Notes
        -----
        Squared singular values of the quotient of two triangular Bartlett factors: O(n^3) a spectrum, whatever the
        degrees of freedom.
        """
        n, m, denominator = self._sides
        count = whole(size, "size", 0)
        whole(seed, "seed", 0)
        out = np.empty((count, n))
        for i in range(count):
            generator = stream(seed, i)
            above, below = _bartlett(generator, n, m), _bartlett(generator, n, denominator)
            quotient = solve_triangular(below, above, lower=True, check_finite=False)
            out[i] = np.linalg.svd(quotient, compute_uv=False) ** 2
        out *= self.scale
        return out

    def logpdf(self, spectrum: ArrayLike) -> Any:
        r"""Logarithm of the joint density of the unordered values, of mass 1 over all orders.

        .. math:: Z = s^{nm/2} \prod_{j=0}^{n-1}
            \frac{\Gamma(\frac{m-n+1+j}{2})\, \Gamma(\frac{N-n+1+j}{2})\, \Gamma(1 + \frac{j+1}{2})}
            {\Gamma(\frac{m+N-n+1+j}{2})\, \Gamma(\frac32)}

        Parameters
        ----------
        spectrum : array_like, (..., rank)
            Whole spectra, each in any order. The density of descending spectra is rank! times larger.

        Returns
        -------
        ndarray, (...)
            -inf where a value is negative or two coincide, NaN where one is NaN.

        Raises
        ------
        UsageError
            If the last axis has not the length rank.

        Examples
        --------
        >>> round(float(MatrixFEnsemble(1, 2, 2).logpdf([1.0])) / math.log(2.0), 6)
        -2.0
        """
        n, m, denominator = self._sides
        values = np.asarray(spectrum, dtype=np.float64)
        if values.shape[-1:] != (n,):
            raise UsageError(f"spectra have the shape {values.shape}; the last axis must have length {n}, the rank")
        first, second = np.triu_indices(n, 1)
        with np.errstate(all="ignore"):
            one_body = special.xlogy(0.5 * (m - n - 1.0), values)
            one_body -= 0.5 * (m + denominator) * np.log1p(values / self.scale)
            gaps = np.abs(values[..., first] - values[..., second])
            out = one_body.sum(axis=-1) + np.log(gaps).sum(axis=-1) - self._log_constant()
        out = np.where((values < 0.0).any(axis=-1) | (gaps == 0.0).any(axis=-1), -np.inf, out)
        return np.where(np.isnan(values).any(axis=-1), np.nan, out)[()]

    def _log_constant(self) -> float:
        n, m, denominator = self._sides
        j = np.arange(n)
        gammas = special.gammaln(0.5 * (m - n + 1.0 + j)) + special.gammaln(0.5 * (denominator - n + 1.0 + j))
        gammas += special.gammaln(1.5 + 0.5 * j) - special.gammaln(0.5 * (m + denominator - n + 1.0 + j))
        return float(gammas.sum() - n * special.gammaln(1.5) + 0.5 * n * m * math.log(self.scale))


def _bartlett(generator: np.random.Generator, n: int, freedom: float) -> Array:
    """Lower triangular root of an n x n Wishart matrix of unit covariance."""
    root = np.tril(generator.standard_normal((n, n)), -1)
    root[np.diag_indices(n)] = np.sqrt(generator.chisquare(freedom - np.arange(n)))
    return np.asarray(root)

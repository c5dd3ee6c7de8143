"""Laguerre ensemble: whole spectra of Gaussian matrices, exactly and without matrices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special
from scipy.linalg import eigh_tridiagonal

from sdespec.core.checks import positive, require, whole
from sdespec.core.errors import UsageError
from sdespec.laws._base import Array, Named, stream
from sdespec.laws.marchenko_pastur import MarchenkoPastur

__all__ = ["LaguerreEnsemble"]

_GRAM_RATIO = 1e-10
"""Smallest over largest value below which the Gram matrix has lost more than about six digits of the smallest."""


@dataclass(frozen=True)
class LaguerreEnsemble(Named):
    r"""Squared singular values of an n x m Gaussian matrix, and their extension to any repulsion.

    With :math:`n \le m` and :math:`v` the variance of one real component of an entry,

    .. math::
        p(\lambda) = \frac{1}{Z} \prod_k \lambda_k^{\beta(m-n+1)/2 - 1} e^{-\lambda_k/2v}
        \prod_{j<k} |\lambda_j - \lambda_k|^\beta

    Parameters
    ----------
    n_rows, n_cols : int or float
        Shape. Two integers may come in either order; else n_cols may be any real number above n_rows - 1.
    variance : float
        Variance v > 0 of one real component of one entry: a complex entry (beta = 2) has E|w|^2 = 2v, in general
        beta * v.
    beta : float
        Repulsion, positive; 1 for real, 2 for complex, 4 for quaternion matrices.

    Raises
    ------
    UsageError
        If a parameter is not allowed.

    Notes
    -----
    The stationary law of the isotropic matrix diffusion has v = diffusion / weight_decay. Edges and spikes are those
    of large matrices at fixed beta.

    References
    ----------
    Dumitriu and Edelman, Journal of Mathematical Physics 43 (2002) 5830, section III.

    Examples
    --------
    >>> ensemble = LaguerreEnsemble(n_rows=3, n_cols=5, variance=1.0)
    >>> ensemble.rvs(2, seed=0).shape
    (2, 3)
    """

    n_rows: int
    n_cols: float
    variance: float
    beta: float = 1.0

    def __post_init__(self) -> None:
        """Check the parameters."""
        integer = positive(self.n_rows) and float(self.n_rows).is_integer()
        require(integer, "n_rows", self.n_rows, "a positive integer")
        require(positive(self.variance), "variance", self.variance, "positive")
        require(positive(self.beta), "beta", self.beta, "positive")
        require(positive(self.n_cols), "n_cols", self.n_cols, "positive")
        allowed = self.n_cols > self.n_rows - 1 or float(self.n_cols).is_integer()
        require(allowed, "n_cols", self.n_cols, f"an integer, or above n_rows - 1 = {self.n_rows - 1}")

    @property
    def parameters(self) -> dict[str, float]:
        """Constructor arguments by name."""
        return {name: float(getattr(self, name)) for name in self.parameter_names()}

    @property
    def _sides(self) -> tuple[int, float]:
        """Number of values, and the other side."""
        if self.n_cols <= self.n_rows - 1:
            return int(self.n_cols), float(self.n_rows)
        return int(self.n_rows), float(self.n_cols)

    @property
    def rank(self) -> int:
        """Number of values in a spectrum."""
        return self._sides[0]

    @property
    def bulk(self) -> MarchenkoPastur:
        """Law of one value in a large matrix, with the variance beta * v of an entry."""
        return MarchenkoPastur(self.n_rows, self.n_cols, self.beta * self.variance)

    @property
    def edges(self) -> tuple[float, float]:
        """Lower and upper edge of the bulk."""
        return self.bulk.edges

    @property
    def threshold(self) -> float:
        r"""Critical strength :math:`\sqrt{\beta v}\,(nm)^{1/4}` beyond which a rank-one spike makes an outlier."""
        return math.sqrt(self.beta * self.variance * math.sqrt(self.n_rows * self.n_cols))

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
        A bidiagonal matrix of independent chi variables; its tridiagonal Gram matrix is solved for the values alone by
        LAPACK's ``sterf``: O(n^2) a spectrum, 1.6 ms at n = 384 (``stebz`` takes 32 ms, a dense SVD 9 ms). Values are
        exact to about 1e-16 of the largest one; where the smallest is below 1e-10 of it, the singular values of the
        bidiagonal matrix are taken, exact to 1e-16 of the largest *singular* value.
        """
        n, m = self._sides
        count = whole(size, "size", 0)
        whole(seed, "seed", 0)
        index = np.arange(n)
        freedom = self.beta * np.concatenate([m - index, n - index[1:]])
        out = np.empty((count, n))
        for i in range(count):
            squares = stream(seed, i).chisquare(freedom)
            out[i] = _squared_singular_values(squares[:n], squares[n:])
        out *= self.variance
        return out

    def logpdf(self, spectrum: ArrayLike) -> Any:
        r"""Logarithm of the joint density of the unordered values, of mass 1 over all orders.

        .. math:: Z = (2v)^{\beta nm/2} \prod_{j=0}^{n-1}
            \frac{\Gamma(1 + (j+1)\beta/2)\, \Gamma(\beta(m-n+1)/2 + j\beta/2)}{\Gamma(1 + \beta/2)}

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

        References
        ----------
        Forrester, Log-Gases and Random Matrices (2010), Selberg integral, Proposition 4.7.3.

        Examples
        --------
        >>> round(float(LaguerreEnsemble(1, 2, variance=0.5).logpdf([3.0])), 6)
        -3.0
        """
        n, m = self._sides
        values = np.asarray(spectrum, dtype=np.float64)
        if values.shape[-1:] != (n,):
            raise UsageError(f"spectra have the shape {values.shape}; the last axis must have length {n}, the rank")
        shape = self.beta * (m - n + 1.0) / 2.0
        first, second = np.triu_indices(n, 1)
        with np.errstate(all="ignore"):
            one_body = special.xlogy(shape - 1.0, values) - values / (2.0 * self.variance)
            gaps = np.abs(values[..., first] - values[..., second])
            out = one_body.sum(axis=-1) + self.beta * np.log(gaps).sum(axis=-1) - self._log_constant()
        out = np.where((values < 0.0).any(axis=-1) | (gaps == 0.0).any(axis=-1), -np.inf, out)
        return np.where(np.isnan(values).any(axis=-1), np.nan, out)[()]

    def _log_constant(self) -> float:
        n, m = self._sides
        half, j = self.beta / 2.0, np.arange(n)
        gammas = special.gammaln(1.0 + (j + 1) * half) + special.gammaln(half * (m - n + 1.0 + j))
        scale = half * n * m * math.log(2.0 * self.variance)
        return float(scale + gammas.sum() - n * special.gammaln(1.0 + half))

    def outlier(self, strength: ArrayLike) -> Any:
        r"""Largest squared singular value of ``strength`` u v^T plus a large matrix of this ensemble.

        .. math:: \lambda = (\theta^2 + \beta v m)(\theta^2 + \beta v n)/\theta^2 \quad\text{if}\quad
            \theta^4 > (\beta v)^2 n m, \text{ else the upper edge}

        Parameters
        ----------
        strength : array_like
            Singular value :math:`\theta \ge 0` of the spike, independent of the noise.

        Returns
        -------
        ndarray or float
            In the unit of squared singular values.

        Raises
        ------
        UsageError
            If a strength is negative or not finite.

        References
        ----------
        Benaych-Georges and Nadakuditi, Journal of Multivariate Analysis 111 (2012) 120, section 3.1.

        Examples
        --------
        >>> LaguerreEnsemble(n_rows=4, n_cols=9, variance=1.0).outlier([0.0, 6.0])
        array([25., 50.])
        """
        theta = np.asarray(strength, dtype=np.float64)
        if not (np.isfinite(theta) & (theta >= 0.0)).all():
            raise UsageError(f"strength is {strength!r}; it must be finite and at least 0")
        scale = self.beta * self.variance
        square = np.maximum(theta, self.threshold) ** 2
        above = (square + scale * self.n_rows) * (square + scale * self.n_cols) / square
        return np.where(theta > self.threshold, above, self.edges[1])[()]

    def strength(self, outlier: ArrayLike) -> Any:
        """Strength of the spike whose outlier stands at a place: the inverse of ``outlier`` beyond the edge.

        Parameters
        ----------
        outlier : array_like
            Squared singular values.

        Returns
        -------
        ndarray or float
            NaN where the place is not beyond the upper edge.

        Examples
        --------
        >>> float(LaguerreEnsemble(n_rows=4, n_cols=9, variance=1.0).strength(50.0))
        6.0
        """
        place = np.asarray(outlier, dtype=np.float64)
        scale = self.beta * self.variance
        lower, upper = self.edges
        with np.errstate(invalid="ignore"):
            # (place - lower)(place - upper) is the discriminant, without its cancellation next to the edge
            root = np.sqrt((place - lower) * (place - upper))
            square = 0.5 * (place - scale * (self.n_rows + self.n_cols) + root)
            return np.where(place > upper, np.sqrt(square), np.nan)[()]


def _squared_singular_values(diagonal: Array, below: Array) -> Array:
    """Squared singular values, descending, of a lower bidiagonal matrix given by its squared entries."""
    if diagonal.size == 1:
        return diagonal
    gram = diagonal.copy()
    gram[1:] += below
    off = np.sqrt(diagonal[:-1] * below)
    values = eigh_tridiagonal(gram, off, eigvals_only=True, lapack_driver="sterf", check_finite=False)
    if values[0] < _GRAM_RATIO * values[-1]:
        matrix = np.diag(np.sqrt(diagonal)) + np.diag(np.sqrt(below), -1)
        return np.asarray(np.linalg.svd(matrix, compute_uv=False) ** 2)
    return np.asarray(values[::-1])

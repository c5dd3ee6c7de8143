"""What is recorded of a trained network besides its losses: spectra and the top of the neural tangent kernel."""

from __future__ import annotations

import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh

from sdespec.core.errors import NumericalError
from sdespec.core.lapack import squared_singular_values

__all__ = ["spectrum", "tangent_top"]

_DENSE_SIDE = 64
_KRYLOV = 40
_TOLERANCE = 1e-10
# Squares of what is smaller than this leave the range of float64: such weights have decayed to nothing.
_SMALLEST = 1e-140


def spectrum(matrix: np.ndarray) -> np.ndarray:
    """Squared singular values, largest first; 0 where their squares would underflow.

    Parameters
    ----------
    matrix : ndarray, (n, m)
        Finite.

    Returns
    -------
    ndarray, (min(n, m),)

    Raises
    ------
    NumericalError
        If LAPACK does not converge.

    Examples
    --------
    >>> spectrum(np.diag([1.0, 2.0])), spectrum(1e-200 * np.eye(2))
    (array([4., 1.]), array([0., 0.]))
    """
    values = np.zeros(min(matrix.shape))
    if np.abs(matrix).max() < _SMALLEST:
        return values
    # compiled, since NumPy holds the GIL while it decomposes one matrix
    info = squared_singular_values(matrix.copy(), values)
    if info != 0:
        raise NumericalError(f"LAPACK found no singular values of a {matrix.shape} matrix (info {info})")
    return values


def tangent_top(matrices: list[np.ndarray], weights: np.ndarray, inputs: np.ndarray | None, probe: np.ndarray) -> float:
    r"""Top eigenvalue of the neural tangent kernel over the number of samples.

    .. math:: \lambda_{\max}\Big(\hat\Sigma^{1/2} \sum_{l=0}^{L} |g^{l+1}|^2
        (M_{l-1} \cdots M_0)^T (M_{l-1} \cdots M_0)\, \hat\Sigma^{1/2}\Big), \qquad \hat\Sigma = X^T X / P

    Parameters
    ----------
    matrices : list of ndarray
        M_0 ... M_{L-1}.
    weights : ndarray, (L+1,)
        Squared norms of g^1 ... g^{L+1}, the last one being 1.
    inputs : ndarray or None, (P, D)
        Samples X; None is the population, with covariance 1.
    probe : ndarray, (P,) or (D,)
        Generic vector from which the search starts.

    Returns
    -------
    float
        In units in which gradient descent on a fixed kernel is stable up to learning_rate * value = 2. Relative
        error about 1e-10.

    Notes
    -----
    Lanczos iteration; a step costs two products with each matrix.

    Examples
    --------
    >>> tangent_top([np.diag([2.0, 1.0])], np.array([3.0, 1.0]), None, np.ones(2))
    7.0
    """

    def kernel(vectors: np.ndarray) -> np.ndarray:
        below = [vectors if inputs is None else inputs.T.dot(vectors)]
        for matrix in matrices:
            below.append(matrix.dot(below[-1]))
        out = weights[-1] * below[-1]
        for i in range(len(matrices) - 1, -1, -1):
            out = matrices[i].T.dot(out) + weights[i] * below[i]
        if inputs is not None:
            out = inputs.dot(out) / len(inputs)
        return np.asarray(out)

    side = matrices[0].shape[1] if inputs is None else len(inputs)
    if side <= _DENSE_SIDE:
        return float(np.linalg.eigvalsh(kernel(np.eye(side)))[-1])
    operator = LinearOperator((side, side), matvec=kernel, dtype=np.float64)
    top = eigsh(operator, k=1, which="LA", v0=probe, ncv=_KRYLOV, tol=_TOLERANCE, return_eigenvectors=False)
    return float(top[0])

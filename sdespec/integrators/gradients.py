"""Gradients of losses as the schemes take them: function pointers, or checked Python functions."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import is_jitted

from sdespec.core.errors import NumericalError, UsageError
from sdespec.models import MatrixSGD, QuadraticLoss, SpectralLoss

__all__ = ["Gradient", "compiled_gradient", "flow", "plain_gradient", "require_finite", "row_derivative"]

Gradient = Callable[[np.ndarray], np.ndarray]

_ACCURACY = 1e-7  # of one flow, relative to the largest singular value
_MOST_HALVINGS = 14


def require_finite(matrix: np.ndarray) -> None:
    """Raise if an entry is not finite."""
    if not np.isfinite(matrix.sum()):
        raise NumericalError("the matrix left the range of numbers; give a shorter time_step")


def compiled_gradient(model: MatrixSGD) -> Any:
    """Pointer to a compiled gradient, all of which have one type, or None where the loss is not compiled.

    Raises
    ------
    UsageError
        If a compiled loss does not take a matrix to a matrix.
    """
    inner: Any = model.loss
    if not is_jitted(inner):
        return None
    pointer = _pointer(inner)
    _check_shape(np.asarray(inner(np.ones((model.n_rows, model.n_cols)))), (model.n_rows, model.n_cols))
    return pointer


@lru_cache(maxsize=64)  # compiling takes about 0.1 s
def _pointer(inner: Any) -> Any:
    matrix = types.Array(types.float64, 2, "C")

    def call(weight: Any) -> Any:
        return inner(weight)

    try:
        return numba.cfunc(matrix(matrix))(call)
    except numba.core.errors.NumbaError as error:
        raise UsageError(
            "the compiled loss must take a C-contiguous float64 matrix to one of the same type (Numba says: "
            f"{str(error).strip().splitlines()[-1]}); use np.ascontiguousarray, or give the plain function"
        ) from error


def _check_shape(gradient: np.ndarray, shape: tuple[int, int]) -> None:
    if gradient.shape != shape:
        raise UsageError(
            f"the loss gave a gradient of the shape {gradient.shape} for a matrix of {shape}; both must be equal"
        )


def plain_gradient(model: MatrixSGD) -> Gradient:
    """The gradient of any loss as a Python function."""
    loss, shape = model.loss, (model.n_rows, model.n_cols)
    if loss is None:
        return np.zeros_like
    if isinstance(loss, QuadraticLoss):
        target, curvature = loss.target, loss.curvature
        return lambda weight: np.asarray((weight - target) @ curvature)
    if isinstance(loss, SpectralLoss):
        derivative = loss.derivative

        def spectral(weight: np.ndarray) -> np.ndarray:
            require_finite(weight)
            left, values, right = np.linalg.svd(weight, full_matrices=False)
            return np.asarray((left * np.asarray(derivative(values), dtype=np.float64)) @ right)

        return spectral

    def checked(weight: np.ndarray) -> np.ndarray:
        gradient = np.ascontiguousarray(loss(weight.copy()), dtype=np.float64)
        _check_shape(gradient, shape)
        return gradient

    return checked


def row_derivative(derivative: Callable[[Any], Any], rank: int) -> Gradient:
    """The derivative of a spectral loss for many spectra at once, row by row if it would mix them.

    Raises
    ------
    UsageError
        If it does not give an array of the shape of its argument.

    Examples
    --------
    >>> row_derivative(lambda s: s * (s**2).sum(), 2)(np.array([[2.0, 1.0], [0.0, 0.0]])).tolist()
    [[10.0, 5.0], [0.0, 0.0]]
    """
    probe = np.linspace(0.5, 2.0, 3 * rank).reshape(3, rank)[:, ::-1].copy()
    alone = [np.asarray(derivative(row), dtype=np.float64) for row in probe]
    if alone[0].shape != (rank,):
        raise UsageError(
            f"the derivative of the loss gave the shape {alone[0].shape} for singular values of the shape ({rank},); "
            "both must be equal"
        )

    def by_rows(values: np.ndarray) -> np.ndarray:
        return np.array([derivative(row) for row in values], dtype=np.float64).reshape(values.shape)

    try:
        together = np.asarray(derivative(probe), dtype=np.float64)
    except Exception:  # a function of one row only may fail in any way
        return by_rows
    if together.shape == probe.shape and np.array_equal(together, np.array(alone)):
        return lambda values: np.asarray(derivative(values), dtype=np.float64)
    return by_rows


def flow(values: np.ndarray, derivative: Gradient, length: float) -> np.ndarray:
    r"""Follow :math:`s' = -\partial\Phi/\partial s` over a length, for each row, to a relative error of 1e-7.

    Parameters
    ----------
    values : ndarray, (rows, rank)
        Singular values.
    derivative : callable
        Derivative of the loss, which does not mix rows.
    length : float
        Length of the flow.

    Returns
    -------
    ndarray, (rows, rank)
        Their moduli: a singular value that goes through zero comes back.

    Raises
    ------
    NumericalError
        If the steps would become too short.

    Notes
    -----
    Classical Runge-Kutta; the step of a row is halved until the next halving changes nothing beyond the error.

    Examples
    --------
    >>> flow(np.array([[1.0]]), lambda s: s**3, 1.5).round(6)
    array([[0.5]])
    """
    out = _runge_kutta(values, derivative, length, 1)
    rows = np.arange(len(values))
    for halvings in range(1, _MOST_HALVINGS):
        finer = _runge_kutta(values[rows], derivative, length, 1 << halvings)
        with np.errstate(invalid="ignore", over="ignore"):
            change = np.abs(finer - out[rows]).max(axis=1)
            # fourth order: the finer one is 16 times as good, so that a change of 15 errors leaves one
            size = np.abs(finer).max(axis=1)
            settled = np.isfinite(size) & (change <= 15.0 * _ACCURACY * size)
        out[rows] = finer
        rows = rows[~settled]
        if len(rows) == 0:
            return np.asarray(np.abs(out))
    raise NumericalError(
        f"the flow of the loss over {length:g} needs steps below {length / 2**_MOST_HALVINGS:.1g}, or leaves the range "
        "of numbers; give a shorter time_step"
    )


def _runge_kutta(values: np.ndarray, derivative: Gradient, length: float, count: int) -> np.ndarray:
    h, s = length / count, values
    with np.errstate(all="ignore"):
        for _ in range(count):
            one = derivative(s)
            two = derivative(s - 0.5 * h * one)
            three = derivative(s - 0.5 * h * two)
            s = s - h / 6.0 * (one + 2.0 * two + 2.0 * three + derivative(s - h * three))
    return np.asarray(s)

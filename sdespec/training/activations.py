"""Activations of trained networks with their slopes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from scipy.special import erf, expit

__all__ = ["ACTIVATIONS", "activate"]

Pair = tuple[np.ndarray, np.ndarray]


def _tanh(fields: np.ndarray) -> Pair:
    value = np.tanh(fields)
    return value, 1.0 - value**2


def _erf(fields: np.ndarray) -> Pair:
    return erf(math.sqrt(math.pi) / 2.0 * fields), np.exp(-math.pi / 4.0 * fields**2)


def _softplus(fields: np.ndarray) -> Pair:
    return np.logaddexp(0.0, fields), expit(fields)


def _relu(fields: np.ndarray) -> Pair:
    return np.maximum(fields, 0.0), (fields > 0.0).astype(np.float64)


def _linear(fields: np.ndarray) -> Pair:
    return fields, np.ones_like(fields)


ACTIVATIONS: Mapping[str, Callable[[np.ndarray], Pair]] = MappingProxyType(
    {"tanh": _tanh, "erf": _erf, "softplus": _softplus, "relu": _relu, "linear": _linear}
)
"""Functions from fields to values and slopes; ``erf`` is erf(sqrt(pi) h / 2), the others are bare."""


def activate(name: str, fields: np.ndarray) -> Pair:
    r"""Values :math:`\phi(h)` and slopes :math:`\phi'(h)`.

    Parameters
    ----------
    name : {"tanh", "erf", "softplus", "relu", "linear"}
        Activation; the slope of ``relu`` at 0 is 0.
    fields : ndarray
        h, of any shape.

    Returns
    -------
    value, slope : ndarray
        Of the same shape.

    Examples
    --------
    >>> activate("relu", np.array([-1.0, 2.0]))
    (array([0., 2.]), array([0., 1.]))
    """
    return ACTIVATIONS[name](fields)

"""Activation functions of the theory and their slopes."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

__all__ = ["activate"]


def activate(name: str, fields: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Values and slopes of an activation.

    Parameters
    ----------
    name : {"tanh", "erf", "softplus", "relu", "linear"}
        ``erf`` is :math:`\mathrm{erf}(\sqrt{\pi} h / 2)`, of slope 1 at zero.
    fields : ndarray
        Pre-activations h.

    Returns
    -------
    value, slope : ndarray

    Examples
    --------
    >>> activate("relu", np.array([-1.0, 2.0]))
    (array([0., 2.]), array([0., 1.]))
    """
    if name == "tanh":
        value = np.tanh(fields)
        return value, 1.0 - value**2
    if name == "erf":
        half = 0.5 * math.sqrt(math.pi)
        return special.erf(half * fields), np.exp(-((half * fields) ** 2))
    if name == "softplus":
        return np.logaddexp(0.0, fields), special.expit(fields)
    if name == "relu":
        return np.maximum(fields, 0.0), (fields > 0.0).astype(np.float64)
    return fields.copy(), np.ones_like(fields)

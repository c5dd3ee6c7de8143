"""Strong and weak orders of the schemes, as the attributes of a simulation."""

from __future__ import annotations

import math
from typing import Any

from sdespec.integrators.matrix_schemes import strengths
from sdespec.models import MatrixSGD

__all__ = ["orders_of"]

_STRONG = {"exact": math.inf, "recursion": math.inf, "sra1": 1.5, "exponential": 1.0, "milstein": 1.0, "euler": 1.0}
_STRONG |= {"sorted_euler": 0.0}
_WEAK = {"exact": math.inf, "recursion": math.inf, "strang": 2.0, "sra1": 2.0, "exponential": 1.0, "milstein": 1.0}
_WEAK |= {"euler": 1.0, "implicit": 1.0, "sorted_euler": 0.0}


def orders_of(model: Any, method: str) -> dict[str, float]:
    """Orders of a scheme for a model, those that are known.

    Parameters
    ----------
    model : model
        What is simulated.
    method : str
        The scheme.

    Returns
    -------
    dict
        ``method_strong_order``, of the error of one path, and ``method_weak_order``, of the error of a mean; infinite
        where the scheme is exact in law. The strong one is left out where a scheme draws spectra in law and follows
        no path of the noise.

    Notes
    -----
    Euler's scheme has the strong order 1 under additive noise and 1/2 under noise that multiplies the matrix. The
    measured slopes are tabulated in ``sdespec.integrators.matrix_schemes``.

    Examples
    --------
    >>> from sdespec.models import IsotropicNoise, RightMultiplicativeNoise
    >>> orders_of(MatrixSGD(2, 3, 1.0, IsotropicNoise(0.1)), "euler")
    {'method_strong_order': 1.0, 'method_weak_order': 1.0}
    >>> orders_of(MatrixSGD(2, 3, 1.0, RightMultiplicativeNoise(0.1)), "euler")
    {'method_strong_order': 0.5, 'method_weak_order': 1.0}
    """
    found = {}
    if method in _STRONG:
        half = method == "euler" and isinstance(model, MatrixSGD) and strengths(model).multiplicative
        found["method_strong_order"] = 0.5 if half else _STRONG[method]
    if method in _WEAK:
        found["method_weak_order"] = _WEAK[method]
    return found

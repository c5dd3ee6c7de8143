"""The dictionary between SGD and its stochastic differential equation."""

from __future__ import annotations

from sdespec.core.checks import not_negative, positive, require

__all__ = ["sgd_diffusion"]


def sgd_diffusion(learning_rate: float, batch_size: float, gradient_variance: float, momentum: float = 0.0) -> float:
    r"""Diffusion of the SDE that approximates SGD, in the clock learning_rate * step / (1 - momentum).

    .. math:: D = \frac{\eta \sigma_g^2}{2 B (1 - \mu)}

    Parameters
    ----------
    learning_rate : float
        :math:`\eta > 0`.
    batch_size : float
        B > 0.
    gradient_variance : float
        Variance of one entry of the gradient of a single example, at least 0.
    momentum : float
        Heavy-ball momentum :math:`\mu` in [0, 1).

    Returns
    -------
    float

    Raises
    ------
    UsageError
        If an argument is not allowed.

    Notes
    -----
    In this clock the drift is unchanged. Sampling without replacement and large steps break the approximation.

    Examples
    --------
    >>> round(sgd_diffusion(0.01, 1, 1.0, momentum=0.9), 12)
    0.05
    """
    require(positive(learning_rate), "learning_rate", learning_rate, "positive")
    require(positive(batch_size), "batch_size", batch_size, "positive")
    require(not_negative(gradient_variance), "gradient_variance", gradient_variance, "at least 0")
    require(0.0 <= momentum < 1.0, "momentum", momentum, "in [0, 1)")
    return learning_rate * gradient_variance / (2.0 * batch_size * (1.0 - momentum))

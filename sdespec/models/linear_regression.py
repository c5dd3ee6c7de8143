"""SGD on linear regression: the discrete recursion, and the diffusion that stands for it."""

from __future__ import annotations

from dataclasses import dataclass

from sdespec.core.checks import not_negative, positive, require
from sdespec.models._base import Model
from sdespec.models.matrix_sgd import MatrixSGD
from sdespec.models.noise import IsotropicNoise, RightMultiplicativeNoise

__all__ = ["LinearRegressionSGD"]


@dataclass(frozen=True, eq=False, repr=False)
class LinearRegressionSGD(Model):
    r"""Error matrix of linear regression under SGD on fresh standard normal inputs.

    With the error :math:`E = W - W^*`, inputs :math:`x_b \sim N(0, 1)` and label noise :math:`\sigma \epsilon_b`,

    .. math:: E \to E - \frac{\eta}{B} \sum_{b=1}^{B} (E x_b - \sigma \epsilon_b)\, x_b^T

    Parameters
    ----------
    n_rows, n_cols : int
        Shape of E: outputs and inputs, each at least 1.
    learning_rate : float
        :math:`\eta > 0`.
    batch_size : int
        B, at least 1.
    label_noise : float
        Standard deviation :math:`\sigma \ge 0` of the labels.

    Raises
    ------
    UsageError
        If a field is not allowed.

    Notes
    -----
    Simulation gives the spectrum of E at whole numbers of updates. ``diffusion_model`` has the same drift and noise
    of small steps, but not the same tail: the tail index of the recursion differs by a factor of order one, also as
    the learning rate goes to zero.

    Examples
    --------
    >>> sgd = LinearRegressionSGD(2, 5, learning_rate=0.1, batch_size=4, label_noise=1.0)
    >>> sgd.diffusion_model().weight_decay
    1.05
    """

    n_rows: int
    n_cols: int
    learning_rate: float
    batch_size: int
    label_noise: float = 0.0

    def __post_init__(self) -> None:
        """Check the fields."""
        for name in ("n_rows", "n_cols", "batch_size"):
            value = getattr(self, name)
            require(isinstance(value, int) and value >= 1, name, value, "an integer of at least 1")
        require(positive(self.learning_rate), "learning_rate", self.learning_rate, "positive and finite")
        require(not_negative(self.label_noise), "label_noise", self.label_noise, "at least 0 and finite")

    def diffusion_model(self) -> MatrixSGD:
        r"""The diffusion in the clock learning_rate * step whose spectrum stands for that of the recursion.

        .. math:: g = 1 + \frac{\eta}{2B}(m - 1), \quad k = \frac{\eta}{B}, \quad D = \frac{\eta\sigma^2}{2B}

        Returns
        -------
        MatrixSGD
            With isotropic and right-multiplicative noise of n_cols x n_cols independent entries.

        Notes
        -----
        The gradient noise is a symmetric matrix on the right, with :math:`k = \eta/(2B)` and a decay of 1; for the
        spectrum this equals independent entries with twice the k and a decay that is larger by :math:`k (m - 1)`.
        A stationary law exists for :math:`1 > \eta (m - 3) / (2B)`: with B = 1 and 784 inputs for no learning rate
        above .0026.

        Examples
        --------
        >>> LinearRegressionSGD(1, 784, learning_rate=0.01, batch_size=1).diffusion_model().require_stationary()
        Traceback (most recent call last):
        ...
        sdespec.core.errors.UsageError: there is no stationary law: it needs weight_decay > k_right*(n_cols - 2), ...
        """
        rate = self.learning_rate / self.batch_size
        return MatrixSGD(
            self.n_rows,
            self.n_cols,
            weight_decay=1.0 + 0.5 * rate * (self.n_cols - 1),
            noise=(IsotropicNoise(0.5 * rate * self.label_noise**2), RightMultiplicativeNoise(rate)),
        )

    def __repr__(self) -> str:
        return (
            f"LinearRegressionSGD(n_rows={self.n_rows}, n_cols={self.n_cols}, learning_rate={self.learning_rate:g}, "
            f"batch_size={self.batch_size}, label_noise={self.label_noise:g}): E -> E - learning_rate * mean of "
            "(E x - label_noise*eps) x^T over a batch of fresh standard normal x"
        )

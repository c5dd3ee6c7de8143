"""Dyson motion of squared singular values."""

from __future__ import annotations

from dataclasses import dataclass

from sdespec.core.checks import not_negative, positive, require
from sdespec.models._base import Model

__all__ = ["DysonLaguerre"]


@dataclass(frozen=True, eq=False, repr=False)
class DysonLaguerre(Model):
    r"""Squared singular values of a matrix under weight decay and isotropic noise, and its extension to any repulsion.

    With :math:`n \le m`, :math:`g` the weight decay and :math:`D` the diffusion,

    .. math:: d\lambda_k = 2\sqrt{2D\lambda_k}\,db_k + \Big[-2g\lambda_k + 2D\beta\Big(m +
        \sum_{j\ne k}\frac{\lambda_k + \lambda_j}{\lambda_k - \lambda_j}\Big)\Big] dt

    which for beta = 1 is the law of the squared singular values of :math:`dW = -gW\,dt + \sqrt{2D}\,dB`.

    Parameters
    ----------
    n_rows : int
        At least 1.
    n_cols : float
        At least 1; orientation does not matter for integers. Any real number above n_rows - 1 where no matrix
        is drawn.
    weight_decay : float
        g >= 0.
    diffusion : float
        D > 0, of one real component of one entry.
    beta : float
        Repulsion, positive.

    Raises
    ------
    UsageError
        If a field is not allowed.

    References
    ----------
    Olsen et al., arXiv 2507.12709; Bru, Journal of Theoretical Probability 4 (1991) 725.

    Examples
    --------
    >>> DysonLaguerre(n_rows=32, n_cols=64, weight_decay=1.0, diffusion=0.3).variance
    0.3
    """

    n_rows: int
    n_cols: float
    weight_decay: float
    diffusion: float
    beta: float = 1.0

    def __post_init__(self) -> None:
        """Check the fields."""
        require(positive(self.n_rows) and float(self.n_rows).is_integer(), "n_rows", self.n_rows, "a positive integer")
        require(positive(self.n_cols), "n_cols", self.n_cols, "positive")
        if not float(self.n_cols).is_integer():
            require(
                self.n_cols > self.n_rows - 1,
                "n_cols",
                self.n_cols,
                f"an integer, or above n_rows - 1 = {self.n_rows - 1}",
            )
        require(not_negative(self.weight_decay), "weight_decay", self.weight_decay, "at least 0 and finite")
        require(positive(self.diffusion), "diffusion", self.diffusion, "positive and finite")
        require(positive(self.beta), "beta", self.beta, "positive and finite")

    @classmethod
    def high_temperature(cls, n: int, c: float, a: float, scale: float = 1.0) -> DysonLaguerre:
        r"""Weak repulsion beta = 2c/n, whose stationary one-body law lies between gamma (c -> 0) and Marchenko-Pastur.

        Parameters
        ----------
        n : int
            Number of values.
        c : float
            Repulsion, positive.
        a : float
            Exponent of the weight at zero, above -1.
        scale : float
            Scale of the stationary weight :math:`x^a e^{-x/scale}`.

        Returns
        -------
        DysonLaguerre
            With ``n_cols = n - 1 + 2(a+1)/beta``, weight decay 1 and diffusion ``scale / 2``.
        """
        require(positive(n), "n", n, "a positive integer")
        require(positive(c), "c", c, "positive")
        require(a > -1.0, "a", a, "above -1")
        require(positive(scale), "scale", scale, "positive")
        beta = 2.0 * c / n
        return cls(n, n - 1 + 2.0 * (a + 1.0) / beta, weight_decay=1.0, diffusion=scale / 2.0, beta=beta)

    @property
    def variance(self) -> float:
        """Stationary variance D/g of one real component of one entry; infinite without weight decay."""
        return self.diffusion / self.weight_decay if self.weight_decay > 0.0 else float("inf")

    def __repr__(self) -> str:
        return (
            f"DysonLaguerre(n_rows={self.n_rows}, n_cols={self.n_cols:g}, weight_decay={self.weight_decay:g}, "
            f"diffusion={self.diffusion:g}, beta={self.beta:g}): squared singular values of "
            "dW = -weight_decay*W dt + sqrt(2*diffusion) dB; isotropic noise, Ito calculus"
        )

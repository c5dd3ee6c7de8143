"""What every one-body law offers: density, distribution, quantiles, moments, score and draws."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sdespec.core.checks import whole

__all__ = ["Array", "Law", "Named", "stream"]

Array = np.ndarray


def stream(seed: int, *key: int) -> np.random.Generator:
    """Return the generator of ``seed`` and ``key``; it depends on nothing else.

    The key is a spawn key, not more entropy: numpy pads entropy with zeros, so [seed] and [seed, 0] are one stream.
    """
    sequence = np.random.SeedSequence(whole(seed, "seed", 0), spawn_key=key)
    return np.random.Generator(np.random.Philox(sequence))


@dataclass(frozen=True)
class Named:
    """A frozen noun with a name in snake case and its constructor arguments."""

    @classmethod
    def law_name(cls) -> str:
        """Name of the class in snake case."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()

    @classmethod
    def parameter_names(cls) -> tuple[str, ...]:
        """Names of the constructor's arguments."""
        return tuple(field.name for field in fields(cls))

    @property
    def name(self) -> str:
        """Name of the class in snake case."""
        return self.law_name()


@dataclass(frozen=True)
class Law(Named, ABC):
    """A probability law on the real line, frozen; all methods take arrays of any shape, scalars give scalars.

    Subclasses give ``_logpdf``, ``_cdf``, ``_ppf``, ``_score`` inside the support and the moments; this class takes
    care of the outside, of NaN and of infinite arguments.
    """

    @property
    def parameters(self) -> dict[str, float]:
        """Constructor arguments by name."""
        return {name: float(getattr(self, name)) for name in self.parameter_names()}

    @abstractmethod
    def support(self) -> tuple[float, float]:
        """Lower and upper end of the support."""

    @abstractmethod
    def mean(self) -> float:
        """Mean; infinite where it does not exist."""

    @abstractmethod
    def var(self) -> float:
        """Variance; infinite where it does not exist."""

    @abstractmethod
    def _logpdf(self, x: Array) -> Array: ...

    @abstractmethod
    def _cdf(self, x: Array) -> Array: ...

    @abstractmethod
    def _ppf(self, p: Array) -> Array: ...

    @abstractmethod
    def _score(self, x: Array) -> Array: ...

    @abstractmethod
    def _sf(self, x: Array) -> Array: ...

    def _pdf(self, x: Array) -> Array:
        return np.asarray(np.exp(self._logpdf(x)))

    def _evaluate(self, function: Callable[[Array], Array], x: ArrayLike, below: float, above: float) -> Any:
        """Apply ``function`` at the finite points of the support; constants outside, NaN for NaN."""
        values = np.asarray(x, dtype=np.float64)
        low, high = self.support()
        out = np.where(values < low, below, above)
        out[values == -np.inf] = below
        inside = (values >= low) & (values <= high) & np.isfinite(values)
        with np.errstate(all="ignore"):
            out[inside] = function(values[inside])
        out[np.isnan(values)] = np.nan
        return out[()]

    def logpdf(self, x: ArrayLike) -> Any:
        """Logarithm of the density; -inf outside the support."""
        return self._evaluate(self._logpdf, x, -np.inf, -np.inf)

    def pdf(self, x: ArrayLike) -> Any:
        """Density; 0 outside the support."""
        return self._evaluate(self._pdf, x, 0.0, 0.0)

    def cdf(self, x: ArrayLike) -> Any:
        """Probability of at most ``x``."""
        return self._evaluate(self._cdf, x, 0.0, 1.0)

    def sf(self, x: ArrayLike) -> Any:
        """Probability of more than ``x``, accurate in the upper tail."""
        return self._evaluate(self._sf, x, 1.0, 0.0)

    def score(self, x: ArrayLike) -> Any:
        """Derivative of the log-density in ``x``; NaN outside the support."""
        return self._evaluate(self._score, x, np.nan, np.nan)

    def ppf(self, p: ArrayLike) -> Any:
        """Quantile; NaN where ``p`` is not in [0, 1]."""
        values = np.asarray(p, dtype=np.float64)
        out = np.full(values.shape, np.nan)
        valid = (values >= 0.0) & (values <= 1.0)
        with np.errstate(all="ignore"):
            out[valid] = self._ppf(values[valid])
        return out[()]

    def rvs(self, size: int, *, seed: int) -> Array:
        """Draw independent values by inversion; value i depends on ``(seed, i)`` only.

        Parameters
        ----------
        size : int
            Number of values, at least 0.
        seed : int
            At least 0.

        Returns
        -------
        ndarray, (size,)
            Float64, in the order of the draws: fewer values are a prefix of more.
        """
        uniform = stream(seed).random(whole(size, "size", 0))
        # random() may be exactly 0, whose quantile is an end of the support
        return np.asarray(self.ppf(np.maximum(uniform, 2.0**-54)))

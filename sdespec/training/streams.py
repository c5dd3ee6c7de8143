"""Where every random number of a training run comes from."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from sdespec.core.rng import standard_normal

__all__ = ["Purpose", "Stream"]


class Purpose(IntEnum):
    """Field ``purpose`` of the noise counter, one for each kind of number."""

    WEIGHTS = 10  # step: index of the matrix
    READOUT = 11
    TEACHER = 12
    INPUTS = 13  # step: index of the update where every update has fresh samples, otherwise 0
    LABEL_NOISE = 14  # step: the same
    PROBE = 15  # start vector of the search for the top of the tangent kernel


class Stream:
    """Normal numbers of one replicate, each a function of seed, replicate, purpose and step only.

    Parameters
    ----------
    seed, replicate : int
        Seed of the run and index of the replicate.
    """

    def __init__(self, seed: int, replicate: int) -> None:
        self._seed = seed
        self._replicate = replicate

    def normal(self, shape: tuple[int, ...], purpose: Purpose, step: int = 0) -> np.ndarray:
        """Independent standard normal numbers.

        Parameters
        ----------
        shape : tuple of int
            Shape of the result.
        purpose : Purpose
            What they are for.
        step : int
            Which of several draws for that purpose.

        Returns
        -------
        ndarray

        Examples
        --------
        >>> one = Stream(seed=7, replicate=3).normal((2, 2), Purpose.WEIGHTS)
        >>> bool((one == Stream(seed=7, replicate=3).normal((2, 2), Purpose.WEIGHTS)).all())
        True
        """
        return standard_normal(shape, seed=self._seed, replicate=self._replicate, step=step, purpose=int(purpose))

"""Test of a power-law tail and of its rivals, for whole spectra and for independent values."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sdespec.core.errors import UsageError
from sdespec.fits.calibration import CALIBRATIONS, Calibration, scores
from sdespec.fits.power_law import Ks, power_law_tail
from sdespec.fits.tail_evidence import TailEvidence, tail_evidence
from sdespec.fits.validation import check_resamples, check_spectrum

__all__ = ["power_law_test"]


def power_law_test(
    values: ArrayLike,
    *,
    shape: tuple[int, int] | None = None,
    threshold: float | None = None,
    min_tail: int = 10,
    ks: Ks = "two-sided",
    calibration: Calibration = "ensemble",
    draws: int = 200,
    seed: int = 0,
) -> TailEvidence:
    r"""Test whether a tail is a power law, and whether its rivals can be excluded.

    .. math:: p = \frac{1 + \#\{b : T_b \ge T\}}{1 + B}

    Parameters
    ----------
    values : array_like, (n,)
        At least 0, in any order; zeros are dropped.
    shape : tuple of int, optional
        Shape of the matrix, needed by ``calibration="ensemble"``; ``values`` are then its squared singular values, or
        those of several matrices of this shape pooled.
    threshold : float, optional
        Known start of the tail; by default it is searched, and anew in each draw.
    min_tail : int
        Smallest number of values in a tail.
    ks : {"two-sided", "left"}
        Distance that chooses the threshold.
    calibration : {"ensemble", "iid"}
        Whether the draws are as rigid as eigenvalues or independent.
    draws : int
        Draws from each null, at least 20.
    seed : int
        Seed of the draws.

    Returns
    -------
    TailEvidence
        ``power_law``, ``against_log_normal``, ``against_cutoff``: p-values of the power law. ``log_normal``,
        ``cutoff``: p-values of rivals that differ from it within the observed range. ``established``: the power law is
        kept at 5 % and both rivals are rejected at 5 %.

    Raises
    ------
    SpectrumError
        If the values are invalid or no tail can be fitted.
    UsageError
        If an option is not allowed.

    Notes
    -----
    A power law is rejected where its own p-value is below 5 %, or one of the two against its rivals below 2.5 %.
    Measured with the ensemble calibration, 100 to 300 values, 60 to 200 spectra at several seeds. Called a power law:
    Pareto 83 to 93 %, inverse Wishart 80 to 95 %, matrix F with n_denominator = n_rows 58 to 82 %. Falsely: log-normal
    0 to 7 % (4 % in the mean of 300 values, 2 % of 100), gamma and stretched exponential at most 0.5 %,
    Marchenko-Pastur none. A beta prime law, whose tail is a power law in the end, 36 to 54 %. Where the search of the
    threshold ends in the bulk, as with 30 Pareto values above 70 of a gamma law, the power law beyond it is rejected
    rightly, though a tail exists: 33 % at the level 5 %.

    References
    ----------
    Clauset, Shalizi, Newman, SIAM Review 51 (2009) 661, section 4.

    Examples
    --------
    >>> from sdespec.laws import Pareto
    >>> x = Pareto(exponent=2.5, minimum=1.0).rvs(300, seed=4)
    >>> power_law_test(x, calibration="iid", threshold=1.0, draws=50).established
    True
    """
    if calibration not in CALIBRATIONS:
        raise UsageError(f"calibration is {calibration!r}; allowed: {', '.join(CALIBRATIONS)}")
    check_resamples(draws)
    if draws == 0:
        raise UsageError("draws is 0; at least 20 are needed")
    checked = check_spectrum(np.asarray(values))
    x = checked[checked > 0.0]
    tail = power_law_tail(x, threshold=threshold, min_tail=min_tail, ks=ks)
    sides, copies = (len(x), len(x)), 1
    if calibration == "ensemble":
        if shape is None:
            raise UsageError("calibration 'ensemble' needs the shape of the matrix; give shape=(n_rows, n_cols)")
        rank = min(shape)
        if len(x) < len(checked) or len(x) % rank:
            raise UsageError(
                f"{len(x)} positive values of {len(checked)} for {shape[0]} x {shape[1]} matrices; "
                f"a multiple of {rank} without zeros is needed"
            )
        sides, copies = shape, len(x) // rank
    u = scores(*sides, draws, calibration, seed, copies)
    return tail_evidence(x, tail, u, min_tail=min_tail, ks=ks, threshold=threshold)

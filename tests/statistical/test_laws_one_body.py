"""Draws of every one-body law fall into its deciles."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sdespec.laws import Exponential, Gamma, InverseGamma, Law, LogNormal, MarchenkoPastur, Pareto, TracyWidom

SIZE = 20_000
ERROR = 1e-6
LAWS = [
    Exponential(3.0),
    Gamma(0.5, 2.0),
    Gamma(13.2, 0.7),
    InverseGamma(0.8, 1.5),
    LogNormal(1.2, 0.1),
    Pareto(1.5, 2.0),
    Pareto(4.5, 0.5),
    MarchenkoPastur(64, 64, 1.0),
    MarchenkoPastur(90, 30, 0.5),
    TracyWidom(1),
    TracyWidom(2),
    TracyWidom(4),
]

every_law = pytest.mark.parametrize("law", LAWS, ids=repr)


def in_deciles(law: Law, draws: np.ndarray) -> bool:
    """Whether the count in each decile lies in its exact binomial interval of error 1e-6."""
    edges = law.ppf(np.linspace(0.0, 1.0, 11))
    edges[0], edges[-1] = -np.inf, np.inf
    counts = np.histogram(draws, bins=edges)[0]
    low, high = stats.binom.interval(1.0 - ERROR, draws.size, 0.1)
    return bool(((counts >= low) & (counts <= high)).all())


@every_law
def test_draws_fill_the_deciles_evenly(law: Law) -> None:
    """False-alarm rate 1e-5 for each law: ten intervals of error 1e-6."""
    draws = law.rvs(SIZE, seed=11)
    low, high = law.support()
    assert ((draws >= low) & (draws <= high)).all()
    assert in_deciles(law, draws)


@every_law
def test_a_wrong_scale_is_seen(law: Law) -> None:
    """Planted: values 15 % too large; for laws on the whole line moved by 0.15."""
    draws = law.rvs(SIZE, seed=11)
    wrong = draws + 0.15 if isinstance(law, TracyWidom) else 1.15 * draws
    assert not in_deciles(law, wrong)

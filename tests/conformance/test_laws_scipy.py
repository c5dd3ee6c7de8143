"""Laws that scipy.stats has too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from sdespec.laws import Exponential, Gamma, InverseGamma, Law, LogNormal, Pareto

PAIRS = [
    (Gamma(0.4, 3.0), stats.gamma(0.4, scale=3.0)),
    (Gamma(7.5, 0.2), stats.gamma(7.5, scale=0.2)),
    (InverseGamma(3.5, 1.2), stats.invgamma(3.5, scale=1.2)),
    (LogNormal(0.7, 2.5), stats.lognorm(0.7, scale=2.5)),
    (Exponential(0.3), stats.expon(scale=0.3)),
    (Pareto(4.2, 1.7), stats.pareto(3.2, scale=1.7)),
]


@pytest.mark.parametrize(("law", "twin"), PAIRS, ids=[repr(law) for law, _ in PAIRS])
def test_functions_agree_with_scipy(law: Law, twin: Any) -> None:
    p = np.array([0.0, 1e-8, 1e-3, 0.2, 0.5, 0.8, 0.999, 1.0])
    np.testing.assert_allclose(law.ppf(p), twin.ppf(p), rtol=1e-11)
    low = law.support()[0]
    x = np.concatenate([law.ppf(p[1:-1]), [low - 0.5, low + 30.0]])
    for method in ("pdf", "cdf", "sf", "logpdf"):
        np.testing.assert_allclose(getattr(law, method)(x), getattr(twin, method)(x), rtol=1e-10, atol=1e-300)
    assert law.mean() == pytest.approx(twin.mean(), rel=1e-12)
    assert law.var() == pytest.approx(twin.var(), rel=1e-12)
    assert law.support() == twin.support()

"""P-values of laws and tails: uniform under the null that they claim, small under a wrong law."""

import numpy as np
import pytest
from scipy import stats

from sdespec.fits import law, power_law_tail
from sdespec.fits.calibration import scores, shape_null
from sdespec.fits.goodness import calibrate_law
from sdespec.fits.tail_evidence import tail_evidence
from sdespec.laws import Gamma, LaguerreEnsemble, LogNormal, MarchenkoPastur, TransportedEnsemble, rigid_scores

SHAPE = (64, 128)


def law_p_value(name, fitted, u):
    return calibrate_law(name, fitted, u, 0.95)[0]


def tail_p_value(values, u):
    return tail_evidence(values, power_law_tail(values), u, min_tail=10, ks="two-sided", rivals=False).power_law


def _p_values(true_law, name, calibration, count=150):
    u = scores(*SHAPE, 200, calibration, 5)
    spectra = TransportedEnsemble(true_law, *SHAPE).rvs(count, seed=9)
    out = []
    for values in spectra:
        fitted = law(values, name)
        out.append(law_p_value(name, fitted, u))
    return np.array(out)


@pytest.mark.parametrize(("true_law", "name"), [(Gamma(1.5, 2.0), "gamma"), (LogNormal(0.8, 1.0), "log_normal")])
def test_ensemble_p_values_are_uniform_under_the_null(true_law, name):
    """KS test of 150 p-values against the uniform law; fails by chance with probability 1e-3 (fixed seed)."""
    assert stats.kstest(_p_values(true_law, name, "ensemble"), "uniform").pvalue > 1e-3


def test_planted_bug_independent_draws():
    """P-values that take eigenvalues for independent are far from uniform: a true null is all but never near 0."""
    p = _p_values(Gamma(1.5, 2.0), "gamma", "iid")
    assert stats.kstest(p, "uniform").pvalue < 1e-6
    assert p.min() > 0.5


def test_a_wrong_law_laid_out_rigidly_is_rejected():
    """Marchenko-Pastur spectra are no gamma law: ensemble p below .05 in most draws, iid p never."""
    n, m = 128, 256
    ensemble, iid = (scores(n, m, 200, calibration, 5) for calibration in ("ensemble", "iid"))
    small, p_iid = 0, []
    for values in LaguerreEnsemble(n, m, 1.0).rvs(20, seed=10):
        fitted = law(values, "gamma")
        small += law_p_value("gamma", fitted, ensemble) < 0.05
        p_iid.append(law_p_value("gamma", fitted, iid))
    assert small >= 18
    assert min(p_iid) > 0.05


def test_refitted_distances_agree_with_the_plain_fit():
    u = scores(*SHAPE, 8, "ensemble", 1)
    for name, true_law in (
        ("gamma", Gamma(0.7, 2.0)),
        ("inverse_gamma", Gamma(2.0, 1.0)),
        ("log_normal", LogNormal(1.0, 2.0)),
    ):
        drawn = np.asarray(true_law.ppf(u))
        plain = np.array([law(row, name).ks_distance for row in drawn])
        fitted = law(drawn[0], name)
        rows = np.asarray(fitted.law.ppf(u))
        expected = (1 + np.sum([law(row, name).ks_distance >= plain[0] for row in rows])) / 9
        assert law_p_value(name, fitted, u) == expected


def test_tail_p_value_accepts_a_tail_and_rejects_a_bulk():
    """Transported gamma bulk with a Pareto tail is kept; a pure Marchenko-Pastur spectrum at n = 300 is not."""

    def splice(p):
        body = Gamma(3.0, 1.0)
        tail = float(body.ppf(0.8)) * ((1 - np.maximum(p, 0.8)) / 0.2) ** (-1 / 1.5)
        return np.where(p < 0.8, body.ppf(np.minimum(p, 0.8)), tail)

    n, m = 300, 600
    u = scores(n, m, 200, "ensemble", 3)
    kept = [tail_p_value(v, u) for v in splice(rigid_scores(n, m, 10, seed=4))]
    rejected = [tail_p_value(v, u) for v in LaguerreEnsemble(n, m, 1.0).rvs(10, seed=4)]
    assert np.median(kept) > 0.2
    assert np.median(rejected) < 0.05


def test_shape_null_is_that_of_matrices():
    """Quantiles of 200 exact draws against 200 matrices: KS quantile within 15 %, and the scores are uniform."""
    rng = np.random.default_rng(2)
    n, m = 64, 128
    mp = MarchenkoPastur(n, m, 1.0)
    distances = []
    for _ in range(200):
        values = np.sort(np.linalg.svd(rng.normal(size=(n, m)), compute_uv=False) ** 2)
        scaled = values / (values.sum() / (n * m))
        cdf = np.asarray(mp.cdf(scaled))
        steps = np.arange(n) / n
        distances.append(max((cdf - steps).max(), (steps + 1 / n - cdf).max()))
    assert shape_null(n, m).ks_quantile == pytest.approx(np.quantile(distances, 0.95), rel=0.15)
    pooled = scores(n, m, 100, "ensemble", 0).ravel()
    assert stats.kstest(pooled, "uniform").statistic < 0.01

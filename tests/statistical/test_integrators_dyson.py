"""Laws of Dyson processes of any repulsion, against matrices, ensembles and exact moments.

Rates: KS p-values above 1e-3 over all statistics of a test by Bonferroni; moments within 4.5 standard errors. Steps are
the default ones.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from sdespec.integrators import dyson_paths, plan, simulate
from sdespec.laws import BetaLaguerre, LaguerreEnsemble
from sdespec.models import DysonLaguerre
from sdespec.theory import log_elementary_moment

LIMIT = 1e-3


def _model(n: int, m: float, beta: float) -> DysonLaguerre:
    return DysonLaguerre(n, m, weight_decay=1.0, diffusion=1.0, beta=beta)


def _statistics(spectra: np.ndarray) -> list[np.ndarray]:
    """Smallest, middle and largest value, a gap in the middle, and the trace."""
    middle = spectra.shape[1] // 2
    gap = spectra[:, middle - 1] - spectra[:, middle]
    return [spectra[:, -1], spectra[:, middle], spectra[:, 0], gap, spectra.sum(axis=1)]


def _complex(n: int, m: int, start: np.ndarray, time: float, count: int) -> np.ndarray:
    """Exact spectra of repulsion 2: a complex matrix."""
    draws, factor = np.random.default_rng(9), math.exp(-time)
    out, mean = np.empty((count, n)), np.zeros((n, m))
    np.fill_diagonal(mean, factor * np.sqrt(start))
    for first in range(0, count, 500):
        noise = draws.standard_normal((500, n, m)) + 1j * draws.standard_normal((500, n, m))
        matrix = mean + math.sqrt(1.0 - factor**2) * noise
        out[first : first + 500] = np.linalg.eigvalsh(matrix @ matrix.conj().transpose(0, 2, 1))[:, ::-1]
    return out


@pytest.mark.parametrize(("n", "m"), [(8, 8), (8, 9), (6, 12)])
def test_law_of_repulsion_two(n, m, monkeypatch):
    """20 000 replicates, exact and at the default steps of the splitting, against complex matrices of another make.

    Without short last steps, or at the repulsion 2.1, the same is caught.
    """
    start = (2.0 * (n + m) * np.linspace(0.05, 1.0, n) ** 2)[::-1]
    exact = _statistics(_complex(n, m, start, 0.5, 20_000))
    options = {"seed": 1, "replicates": 20_000, "initial": {"eigenvalue": start}}

    def least(beta: float, method: Any = "strang") -> float:
        run = simulate(_model(n, m, beta), [0.5], **options, method=method)
        found = _statistics(run.eigenvalue.values[0, :, 0])
        return min(stats.ks_2samp(a, b).pvalue for a, b in zip(exact, found, strict=True))

    assert least(2.0, "exact") > LIMIT / len(exact)
    assert least(2.0) > LIMIT / len(exact)
    assert least(2.1) < 1e-6
    monkeypatch.setattr(plan, "_LAST_SHARE", 1e9)
    assert least(2.0) < 1e-6


def _quaternion(n: int, m: int, start: np.ndarray, time: float, count: int) -> np.ndarray:
    """Exact spectra of repulsion 4: pairs of eigenvalues of a complex matrix of twice the size."""
    draws, factor = np.random.default_rng(9), math.exp(-time)
    out, mean = np.empty((count, n)), np.zeros((n, m))
    np.fill_diagonal(mean, factor * np.sqrt(start))
    for first in range(0, count, 500):
        noise = math.sqrt(1.0 - factor**2) * draws.standard_normal((4, 500, n, m))
        one, other = mean + noise[0] + 1j * noise[1], noise[2] + 1j * noise[3]
        top, bottom = np.concatenate([one, other], axis=2), np.concatenate([-other.conj(), one.conj()], axis=2)
        matrix = np.concatenate([top, bottom], axis=1)
        out[first : first + 500] = np.linalg.eigvalsh(matrix @ matrix.conj().transpose(0, 2, 1))[:, ::-2]
    return out


@pytest.mark.parametrize(("n", "m"), [(6, 6), (6, 9)])
def test_law_of_repulsion_four(n, m):
    """20 000 replicates, exact and at the default steps of the splitting; the repulsion 4.2 is caught."""
    start = (2.0 * (n + m) * np.linspace(0.05, 1.0, n) ** 2)[::-1]
    exact = _statistics(_quaternion(n, m, start, 0.5, 20_000))
    options = {"seed": 1, "replicates": 20_000, "initial": {"eigenvalue": start}}
    for beta, method, right in ((4.0, "exact", True), (4.0, "strang", True), (4.2, "strang", False)):
        run = simulate(_model(n, m, beta), [0.5], **options, method=method)
        found = _statistics(run.eigenvalue.values[0, :, 0])
        p = min(stats.ks_2samp(a, b).pvalue for a, b in zip(exact, found, strict=True))
        assert p > LIMIT / len(exact) if right else p < 1e-6


@pytest.mark.parametrize("beta", [1.5, 2.5, 4.0])
def test_moments_of_any_repulsion(beta):
    """Elementary symmetric means at two times; a repulsion that is 10 % wrong is caught."""
    n, m, start, times = 4, 6, np.array([9.0, 4.0, 2.0, 0.5]), [0.2, 0.5]
    options = {"seed": 2, "replicates": 20_000, "initial": {"eigenvalue": start}, "method": "strang"}
    spectra = simulate(_model(n, m, beta), times, **options)
    for i, time in enumerate(times):
        sums = np.zeros((20_000, n + 1))
        sums[:, 0] = 1.0
        for k in range(n):
            sums[:, 1:] = sums[:, 1:] + sums[:, :-1] * spectra.eigenvalue.values[0, :, i, k : k + 1]
        error = sums.std(axis=0)[1:] / math.sqrt(20_000)
        exact, wrong = (np.exp(log_elementary_moment(_model(n, m, b), time, start))[1:] for b in (beta, 1.1 * beta))
        assert (np.abs(sums.mean(axis=0)[1:] - exact) < 4.5 * error + 0.004 * exact).all()
        assert (np.abs(sums.mean(axis=0)[1:] - wrong) > 4.5 * error + 0.004 * exact).any()


@pytest.mark.parametrize(("n", "m", "beta"), [(6, 6.0, 4.0), (6, 7.5, 2.5), (12, 20.0, 1.3)])
def test_the_stationary_law_stays(n, m, beta):
    """From the ensemble to a time later: the same laws, by independent draws of the ensemble."""
    run = simulate(_model(n, m, beta), [0.4], seed=5, replicates=8000, initial="stationary", method="strang")
    found = _statistics(run.eigenvalue.values[0, :, 0])
    for variance, right in ((1.0, True), (1.05, False)):
        exact = _statistics(LaguerreEnsemble(n, m, variance, beta=beta).rvs(8000, seed=77))
        p = min(stats.ks_2samp(a, b).pvalue for a, b in zip(exact, found, strict=True))
        assert p > LIMIT / len(exact) if right else p < 1e-6


def test_the_smallest_value_keeps_its_law_at_rest(monkeypatch):
    """24 values, 12 000 replicates at the default steps: all statistics; planted: independent values over all steps."""
    model = _model(24, 40.0, 2.5)
    options = {"seed": 6, "replicates": 12_000, "initial": "stationary"}
    exact = _statistics(LaguerreEnsemble(24, 40.0, 1.0, beta=2.5).rvs(12_000, seed=78))

    def least() -> float:
        found = _statistics(simulate(model, [0.5], **options, method="strang").eigenvalue.values[0, :, 0])
        return min(stats.ks_2samp(a, b).pvalue for a, b in zip(exact, found, strict=True))

    assert least() > LIMIT / len(exact)
    monkeypatch.setattr(dyson_paths, "_SHORT", 1e9)
    assert least() < 1e-6


def test_long_steps_need_proportional_drifts(monkeypatch):
    """The same with an exact part of other columns, whose drift is no share of the whole: the trace and more are off."""
    options = {"seed": 6, "replicates": 12_000, "initial": "stationary", "method": "strang"}
    exact = _statistics(LaguerreEnsemble(24, 40.0, 1.0, beta=2.5).rvs(12_000, seed=78))
    real = dyson_paths.splitting_constants

    def unbalanced(n: int, m: float, d: float, g: float, beta: float, *, short: bool) -> tuple[float, ...]:
        base, _, _, pair, _ = real(n, m, d, g, beta, short=False)
        columns = math.floor(beta * (m - n + 1) + n - 1)
        left = d * (beta * (m - n + 1) - (columns - n + 1))
        return real(n, m, d, g, beta, short=True) if short else (base, float(columns), left, pair, 0.0)

    monkeypatch.setattr(dyson_paths, "splitting_constants", unbalanced)
    found = _statistics(simulate(_model(24, 40.0, 2.5), [0.5], **options).eigenvalue.values[0, :, 0])
    assert min(stats.ks_2samp(a, b).pvalue for a, b in zip(exact, found, strict=True)) < 1e-6


@pytest.mark.parametrize(
    ("values", "time"),
    [([400.0, *np.linspace(20.0, 1.0, 7)], 0.3), ([1.0] * 8, 0.5), ([1e-3] * 8, 1.0)],
    ids=["spike", "equal", "tiny"],
)
def test_law_from_any_start(values, time, monkeypatch):
    """Repulsion 2, 20 000 replicates against complex matrices; steps graded to a gap ten times as wide are caught."""
    exact = _statistics(_complex(8, 9, np.array(values), time, 20_000))
    options = {"seed": 2, "replicates": 20_000, "initial": {"eigenvalue": values}, "method": "strang"}

    def least() -> float:
        found = _statistics(simulate(_model(8, 9.0, 2.0), [time], **options).eigenvalue.values[0, :, 0])
        return min(stats.ks_2samp(a, b).pvalue for a, b in zip(exact, found, strict=True))

    assert least() > LIMIT / len(exact)
    monkeypatch.setattr(plan, "_LAST_SHARE", 100.0 * plan._LAST_SHARE)
    assert least() < 1e-4


@pytest.mark.parametrize(("n", "m", "beta"), [(8, 8.0, 0.5), (6, 5.4, 2.0)])
def test_dimensions_below_one(n, m, beta):
    """The smallest value touches zero: one-body law at rest within the sampling error and .003, not that of beta + .1."""
    run = simulate(_model(n, m, beta), [0.5], seed=3, replicates=15_000, initial="stationary", method="strang")
    found = run.eigenvalue.values.ravel()
    for other, right in ((beta, True), (beta + 0.1, False)):
        exact = LaguerreEnsemble(n, m, 1.0, beta=other).rvs(15_000, seed=5).ravel()
        distance = stats.ks_2samp(exact, found).statistic
        assert distance < 0.003 + 2.0 / math.sqrt(len(found)) if right else distance > 0.015


@pytest.mark.parametrize("c", [0.5, 2.0])
def test_weak_repulsion_has_its_one_body_law(c):
    """High temperature, 50 values, relaxed from a start far away: the beta-Laguerre law within .02, not another one."""
    model = DysonLaguerre.high_temperature(50, c, 1.0)
    start = {"eigenvalue": np.linspace(0.5, 1.5, 50)}
    values = np.sort(simulate(model, [3.0], seed=0, replicates=200, initial=start).eigenvalue.values.ravel())
    steps = (np.arange(len(values)) + 0.5) / len(values)
    assert np.abs(BetaLaguerre(c, 1.0, 1.0).cdf(values) - steps).max() < 0.02
    assert np.abs(BetaLaguerre(1.6 * c, 1.0, 1.0).cdf(values) - steps).max() > 0.03


@pytest.mark.parametrize(("beta", "ratio"), [(2.0, 0.5996), (4.0, 0.6744)])
def test_spacing_ratios(beta, ratio):
    """Mean ratio of neighbouring gaps in the middle half, relaxed from equal gaps; 5 standard errors of replicates."""
    n = 24
    start = {"eigenvalue": np.linspace(1.0, 6.0 * n, n)}
    run = simulate(_model(n, 2.0 * n, beta), [1.0], seed=0, replicates=600, initial=start, method="strang")
    spectra = run.eigenvalue.values[0, :, 0]
    gaps = -np.diff(np.sqrt(spectra[:, n // 4 : 3 * n // 4]), axis=1)
    ratios = np.minimum(gaps[:, 1:], gaps[:, :-1]) / np.maximum(gaps[:, 1:], gaps[:, :-1])
    means = ratios.mean(axis=1)
    assert abs(means.mean() - ratio) < 5.0 * means.std() / math.sqrt(600) + 0.003
    assert abs(means.mean() - 0.5307) > 5.0 * means.std() / math.sqrt(600)  # repulsion 1


def test_implicit_euler_has_order_one_and_its_bias_is_seen():
    """Bias of the mean trace halves with the step; at the coarse one it is far beyond the error."""
    n, m, start, beta = 4, 6, np.array([9.0, 4.0, 2.0, 0.5]), 2.5
    exact = float(np.exp(log_elementary_moment(_model(n, m, beta), 0.5, start))[1])
    biases, errors = [], []
    for step in (0.1, 0.05, 0.025):
        run = simulate(
            _model(n, m, beta), [0.5], seed=0, replicates=20_000, initial={"eigenvalue": start}, method="implicit",
            time_step=step,
        )  # fmt: skip
        traces = run.eigenvalue.values[0, :, 0].sum(axis=1)
        biases.append(traces.mean() - exact)
        errors.append(traces.std() / math.sqrt(20_000))
    assert run.attrs["method_order"] == 1.0
    assert abs(biases[0]) > 10.0 * errors[0]
    for coarse, fine, error in zip(biases, biases[1:], errors[1:], strict=False):
        assert abs(fine - 0.5 * coarse) < 0.15 * abs(coarse) + 5.0 * error


def _with_ratio(spectra: np.ndarray) -> list[np.ndarray]:
    """The statistics above and the ratio of two neighbouring gaps."""
    middle = spectra.shape[1] // 2
    gaps = spectra[:, middle - 1] - spectra[:, middle], spectra[:, middle - 1] - spectra[:, middle + 1]
    return [*_statistics(spectra), gaps[0] / gaps[1]]


@pytest.mark.parametrize(("m", "beta"), [(8, 1.0), (9, 1.0), (12, 1.0), (9, 2.0)])
def test_adaptive_paths_have_the_exact_law(m, beta):
    """20 000 replicates at the default tolerance, of eight values; planted: a tolerance of a gap is seen where m = n."""
    start = (2.0 * (8 + m) * np.linspace(0.05, 1.0, 8) ** 2)[::-1]
    options = {"replicates": 20_000, "initial": {"eigenvalue": start}}
    exact = _with_ratio(simulate(_model(8, m, beta), [0.5], seed=55, **options).eigenvalue.values[0, :, 0])

    def least(**more: Any) -> float:
        run = simulate(_model(8, m, beta), [0.5], seed=30, method="adaptive", **options, **more)
        found = _with_ratio(run.eigenvalue.values[0, :, 0])
        return min(stats.ks_2samp(a, b).pvalue for a, b in zip(exact, found, strict=True))

    assert least() > LIMIT / len(exact)
    if m == 8:
        assert least(tolerance=2.0) < LIMIT / len(exact)


def test_implicit_euler_of_a_square_matrix_has_a_signed_smallest_value():
    """At beta = 1 and m = n nothing keeps it from zero: its law against the exact one, 10 000 replicates."""
    start = {"eigenvalue": [9.0, 4.0, 2.0, 0.5]}
    exact = simulate(_model(4, 4.0, 1.0), [0.5], seed=5, replicates=10_000, initial=start).eigenvalue.values[0, :, 0, 3]
    options = {"initial": start, "method": "implicit", "time_step": 0.002}
    run = simulate(_model(4, 4.0, 1.0), [0.5], seed=0, replicates=10_000, **options)
    assert stats.ks_2samp(run.eigenvalue.values[0, :, 0, 3], exact).pvalue > LIMIT
    other = simulate(_model(4, 4.0, 1.2), [0.5], seed=0, replicates=10_000, **options).eigenvalue.values[0, :, 0, 3]
    assert stats.ks_2samp(other, exact).pvalue < 1e-6

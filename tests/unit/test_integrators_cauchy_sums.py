"""Clustered sums of 1/(x_i - x_j) against the plain sum, on points that lie evenly, far apart, and on each other."""

import numpy as np
import pytest

from sdespec.core.rng import standard_normal, words_of
from sdespec.integrators import _kernels, _reference
from sdespec.integrators._cauchy_sums import FAST_FROM, cauchy_sums


def _points(kind, n):
    rng = np.random.default_rng(3)
    if kind == "even":
        return np.linspace(n, 0.1, n)
    if kind == "squares":  # spacing grows from the hard edge on
        return np.sort((np.arange(n) + rng.random(n)) ** 2)[::-1].copy()
    if kind == "heavy":
        return np.sort((1.0 - rng.random(n)) ** -2.0)[::-1].copy()
    values = np.sort(rng.normal(size=n))[::-1].copy()
    values[:5] += 1e6  # far outliers share a cluster with the bulk
    return values


@pytest.mark.parametrize("n", [1, 2, 31, 500, 2500])
@pytest.mark.parametrize("kind", ["even", "squares", "heavy", "outliers"])
def test_the_clustered_sum_is_the_plain_one(kind, n):
    """To 1e-9 of the sum of absolute values, the bound of the nodes; to 1e-11 where the points lie evenly."""
    x = _points(kind, n) if kind != "outliers" or n > 5 else np.arange(n, 0.0, -1.0)
    found = np.empty(n)
    cauchy_sums(x, found)
    gaps = np.abs(x[:, None] - x[None, :])
    size = np.divide(1.0, gaps, out=np.zeros_like(gaps), where=gaps > 0.0).sum(axis=1)
    bound = 1e-11 if kind in ("even", "squares") else 1e-9
    assert np.all(np.abs(found - _reference.cauchy_sums(x)) <= bound * size)


def test_equal_points_leave_each_other_out():
    x = np.repeat(np.linspace(50.0, 1.0, 40), 3)
    found = np.empty(len(x))
    cauchy_sums(x, found)
    np.testing.assert_allclose(found, _reference.cauchy_sums(x), atol=1e-11)
    cauchy_sums(np.ones(len(x)), found)
    assert np.all(found == 0.0)


def test_too_near_clusters_would_be_seen(monkeypatch):
    """Planted: every cluster taken for far is off by far more than the tolerance of the test above."""
    x = _points("squares", 500)
    wrong = np.empty(500)
    monkeypatch.setattr("sdespec.integrators._cauchy_sums._SEPARATION", 0.0)
    for name in ("_near", "_moments", "_add_series"):
        plain = getattr(cauchy_sums.py_func.__globals__[name], "py_func", None)
        assert plain is not None
        monkeypatch.setitem(cauchy_sums.py_func.__globals__, name, plain)
    cauchy_sums.py_func(x, wrong)
    right = _reference.cauchy_sums(x)
    assert np.abs(wrong - right).max() > 1e-6 * np.abs(right).max()


def test_steps_of_sorted_euler_use_it_without_a_seam():
    """Three steps of FAST_FROM values, some of them equal at first, are those of the plain twin."""
    start = 6.0 * FAST_FROM * np.linspace(1.0, 0.05, FAST_FROM) ** 2
    start[100:103] = start[100]
    noise = np.array([standard_normal((FAST_FROM,), seed=0, replicate=0, step=k) for k in range(3)])
    expected, violations = _reference.sorted_euler_steps(start, 2 * FAST_FROM, 1.0, 1.0, 1e-7, noise)
    found = start.copy()
    words = words_of(seed=0, replicate=0, step=0)
    assert _kernels.sorted_euler_steps(found, 2 * FAST_FROM, 1.0, 1.0, 1e-7, 3, *words) == violations
    np.testing.assert_allclose(found, expected, rtol=1e-10)

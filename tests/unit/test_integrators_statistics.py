"""Statistics over replicates equal those of the stored ones, in any batches, without storing them."""

import numpy as np
import pytest

import sdespec as sd
from sdespec.core.errors import UsageError
from sdespec.integrators import simulate, simulate_statistics
from sdespec.models import DysonLaguerre, IsotropicNoise, MatrixSGD, RightMultiplicativeNoise

MODEL = DysonLaguerre(3, 5, 1.0, 0.4)
NOISY = MatrixSGD(3, 5, 1.0, (IsotropicNoise(0.4), RightMultiplicativeNoise(0.1)))
TIMES = [0.2, 1.0]
EDGES = np.array([0.0, 0.5, 1.5, 4.0, 9.0])


@pytest.mark.parametrize(("model", "options"), [(MODEL, {}), (NOISY, {"time_step": 0.1})])
@pytest.mark.parametrize("batch", [7, 64, 1000])
def test_statistics_are_those_of_the_stored_replicates(model, options, batch):
    starts = np.abs(np.random.default_rng(0).normal(size=(100, 3)))
    arguments = {"seed": 3, "initial": {"eigenvalue": starts}} | options
    values = simulate(model, TIMES, replicates=range(20, 120), **arguments).eigenvalue.values[0]
    found = simulate_statistics(model, TIMES, replicates=range(20, 120), edges=EDGES, batch=batch, **arguments)
    assert sd.validate(found) is found
    traces = values.sum(axis=2)
    np.testing.assert_allclose(found.eigenvalue_mean.values[0], values.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.eigenvalue_variance.values[0], values.var(axis=0, ddof=1), rtol=1e-10)
    np.testing.assert_allclose(found.trace_mean.values[0], traces.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.trace_variance.values[0], traces.var(axis=0, ddof=1), rtol=1e-10)
    np.testing.assert_allclose(found.trace_mean_stderr.values[0], traces.std(axis=0, ddof=1) / 10, rtol=1e-10)
    apart = traces - traces.mean(axis=0)
    fourth, variance = (apart**4).mean(axis=0), traces.var(axis=0, ddof=1)
    error = np.sqrt((fourth - 97 / 99 * variance**2) / 100)
    np.testing.assert_allclose(found.trace_variance_stderr.values[0], error, rtol=1e-9)
    np.testing.assert_array_equal(found.attrs["bin_edges"], EDGES)
    for i in range(2):
        counts = np.histogram(values[:, i], EDGES)[0]
        np.testing.assert_allclose(found.density.values[0, i], counts / 300 / np.diff(EDGES), rtol=1e-12)
    single = np.array([np.histogram(row, EDGES)[0] / 3 / np.diff(EDGES) for row in values[:, 1]])
    np.testing.assert_allclose(found.density_stderr.values[0, 1], single.std(axis=0, ddof=1) / 10, rtol=1e-10)
    assert found.attrs["n_replicates"] == 100


def test_no_digits_are_lost_where_the_mean_is_large():
    """A mean of 1e10 with a spread of about 1e5: sums of squares would keep 6 digits of the variance."""
    arguments = {"seed": 0, "initial": {"eigenvalue": [1e10, 1e10, 1e10]}}
    values = simulate(MODEL, [1e-3], replicates=200, **arguments).eigenvalue.values[0]
    found = simulate_statistics(MODEL, [1e-3], replicates=200, batch=9, **arguments)
    np.testing.assert_allclose(found.eigenvalue_variance.values[0], values.var(axis=0, ddof=1), rtol=1e-9)


def test_replicates_are_not_kept(monkeypatch):
    """No more than one batch is simulated at a time, and progress counts all of them."""
    import sys

    module = sys.modules["sdespec.integrators.statistics"]
    sizes, seen = [], []

    def counting(*arguments, replicates, **options):
        sizes.append(len(replicates))
        return simulate(*arguments, replicates=replicates, **options)

    monkeypatch.setattr(module, "simulate", counting)
    simulate_statistics(MODEL, [1.0], seed=0, replicates=100, batch=30, progress=lambda *one: seen.append(one))
    assert sizes == [30, 30, 30, 10]
    assert seen[-1] == (100, 100, "replicates")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"replicates": 1}, "at least 2"),
        ({"batch": 0}, "batch is 0"),
        ({"edges": [1.0, 1.0]}, "numbers that increase"),
        ({"edges": [0.0, np.inf]}, "numbers that increase"),
        ({"save_weights": True}, "save_weights is True"),
        ({"method": "heun"}, "method is 'heun'"),
    ],
)
def test_arguments_are_checked(options, message):
    with pytest.raises(UsageError, match=message):
        simulate_statistics(MODEL, [1.0], **({"seed": 0, "replicates": 10} | options))

"""Simulation: bits, starts, continuation and faults."""

import math

import numpy as np
import pytest

import sdespec as sd
from sdespec.core.errors import UsageError
from sdespec.core.rng import FIELDS, key_of, noise_stream
from sdespec.integrators.euler import matrix_euler, sorted_euler
from sdespec.models import DysonLaguerre, IsotropicNoise, MatrixSGD

MODEL = DysonLaguerre(n_rows=6, n_cols=9, weight_decay=0.7, diffusion=0.4)
WIDE = DysonLaguerre(n_rows=5, n_cols=40, weight_decay=0.7, diffusion=0.4)
TIMES = [0.0, 0.3, 1.0]


@pytest.mark.parametrize("model", [MODEL, WIDE, MatrixSGD(9, 6, 0.7, IsotropicNoise(0.4))])
@pytest.mark.parametrize("options", [{}, {"save_weights": True}, {"method": "euler", "time_step": 0.05}])
def test_bits_do_not_depend_on_threads_ranges_or_company(model, options):
    whole = sd.simulate(model, TIMES, seed=3, replicates=6, threads=1, **options)
    threaded = sd.simulate(model, TIMES, seed=3, replicates=6, threads=2, **options)
    assert np.array_equal(whole.eigenvalue, threaded.eigenvalue)
    part = sd.simulate(model, TIMES, seed=3, replicates=range(2, 5), threads=2, **options)
    assert part.replicate.values.tolist() == [2, 3, 4]
    assert np.array_equal(part.eigenvalue, whole.eigenvalue.isel(replicate=slice(2, 5)))
    alone = sd.simulate(model, TIMES, seed=3, replicates=range(5, 6), **options)
    assert np.array_equal(alone.eigenvalue.values[0, 0], whole.eigenvalue.values[0, 5])
    other = sd.simulate(model, TIMES, seed=4, replicates=6, **options)
    assert not np.array_equal(whole.eigenvalue.values[..., 1:, :], other.eigenvalue.values[..., 1:, :])


def test_the_counter_has_fields_that_do_not_meet():
    assert FIELDS == ("block", "step", "replicate", "purpose")
    state = noise_stream(1, replicate=5, step=7, purpose=2).bit_generator.state["state"]
    assert state["counter"].tolist() == [0, 7, 5, 2]
    assert state["key"].tolist() == key_of(1).tolist()
    rng = noise_stream(1, replicate=5, step=7)
    rng.standard_normal(10_000)
    assert rng.bit_generator.state["state"]["counter"].tolist()[1:] == [7, 5, 0]  # only "block" moves
    for words in ({"replicate": -1, "step": 0}, {"replicate": 0, "step": 2**64}):
        with pytest.raises(UsageError, match="64-bit field"):
            noise_stream(1, **words)
    with pytest.raises(UsageError, match="seed is -1"):
        key_of(-1)
    with pytest.raises(UsageError, match=r"seed is 1\.5"):
        key_of(1.5)


def test_time_zero_returns_the_start_in_any_form():
    s = np.array([3.0, 5.0, 1.0, 0.0, 2.0, 2.0])
    weight = np.zeros((6, 9))
    np.fill_diagonal(weight, np.sqrt(s))
    expected = np.sort(s)[::-1]
    for initial in ({"eigenvalue": s}, weight, np.array([weight, weight])):
        run = sd.simulate(MODEL, [0.0], seed=0, replicates=2, initial=initial)
        np.testing.assert_allclose(run.eigenvalue.values[0, 1, 0], expected, rtol=1e-12, atol=1e-15)
    assert not sd.simulate(MODEL, [0.0], seed=0).eigenvalue.values.any()


def test_a_continuation_goes_on_with_new_noise():
    first = sd.simulate(MODEL, [0.5, 1.0], seed=9, replicates=3, save_weights=True)
    second = sd.simulate(MODEL, [1.0, 2.0], seed=9, replicates=3, initial=first, save_weights=True)
    assert np.array_equal(second.weight.isel(time=0), first.weight.isel(time=-1))
    assert second.attrs["steps_done"] == 4
    increments = [
        (first.weight.values[0, :, 1] - math.exp(-0.35) * first.weight.values[0, :, 0]).ravel(),
        (second.weight.values[0, :, 1] - math.exp(-0.7) * second.weight.values[0, :, 0]).ravel(),
    ]
    assert abs(np.corrcoef(increments)[0, 1]) < 0.3  # the same noise again would give 1
    with pytest.raises(UsageError, match="increase from at least 1"):
        sd.simulate(MODEL, [0.5], seed=9, replicates=3, initial=first)
    with pytest.raises(UsageError, match="no replicate 3"):
        sd.simulate(MODEL, [2.0], seed=9, replicates=5, initial=first)


def test_the_saved_matrix_has_the_saved_spectrum():
    run = sd.simulate(MatrixSGD(9, 6, 0.7, IsotropicNoise(0.4)), TIMES, seed=1, replicates=2, save_weights=True)
    assert dict(run.weight.sizes) == {"layer": 1, "replicate": 2, "time": 3, "row": 9, "col": 6}
    values = np.linalg.svd(run.weight.values[0, 1, 2], compute_uv=False) ** 2
    np.testing.assert_allclose(run.eigenvalue.values[0, 1, 2], values, rtol=1e-12)
    assert sd.validate(run) is run


def test_euler_by_hand():
    """One step of each scheme against the formula, with the same noise."""
    weight = np.arange(6.0).reshape(2, 3)
    noise = noise_stream(0, replicate=0, step=0).standard_normal((2, 3))
    found = matrix_euler(weight, 0.5, 0.2, 0.1, 1, noise_stream(0, replicate=0, step=0))
    np.testing.assert_allclose(found, weight - 0.05 * weight + math.sqrt(0.04) * noise, rtol=1e-14)
    spectrum = np.array([4.0, 1.0])
    xi = noise_stream(0, replicate=0, step=1).standard_normal(2)
    drift = np.array([-4.0 + 0.4 * (3 + 5 / 3), -1.0 + 0.4 * (3 - 5 / 3)])
    expected = spectrum + drift * 0.01 + 2 * np.sqrt(2 * 0.2 * spectrum * 0.01) * xi
    found, violations = sorted_euler(spectrum, 3, 0.5, 0.2, 0.01, 1, noise_stream(0, replicate=0, step=1))
    np.testing.assert_allclose(found, np.sort(np.abs(expected))[::-1], rtol=1e-14)
    assert violations == int(expected[0] < expected[1] or expected.min() < 0)


def test_sorted_euler_counts_its_violations():
    run = sd.simulate(
        DysonLaguerre(16, 32, 1.0, 1.0), [1.0], seed=0, replicates=2, initial="stationary",
        method="sorted_euler", time_step=0.02,
    )  # fmt: skip
    assert run.attrs["order_violations"] > 20
    assert run.attrs["method_order"] == 0.0


def test_other_beta_is_offered_only_where_it_is_exact():
    model = DysonLaguerre(5, 7.5, 1.0, 0.5, beta=2.5)
    run = sd.simulate(model, [0.7], seed=1, replicates=4)
    assert run.attrs["n_cols_exact"] == 7.5
    part = sd.simulate(model, [0.7], seed=1, replicates=range(2, 4))
    assert np.array_equal(part.eigenvalue, run.eigenvalue.isel(replicate=slice(2, 4)))
    with pytest.raises(UsageError, match="use beta = 1"):
        sd.simulate(model, [0.5, 0.7], seed=1)
    with pytest.raises(UsageError, match="cannot be continued"):
        sd.simulate(model, [math.inf], seed=1, replicates=4, initial=run)
    narrow = sd.simulate(DysonLaguerre(4, 3.5, 1.0, 0.5, beta=0.8), [0.7], seed=1)
    assert narrow.eigenvalue.values.shape == (1, 1, 1, 4)
    assert narrow.rank_count.item() == 4


def test_nothing_follows_time_infinity():
    run = sd.simulate(MODEL, [math.inf], seed=1, replicates=2)
    with pytest.raises(UsageError, match="already at time inf"):
        sd.simulate(MODEL, [math.inf], seed=1, replicates=2, initial=run)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"times": []}, "at least one number"),
        ({"times": [1.0, 1.0]}, "must increase"),
        ({"times": [-1.0]}, "must increase"),
        ({"method": "heun"}, "method is 'heun'"),
        ({"method": "euler"}, "needs a time_step"),
        ({"time_step": 0.1}, "no meaning"),
        ({"method": "euler", "time_step": -1.0}, "time_step is -1.0"),
        ({"method": "sorted_euler", "time_step": 0.1, "save_weights": True}, "no matrix to save"),
        ({"method": "euler", "time_step": 0.1, "times": [math.inf]}, "never reaches"),
        ({"replicates": 0}, "replicates is 0"),
        ({"replicates": range(0, 4, 2)}, "steps 1"),
        ({"threads": 0}, "threads is 0"),
        ({"initial": "rest"}, "'stationary'"),
        ({"initial": np.zeros((3, 3))}, r"give \(6, 9\)"),
        ({"initial": {"eigenvalue": np.ones(5)}}, r"give \(6,\)"),
        ({"initial": {"eigenvalue": -np.ones(6)}}, "at least 0"),
        ({"initial": {"weight": 1, "eigenvalue": 1}}, "exactly one"),
        ({"replicates": 10**9}, "GiB"),
    ],
)
def test_arguments_are_checked(options, message):
    arguments = {"times": [1.0], "seed": 0} | options
    with pytest.raises(UsageError, match=message):
        sd.simulate(MODEL, arguments.pop("times"), **arguments)


def test_no_stationary_law_without_weight_decay():
    free = DysonLaguerre(3, 4, 0.0, 1.0)
    for arguments in ({"times": [math.inf]}, {"times": [1.0], "initial": "stationary"}):
        with pytest.raises(UsageError, match="no stationary law"):
            sd.simulate(free, arguments.pop("times"), seed=0, **arguments)

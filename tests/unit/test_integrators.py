"""Simulation: bits, starts, continuation and faults."""

import math

import numpy as np
import pytest

import sdespec as sd
from sdespec.core.errors import NumericalError, UsageError
from sdespec.core.rng import chi_square, standard_normal, words_of
from sdespec.integrators import _kernels, _reference
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


@pytest.mark.parametrize("shape", [(2, 3), (40, 31), (1, 1)])
def test_matrix_steps_equal_their_twin(shape):
    start = standard_normal(shape, seed=8, replicate=0)
    noise = np.array([standard_normal(shape, seed=3, replicate=6, step=10 + k) for k in range(7)])
    found = start.copy()
    _kernels.linear_steps(found, 0.95, 0.2, 7, *words_of(seed=3, replicate=6, step=10))
    assert np.array_equal(found, _reference.linear_steps(start, 0.95, 0.2, noise))


def test_one_euler_step_by_hand():
    weight = np.arange(6.0).reshape(2, 3)
    noise = standard_normal((2, 3), seed=0, replicate=0)
    run = sd.simulate(
        MatrixSGD(2, 3, 0.5, IsotropicNoise(0.2)), [0.1], seed=0, initial=weight, method="euler", time_step=0.1,
        save_weights=True,
    )  # fmt: skip
    expected = weight - 0.05 * weight + math.sqrt(0.04) * noise
    np.testing.assert_allclose(run.weight.values[0, 0, 0], expected, rtol=1e-14)


@pytest.mark.parametrize("shape", [(6, 9), (5, 40), (60, 130), (64, 64)])
def test_exact_spectra_equal_their_twin(shape):
    """Both routes of the eigenvalues, with and without the Bartlett factor; two steps of two replicates."""
    n, m = shape
    start = np.sort(standard_normal((2, n), seed=1, replicate=0) ** 2, axis=1)[:, ::-1].copy()
    out = np.empty((2, 2, n))
    words = words_of(seed=3, replicate=4, step=9)
    assert _kernels.exact_spectra(out, start, m, np.array([0.5, 0.9]), np.array([0.3, 0.2]), *words) == 0
    for r in range(2):
        spectrum = start[r]
        for i, (factor, deviation) in enumerate(((0.5, 0.3), (0.9, 0.2))):
            where = {"seed": 3, "replicate": 4 + r, "step": 9 + i}
            wide = m >= 2 * n
            noise = standard_normal((n, 2 * n if wide else m), **where)
            chi = chi_square(m - n - np.arange(n), **where, purpose=2) if wide else None
            spectrum = _reference.spectral_step(spectrum, factor, deviation, noise, chi)
            np.testing.assert_allclose(out[r, i], spectrum, rtol=1e-10)


def test_small_eigenvalues_keep_their_digits():
    """A spectrum of many decades under hardly any noise: the Gram matrix would lose the small ones."""
    start = np.geomspace(1.0, 1e-18, 64)
    out = np.empty((1, 1, 64))
    words = words_of(seed=0, replicate=0, step=0)
    _kernels.exact_spectra(out, start[None], 64, np.array([0.5]), np.array([1e-30]), *words)
    np.testing.assert_allclose(out[0, 0], 0.25 * start, rtol=1e-6)


def test_sorted_euler_equals_its_twin():
    spectrum = np.array([9.0, 4.0, 4.0, 1.0, 0.2])
    noise = np.array([standard_normal((5,), seed=0, replicate=0, step=k) for k in range(40)])
    expected, violations = _reference.sorted_euler_steps(spectrum, 7, 0.5, 0.2, 0.02, noise)
    found = spectrum.copy()
    words = words_of(seed=0, replicate=0, step=0)
    assert _kernels.sorted_euler_steps(found, 7, 0.5, 0.2, 0.02, 40, *words) == violations > 0
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize(("method", "save"), [("euler", True), ("sorted_euler", False)])
def test_an_euler_path_does_not_depend_on_its_records_or_on_a_break(method, save):
    options = {"seed": 5, "replicates": 2, "method": method, "time_step": 0.01, "initial": "stationary"}
    ends = sd.simulate(MODEL, [0.4], **options)
    often = sd.simulate(MODEL, [0.1, 0.2, 0.3, 0.4], **options)
    np.testing.assert_allclose(often.eigenvalue.isel(time=-1), ends.eigenvalue.isel(time=-1), rtol=1e-9)
    half = sd.simulate(MODEL, [0.2], **options, save_weights=save)
    rest = sd.simulate(MODEL, [0.4], **(options | {"initial": half}))
    assert rest.attrs["steps_done"] == ends.attrs["steps_done"] == 40
    np.testing.assert_allclose(rest.eigenvalue.isel(time=-1), ends.eigenvalue.isel(time=-1), rtol=1e-9)


def test_a_scheme_that_leaves_the_range_of_numbers_says_so():
    model = MatrixSGD(2, 2, 3.0, IsotropicNoise(0.1))
    with pytest.raises(NumericalError, match="time_step is 1, give a shorter one"):
        sd.simulate(model, [2000.0], seed=0, method="euler", time_step=1.0)


def test_no_noise_is_plain_decay():
    model = MatrixSGD(3, 4, 0.5, IsotropicNoise(0.0))
    run = sd.simulate(model, [2.0], seed=0, initial={"eigenvalue": [4.0, 1.0, 2.0]})
    np.testing.assert_allclose(run.eigenvalue.values[0, 0, 0], np.array([4.0, 2.0, 1.0]) * math.exp(-2.0), rtol=1e-14)


def test_sorted_euler_counts_its_violations():
    run = sd.simulate(
        DysonLaguerre(16, 32, 1.0, 1.0), [1.0], seed=0, replicates=2, initial="stationary",
        method="sorted_euler", time_step=0.02,
    )  # fmt: skip
    assert run.attrs["order_violations"] > 20
    assert run.attrs["method_order"] == 0.0


def test_other_beta_is_exact_at_one_time():
    model = DysonLaguerre(5, 7.5, 1.0, 0.5, beta=2.5)
    run = sd.simulate(model, [0.7], seed=1, replicates=4)
    assert run.attrs["n_cols_exact"] == 7.5
    part = sd.simulate(model, [0.7], seed=1, replicates=range(2, 4))
    assert np.array_equal(part.eigenvalue, run.eigenvalue.isel(replicate=slice(2, 4)))
    with pytest.raises(UsageError, match="is exact; use method='strang'"):
        sd.simulate(model, [0.5, 0.7], seed=1, method="exact")
    rest = sd.simulate(model, [0.5, float("inf")], seed=1)
    assert rest.attrs["method"] == "strang"
    assert np.isfinite(rest.eigenvalue).all()
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
        ({"method": "euler", "time_step": 1e-10}, "beyond the 32-bit field 'step'"),
        ({"replicates": range(2**32, 2**32 + 1)}, "beyond the 32-bit field 'replicate'"),
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

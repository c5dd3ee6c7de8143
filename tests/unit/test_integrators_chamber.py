"""Dyson processes along a path of the noise: implicit and adaptive steps in the chamber of singular values."""

import math

import numpy as np
import pytest

from sdespec.core.errors import UsageError
from sdespec.core.rng import standard_normal, words_of
from sdespec.integrators import simulate
from sdespec.integrators._chamber_kernels import adaptive_steps, implicit_steps
from sdespec.integrators._dyson_reference import adaptive_path, implicit_gradient
from sdespec.models import DysonLaguerre

START = {"eigenvalue": [9.0, 4.0, 2.0, 0.5]}


def _model(beta=2.5, n_cols=6.0, n_rows=4):
    return DysonLaguerre(n_rows, n_cols, weight_decay=1.0, diffusion=0.5, beta=beta)


def test_implicit_steps_solve_their_equation():
    """Also in the signed chamber, where the noise takes the smallest value across zero."""
    for inverse, signs in ((0.6, {1.0}), (0.0, {-1.0, 1.0})):
        seen = set()
        for replicate in range(40):
            start = np.array([0.1, 0.9, 1.4])
            words = words_of(seed=1, replicate=replicate, step=0)
            y, noise = start.copy(), standard_normal((3,), seed=1, replicate=replicate)
            assert implicit_steps(y, inverse, 1.5, 0.7, 1.0, 0.04, 1, *words) > 0
            gradient = implicit_gradient(y, start + 0.2 * noise, 0.04 * inverse, 0.04 * 1.5, 0.04 * 0.7)
            assert np.abs(gradient).max() < 1e-9
            assert abs(y[0]) < y[1] < y[2]
            seen.add(float(np.sign(y[0])))
        assert seen == signs


def test_adaptive_steps_equal_their_twin():
    """Values and number of steps of three coarse steps at two tolerances."""
    forces, length, rate, blocks = (0.8, 1.2, 0.5), 0.1, 1.1, 2
    for tolerance in (0.05, 0.002):
        expected, steps = np.array([0.4, 0.9, 1.7]), 0
        for k in range(3):
            draws = standard_normal((4 << 12,), seed=2, replicate=3, step=k)

            def normal(node, draws=draws):
                return rate * draws[2 * blocks * node :][:3]

            expected, more = adaptive_path(expected, math.sqrt(length) * normal(0), length, forces, tolerance, normal)
            steps += more
        found, taken = np.array([0.4, 0.9, 1.7]), np.zeros(2, dtype=np.int64)
        words = words_of(seed=2, replicate=3, step=0)
        assert adaptive_steps(found, *forces, rate, length, 3, tolerance, 20, taken, *words) > 0
        np.testing.assert_allclose(found, expected, rtol=1e-7)
        assert taken.tolist() == [steps, 0]


def test_noise_alone_adds_up_to_that_of_the_coarse_steps():
    """However the intervals are halved: a tolerance that no step meets ends at the deepest level."""
    taken, y = np.zeros(2, dtype=np.int64), np.array([1.0])
    words = words_of(seed=2, replicate=0, step=0)
    adaptive_steps(y, 0.0, 0.0, 0.0, 0.3, 0.5, 2, -1.0, 6, taken, *words)
    kicks = [standard_normal((1,), seed=2, replicate=0, step=k)[0] for k in range(2)]
    assert taken.tolist() == [128, 128]
    assert y[0] == pytest.approx(1.0 + 0.3 * math.sqrt(0.5) * sum(kicks), abs=1e-13)


@pytest.mark.parametrize(("beta", "n_cols"), [(1.0, 4.0), (1.0, 5.0), (2.5, 6.0), (4.0, 4.5)])
def test_paths_converge_as_the_tolerance_falls(beta, n_cols):
    """One tree, 40 paths: the mean error of a singular value falls at each of four tolerances, in all by five times.

    Planted: at other noise the differences are a hundred times the least of these errors.
    """

    def roots(tolerance, seed=3):
        options = {"initial": START, "method": "adaptive", "time_step": 0.02, "replicates": 40}
        run = simulate(_model(beta, n_cols), [0.2], seed=seed, tolerance=tolerance, **options)
        return np.sqrt(run.eigenvalue.values)

    exact = roots(1e-6)
    errors = [float(np.abs(roots(tolerance) - exact).mean()) for tolerance in (1e-1, 1e-2, 1e-3, 1e-4)]
    assert errors[0] > errors[1] > errors[2] > errors[3]
    assert errors[3] < errors[0] / 5.0
    assert np.abs(roots(1e-1, seed=4) - exact).mean() > 100.0 * errors[3]


def test_ranges_and_threads_do_not_change_a_path():
    options = {"seed": 3, "initial": START, "method": "adaptive"}
    whole = simulate(_model(), [0.1, 0.3], replicates=6, threads=1, **options)
    again = simulate(_model(), [0.1, 0.3], replicates=range(2, 5), threads=2, **options)
    np.testing.assert_array_equal(whole.eigenvalue[:, 2:5], again.eigenvalue)
    assert whole.attrs["method"] == "adaptive"
    assert whole.attrs["steps_taken"] >= whole.attrs["steps_done"]
    assert whole.attrs["steps_at_limit"] == 0
    assert whole.attrs["newton_steps"] > 0
    assert 0.0 < whole.attrs["tolerance"] < 0.1


@pytest.mark.parametrize("method", ["implicit", "adaptive"])
def test_the_first_record_from_zero_is_its_law(method):
    """Drawn at once, and followed from there: the mean trace at two records, 4.5 standard errors."""
    run = simulate(_model(), [0.1, 0.2], seed=0, replicates=2000, method=method, time_step=0.005)
    trace = run.eigenvalue.sum("rank").values[0]
    exact = 4 * 2.5 * 6 * 0.5 * -np.expm1(-2.0 * np.array([0.1, 0.2]))
    error = trace.std(axis=0) / math.sqrt(2000)
    assert (np.abs(trace.mean(axis=0) - exact) < 4.5 * error).all()
    assert abs(trace.mean(axis=0)[0] - exact[1]) > 20.0 * error[0]
    assert run.attrs["steps_done"] == 21


def test_what_is_not_possible_says_so():
    with pytest.raises(UsageError, match=r"tolerance is 0\.1 at method 'strang'"):
        simulate(_model(), [0.5], seed=0, initial=START, tolerance=0.1)
    for value in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(UsageError, match="it must be positive"):
            simulate(_model(), [0.5], seed=0, initial=START, method="adaptive", tolerance=value)
    with pytest.raises(UsageError, match="dimension of the smallest value"):
        simulate(_model(0.2, 4.0), [0.5], seed=0, initial=START, method="adaptive")
    with pytest.raises(UsageError, match="never reaches time inf"):
        simulate(_model(), [0.5, math.inf], seed=0, initial=START, method="adaptive")

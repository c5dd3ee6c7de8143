import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import eigh

import sdespec as sd
from sdespec.core.errors import UsageError
from sdespec.training.extensive import simulate
from sdespec.training.extensive_dynamics import Draws

NET = sd.models.ExtensiveOutputNetwork


def both(scale, width, kind="orthogonal", **more):
    return NET(1.0, weight_variance=scale**2, train="both", initialization=kind, width=width, **more)


def parts(model, seed, replicate=0):
    """M, A and B of one replicate."""
    draws = Draws(model, seed, replicate)
    return draws.hidden(), draws.readout(), draws.target()


def squares(matrix):
    return np.linalg.svd(matrix, compute_uv=False) ** 2


@pytest.mark.parametrize(("outputs", "inputs"), [(0.5, 1.5), (1.0, 1.0), (2.0, 0.5)])
def test_hidden_flow_is_that_of_an_integrator(outputs, inputs):
    model = NET(outputs, inputs, weight_variance=0.7, target_variance=2.0, target_spike=2.0, width=16)
    start, readout, target = parts(model, 3)
    times = [0.0, 0.4, 3.0]

    def flow(_, state):
        return (readout.T @ (target - readout @ state.reshape(start.shape))).ravel()

    path = solve_ivp(flow, (0.0, 3.0), start.ravel(), method="DOP853", t_eval=times, rtol=1e-11, atol=1e-13).y.T
    run = simulate(model, times, seed=3, save_weights=True)
    for i, state in enumerate(path):
        matrix = state.reshape(start.shape)
        np.testing.assert_allclose(run.weight.values[0, 0, i], matrix, atol=1e-8)
        np.testing.assert_allclose(run.eigenvalue.values[0, 0, i], squares(matrix), atol=1e-8)
        loss = ((readout @ matrix - target) ** 2).sum() / len(readout)
        assert float(run.train_loss[0, i]) == pytest.approx(loss, rel=1e-7)


@pytest.mark.parametrize("rate", [0.01, 0.6])
def test_hidden_descent_is_its_updates(rate):
    model = NET(0.75, width=16, learning_rate=rate, target_variance=3.0)
    matrix, readout, target = parts(model, 5)
    run = simulate(model, [0, 1, 7], seed=5, save_weights=True)
    assert run.attrs["method"] == "exact"
    for step in range(8):
        if step in (0, 1, 7):
            found = run.sel(time=float(step))
            np.testing.assert_allclose(found.weight.values[0, 0], matrix, rtol=1e-8, atol=1e-9)
            loss = ((readout @ matrix - target) ** 2).sum() / len(readout)
            assert float(found.train_loss[0]) == pytest.approx(loss, rel=1e-8)
        matrix = matrix + rate * readout.T @ (target - readout @ matrix)


def test_hidden_weights_after_infinite_time_fit_what_they_can():
    model = NET(2.0, width=20)
    run = simulate(model, [1.0, math.inf], seed=1, save_weights=True)
    _, readout, target = parts(model, 1)
    np.testing.assert_allclose(run.weight.values[0, 0, 1], np.linalg.lstsq(readout, target, rcond=None)[0], atol=1e-9)
    assert run.train_loss.values[0, 1] > 0.1


def _pencil(start, readout, target, variance, time):
    """Squared singular values of the balanced flow from orthogonal matrices times a scale, by its exact solution."""
    left, x, right = np.linalg.svd(target)
    scale = np.linalg.norm(start, 2)
    first, second = right @ start.T / scale, left.T @ readout / scale
    plus, minus = (first + second) / math.sqrt(2.0), (first - second) / math.sqrt(2.0)
    rise, fall = np.expm1(2.0 * x * time), -np.expm1(-2.0 * x * time)

    def between(matrix, values):
        return matrix.T @ (values[:, None] * matrix)

    upper = variance * (between(plus, 1.0 + rise) + between(minus, 1.0 - fall))
    lower = np.eye(len(x)) + 0.5 * variance * (between(plus, rise / x) + between(minus, fall / x))
    return 0.5 * eigh(upper, lower, eigvals_only=True)[::-1]


@pytest.mark.parametrize(("scale", "spike"), [(1.0, None), (0.3, 2.0)])
def test_both_trained_against_the_exact_pencil(scale, spike):
    model = both(scale, 30, target_spike=spike)
    run = simulate(model, [0.5, 1.0, 2.0], seed=2, time_step=0.01)
    for i, time in enumerate((0.5, 1.0, 2.0)):
        exact = _pencil(*parts(model, 2), scale**2, time)
        for layer in range(2):
            np.testing.assert_allclose(run.eigenvalue.values[layer, 0, i], exact, atol=1e-6)
        if scale != 1.0:  # the scale in place of its square is caught
            assert np.abs(_pencil(*parts(model, 2), scale, time) - exact).max() > 0.01


def test_order_of_the_steps():
    model = both(0.5, 20)
    exact = _pencil(*parts(model, 4), 0.25, 1.0)
    errors = [
        np.abs(simulate(model, [1.0], seed=4, time_step=step).eigenvalue.values[0, 0, 0] - exact).max()
        for step in (0.2, 0.1, 0.05)
    ]
    assert np.log2(np.array(errors[:-1]) / errors[1:]) == pytest.approx(4.0, abs=0.4)


@pytest.mark.parametrize("kind", ["gaussian", "orthogonal"])
def test_what_the_flow_conserves(kind):
    run = simulate(both(0.7, 24, kind), [0.0, 1.0, 3.0], seed=6, save_weights=True, time_step=0.02)
    hidden, readout = run.weight.values[:, 0]
    conserved = np.swapaxes(readout, 1, 2) @ readout - hidden @ np.swapaxes(hidden, 1, 2)
    np.testing.assert_allclose(conserved[1:], conserved[:1].repeat(2, axis=0), atol=1e-5)
    assert (np.abs(conserved[0]).max() < 1e-12) == (kind == "orthogonal")
    assert np.all(np.diff(run.train_loss.values[0]) < 0.0)


def test_descent_of_both_is_its_updates():
    model = NET(0.5, 2.0, train="both", width=12, learning_rate=0.05, weight_variance=0.5)
    hidden, readout, target = parts(model, 8)
    run = simulate(model, [0, 2, 5], seed=8)
    assert run.attrs["method"] == "gradient_descent"
    assert run.rank_count.values[:, 0, 0].tolist() == [12, 6]
    for step in range(6):
        if step in (0, 2, 5):
            found = run.sel(time=float(step))
            np.testing.assert_allclose(found.eigenvalue.values[0, 0], squares(hidden), rtol=1e-10, atol=1e-13)
            np.testing.assert_allclose(found.eigenvalue.values[1, 0, :6], squares(readout), rtol=1e-10)
            assert np.isnan(found.eigenvalue.values[1, 0, 6:]).all()
        error = target - readout @ hidden
        hidden, readout = hidden + 0.05 * readout.T @ error, readout + 0.05 * error @ hidden.T


def test_starts_and_targets_have_the_variances_of_the_model():
    hidden, readout, target = parts(NET(0.5, 2.0, weight_variance=0.7, target_variance=3.0, width=300), 0)
    assert hidden.shape == (300, 600)
    assert readout.shape == (150, 300)
    assert target.shape == (150, 600)
    for matrix, variance in ((hidden, 0.7), (readout, 1.0), (target, 3.0)):  # five standard errors or more
        assert 300.0 * matrix.var() == pytest.approx(variance, rel=0.035)
        assert abs(matrix.mean()) < 5.0 * matrix.std() / math.sqrt(matrix.size)
    trained = parts(NET(0.5, 2.0, weight_variance=0.7, train="both", width=300), 0)[1]
    assert 300.0 * trained.var() == pytest.approx(0.7, rel=0.035)
    spike = parts(NET(0.5, 2.0, target_variance=3.0, target_spike=4.0, width=300), 0)[2] - target
    np.testing.assert_allclose(np.linalg.svd(spike, compute_uv=False)[:2], [4.0, 0.0], atol=1e-12)


def test_orthogonal_starts_are_uniform():
    model = both(2.0, 6)
    corners = np.array([[parts(model, 0, replicate)[i][0, 0] for i in (0, 1)] for replicate in range(200)])
    # standard deviation 2/sqrt(6) of an entry: five standard errors; without the signs all have one sign
    assert np.all(np.abs(corners.mean(axis=0)) < 5.0 * 2.0 / math.sqrt(6.0 * 200.0))
    assert abs(np.corrcoef(corners.T)[0, 1]) < 0.35
    hidden = parts(model, 0)[0]
    np.testing.assert_allclose(hidden.T @ hidden, 4.0 * np.eye(6), atol=1e-12)


@pytest.mark.parametrize("model", [NET(0.5, width=20), both(0.5, 20, "gaussian")])
def test_replicates_and_threads_change_nothing(model):
    all_rows = simulate(model, [0.0, 0.7], seed=9, replicates=5, threads=1)
    some = simulate(model, [0.0, 0.7], seed=9, replicates=range(2, 4), threads=2)
    np.testing.assert_array_equal(all_rows.eigenvalue.values[:, 2:4], some.eigenvalue.values)
    assert some.replicate.values.tolist() == [2, 3]
    other = simulate(model, [0.0], seed=10)
    assert not np.array_equal(other.eigenvalue.values[:, :, 0], all_rows.eigenvalue.values[:, :1, 0])


def test_divergence_is_told():
    with pytest.warns(UserWarning, match="smaller learning_rate"):
        run = simulate(NET(1.0, width=20, learning_rate=1.5), [0, 3, 5000], seed=0)
    assert run.converged.values.tolist() == [[1, 1, 0]]
    assert run.rank_count.values.tolist() == [[[20, 20, 0]]]
    assert np.isnan(run.train_loss.values[0, 2])
    for options in ({"learning_rate": 2.0}, {}):
        with pytest.warns(UserWarning, match="diverged"):
            run = simulate(both(3.0, 12, **options), [0, 40], seed=0, time_step=None if options else 5.0)
        assert run.converged.values.tolist() == [[1, 0]]


def test_default_step_and_progress():
    seen = []
    run = simulate(
        both(2.0, 8), [0.1], seed=0, replicates=2, progress=lambda done, total, text: seen.append((done, total))
    )
    assert run.attrs["time_step"] == pytest.approx(0.025)
    assert run.attrs["method_order"] == 4.0
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("model", "times", "options", "message"),
    [
        (NET(0.5), [1.0], {}, "width is None"),
        (NET(0.01, width=10), [1.0], {}, "output_ratio"),
        (NET(0.5, width=10), [1.0], {"initial": np.zeros((10, 10))}, "starts as its model says"),
        (NET(0.5, width=10), [1.0], {"method": "runge_kutta"}, "'exact'"),
        (NET(0.5, width=10), [1.0], {"time_step": 0.1}, "has none"),
        (both(1.0, 10), [1.0], {"method": "exact"}, "'runge_kutta'"),
        (both(1.0, 10), [1.0], {"time_step": -1.0}, "positive"),
        (both(1.0, 10), [math.inf], {}, "finite times"),
        (both(1.0, 10, learning_rate=0.1), [0.5], {}, "whole numbers"),
        (NET(0.5, width=10), [2.0, 1.0], {}, "increase"),
        (NET(0.5, width=10), [], {}, "at least one"),
        (NET(0.5, width=10), [1.0], {"seed": -1}, "seed"),
        (NET(0.5, width=10), [1.0], {"seed": 0.5}, "seed"),
        (NET(0.5, width=10), [1.0], {"threads": 0}, "threads"),
        (NET(0.5, width=10), [1.0], {"replicates": 0}, "replicates"),
        (NET(0.5, width=10**6), [1.0], {}, "GiB"),
        (NET(0.5, train="both", width=10), [1.0], {"save_weights": True}, "one shape"),
        (sd.models.DysonLaguerre(4, 8, 1.0, 0.3), [1.0], {}, "ExtensiveOutputNetwork"),
    ],
)
def test_refused(model, times, options, message):
    with pytest.raises(UsageError, match=message):
        simulate(model, times, **{"seed": 0, **options})


def test_run_survives_a_file(tmp_path):
    run = simulate(NET(0.5, width=12), [0.0, math.inf], seed=2**70, replicates=2)
    assert sd.open(sd.save(run, tmp_path / "run.nc")).equals(run)

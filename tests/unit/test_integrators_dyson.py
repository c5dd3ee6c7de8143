"""Schemes for Dyson processes of any repulsion: kernels against their twins, options, order and determinism."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import roots_genlaguerre

from sdespec.core.errors import UsageError
from sdespec.core.rng import chi_square, standard_normal, words_of
from sdespec.integrators import simulate
from sdespec.integrators._division_kernels import division_spectra
from sdespec.integrators._dyson_kernels import fill_real_chi_square, implicit_root, repulsion_flow
from sdespec.integrators._dyson_reference import implicit_gradient, implicit_midpoint
from sdespec.integrators._reference import division_step
from sdespec.integrators.dyson_paths import splitting_constants
from sdespec.integrators.schemes import graded_steps
from sdespec.laws import LaguerreEnsemble
from sdespec.models import DysonLaguerre

START = {"eigenvalue": [9.0, 4.0, 2.0, 0.5]}


def _model(beta: float = 2.5, n_cols: float = 6.0, n_rows: int = 4, **fields: float) -> DysonLaguerre:
    return DysonLaguerre(n_rows, n_cols, **({"weight_decay": 1.0, "diffusion": 1.0} | fields), beta=beta)


def test_root_is_a_zero_of_the_gradient_in_the_chamber():
    for shrink in (0.0, 0.3):
        x = np.array([-0.2, 0.1, 0.15, 2.0])  # a noisy point may lie outside of it
        y = np.array([0.5, 1.0, 1.5, 2.5])
        assert 0 < implicit_root(x, 0.05, 0.1, shrink, y) < 30
        assert y[0] > 0.0
        assert (np.diff(y) > 0.0).all()
        assert np.abs(implicit_gradient(y, x, 0.05, 0.1, shrink)).max() < 1e-9


def test_flow_is_the_midpoint_rule():
    x = np.array([0.3, 0.8, 1.1, 2.0])
    expected = implicit_midpoint(x, 0.05, 0.2, 0.4)
    assert repulsion_flow(x, 0.05, 0.2, 0.4) > 0
    np.testing.assert_allclose(x, expected, rtol=1e-8)


def test_flow_is_exact_for_one_value_and_for_all_from_zero():
    """x^2 grows by 2 a t; n values from zero stand at the roots of a Laguerre polynomial."""
    one = np.array([0.0])
    repulsion_flow(one, 0.7, 0.3, 0.0)
    np.testing.assert_allclose(one**2, 2.0 * 0.3 * 0.7, rtol=1e-9)
    many, a, b, t = np.zeros(5), 0.6, 0.8, 0.3
    repulsion_flow(many, t, a, b)
    # z = x^2 obeys z_k (a + b sum z_k/(z_k - z_j)) = z_k^2 / (2 t): Laguerre roots of index 2 a / b - 1, scale b t
    nodes = roots_genlaguerre(5, 2.0 * a / b - 1.0)[0]
    np.testing.assert_allclose(many**2, b * t * nodes, rtol=1e-7)


def test_flow_converges_with_order_two():
    start, fine = np.array([0.1, 0.12, 0.9, 1.0]), np.array([0.1, 0.12, 0.9, 1.0])
    for _ in range(2000):
        repulsion_flow(fine, 0.2 / 2000, 0.3, 0.5)
    errors = []
    for count in (8, 16, 32):
        x = start.copy()
        for _ in range(count):
            repulsion_flow(x, 0.2 / count, 0.3, 0.5)
        errors.append(np.abs(x - fine).max())
    assert 3.0 < errors[0] / errors[1] < 5.5
    assert 3.0 < errors[1] / errors[2] < 5.5


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize(
    ("beta", "m"), [(1.0, 6.0), (1.7, 4.5), (2.0, 3.7), (2.0, 3.2), (4.0, 9.25), (0.6, 8.0), (0.2, 4.0)]
)
def test_the_parts_add_up(beta, m, short):
    """Exact part and flow have the drift of the process, and neither pulls the smallest value into zero."""
    n, d, g = 4, 0.7, 0.3
    base, dimension, inverse, pair, decay = splitting_constants(n, m, d, g, beta, short=short)
    s = np.array([0.4, 0.9, 1.7, 3.0])
    gaps = s[:, None] ** 2 - s[None, :] ** 2
    np.fill_diagonal(gaps, np.inf)
    sums = (s[:, None] / gaps).sum(axis=1)
    whole = d * (beta * (m - n + 1) - 1.0) / s + 2.0 * d * beta * sums
    exact = d * ((dimension - n + 1 if base else dimension) - 1.0) / s + 2.0 * d * base * sums
    np.testing.assert_allclose(exact + inverse / s + pair * sums, whole, rtol=1e-12)
    assert inverse >= 0.0
    assert pair >= 0.0
    assert 0.0 <= decay < g
    assert dimension >= (n if base else 0.0)


@pytest.mark.parametrize(("beta", "m"), [(1.5, 6.0), (2.5, 4.0), (6.0, 20.0)])
def test_the_parts_have_proportional_drifts(beta, m):
    """Long steps: the flow is beta - 1 times the drift of the matrix, so that the parts commute but for the noise."""
    n, d, g = 4, 0.7, 0.3
    base, columns, inverse, pair, decay = splitting_constants(n, m, d, g, beta)
    assert (base, columns) == (1.0, m)
    exact = np.array([d * (columns - n + 1), 2.0 * d * base, g - decay])
    np.testing.assert_allclose([inverse, pair, decay], (beta - 1.0) * exact, rtol=1e-12)


def test_chi_squares_of_any_degrees():
    """Means and variances d and 2d, 4.5 standard errors; the shortcut without its power is caught."""
    count = 40_000
    for d in (0.3, 0.8, 1.0, 2.6):
        out = np.empty(count)
        fill_real_chi_square(out, np.full(count, d), *words_of(seed=3, replicate=1, step=2))
        assert abs(out.mean() - d) < 4.5 * math.sqrt(2.0 * d / count)
        assert abs(out.var() - 2.0 * d) < 4.5 * math.sqrt((8.0 * d * d + 48.0 * d) / count)


def test_graded_steps_fill_the_length():
    for share in (0.5, 0.3):
        steps = graded_steps(1.0, 0.3, 0.01, share)
        assert math.isclose(steps.sum(), 1.0)
        assert steps[0] == 0.3
        assert (steps[1:] <= np.maximum(share * (1.0 - np.cumsum(steps)[:-1]) + 1e-12, 0.01)).all()
        assert steps[-1] <= 0.01
    assert graded_steps(1.0, 0.3, 5.0, 0.5).tolist() == [0.25] * 4


@pytest.mark.parametrize("beta", [0.5, 2.5])
def test_steps_do_not_depend_on_a_spike_or_a_tiny_start(beta):
    """Gaps are those of the bulk, and a start near zero is left at once."""

    def steps(scale: float, largest: float) -> int:
        values = [scale * value for value in (largest, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0)]
        return int(simulate(_model(beta, 9.0, 8), [0.5], seed=0, initial={"eigenvalue": values}).attrs["steps_done"])

    assert steps(1.0, 900.0) == steps(1.0, 8.0)
    assert steps(1e-6, 8.0) <= steps(1.0, 8.0) + 2


@pytest.mark.parametrize("method", ["strang", "adaptive"])
def test_steps_to_a_record_do_not_depend_on_earlier_ones(method):
    """A record right after a start near zero, where values are close, costs a few steps and no more later on."""
    start = {"eigenvalue": [1e-8 * k for k in (8, 7, 6, 5, 4, 3, 2, 1)]}

    def taken(times: list[float]) -> int:
        run = simulate(_model(2.5, 9.0, 8), times, seed=0, initial=start, method=method)
        return int(run.attrs.get("steps_taken", run.attrs["steps_done"]))

    assert taken([0.0, 1e-9, 0.5]) <= taken([1e-9]) + 2 * taken([0.5])


def test_threads_ranges_and_record_times_do_not_change_a_path():
    model = _model()
    whole = simulate(model, [0.2, 0.6], seed=3, replicates=6, initial=START, threads=1)
    again = simulate(model, [0.2, 0.6], seed=3, replicates=range(2, 5), initial=START, threads=2)
    np.testing.assert_array_equal(whole.eigenvalue[:, 2:5], again.eigenvalue)
    assert whole.attrs["method"] == "strang"
    assert whole.attrs["method_order"] == 2.0
    assert whole.attrs["newton_steps"] > 0
    other = simulate(model, [0.2, 0.6], seed=4, replicates=6, initial=START)
    assert not np.isclose(whole.eigenvalue, other.eigenvalue).any()


def test_a_continuation_draws_fresh_noise():
    """From the same values a continued run and a new one differ, since the one has drawn noise before."""
    model = _model()
    first = simulate(model, [0.2], seed=3, replicates=3, initial=START)
    continued = simulate(model, [0.5], seed=3, replicates=3, initial=first, time_step=0.05)
    assert continued.time.values.tolist() == [0.5]
    assert continued.attrs["steps_done"] > first.attrs["steps_done"]
    last = {"eigenvalue": first.eigenvalue.values[0, :, 0]}
    anew = simulate(model, [0.3], seed=3, replicates=3, initial=last, time_step=0.05)
    assert not np.isclose(continued.eigenvalue, anew.eigenvalue, rtol=1e-6).any()
    again = simulate(model, [0.5], seed=3, replicates=3, initial=first, time_step=0.05)
    np.testing.assert_array_equal(continued.eigenvalue, again.eigenvalue)


def test_time_zero_is_the_start():
    run = simulate(_model(), [0.0, 0.4], seed=0, replicates=5)
    assert (run.eigenvalue[:, :, 0] == 0.0).all()
    assert (run.eigenvalue[:, :, 1] > 0.0).all()
    assert (
        simulate(_model(), [0.0, 0.4], seed=0, initial=START).eigenvalue[0, 0, 0].values.tolist() == START["eigenvalue"]
    )


@pytest.mark.parametrize(
    ("beta", "n_rows", "n_cols"), [(1.2, 6, 6.0), (2.0, 6, 6.0), (4.0, 5, 5.5), (0.5, 6, 9.0), (0.1, 6, 6.0)]
)
def test_values_are_ordered_and_positive(beta, n_rows, n_cols):
    """Also from zero, from coinciding values and at coarse steps."""
    model = _model(beta, n_cols, n_rows)
    for initial in (None, "stationary", {"eigenvalue": [1.0] * n_rows}, {"eigenvalue": [2.0] + [0.0] * (n_rows - 1)}):
        for step in (None, 0.5):
            run = simulate(
                model, [0.5, 1.0, 3.0], seed=0, replicates=20, initial=initial, time_step=step, method="strang"
            )
            values = run.eigenvalue.values
            assert (np.diff(values, axis=-1) < 0.0).all() or beta < 0.5  # tiny ones may agree to the last digit
            assert (np.diff(values, axis=-1) <= 0.0).all()
            assert (values >= 0.0).all()
            assert np.isfinite(values).all()


def test_what_is_not_possible_says_so():
    with pytest.raises(UsageError, match=r"dimension of the smallest value .* 'strang' does not"):
        simulate(_model(0.2, 4.0), [0.5, 1.0], seed=0, method="implicit", time_step=0.1)
    with pytest.raises(UsageError, match="never reaches time inf"):
        simulate(_model(), [0.5, math.inf], seed=0, method="implicit", time_step=0.1)
    with pytest.raises(UsageError, match="needs a time_step"):
        simulate(_model(), [0.5], seed=0, method="implicit", initial=START)
    with pytest.raises(UsageError, match="no matrix to save"):
        simulate(_model(), [0.5, 1.0], seed=0, save_weights=True)
    with pytest.raises(UsageError, match="is exact; use method='strang'"):
        simulate(_model(), [0.5, 1.0], seed=0, method="exact")
    assert simulate(_model(0.2, 4.0), [0.5], seed=0).attrs["method"] == "exact"


@pytest.mark.parametrize("beta", [2, 4])
@pytest.mark.parametrize("shape", [(3, 3), (3, 5), (3, 6), (4, 11)])
def test_complex_and_quaternion_steps_equal_their_twin(shape, beta):
    """Also where the columns beyond 2n enter by their Bartlett factor."""
    n, m = shape
    start = np.sort(standard_normal((2, n), seed=1, replicate=0) ** 2, axis=1)[:, ::-1].copy()
    out, wide = np.empty((2, 2, n)), m >= 2 * n
    words = words_of(seed=3, replicate=4, step=9)
    factors, deviations = np.array([0.5, 0.9]), np.array([0.3, 0.2])
    assert division_spectra(out, start, m, beta, factors, deviations, *words) == 0
    for r in range(2):
        spectrum = start[r]
        for i in range(2):
            where = {"seed": 3, "replicate": 4 + r, "step": 9 + i}
            noise = standard_normal((n, 2 * n if wide else m, beta), **where)
            chi = chi_square(beta * (m - n - np.arange(n)), **where, purpose=2) if wide else None
            spectrum = division_step(spectrum, factors[i], deviations[i], noise, chi)
            np.testing.assert_allclose(out[r, i], spectrum, rtol=1e-9)


@pytest.mark.parametrize("beta", [2.0, 4.0])
def test_paths_of_complex_and_quaternion_matrices_are_exact(beta):
    """At any step, to time inf, whatever the threads, and not at all where no such matrix exists."""
    model = _model(beta=beta)
    run = simulate(model, [0.0, 0.3, math.inf], seed=2, replicates=6, initial=START)
    assert run.attrs["method"] == "exact"
    assert run.attrs["method_order"] == math.inf
    np.testing.assert_array_equal(run.eigenvalue[0, 0, 0], START["eigenvalue"])
    one = simulate(model, [0.0, 0.3, math.inf], seed=2, replicates=range(3, 5), initial=START, threads=1)
    np.testing.assert_array_equal(one.eigenvalue[0], run.eigenvalue[0, 3:5])
    assert simulate(_model(beta=beta, n_cols=6.5), [0.3], seed=2, initial=START).attrs["method"] == "strang"
    with pytest.raises(UsageError, match="only at beta = 1"):
        simulate(model, [0.3], seed=2, initial=START, method="exact", save_weights=True)


def test_any_repulsion_reaches_time_infinity():
    """There the spectrum is one of the ensemble and knows nothing of the start."""
    near = simulate(_model(), [0.2, math.inf], seed=4, replicates=400, initial=START)
    far = simulate(_model(), [0.2, math.inf], seed=4, replicates=400, initial={"eigenvalue": [99.0, 50.0, 9.0, 1.0]})
    np.testing.assert_array_equal(near.eigenvalue[:, :, 1], far.eigenvalue[:, :, 1])
    assert float(far.eigenvalue[:, :, 0].mean()) > 3.0 * float(near.eigenvalue[:, :, 0].mean())
    rest = LaguerreEnsemble(4, 6.0, 1.0, beta=2.5).rvs(400, seed=99)
    for k in (0, 3):
        assert stats.ks_2samp(near.eigenvalue.values[0, :, 1, k], rest[:, k]).pvalue > 1e-3
    with pytest.raises(UsageError, match="never reaches"):
        simulate(_model(), [0.2, math.inf], seed=4, initial=START, method="implicit", time_step=0.1)

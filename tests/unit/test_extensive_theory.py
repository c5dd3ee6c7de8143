import math
import warnings

import numpy as np
import pytest

import sdespec as sd
from sdespec.core.errors import NumericalError, UsageError
from sdespec.theory.extensive import predict
from sdespec.theory.extensive_balanced import balanced_law
from sdespec.theory.extensive_hidden import hidden_law, readout_nodes
from sdespec.theory.extensive_roots import root

NET = sd.models.ExtensiveOutputNetwork


def both(scale, **more):
    return NET(1.0, weight_variance=scale**2, train="both", initialization="orthogonal", **more)


def upper(ds, layer=0):
    return np.sqrt(ds.bulk_edge.values[layer, :, 1])


def masses(ds):
    """Mass of density and atom at every layer and time."""
    return np.trapezoid(ds.density.values, ds.x.values, axis=-1) + ds.atom.values


@pytest.mark.parametrize("ratio", [0.1, 0.999, 1.0, 1.001, 3.0])
def test_quadrature_has_the_moments_of_the_read_out(ratio):
    nodes, weights = readout_nodes(ratio, 60)
    # moments of N^{-1} tr (A^T A)^n for entries of variance 1/N: sums of Narayana numbers times powers of the ratio
    for order in range(1, 6):
        narayana = [math.comb(order, k) * math.comb(order, k - 1) / order for k in range(1, order + 1)]
        expected = sum(number * ratio**k for k, number in enumerate(narayana, start=1))
        assert (weights * nodes**order).sum() == pytest.approx(expected, rel=1e-12)
    assert weights.sum() == pytest.approx(min(ratio, 1.0), rel=1e-12)
    assert nodes.min() >= (1.0 - math.sqrt(ratio)) ** 2 - 1e-12


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [(0.1, [1.984, 2.127, 3.032]), (0.5, [1.920, 2.320, 3.881]), (1.0, [1.846, 2.412, 4.185])],
)
def test_edges_of_square_hidden_weights(outputs, expected):
    ds = predict(NET(outputs, target_variance=4.0), [0.2, 1.0, 4.0])
    np.testing.assert_allclose(upper(ds), expected, atol=6e-4)
    assert ds.converged.values.tolist() == [1, 1, 1]


@pytest.mark.parametrize(("outputs", "time", "expected"), [(0.1, 1.0, 1.797), (0.5, 1.0, 1.967), (1.0, 4.0, 3.502)])
def test_edges_with_half_as_many_inputs(outputs, time, expected):
    model = NET(outputs, 0.5, target_variance=4.0)
    assert upper(predict(model, [time]))[0] == pytest.approx(expected, abs=6e-4)
    # the other definition of the ratio is far off
    wrong = upper(predict(NET(outputs, 2.0, target_variance=4.0), [time]))[0]
    assert abs(wrong - expected) > 0.1


@pytest.mark.parametrize("outputs", [0.05, 1.0, 4.0])
@pytest.mark.parametrize("inputs", [0.2, 1.0, 3.0])
def test_mass_is_one(outputs, inputs):
    ds = predict(NET(outputs, inputs, target_variance=2.0), [0.0, 0.3, 2.0])
    np.testing.assert_allclose(masses(ds), 1.0, atol=5e-3)
    np.testing.assert_allclose(ds.atom.values, 0.0, atol=1e-12)
    assert (ds.density.values >= 0.0).all()


@pytest.mark.parametrize(
    ("outputs", "inputs", "atom"), [(0.3, 1.0, 0.7), (0.3, 0.5, 0.4), (0.3, 2.0, 0.7), (0.3, 0.2, 0.0), (2.0, 0.5, 0.0)]
)
def test_atom_of_a_start_at_zero(outputs, inputs, atom):
    ds = predict(NET(outputs, inputs, weight_variance=0.0), [0.0, 1.0])
    np.testing.assert_allclose(ds.atom.values, [[1.0, atom]], atol=1e-12)
    np.testing.assert_allclose(masses(ds), 1.0, atol=5e-3)
    assert ds.bulk_edge.values[0, 0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("inputs", [0.25, 1.0, 4.0])
def test_time_zero_is_marchenko_pastur(inputs):
    law = hidden_law(NET(0.6, inputs, weight_variance=2.25), 0.0)
    low, high = 2.25 * (1.0 - math.sqrt(inputs)) ** 2, 2.25 * (1.0 + math.sqrt(inputs)) ** 2
    np.testing.assert_allclose(law.edges, [low, high], rtol=1e-12, atol=1e-12)
    x = np.linspace(low, high, 12)[1:-1]
    expected = np.sqrt((x - low) * (high - x)) / (2.0 * math.pi * 2.25 * min(1.0, inputs) * x)
    np.testing.assert_allclose(law.density(x), expected, rtol=1e-6)


@pytest.mark.parametrize(("outputs", "inputs"), [(0.1, 1.0), (0.5, 0.5), (3.0, 2.0)])
def test_density_has_the_transform_that_its_equation_asks_for(outputs, inputs):
    """The equation iterated at a distance from the real line, against the integral over the density."""
    time, z = 2.0, 1.0 + 0.5j
    k, weights = readout_nodes(outputs, 300)
    kept = np.exp(-k * time)
    covariance = 0.7 * kept**2 + 3.0 * (1.0 - kept) ** 2 / k
    weights, covariance = np.append(weights, max(0.0, 1.0 - outputs)), np.append(covariance, 0.7)
    transform = -1.0 / z
    for _ in range(3000):
        new = 1.0 / (-z + (weights * covariance / (1.0 + covariance * inputs * transform)).sum())
        transform = 0.5 * (transform + new)
    ds = predict(NET(outputs, inputs, weight_variance=0.7, target_variance=3.0), [time])
    integral = np.trapezoid(ds.density.values[0, 0] / (ds.x.values - z), ds.x.values)
    # the transform of D values, of which min(N, D) are those of the density and the others 0
    share = min(1.0, inputs) / inputs
    assert share * integral - (1.0 - share) / z == pytest.approx(transform, abs=2e-4)


@pytest.mark.parametrize(
    ("model", "time"), [(NET(0.4, 3.0, weight_variance=100.0, target_variance=0.003), 50.0), (both(0.005), 4.0)]
)
def test_mass_of_spectra_over_many_decades(model, time):
    ds = predict(model, [time])
    assert float(ds.bulk_edge[0, 0, 1] / ds.bulk_edge[0, 0, 0]) > 1e5
    np.testing.assert_allclose(masses(ds), 1.0, atol=5e-3)


def test_few_outputs_split_the_bulk():
    ds = predict(NET(0.01, 0.5, target_variance=40.0), [3.0])
    density, x = ds.density.values[0, 0], ds.x.values
    gaps = (density < 1e-6) & (x > ds.bulk_edge.values[0, 0, 0]) & (x < ds.bulk_edge.values[0, 0, 1])
    assert gaps.sum() > 10
    beyond = x > x[gaps].max()
    assert np.trapezoid(density[beyond], x[beyond]) == pytest.approx(0.01 / 0.5, rel=0.05)


def test_descent_with_small_steps_is_the_flow():
    flow = predict(NET(0.5, target_variance=4.0), [0.5, 2.0])
    descent = predict(NET(0.5, target_variance=4.0, learning_rate=1e-4), [5000, 20000], grid=flow.x.values)
    np.testing.assert_allclose(descent.bulk_edge.values, flow.bulk_edge.values, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(descent.train_loss.values, flow.train_loss.values, rtol=1e-3)
    assert descent.time.attrs["clock"] == "step"
    assert flow.time.attrs["clock"] == "learning_rate*step"


def test_descent_that_diverges_is_told():
    model = NET(0.5, learning_rate=1.5)
    with pytest.warns(UserWarning, match="converged is 0"):
        ds = predict(model, [0, 3, 5000])
    assert ds.converged.values.tolist() == [1, 1, 0]
    assert np.isnan(ds.bulk_edge.values[0, 2]).all()
    assert np.isnan(ds.train_loss.values[2])
    assert np.isfinite(ds.density.values[0, 1]).all()


def test_infinite_time_of_hidden_weights():
    model = NET(0.5, weight_variance=0.3)
    late, last = (predict(model, [time]) for time in (400.0, math.inf))
    np.testing.assert_allclose(late.bulk_edge.values, last.bulk_edge.values, rtol=1e-6)
    assert float(last.train_loss[0]) == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(UsageError, match="output_ratio=1"):
        predict(NET(1.0), [1.0, math.inf])


def test_loss_at_the_ends():
    ds = predict(NET(2.0, 0.5, weight_variance=0.7, target_variance=3.0), [0.0, math.inf])
    np.testing.assert_allclose(ds.train_loss.values, [0.5 * (0.7 + 3.0), 0.5 * 3.0 * 0.5], rtol=1e-12)


def test_what_is_not_resolved_is_told():
    """Many more inputs than units, and no smallest covariance: the density near 0 follows every node."""
    with pytest.warns(UserWarning, match="resolved"):
        ds = predict(NET(1.0, 20.0, weight_variance=0.0), [1.0])
    assert int(ds.converged[0]) == 0
    assert np.isnan(ds.density.values).all()


@pytest.mark.parametrize(("scale", "time", "expected"), [(1.0, 1.0, 1.3515), (0.5, 1.0, 1.2475), (0.3, 2.0, 1.4003)])
def test_edges_of_both_trained(scale, time, expected):
    ds = predict(both(scale), [time])
    assert ds.layer.values.tolist() == ["W0", "W1"]
    assert ds.matrix.values.tolist() == ["M", "A"]
    for layer in range(2):
        assert upper(ds, layer)[0] == pytest.approx(expected, rel=1e-3)
    np.testing.assert_allclose(masses(ds), 1.0, atol=5e-3)
    if scale != 1.0:  # the scale in place of its square is caught
        assert abs(upper(predict(both(math.sqrt(scale)), [time]))[0] - expected) > 0.003 * expected


@pytest.mark.parametrize(
    ("scale", "time", "spike", "expected"),
    [(0.5, 1.0, 2.0, 1.4704), (0.3, 2.0, 2.0, 1.5783), (0.3, 1.0, 1.3, 1.1043), (0.3, 1.0, 0.8, None)],
)
def test_outliers_of_both_trained(scale, time, spike, expected):
    ds = predict(both(scale, target_spike=spike), [time])
    assert ds.n_outliers.values.tolist() == [[int(expected is not None)]] * 2
    if expected is not None:
        assert math.sqrt(float(ds.outlier[0, 0, 0])) == pytest.approx(expected, rel=1e-4)


def _matrix_density(level, scale, time, epsilon=1e-6):
    """Density by the equation over 2 x 2 matrices from which the scalar one follows."""
    angles, weights = np.polynomial.legendre.leggauss(600)
    theta = 0.25 * math.pi * (angles + 1.0)
    x, weights = 2.0 * np.cos(theta), weights * np.sin(theta) ** 2
    circle = np.exp(2j * math.pi * (np.arange(4000) + 0.5) / 4000)
    rise, fall = np.expm1(2.0 * x * time) / x, -np.expm1(-2.0 * x * time) / x
    plus, minus = np.exp(2.0 * x * time) - level * rise, np.exp(-2.0 * x * time) - level * fall
    turn = np.array([[1.0, 1.0], [1.0, -1.0]]) / math.sqrt(2.0)

    def matrices(first, second):
        diagonal = np.zeros((len(x), 2, 2))
        diagonal[:, 0, 0], diagonal[:, 1, 1] = first, second
        return turn @ diagonal @ turn

    inverse = matrices(1.0 / plus, 1.0 / minus)
    field = np.eye(2) - 2.0 * level / scale**2 * inverse
    slope = -2.0 / scale**2 * (inverse + level * matrices(rise / plus**2, fall / minus**2))
    spin = np.zeros((len(circle), 2, 2), dtype=complex)
    spin[:, 0, 1], spin[:, 1, 0] = circle, circle.conj()

    def rest(matrix, others, shares):
        mean = np.einsum("k,kij->ij", shares, np.linalg.inv(matrix - others))
        return np.linalg.inv(mean) - matrix

    shift = 1j * epsilon * np.eye(2)
    omega = 1j * np.eye(2)
    for _ in range(4000):
        inner = shift + rest(omega, field, weights)
        new = 0.5 * (omega + shift + rest(inner, spin, np.full(len(circle), 1.0 / len(circle))))
        moved = np.abs(new - omega).max()
        omega = new
        if moved < 1e-10:
            break
    total = np.einsum("k,kij,kji->", weights, slope, np.linalg.inv(omega - field))
    return abs(total.imag) / math.pi


@pytest.mark.parametrize("level", [0.3, 1.0])
def test_the_scalar_equation_solves_the_one_over_matrices(level):
    law = balanced_law(both(0.5), 1.0)
    assert law.density(np.array([level]))[0] == pytest.approx(_matrix_density(level, 0.5, 1.0), rel=2e-3)


@pytest.mark.parametrize("exponent", [0.01, 8.0, 16.0])
@pytest.mark.parametrize("scale", [0.03, 3.0])
def test_mass_of_both_trained(exponent, scale):
    ds = predict(both(scale), [exponent / 4.0])
    np.testing.assert_allclose(masses(ds), 1.0, atol=5e-3)
    # logistic paths from the start to the values of the target
    assert float(ds.bulk_edge[0, 0, 1]) <= max(scale**2, 2.0)


def test_scaling_of_the_target():
    """Twice the target in half the time from sqrt(2) times the start gives sqrt(2) times the weights."""
    one = predict(both(0.5), [1.0])
    two = predict(both(math.sqrt(0.5), target_variance=4.0), [0.5])
    np.testing.assert_allclose(two.bulk_edge.values, 2.0 * one.bulk_edge.values, rtol=1e-10)


def test_beyond_the_verified_range():
    with pytest.warns(UserWarning, match="converged is 0"):
        ds = predict(both(0.3, target_spike=2.0), [0.0, 1.0, 5.0, math.inf])
    assert ds.converged.values.tolist() == [1, 1, 0, 1]
    assert np.isnan(ds.density.values[:, 2]).all()
    assert np.isnan(ds.outlier.values[:, 2]).all()
    np.testing.assert_allclose(ds.bulk_edge.values[0, 0], 0.09)
    assert np.isnan(ds.density.values[:, 0]).all()
    np.testing.assert_allclose(ds.bulk_edge.values[0, 3], [0.0, 2.0])
    assert float(ds.outlier[0, 3, 0]) == pytest.approx(2.5)
    np.testing.assert_allclose(masses(ds)[:, 3], 1.0, atol=5e-3)


def test_late_times_approach_the_limit():
    ds = predict(both(1.0, target_spike=2.0), [1.0, 2.0, 4.0])
    distance = np.abs(ds.bulk_edge.values[0, :, 1] - 2.0)
    assert distance[0] > distance[1] > distance[2]
    assert abs(float(ds.outlier[0, 2, 0]) - 2.5) < 1e-3


def test_grid_and_shapes():
    grid = np.linspace(0.0, 20.0, 50)
    ds = predict(NET(0.5, 0.5, target_variance=4.0, width=100), [1.0], grid=grid)
    np.testing.assert_array_equal(ds.x.values, grid)
    assert ds.density.values[0, 0, 0] == 0.0
    assert (int(ds.n_rows[0]), int(ds.n_cols[0])) == (100, 50)
    assert np.isnan(predict(NET(0.5), [1.0], grid=grid).density.values[0, 0, 0])
    assert int(predict(NET(0.5), [1.0]).n_rows[0]) == 0


@pytest.mark.parametrize(
    ("model", "times", "options", "message"),
    [
        (NET(0.5), [1.0], {"initial": "stationary"}, "starts as its model says"),
        (NET(0.5), [1.0], {"grid": [1.0]}, "grid"),
        (NET(0.5), [1.0], {"grid": [1.0, np.nan]}, "grid"),
        (NET(0.5), [], {}, "at least one"),
        (NET(0.5), [1.0, 1.0], {}, "increase"),
        (NET(0.5), [-1.0], {}, "increase"),
        (NET(0.5, learning_rate=0.1), [0.5], {}, "whole numbers"),
        (NET(0.5, learning_rate=0.1), [math.inf], {}, "whole numbers"),
        (NET(1.0, train="both"), [1.0], {}, "no theory is known"),
        (both(1.0, learning_rate=0.1), [1], {}, "gradient flow"),
        (sd.models.DysonLaguerre(4, 8, 1.0, 0.3), [1.0], {}, "ExtensiveOutputNetwork"),
    ],
)
def test_refused(model, times, options, message):
    with pytest.raises(UsageError, match=message):
        predict(model, times, **options)


def test_roots_need_a_change_of_sign():
    with pytest.raises(NumericalError, match="no change of sign"):
        root(lambda x: x * x + 1.0, -1.0, 1.0)


def test_prediction_survives_a_file(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ds = predict(NET(0.5, target_spike=4.0), [0.5, 1.0])
    assert sd.open(sd.save(ds, tmp_path / "prediction.nc")).equals(ds)
    assert ds.escape.values[0, 0, 0] < ds.escape.values[0, 1, 0]

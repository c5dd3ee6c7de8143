"""J3: a sweep of deep linear networks in theory and in simulation, held together."""

import numpy as np

import sdespec as sd


def test_a_sweep_of_networks_against_theory(tmp_path):
    """As a user types it, with smaller networks: nothing disagrees, and the outliers of 32 networks agree."""
    models = sd.sweep(
        sd.models.DeepLinearNetwork(width_ratio=1, sample_ratio=float("inf"), hidden_layers=2, feature_strength=8,
                                    learning_rate=0.008, input_dim=200),
        width_ratio=[0.5, 1, 2], parametrization=["mup", "ntk"],
    )  # fmt: skip
    theory = sd.predict(models, range(0, 81, 20))
    nets = sd.simulate(models, range(0, 81, 20), replicates=32, seed=0)
    assert dict(theory.outlier.sizes) | {"mode": 0} == {
        "width_ratio": 3, "parametrization": 2, "layer": 2, "time": 5, "mode": 0,
    }  # fmt: skip
    check = sd.compare(nets, theory, quantities=["outlier", "test_loss"], tolerance=0.02)
    assert "disagree" not in check.verdict.values
    assert sd.summary(check).startswith("quantity")
    outliers = sd.compare(nets.sel(time=[80]), theory.sel(time=[80]), quantities=["outlier"], tolerance=0.07)
    verdicts = outliers.verdict.values.tolist()
    assert set(verdicts) <= {"agree", "not_comparable"}
    assert verdicts.count("agree") >= 8
    assert np.abs(outliers.z_score.values).max() < 4.5
    # at equal width the two parametrizations are one
    same = nets.sel(width_ratio=1.0)
    one, other = (same.eigenvalue.sel(parametrization=name).values for name in ("mup", "ntk"))
    assert np.array_equal(one, other, equal_nan=True)
    sd.save(nets, tmp_path / "nets.nc")
    assert np.array_equal(sd.open(tmp_path / "nets.nc").eigenvalue, nets.eigenvalue, equal_nan=True)


def test_the_foil_is_found_out():
    """The classical formula for independent spikes disagrees; so does a theory of a wrong learning rate in the loss."""
    net = sd.models.DeepLinearNetwork(1, float("inf"), 2, feature_strength=8, learning_rate=0.008, input_dim=200)
    nets = sd.simulate(net, [20, 80], replicates=32, seed=1).sel(layer=["W1"])
    rival = sd.predict(net, [20, 80], approximation="independent_spike").drop_vars("escape").sel(layer=["W1"])
    foil = sd.compare(nets, rival, quantities=["outlier"], tolerance=0.03)
    assert set(foil.verdict.values) == {"disagree"}
    slow = sd.models.DeepLinearNetwork(1, float("inf"), 2, feature_strength=8, learning_rate=0.006)
    wrong = sd.compare(nets, sd.predict(slow, [20, 80]), quantities=["test_loss"])
    assert set(wrong.verdict.values) == {"disagree"}

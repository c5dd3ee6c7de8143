"""Error bars of finite width: scaled from narrow networks, they are those of wide ones."""

import dataclasses

import numpy as np
import pytest

import sdespec as sd
from sdespec.core.errors import InputError, UsageError

NET = sd.models.DeepLinearNetwork(1, float("inf"), 1, feature_strength=8, learning_rate=0.01, input_dim=400)
TIMES = [0, 20, 40]


def test_the_spread_of_wide_networks_is_that_of_narrow_ones_scaled():
    """Ratios of standard deviations over 100 and 60 seeds, each known to about 12 %: all within a factor 1.6.

    The scaling is the point: without it the ratios are near 2, which the last line sees.
    """
    theory = sd.finite_width(sd.predict(NET, TIMES), NET, pilot=100, replicates=100, seed=1)
    nets = sd.simulate(NET, TIMES, seed=2, replicates=60)
    ratios = {}
    for name in ("test_loss", "ntk_top"):
        ratios[name] = theory[f"{name}_stderr"].values / nets[name].std("replicate", ddof=1).values
    top = nets.eigenvalue.isel(layer=0, rank=0).std("replicate", ddof=1).values
    ratios["outlier"] = (theory.outlier_stderr.isel(layer=0, mode=0).values / top)[1:]
    found = np.concatenate(list(ratios.values()))
    assert np.all((found > 1 / 1.6) & (found < 1.6)), ratios
    unscaled = 2.0 * found
    assert np.exp(np.mean(np.log(unscaled))) > 1.6


def test_the_errors_enter_a_comparison():
    theory = sd.predict(NET, TIMES)
    bars = sd.finite_width(theory, NET, pilot=100, replicates=16, seed=1)
    assert sd.validate(bars) is bars
    assert "test_loss_stderr" not in theory
    assert np.isnan(bars.outlier_stderr.values[np.isnan(theory.outlier.values)]).all()
    one = sd.simulate(NET, TIMES, seed=3)
    assert set(sd.compare(one, theory, quantities=["test_loss"], tolerance=9.0).verdict.values) == {"undecided"}
    check = sd.compare(one, bars, quantities=["test_loss", "outlier"], tolerance=9.0)
    assert set(check.verdict.values) == {"agree"}
    expected = (one.test_loss.values[0, 1] - theory.test_loss.values[1]) / bars.test_loss_stderr.values[1]
    assert check.z_score.sel(quantity="test_loss[time=20]") == pytest.approx(expected)
    assert np.abs(check.z_score.values).max() < 4.5


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        ({}, {"pilot": 500}, UsageError, "at most the input_dim of the model, 400"),
        ({}, {"pilot": 4}, UsageError, "pilot is 4"),
        ({}, {"pilot": 100, "replicates": 2}, UsageError, "replicates is 2"),
        ({"input_dim": None}, {"pilot": 100}, UsageError, "input_dim of the model is None"),
    ],
)
def test_arguments_are_checked(change, options, error, message):
    with pytest.raises(error, match=message):
        sd.finite_width(sd.predict(NET, [0, 1]), dataclasses.replace(NET, **change), seed=0, **options)


def test_other_things_are_refused():
    theory = sd.predict(NET, [0, 1])
    with pytest.raises(UsageError, match="DysonLaguerre has no width"):
        sd.finite_width(theory, sd.models.DysonLaguerre(4, 6, 1.0, 0.3), pilot=20, seed=0)
    swept = sd.predict(sd.sweep(NET, width_ratio=[1, 2]), [0, 1])
    with pytest.raises(InputError, match="width_ratio"):
        sd.finite_width(swept, NET, pilot=100, seed=0)

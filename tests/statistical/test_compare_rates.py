"""compare is honest: true predictions are rarely called wrong, and wrong ones are found."""

import math

import numpy as np
import pytest

import sdespec as sd
from sdespec.core.dataset import build
from sdespec.core.provenance import record

N_ROWS, N_COLS, VARIANCE = 8, 12, 0.5


def _run(spectra):
    """A simulation of one layer at one time."""
    coords = {
        "layer": (("layer",), ["W"]),
        "n_rows": (("layer",), [N_ROWS]),
        "n_cols": (("layer",), [N_COLS]),
        "matrix": (("layer",), ["W"]),
        "replicate": (("replicate",), np.arange(len(spectra))),
        "time": (("time",), [1.0], {"clock": "learning_rate*step"}),
        "rank": (("rank",), np.arange(spectra.shape[1])),
    }
    content = {"eigenvalue": (("layer", "replicate", "time", "rank"), spectra[None, :, None])}
    return build(content, coords, source="simulate", provenance=record("test", {}))


def _exact(variance=VARIANCE):
    """Exact moments of the ensemble of real Gaussian matrices, from their textbook forms."""
    orders = np.arange(N_ROWS + 1)
    moments = [
        math.log(math.comb(N_ROWS, j)) + sum(math.log(N_COLS - i) for i in range(j)) + j * math.log(variance)
        for j in orders
    ]
    coords = {
        "layer": (("layer",), ["W"]),
        "n_rows": (("layer",), [N_ROWS]),
        "n_cols": (("layer",), [N_COLS]),
        "matrix": (("layer",), ["W"]),
        "time": (("time",), [1.0], {"clock": "learning_rate*step"}),
        "order": (("order",), orders),
    }
    content = {
        "trace_mean": (("layer", "time"), [[N_ROWS * N_COLS * variance]]),
        "trace_variance": (("layer", "time"), [[2.0 * N_ROWS * N_COLS * variance**2]]),
        "log_elementary_moment": (("layer", "time", "order"), np.array(moments)[None, None]),
    }
    return build(content, coords, source="predict", provenance=record("test", {}))


def _draws(size, *, seed, variance=VARIANCE, beta=1.0):
    return sd.laws.LaguerreEnsemble(N_ROWS, N_COLS, variance, beta).rvs(size, seed=seed)


def _false_alarms(predicted, significance, planted=1.0):
    """How many of 200 comparisons say disagree anywhere; ``planted`` shrinks the errors as a bug would."""
    pool = _draws(200 * 100, seed=11).reshape(200, 100, N_ROWS)
    alarms = 0
    for spectra in pool:
        center = spectra.mean(axis=0)
        check = sd.compare(_run(center + (spectra - center) / planted), predicted, significance=significance)
        alarms += bool((check.verdict == "disagree").any())
    return alarms


def test_true_predictions_are_rarely_called_wrong():
    """200 comparisons at family-wise significance 0.05: Binomial(200, 0.05) exceeds 24 with probability 4e-5."""
    assert _false_alarms(_exact(), 0.05) <= 24


def test_true_samples_are_rarely_called_wrong():
    """Two samples, density and ranks included, one reference: at 0.05, more than 24 of 200 is a bug.

    The 200 comparisons share the reference of 4000 replicates, whose error is a sixth of theirs.
    """
    assert _false_alarms(_run(_draws(4000, seed=12)), 0.05) <= 24


def test_errors_that_are_too_small_are_noticed():
    """The planted bug, errors three times too small, breaks the bound of the test above."""
    assert _false_alarms(_exact(), 0.05, planted=3.0) > 24


@pytest.mark.parametrize(
    ("change", "quantity"),
    [({"variance": 1.05 * VARIANCE}, "trace_mean"), ({"beta": 1.1, "variance": VARIANCE / 1.1}, "trace_variance")],
)
def test_wrong_physics_is_found_at_6000_replicates(change, quantity):
    """A diffusion wrong by 5 %, and a repulsion wrong by 10 % at the same mean trace, at significance 1e-3.

    The truth itself passes; a false alarm of it has probability at most 1e-3.
    """
    right = sd.compare(_run(_draws(6000, seed=5)), _exact())
    assert "disagree" not in right.verdict.values
    wrong = sd.compare(_run(_draws(6000, seed=5, **change)), _exact())
    found = wrong.quantity_name.values[wrong.verdict.values == "disagree"]
    assert "disagree" in wrong.verdict.values
    if quantity == "trace_mean":
        assert quantity in found


def test_wrong_repulsion_is_found_between_two_samples():
    """Beta 1.1 against 1, 6000 replicates each; the truth raises an alarm with probability at most 1e-3."""
    reference = _run(_draws(6000, seed=6))
    assert "disagree" not in sd.compare(_run(_draws(6000, seed=7)), reference).verdict.values
    wrong = sd.compare(_run(_draws(6000, seed=7, beta=1.1)), reference)
    assert "disagree" in wrong.verdict.values


def test_eigenvalues_are_never_treated_as_independent():
    """The band of a pooled cdf is that of whole replicates: far narrower than for independent values.

    The planted bug, eigenvalues reshuffled over replicates, doubles the band; the seed is fixed, and the ratio of
    two bands of 2000 replicates varies by a few percent.
    """
    from sdespec.compare.statistics import cdf_band

    spectra = _draws(2000, seed=8)
    shuffled = np.random.default_rng(0).permutation(spectra.ravel()).reshape(spectra.shape)
    whole, iid = (cdf_band(one, size=2000, seed=0).spread for one in (spectra, shuffled))
    assert whole < 0.6 * iid

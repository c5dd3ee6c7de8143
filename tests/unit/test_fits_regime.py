"""Every row of the decision table, and every empty cell of it."""

from dataclasses import replace

import pytest

from sdespec.fits.bulk import BeyondBulk
from sdespec.fits.regime import REGIMES, Evidence, decide_regime

RANDOM = Evidence(
    rank=200, n_outliers=0, identifiable=True, ks_mp=0.01, ks_rest=0.01, ks_null=0.016, n_tail=30, decades=0.3,
    z_exponential=-2.0, z_null=-1.5,
)  # fmt: skip
TAIL = replace(RANDOM, n_outliers=40, ks_mp=0.3, ks_rest=0.2, z_exponential=1.0)


@pytest.mark.parametrize(
    ("evidence", "name"),
    [
        (RANDOM, "random"),
        (replace(RANDOM, rank=49), "undecided"),
        (replace(RANDOM, ks_mp=0.033), "undecided"),
        (replace(RANDOM, ks_mp=0.033, variance_ratio=0.8), "inflated_bulk"),
        (replace(RANDOM, ks_mp=0.033, variance_ratio=1.05), "undecided"),
        (replace(RANDOM, variance_ratio=1.5), "inflated_bulk"),
        (replace(RANDOM, variance_ratio=0.5), "random"),
        (replace(RANDOM, n_outliers=3, ks_mp=0.2), "spikes"),
        (replace(RANDOM, n_outliers=14, ks_mp=0.2), "spikes"),
        (replace(RANDOM, n_outliers=15, ks_mp=0.2), "undecided"),
        (replace(RANDOM, n_outliers=3, ks_rest=0.05), "undecided"),
        (TAIL, "broad_tail"),
        (replace(TAIL, n_outliers=19), "undecided"),
        (replace(TAIL, z_exponential=-1.6), "undecided"),
        (replace(TAIL, z_exponential=float("nan")), "undecided"),
        (replace(TAIL, n_tail=12), "undecided"),
        (replace(TAIL, n_tail=12, decades=1.2), "broad_tail"),
        (replace(TAIL, n_outliers=8, n_tail=100, decades=1.2), "broad_tail"),
        (replace(TAIL, n_outliers=8, n_tail=99, decades=1.2), "undecided"),
        (replace(TAIL, n_outliers=8, n_tail=150, decades=0.9), "undecided"),
        (replace(TAIL, n_outliers=8, n_tail=150, decades=1.2, ks_rest=0.03), "spikes"),
        (replace(TAIL, n_outliers=8, n_tail=150, decades=1.2, z_exponential=-1.6), "undecided"),
        (replace(TAIL, n_outliers=8, n_tail=150, decades=1.2, n_outliers_null=4), "undecided"),
        (replace(RANDOM, n_outliers=3, n_outliers_null=1), "spikes"),
        (replace(RANDOM, n_outliers=3, n_outliers_null=2), "undecided"),
        (replace(RANDOM, n_outliers=3, n_outliers_null=1, top_over_edge=1.1, top_over_edge_null=1.1), "broad_tail"),
        (replace(RANDOM, n_outliers=3, n_outliers_null=1, top_over_edge=9.0, top_over_edge_null=1.09), "spikes"),
        (replace(RANDOM, n_outliers=4, n_outliers_null=1, top_over_edge=9.0, top_over_edge_null=9.0), "spikes"),
        (replace(RANDOM, n_outliers=1, n_outliers_null=1, top_over_edge=9.0, top_over_edge_null=9.0), "undecided"),
        (replace(RANDOM, n_outliers=1, n_outliers_null=2, top_over_edge=9.0, top_over_edge_null=9.0), "broad_tail"),
        (replace(RANDOM, n_outliers=1, faint=True), "undecided"),
        (replace(RANDOM, n_outliers=8, beyond=BeyondBulk(15, 2.5, 0.45)), "broad_tail"),
        (replace(RANDOM, n_outliers=8, beyond=BeyondBulk(14, 9.0, 0.2)), "spikes"),
        (replace(RANDOM, n_outliers=8, beyond=BeyondBulk(19, 2.4, 0.3)), "spikes"),
        (replace(RANDOM, n_outliers=8, beyond=BeyondBulk(20, 2.4, 0.3)), "undecided"),
        (replace(RANDOM, n_outliers=8, beyond=BeyondBulk(50, 9.0, 0.5)), "undecided"),
        (replace(TAIL, beyond=BeyondBulk(50, 9.0, 0.5)), "undecided"),
        (replace(TAIL, n_outliers=120, identifiable=False), "broad_tail"),
        (replace(TAIL, n_outliers=120, identifiable=False, z_exponential=-2.0), "undecided"),
    ],
)
def test_rows(evidence, name):
    regime = decide_regime(evidence)
    assert regime.name == name
    assert regime.name in REGIMES
    assert regime.reason


def test_inflation_needs_a_reference():
    for ks in (0.0, 0.02, 0.05, 0.5):
        for count in (0, 1, 10, 50):
            assert decide_regime(replace(RANDOM, ks_mp=ks, n_outliers=count)).name != "inflated_bulk"

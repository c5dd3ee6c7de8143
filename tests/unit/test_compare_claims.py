"""Claims: every relation in its three outcomes, and every fault of a claim."""

import numpy as np
import pytest
import xarray as xr

from sdespec.compare.claims import OUTCOMES, RELATIONS, Claim, judge
from sdespec.core.errors import UsageError


def _claim(relation, **changes):
    fields = {"quantity": "outlier", "of": "run"} | changes
    return Claim(id="c", paper="p", text="t", relation=relation, **fields)


def _scalar(value, error=0.0):
    return {"run": xr.Dataset({"outlier": value, "outlier_stderr": error})}


def _series(values, errors=0.0):
    values = np.asarray(values, dtype=float)
    return {
        "run": xr.Dataset(
            {"outlier": ("width", values), "outlier_stderr": ("width", np.broadcast_to(errors, values.shape))},
            coords={"width": [1.0, 2.0, 4.0, 8.0][: len(values)]},
        )
    }


@pytest.mark.parametrize(
    ("claim", "data", "outcome"),
    [
        (_claim("equal", value=2.0, tolerance={"relative": 0.05}), _scalar(2.02, 0.01), "reproduced"),
        (_claim("equal", value=2.0, tolerance={"relative": 0.05}), _scalar(2.02, 0.1), "undecided"),
        (_claim("equal", value=2.0, tolerance={"absolute": 0.1}), _scalar(2.5, 0.1), "contradicted"),
        (_claim("equal", value=2.0, tolerance={"absolute": 0.1}), _scalar(np.nan), "undecided"),
        (_claim("less", value=1.0), _scalar(0.5, 0.1), "reproduced"),
        (_claim("less", value=1.0), _scalar(0.9, 0.1), "undecided"),
        (_claim("less", value=1.0), _scalar(2.0, 0.1), "contradicted"),
        (_claim("greater", value=1.0), _scalar(2.0, 0.1), "reproduced"),
        (_claim("greater", value=1.0), _scalar(0.5, 0.1), "contradicted"),
        (_claim("constant_along", along="width", tolerance={"relative": 0.1}), _series([1, 1.02, 0.98]), "reproduced"),
        (_claim("constant_along", along="width", tolerance={"relative": 0.1}), _series([1, 2, 3]), "contradicted"),
        (_claim("constant_along", along="width", tolerance={"relative": 0.1}), _series([1, 1.02], 0.2), "undecided"),
        (_claim("increasing_along", along="width"), _series([1, 2, 3], 0.1), "reproduced"),
        (_claim("increasing_along", along="width"), _series([1, 2, 1.9], 0.1), "undecided"),
        (_claim("increasing_along", along="width"), _series([1, 2, 0], 0.1), "contradicted"),
        (_claim("decreasing_along", along="width"), _series([3, 2, 1], 0.1), "reproduced"),
        (
            _claim("slope_along", along="width", value=-0.5, tolerance={"absolute": 0.01}),
            _series([1, 2**-0.5, 0.5]),
            "reproduced",
        ),
        (
            _claim("slope_along", along="width", value=-1.0, tolerance={"absolute": 0.01}),
            _series([1, 2**-0.5, 0.5]),
            "contradicted",
        ),
        (
            _claim("argmin_along", along="width", value=2.0, tolerance={"absolute": 0.1}),
            _series([3, 1, 2]),
            "reproduced",
        ),
        (
            _claim("argmin_along", along="width", value=2.0, tolerance={"absolute": 0.1}),
            _series([3, 1, 1.1], 0.1),
            "undecided",
        ),
        (
            _claim("argmin_along", along="width", value=4.0, tolerance={"absolute": 0.1}),
            _series([3, 1, 2]),
            "contradicted",
        ),
        (_claim("absent"), _series([np.nan, np.nan]), "reproduced"),
        (_claim("absent"), _series([np.nan, 2.0]), "contradicted"),
    ],
)
def test_relations(claim, data, outcome):
    finding = judge(claim, data)
    assert finding.outcome == outcome
    assert finding.outcome in OUTCOMES
    assert finding.evidence


def test_against_another_dataset_joins_both_errors():
    data = _scalar(2.0, 0.03) | {"theory": xr.Dataset({"outlier": 2.05, "outlier_stderr": 0.04})}
    claim = _claim("equal", against="theory", tolerance={"absolute": 0.2})
    finding = judge(claim, data)
    assert finding.outcome == "reproduced"
    assert finding.interval[1] - finding.interval[0] == pytest.approx(2 * 2.5758 * 0.05, rel=1e-3)


def test_selection_by_value_and_from_the_end():
    ds = xr.Dataset(
        {"outlier": (("layer", "time"), [[1.0, 2.0], [3.0, 4.0]])}, coords={"layer": ["a", "b"], "time": [0.0, 1.0]}
    )
    claim = _claim("equal", value=4.0, tolerance={"absolute": 1e-9}, select={"layer": "b", "time": -1})
    assert judge(claim, {"run": ds}).outcome == "reproduced"


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (["agree", "agree"], "reproduced"),
        (["agree", "undecided"], "undecided"),
        (["agree", "disagree"], "contradicted"),
    ],
)
def test_verdicts(found, outcome):
    ds = xr.Dataset(
        {"verdict": ("quantity", np.array([*found, "disagree"], dtype=object))},
        coords={"quantity": ["trace_mean[1]", "trace_mean[2]", "density[1]"]},
    )
    claim = _claim("verdict", quantity="trace_mean", value="agree")
    assert judge(claim, {"run": ds}).outcome == outcome


@pytest.mark.parametrize(
    ("relation", "changes", "message"),
    [
        ("similar", {}, f"allowed: {RELATIONS[0]}"),
        ("less", {}, "needs 'value'"),
        ("equal", {"value": 1.0}, "needs a tolerance"),
        ("equal", {"value": 1.0, "against": "x", "tolerance": {"absolute": 1}}, "either"),
        ("equal", {"value": 1.0, "tolerance": {"absolut": 1}}, "write relative"),
        ("equal", {"value": 1.0, "tolerance": {"absolute": 0}}, "positive"),
        ("constant_along", {"tolerance": {"absolute": 1}}, "needs 'along'"),
        ("less", {"value": 1.0, "along": "width"}, "takes no 'along'"),
    ],
)
def test_claims_that_cannot_be_judged(relation, changes, message):
    with pytest.raises(UsageError, match=message):
        _claim(relation, **changes)


def test_claims_about_what_is_not_there():
    with pytest.raises(UsageError, match="no Dataset 'other'"):
        judge(_claim("less", of="other", value=1.0), _scalar(1.0))
    with pytest.raises(UsageError, match="holds no 'outliers'"):
        judge(_claim("less", quantity="outliers", value=1.0), _scalar(1.0))
    with pytest.raises(UsageError, match="select names 'layer'"):
        judge(_claim("less", value=1.0, select={"layer": "a"}), _scalar(1.0))
    with pytest.raises(UsageError, match="has the dims"):
        judge(_claim("less", value=1.0), _series([1, 2]))

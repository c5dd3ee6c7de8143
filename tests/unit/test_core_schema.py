"""The schema finds each kind of fault, and names it."""

import numpy as np
import pytest

from sdespec.core.dataset import build, extend
from sdespec.core.errors import SchemaError
from sdespec.core.provenance import record
from sdespec.core.schema import COORDINATES, DIMS, VARIABLES, validate, variable_attrs

PROVENANCE = record("test", {})


def _dataset(**changes):
    variables = {"eigenvalue": (("layer", "rank"), np.array([[3.0, 1.0], [2.0, np.nan]]))} | changes.pop(
        "variables", {}
    )
    coords = {
        "layer": (("layer",), ["a", "b"]),
        "n_rows": (("layer",), [2, 1]),
        "n_cols": (("layer",), [2, 5]),
        "matrix": (("layer",), ["W", "W"]),
    } | changes.pop("coords", {})
    return build(variables, coords, source="test", provenance=PROVENANCE, **changes)


def test_a_sound_dataset_passes_and_is_returned():
    ds = _dataset()
    assert validate(ds) is ds
    assert ds["eigenvalue"].attrs["units"] == "weight^2"
    assert ds.attrs["sdespec_schema"] == "1"


def test_registry_is_consistent():
    for entry in [*VARIABLES.values(), *COORDINATES.values()]:
        assert set(entry.dims) <= set(DIMS), entry.name
        assert set(entry.optional) <= set(DIMS), entry.name
        assert list(entry.dims) == sorted(entry.dims, key=DIMS.index), entry.name
        assert entry.meaning.endswith("."), entry.name
        assert entry.kind in ("float", "int", "text")
    assert not set(VARIABLES) & set(COORDINATES)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variables": {"eigenvalu": (("layer",), [1.0, 2.0])}}, "did you mean 'eigenvalue'"),
        ({"variables": {"eigenvalue": (("rank", "layer"), np.array([[3.0, 2.0], [1.0, 1.0]]))}}, "order"),
        ({"variables": {"eigenvalue": (("layer",), [1.0, 2.0])}}, r"needs \['rank'\]"),
        ({"variables": {"eigenvalue": (("layer", "rank"), np.array([[1.0, 3.0], [2.0, 1.0]]))}}, "descend"),
        ({"variables": {"eigenvalue": (("layer", "rank"), np.array([[1.0, -3.0], [2.0, 1.0]]))}}, "negative"),
        ({"variables": {"eigenvalue": (("layer", "rank"), np.array([[np.nan, 1.0], [2.0, 1.0]]))}}, "NaN before"),
        ({"variables": {"regime": (("layer",), [1.0, 2.0])}}, "must hold text"),
        ({"variables": {"n_outliers": (("layer",), [1.5, 2.0])}}, "must hold int"),
        ({"variables": {"n_rows": (("layer",), [1, 2])}, "coords": {}}, "."),
        ({"variables": {"trace_mean": (("layer", "rank"), np.ones((2, 2)))}}, "may not have"),
        ({"attrs": {"flag": True}}, "NetCDF cannot store"),
        ({"attrs": {"nothing": None}}, "NetCDF cannot store"),
        ({"attrs": {"seed": 2**64}}, "64 bits"),
    ],
)
def test_each_fault_is_named(change, message):
    with pytest.raises((SchemaError, ValueError), match=message):
        _dataset(**change)


def test_missing_coordinate_and_clock():
    ds = _dataset()
    with pytest.raises(SchemaError, match="n_cols"):
        validate(ds.drop_vars("n_cols"))
    with pytest.raises(SchemaError, match="clock"):
        validate(ds.expand_dims(time=[0.0, 1.0]).transpose("layer", "time", "rank"))
    broken = ds.copy()
    broken.attrs["provenance"] = "no json"
    with pytest.raises(SchemaError, match="provenance"):
        validate(broken)
    del broken.attrs["provenance"]
    with pytest.raises(SchemaError, match="lacks the attributes"):
        validate(broken)


def test_a_swept_field_leads_and_a_stderr_follows_its_variable():
    ds = _dataset().drop_vars("eigenvalue")
    values = np.ones((3, 2))
    out = extend(ds, {"trace_mean_stderr": (("width_ratio", "layer"), values)}, provenance=PROVENANCE)
    assert "Standard error" in out["trace_mean_stderr"].attrs["comment"]
    with pytest.raises(SchemaError, match="swept fields come first"):
        extend(ds, {"trace_mean": (("layer", "width_ratio"), values.T)}, provenance=PROVENANCE)


def test_extend_replaces_and_leaves_the_input_alone():
    ds = _dataset()
    first = extend(
        ds,
        {"outlier": (("layer", "mode"), np.ones((2, 3)))},
        coords={"mode": (("mode",), [0, 1, 2])},
        provenance=PROVENANCE,
    )
    second = extend(
        first,
        {"outlier": (("layer", "mode"), np.ones((2, 1)))},
        coords={"mode": (("mode",), [0])},
        provenance=PROVENANCE,
    )
    assert first.sizes["mode"] == 3
    assert second.sizes["mode"] == 1
    assert "outlier" not in ds


def test_unknown_attributes_name_the_closest():
    with pytest.raises(SchemaError, match="'bulk_edge'"):
        variable_attrs("bulk_edges")

"""Registry of every variable and coordinate that a Dataset of sdespec may hold, and its validation."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sdespec.core.errors import SchemaError

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["COORDINATES", "DIMS", "SCHEMA_VERSION", "VARIABLES", "Variable", "validate", "variable_attrs"]

SCHEMA_VERSION = "1"

DIMS: tuple[str, ...] = (
    "source", "layer", "replicate", "time", "quantity", "law", "parameter", "null_draw",
    "direction", "vector", "method", "rank", "mode", "order", "x", "row", "col", "sample", "time_other", "sample_other",
    "channel", "side", "ci_bound",
)  # fmt: skip
"""The order of dimensions; fields of a sweep come before all of them."""

Kind = Literal["float", "int", "text"]
_KINDS: dict[str, str] = {"float": "f", "int": "iu", "text": "UTO"}


@dataclass(frozen=True)
class Variable:
    """One entry of the registry.

    Attributes
    ----------
    name : str
        Name in the Dataset.
    dims : tuple of str
        Dimensions that must be there.
    optional : tuple of str
        Dimensions that may be there as well; fields of a sweep are always allowed.
    kind : {"float", "int", "text"}
        Kind of the values.
    units, symbol : str
        Unit (``"1"`` for a pure number) and LaTeX symbol.
    meaning : str
        One sentence, stored as the attribute ``comment``.
    """

    name: str
    dims: tuple[str, ...]
    optional: tuple[str, ...]
    kind: Kind
    units: str
    symbol: str
    meaning: str

    @property
    def long_name(self) -> str:
        """The name with blanks."""
        return self.name.replace("_", " ")


_RUN = ("layer", "replicate", "time")
_KERNEL = (*_RUN, "sample", "sample_other")
_W2 = "weight^2"


def _table(*rows: tuple[str, str, tuple[str, ...], Kind, str, str, str]) -> dict[str, Variable]:
    """Build a registry; required dimensions are blank-separated in the second field."""
    return {
        name: Variable(name, tuple(dims.split()), optional, kind, units, symbol, meaning)
        for name, dims, optional, kind, units, symbol, meaning in rows
    }


COORDINATES: Mapping[str, Variable] = _table(
    (
        "layer",
        "layer",
        (),
        "text",
        "1",
        "",
        "Name of the weight matrix, or of the tensor when it is no matrix.",
    ),
    ("n_rows", "layer", (), "int", "1", "n", "Number of rows of the matrix."),
    ("n_cols", "layer", (), "int", "1", "m", "Number of columns of the matrix."),
    ("matrix", "layer", (), "text", "1", "", "Name of the matrix whose squared singular values are stored."),
    ("status", "layer", ("time",), "text", "1", "", "ok, skipped or invalid."),
    (
        "reason",
        "layer",
        ("time",),
        "text",
        "1",
        "",
        "Why the tensor was skipped or is invalid; empty when ok.",
    ),
    (
        "role",
        "layer",
        (),
        "text",
        "1",
        "",
        "weight, convolution, embedding, gate, projection, vector, optimizer or buffer.",
    ),
    (
        "tensor",
        "layer",
        (),
        "text",
        "1",
        "",
        "Name of the tensor in the file that the matrix was taken from.",
    ),
    ("tensor_shape", "layer", (), "text", "1", "", "Shape of that tensor."),
    ("tensor_dtype", "layer", (), "text", "1", "", "Number type of that tensor in the file."),
    ("source", "source", (), "text", "1", "", "Where a set of results came from."),
    ("replicate", "replicate", (), "int", "1", "", "Index of an independent replicate."),
    ("time", "time", (), "float", "clock", "t", "Number of updates done, or the clock of the SDE."),
    ("time_other", "time_other", (), "float", "clock", "t'", "Second time of a two-time kernel."),
    ("step", "time", (), "int", "1", "", "Number of updates done."),
    ("quantity", "quantity", (), "text", "1", "", "Name of a compared quantity."),
    ("quantity_name", "quantity", (), "text", "1", "", "Name of the compared variable, without layer and time."),
    ("law", "law", (), "text", "1", "", "Name of a probability law, in snake case."),
    ("parameter", "parameter", (), "text", "1", "", "Name of a parameter of a law."),
    ("null_draw", "null_draw", (), "int", "1", "", "Index of a draw of the null."),
    ("direction", "direction", (), "text", "1", "", "Name of a direction in weight space."),
    ("method", "method", (), "text", "1", "", "Name of a forecasting method."),
    ("rank", "rank", (), "int", "1", "r", "Order statistic; 0 is the largest eigenvalue."),
    ("mode", "mode", (), "int", "1", "k", "Index of an outlier; 0 is the largest."),
    ("vector", "vector", (), "text", "1", "", "Side of the singular vectors: left or right."),
    ("order", "order", (), "int", "1", "j", "Order of an elementary symmetric polynomial."),
    ("x", "x", (), "float", _W2, "x", "Grid on which a density is given."),
    ("row", "row", (), "int", "1", "", "Row index."),
    ("col", "col", (), "int", "1", "", "Column index."),
    ("sample", "sample", (), "int", "1", "", "Index of a training example."),
    ("sample_other", "sample_other", (), "int", "1", "", "Second example of a kernel."),
    ("sample_set", "sample", (), "text", "1", "", "train or test."),
    ("channel", "channel", (), "int", "1", "c", "Index of an output of the network."),
    ("side", "side", (), "text", "1", "", "lower or upper edge of a bulk."),
    ("ci_bound", "ci_bound", (), "text", "1", "", "lower or upper bound of an interval."),
)

VARIABLES: Mapping[str, Variable] = _table(
    # spectra
    ("eigenvalue", "rank", _RUN, "float", _W2, r"\lambda", "Squared singular values of the named matrix."),
    ("rank_count", "", _RUN, "int", "1", "n", "How many of the ranks are real; the others are NaN."),
    ("null_eigenvalue", "null_draw rank", _RUN, "float", _W2, r"\lambda^0",
     "Squared singular values of the matrix after a random permutation or Gaussian redraw of its entries."),
    ("entry_mean", "", _RUN, "float", "weight", r"\bar W", "Mean of the entries."),
    ("entry_variance", "", _RUN, "float", _W2, r"s^2", "Variance of the entries about their mean."),
    ("entry_kurtosis", "", _RUN, "float", "1", r"\kappa", "Excess kurtosis of the entries; 0 for Gaussian ones."),
    ("entry_max_abs", "", _RUN, "float", "weight", r"\max|W|", "Largest absolute entry."),
    ("at_initialization", "", _RUN, "text", "1", "",
     "no, uniform or normal: the entries fill exactly that initial law."),
    ("spacing_ratio", "", _RUN, "float", "1", r"\langle r \rangle",
     "Mean ratio of neighbouring spacings: 0.386 of independent values, 0.531 of a real random matrix."),
    ("spacing_ratio_stderr", "", _RUN, "float", "1", "", "Its standard error, correlation of neighbours included."),
    ("spacing_p_independent", "", _RUN, "float", "1", "p", "How often independent values have a ratio as large."),
    ("spacing_p_repulsion", "", _RUN, "float", "1", "p", "How often real random matrices have a ratio as far off."),
    ("porter_thomas_p", "vector", _RUN, "float", "1", "p",
     "Verdict on all singular vectors: how often random directions are as far from random ones."),
    ("porter_thomas_rejected", "vector", _RUN, "float", "1", "", "Number of singular vectors that are no random ones."),
    ("porter_thomas_mode_p", "vector rank", _RUN, "float", "1", "p",
     "Verdict on one singular vector; NaN where it is not determined by the matrix."),
    ("alignment", "direction mode", _RUN, "float", "1", r"|\cos|",
     "Absolute cosine of a leading singular vector with a named direction."),
    ("weight", "row col", _RUN, "float", "weight", "W", "Entries of the matrix."),
    ("density", "x", _RUN, "float", "1/weight^2", r"\rho", "Continuous part of the density of eigenvalues."),
    ("atom", "", _RUN, "float", "1", "", "Mass of the atom of the spectral law at zero."),
    ("bulk_edge", "side", _RUN, "float", _W2, r"\lambda_\pm", "Lower and upper edge of the bulk."),
    ("outlier", "mode", _RUN, "float", _W2, r"\lambda_k", "Eigenvalues beyond the upper edge, largest first."),
    ("n_outliers", "", _RUN, "int", "1", "k", "Number of eigenvalues beyond the upper edge of the bulk."),
    ("escape", "mode", _RUN, "float", "1", r"\theta", "An outlier exists exactly where this exceeds 1."),
    # training
    ("train_loss", "", _RUN[1:], "float", "1", "L", "Mean squared error (no factor 1/2) or mean of the named loss."),
    ("test_loss", "", _RUN[1:], "float", "1", r"L_{test}", "The same on test data."),
    ("test_score", "", _RUN[1:], "float", "1", "", "Accuracy or coefficient of determination on test data."),
    ("ntk_top", "", _RUN[1:], "float", "1", r"\lambda_{NTK}", "Top eigenvalue of the NTK over the sample number."),
    ("sharpness", "", _RUN[1:], "float", "1", r"\eta\lambda", "Learning rate times ntk_top; edge of stability at 2."),
    ("overlap", "row col", _RUN[1:], "float", "1", "Q", "Gram matrix of students then teachers over input_dim."),
    ("drift", "mode", _RUN, "float", "weight", r"u^T G v", "Gradient along a leading pair of singular vectors."),
    ("gradient_variance", "", _RUN, "float", "1", r"\sigma_g^2", "Variance of an entry of a one-example gradient."),
    ("learning_rate", "", _RUN[1:], "float", "1", r"\eta", "Learning rate of the update."),
    ("update_norm", "", _RUN, "float", "weight", r"\|\Delta W\|", "Frobenius norm of the update."),
    ("network_output", "sample channel", _RUN[1:], "float", "1", "f", "Output of the network on an example."),
    ("feature_kernel", "time_other", _KERNEL, "float", "1", r"\Phi",
     "Mean product of activations of a hidden layer at two times."),
    ("gradient_kernel", "time_other", _KERNEL, "float", "1", "G",
     "Mean product of backward fields of a hidden layer at two times."),
    ("critical_learning_rate", "", _RUN[1:], "float", "1", r"\eta_c", "Largest rate at which the losses stay bounded."),
    ("iso_loss_learning_rate", "", _RUN[1:], "float", "1", r"\eta_x", "Least rate whose last loss is a given one."),
    # theory of the SDE
    ("log_elementary_moment", "order", _RUN, "float", "1", r"\log E e_j",
     "Logarithm of the mean elementary symmetric polynomial of the eigenvalues."),
    ("trace_mean", "", _RUN, "float", _W2, r"E tr S", "Mean of the sum of the eigenvalues."),
    ("trace_variance", "", _RUN, "float", "weight^4", r"Var tr S", "Variance of the sum of the eigenvalues."),
    # statistics over replicates
    ("eigenvalue_mean", "rank", _RUN, "float", _W2, r"E \lambda_k", "Mean of an ordered eigenvalue over replicates."),
    ("eigenvalue_variance", "rank", _RUN, "float", "weight^4", r"Var \lambda_k",
     "Variance of an ordered eigenvalue over replicates."),
    # fits
    ("regime", "", _RUN, "text", "1", "", "random, spikes, broad_tail, inflated_bulk or undecided."),
    ("regime_reason", "", _RUN, "text", "1", "", "Row of the decision table that gave the regime, with its numbers."),
    ("verdict_text", "", _RUN, "text", "1", "", "The fit in one sentence."),
    ("fit_status", "", _RUN, "text", "1", "", "ok, or why there is no fit."),
    ("variance", "", _RUN, "float", _W2, r"\sigma^2", "Variance of the entries of the bulk."),
    ("variance_interval", "ci_bound", _RUN, "float", _W2, "", "Its interval, by the error of a median."),
    ("ks_mp", "", _RUN, "float", "1", "D", "Two-sided KS distance to Marchenko-Pastur at the mean square entry."),
    ("ks_mp_rest", "", _RUN, "float", "1", "D", "The same distance for the spectrum without its outliers."),
    ("ks_mp_shuffled", "", _RUN, "float", "1", "D_0", "The same distance for the null; mean over the draws."),
    ("ks_mp_null_quantile", "", _RUN, "float", "1", "D_{95}",
     "95 % quantile of that distance for random matrices of the same shape."),
    ("n_outliers_shuffled", "", _RUN, "int", "1", "k_0", "Most outliers among the draws of the null."),
    ("outlier_cutoff", "", _RUN, "float", _W2, "", "Eigenvalues above it are outliers: the upper edge and its slack."),
    ("outlier_energy", "", _RUN, "float", "1", "", "Share of the trace that the outliers carry."),
    ("spike_strength", "mode", _RUN, "float", "weight", r"\theta_k", "Singular value of the spike behind an outlier."),
    ("spike_strength_interval", "mode ci_bound", _RUN, "float", "weight", "",
     "Their intervals given detection; one from 0 may be chance. NaN where more than 7 % of the ranks are outliers."),
    ("spike_undetected", "", _RUN, "float", "weight", "", "Upper bound of the strength of a spike that stayed inside."),
    ("spike_threshold", "", _RUN, "float", "weight", r"\theta_c",
     "Strength below which a spike makes no outlier in a large matrix."),
    ("n_below", "", _RUN, "int", "1", "", "Number of eigenvalues below the lower edge of the bulk."),
    ("lower_cutoff", "", _RUN, "float", _W2, "", "Eigenvalues below it are counted in n_below."),
    ("tail_exponent", "", _RUN, "float", "1", r"\alpha", "Exponent of the density of eigenvalues in the tail."),
    ("tail_exponent_corrected", "", _RUN, "float", "1", r"\alpha",
     "The same with the bias of the estimate at a fixed threshold removed."),
    ("tail_interval", "ci_bound", _RUN, "float", "1", "", "Interval of the exponent; the threshold is re-searched."),
    ("threshold", "", _RUN, "float", _W2, r"\lambda_{min}", "Smallest eigenvalue of the fitted tail."),
    ("n_tail", "", _RUN, "int", "1", "", "Number of eigenvalues in the fitted tail."),
    ("tail_decades", "", _RUN, "float", "1", "", "log10 of the largest eigenvalue over the threshold."),
    ("ks_distance", "", _RUN, "float", "1", "D", "KS distance of the tail to the fitted power law."),
    ("calibrated_exponent", "", _RUN, "float", "1", r"\alpha",
     "Exponent of the inner part of the largest tail that passes a calibrated test; median-unbiased."),
    ("calibrated_interval", "ci_bound", _RUN, "float", "1", "",
     "Its interval, right for interacting eigenvalues where the attribute calibration is ensemble."),
    ("calibrated_threshold", "", _RUN, "float", _W2, "", "Smallest eigenvalue that it uses."),
    ("n_calibrated", "", _RUN, "int", "1", "", "Number of eigenvalues that it uses."),
    ("n_accepted", "", _RUN, "int", "1", "", "Size of the largest tail that passes for a power law, or 0."),
    ("spliced_exponent", "", _RUN, "float", "1", r"\alpha",
     "Exponent of a Pareto tail beyond a gamma bulk, averaged over thresholds."),
    ("spliced_interval", "ci_bound", _RUN, "float", "1", "", "Its interval, which takes values for independent."),
    ("spliced_threshold", "", _RUN, "float", _W2, "", "Where that tail begins."),
    ("tail_note", "", _RUN, "text", "1", "", "What is to be said of these estimates; empty where nothing."),
    ("tail_p_value", "", _RUN, "float", "1", "p", "Calibrated p-value of the power law; see attribute calibration."),
    ("tail_p_against_log_normal", "", _RUN, "float", "1", "p",
     "Calibrated p-value of the power law in favour of a log-normal tail."),
    ("tail_p_against_cutoff", "", _RUN, "float", "1", "p",
     "Calibrated p-value of the power law in favour of one with an exponential cutoff."),
    ("log_normal_p_value", "", _RUN, "float", "1", "p",
     "Calibrated p-value of a log-normal tail centred at or above the median, in favour of the power law."),
    ("cutoff_p_value", "", _RUN, "float", "1", "p",
     "Calibrated p-value of a cutoff in the lower half of the tail's decades, in favour of the power law."),
    ("no_tail_p_value", "", _RUN, "float", "1", "p",
     "Calibrated p-value of the gamma law in favour of beta prime: small means a tail."),
    ("tail_exponent_without_largest", "", _RUN, "float", "1", r"\alpha",
     "Exponent of the tail after the largest eigenvalue was taken out; one spike bends the other one."),
    ("tail_exponent_shuffled", "", _RUN, "float", "1", r"\alpha_0", "Exponent of the null; median over the draws."),
    ("tail_z_exponential", "", _RUN, "float", "1", "z",
     "Normalised log-likelihood ratio of power law against exponential beyond the threshold, spike removed."),
    ("tail_z_null_quantile", "", _RUN, "float", "1", "z_{97.5}", "97.5 % quantile of that ratio under the null."),
    ("parameter_estimate", "law parameter", _RUN, "float", "1", "", "Maximum-likelihood estimates of a law."),
    ("parameter_interval", "law parameter ci_bound", _RUN, "float", "1", "", "Their intervals."),
    ("log_likelihood", "law", _RUN, "float", "1", r"\ell", "Log-likelihood of the law at the estimate."),
    ("law_ks_distance", "law", _RUN, "float", "1", "D", "Two-sided KS distance of the spectrum to the law."),
    ("p_value", "law", _RUN, "float", "1", "p", "Calibrated p-value of the law; see attribute calibration."),
    ("law_note", "law", _RUN, "text", "1", "", "What to know about the fit of a law, or why there is none."),
    ("preferred_law", "", _RUN, "text", "1", "", "The whole-spectrum law of least Akaike criterion; a ranking only."),
    # comparison
    ("observed", "quantity", _RUN, "float", "1", "", "Observed value."),
    ("predicted", "quantity", _RUN, "float", "1", "", "Predicted value."),
    ("difference", "quantity", _RUN, "float", "1", "", "Observed minus predicted."),
    ("interval", "quantity ci_bound", _RUN, "float", "1", "", "Interval of the difference."),
    ("z_score", "quantity", _RUN, "float", "1", "z", "Difference over its standard error."),
    ("relative_error", "quantity", _RUN, "float", "1", "", "Difference over the prediction."),
    ("tolerance", "quantity", _RUN, "float", "1", "", "Largest difference that counts as agreement."),
    ("distance", "quantity", _RUN, "float", "1", "", "Distance between two laws."),
    ("verdict", "quantity", _RUN, "text", "1", "", "agree, disagree, undecided or not_comparable."),
    # solver state
    ("converged", "", _RUN[1:], "int", "1", "", "1 where the solver converged."),
    ("residual", "", _RUN[1:], "float", "1", "", "Residual of the solver."),
)  # fmt: skip

REQUIRED_ATTRS: tuple[str, ...] = ("sdespec_schema", "sdespec_version", "source", "provenance")
_VARIABLE_ATTRS: tuple[str, ...] = ("long_name", "units", "symbol", "comment")


def lookup(name: str) -> Variable | None:
    """Find the entry of a variable; ``<name>_stderr`` follows ``<name>``."""
    if name in VARIABLES:
        return VARIABLES[name]
    base = VARIABLES.get(name.removesuffix("_stderr")) if name.endswith("_stderr") else None
    if base is None or base.kind == "text":
        return None
    return Variable(
        name, base.dims, base.optional, "float", base.units, base.symbol,
        f"Standard error over replicates. {base.meaning}",
    )  # fmt: skip


def variable_attrs(name: str) -> dict[str, str]:
    """Attributes that the registry gives to a variable or coordinate.

    Parameters
    ----------
    name : str
        Name of a registered variable or coordinate.

    Returns
    -------
    dict
        ``long_name``, ``units``, ``symbol`` and ``comment``.

    Raises
    ------
    SchemaError
        If the name is not registered.

    Examples
    --------
    >>> variable_attrs("eigenvalue")["units"]
    'weight^2'
    """
    entry = lookup(name) or COORDINATES.get(name)
    if entry is None:
        close = difflib.get_close_matches(name, [*VARIABLES, *COORDINATES], n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise SchemaError(f"{name!r} is not a variable of the schema{hint}")
    return {
        "long_name": entry.long_name, "units": entry.units, "symbol": entry.symbol, "comment": entry.meaning,
    }  # fmt: skip


def _check_dims(entry: Variable, dims: tuple[str, ...], sweeps: set[str]) -> None:
    given = [dim for dim in dims if dim not in sweeps]
    missing = [dim for dim in entry.dims if dim not in given]
    if missing:
        raise SchemaError(f"variable {entry.name!r} has dims {dims}, but needs {missing}")
    extra = [dim for dim in given if dim not in entry.dims and dim not in entry.optional]
    if extra:
        raise SchemaError(
            f"variable {entry.name!r} has the dims {extra} that it may not have; allowed: {entry.optional + entry.dims}"
        )
    if given != sorted(given, key=DIMS.index):
        raise SchemaError(f"variable {entry.name!r} has dims {dims}; their order must be that of {DIMS}")
    if any(dim in sweeps for dim in dims[len(dims) - len(given) :]):
        raise SchemaError(f"variable {entry.name!r} has dims {dims}; swept fields come first")


def _check_kind(entry: Variable, array: Any) -> None:
    if array.dtype.kind not in _KINDS[entry.kind]:
        raise SchemaError(f"variable {entry.name!r} holds {array.dtype}; it must hold {entry.kind}")
    if array.dtype.kind == "O" and not all(isinstance(item, str) for item in array.values.ravel()):
        raise SchemaError(f"variable {entry.name!r} holds objects that are not text")


def _check_attributes(attrs: Mapping[Any, Any], where: str) -> None:
    for key, value in attrs.items():
        if value is None or isinstance(value, (bool, dict)):
            raise SchemaError(
                f"attribute {key!r} of {where} is {value!r}, which NetCDF cannot store; use text or a number"
            )
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise SchemaError(f"attribute {key!r} of {where} does not fit into 64 bits; store it as text")


def validate(ds: xr.Dataset) -> xr.Dataset:
    """Check a Dataset against the schema and return it unchanged.

    Parameters
    ----------
    ds : xarray.Dataset
        Anything that a verb of sdespec returns.

    Returns
    -------
    xarray.Dataset
        The same object.

    Raises
    ------
    SchemaError
        If a variable is unknown, has the wrong dims, kind or attributes, a coordinate is missing, an attribute
        would not survive NetCDF, or the spectrum does not descend.

    Examples
    --------
    >>> import sdespec as sd, numpy as np
    >>> ds = sd.measure({"w": np.random.default_rng(0).normal(size=(20, 30))})
    >>> sd.validate(ds) is ds
    True
    """
    sweeps = {str(dim) for dim in ds.dims if dim not in DIMS}
    for name, array in ds.data_vars.items():
        entry = lookup(str(name))
        if entry is None:
            variable_attrs(str(name))  # raises, with a hint
            raise SchemaError(f"{name!r} is a coordinate of the schema and may not be a data variable")
        _check_dims(entry, tuple(map(str, array.dims)), sweeps)
        _check_kind(entry, array)
        _check_attributes(array.attrs, f"variable {name!r}")
        missing = [key for key in _VARIABLE_ATTRS if key not in array.attrs]
        if missing:
            raise SchemaError(f"variable {name!r} lacks the attributes {missing}")
    for name, coord in ds.coords.items():
        if str(name) in COORDINATES:
            _check_kind(COORDINATES[str(name)], coord)
            _check_attributes(coord.attrs, f"coordinate {name!r}")
    for name in ("n_rows", "n_cols", "matrix"):
        if "layer" in ds.dims and name not in ds.coords:
            raise SchemaError(f"a Dataset with the dim 'layer' needs the coordinate {name!r}")
    if "time" in ds.dims and ds["time"].attrs.get("clock") not in ("step", "learning_rate*step"):
        raise SchemaError('time.attrs["clock"] must be "step" or "learning_rate*step"')
    _check_attributes(ds.attrs, "the Dataset")
    missing = [key for key in REQUIRED_ATTRS if key not in ds.attrs]
    if missing:
        raise SchemaError(f"the Dataset lacks the attributes {missing}")
    try:
        json.loads(ds.attrs["provenance"])
    except (TypeError, ValueError):
        raise SchemaError("the attribute 'provenance' is not a JSON text") from None
    _check_spectrum(ds)
    return ds


def _check_spectrum(ds: xr.Dataset) -> None:
    import numpy as np

    if "eigenvalue" not in ds:
        return
    values = ds["eigenvalue"].transpose(..., "rank").values
    if np.any(values < 0):
        raise SchemaError("'eigenvalue' holds negative numbers; squared singular values are never negative")
    if np.any(np.diff(values, axis=-1) > 0):
        raise SchemaError("'eigenvalue' must descend along 'rank': rank 0 is the largest")
    if np.any(np.isfinite(values[..., 1:]) & np.isnan(values[..., :-1])):
        raise SchemaError("'eigenvalue' has NaN before a number along 'rank'; pad at the end")

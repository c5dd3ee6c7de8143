"""The verbs that take a model: which function answers for it, sweeps of its fields, and changes of unit."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import xarray as xr

from sdespec.core.errors import UsageError
from sdespec.core.provenance import record
from sdespec.core.schema import DIMS, lookup, validate, variable_attrs

__all__ = ["Sweep", "predict", "rescale", "simulate", "sweep"]

# type of a model -> (module that simulates it, module that predicts it); imported on use
_ROOMS: Mapping[str, tuple[str, str]] = {
    "DeepLinearNetwork": ("sdespec.training", "sdespec.theory.dmft"),
    "DeepNetwork": ("sdespec.training", "sdespec.theory.dmft"),
    "DysonLaguerre": ("sdespec.integrators", "sdespec.theory"),
    "ExtensiveOutputNetwork": ("sdespec.training.extensive", "sdespec.theory.extensive"),
    "LinearRegressionSGD": ("sdespec.integrators", "sdespec.theory"),
    "MatrixSGD": ("sdespec.integrators", "sdespec.theory"),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Sweep:
    """Models that differ in named fields.

    Attributes
    ----------
    model : object
        The model whose other fields all members share.
    fields : dict of tuple
        Swept fields in order, with their values.
    """

    model: Any
    fields: dict[str, tuple[Any, ...]]

    def members(self) -> Iterator[Any]:
        """All models, the last field fastest."""
        for values in itertools.product(*self.fields.values()):
            yield dataclasses.replace(self.model, **dict(zip(self.fields, values, strict=True)))

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values of each field."""
        return tuple(len(values) for values in self.fields.values())


def sweep(model: Any, **fields: Sequence[Any]) -> Sweep:
    """Vary fields of a model; simulate and predict then give them as leading dims.

    Parameters
    ----------
    model : model
        One of ``sdespec.models``.
    **fields : sequence
        Field names with the values they shall take, numbers or text; all combinations are taken.

    Returns
    -------
    Sweep

    Raises
    ------
    UsageError
        If a field does not exist, has no values, or a combination is not allowed.

    Notes
    -----
    All members are run with the same seed.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Walk:
    ...     diffusion: float
    >>> [one.diffusion for one in sweep(Walk(1.0), diffusion=[1.0, 2.0]).members()]
    [1.0, 2.0]
    """
    if not dataclasses.is_dataclass(model) or isinstance(model, type):
        raise UsageError(f"{model!r} is no model; give an instance of one of sdespec.models")
    known = [field.name for field in dataclasses.fields(model)]
    if not fields:
        raise UsageError(f"name one or more fields to sweep: {', '.join(known)}")
    for name, values in fields.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"fields: {', '.join(known)}"
            raise UsageError(f"{type(model).__name__} has no field {name!r}; {hint}")
        if name in DIMS:
            raise UsageError(f"the field {name!r} bears the name of a dim of the schema and cannot be swept")
        if isinstance(values, str) or not len(values):
            raise UsageError(f"{name}={values!r} is no list of values; give one or more in a list")
        if not all(isinstance(value, (int, float, str, np.number)) for value in values):
            raise UsageError(f"{name}={values!r}: only numbers and text can be swept, since they label a dim")
        if len(set(values)) < len(values):
            raise UsageError(f"{name}={values!r} holds a value twice")
    found = Sweep(model, {name: tuple(values) for name, values in fields.items()})
    for _ in found.members():  # each is validated at construction
        pass
    return found


def simulate(model: Any, times: Any, *, seed: int, **options: Any) -> xr.Dataset:
    """Draw spectra of a model at given times.

    Parameters
    ----------
    model : model or Sweep
        One of ``sdespec.models``, or several from ``sdespec.sweep``.
    times : array_like
        Increasing; 0 returns the start, ``inf`` the stationary law where there is one.
    seed : int
        Seed; the same seed gives the same numbers.
    **options
        ``replicates=1, initial=None, method="auto", time_step=None, tolerance=None, threads=None,
        save_weights=False, progress=None``; see ``sdespec.integrators.simulate``.

    Returns
    -------
    xarray.Dataset
        ``eigenvalue`` over ([swept fields,] layer, replicate, time, rank).

    Raises
    ------
    UsageError
        If the model is not known or an option is not allowed.

    Examples
    --------
    >>> import sdespec as sd
    >>> sd.simulate("DysonLaguerre", [1.0], seed=0)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    sdespec.core.errors.UsageError: 'DysonLaguerre' is no model that can be simulated; known: ...
    """
    arguments = {"model": model, "times": times, "seed": seed, **options}
    return _run("simulate", model, lambda run, one: run(one, times, seed=seed, **options), arguments)


def predict(model: Any, times: Any, *, grid: Any = None, **options: Any) -> xr.Dataset:
    """Calculate moments, density, edges and outliers of a model at given times, without drawing anything.

    Parameters
    ----------
    model : model or Sweep
        One of ``sdespec.models``, or several from ``sdespec.sweep``.
    times : array_like
        Increasing; 0 returns the start, ``inf`` the stationary law where there is one.
    grid : array_like, optional
        Eigenvalues at which the density is given; chosen by default, for a sweep so that it covers all members.
    **options
        ``initial=None`` and others; see ``sdespec.theory.predict``.

    Returns
    -------
    xarray.Dataset
        Over ([swept fields,] layer, time, ...).

    Raises
    ------
    UsageError
        If the model is not known or an option is not allowed.

    Examples
    --------
    >>> import sdespec as sd
    >>> sd.predict("DysonLaguerre", [1.0])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    sdespec.core.errors.UsageError: 'DysonLaguerre' is no model that can be predicted; known: ...
    """
    arguments = {"model": model, "times": times, "grid": grid, **options}
    return _run("predict", model, lambda run, one: run(one, times, grid=grid, **options), arguments, join=grid)


def _run(
    verb: str, model: Any, call: Callable[[Any, Any], xr.Dataset], arguments: dict[str, Any], join: Any = None
) -> xr.Dataset:
    """Call the room of a model, or of each member of a sweep."""
    if not isinstance(model, Sweep):
        return call(_room(verb, model), model)
    run = _room(verb, model.model)
    results = [call(run, one) for one in model.members()]
    if verb == "predict" and join is None and "x" in results[0].dims:
        low = min(float(one["x"].min()) for one in results)
        high = max(float(one["x"].max()) for one in results)
        grid = np.linspace(low, high, max(one.sizes["x"] for one in results))
        given = {name: value for name, value in arguments.items() if name not in ("model", "times", "grid")}
        results = [run(one, arguments["times"], grid=grid, **given) for one in model.members()]
    described = {**arguments, "model": {"sweep": repr(model.model), **model.fields}}
    return _stack(results, model, record(f"sdespec.{verb}", described))


def _room(verb: str, model: Any) -> Any:
    """The function that answers for a model."""
    name = type(model).__name__
    if name not in _ROOMS or not type(model).__module__.startswith("sdespec.models"):
        shown = repr(model) if isinstance(model, str) else f"a {name}"
        past = {"simulate": "simulated", "predict": "predicted"}[verb]
        raise UsageError(f"{shown} is no model that can be {past}; known: {', '.join(_ROOMS)}")
    return getattr(import_module(_ROOMS[name][verb == "predict"]), verb)


def _stack(results: list[xr.Dataset], sweep: Sweep, provenance: str) -> xr.Dataset:
    """Stack the members of a sweep along leading dims, padding ranks and orders with NaN."""
    for name in reversed(sweep.fields):
        values = sweep.fields[name]
        labels = np.array(values, dtype=object) if any(isinstance(v, str) for v in values) else np.array(values)
        size = len(values)
        results = [
            xr.concat(
                results[start : start + size], dim=xr.DataArray(labels, dims=name, name=name), data_vars="all",
                coords="different", compat="equals", join="outer", combine_attrs="drop_conflicts",
            )
            for start in range(0, len(results), size)
        ]  # fmt: skip
    ds = results[0]
    for key, array in ds.variables.items():
        if lookup(str(key)) is not None:
            array.attrs = {**variable_attrs(str(key)), **array.attrs}
    ds.attrs = {**ds.attrs, "model": f"{sweep.model!r} with {', '.join(sweep.fields)} swept", "provenance": provenance}
    return validate(ds)


_MATRIX = re.compile(r"^(?P<base>[^/]+)(?:/sqrt\((?P<scale>n_rows|n_cols|[0-9.]+)\))?$")
_FREE = ("tail_exponent", "tail_interval", "alignment")  # pure numbers in spite of what they are made of
_LAWS = ("parameter_estimate", "parameter_interval", "log_likelihood", "drift", "update_norm")


def rescale(ds: xr.Dataset, *, matrix: str | None = None, clock: str | None = None) -> xr.Dataset:
    r"""Convert spectra to another normalisation of the matrix, or times to another clock.

    .. math:: W \to W / \sqrt{m}: \quad \lambda \to \lambda / m, \quad \rho \to m \rho

    Parameters
    ----------
    ds : xarray.Dataset
        Any result with layers or times.
    matrix : str, optional
        Such as ``"W"``, ``"W/sqrt(n_cols)"``, ``"W/sqrt(n_rows)"`` or ``"W/sqrt(100)"``.
    clock : {"step", "learning_rate*step"}, optional
        The clock; the factor is the attribute ``learning_rate`` of the Dataset.

    Returns
    -------
    xarray.Dataset
        A new Dataset.

    Raises
    ------
    UsageError
        If the factor is not known.

    Examples
    --------
    >>> import numpy as np
    >>> import sdespec as sd
    >>> ds = sd.measure({"w": np.eye(10, 40)}, null="none")
    >>> float(sd.rescale(ds, matrix="W/sqrt(n_cols)").eigenvalue[0, 0])
    0.025
    """
    if matrix is None and clock is None:
        raise UsageError("name what to convert: matrix=..., clock=... or both")
    out = ds.copy()
    if matrix is not None:
        out = _rescale_matrix(out, matrix)
    if clock is not None:
        out = _rescale_clock(out, clock)
    provenance = record("sdespec.rescale", {"ds": ds, "matrix": matrix, "clock": clock})
    return validate(out.assign_attrs(provenance=provenance))


def _divisor(ds: xr.Dataset, text: str) -> tuple[str, xr.DataArray | float]:
    """Base of the name of a matrix, and what the squared values are divided by."""
    match = _MATRIX.match(text.replace(" ", ""))
    if match is None:
        raise UsageError(f"the matrix {text!r} has no known factor; known forms: 'W', 'W/sqrt(n_cols)', 'W/sqrt(100)'")
    scale = match["scale"]
    if scale is None:
        return match["base"], 1.0
    if scale in ("n_rows", "n_cols"):
        return match["base"], ds[scale].astype(np.float64)
    number = float(scale) if re.fullmatch(r"[0-9]+(\.[0-9]*)?|\.[0-9]+", scale) else 0.0
    if number <= 0.0:
        raise UsageError(f"the matrix {text!r} is divided by the root of {scale}; give a positive number")
    return match["base"], number


def _rescale_matrix(ds: xr.Dataset, matrix: str) -> xr.Dataset:
    if "matrix" not in ds.coords:
        raise UsageError("the Dataset has no coordinate 'matrix'; only results with layers can be rescaled")
    factors = []
    base, divisor = _divisor(ds, matrix)
    names = np.atleast_1d(ds["matrix"].values)
    for index, name in enumerate(names):
        own_base, own = _divisor(ds, str(name))
        if own_base != base:
            raise UsageError(f"no factor is known between the matrices {str(name)!r} and {matrix!r}")
        ratio = own / divisor
        if isinstance(ratio, xr.DataArray) and "layer" in ratio.dims:
            ratio = ratio.isel(layer=index)
        factors.append(xr.DataArray(ratio))
    factor = xr.concat(factors, dim="layer", coords="minimal", compat="override") if ds["matrix"].ndim else factors[0]
    factor = factor.reset_coords(drop=True)
    for name in map(str, ds.data_vars):
        if name in _LAWS:
            raise UsageError(f"{name!r} cannot be rescaled; rescale the spectra first, then fit them")
        ds[name] = _scaled(ds[name], factor)
    if "x" in ds.coords:
        if not np.allclose(factor, factor.values.ravel()[0], rtol=1e-14):
            raise UsageError("the layers need different factors, but share one grid x; select one layer first")
        ds = ds.assign_coords(x=ds["x"].copy(data=ds["x"].values * float(factor.values.ravel()[0])))
    renamed = ds["matrix"].copy(data=np.full(ds["matrix"].shape, matrix, dtype=object))
    return ds.assign_coords(matrix=renamed)


_POWERS = {"weight^2": 1.0, "weight^4": 2.0, "1/weight^2": -1.0, "weight": 0.5}


def _scaled(array: xr.DataArray, factor: xr.DataArray) -> xr.DataArray:
    """A variable times the power of the factor that its unit says."""
    name, dims = str(array.name), array.dims
    if name == "log_elementary_moment":
        return (array + array["order"] * np.log(factor)).transpose(*dims).assign_attrs(array.attrs)
    power = _POWERS.get(str(array.attrs.get("units", "")))
    if power is None or name in _FREE:
        return array
    return (array * factor**power).transpose(*dims).assign_attrs(array.attrs)


def _rescale_clock(ds: xr.Dataset, clock: str) -> xr.Dataset:
    allowed = ("step", "learning_rate*step")
    if clock not in allowed:
        raise UsageError(f"clock is {clock!r}; allowed: {', '.join(map(repr, allowed))}")
    if "time" not in ds.coords:
        raise UsageError("the Dataset has no coordinate 'time', so there is no clock to convert")
    if ds["time"].attrs.get("clock") == clock:
        return ds
    rate = ds.attrs.get("learning_rate")
    if not isinstance(rate, (int, float)) or not rate > 0:
        raise UsageError(
            "the factor between the clocks is not known; set a positive ds.assign_attrs(learning_rate=...) first"
        )
    values = ds["time"].values * rate if clock == "learning_rate*step" else ds["time"].values / rate
    time = ds["time"].copy(data=values).assign_attrs(clock=clock)
    return ds.assign_coords(time=time)

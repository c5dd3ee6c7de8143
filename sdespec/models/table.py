"""Models from tables of numbers and texts, as files hold them."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from sdespec.core.errors import UsageError
from sdespec.core.toml import unknown_key
from sdespec.models import losses, noise
from sdespec.models.deep_linear_network import DeepLinearNetwork
from sdespec.models.dyson_laguerre import DysonLaguerre
from sdespec.models.extensive_output_network import ExtensiveOutputNetwork
from sdespec.models.linear_regression import LinearRegressionSGD
from sdespec.models.matrix_sgd import MatrixSGD

__all__ = ["model_from_table"]

_MODELS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (DeepLinearNetwork, DysonLaguerre, ExtensiveOutputNetwork, LinearRegressionSGD, MatrixSGD)
}
_NOISES: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        noise.IsotropicNoise, noise.SeparableNoise, noise.ScalarMultiplicativeNoise, noise.RightMultiplicativeNoise,
        noise.LeftMultiplicativeNoise,
    )
}  # fmt: skip
_LOSSES: dict[str, Any] = {"QuadraticLoss": losses.QuadraticLoss}
_SIDES = {"row_covariance": "n_rows", "col_covariance": "n_cols", "curvature": "n_cols"}


def model_from_table(table: Mapping[str, Any], *, place: str = "model") -> Any:
    """Make a model from a table with its type and fields.

    Parameters
    ----------
    table : mapping
        ``type`` and the fields of that model. A MatrixSGD has ``noise``, a table or a list of tables, each with the
        ``type`` and fields of a noise; ``diffusion``, short for one more isotropic noise; and ``loss``, a table of
        ``type = "QuadraticLoss"``. A covariance or curvature is a matrix, a list of its diagonal, or a number that
        multiplies the identity; a target is a matrix, or a number for all its entries.
    place : str
        Name of the table in messages.

    Returns
    -------
    model

    Raises
    ------
    UsageError
        If a type or key is unknown, a key is missing, or a value is not allowed; the place is named.

    Examples
    --------
    >>> table = {"type": "MatrixSGD", "n_rows": 2, "n_cols": 3, "weight_decay": 1.0, "diffusion": 0.5}
    >>> model_from_table(table | {"noise": {"type": "SeparableNoise", "row_covariance": [1.0, 2.0],
    ...     "col_covariance": 0.1}}).noises[1].row_covariance.tolist()
    [[1.0, 0.0], [0.0, 2.0]]
    """
    kind, fields = _kind(table, _MODELS, place)
    if kind is not MatrixSGD:
        return _made(kind, fields, place)
    names = [*_names(kind), "diffusion"]
    _check_known(fields, names, place)
    if not {"noise", "diffusion"} & fields.keys():
        raise UsageError(f"{place}.diffusion is missing; give the diffusion of isotropic noise, or {place}.noise")
    _check_given(kind, fields, place)
    tables = _tables(fields.pop("noise", []), f"{place}.noise")
    noises = [_part(one, _NOISES, f"{place}.noise[{i}]", fields) for i, one in enumerate(tables)]
    if "diffusion" in fields:
        noises.insert(0, _made(noise.IsotropicNoise, {"diffusion": fields.pop("diffusion")}, place))
    if "loss" in fields:
        fields["loss"] = _loss(fields["loss"], f"{place}.loss", fields)
    return _made(kind, fields | {"noise": noises[0] if len(noises) == 1 else tuple(noises)}, place)


def _kind(table: Any, kinds: Mapping[str, Any], place: str) -> tuple[Any, dict[str, Any]]:
    """Type of a table, and its other keys."""
    if not isinstance(table, Mapping):
        raise UsageError(f"{place} is {table!r}; it must be a table with a type, one of {', '.join(kinds)}")
    fields = dict(table)
    name = fields.pop("type", None)
    if name not in kinds:
        close = difflib.get_close_matches(str(name), kinds, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"allowed: {', '.join(kinds)}"
        raise UsageError(f"{place}.type is {name!r}; {hint}")
    return kinds[name], fields


def _names(kind: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def _check_known(fields: Mapping[str, Any], names: list[str], place: str) -> None:
    for key in fields:
        if key not in names:
            raise UsageError(unknown_key(f"{place}.{key}", key, names))


def _check_given(kind: Any, fields: Mapping[str, Any], place: str) -> None:
    """Raise if a field without a default is missing."""
    needed = [
        field.name for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]  # fmt: skip
    missing = [f"{place}.{key}" for key in needed if key not in fields]
    if missing:
        raise UsageError(f"missing: {', '.join(missing)}")


def _made(kind: Any, fields: Mapping[str, Any], place: str) -> Any:
    _check_known(fields, _names(kind), place)
    _check_given(kind, fields, place)
    try:
        return kind(**fields)
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from error


def _tables(value: Any, place: str) -> Iterable[Any]:
    """One table or several."""
    if isinstance(value, Mapping):
        return [value]
    if not isinstance(value, list):
        raise UsageError(f"{place} is {value!r}; it must be a table or a list of tables, each with a type")
    return value


def _loss(table: Any, place: str, shape: Mapping[str, Any]) -> Any:
    if isinstance(table, Mapping) and table.get("type") == "SpectralLoss":
        raise UsageError(f"{place}: a SpectralLoss holds a function, which no file can; make this model in Python")
    return _part(table, _LOSSES, place, shape)


def _part(table: Any, kinds: Mapping[str, Any], place: str, shape: Mapping[str, Any]) -> Any:
    """A noise or a loss; its short forms need the shape of the matrix."""
    kind, fields = _kind(table, kinds, place)
    for name, side in _SIDES.items():
        if name in fields:
            fields[name] = _square(fields[name], shape[side], f"{place}.{name}")
    if "target" in fields:
        target = _numbers(fields["target"], f"{place}.target")
        fields["target"] = np.full((shape["n_rows"], shape["n_cols"]), target) if target.ndim == 0 else target
    return _made(kind, fields, place)


def _square(value: Any, side: Any, place: str) -> np.ndarray:
    """A matrix from itself, from its diagonal, or from a multiple of the identity."""
    array = _numbers(value, place)
    if array.ndim == 0:
        return float(array) * np.eye(side)
    return np.diag(array) if array.ndim == 1 else array


def _numbers(value: Any, place: str) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError:  # rows of unequal lengths
        array = np.asarray("")
    if array.dtype.kind not in "iuf":
        raise UsageError(f"{place} is {value!r}; it must be a number, a list of numbers, or a matrix of them")
    return array.astype(np.float64)

"""Optuna's parameters and distributions <-> points of the unit cube."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from optuna_snn.scbo.space import Array, Categorical, Numeric, SearchSpace


def to_space(distributions: Mapping[str, BaseDistribution]) -> SearchSpace:
    """Optuna's distributions as dimensions of the unit cube, in the order of their names."""
    return SearchSpace(tuple(_to_dimension(d) for _, d in sorted(distributions.items())))


def _to_dimension(distribution: BaseDistribution) -> Numeric | Categorical:
    if isinstance(distribution, CategoricalDistribution):
        return Categorical(len(distribution.choices))
    if isinstance(distribution, IntDistribution):
        return Numeric(
            distribution.low, distribution.high, distribution.log, float(distribution.step)
        )
    if isinstance(distribution, FloatDistribution):
        return Numeric(distribution.low, distribution.high, distribution.log, distribution.step)
    raise ValueError(f"Distributions of type {type(distribution).__name__} are not supported.")


def to_points(
    params: Iterable[Mapping[str, Any]],
    distributions: Mapping[str, BaseDistribution],
    space: SearchSpace,
    conditional: Container[str] = (),
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Parameters of trials -> snapped points (n, d), and which of them lie in the space.

    A trial that lacks a parameter or has it outside the present bounds is not in the space; its
    row is NaN. If the parameter is a conditional one, only its coordinate is.
    """
    rows = list(params)
    values = np.full((len(rows), len(distributions)), math.nan)
    for j, name in enumerate(sorted(distributions)):
        values[:, j] = _column(rows, name, distributions[name])
    is_inside = has_needed(values, distributions, conditional)
    x = np.full(values.shape, np.nan)
    x[is_inside] = space.snap(space.encode(values[is_inside]))
    return x, is_inside


def has_needed(
    x: Array, distributions: Mapping[str, BaseDistribution], conditional: Container[str]
) -> npt.NDArray[np.bool_]:
    """Which rows (n, d) have all parameters (not NaN) but conditional ones. (n,)."""
    needed = [j for j, name in enumerate(sorted(distributions)) if name not in conditional]
    return np.asarray(np.isfinite(x[:, needed]).all(axis=1))


def to_held(
    params: Mapping[str, Any], distributions: Mapping[str, BaseDistribution], space: SearchSpace
) -> Array:
    """The parameters of one trial -> snapped coordinates, NaN where it has no valid one. (d,)."""
    names = sorted(distributions)
    values = np.array([[_internal(params, name, distributions[name]) for name in names]])
    held: Array = space.snap(space.encode(values))[0]
    return held


def _column(
    rows: Sequence[Mapping[str, Any]], name: str, distribution: BaseDistribution
) -> Sequence[float] | Array:
    """Internal values (n,) of one parameter; NaN where a row has none that is valid."""
    if not isinstance(distribution, FloatDistribution) or distribution.step is not None:
        return [_internal(row, name, distribution) for row in rows]
    given = [row.get(name, math.nan) for row in rows]
    if not all(type(value) is float for value in given):
        return [_internal(row, name, distribution) for row in rows]
    values = np.array(given, dtype=float)
    is_valid = (values >= distribution.low) & (values <= distribution.high)
    return np.where(is_valid, values, math.nan)


def _internal(params: Mapping[str, Any], name: str, distribution: BaseDistribution) -> float:
    if name not in params:
        return math.nan
    try:
        value = distribution.to_internal_repr(params[name])
    except ValueError:
        return math.nan
    return value if distribution._contains(value) else math.nan


def to_params(
    x: Array, distributions: Mapping[str, BaseDistribution], space: SearchSpace
) -> dict[str, Any]:
    """A point (d,) -> the user's values, as plain Python numbers and choices."""
    values = space.decode(x[None])[0]
    return {
        name: distribution.to_external_repr(float(value))
        for (name, distribution), value in zip(sorted(distributions.items()), values, strict=True)
    }

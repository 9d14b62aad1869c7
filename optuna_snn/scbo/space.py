"""The search space as a unit cube: encode, decode, snap, and the features that kernels see.

A point ``x`` has one coordinate in [0, 1] per dimension, whatever its kind:

- continuous: linear (or logarithmic) position between the bounds;
- discrete (integers, steps): the centre of its cell, all cells of equal width on the linear scale;
  on a logarithmic scale a cell reaches half a step to both sides;
- categorical: the centre ``(k + 0.5) / n_choices`` of the k-th of equal cells. The order of the
  cells means nothing: kernels see features, not coordinates.

Features are the coordinates of numeric dimensions, and for a categorical one a code whose vectors
lie at distance one from each other, so that a Euclidean kernel sees the Hamming distance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

DIGITS = 6
"""Decimals of coordinates that are suggested. A climb ends where floating-point errors differ from
process to process; rounded, they are not handed on, and a seed repeats a search."""
MAX_ONE_HOT = 32
"""Choices up to which the code is one-hot; beyond, random unit vectors of this many entries,
whose squared distances are 1 up to a relative error of about sqrt(1 / MAX_ONE_HOT)."""


@dataclass(frozen=True)
class Numeric:
    """A numeric dimension between `low` and `high` (both included), in the user's units.

    `step` is the grid's spacing, counted from `low`; None is continuous. `high` must lie on the
    grid. A logarithmic dimension needs ``low > 0``, and ``step / 2 < low`` where it has a step.
    """

    low: float
    high: float
    is_log: bool = False
    step: float | None = None

    @property
    def n_levels(self) -> float:
        """Number of values, infinite where continuous."""
        if self.step is None:
            return math.inf
        # Divided before subtracting: bounds of +-1e308 must not overflow.
        return round(self.high / self.step - self.low / self.step) + 1

    def encode(self, values: Array) -> Array:
        """Map values in the user's units to [0, 1]; values outside the bounds are clipped."""
        low, high = self._edges
        scaled = np.log(np.clip(values, self.low, self.high)) if self.is_log else values
        # Divided before subtracting: bounds of +-1e308 must not overflow.
        width = high / 2 - low / 2
        return np.clip((scaled / 2 - low / 2) / width, 0.0, 1.0)

    def decode(self, x: Array) -> Array:
        """Map [0, 1] to values within the bounds, on the grid where there is one."""
        low, high = self._edges
        scaled = low * (1.0 - x) + high * x
        values = np.exp(scaled) if self.is_log else scaled
        if self.step is not None:
            level = np.clip(np.round((values - self.low) / self.step), 0, self.n_levels - 1)
            values = self.low + level * self.step
        return np.clip(values, self.low, self.high)

    def adjacent(self, x: float) -> tuple[float, float]:
        """Unit coordinates one step below and above that of a snapped x, or x itself at a bound.

        Without a step both are x.
        """
        if self.step is None:
            return x, x
        value = float(self.decode(np.array([x]))[0])
        below, above = self.encode(np.array([value - self.step, value + self.step]))
        return (
            float(below) if value - self.step / 2 > self.low else x,
            float(above) if value + self.step / 2 < self.high else x,
        )

    @property
    def _edges(self) -> tuple[float, float]:
        margin = 0.0 if self.step is None else self.step / 2
        low, high = self.low - margin, self.high + margin
        return (math.log(low), math.log(high)) if self.is_log else (low, high)


@dataclass(frozen=True)
class Categorical:
    """An unordered choice among `n_choices`; values are the indices 0 .. n_choices - 1."""

    n_choices: int

    @property
    def n_levels(self) -> float:
        """Number of values."""
        return self.n_choices

    def encode(self, values: Array) -> Array:
        """Map indices to the centres of their cells."""
        return (values + 0.5) / self.n_choices

    def decode(self, x: Array) -> Array:
        """Map [0, 1] to indices."""
        return np.clip(np.floor(x * self.n_choices), 0, self.n_choices - 1)

    @cached_property
    def code(self) -> Array:
        """One vector per choice, at distance one from each other. (n_choices, width)."""
        if self.n_choices <= MAX_ONE_HOT:
            return np.eye(self.n_choices) / math.sqrt(2.0)
        # A constant of this module, the same in every process: no random stream of a study's.
        vectors = np.random.default_rng(0).standard_normal((self.n_choices, MAX_ONE_HOT))
        unit: Array = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit / math.sqrt(2.0)


Dimension = Numeric | Categorical


@dataclass(frozen=True)
class SearchSpace:
    """The dimensions in a fixed order; all arrays of points are (n, n_dims)."""

    dimensions: tuple[Dimension, ...]

    @property
    def n_dims(self) -> int:
        """Number of dimensions."""
        return len(self.dimensions)

    @cached_property
    def is_categorical(self) -> npt.NDArray[np.bool_]:
        """Whether each dimension is an unordered choice. (n_dims,)."""
        return np.array([isinstance(d, Categorical) for d in self.dimensions], dtype=bool)

    @cached_property
    def n_levels(self) -> Array:
        """Number of values of each dimension, infinite where continuous. (n_dims,)."""
        return np.array([d.n_levels for d in self.dimensions], dtype=float)

    @property
    def is_discrete(self) -> npt.NDArray[np.bool_]:
        """Whether each dimension has finitely many values. (n_dims,)."""
        return np.isfinite(self.n_levels)

    @property
    def n_points(self) -> float:
        """Number of points of the space; infinite as soon as one dimension is continuous."""
        with np.errstate(over="ignore"):
            return float(np.prod(self.n_levels))

    def encode(self, values: Array) -> Array:
        """(n, n_dims) values, categorical ones as indices -> (n, n_dims) in the unit cube."""
        columns = [d.encode(values[:, j]) for j, d in enumerate(self.dimensions)]
        return np.stack(columns, axis=1) if columns else np.empty((len(values), 0))

    def decode(self, x: Array) -> Array:
        """(n, n_dims) in the unit cube -> values; the inverse of `encode` on snapped points."""
        columns = [d.decode(x[:, j]) for j, d in enumerate(self.dimensions)]
        return np.stack(columns, axis=1) if columns else np.empty((len(x), 0))

    def snap(self, x: Array) -> Array:
        """Move discrete coordinates to the centre of their cell; continuous ones stay."""
        snapped = np.clip(x, 0.0, 1.0)
        for j in np.flatnonzero(self.is_discrete):
            dimension = self.dimensions[j]
            snapped[:, j] = dimension.encode(dimension.decode(snapped[:, j]))
        return snapped

    def rounded(self, x: Array) -> Array:
        """Points (..., d) with DIGITS decimals in their continuous coordinates."""
        rounded: Array = np.where(self.is_discrete, x, np.round(x, DIGITS))
        return rounded

    @cached_property
    def feature_dims(self) -> npt.NDArray[np.int64]:
        """The dimension that each feature belongs to. (n_features,)."""
        widths = [d.code.shape[1] if isinstance(d, Categorical) else 1 for d in self.dimensions]
        return np.repeat(np.arange(self.n_dims), widths)

    @cached_property
    def first_features(self) -> npt.NDArray[np.int64]:
        """The first feature of each dimension, the only one of a numeric one. (n_dims,)."""
        dims, first = np.unique(self.feature_dims, return_index=True)
        return first[dims >= 0]

    def features(self, x: Array) -> Array:
        """(n, n_dims) snapped points -> (n, n_features), what kernels measure distances in."""
        blocks = []
        for j, dimension in enumerate(self.dimensions):
            if isinstance(dimension, Categorical):
                blocks.append(dimension.code[dimension.decode(x[:, j]).astype(int)])
            else:
                blocks.append(x[:, j : j + 1])
        return np.concatenate(blocks, axis=1) if blocks else np.empty((len(x), 0))

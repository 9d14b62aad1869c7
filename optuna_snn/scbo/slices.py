"""A slice: the part of a search space in which some coordinates are held at given values.

The free coordinates alone make a space of fewer dimensions, in which candidates, neighbours, boxes
and climbs are what they are in any space. Its points have the features of the whole space's, so
that models and draws of the whole space are evaluated on it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from optuna_snn.scbo.novelty import SAME_POINT
from optuna_snn.scbo.observations import Observations
from optuna_snn.scbo.space import Array, SearchSpace


@dataclass(frozen=True)
class Slice(SearchSpace):
    """The free dimensions of `whole`, k of d; all arrays of points are (n, k)."""

    whole: SearchSpace
    held: tuple[float, ...]
    """Snapped coordinates of the held dimensions, NaN where free (d,)."""

    @cached_property
    def is_free(self) -> npt.NDArray[np.bool_]:
        """Which dimensions of the whole space are not held. (d,)."""
        return np.isnan(self.held)

    def lift(self, x: Array) -> Array:
        """Points of the slice (..., k) -> of the whole space (..., d)."""
        lifted = np.empty((*x.shape[:-1], len(self.held)))
        lifted[...] = self.held
        lifted[..., self.is_free] = x
        return lifted

    def project(self, x: Array) -> Array:
        """Points of the whole space (..., d) -> what the slice has of them (..., k)."""
        projected: Array = x[..., self.is_free]
        return projected

    def features(self, x: Array) -> Array:
        """(n, k) snapped points -> features in the whole space, held dimensions included."""
        return self.whole.features(self.lift(x))

    @cached_property
    def feature_dims(self) -> npt.NDArray[np.int64]:
        """The slice's dimension that each feature belongs to, -1 where held. (n_features,)."""
        own = np.where(self.is_free, np.cumsum(self.is_free) - 1, -1)
        return own[self.whole.feature_dims]


def slice_of(space: SearchSpace, held: Array | None) -> Slice:
    """The slice of the space at held (d,), NaN where free; None holds nothing.

    Raises ValueError where nothing is free.
    """
    values = np.full(space.n_dims, np.nan) if held is None else held
    free = [d for d, value in zip(space.dimensions, values, strict=True) if np.isnan(value)]
    if not free:
        raise ValueError(f"At least one coordinate must be free (NaN), got held={held}.")
    return Slice(tuple(free), space, tuple(values.tolist()))


def centred(known: Observations, part: Slice) -> Observations:
    """What is known, without the centres of other choices than those held.

    Under another choice the best of the free coordinates may lie outside any small box.
    """
    held = ~part.is_free & part.whole.is_categorical
    center = known.center
    if center is not None and not _has_held(part, held, center[None])[0]:
        center = None
    may_center = known.may_center
    if len(may_center):
        may_center = may_center & _has_held(part, held, known.x)
    return replace(known, center=center, may_center=may_center)


def restrict(known: Observations, part: Slice) -> Observations:
    """What is known on the slice: rows and points that have the held coordinates.

    The centre need not have them: it is projected.
    """
    if part.is_free.all():
        return known
    held = ~part.is_free
    on_it = _has_held(part, held, known.x)
    rows = known.rows(on_it)
    return replace(
        rows,
        x=part.project(rows.x),
        center=None if known.center is None else part.project(known.center),
        pending=part.project(known.pending[_has_held(part, held, known.pending)]),
        tried=part.project(known.tried[_has_held(part, held, known.tried)]),
        failed=part.project(known.failed[_has_held(part, held, known.failed)]),
    )


def _has_held(part: Slice, dims: npt.NDArray[np.bool_], x: Array) -> npt.NDArray[np.bool_]:
    """Which points (n, d) of the whole space have what is held in these dims (d,). (n,)."""
    distance = np.abs(x[:, dims] - np.array(part.held)[dims])
    has_held: npt.NDArray[np.bool_] = distance.max(axis=1, initial=0.0) <= SAME_POINT
    return has_held

"""Points that may be suggested: not known, not pending, not in a crowd or beside failures."""

from __future__ import annotations

import numpy as np

from optuna_snn.scbo.candidates import all_points, neighbours
from optuna_snn.scbo.observations import Observations
from optuna_snn.scbo.space import DIGITS, Array, SearchSpace

N_DRAWN = 200
MAX_ENUMERATED = 5000
SAME_POINT = 10.0**-DIGITS
"""Chebyshev distance in the unit cube below which two points count as one: no less than what
rounding takes away, or two that differ here would be the same when they are handed out."""
NEAR_FAILURE = 0.02
"""Chebyshev distance within which a failed trial speaks against a point."""
MAX_CROWD = 3
"""Points so close together that one more would tell nothing."""


def first_allowed(
    space: SearchSpace,
    known: Observations,
    ranked: Array,
    rng: np.random.Generator,
    crowd: float = 0.0,
) -> Array:
    """The first of the ranked points (r, d) that is new, not beside failures nor in a crowd. (d,).

    crowd: Chebyshev distance within which MAX_CROWD known or pending points are a crowd.
    Where there is no such point, as `draw_unused`.
    """
    for x in ranked:
        is_taken = n_within(known, x, SAME_POINT) > 0 or is_crowded(known, x, crowd)
        if not is_taken and (_distances(known.failed, x) <= NEAR_FAILURE).sum() < 2:
            return np.array(x)
    return draw_unused(space, known, rng)


def is_crowded(known: Observations, x: Array, crowd: float) -> bool:
    """Whether MAX_CROWD known or pending points lie within a Chebyshev distance of x (d,)."""
    return crowd > 0.0 and n_within(known, x, crowd) >= MAX_CROWD


def unused(space: SearchSpace, known: Observations, x: Array) -> Array:
    """The snapped points x (r, d) that are neither tried nor pending, each once, in their order.

    All of them where a dimension is continuous: there points do not meet by chance.
    """
    if not space.is_discrete.all():
        return x
    taken = {point.tobytes() for point in np.concatenate([known.tried, known.pending])}
    _, first = np.unique(x, axis=0, return_index=True)
    different = x[np.sort(first)]
    return different[[point.tobytes() not in taken for point in different]]


def untried_choices(
    space: SearchSpace, known: Observations, center: Array, rng: np.random.Generator
) -> Array:
    """Points that differ from the centre (d,) in one choice, never tried with the others.

    As many as `neighbours` finds. Returns (k, d).
    """
    choices = space.is_categorical
    around = neighbours(space, center, rng, held=~choices)
    taken = {x[choices].tobytes() for x in np.concatenate([known.tried, known.pending])}
    new: Array = around[[x[choices].tobytes() not in taken for x in around]]
    return new


def is_exhausted(space: SearchSpace, known: Observations) -> bool:
    """Whether all points were tried or are pending; False for a space too large to tell."""
    if space.n_points > MAX_ENUMERATED:
        return False
    return len(unused(space, known, all_points(space))) == 0


def draw_unused(space: SearchSpace, known: Observations, rng: np.random.Generator) -> Array:
    """A random point (d,) of the whole space, a used one only if all those drawn are used.

    A space of at most MAX_ENUMERATED points is searched completely.
    """
    drawn = space.snap(rng.random((N_DRAWN, space.n_dims)))
    everywhere = all_points(space) if space.n_points <= MAX_ENUMERATED else drawn
    free = unused(space, known, everywhere)
    return np.array(free[rng.integers(len(free))] if len(free) else drawn[0])


def n_within(known: Observations, x: Array, distance: float) -> int:
    """Known and pending points within a Chebyshev distance of x (d,)."""
    n_tried = (_distances(known.tried, x) <= distance).sum()
    return int(n_tried + (_distances(known.pending, x) <= distance).sum())


def _distances(points: Array, x: Array) -> Array:
    """Chebyshev distance of the points (n, d) from x (d,). (n,)."""
    distances: Array = np.abs(points - x).max(axis=1, initial=0.0)
    return distances

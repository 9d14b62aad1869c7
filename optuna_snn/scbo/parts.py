"""The patterns of a conditional space as one step sees them: what each is searched around.

A pattern has its own centre, the best of its feasible points. If it has none, it is searched
around the centre of all, in a box that does not bound what that centre lacks.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from optuna_snn.scbo.novelty import MAX_ENUMERATED, SAME_POINT, is_exhausted, n_within
from optuna_snn.scbo.observations import Observations
from optuna_snn.scbo.patterns import Pattern, conditions_of, impute, imputed, patterns_of
from optuna_snn.scbo.slices import Slice, restrict, slice_of
from optuna_snn.scbo.space import Array, SearchSpace
from optuna_snn.scbo.suggest import Search

MAX_POINTS = 1000
"""Points, the best ones, that patterns are told from: the cost does not grow with the study."""
MAX_NEAR = 16
"""Points that patterns are looked for next to, where there is no centre, or none is left."""


class Part(NamedTuple):
    """A pattern as this step sees it."""

    pattern: Pattern
    slice: Slice | None
    """None where nothing is free: the pattern is one point."""
    known: Observations
    """In the whole space, with what the pattern's box may be laid around."""
    search: Search

    @property
    def point(self) -> Array:
        """Its only point, if nothing is free. (d,)."""
        return np.array(self.pattern.held)

    def has_new_point(self) -> bool:
        """Whether one was neither tried nor is pending, or there are too many to tell."""
        if self.slice is None:
            return n_within(self.known, self.point, SAME_POINT) == 0
        if self.slice.n_points > MAX_ENUMERATED:
            return True
        return not is_exhausted(self.slice, restrict(self.known, self.slice))


def parts_of(
    space: SearchSpace,
    raw: Observations,
    center: Array | None,
    search: Search,
    rng: np.random.Generator,
) -> list[Part]:
    """The patterns that have a new point, or all if none has.

    raw: points are NaN in what they lack, as the centre (d,) of all patterns is. Those next to it
    are among them; without a centre, those next to MAX_NEAR points.
    """
    known = impute(space, raw)
    points = raw.x[_best_first(known)[:MAX_POINTS]]
    some = points[rng.permutation(len(points))[:MAX_NEAR]]
    near = list(some) if center is None else [center]
    patterns = patterns_of(space, conditions_of(space, raw.x), points, near, rng)
    open_now = [p for p in patterns if _is_open(p, known, rng)]
    parts = [_part_of(space, known, center, p, search) for p in open_now]
    return [part for part in parts if part.has_new_point()] or parts


def _part_of(
    space: SearchSpace,
    known: Observations,
    raw_center: Array | None,
    pattern: Pattern,
    search: Search,
) -> Part:
    """The pattern, with its best points as what may be the centre.

    If it has none, the centre of all (d,), NaN where it lacks a coordinate, with what the pattern
    holds; the box does not bound what that centre lacks.
    """
    if not pattern.is_free.any():
        return Part(pattern, None, known, search)
    part = slice_of(space, np.array(pattern.held))
    may_center = known.may_center & pattern.has(known.x)
    center = None
    if may_center.any():
        y = np.where(may_center & ~np.isnan(known.y), known.y, -np.inf)
        center = known.x[int(np.argmax(np.where(may_center, y, -np.inf)))]
    elif raw_center is not None:
        own = part.project(raw_center)
        center = part.lift(part.project(imputed(space, raw_center)))
        search = search._replace(unbounded=np.isnan(own))
    return Part(pattern, part, replace(known, center=center, may_center=may_center), search)


def _is_open(pattern: Pattern, known: Observations, rng: np.random.Generator) -> bool:
    """Whether a pattern is looked at: seldom one of whose k trials all told nothing.

    Failed trials, and pruned ones without a constraint, are in no model: to it, a choice that
    always fails stays as promising as one that was never tried. The probability is 1 / k^2, so
    that one that fails now and then is not given up.
    """
    if pattern.has_choices(known.x).any():
        return True
    n_vain = int(pattern.has_choices(known.tried).sum())
    return bool(rng.random() * n_vain**2 < 1.0)


def _best_first(known: Observations) -> npt.NDArray[np.int64]:
    """Rows in the order of their objective, feasible ones first and those without a value last."""
    y = np.where(np.isnan(known.y), -np.inf, known.y)
    return np.lexsort((-y, ~known.is_feasible))

"""Conditional spaces in one cube: which coordinates a point has, and what decides that.

Points of a define-by-run objective have different coordinates. All of them lie in the cube of all
coordinates, and those that a point lacks are at IMPUTED, so that one model learns from all points:
what they share is learnt from all, and two points without a coordinate are equal in it, as in the
kernels of Swersky et al. 2014, "Raiders of the lost architecture: kernels for Bayesian
optimization in conditional parameter spaces" (arXiv 1409.4011, section 2.1).

Nothing tells a sampler of conditions but the points. A discrete coordinate that many points repeat
decides whether there is another one if, value by value, all have it or none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np
import numpy.typing as npt

from optuna_snn.scbo.observations import Observations
from optuna_snn.scbo.space import Array, SearchSpace

Mask = npt.NDArray[np.bool_]

IMPUTED = 0.5
"""Where a point is put in the coordinates that it lacks."""
REPEATS = 2
"""Points of each value, on average, that a coordinate has which decides about another one."""
MAX_SEEN, MAX_NEW = 32, 32
"""Patterns of one ask: as many of the points, and as many others next to some of them."""
MAX_LEVELS = 32
"""Values of a deciding coordinate that are looked at next to one point; a random part of more."""
MAX_COMPLETIONS = 8
"""Values of new deciding coordinates that a change is completed with; a random part of more."""


@dataclass(frozen=True)
class Pattern:
    """Coordinates that points have together, with the values that decide about them."""

    is_active: tuple[bool, ...]
    """Which coordinates there are (d,)."""
    held: tuple[float, ...]
    """What deciding coordinates are held at, and inactive ones; NaN where a point is free (d,)."""

    @cached_property
    def is_free(self) -> Mask:
        """Which coordinates are not held. (d,)."""
        return np.isnan(self.held)

    def has(self, x: Array) -> Mask:
        """Which points (n, d), imputed, have what the pattern holds. (n,)."""
        return self._has(x, ~self.is_free)

    def has_choices(self, x: Array) -> Mask:
        """Which points (n, d) have the values that decide about it, whatever else. (n,)."""
        return self._has(x, ~self.is_free & np.array(self.is_active))

    def _has(self, x: Array, held: Mask) -> Mask:
        has_held: Mask = (x[:, held] == np.array(self.held)[held]).all(axis=1)
        return has_held


@dataclass(frozen=True)
class Conditions:
    """What decides about which coordinates, as far as the points tell."""

    by: Mapping[int, int]
    """Coordinate -> the one that decides whether it is there."""
    values: Mapping[int, frozenset[float]]
    """Coordinate -> values of the deciding one with which it is there."""
    seen: Mapping[int, frozenset[float]]
    """Deciding coordinate -> its values."""


def imputed(space: SearchSpace, x: Array) -> Array:
    """The points (n, d), or one (d,), with snapped IMPUTED in place of NaN."""
    middle = space.snap(np.full((1, space.n_dims), IMPUTED))[0]
    return np.where(np.isnan(x), middle, x)


def impute(space: SearchSpace, known: Observations) -> Observations:
    """What is known, of points that may lack coordinates (NaN), with all points imputed."""
    return replace(
        known,
        x=imputed(space, known.x),
        center=None if known.center is None else imputed(space, known.center),
        pending=imputed(space, known.pending),
        tried=imputed(space, known.tried),
        failed=imputed(space, known.failed),
    )


def conditions_of(space: SearchSpace, x: Array) -> Conditions:
    """What decides about the coordinates that only some of the points (n, d) have (not NaN).

    Of several that would, the one with the fewest values.
    """
    is_active = ~np.isnan(x)
    conditional = np.flatnonzero(~is_active.all(axis=0) & is_active.any(axis=0))
    by: dict[int, int] = {}
    values: dict[int, frozenset[float]] = {}
    seen: dict[int, frozenset[float]] = {}
    for q in np.flatnonzero(space.is_discrete).tolist() if len(conditional) else []:
        rows = is_active[:, q]
        levels, level = np.unique(x[rows, q], return_inverse=True)
        if rows.sum() < REPEATS * len(levels):
            continue
        n_points = np.bincount(level, minlength=len(levels))
        for r in conditional.tolist():
            has_r = is_active[:, r]
            n_active = np.bincount(level[has_r[rows]], minlength=len(levels))
            is_told = ((n_active == 0) | (n_active == n_points)).all()
            # It has to be there wherever the other one is, and not only there.
            if not is_told or has_r[~rows].any() or (n_active > 0).all():
                continue
            if r not in by or len(levels) < len(seen[by[r]]):
                by[r], values[r] = q, frozenset(levels[n_active > 0].tolist())
                seen[q] = frozenset(levels.tolist())
    return Conditions(by, values, {q: seen[q] for q in set(by.values())})


def decided(conditions: Conditions, shared: Mask) -> Mask:
    """The coordinates that all points have, shared (d,), and those that these decide about.

    Directly, or through one another. Whether a point has one of the rest, a search cannot choose.
    (d,).
    """
    found = shared.copy()
    for _ in conditions.by:
        for r, q in conditions.by.items():
            found[r] |= found[q]
    return found


def patterns_of(
    space: SearchSpace,
    conditions: Conditions,
    x: Array,
    near: Iterable[Array],
    rng: np.random.Generator,
) -> list[Pattern]:
    """The patterns of the points (n, d), NaN where they lack a coordinate; and those next to some.

    These are what each point `near` (d,) would have with another value of one deciding coordinate.
    At most MAX_SEEN patterns of points, those of the first ones, and MAX_NEW others, at random.
    """
    deciding = sorted(conditions.seen)
    marked = np.where(np.isnan(x), -1.0, 0.0)
    marked[:, deciding] = np.where(np.isnan(x), -1.0, x)[:, deciding]
    _, first = np.unique(marked, axis=0, return_index=True)
    # Held values are NaN where a point is free, which equal nothing: told apart as text.
    found = {}
    for point in x[np.sort(first)[:MAX_SEEN]]:
        pattern = _pattern(space, point, deciding)
        found[str(pattern)] = pattern
    n_most = len(found) + MAX_NEW
    for point in _next_to(space, conditions, near, rng):
        pattern = _pattern(space, point, deciding)
        found[str(pattern)] = pattern
        if len(found) == n_most:
            break
    return list(found.values())


def _pattern(space: SearchSpace, x: Array, deciding: Sequence[int]) -> Pattern:
    """The pattern of a point (d,), NaN where it lacks a coordinate."""
    is_active = ~np.isnan(x)
    is_held = ~is_active
    is_held[deciding] = True
    held = np.where(is_held, imputed(space, x), np.nan)
    return Pattern(tuple(is_active.tolist()), tuple(held.tolist()))


def _next_to(
    space: SearchSpace, conditions: Conditions, near: Iterable[Array], rng: np.random.Generator
) -> Iterator[Array]:
    """Points that differ from one (d,) in a deciding coordinate, and in what that decides.

    In random order.
    """
    changes = [
        (x, q, level)
        for x in near
        for q in conditions.seen
        if not np.isnan(x[q])
        for level in _levels(space, conditions, q, rng)
        if level != x[q]
    ]
    for k in rng.permutation(len(changes)):
        x, q, level = changes[k]
        changed = x.copy()
        changed[q] = level
        yield from _completed(conditions, changed, frozenset({q}), rng)


def _levels(
    space: SearchSpace, conditions: Conditions, q: int, rng: np.random.Generator
) -> list[float]:
    """Values of a deciding coordinate, those that were never tried included."""
    n = int(space.n_levels[q])
    index = np.arange(n) if n <= MAX_LEVELS else rng.choice(n, MAX_LEVELS, replace=False)
    grid = np.full((len(index), space.n_dims), IMPUTED)
    grid[:, q] = (index + 0.5) / n
    return sorted(conditions.seen[q] | set(space.snap(grid)[:, q].tolist()))


def _completed(
    conditions: Conditions, x: Array, decided: frozenset[int], rng: np.random.Generator
) -> Iterator[Array]:
    """The point with the coordinates that these decide about, and what follows from those.

    A deciding coordinate that is new takes each of its values in turn.
    """
    x, changed = x.copy(), set()
    for r, q in conditions.by.items():
        if q in decided:
            is_active = x[q] in conditions.values[r]
            if is_active == np.isnan(x[r]):
                x[r] = IMPUTED if is_active else np.nan
                changed.add(r)
    if not changed:
        yield x
        return
    new = [r for r in sorted(changed & set(conditions.seen)) if not np.isnan(x[r])]
    values = [sorted(conditions.seen[r]) for r in new]
    if math.prod(map(len, values)) <= MAX_COMPLETIONS:
        completions = list(product(*values))
    else:
        completions = [tuple(map(rng.choice, values)) for _ in range(MAX_COMPLETIONS)]
    for levels in completions:
        x[new] = levels
        yield from _completed(conditions, x, frozenset(changed), rng)

"""One step over a conditional space: which pattern of coordinates, and a point of it.

One model sees the points of all patterns (`patterns`), so that one draw compares them. The best
candidates of each pattern are ranked on it, and those of the first few are refined. The point is
then chosen within the best pattern, as in any space of fewer dimensions (`suggest`), around the
best feasible point of that pattern; where it has none, around the centre of the others.

As with other choices (`choices`), one ask in ten goes to a pattern that was never tried, and where
the best pattern has little left to gain, half of the asks go to the most promising other one. The
paper has no conditional spaces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from optuna_snn.scbo import surrogate
from optuna_snn.scbo.candidates import Box, whole_cube
from optuna_snn.scbo.choices import N_RANDOM, model_of_distinct, turns_away
from optuna_snn.scbo.models import (
    FitStart,
    coordinates_to_move,
    log_expected_improvement,
    probability_of_feasibility,
)
from optuna_snn.scbo.novelty import SAME_POINT, n_within
from optuna_snn.scbo.observations import Observations
from optuna_snn.scbo.options import DEFAULT, Options
from optuna_snn.scbo.parts import Part, parts_of
from optuna_snn.scbo.paths import draw_path
from optuna_snn.scbo.patterns import (
    Mask,
    conditions_of,
    decided,
    impute,
    imputed,
)
from optuna_snn.scbo.ranking import candidates_in
from optuna_snn.scbo.refinement import refine
from optuna_snn.scbo.slices import slice_of
from optuna_snn.scbo.space import Array, SearchSpace
from optuna_snn.scbo.step import Step
from optuna_snn.scbo.suggest import (
    Fitted,
    Search,
    Suggestion,
    box_of,
    center_row,
    draw_anywhere,
    draw_functions,
    draw_in_box,
    fit,
    is_flat,
    suggest,
    suggest_within,
)
from optuna_snn.scbo.thompson import N_OTHER_STARTS, merit_order

MAX_REFINED = 4
"""Patterns, the best by their candidates, whose best candidate is refined before they compare."""
MIN_CANDIDATES = 5
"""Least candidates per dimension of a pattern: all patterns share those of one step."""


class JointSuggestion(NamedTuple):
    """A suggestion in the cube of all coordinates."""

    suggestion: Suggestion
    is_active: Mask
    """Which of them its point has (d,)."""
    is_all: bool
    """Whether a point has no other coordinates."""


def suggest_jointly(
    space: SearchSpace,
    known: Observations,
    search: Search,
    rng: np.random.Generator,
    start: FitStart,
    options: Options = DEFAULT,
) -> JointSuggestion:
    """The next point of a space that may be conditional; never raises for numerical reasons.

    known: points are NaN in the coordinates that they lack. Coordinates that nothing decides about
    are left out: the suggested point lacks them, and has IMPUTED there as in those of other
    patterns. If no other coordinate is conditional, this is `suggest`.
    """
    kept = decided(conditions_of(space, known.x), ~known.lacked)
    part = SearchSpace(tuple(d for d, k in zip(space.dimensions, kept, strict=True) if k))
    if start.theta is not None and start.theta.shape[1] != part.n_dims + 2:
        start = FitStart(start.device)
    own = known if kept.all() else known.columns(kept)
    suggestion, is_active = _suggest(part, own, search, rng, start, options)
    x = imputed(space, np.full(space.n_dims, np.nan))
    x[kept] = suggestion.x
    whole = np.zeros(space.n_dims, dtype=bool)
    whole[kept] = is_active
    return JointSuggestion(replace(suggestion, x=x), whole, bool(kept.all()))


def _suggest(
    space: SearchSpace,
    known: Observations,
    search: Search,
    rng: np.random.Generator,
    start: FitStart,
    options: Options,
) -> tuple[Suggestion, Mask]:
    """The same of a space without coordinates that nothing decides about."""
    if not known.lacked.any():
        suggestion = suggest(space, known, search, rng, start, options)
        return suggestion, np.ones(space.n_dims, dtype=bool)
    raw, known = known, impute(space, known)
    if is_flat(known.c):
        return _drawn(parts_of(space, raw, None, search, rng), rng)
    try:
        fitted = fit(space, known, search.n_workers, rng, start, options)
        row = center_row(fitted, space, known)
        center = raw.center if row is None else raw.x[row]
        parts = parts_of(space, raw, center, search, rng)
        if not any(part.has_new_point() for part in parts):
            parts = parts_of(space, raw, None, search, rng)
        if center is not None:
            known = replace(known, center=imputed(space, center))
        return _suggest_among(fitted, space, parts, known, rng)
    except surrogate.LinAlgError as error:
        return _drawn(parts_of(space, raw, None, search, rng), rng, options, error)


def _drawn(
    parts: Sequence[Part],
    rng: np.random.Generator,
    options: Options | None = None,
    error: Exception | None = None,
) -> tuple[Suggestion, Mask]:
    """A point of any part, anywhere in it; or in its box, if there is an error that is logged."""
    part = parts[int(rng.integers(len(parts)))]
    is_active = np.array(part.pattern.is_active)
    if part.slice is None:
        return Suggestion(part.point, None, None, is_repeat=not part.has_new_point()), is_active
    if error is None or options is None:
        return draw_anywhere(part.slice, part.known, rng), is_active
    return draw_in_box(part.slice, part.known, part.search, rng, options, error), is_active


def _suggest_among(
    fitted: Fitted,
    space: SearchSpace,
    parts: Sequence[Part],
    known: Observations,
    rng: np.random.Generator,
) -> tuple[Suggestion, Mask]:
    """A point of the part that is best on one draw, or now and then of another one.

    known: in the whole space, with the centre of all parts.
    """
    whole = slice_of(space, None)
    path = draw_functions(fitted, whole, rng)
    step = Step(path, whole, known.center, fitted.goal, rng, fitted.options)
    untried = _untried_now(step, parts)
    part, best = _best_part(fitted, step, untried or parts)
    if not untried and turns_away(step, known, best):
        other = _most_promising(step, parts, known, fitted.posterior.device)
        if other is not None:
            part, best = other
            return _of_point(fitted, step, known, best), np.array(part.pattern.is_active)
    if part.slice is None:
        suggestion = _of_point(fitted, step, known, best)
        suggestion = replace(suggestion, is_repeat=not part.has_new_point())
    else:
        suggestion = suggest_within(fitted, part.slice, part.known, part.search, rng)
    return suggestion, np.array(part.pattern.is_active)


def _untried_now(step: Step, parts: Sequence[Part]) -> list[Part]:
    """In some of the asks the patterns that were never tried, as of untried choices."""
    if step.center is None or step.goal != "value":
        return []
    if step.rng.random() >= step.options.untried_choice_share:
        return []
    return [part for part in parts if not part.pattern.has_choices(part.known.tried).any()]


def _best_part(fitted: Fitted, step: Step, parts: Sequence[Part]) -> tuple[Part, Array]:
    """The best part on the draws, and its point (d,)."""
    n_parts = len(parts)
    per_dim = max(MIN_CANDIDATES, step.options.candidates_per_dim // n_parts)
    few = replace(step.options, candidates_per_dim=per_dim)
    boxes, starts = zip(*(_best_candidate(fitted, step, part, few) for part in parts), strict=True)
    order = merit_order(step.draws_at(np.stack(starts)))[:MAX_REFINED]
    ends = np.stack([_climbed(step, parts[i], boxes[i], starts[i]) for i in order])
    first = int(merit_order(step.draws_at(ends))[0])
    return parts[order[first]], np.array(ends[first])


def _best_candidate(
    fitted: Fitted, step: Step, part: Part, options: Options
) -> tuple[Box | None, Array]:
    """The part's box, and the best on the draws of so many candidates in it (d,)."""
    if part.slice is None:
        return None, part.point
    moves = coordinates_to_move(fitted.posterior, part.known, part.search.n_workers, options)
    row = center_row(fitted, part.slice.whole, part.known)
    center = part.known.center if row is None else part.known.x[row]
    center = None if center is None else part.slice.project(center)
    box, _ = box_of(fitted, part.slice, center, moves, part.search)
    drawn = candidates_in(part.slice, center, box, step.rng, options, moves)
    return box, np.array(step.ranked(part.slice.lift(drawn))[0])


def _climbed(step: Step, part: Part, box: Box | None, x: Array) -> Array:
    """A point (d,) of a part, refined in its box on the draws of the whole space. (d,)."""
    if part.slice is None or box is None or step.options.refinement == "none":
        return x
    start = part.slice.project(x)[None]
    is_relaxed = step.options.is_relaxed
    end = refine(step.path, part.slice, box, start, step.rng, None, step.goal, is_relaxed)
    return np.array(part.slice.lift(end)[0])


def _most_promising(
    step: Step, parts: Sequence[Part], known: Observations, device: torch.device
) -> tuple[Part, Array] | None:
    """The point (d,) of the largest expected improvement, of other patterns than the centre's.

    By the model of results in different places, as in `promising_choices`. None where there is no
    centre, or no other pattern or new point.
    """
    center = step.center
    if center is None:
        return None
    others = [part for part in parts if not part.pattern.has(center[None])[0]]
    if not others:
        return None
    posterior, distinct = model_of_distinct(step, known, device)
    drawn = replace(step, path=draw_path(posterior, step.rng))
    numbers = np.concatenate([center[None], distinct.x])

    def promise(x: Array) -> Array:
        return log_expected_improvement(posterior, step.space, center, x)

    starts = []
    for part in others:
        x = part.point[None]
        if part.slice is not None:
            random = part.slice.snap(step.rng.random((N_RANDOM, part.slice.n_dims)))
            x = part.slice.lift(np.concatenate([part.slice.project(numbers), random]))
        starts.append(x[np.argmax(promise(x))])
    best = np.argsort(-promise(np.stack(starts)), kind="stable")[:N_OTHER_STARTS]
    climbed = [_climbed(drawn, others[i], _whole_box(others[i]), starts[i]) for i in best]
    points, of = np.stack([*climbed, *(starts[i] for i in best)]), np.tile(best, 2)
    for k in np.argsort(-promise(points), kind="stable"):
        if n_within(known, points[k], SAME_POINT) == 0:
            return others[of[k]], points[k]
    return None


def _whole_box(part: Part) -> Box | None:
    return None if part.slice is None else whole_cube(part.slice)


def _of_point(fitted: Fitted, step: Step, known: Observations, x: Array) -> Suggestion:
    """A suggestion of this point (d,)."""
    probability = probability_of_feasibility(fitted.posterior, step.space, x)
    row = center_row(fitted, step.space.whole, known)
    return Suggestion(x, fitted.hyper, probability, center=row)

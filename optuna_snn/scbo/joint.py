"""One step over a conditional space: which pattern of coordinates, and a point of it.

One model sees the points of all patterns (`patterns`), so that one draw compares them. The best
candidates of each pattern are ranked on it, and those of the first few are refined. The point is
then chosen within the best pattern, as in any space of fewer dimensions (`suggest`), around the
best feasible point of that pattern; where it has none, around the centre of the others.

Where the best pattern has little left to gain, half of the asks go to the most promising other
one, as to other choices (`choices`). The paper has no conditional spaces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from optuna_snn.scbo import surrogate
from optuna_snn.scbo.choices import N_RANDOM, N_VAIN, model_of_distinct, refined, turns_away
from optuna_snn.scbo.models import (
    coordinates_to_move,
    log_expected_improvement,
    probability_of_feasibility,
)
from optuna_snn.scbo.novelty import MAX_ENUMERATED, SAME_POINT, is_exhausted, n_within
from optuna_snn.scbo.observations import Observations
from optuna_snn.scbo.options import DEFAULT, Options
from optuna_snn.scbo.paths import draw_path
from optuna_snn.scbo.patterns import Pattern, impute, patterns_of
from optuna_snn.scbo.ranking import candidates_in
from optuna_snn.scbo.slices import Slice, restrict, slice_of
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

MAX_POINTS = 1000
"""Points, the best ones, that patterns are told from: the cost does not grow with the study."""
MAX_REFINED = 4
"""Patterns, the best by their candidates, whose best candidate is refined before they compare."""
MIN_CANDIDATES = 5
"""Least candidates per dimension of a pattern: all patterns share those of one step."""


class JointSuggestion(NamedTuple):
    """A suggestion in the cube of all coordinates."""

    suggestion: Suggestion
    is_active: Sequence[bool]
    """Which of them its point has (d,)."""


class _Part(NamedTuple):
    """A pattern that has coordinates to choose, as this step sees it."""

    pattern: Pattern
    slice: Slice
    known: Observations
    """In the whole space, with what the pattern's box may be laid around."""
    search: Search


def suggest_jointly(
    space: SearchSpace,
    known: Observations,
    search: Search,
    rng: np.random.Generator,
    device: torch.device,
    warm_start: Array | None = None,
    is_refit: bool = True,
    options: Options = DEFAULT,
) -> JointSuggestion | None:
    """The next point of a space that may be conditional; never raises for numerical reasons.

    known: points are NaN in the coordinates that they lack. The suggested point has IMPUTED there.
    If none lacks any, this is `suggest`. None where no known pattern has a coordinate to choose.
    """
    raw, known = known, impute(space, known)
    if not np.isnan(raw.tried).any():
        length, length_init, n_workers, is_failing, _ = search
        suggestion = suggest(
            space,
            known,
            length,
            length_init,
            rng,
            device,
            warm_start,
            is_refit,
            options,
            n_workers=n_workers,
            is_failing=is_failing,
        )
        return JointSuggestion(suggestion, [True] * space.n_dims)
    points = raw.x[_best_first(known)[:MAX_POINTS]]
    seen = [p for p in patterns_of(space, points, None) if p.is_free.any()]
    if not seen:
        return None
    any_part = _part_of(space, known, raw.center, seen[int(rng.integers(len(seen)))], search)
    if is_flat(known.c):
        drawn = draw_anywhere(any_part.slice, any_part.known, rng)
        return JointSuggestion(drawn, any_part.pattern.is_active)
    try:
        fitted = fit(space, known, rng, device, warm_start, is_refit, options, search.n_workers)
        row = center_row(fitted, space, known)
        if row is not None:
            raw, known = replace(raw, center=raw.x[row]), replace(known, center=known.x[row])
        patterns = patterns_of(space, points, raw.center)
        open_ones = [p for p in patterns if _is_open(p, known)]
        parts = [_part_of(space, known, raw.center, p, search) for p in open_ones]
        return _suggest_among(fitted, _not_exhausted(parts), known, rng)
    except surrogate.LinAlgError as error:
        drawn = draw_in_box(any_part.slice, any_part.known, any_part.search, rng, options, error)
        return JointSuggestion(drawn, any_part.pattern.is_active)


def _suggest_among(
    fitted: Fitted,
    parts: Sequence[_Part],
    known: Observations,
    rng: np.random.Generator,
) -> JointSuggestion:
    """A point of the part that is best on one draw, or now and then of the most promising other.

    known: in the whole space, with the centre of all parts.
    """
    whole = slice_of(parts[0].slice.whole, None)
    path = draw_functions(fitted, whole, rng)
    step = Step(path, whole, known.center, fitted.goal, rng, fitted.options)
    per_dim = max(MIN_CANDIDATES, step.options.candidates_per_dim // len(parts))
    few = replace(step, options=replace(step.options, candidates_per_dim=per_dim))
    starts = [_best_candidate(fitted, few, part) for part in parts]
    order = merit_order(step.draws_at(np.stack(starts)))[:MAX_REFINED]
    ends = np.stack([starts[i] for i in order])
    if fitted.options.refinement != "none":
        ends = np.stack([_refined(step, parts[i], starts[i]) for i in order])
    first = int(merit_order(step.draws_at(ends))[0])
    part = parts[order[first]]
    if turns_away(step, known, ends[first]):
        promising = _most_promising(fitted, step, parts, known)
        if promising is not None:
            return promising
    suggestion = suggest_within(fitted, part.slice, part.known, part.search, rng)
    return JointSuggestion(suggestion, part.pattern.is_active)


def _best_candidate(fitted: Fitted, step: Step, part: _Part) -> Array:
    """The best on the draws of a part's candidates (d,)."""
    options = step.options
    moves = coordinates_to_move(fitted.posterior, part.known, part.search.n_workers, options)
    row = center_row(fitted, part.slice.whole, part.known)
    center = part.known.center if row is None else part.known.x[row]
    center = None if center is None else part.slice.project(center)
    box, _ = box_of(fitted, part.slice, center, moves, part.search)
    drawn = candidates_in(part.slice, center, box, step.rng, options, moves)
    return np.array(step.ranked(part.slice.lift(drawn))[0])


def _refined(step: Step, part: _Part, x: Array) -> Array:
    """A point (d,) of a part, refined on the draws of a step over the whole space. (d,)."""
    own = replace(step, space=part.slice)
    climbed = refined(own, part.slice.project(x), part.search.length_init)
    return np.array(part.slice.lift(climbed)[0])


def _most_promising(
    fitted: Fitted, step: Step, parts: Sequence[_Part], known: Observations
) -> JointSuggestion | None:
    """The point of the largest expected improvement, of other patterns than the centre's.

    By the model of results in different places, as in `promising_choices`. None where there is no
    centre, or no other pattern or new point.
    """
    center = step.center
    if center is None:
        return None
    others = [part for part in parts if not part.pattern.has(center[None])[0]]
    if not others:
        return None
    posterior, distinct = model_of_distinct(step, known, fitted.posterior.device)
    drawn = replace(step, path=draw_path(posterior, step.rng))
    numbers = np.concatenate([center[None], distinct.x])

    def promise(x: Array) -> Array:
        return log_expected_improvement(posterior, step.space, center, x)

    starts = []
    for part in others:
        random = part.slice.snap(step.rng.random((N_RANDOM, part.slice.n_dims)))
        x = part.slice.lift(np.concatenate([part.slice.project(numbers), random]))
        starts.append(x[np.argmax(promise(x))])
    best = np.argsort(-promise(np.stack(starts)), kind="stable")[:N_OTHER_STARTS]
    climbed = [_refined(drawn, others[i], starts[i]) for i in best]
    points, of = np.stack([*climbed, *(starts[i] for i in best)]), np.tile(best, 2)
    for k in np.argsort(-promise(points), kind="stable"):
        if n_within(known, points[k], SAME_POINT) == 0:
            found = points[k]
            probability = probability_of_feasibility(fitted.posterior, step.space, found)
            row = center_row(fitted, step.space.whole, known)
            suggestion = Suggestion(found, fitted.hyper, probability, center=row)
            return JointSuggestion(suggestion, others[of[k]].pattern.is_active)
    return None


def _part_of(
    space: SearchSpace,
    known: Observations,
    raw_center: Array | None,
    pattern: Pattern,
    search: Search,
) -> _Part:
    """The pattern, with its best points as what may be the centre.

    If it has none, the centre of all, with what the pattern holds; the box does not bound what
    that centre lacks (NaN in raw_center, (d,)).
    """
    part = slice_of(space, np.array(pattern.held))
    may_center = known.may_center & pattern.has(known.x)
    center = known.center
    if may_center.any():
        y = np.where(may_center & ~np.isnan(known.y), known.y, -np.inf)
        center = known.x[int(np.argmax(np.where(may_center, y, -np.inf)))]
    elif center is not None and raw_center is not None:
        center = part.lift(part.project(center))
        search = search._replace(unbounded=np.isnan(part.project(raw_center)))
    return _Part(pattern, part, replace(known, center=center, may_center=may_center), search)


def _is_open(pattern: Pattern, known: Observations) -> bool:
    """Whether there is something to choose in a pattern, and no trials speak against it.

    As of other choices: N_VAIN trials, all of which told nothing.
    """
    n_told, n_tried = pattern.has(known.x).sum(), pattern.has(known.tried).sum()
    return bool(pattern.is_free.any() and (n_told > 0 or n_tried < N_VAIN))


def _not_exhausted(parts: Sequence[_Part]) -> Sequence[_Part]:
    """Those with a point that was not tried; all of them if there is none."""
    return [part for part in parts if _has_new_point(part)] or parts


def _has_new_point(part: _Part) -> bool:
    is_large = part.slice.n_points > MAX_ENUMERATED
    return is_large or not is_exhausted(part.slice, restrict(part.known, part.slice))


def _best_first(known: Observations) -> npt.NDArray[np.int64]:
    """Rows in the order of their objective, feasible ones first and those without a value last."""
    y = np.where(np.isnan(known.y), -np.inf, known.y)
    return np.lexsort((-y, ~known.is_feasible))

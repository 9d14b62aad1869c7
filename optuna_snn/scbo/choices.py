"""Other choices of categorical dimensions: when the search turns to them, and to which.

A choice that is ahead early would get nearly all results: its numbers are polished, while another,
better once its own numbers have followed, looks bad wherever it was tried. So the best known point
of each is refined beside the box, combinations that are new are tried now and then, and where the
box has little left to gain, half of the asks go to the most promising other choice.

The paper has no categorical dimensions.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from optuna_snn.scbo import surrogate
from optuna_snn.scbo.candidates import MAX_NEIGHBOURS, make_box
from optuna_snn.scbo.models import fit_models, log_expected_improvement
from optuna_snn.scbo.novelty import untried_choices
from optuna_snn.scbo.observations import Observations
from optuna_snn.scbo.paths import draw_path
from optuna_snn.scbo.refinement import refine
from optuna_snn.scbo.space import Array, SearchSpace
from optuna_snn.scbo.step import Step
from optuna_snn.scbo.thompson import N_OTHER_STARTS, best_of_other_choices
from optuna_snn.scbo.transforms import clip_objective, spread_of_early, transform_objective

LITTLE = 0.003
"""Part of the objective's spread that is little to gain."""
SAME_PLACE = 0.02
"""Distance of features, over the root of the number of numeric dimensions, within which results
of the same choices tell the same."""
MAX_DISTINCT = 150
"""Results in different places that the model of all choices knows, the best ones."""
N_RANDOM = 100
"""Random numbers that each choice is looked at with, beside those of results."""
MAX_POOL = 4000
"""Points of other choices that are looked at, at least one of each."""


def other_choices(step: Step, known_x: Array, length: float) -> Array:
    """The best of the known points (r, d) of other choices, each refined in a box. (k, d).

    The box has sides of this length. Each point keeps the choices that the centre does not have:
    what they are worth would not be seen if the climb could go back.
    """
    if step.center is None or not step.has_choices:
        return step.no_points()
    best = best_of_other_choices(step.path, step.space, known_x, step.center, step.goal)
    climbed = [_refined(step, x, length) for x in best]
    return np.concatenate([*climbed[::-1], step.no_points()])


def untried_now(step: Step, known: Observations) -> Array:
    """In some of the asks, the centre with other choices that are new together. (k, d).

    The best on the draws first. known: on the slice.
    """
    if step.center is None or not step.has_choices or step.goal != "value":
        return step.no_points()
    if step.rng.random() >= step.options.untried_choice_share:
        return step.no_points()
    return step.ranked(untried_choices(step.space, known, step.center, step.rng))


def promising_choices(
    step: Step, known: Observations, best: Array, length: float, device: torch.device
) -> Array:
    """In some of the asks, points of the most promising other choices, the best first. (k, d).

    Those asks in which `best` (d,), the best point of the box, has little to gain over the centre.
    By the expected improvement, with the probability that all constraints hold, of models of
    results in different places: to one of all results, most of which lie around the centre, other
    choices are all alike.

    known: in the whole space. length: side of the box in which a point is refined. None are
    returned where no model can be fitted.
    """
    if step.center is None or not step.has_choices or step.goal != "value":
        return step.no_points()
    if step.rng.random() >= step.options.promising_choice_share:
        return step.no_points()
    if not has_little_to_gain(step, known, best):
        return step.no_points()
    distinct = distinct_results(step.space.whole, known)
    try:
        posterior = fit_models(step.space.whole, distinct, device, None, True, step.options)
        one = replace(step, path=draw_path(posterior, step.rng))
    except surrogate.LinAlgError:
        return step.no_points()
    starts = _starts(step, posterior, step.space.project(distinct.x))
    points = np.concatenate([*(_refined(one, x, length) for x in starts), starts])
    promise = log_expected_improvement(posterior, step.space, step.center, points)
    return np.array(points[np.argsort(-promise, kind="stable")])


def has_little_to_gain(step: Step, known: Observations, best: Array) -> bool:
    """Whether `best` (d,) is drawn no better than the centre by more than LITTLE of the spread.

    False where nothing feasible is known, which is to be gained then. The objective's spread as of
    `spread_of_early`. The draws are of the transformed objective: their gain is worth what the
    best quarter of its values says.
    """
    has_value = ~np.isnan(known.y)
    if step.center is None or not (known.c[has_value] <= 0.0).all(axis=1).any():
        return False
    y = clip_objective(known.y[has_value])
    y = y / max(float(np.abs(y).max()), np.finfo(float).tiny)  # so that differences stay finite
    warped = transform_objective(known.y[has_value], step.options.objective)
    first, last = np.argsort(-y, kind="stable")[[0, min(len(y) - 1, max(1, len(y) // 4))]]
    width = warped[first] - warped[last]
    worth = (y[first] - y[last]) / width if width > 0.0 else 0.0
    at_center, at_best = step.draws_at(np.stack([step.center, best])).objective
    return bool((at_best - at_center) * worth <= LITTLE * spread_of_early(y))


def distinct_results(space: SearchSpace, known: Observations) -> Observations:
    """Of the results in the same place the best one; the best MAX_DISTINCT, those without value
    last.
    """
    features = space.features(known.x)
    distance = SAME_PLACE * np.sqrt((~space.is_categorical).sum())
    kept: list[int] = []
    for row in np.argsort(np.where(np.isnan(known.y), np.inf, -known.y), kind="stable"):
        apart = np.linalg.norm(features[kept] - features[row], axis=1)
        if apart.min(initial=np.inf) > distance:
            kept.append(int(row))
        if len(kept) == MAX_DISTINCT:
            break
    return replace(
        known,
        x=known.x[kept],
        y=known.y[kept],
        c=known.c[kept],
        c_sd=None if known.c_sd is None else known.c_sd[kept],
        may_center=known.may_center[kept] if len(known.may_center) else known.may_center,
    )


def _starts(step: Step, posterior: surrogate.Posterior, known_x: Array) -> Array:
    """The most promising point of each other choice, N_OTHER_STARTS at most, best first. (k, d).

    Each choice is looked at with the numbers of the centre, of the known points (r, d) and at
    random, the other choices as at the centre; and where it was tried.
    """
    assert step.center is not None
    space, center = step.space, step.center
    alone = _single_changes(space, center, step.rng)
    drawn = space.snap(step.rng.random((N_RANDOM, space.n_dims)))
    numbers = np.concatenate([center[None], known_x, drawn])[: max(1, MAX_POOL // len(alone))]
    groups = []
    for j, choice in alone:
        changed = np.where(space.is_categorical, center, numbers)
        changed[:, j] = choice
        groups.append(np.concatenate([changed, known_x[known_x[:, j] == choice]]))
    promise = log_expected_improvement(posterior, space, center, np.concatenate(groups))
    ends = np.cumsum([len(group) for group in groups])
    firsts = [int(np.argmax(part)) for part in np.split(promise, ends[:-1])]
    best = np.stack([group[first] for group, first in zip(groups, firsts, strict=True)])
    value = promise[np.append(0, ends[:-1]) + firsts]
    order = np.argsort(-value, kind="stable")[:N_OTHER_STARTS]
    return np.array(best[order])


def _single_changes(
    space: SearchSpace, center: Array, rng: np.random.Generator
) -> list[tuple[int, float]]:
    """Dimension and coordinate of each choice that the centre (d,) does not have.

    MAX_NEIGHBOURS random ones if there are more.
    """
    changes = []
    for j in np.flatnonzero(space.is_categorical):
        n = int(space.n_levels[j])
        here = int(center[j] * n)
        changes += [(int(j), (choice + 0.5) / n) for choice in range(n) if choice != here]
    if len(changes) <= MAX_NEIGHBOURS:
        return changes
    return [changes[i] for i in rng.choice(len(changes), MAX_NEIGHBOURS, replace=False)]


def _refined(step: Step, x: Array, length: float) -> Array:
    """A point (d,) refined in a box of its own; choices that the centre has not stay. (1, d)."""
    held: npt.NDArray[np.bool_] = step.space.is_categorical & (x != step.center)
    box = make_box(step.space, x, length, length)
    is_relaxed = step.options.is_relaxed
    return refine(
        step.path, step.space, box, x[None], step.rng, None, step.goal, is_relaxed, held=held
    )

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
from optuna_snn.scbo.options import Options
from optuna_snn.scbo.paths import Path, draw_path
from optuna_snn.scbo.refinement import refine
from optuna_snn.scbo.slices import Slice
from optuna_snn.scbo.space import Array, SearchSpace
from optuna_snn.scbo.thompson import N_OTHER_STARTS, Goal, best_of_other_choices, evaluate
from optuna_snn.scbo.transforms import clip_objective, spread_of_early, transform_objective

LITTLE = 0.01
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


def other_choices(
    path: Path,
    space: SearchSpace,
    known_x: Array,
    center: Array,
    length: float,
    rng: np.random.Generator,
    goal: Goal,
    options: Options,
) -> Array:
    """The best known points of other choices, each refined in a box of its own. (k, d).

    Each keeps the choices that the centre (d,) does not have: what they are worth would not be
    seen if the climb could go back.
    """
    refined = [np.empty((0, space.n_dims))]
    for point in best_of_other_choices(path, space, known_x, center, goal):
        refined.append(_refine(path, space, point, center, length, rng, goal, options))
    return np.concatenate(refined[::-1])


def untried_now(
    space: SearchSpace,
    known: Observations,
    center: Array | None,
    rng: np.random.Generator,
    goal: Goal,
    options: Options,
) -> Array:
    """In some of the asks, the centre (d,) with other choices that are new together. (k, d)."""
    nothing: Array = np.empty((0, space.n_dims))
    if center is None or goal != "value" or not space.is_categorical.any():
        return nothing
    if rng.random() >= options.untried_choice_share:
        return nothing
    return untried_choices(space, known, center, rng)


def promising_choices(
    path: Path,
    part: Slice,
    known: Observations,
    center: Array,
    best: Array,
    length: float,
    rng: np.random.Generator,
    device: torch.device,
    options: Options,
) -> Array:
    """In some of the asks, points of the most promising other choices, the best first. (k, k_d).

    Those asks in which `best`, the best point of the box, has little to gain over the centre; both
    (k_d,). By the expected improvement, with the probability that all constraints hold, of models
    of results in different places: to one of all results, most of which lie around the centre,
    other choices are all alike.

    known: in the whole space. length: side of the box in which a point is refined. None are
    returned where no model can be fitted.
    """
    nothing: Array = np.empty((0, part.n_dims))
    if not part.is_categorical.any() or rng.random() >= options.promising_choice_share:
        return nothing
    if not has_little_to_gain(path, part, known, center, best, options):
        return nothing
    distinct = distinct_results(part.whole, known)
    try:
        posterior = fit_models(part.whole, distinct, device, None, True, options)
        one = draw_path(posterior, rng)
    except surrogate.LinAlgError:
        return nothing
    starts = _starts(posterior, part, part.project(distinct.x), center, rng)
    climbed = [_refine(one, part, x, center, length, rng, "value", options) for x in starts]
    points = np.concatenate([*climbed, starts])
    order = np.argsort(-log_expected_improvement(posterior, part, center, points), kind="stable")
    return np.array(points[order])


def has_little_to_gain(
    path: Path,
    space: SearchSpace,
    known: Observations,
    center: Array,
    best: Array,
    options: Options,
) -> bool:
    """Whether `best` is drawn no better than the centre by more than LITTLE of the spread.

    False where nothing feasible is known, which is to be gained then. The objective's spread as of
    `spread_of_early`. The draws are of the transformed objective: their gain is worth what the
    best quarter of its values says.
    """
    has_value = ~np.isnan(known.y)
    if not (known.c[has_value] <= 0.0).all(axis=1).any():
        return False
    y = clip_objective(known.y[has_value])
    y = y / max(float(np.abs(y).max()), np.finfo(float).tiny)  # so that differences stay finite
    warped = transform_objective(known.y[has_value], options.objective)
    first, last = np.argsort(-y, kind="stable")[[0, min(len(y) - 1, max(1, len(y) // 4))]]
    width = warped[first] - warped[last]
    worth = (y[first] - y[last]) / width if width > 0.0 else 0.0
    at_center, at_best = evaluate(path, space, np.stack([center, best])).objective
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


def _starts(
    posterior: surrogate.Posterior,
    space: SearchSpace,
    known_x: Array,
    center: Array,
    rng: np.random.Generator,
) -> Array:
    """The most promising point of each other choice, N_OTHER_STARTS at most, best first. (k, d).

    Each choice is looked at with the numbers of the centre, of results and at random, the other
    choices as at the centre; and where it was tried.
    """
    alone = _single_changes(space, center, rng)
    drawn = space.snap(rng.random((N_RANDOM, space.n_dims)))
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


def _refine(
    path: Path,
    space: SearchSpace,
    x: Array,
    center: Array,
    length: float,
    rng: np.random.Generator,
    goal: Goal,
    options: Options,
) -> Array:
    """A point (d,) refined in a box of its own; choices that the centre has not stay. (1, d)."""
    held: npt.NDArray[np.bool_] = space.is_categorical & (x != center)
    box = make_box(space, x, length, length)
    return refine(path, space, box, x[None], rng, None, goal, options.is_relaxed, held=held)

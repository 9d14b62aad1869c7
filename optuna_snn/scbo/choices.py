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
from optuna_snn.scbo.candidates import make_box, neighbours
from optuna_snn.scbo.models import FitStart, fit_models, local_rows, log_expected_improvement
from optuna_snn.scbo.novelty import untried_choices
from optuna_snn.scbo.objective_transforms import (
    clip_objective,
    spread_of_early,
    transform_objective,
)
from optuna_snn.scbo.observations import Observations
from optuna_snn.scbo.paths import draw_path
from optuna_snn.scbo.refinement import refine
from optuna_snn.scbo.slices import Slice
from optuna_snn.scbo.space import Array, SearchSpace
from optuna_snn.scbo.step import Step
from optuna_snn.scbo.thompson import N_OTHER_STARTS, best_of_other_choices

LITTLE = 0.003
"""Part of the objective's spread that is little to gain."""
SAME_PLACE = 0.02
"""Distance of features, over the root of the number of numeric dimensions, within which results
of the same choices tell the same."""
MAX_DISTINCT = 100
"""Feasible results in different places that the model of all choices knows, the best ones; and
as many infeasible ones."""
N_RANDOM = 100
"""Random numbers that each choice is looked at with, beside those of results."""
MAX_POOL = 4000
"""Untried points of other choices that are looked at, at least one of each."""
MIN_TOLD = 5
"""Feasible values that tell how much there is to gain."""
N_VAIN = 2
"""Trials of a choice, none of which told anything, as failed ones do, that speak against it."""


def other_choices(step: Step, known_x: Array, length: float) -> Array:
    """The best of the known points (r, d) of other choices, each refined in a box. (k, d).

    The box has sides of this length. The climb may change choices, also back to the centre's.
    """
    if step.center is None or not step.has_choices:
        return step.no_points()
    best = best_of_other_choices(step.path, step.space, known_x, step.center, step.goal)
    climbed = [refined(step, x, length) for x in best]
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

    Those asks in which `best` (d,), the first of the ranking, has little to gain over the centre.
    By the expected improvement, with the probability that all constraints hold, of models of
    results in different places: to one of all results, most of which lie around the centre, other
    choices are all alike.

    known: in the whole space. length: side of the box in which a point is refined. None are
    returned where no model can be fitted.
    """
    if step.center is None or not step.has_choices or not turns_away(step, known, best):
        return step.no_points()
    try:
        posterior, distinct = model_of_distinct(step, known, device)
        drawn = replace(step, path=draw_path(posterior, step.rng))
    except surrogate.LinAlgError:
        return step.no_points()
    starts = _starts(step, posterior, known, step.space.project(distinct.x))
    # What a choice is worth would not be seen if the climb could go back.
    others = step.space.is_categorical & (starts != step.center)
    climbed = [refined(drawn, x, length, kept) for x, kept in zip(starts, others, strict=True)]
    points = np.concatenate([*climbed, starts])
    promise = log_expected_improvement(posterior, step.space, step.center, points)
    return np.array(points[np.argsort(-promise, kind="stable")])


def turns_away(step: Step, known: Observations, best: Array) -> bool:
    """Whether this ask looks beyond the box, of which `best` (d,) is the first of the ranking."""
    if step.goal != "value" or step.rng.random() >= step.options.promising_choice_share:
        return False
    return has_little_to_gain(step, known, best)


def model_of_distinct(
    step: Step, known: Observations, device: torch.device
) -> tuple[surrogate.Posterior, Observations]:
    """Models of results in different places, with the hyperparameters that fit these; and them.

    Raises LinAlgError if a covariance matrix cannot be factorised.
    """
    distinct = distinct_results(step.space.whole, known)
    options = replace(step.options, max_local_points=len(distinct.x), max_valued_points=None)
    return fit_models(step.space.whole, distinct, FitStart(device), options), distinct


def has_little_to_gain(step: Step, known: Observations, best: Array) -> bool:
    """Whether `best` (d,) is drawn no better than the centre by more than LITTLE of the spread.

    The spread of the feasible results' objective, as of `spread_of_early`. The draws are of the
    transformed objective: their gain is worth what the best quarter of these results says. False
    while fewer than MIN_TOLD feasible results are known, or where a draw of `best` is infeasible:
    then feasibility is to be gained.
    """
    is_told = known.is_feasible & ~np.isnan(known.y)
    draws = None if step.center is None else step.draws_at(np.stack([step.center, best]))
    if draws is None or is_told.sum() < MIN_TOLD or (draws.constraints[:, :, 1] > 0.0).any():
        return False
    y = clip_objective(known.y)
    # Divided first, so that differences of huge values are finite.
    y = y / max(float(np.nanmax(np.abs(y))), np.finfo(float).tiny)
    rows = local_rows(step.space.whole, known, step.options)
    warped = transform_objective(known.y[rows], step.options.objective)[is_told[rows]]
    told = y[rows][is_told[rows]]
    best_first = np.argsort(-told, kind="stable")
    below = np.flatnonzero(told[best_first] < told.max(initial=-np.inf))
    if len(below) == 0:
        return True
    first, last = best_first[[0, max(int(below[0]), len(told) // 4)]]
    width = warped[first] - warped[last]
    worth = (told[first] - told[last]) / width if width > 0.0 else 0.0
    at_center, at_best = draws.objective
    return bool((at_best - at_center) * worth <= LITTLE * spread_of_early(y[is_told]))


def distinct_results(space: SearchSpace, known: Observations) -> Observations:
    """Of the feasible results in the same place the best one, and of the infeasible ones.

    The best MAX_DISTINCT of either by the objective, those without a value last.
    """
    is_told = known.is_feasible & ~np.isnan(known.y)
    kept = np.concatenate(
        [_apart(space, known, np.flatnonzero(rows)) for rows in (is_told, ~is_told)]
    )
    return known.rows(kept)


def _apart(
    space: SearchSpace, known: Observations, rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Of these rows the best ones in different places, MAX_DISTINCT at most, the best first."""
    features = space.features(known.x)
    distance = SAME_PLACE * np.sqrt((~space.is_categorical).sum())
    y = known.y[rows]
    kept: list[int] = []
    for row in rows[np.argsort(np.where(np.isnan(y), np.inf, -y), kind="stable")]:
        apart = np.linalg.norm(features[kept] - features[row], axis=1)
        if apart.min(initial=np.inf) > distance:
            kept.append(int(row))
        if len(kept) == MAX_DISTINCT:
            break
    return np.array(kept, dtype=np.int64)


def _starts(
    step: Step, posterior: surrogate.Posterior, known: Observations, known_x: Array
) -> Array:
    """The most promising point of each other choice, N_OTHER_STARTS at most, best first. (k, d).

    Each choice is looked at with the numbers of the centre, of the known points (r, d) and at
    random, the other choices as at the centre; and where it was tried.
    known: in the whole space.
    """
    assert step.center is not None
    space, center = step.space, step.center
    changes = _worthwhile(space, known, center, step.rng)
    if len(changes) == 0:
        return step.no_points()
    n_numbers = max(1, MAX_POOL // len(changes))
    random = space.snap(step.rng.random((N_RANDOM, space.n_dims)))[: n_numbers // 2]
    numbers = np.concatenate([center[None], random, known_x])[:n_numbers]
    groups = []
    for j, choice in changes:
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


def _worthwhile(
    space: Slice, known: Observations, center: Array, rng: np.random.Generator
) -> list[tuple[int, float]]:
    """Dimension and coordinate of each choice that the centre (d,) does not have.

    As many as `neighbours` finds, without those of which N_VAIN trials, and all, told nothing.
    Failed trials, and pruned ones without a constraint, are in no model: to it, a choice that
    always fails stays as promising as one that was never tried.
    """
    around = neighbours(space, center, rng, held=~space.is_categorical)
    rows, dims = np.nonzero(around != center)
    tried, told = space.project(known.tried), space.project(known.x)
    return [
        (j, choice)
        for j, choice in zip(dims.tolist(), around[rows, dims].tolist(), strict=True)
        if (told[:, j] == choice).any() or (tried[:, j] == choice).sum() < N_VAIN
    ]


def refined(
    step: Step, x: Array, length: float, held: npt.NDArray[np.bool_] | None = None
) -> Array:
    """A point (d,) refined in a box of its own. held: as of `refine`. (1, d)."""
    box = make_box(step.space, x, length, length)
    is_relaxed = step.options.is_relaxed
    return refine(
        step.path, step.space, box, x[None], step.rng, None, step.goal, is_relaxed, held=held
    )

"""One step of SCBO: from what is known to the next point.

The step, as in the paper's algorithm: transform what was observed, fit one Gaussian process to the
objective and one to each constraint, lay the trust region around the best point, draw functions
from each process, and take the best feasible point of the draws within the region.

Departures from the paper, beside those of the steps:

1. The centre is the best feasible trial by the posterior mean, not by what was observed: of noisy
   results the best observed is the luckiest. And where a constraint jumps, a trial that was
   feasible by luck lies among infeasible ones.
2. The box is never so small that the objective changes by less than three standard deviations of
   its noise within it. Under noise the best result is a lucky one, which seldom is beaten: the box
   would collapse.
3. A candidate differs from the centre in about five coordinates, not in twenty, unless the
   objective is noisy (see `thompson`, departure 4), or several workers search and nothing feasible
   is known: their results come in few rounds, each of which has to go far. For the same reason
   the refinement moves all coordinates in half of the asks of several workers, in all of them
   while no objective value is known, their models see the nearest 100 results with a value, and
   the points of many workers have to hold on more draws.
4. While no objective value is known the box is the whole cube: a region around the least silent of
   silent networks holds no promise, and what wakes them may lie at the other end of a coordinate.
   While all results are infeasible and their constraints the same, points are drawn anywhere, as
   there is nothing that a model could learn.
5. One ask in ten tries the centre with one other choice, if some were never tried together with
   its others. Choices unlike those that were tried look no better to a model than what is near,
   until the region is so small that the search only polishes.
6. Some coordinates may be held: those of a conditional space that are chosen already. The models
   are of the whole space; the box, the candidates and the climb are of the slice (`slices`).
7. A point does not join a crowd, much closer together than the box is wide. Either the place is
   searched out, or a model is wrong there: where the objective has a kink beside a bound, it sees
   the best at the bound, time and again, and the results differ by too little to tell it
   otherwise. One draw of the whole space is asked for a better place; if it has none, the next
   best of the box is taken. In few dimensions half of the asks of a failing box do so as well.
8. Where the box has little left to gain, half of the asks turn to the most promising other choice
   of a categorical dimension (`choices`).
9. In few dimensions half of the asks go by a single draw of the objective, as in the paper: the
   mean of several creeps along a valley.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from optuna_snn.scbo import surrogate
from optuna_snn.scbo.candidates import Box, make_box, whole_cube
from optuna_snn.scbo.choices import other_choices, promising_choices, untried_now
from optuna_snn.scbo.models import (
    FitStart,
    Moves,
    choose_center,
    coordinates_to_move,
    fit_models,
    least_length,
    local_rows,
    probability_of_feasibility,
    relative_sides,
)
from optuna_snn.scbo.novelty import (
    N_DRAWN,
    draw_unused,
    first_allowed,
    is_crowded,
    is_exhausted,
    unused,
)
from optuna_snn.scbo.observations import Observations
from optuna_snn.scbo.options import DEFAULT, FEW_DIMS, Options
from optuna_snn.scbo.paths import Path, draw_path
from optuna_snn.scbo.ranking import (
    better_elsewhere,
    box_around,
    candidates_in,
    ranked_points,
)
from optuna_snn.scbo.slices import Slice, centred, restrict, slice_of
from optuna_snn.scbo.space import Array, SearchSpace
from optuna_snn.scbo.step import Step
from optuna_snn.scbo.thompson import Goal

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Suggestion:
    """The next point (d,), and what it was chosen by."""

    x: Array
    hyper: Array | None
    """Hyperparameters as fitted now, one row per output; None if the given ones were used."""
    predicted_feasible: float | None
    """Posterior probability that all constraints hold."""
    side: float | None = None
    """Side of the box; None where that is the whole cube (no centre, or no value known)."""
    is_repeat: bool = False
    """Whether a discrete space has no point left that was not tried."""
    center: int | None = None
    """Row of what is known that the box was laid around; None is the incumbent."""


class Search(NamedTuple):
    """Where the search stands."""

    length: float
    """Side of the box."""
    length_init: float
    """Its side at the beginning."""
    n_workers: int = 1
    """Trials running at once, the asking one included."""
    is_failing: bool = False
    """Whether several results of the box in a row were no better."""
    unbounded: npt.NDArray[np.bool_] | None = None
    """Coordinates of the slice that the box does not bound, since its centre has none; None is no
    such."""


class Fitted(NamedTuple):
    """The models of an ask."""

    posterior: surrogate.Posterior
    hyper: Array | None
    """As of `Suggestion`."""
    goal: Goal
    options: Options
    """The choices of this ask."""


def suggest(
    space: SearchSpace,
    known: Observations,
    search: Search,
    rng: np.random.Generator,
    start: FitStart,
    options: Options = DEFAULT,
    held: Array | None = None,
) -> Suggestion:
    """The next point of the search; never raises for numerical reasons.

    held: (d,) coordinates that the point has to have, snapped, and NaN where it is free.

    If no model can be fitted the point is the first candidate, and this is logged.
    """
    part = slice_of(space, held)
    known = centred(known, part)
    if is_flat(known.c):
        return draw_anywhere(part, known, rng)
    try:
        fitted = fit(space, known, search.n_workers, rng, start, options)
        return suggest_within(fitted, part, known, search, rng)
    except surrogate.LinAlgError as error:
        return draw_in_box(part, known, search, rng, options, error)


def fit(
    space: SearchSpace,
    known: Observations,
    n_workers: int,
    rng: np.random.Generator,
    start: FitStart,
    options: Options,
) -> Fitted:
    """The models of an ask, arguments as of `suggest`.

    Raises LinAlgError if a covariance matrix cannot be factorised.
    """
    has_no_value = is_seeking(known)
    options = options.for_workers(n_workers, has_no_value, rng)
    posterior = fit_models(space, known, start, options)
    hyper = posterior.hyper.pack() if start.is_refit else None
    return Fitted(posterior, hyper, "feasibility" if has_no_value else "value", options)


def draw_anywhere(part: Slice, known: Observations, rng: np.random.Generator) -> Suggestion:
    """A random point of the slice, new if there is one. known: in the whole space."""
    here = restrict(known, part)
    anywhere = part.snap(rng.random((N_DRAWN, part.n_dims)))
    x = first_allowed(part, here, anywhere, rng)
    return Suggestion(part.lift(x), None, None, is_repeat=is_exhausted(part, here))


def draw_in_box(
    part: Slice,
    known: Observations,
    search: Search,
    rng: np.random.Generator,
    options: Options,
    error: Exception,
) -> Suggestion:
    """The first candidate of the box, by no model, which is logged. known: in the whole space."""
    _logger.warning(f"No model of {len(known.x)} trials: {error} Drawing a point of the box.")
    here = restrict(known, part)
    is_whole = is_seeking(known) and options.seeking_box == "cube"
    around = None if is_whole else here.center
    box = box_around(part, around, search.length, search.length_init)
    moves = Moves(options.n_perturbed)
    x = first_allowed(part, here, candidates_in(part, here.center, box, rng, options, moves), rng)
    return Suggestion(part.lift(x), None, None)


def draw_functions(fitted: Fitted, part: Slice, rng: np.random.Generator) -> Path:
    """The draws that an ask goes by."""
    options, goal = fitted.options, fitted.goal
    n_draws = options.n_seeking_draws if goal == "feasibility" else options.n_draws
    path = draw_path(fitted.posterior, rng, n_draws)
    if goal == "value" and _takes_single_draw(part, rng, options):
        path = path.with_one_draw_of(0)
    return path


def suggest_within(
    fitted: Fitted, part: Slice, known: Observations, search: Search, rng: np.random.Generator
) -> Suggestion:
    """The next point of a slice, by models that are fitted.

    known: in the whole space. Raises LinAlgError if the draws' covariance cannot be factorised.
    """
    posterior, hyper, goal, options = fitted
    here = restrict(known, part)
    row = center_row(fitted, part.whole, known)
    center = here.center if row is None else part.project(known.x[row])
    path = draw_functions(fitted, part, rng)
    moves = coordinates_to_move(posterior, known, search.n_workers, options)
    box, side = box_of(fitted, part, center, moves, search)
    candidates = unused(part, here, candidates_in(part, center, box, rng, options, moves))
    if len(candidates) == 0:
        x = draw_unused(part, here, rng)
        probability = probability_of_feasibility(posterior, part, x)
        return Suggestion(part.lift(x), hyper, probability, side, is_exhausted(part, here), row)

    step = Step(path, part, center, goal, rng, options)
    promising = step.no_points()
    ranked = untried_now(step, here)
    if len(ranked) == 0:
        others = step.no_points()
        if options.is_each_choice_refined and step.has_choices:
            local = known.x[local_rows(part.whole, known, options)]
            others = other_choices(step, part.project(local), search.length_init)
        ranked = ranked_points(step, box, candidates, others)
        promising = promising_choices(step, known, ranked[0], search.length_init, posterior.device)
        ranked = np.concatenate([promising, ranked])
    crowd = options.crowd_distance * (1.0 if side is None else side)
    is_spent = _looks_elsewhere(part, search.is_failing, rng, options)
    is_spent = is_spent or is_crowded(here, ranked[0], crowd)
    if goal == "value" and center is not None and is_spent and len(promising) == 0:
        one = replace(step, path=draw_path(posterior, rng))
        ranked = np.concatenate([better_elsewhere(one, here, crowd, moves), ranked])
    x = first_allowed(part, here, ranked, rng, crowd)
    probability = probability_of_feasibility(posterior, part, x)
    return Suggestion(part.lift(x), hyper, probability, side, center=row)


def center_row(fitted: Fitted, space: SearchSpace, known: Observations) -> int | None:
    """The row that the box is laid around; None is the incumbent, if there is one."""
    if fitted.options.center == "posterior" or fitted.goal == "feasibility":
        return choose_center(fitted.posterior, space, known, fitted.options)
    return None


def box_of(
    fitted: Fitted, part: Slice, center: Array | None, moves: Moves, search: Search
) -> tuple[Box, float | None]:
    """The box around the centre (d,), no smaller than noise allows, and its side.

    The whole cube, without a side, if there is no centre or while no value is known.
    """
    options = fitted.options
    is_whole = fitted.goal == "feasibility" and options.seeking_box == "cube"
    if center is None or is_whole:
        return whole_cube(part), None
    length = search.length
    if fitted.goal == "value":
        n_moved = min(moves.n_perturbed, part.n_dims)
        least = least_length(fitted.posterior, n_moved, options.n_noise_sds)
        length = max(length, min(least, search.length_init))
    sides = None
    if options.box == "lengthscales":
        sides = relative_sides(fitted.posterior)[part.is_free]
    box = make_box(part, center, length, search.length_init, sides)
    if search.unbounded is not None:
        low = np.where(search.unbounded, 0.0, box.low)
        box = Box(low, np.where(search.unbounded, 1.0, box.high), box.max_flips)
    return box, length


def is_flat(c: Array) -> bool:
    """Whether nothing is feasible and all constraints (n, m) are the same wherever they are known.

    They tell of no place where they might hold.
    """
    known = [column[~np.isnan(column)] for column in c.T]
    if not any(map(len, known)) or (c <= 0.0).all(axis=1).any():
        return False
    return all(len(column) == 0 or bool((column == column[0]).all()) for column in known)


def is_seeking(known: Observations) -> bool:
    """Whether there are constraints, and no objective value yet."""
    return known.c.shape[1] > 0 and bool(np.isnan(known.y).all())


def _takes_single_draw(space: SearchSpace, rng: np.random.Generator, options: Options) -> bool:
    """Whether this ask goes by one draw of the objective."""
    return space.n_dims <= FEW_DIMS and rng.random() < options.single_draw_share


def _looks_elsewhere(
    space: SearchSpace, is_failing: bool, rng: np.random.Generator, options: Options
) -> bool:
    """Whether this ask looks for a better place in the whole space."""
    if not is_failing or space.n_dims > FEW_DIMS:
        return False
    return rng.random() < options.elsewhere_share

"""The points that a step may take, the best on the draws first.

Candidates of a box, the best of them refined; and, where the box is searched out, a better point
elsewhere.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from optuna_snn.scbo.candidates import Box, draw_candidates, make_box, neighbours, whole_cube
from optuna_snn.scbo.models import Moves
from optuna_snn.scbo.novelty import first_allowed
from optuna_snn.scbo.observations import Observations
from optuna_snn.scbo.options import Options
from optuna_snn.scbo.refinement import refine
from optuna_snn.scbo.space import Array, SearchSpace
from optuna_snn.scbo.step import Step
from optuna_snn.scbo.thompson import N_STARTS, merit_order, screen


def box_around(
    space: SearchSpace,
    center: Array | None,
    length: float,
    length_init: float,
    sides: Array | None = None,
) -> Box:
    """The box around the centre (d,), the whole cube if that is None."""
    if center is None:
        return whole_cube(space)
    return make_box(space, center, length, length_init, sides)


def candidates_in(
    space: SearchSpace,
    center: Array | None,
    box: Box,
    rng: np.random.Generator,
    options: Options,
    moves: Moves,
) -> Array:
    """Candidates of a box (r, d), with those one discrete step from the centre (d,)."""
    per_dim = options.candidates_per_dim
    n = min(25 * per_dim, max(10 * per_dim, per_dim * space.n_dims))
    candidates = draw_candidates(space, center, box, n, rng, moves.n_perturbed, moves.is_spread)
    if center is None:
        return candidates
    return np.concatenate([candidates, neighbours(space, center, rng)])


def ranked_points(step: Step, box: Box, candidates: Array, others: Array) -> Array:
    """The best candidates, what they are refined to and others, the best on the draws first.

    Then the other candidates, in the order of screening. All (k, d).
    """
    path, space, options = step.path, step.space, step.options
    order, active = screen(path.to(path.X.device, torch.float32), space, candidates, step.goal)
    starts, rest = np.split(candidates[order], [N_STARTS])
    finalists = np.concatenate([others, starts])
    if options.refinement != "none":
        kept = step.center if options.refinement == "perturbed" else None
        refined = refine(
            path, space, box, starts, step.rng, active, step.goal, options.is_relaxed, kept
        )
        finalists = np.concatenate([finalists, refined])
    return np.concatenate([step.ranked(finalists), rest])


def better_elsewhere(step: Step, known: Observations, crowd: float, moves: Moves) -> Array:
    """The best point of the whole space that may be suggested, if it beats the centre.

    Both on the draws. known: on the slice; crowd: as of `first_allowed`. Returns (k, d), of one
    point or none, which it is without a centre.
    """
    if step.center is None:
        return step.no_points()
    space = step.space
    anywhere, whole = replace(step, center=None), whole_cube(space)
    candidates = candidates_in(space, None, whole, step.rng, step.options, moves)
    ranked = ranked_points(anywhere, whole, candidates, step.no_points())
    both = np.stack([step.center, first_allowed(space, known, ranked, step.rng, crowd)])
    return both[1:] if merit_order(step.draws_at(both))[0] == 1 else step.no_points()

"""The points that a step may take, the best on the draws first.

Candidates of a box, the best of them refined; and, where the box is searched out, a better point
elsewhere.
"""

from __future__ import annotations

import numpy as np
import torch

from optuna_snn.scbo.candidates import Box, draw_candidates, make_box, neighbours, whole_cube
from optuna_snn.scbo.models import Moves
from optuna_snn.scbo.novelty import first_allowed
from optuna_snn.scbo.observations import Observations
from optuna_snn.scbo.options import Options
from optuna_snn.scbo.paths import Path
from optuna_snn.scbo.refinement import refine
from optuna_snn.scbo.space import Array, SearchSpace
from optuna_snn.scbo.thompson import (
    N_STARTS,
    Goal,
    evaluate,
    merit_order,
    screen,
)


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


def ranked_points(
    path: Path,
    space: SearchSpace,
    box: Box,
    candidates: Array,
    others: Array,
    center: Array | None,
    rng: np.random.Generator,
    goal: Goal,
    options: Options,
) -> Array:
    """The best candidates, what they are refined to and others, the best on the draws first.

    Then the other candidates, in the order of screening.
    """
    order, active = screen(path.to(path.X.device, torch.float32), space, candidates, goal)
    starts, rest = np.split(candidates[order], [N_STARTS])
    finalists = np.concatenate([others, starts])
    if options.refinement != "none":
        kept = center if options.refinement == "perturbed" else None
        refined = refine(path, space, box, starts, rng, active, goal, options.is_relaxed, kept)
        finalists = np.concatenate([finalists, refined])
    finalists = finalists[merit_order(evaluate(path, space, finalists, goal))]
    return np.concatenate([finalists, rest])


def better_elsewhere(
    path: Path,
    space: SearchSpace,
    known: Observations,
    center: Array,
    crowd: float,
    rng: np.random.Generator,
    options: Options,
    moves: Moves,
) -> Array:
    """The best point of the whole space that may be suggested, if it beats the centre (d,).

    Both on the draw. crowd: as of `first_allowed`. Returns (k, d), of one point or none.
    """
    nothing: Array = np.empty((0, space.n_dims))
    whole = whole_cube(space)
    candidates = candidates_in(space, None, whole, rng, options, moves)
    ranked = ranked_points(path, space, whole, candidates, nothing, None, rng, "value", options)
    both = np.stack([center, first_allowed(space, known, ranked, rng, crowd)])
    return both[1:] if merit_order(evaluate(path, space, both))[0] == 1 else nothing

"""One step of SCBO: from what is known to the next point.

The step, as in the paper's algorithm: transform what was observed, fit one Gaussian process to the
objective and one to each constraint, lay the trust region around the best point, draw functions
from each process, and take the best feasible point of the draws within the region.

Departures from the paper, beside those of the steps:

1. Caution where a constraint jumps, since luck then has a part in it: its process has at least
   the noise JUMP_NOISE, a candidate has to be feasible on more draws, and fewer coordinates move.
2. While no finished trial is feasible but running ones are presumed to be, the centre is the one
   of these that the processes of the constraints think best.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from optuna_snn.scbo import surrogate
from optuna_snn.scbo.candidates import (
    PERTURBED_DIMS,
    Box,
    all_points,
    draw_candidates,
    make_box,
    neighbours,
    whole_cube,
)
from optuna_snn.scbo.observations import Observations
from optuna_snn.scbo.paths import draw_path
from optuna_snn.scbo.space import Array, SearchSpace
from optuna_snn.scbo.thompson import (
    N_STARTS,
    Goal,
    evaluate,
    merit_order,
    refine,
    screen,
    total_constraint,
)
from optuna_snn.scbo.transforms import compress_bad_tail, jumps, warp_constraints

_logger = logging.getLogger(__name__)

MAX_CANDIDATES, MIN_CANDIDATES, CANDIDATES_PER_DIM = 5000, 2000, 200
N_DRAWS, CAUTIOUS_DRAWS, SEEKING_DRAWS = 3, 10, 20
CAUTIOUS_PERTURBED_DIMS = 5
JUMP_NOISE = 0.3
"""Least noise variance of a constraint that jumps, in units of its warped values' variance."""
MAX_FINALISTS = 200
MAX_ENUMERATED = 5000
MAX_LOCAL_POINTS, MAX_FITTED_POINTS = 400, 200
COLD_ITERATIONS, WARM_ITERATIONS = 60, 20
SAME_POINT = 1e-7
"""Chebyshev distance in the unit cube below which two points count as one."""
NEAR_FAILURE = 0.02
"""Chebyshev distance within which a failed trial speaks against a point."""


@dataclass(frozen=True)
class Suggestion:
    """The next point (d,), and what it was chosen by."""

    x: Array
    hyper: npt.NDArray[np.float64] | None
    """Hyperparameters as fitted now, one row per output; None if the given ones were used."""
    predicted_feasible: float | None
    """Posterior probability that all constraints hold."""
    survivor: int | None = None
    """Which of the survivors the box was laid around, if one of them."""


def suggest(
    space: SearchSpace,
    known: Observations,
    length: float,
    length_init: float,
    rng: np.random.Generator,
    device: torch.device,
    warm_start: npt.NDArray[np.float64] | None = None,
    is_refit: bool = True,
) -> Suggestion:
    """The next point of the search; never raises for numerical reasons.

    If no model can be fitted the point is drawn uniformly from the box, and this is logged.
    """
    goal: Goal = "feasibility" if known.c.shape[1] and np.isnan(known.y).all() else "value"
    is_cautious = goal == "feasibility" or bool(jumps(known.c).any())
    center, survivor = known.center, None
    try:
        posterior = fit_models(space, known, device, warm_start, is_refit)
        if len(known.survivors):
            survivor = _most_feasible(posterior, space, known.survivors)
            center = known.survivors[survivor]
        n_draws = CAUTIOUS_DRAWS if is_cautious else N_DRAWS
        path = draw_path(posterior, rng, SEEKING_DRAWS if goal == "feasibility" else n_draws)
    except surrogate.LinAlgError as error:
        _logger.warning(f"No model of {len(known.x)} trials: {error} Drawing a point of the box.")
        box = _box(space, center, length, length_init)
        return Suggestion(draw_candidates(space, center, box, 1, rng)[0], None, None)

    box = _box(space, center, length, length_init)
    n_candidates = min(MAX_CANDIDATES, max(MIN_CANDIDATES, CANDIDATES_PER_DIM * space.n_dims))
    n_perturbed = CAUTIOUS_PERTURBED_DIMS if is_cautious else PERTURBED_DIMS
    candidates = draw_candidates(space, center, box, n_candidates, rng, n_perturbed)
    if center is not None:
        candidates = np.concatenate([candidates, neighbours(space, center, rng)])
    candidates = unused(space, known, candidates)
    hyper = posterior.hyper.pack() if is_refit else None
    if len(candidates) == 0:
        x = draw_unused(space, known, rng)
        return Suggestion(x, hyper, _probability_of_feasibility(posterior, space, x), survivor)

    screening = path.to(device, torch.float32)
    order, active = screen(screening, space, candidates, goal)
    refined = refine(path, space, box, candidates[order[:N_STARTS]], rng, active, goal)
    finalists = np.concatenate([refined, candidates[order[:MAX_FINALISTS]]])
    ranked = finalists[merit_order(evaluate(path, space, finalists, goal))]
    x = _first_allowed(space, known, ranked, rng)
    return Suggestion(x, hyper, _probability_of_feasibility(posterior, space, x), survivor)


def _box(space: SearchSpace, center: Array | None, length: float, length_init: float) -> Box:
    if center is None:
        return whole_cube(space)
    return make_box(space, center, length, length_init)


def _most_feasible(posterior: surrogate.Posterior, space: SearchSpace, x: Array) -> int:
    """The row of x (k, d) whose posterior mean of the total constraint is smallest."""
    features = torch.as_tensor(space.features(x), device=posterior.device)
    mean = posterior.mean_and_sd(features)[0].cpu().numpy()
    return int(np.argmin(total_constraint(mean[1:])))


def fit_models(
    space: SearchSpace,
    known: Observations,
    device: torch.device,
    warm_start: npt.NDArray[np.float64] | None,
    is_refit: bool,
) -> surrogate.Posterior:
    """Gaussian processes of the transformed objective and constraints, nearest points only.

    Hyperparameters are fitted to fewer points than the processes are conditioned on: a fit takes
    dozens of factorisations, a condition one.
    """
    local = _nearest(known, MAX_LOCAL_POINTS)
    y, c = compress_bad_tail(known.y[local]), known.c[local]
    outputs = np.concatenate([y[:, None], warp_constraints(c)], axis=1)
    noise_floor = np.append(0.0, np.where(jumps(c), JUMP_NOISE, 0.0))
    features = space.features(known.x[local])

    def data(n: int) -> surrogate.Data:
        return surrogate.make_data(
            features[:n], outputs[:n], space.feature_dims, space.n_dims, device, noise_floor
        )

    if warm_start is None:
        hyper = surrogate.fit(data(MAX_FITTED_POINTS), None, COLD_ITERATIONS)
    else:
        hyper = surrogate.Hyperparameters.unpack(warm_start, device)
        if is_refit:
            hyper = surrogate.fit(data(MAX_FITTED_POINTS), hyper, WARM_ITERATIONS)
    return surrogate.condition(data(len(local)), hyper)


def _nearest(known: Observations, n_most: int) -> npt.NDArray[np.int64]:
    """Indices of the n_most points nearest to the centre, nearest first; else the latest first."""
    if known.center is None:
        return np.arange(len(known.x))[::-1][:n_most]
    distance = ((known.x - known.center) ** 2).sum(axis=1)
    return np.argsort(distance, kind="stable")[:n_most]


def _first_allowed(
    space: SearchSpace, known: Observations, ranked: Array, rng: np.random.Generator
) -> Array:
    """The first of the ranked points (r, d) that is new and not beside failures."""
    for i in range(len(ranked)):
        if not _is_taken(known, ranked[i]) and not _is_beside_failures(known, ranked[i]):
            return np.array(ranked[i])
    return draw_unused(space, known, rng)


def unused(space: SearchSpace, known: Observations, x: Array) -> Array:
    """The snapped points x (r, d) that are neither known nor pending, each once.

    All of them where a dimension is continuous: there points do not meet by chance.
    """
    if not space.is_discrete.all():
        return x
    taken = {point.tobytes() for point in np.concatenate([known.x, known.pending])}
    different = np.unique(x, axis=0)
    return different[[point.tobytes() not in taken for point in different]]


def draw_unused(space: SearchSpace, known: Observations, rng: np.random.Generator) -> Array:
    """A random point (d,) of the whole space, a used one only if all those drawn are used.

    A space of at most MAX_ENUMERATED points is searched completely.
    """
    drawn = space.snap(rng.random((MAX_FINALISTS, space.n_dims)))
    everywhere = all_points(space) if space.n_points <= MAX_ENUMERATED else drawn
    free = unused(space, known, everywhere)
    return np.array(free[rng.integers(len(free))] if len(free) else drawn[0])


def _is_taken(known: Observations, x: Array) -> bool:
    return _n_within(known.x, x, SAME_POINT) + _n_within(known.pending, x, SAME_POINT) > 0


def _is_beside_failures(known: Observations, x: Array) -> bool:
    return _n_within(known.failed, x, NEAR_FAILURE) >= 2


def _n_within(points: Array, x: Array, distance: float) -> int:
    return int((np.abs(points - x).max(axis=1, initial=0.0) <= distance).sum())


def _probability_of_feasibility(
    posterior: surrogate.Posterior, space: SearchSpace, x: Array
) -> float:
    features = torch.as_tensor(space.features(x[None]), device=posterior.device)
    mean, sd = posterior.mean_and_sd(features)
    below = torch.special.ndtr(-mean[1:, 0] / sd[1:, 0])
    return float(below.prod())

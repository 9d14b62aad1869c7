"""The constrained Thompson choice: the best point of one joint draw (SCBO, section 3).

Candidates are ranked on the drawn functions: among those whose drawn constraints all hold, the
largest drawn objective; if there is none, the smallest drawn total violation. The best few are
then refined on the same draws (`refinement`).

Departures from the paper:

1. A candidate has to be feasible on several draws of each constraint. The best point of a single
   draw lies on the drawn boundary of every active constraint, and each is then violated half the
   time: with four active constraints, fifteen evaluations of sixteen are lost. Where no candidate
   is, the total violation is the mean of the draws as well.
2. The drawn objective is the mean of as many draws: between Thompson sampling (one) and the
   posterior mean (infinitely many). A single draw follows its own fancies wherever little is
   known, which in many dimensions is everywhere.
3. While no objective value is known at all (every finished network was silent), the goal is
   feasibility: the largest probability that all constraints hold, of independent normal ones with
   the mean and spread of the draws. It seeks where a constraint is unknown as well as where it is
   small, and much slack is worth no more than a little. The smallest total violation stays where
   one constraint holds, if another, as that of a dead layer, is the same wherever it was tried.
4. A candidate differs from the centre in few coordinates. In many dimensions that is what makes
   results informative: a point that differs from the centre in all of thirty coordinates tells
   nothing of any of them. Under noise it is the other way round: a small change is lost in it, and
   results that differ in all coordinates tell more of each, as in the design of experiments.
5. The best known point of each other choice of a categorical dimension is found as well: what a
   choice is worth shows once the other coordinates have followed it, which they cannot do within a
   small box.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import log_ndtr

from optuna_snn.scbo.paths import Path
from optuna_snn.scbo.space import Array, SearchSpace


class Draws(NamedTuple):
    """The draws at r points: the objective (r,), larger is better, mean of S draws; and S draws of
    each of m constraints (m, S, r), feasible where <= 0.
    """

    objective: Array
    constraints: Array


Goal = Literal["value", "feasibility"]

LEAST_SD = 0.03
"""Standard deviation of a drawn constraint, in the model's units, added to that of the draws: what
the model is sure of may still be wrong by a little."""
N_PILOT = 128
"""Candidates drawn on all outputs first: they tell which constraints matter, and set a limit."""
N_STARTS = 3
"""Candidates, the best ones, that are refined: screening ranks at least as many exactly."""
ROUNDING = 1e-4
"""Part of the limit that rounding in single precision may take."""
N_OTHER_STARTS = 5
"""Points of other choices that are refined."""


def merit_order(draws: Draws) -> npt.NDArray[np.int64]:
    """Candidates from best to worst.

    First those that are feasible on all draws of the constraints, by the drawn objective; then the
    others by the total violation, mean of the draws, then by the objective.
    """
    is_feasible = (draws.constraints <= 0.0).all(axis=(0, 1))
    violation = _violations(draws.constraints).sum(axis=0)
    return np.lexsort((-draws.objective, violation, ~is_feasible))


def _violations(constraints: Array) -> Array:
    """Mean violation of each constraint over the draws. (m, S, r) -> (m, r)."""
    violations: Array = np.clip(constraints, 0.0, None).mean(axis=1)
    return violations


def log_probability(constraints: Array) -> Array:
    """Logarithm of the probability that all constraints hold. (m, S, ...) draws -> (...).

    Of independent normal constraints with mean and variance of the draws.
    """
    z, _ = _margins(constraints)
    total: Array = log_ndtr(z).sum(axis=0)
    return total


def log_probability_slope(constraints: Array, slopes: Array) -> Array:
    """Gradient (k,) of `log_probability`, from draws (m, S) and their gradients (m, S, k)."""
    z, sd = _margins(constraints)
    from_mean = constraints - constraints.mean(axis=1, keepdims=True)
    mean_slope = slopes.mean(axis=1)
    sd_slope = (from_mean[..., None] * slopes).mean(axis=1) / sd[:, None]
    z_slope = -(mean_slope + z[:, None] * sd_slope) / sd[:, None]
    # The density over the distribution function, whose logarithms stay finite far below 0.
    ratio = np.exp(-0.5 * z**2 - 0.5 * np.log(2.0 * np.pi) - log_ndtr(z))
    slope: Array = (ratio[:, None] * z_slope).sum(axis=0)
    return slope


def _margins(constraints: Array) -> tuple[Array, Array]:
    """Distance of the mean from 0 in standard deviations, feasible above; these. (m, ...)."""
    sd = np.sqrt(constraints.var(axis=1) + LEAST_SD**2)
    return -constraints.mean(axis=1) / sd, sd


def evaluate(path: Path, space: SearchSpace, x: Array, goal: Goal = "value") -> Draws:
    """The draws at (r, d) points; for the goal of feasibility, as an objective of their own."""
    features = torch.as_tensor(space.features(x), dtype=path.X.dtype, device=path.X.device)
    values: Array = path(features).double().cpu().numpy()
    if goal == "feasibility":
        return Draws(log_probability(values[1:]), values[:0])
    return Draws(values[0].mean(axis=0), values[1:])


class Screened(NamedTuple):
    """Indices of candidates from best to worst; and the constraints that may decide (k,)."""

    order: npt.NDArray[np.int64]
    active: npt.NDArray[np.int64]


def screen(path: Path, space: SearchSpace, x: Array, goal: Goal = "value") -> Screened:
    """Rank the candidates x (r, d) as `merit_order` does, drawing no more than that takes.

    The first N_PILOT are drawn on all outputs. The N_STARTS-th best of them sets the limit: most
    candidates violate one of the few constraints that matter within the box by more. So the
    constraints are drawn in turn, the one that most fail by first, and only on what is left. What
    is left in the end is ranked exactly, at least N_STARTS of them. The others are ranked by how
    late they fall.
    A constraint is active if it is violated by one of the first candidates.
    """
    if goal == "feasibility":
        return Screened(
            merit_order(evaluate(path, space, x, goal)), np.arange(len(path.scale) - 1)
        )
    pilot = evaluate(path, space, x[:N_PILOT])
    violations = _violations(pilot.constraints)
    active = np.flatnonzero(violations.any(axis=1))
    if len(x) <= N_PILOT:
        return Screened(merit_order(pilot), active)
    limit = np.partition(violations.sum(axis=0), N_STARTS - 1)[N_STARTS - 1] * (1.0 + ROUNDING)
    share_beyond = (violations > limit).mean(axis=1)

    features = torch.as_tensor(space.features(x), dtype=path.X.dtype, device=path.X.device)
    n_held = np.zeros(len(x), dtype=np.int64)
    violation, objective = np.zeros(len(x)), np.zeros(len(x))
    left = np.arange(len(x))
    for j in np.lexsort((-violations.mean(axis=1), -share_beyond)):
        drawn = path.output(1 + int(j), features[torch.as_tensor(left)])
        violation[left] += drawn.clamp_min(0.0).mean(dim=0).double().cpu().numpy()
        left = left[violation[left] <= limit]
        n_held[left] += 1
    drawn = path.output(0, features[torch.as_tensor(left)])
    objective[left] = drawn.mean(dim=0).double().cpu().numpy()
    return Screened(np.lexsort((-objective, violation, -n_held)), active)


def best_of_other_choices(
    path: Path, space: SearchSpace, x: Array, center: Array, goal: Goal = "value"
) -> Array:
    """Of the points x (r, d), the best of each choice that the centre (d,) does not have.

    As drawn; the best N_OTHER_STARTS of them. Returns (k, d).
    """
    ranked = x[merit_order(evaluate(path, space, x, goal))]
    found: set[int] = set()
    for j in np.flatnonzero(space.is_categorical):
        choices, first = np.unique(ranked[:, j], return_index=True)
        found |= set(first[choices != center[j]].tolist())
    best: Array = ranked[sorted(found)[:N_OTHER_STARTS]]
    return best

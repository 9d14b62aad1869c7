"""The constrained Thompson choice: the best point of one joint draw (SCBO, section 3).

Candidates are ranked on the drawn functions: among those whose drawn constraints all hold, the
largest drawn objective; if there is none, the smallest drawn total violation. The best few are
then refined on the same draws.

Departures from the paper:

1. The refinement. On a finite set of candidates a draw's maximum is missed by a distance that
   grows with the dimension; the path is differentiable, so that the maximum within the box can be
   climbed to, with the drawn constraints as constraints.
2. A candidate has to be feasible on several draws of each constraint. The best point of a single
   draw lies on the drawn boundary of every active constraint, and each is then violated half the
   time: with four active constraints, fifteen evaluations of sixteen are lost. Where no candidate
   is, the total violation is the mean of the draws as well.
3. The drawn objective is the mean of as many draws: between Thompson sampling (one) and the
   posterior mean (infinitely many). A single draw follows its own fancies wherever little is
   known, which in many dimensions is everywhere.
4. While no objective value is known at all (every finished network was silent), the goal is
   feasibility: the smallest total constraint, mean of the draws, also below 0.
5. A candidate differs from the centre in few coordinates, and the refinement keeps the others
   where they are, but for single steps of discrete ones. In many dimensions that is what makes
   results informative: a point that differs from the centre in all of thirty coordinates tells
   nothing of any of them.
6. The best known point of each other choice of a categorical dimension is refined as well, in the
   initial box around it: what a choice is worth shows once the other coordinates have followed it,
   which they cannot do within a small box.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize

from optuna_snn.scbo.candidates import Box, neighbours
from optuna_snn.scbo.paths import Path, PointPath
from optuna_snn.scbo.space import Array, SearchSpace


class Draws(NamedTuple):
    """The draws at r points: the objective (r,), larger is better, mean of S draws; and S draws of
    each of m constraints (m, S, r), feasible where <= 0.
    """

    objective: Array
    constraints: Array


Goal = Literal["value", "feasibility"]

ENOUGH = 1.0
"""Slack of a warped constraint beyond which more is worth nothing (departure 4)."""
MARGIN = 1e-6
"""Drawn constraints are asked to hold by this much in refinement, against rounding."""
N_PILOT = 128
"""Candidates drawn on all outputs first, to learn which constraints matter."""
N_STARTS, N_OTHER_STARTS = 3, 5
N_ITERATIONS = 30
N_ROUNDS = 2


def merit_order(draws: Draws) -> npt.NDArray[np.int64]:
    """Candidates from best to worst.

    First those that are feasible on all draws of the constraints, by the drawn objective; then the
    others by the total violation, mean of the draws, then by the objective.
    """
    is_feasible = (draws.constraints <= 0.0).all(axis=(0, 1))
    violation = np.clip(draws.constraints, 0.0, None).mean(axis=1).sum(axis=0)
    return np.lexsort((-draws.objective, violation, ~is_feasible))


def total_constraint(constraints: Array) -> Array:
    """Sum of constraints over the first axis, slack counted up to ENOUGH. (m, ...) -> (...)."""
    total: Array = np.maximum(constraints, -ENOUGH).sum(axis=0)
    return total


def evaluate(path: Path, space: SearchSpace, x: Array, goal: Goal = "value") -> Draws:
    """The draws at (r, d) points; for the goal of feasibility, as an objective of their own."""
    features = torch.as_tensor(space.features(x), dtype=path.X.dtype, device=path.X.device)
    values: Array = path(features).double().cpu().numpy()
    if goal == "feasibility":
        return Draws(-total_constraint(values[1:].mean(axis=1)), values[:0])
    return Draws(values[0].mean(axis=0), values[1:])


class Screened(NamedTuple):
    """Indices of candidates from best to worst; and the constraints that may decide (k,)."""

    order: npt.NDArray[np.int64]
    active: npt.NDArray[np.int64]


def screen(path: Path, space: SearchSpace, x: Array, goal: Goal = "value") -> Screened:
    """Rank the candidates x (r, d) as `merit_order` does, drawing no more than that takes.

    Most candidates fail one of the few constraints that matter within the box: the constraints
    are drawn in turn, the most often violated first, and only on what is left. The candidates that
    fall are ranked by how late they do, if any is feasible; if none is, all are fully ranked.
    A constraint is active if it is violated by one of the first candidates.
    """
    if goal == "feasibility":
        return Screened(
            merit_order(evaluate(path, space, x, goal)), np.arange(len(path.scale) - 1)
        )
    pilot = evaluate(path, space, x[:N_PILOT])
    holds = np.all(pilot.constraints <= 0.0, axis=1)
    active = np.flatnonzero(~holds.all(axis=1))
    if len(x) <= N_PILOT:
        return Screened(merit_order(pilot), active)
    if not holds.all(axis=0).any():
        return Screened(merit_order(evaluate(path, space, x)), active)

    features = torch.as_tensor(space.features(x), dtype=path.X.dtype, device=path.X.device)
    n_held = np.zeros(len(x), dtype=np.int64)
    left = torch.arange(len(x), device=path.X.device)
    for j in np.argsort(holds.mean(axis=1), kind="stable"):
        is_held = path.output(1 + int(j), features[left]) <= 0.0
        left = left[is_held.all(dim=0)]
        n_held[left.cpu().numpy()] += 1
    objective = np.full(len(x), -np.inf)
    drawn: Array = path.output(0, features[left]).mean(dim=0).double().cpu().numpy()
    objective[left.cpu().numpy()] = drawn
    return Screened(np.lexsort((-objective, -n_held)), active)


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


def refine(
    path: Path,
    space: SearchSpace,
    box: Box,
    starts: Array,
    rng: np.random.Generator,
    active: npt.NDArray[np.int64] | None = None,
    goal: Goal = "value",
    is_relaxed: bool = True,
    center: Array | None = None,
) -> Array:
    """Climb from each start (k, d) to a constrained maximum of the draws within the box.

    active: the constraints that the climb minds, None is all; when its end is judged all count.

    Numeric coordinates move along gradients (SLSQP), then discrete ones to better neighbours, in
    turns; integers are snapped before the others go on. is_relaxed: False moves integers to
    neighbours only. center: (d,), no gradient moves the coordinates that a start has in common
    with it (departure 5), unless a choice differs; None moves all.

    Returns the points (k, d); none is worse than its start.
    """
    outputs = range(len(path.scale)) if active is None else [0, *(1 + active)]
    local, at_point = path.to(torch.device("cpu")), PointPath(path, outputs)
    moves = [~space.is_discrete]
    if is_relaxed and (space.is_discrete & ~space.is_categorical).any():
        moves.insert(0, ~space.is_categorical)
    moves = [m for m in moves if m.any()]
    climbed = []
    for start in starts:
        own = [m & _may_move(space, start, center) for m in moves]
        own = [m for m in own if m.any()]
        climbed.append(_climb(local, at_point, space, box, start, rng, goal, own))
    return np.stack(climbed)


def _may_move(space: SearchSpace, start: Array, center: Array | None) -> npt.NDArray[np.bool_]:
    """Which coordinates of a start (d,) refinement may move: those that differ from the centre.

    All of them where a choice differs, since the others have to follow it. (d,).
    """
    everything = np.ones(space.n_dims, dtype=bool)
    if center is None:
        return everything
    differs: npt.NDArray[np.bool_] = start != center
    return everything if differs[space.is_categorical].any() else differs


def _climb(
    path: Path,
    at_point: PointPath,
    space: SearchSpace,
    box: Box,
    start: Array,
    rng: np.random.Generator,
    goal: Goal,
    moves: Sequence[npt.NDArray[np.bool_]],
) -> Array:
    best = start
    for _ in range(N_ROUNDS):
        tried = [best]
        for is_moving in moves:
            end = _slide(path, at_point, space, box, tried[-1], goal, is_moving)
            tried.append(space.snap(end[None])[0])
        around = neighbours(space, tried[-1], rng)
        x = np.concatenate([np.stack(tried), around[_is_within(space, box, around)]])
        first = int(merit_order(evaluate(path, space, x, goal))[0])
        best = x[first]
        if first < len(tried):
            break
    return best


def _is_within(space: SearchSpace, box: Box, x: Array) -> npt.NDArray[np.bool_]:
    """Whether the numeric coordinates of snapped points (r, d) lie in the box. (r,).

    A grid's cell that an edge of the box runs through belongs to it.
    """
    numeric = ~space.is_categorical
    low, high = space.snap(np.stack([box.low, box.high]))
    low, high = np.minimum(low, box.low), np.maximum(high, box.high)
    is_inside: npt.NDArray[np.bool_] = (x >= low - 1e-12) & (x <= high + 1e-12)
    return np.asarray(is_inside[:, numeric].all(axis=1))


def _slide(
    path: Path,
    at_point: PointPath,
    space: SearchSpace,
    box: Box,
    start: Array,
    goal: Goal,
    is_moving: npt.NDArray[np.bool_],
) -> Array:
    """Move some numeric coordinates of (d,) to a local constrained maximum. Returns (d,)."""
    moving = np.flatnonzero(is_moving)
    features = space.features(start[None])[0]
    index = space.first_features[moving]
    scale = path.scale.numpy()

    def at(z: Array) -> tuple[Array, Array]:
        """Mean objective and all constraint draws in standardised units, and their gradients."""
        point = features.copy()
        point[index] = z
        values, slopes = at_point(point)
        slopes = slopes[..., index]
        if goal == "feasibility":
            values, slopes = values * scale[:, None], slopes * scale[:, None, None]
            mean, slope = values[1:].mean(axis=1), slopes[1:].mean(axis=1)
            counted = np.where((mean > -ENOUGH)[:, None], slope, 0.0)
            return -total_constraint(mean)[None], -counted.sum(axis=0)[None]
        return (
            np.append(values[0].mean(), values[1:]),
            np.concatenate([slopes[0].mean(axis=0)[None], slopes[1:].reshape(-1, len(index))]),
        )

    z = start[moving]
    bounds = np.stack([np.minimum(box.low[moving], z), np.maximum(box.high[moving], z)], axis=1)
    end = start.copy()
    memo = _Memo(at)
    if (memo(z)[0][1:] > 0.0).any():
        z = _least_violation(memo, z, bounds)
    if (memo(z)[0][1:] <= 0.0).all():
        z = _largest_objective(memo, z, bounds)
    end[moving] = z
    return end


class _Memo:
    """Remembers the last point, since SLSQP asks for values and gradients separately."""

    def __init__(self, function: Callable[[Array], tuple[Array, Array]]) -> None:
        self._function = function
        self._z: Array | None = None

    def __call__(self, z: Array) -> tuple[Array, Array]:
        if self._z is None or not np.array_equal(z, self._z):
            self._z, self._result = z.copy(), self._function(z)
        result: tuple[Array, Array] = self._result
        return result


def _largest_objective(at: _Memo, z: Array, bounds: Array) -> Array:
    """Climb from a feasible point with all constraint draws held (SLSQP); z where that fails."""
    constraints = []
    if len(at(z)[0]) > 1:
        held = {"fun": lambda v: -at(v)[0][1:] - MARGIN, "jac": lambda v: -at(v)[1][1:]}
        constraints.append({"type": "ineq", **held})
    found = minimize(
        lambda v: -at(v)[0][0],
        z,
        jac=lambda v: -at(v)[1][0],
        method="SLSQP",
        bounds=bounds,
        constraints=constraints,
        options={"maxiter": N_ITERATIONS, "ftol": 1e-9},
    )
    end = np.clip(found.x, bounds[:, 0], bounds[:, 1])
    return end if np.isfinite(end).all() else z


def _least_violation(at: _Memo, z: Array, bounds: Array) -> Array:
    """Slide to a local minimum of the squared violation of all constraint draws (L-BFGS-B)."""

    def squared_violation(v: Array) -> tuple[float, Array]:
        values, gradients = at(v)
        excess = np.clip(values[1:] + MARGIN, 0.0, None)
        return 0.5 * float(excess @ excess), excess @ gradients[1:]

    found = minimize(
        squared_violation,
        z,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": N_ITERATIONS},
    )
    end: Array = np.clip(found.x, bounds[:, 0], bounds[:, 1])
    return end

"""The refinement of a choice: from the best candidates to a constrained maximum of the draws.

The paper has none. On a finite set of candidates a draw's maximum is missed by a distance that
grows with the dimension; the drawn paths are differentiable, so that the maximum within the box
can be climbed to, with the drawn constraints as constraints.

A climb moves those coordinates only in which its start differs from the centre (departure 4 of
`thompson`), but for single steps of discrete ones; all of them where a choice differs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize

from optuna_snn.scbo.candidates import Box, neighbours
from optuna_snn.scbo.paths import Path, PointPath
from optuna_snn.scbo.space import Array, SearchSpace
from optuna_snn.scbo.thompson import (
    Goal,
    evaluate,
    log_probability,
    log_probability_slope,
    merit_order,
)

MARGIN = 1e-6
"""Drawn constraints are asked to hold by this much, against rounding."""
N_ITERATIONS = 30
"""Most steps of one climb along gradients."""
TOLERANCE = 1e-6
"""Of SLSQP, in units of the objective's standard deviation (for the goal of feasibility, of the
logarithm of its probability): what the waves' rounding leaves certain."""
N_ROUNDS = 2
"""Most turns between gradients and discrete neighbours."""


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
    held: npt.NDArray[np.bool_] | None = None,
) -> Array:
    """Climb from each start (k, d) to a constrained maximum of the draws within the box.

    active: the constraints that the climb minds, None is all; when its end is judged all count.

    Numeric coordinates move along gradients (SLSQP), then discrete ones to better neighbours, in
    turns; integers are snapped before the others go on. is_relaxed: False moves integers to
    neighbours only. center: (d,), no gradient moves the coordinates that a start has in common
    with it, unless a choice differs; None moves all. held: (d,) categorical coordinates that keep
    what the starts have; None is none.

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
        climbed.append(_climb(local, at_point, space, box, start, rng, goal, own, held))
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
    held: npt.NDArray[np.bool_] | None,
) -> Array:
    best = start
    for _ in range(N_ROUNDS):
        tried = [best]
        for is_moving in moves:
            end = _slide(path, at_point, space, box, tried[-1], goal, is_moving)
            tried.append(space.snap(end[None])[0])
        around = neighbours(space, tried[-1], rng, held)
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
    drawn = _Drawn(path, at_point, space, start, goal, is_moving)
    z = start[is_moving]
    low, high = np.minimum(box.low[is_moving], z), np.maximum(box.high[is_moving], z)
    bounds = np.stack([low, high], axis=1)
    if (drawn.values(z)[1:] > 0.0).any():
        z = _least_violation(drawn, z, bounds)
    if (drawn.values(z)[1:] <= 0.0).all():
        z = _largest_objective(drawn, z, bounds)
    end = start.copy()
    end[is_moving] = z
    return end


class _Drawn:
    """What a slide climbs: the mean objective and all constraint draws, by the moving coordinates.

    In standardised units. What was drawn at the last point is remembered, since SLSQP asks for the
    objective and for the constraints separately; so are the gradients, which it asks for seldom.
    """

    def __init__(
        self,
        path: Path,
        at_point: PointPath,
        space: SearchSpace,
        start: Array,
        goal: Goal,
        is_moving: npt.NDArray[np.bool_],
    ) -> None:
        self._at_point, self._goal, self._scale = at_point, goal, path.scale.numpy()
        self._features = space.features(start[None])[0]
        self._index = space.first_features[is_moving]
        self._last: tuple[bytes, Array] | None = None
        self._sloped: tuple[bytes, Array] | None = None

    def values(self, z: Array) -> Array:
        """The objective, then the constraints, at the moving coordinates z (k,)."""
        drawn = self._draws(z)
        if self._goal == "feasibility":
            return log_probability(self._unscaled(drawn))[None]
        return np.append(drawn[0].mean(), drawn[1:])

    def slopes(self, z: Array) -> Array:
        """Their gradients, one row for each value."""
        if self._sloped is None or self._sloped[0] != z.tobytes():
            slopes = self._at_point.gradients(self._point(z))[..., self._index]
            if self._goal == "feasibility":
                constraints = self._unscaled(self._draws(z))
                found = log_probability_slope(constraints, self._unscaled(slopes))[None]
            else:
                rows = slopes[1:].reshape(-1, len(self._index))
                found = np.concatenate([slopes[0].mean(axis=0)[None], rows])
            self._sloped = z.tobytes(), found
        return self._sloped[1]

    def _draws(self, z: Array) -> Array:
        """All draws of each output, (B, S)."""
        if self._last is None or self._last[0] != z.tobytes():
            self._last = z.tobytes(), self._at_point.values(self._point(z))
        return self._last[1]

    def _point(self, z: Array) -> Array:
        point: Array = self._features.copy()
        point[self._index] = z
        return point

    def _unscaled(self, drawn: Array) -> Array:
        """The constraints' part of (B, ...) in their own units."""
        scale = self._scale[1:].reshape(-1, *[1] * (drawn.ndim - 1))
        unscaled: Array = drawn[1:] * scale
        return unscaled


def _largest_objective(drawn: _Drawn, z: Array, bounds: Array) -> Array:
    """Climb from a feasible point with all constraint draws held (SLSQP); z where that fails."""
    constraints = []
    if len(drawn.values(z)) > 1:
        held = {
            "fun": lambda v: -drawn.values(v)[1:] - MARGIN,
            "jac": lambda v: -drawn.slopes(v)[1:],
        }
        constraints.append({"type": "ineq", **held})
    found = minimize(
        lambda v: -drawn.values(v)[0],
        z,
        jac=lambda v: -drawn.slopes(v)[0],
        method="SLSQP",
        bounds=bounds,
        constraints=constraints,
        options={"maxiter": N_ITERATIONS, "ftol": TOLERANCE},
    )
    end = np.clip(found.x, bounds[:, 0], bounds[:, 1])
    return end if np.isfinite(end).all() else z


def _least_violation(drawn: _Drawn, z: Array, bounds: Array) -> Array:
    """Slide to a local minimum of the squared violation of all constraint draws (L-BFGS-B)."""

    def squared_violation(v: Array) -> tuple[float, Array]:
        excess = np.clip(drawn.values(v)[1:] + MARGIN, 0.0, None)
        return 0.5 * float(excess @ excess), excess @ drawn.slopes(v)[1:]

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

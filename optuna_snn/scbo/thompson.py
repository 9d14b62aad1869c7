"""The constrained Thompson choice: the best point of one joint draw (SCBO, section 3).

Candidates are ranked on the drawn functions: among those whose drawn constraints all hold, the
largest drawn objective; if there is none, the smallest drawn total violation. The best few are
then refined on the same draw.

Departure from the paper: the refinement. On a finite set of candidates a draw's maximum is missed
by a distance that grows with the dimension; the path is differentiable, so that the maximum
within the box can be climbed to, with the drawn constraints as constraints.
"""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize

from optuna_snn.scbo.candidates import Box, neighbours
from optuna_snn.scbo.paths import Path
from optuna_snn.scbo.space import Array, SearchSpace

MARGIN = 1e-6
"""Drawn constraints are asked to hold by this much in refinement, against rounding."""
N_STARTS = 3
N_ITERATIONS = 30
N_ROUNDS = 2


def merit_order(values: Array) -> npt.NDArray[np.int64]:
    """Candidates from best to worst on one draw.

    values: (1 + m, r), the drawn objective (larger is better) and constraints (feasible <= 0).
    """
    violation = np.clip(values[1:], 0.0, None).sum(axis=0)
    is_feasible = (values[1:] <= 0.0).all(axis=0)
    return np.lexsort((-np.where(is_feasible, values[0], 0.0), violation, ~is_feasible))


def evaluate(path: Path, space: SearchSpace, x: Array) -> Array:
    """The draw at (r, d) points: (1 + m, r)."""
    features = torch.as_tensor(space.features(x), dtype=path.X.dtype, device=path.X.device)
    values: Array = path(features).double().cpu().numpy()
    return values


def refine(
    path: Path, space: SearchSpace, box: Box, starts: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Climb from each start (k, d) to a constrained maximum of the draw within the box.

    Continuous coordinates move along gradients (SLSQP), discrete ones to better neighbours, in
    turns. Returns the points (k, d) and the draw there (1 + m, k); none is worse than its start.
    """
    ends = [_climb(path.to(torch.device("cpu")), space, box, x, rng) for x in starts]
    return np.stack([x for x, _ in ends]), np.stack([v for _, v in ends], axis=1)


def _climb(
    path: Path, space: SearchSpace, box: Box, start: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    best_x, best_values = start, evaluate(path, space, start[None])[:, 0]
    for _ in range(N_ROUNDS):
        tried = [best_x]
        if not space.is_discrete.all():
            tried.append(_slide(path, space, box, best_x))
        around = neighbours(space, tried[-1], rng)
        x = np.concatenate([np.stack(tried), around])
        values = evaluate(path, space, x)
        first = int(merit_order(values)[0])
        has_moved_discretely = first >= len(tried)
        best_x, best_values = x[first], values[:, first]
        if not has_moved_discretely:
            break
    return best_x, best_values


def _slide(path: Path, space: SearchSpace, box: Box, start: Array) -> Array:
    """Move the continuous coordinates of (d,) to a local constrained maximum. Returns (d,)."""
    moving = np.flatnonzero(~space.is_discrete)
    feature_of = np.searchsorted(space.feature_dims, moving)
    features = torch.as_tensor(space.features(start[None])[0])
    index = torch.as_tensor(feature_of)
    scale = path.scale.numpy()

    def at(z: Array) -> tuple[Array, Array]:
        point = features.clone()
        point[index] = torch.as_tensor(z)
        values, gradients = path.with_gradient(point)
        return values.numpy() / scale, gradients[:, index].numpy() / scale[:, None]

    z = start[moving]
    bounds = np.stack([np.minimum(box.low[moving], z), np.maximum(box.high[moving], z)], axis=1)
    end = start.copy()
    end[moving] = np.clip(_maximise(_Memo(at), z, bounds, len(scale)), bounds[:, 0], bounds[:, 1])
    return end


class _Memo:
    """Remembers the last point, since SLSQP asks for values and gradients separately."""

    def __init__(self, function) -> None:  # type: ignore[no-untyped-def]
        self._function = function
        self._z: Array | None = None

    def __call__(self, z: Array) -> tuple[Array, Array]:
        if self._z is None or not np.array_equal(z, self._z):
            self._z, self._result = z.copy(), self._function(z)
        result: tuple[Array, Array] = self._result
        return result


def _maximise(at: _Memo, z: Array, bounds: Array, n_outputs: int) -> Array:
    """Largest objective with all constraints held; from where it fails, least squared violation."""
    options = {"maxiter": N_ITERATIONS, "ftol": 1e-9}
    constraints = [] if n_outputs == 1 else [
        {"type": "ineq", "fun": lambda v: -at(v)[0][1:] - MARGIN, "jac": lambda v: -at(v)[1][1:]}
    ]  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # SLSQP: "values outside bounds, clipping"
        found = minimize(
            lambda v: -at(v)[0][0], z, jac=lambda v: -at(v)[1][0], method="SLSQP",
            bounds=bounds, constraints=constraints, options=options,
        )  # fmt: skip
    if np.isfinite(found.x).all() and (at(found.x)[0][1:] <= MARGIN).all():
        return np.asarray(found.x)

    def squared_violation(v: Array) -> tuple[float, Array]:
        values, gradients = at(v)
        excess = np.clip(values[1:] + MARGIN, 0.0, None)
        return 0.5 * float(excess @ excess), excess @ gradients[1:]

    found = minimize(
        squared_violation, z, jac=True, method="L-BFGS-B",
        bounds=bounds, options={"maxiter": N_ITERATIONS},
    )  # fmt: skip
    return np.asarray(found.x)

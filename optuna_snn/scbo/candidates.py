"""Points to choose from: Sobol points in the box, perturbation mask, neighbours (SCBO, 3).

Departures from the paper:

1. A categorical coordinate that the mask perturbs takes another choice, uniformly; the number
   of such flips shrinks with the box. An integer's half-width is at least one step, so that it
   never freezes.
2. Beside the Sobol points stand all points one discrete step from the centre.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from optuna_snn.scbo.space import Array, Categorical, Numeric, SearchSpace

PERTURBED_DIMS = 20
"""Expected number of coordinates that the mask perturbs in high dimensions (Regis and Shoemaker
2013; TuRBO and SCBO use min(1, 20 / d))."""
MAX_NEIGHBOURS = 200
MAX_SOBOL_DIMS = torch.quasirandom.SobolEngine.MAXDIM


class Box(NamedTuple):
    """Bounds in the unit cube (d,), and how many categorical coordinates may change at once."""

    low: Array
    high: Array
    max_flips: int


def sobol(n_dims: int, n: int, seed: int, skip: int = 0) -> Array:
    """Points of a scrambled Sobol sequence from index `skip` on. (n, n_dims)."""
    if n_dims > MAX_SOBOL_DIMS:
        return np.random.default_rng([seed, skip]).random((n, n_dims))
    engine = torch.quasirandom.SobolEngine(n_dims, scramble=True, seed=seed)  # type: ignore[no-untyped-call]
    engine.fast_forward(skip)  # type: ignore[no-untyped-call]
    points: Array = engine.draw(n, dtype=torch.float64).cpu().numpy()
    return points


def make_box(
    space: SearchSpace,
    center: Array,
    length: float,
    length_init: float,
    sides: Array | None = None,
) -> Box:
    """The box of side `length` around the centre (d,), clipped to the cube.

    sides: (d,) each side's part of `length`, with a product of 1; None is the same for all.
    """
    half = length / 2.0 if sides is None else length / 2.0 * sides
    low, high = center - half, center + half
    for j, dimension in enumerate(space.dimensions):
        if isinstance(dimension, Numeric):
            below, above = dimension.adjacent(float(center[j]))
            low[j], high[j] = min(low[j], below), max(high[j], above)
    n_categorical = int(space.is_categorical.sum())
    max_flips = max(1, round(n_categorical * min(1.0, length / length_init)))
    return Box(np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0), max_flips)


def whole_cube(space: SearchSpace) -> Box:
    """The box without bounds, in which all choices may change."""
    zero = np.zeros(space.n_dims)
    return Box(zero, zero + 1.0, int(space.is_categorical.sum()))


def draw_candidates(
    space: SearchSpace,
    center: Array | None,
    box: Box,
    n: int,
    rng: np.random.Generator,
    n_perturbed: int = PERTURBED_DIMS,
    is_spread: bool = False,
) -> Array:
    """Snapped points: the centre with a random part of its coordinates moved within the box.

    n_perturbed: expected number of moved coordinates. With no centre all are drawn.
    is_spread: for half of the points that number is less, down to 1, its logarithm uniform.
    Returns (n, d).
    """
    drawn = sobol(space.n_dims, n, int(rng.integers(2**31)))
    points = box.low + (box.high - box.low) * drawn
    if center is None:
        points[:, space.is_categorical] = drawn[:, space.is_categorical]
        return space.snap(points)
    for j in np.flatnonzero(space.is_categorical):
        points[:, j] = _other_choice(drawn[:, j], center[j], space.n_levels[j])
    is_perturbed = perturbation_mask(n, space.n_dims, rng, n_perturbed, is_spread)
    _limit_flips(is_perturbed, space.is_categorical, box.max_flips, rng)
    return space.snap(np.where(is_perturbed, points, center))


def _other_choice(drawn: Array, here: float, n_choices: float) -> Array:
    """Uniform draws (n,) in [0, 1] -> coordinates of the choices other than that at `here`."""
    choice = np.minimum(np.floor(drawn * (n_choices - 1)), n_choices - 2)
    choice += choice >= np.floor(here * n_choices)
    return (choice + 0.5) / n_choices


def perturbation_mask(
    n: int,
    n_dims: int,
    rng: np.random.Generator,
    n_perturbed: int = PERTURBED_DIMS,
    is_spread: bool = False,
) -> npt.NDArray[np.bool_]:
    """Each coordinate with probability min(1, n_perturbed / d), and at least one. (n, n_dims).

    is_spread: as in `draw_candidates`.
    """
    n_expected = np.full((n, 1), min(n_perturbed, n_dims))
    if is_spread:
        n_expected = np.where(
            rng.random((n, 1)) < 0.5, n_expected, n_expected ** rng.random((n, 1))
        )
    mask = rng.random((n, n_dims)) < n_expected / n_dims
    _move_one(mask, rng)
    return mask


def _move_one(mask: npt.NDArray[np.bool_], rng: np.random.Generator) -> None:
    """Perturb one random coordinate in each row that has none, of a mask made by the caller."""
    unmoved = np.flatnonzero(~mask.any(axis=1))
    mask[unmoved, rng.integers(0, mask.shape[1], len(unmoved))] = True


def _limit_flips(
    mask: npt.NDArray[np.bool_],
    is_categorical: npt.NDArray[np.bool_],
    max_flips: int,
    rng: np.random.Generator,
) -> None:
    """Keep 0 to max_flips random categorical coordinates in each row of a mask made by the caller.

    The number kept is uniform, so that many candidates leave the centre's choices alone.
    """
    n_categorical = int(is_categorical.sum())
    if n_categorical == 0:
        return
    order = rng.random((len(mask), n_categorical)).argsort(axis=1).argsort(axis=1)
    n_kept = rng.integers(0, max_flips + 1, (len(mask), 1))
    mask[:, is_categorical] &= order < n_kept
    _move_one(mask, rng)


def all_points(space: SearchSpace) -> Array:
    """Every point of a space without continuous dimensions. (n_points, d)."""
    axes = []
    for dimension in space.dimensions:
        levels = np.arange(dimension.n_levels, dtype=float)
        if isinstance(dimension, Numeric):
            levels = dimension.low + levels * (dimension.step or 0.0)
        axes.append(dimension.encode(levels))
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    return space.snap(grid.reshape(-1, space.n_dims))


def neighbours(
    space: SearchSpace,
    x: Array,
    rng: np.random.Generator,
    held: npt.NDArray[np.bool_] | None = None,
) -> Array:
    """Points that differ from x (d,) by one step of an integer or by one choice.

    held: (d,) dimensions that stay; None is none. All of the points where there are at most
    MAX_NEIGHBOURS, else a random part. Returns (k, d).
    """
    moves: list[tuple[int, float]] = []
    for j, dimension in enumerate(space.dimensions):
        if held is not None and held[j]:
            continue
        if isinstance(dimension, Categorical):
            others = np.delete(np.arange(dimension.n_choices), int(x[j] * dimension.n_choices))
            if len(others) > MAX_NEIGHBOURS:
                others = rng.choice(others, MAX_NEIGHBOURS, replace=False)
            moves += [(j, (k + 0.5) / dimension.n_choices) for k in others]
        else:
            moves += [(j, v) for v in dimension.adjacent(float(x[j])) if v != x[j]]
    if len(moves) > MAX_NEIGHBOURS:
        moves = [moves[i] for i in rng.choice(len(moves), MAX_NEIGHBOURS, replace=False)]
    points = np.repeat(x[None, :], len(moves), axis=0)
    for row, (j, value) in enumerate(moves):
        points[row, j] = value
    return points

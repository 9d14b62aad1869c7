"""The refinement of the Thompson choice: the climb from the best candidates on the draws."""

import threading
import warnings

import numpy as np
import pytest
import torch

from optuna_snn.scbo import fitting, surrogate
from optuna_snn.scbo.candidates import Box, draw_candidates, make_box
from optuna_snn.scbo.paths import draw_path
from optuna_snn.scbo.refinement import MARGIN, refine
from optuna_snn.scbo.space import Categorical, Numeric, SearchSpace
from optuna_snn.scbo.thompson import (
    N_OTHER_STARTS,
    best_of_other_choices,
    evaluate,
    merit_order,
)
from tests.helpers import MIXED, cube
from tests.scbo.helpers import SPACES, brute_force_order, path_in


def some_box(space: SearchSpace, seed: int, length: float) -> tuple[np.ndarray, Box, np.ndarray]:
    """A centre, its box, and four starts in it, each moved in about two coordinates."""
    rng = np.random.default_rng(seed)
    center = space.snap(rng.random((1, space.n_dims)))[0]
    box = make_box(space, center, length, 0.8)
    return center, box, draw_candidates(space, center, box, 4, rng, 2)


@pytest.mark.parametrize("is_relaxed", [False, True])
@pytest.mark.parametrize("has_center", [False, True])
@pytest.mark.parametrize("n_constraints", [0, 2])
@pytest.mark.parametrize("length", [2.0**-7, 0.3, 1.6])
@pytest.mark.parametrize("name", SPACES)
def test_refined_points_are_never_worse_than_their_start(
    name: str, length: float, n_constraints: int, has_center: bool, is_relaxed: bool
) -> None:
    space = SPACES[name]
    for seed in range(3):
        path = path_in(space, n_constraints, seed, n_draws=1 + seed % 3)
        center, box, starts = some_box(space, seed, length)
        kept = {"is_relaxed": is_relaxed, "center": center if has_center else None}
        ends = refine(path, space, box, starts, np.random.default_rng(seed), **kept)
        assert ends.shape == starts.shape
        for start, end in zip(starts, ends, strict=True):
            before, after = brute_force_order(evaluate(path, space, np.stack([start, end])))
            # Up to rounding, which differs with the number of points evaluated together.
            assert after <= before or after == pytest.approx(before, abs=1e-12)


@pytest.mark.parametrize("length", [2.0**-7, 0.3])
@pytest.mark.parametrize("name", SPACES)
def test_refined_points_stay_in_the_box_and_on_the_grid(name: str, length: float) -> None:
    space = SPACES[name]
    numeric = ~space.is_categorical
    for seed in range(4):
        _, box, starts = some_box(space, seed, length)
        given = starts.copy()
        ends = refine(path_in(space, 1, seed), space, box, starts, np.random.default_rng(seed))
        assert (starts == given).all()
        assert space.snap(ends) == pytest.approx(ends, abs=1e-12)
        # Where the box ends within a cell, the cell's centre may lie outside of it.
        low, high = (space.snap(edge[None])[0] for edge in (box.low, box.high))
        low, high = np.minimum(low, box.low), np.maximum(high, box.high)
        assert (ends[:, numeric] >= low[numeric] - 1e-12).all()
        assert (ends[:, numeric] <= high[numeric] + 1e-12).all()


@pytest.mark.parametrize("n_draws", [1, 3])
def test_refinement_beats_twenty_thousand_random_points_nearly_always(n_draws: int) -> None:
    space, n_better = cube(4), 0
    for seed in range(10):
        rng = np.random.default_rng([seed, 1])
        path = path_in(space, 1, seed, n_draws)
        _, box, _ = some_box(space, seed, 0.6)
        candidates = box.low + (box.high - box.low) * rng.random((2000, 4))
        starts = candidates[merit_order(evaluate(path, space, candidates))[:3]]
        ends = refine(path, space, box, starts, rng)
        crowd = box.low + (box.high - box.low) * rng.random((20_000, 4))
        everyone = np.concatenate([ends, crowd])
        n_better += merit_order(evaluate(path, space, everyone))[0] < len(ends)
    # 3 starts may all climb hills that are not the highest; measured 10 of 10.
    assert n_better >= 9


def test_refinement_in_several_threads_leaves_the_warning_filters_alone() -> None:
    # warnings.catch_warnings is not thread-safe: the filters of one thread may outlive the other.
    path, (_, box, starts) = path_in(cube(2), 0, seed=0), some_box(cube(2), 0, 0.4)
    before = list(warnings.filters)

    def work() -> None:
        for seed in range(5):
            refine(path, cube(2), box, starts, np.random.default_rng(seed))

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before


def test_where_the_draw_has_no_feasible_point_the_violation_is_climbed_down() -> None:
    space = cube(3)
    rng = np.random.default_rng(0)
    x = rng.random((30, 3))
    outputs = np.stack([x[:, 0], 2.0 + ((x - 0.4) ** 2).sum(axis=1)], axis=1)
    data = surrogate.make_data(x, outputs, space.feature_dims, 3, torch.device("cpu"))
    path = draw_path(surrogate.condition(data, fitting.fit(data)), rng)
    box = Box(np.zeros(3), np.ones(3), 0)
    end = refine(path, space, box, np.full((1, 3), 0.9), rng)
    # The surface is known to about 0.01 there; its curvature makes that 0.1 in x.
    assert end[0] == pytest.approx(np.full(3, 0.4), abs=0.15)


def test_the_refined_maximum_satisfies_a_constraint_that_is_active_there() -> None:
    # Maximise x0 + x1 where x0 + x1 <= 0.8: the optimum lies on the constraint.
    space = cube(2)
    rng = np.random.default_rng(0)
    x = rng.random((30, 2))
    outputs = np.stack([x.sum(axis=1), x.sum(axis=1) - 0.8], axis=1)
    data = surrogate.make_data(x, outputs, space.feature_dims, 2, torch.device("cpu"))
    path = draw_path(surrogate.condition(data, fitting.fit(data)), rng)
    end = refine(path, space, Box(np.zeros(2), np.ones(2), 0), np.full((1, 2), 0.1), rng)
    drawn = evaluate(path, space, end)
    assert -0.02 < drawn.constraints[0, 0, 0] <= MARGIN
    assert end[0].sum() == pytest.approx(0.8, abs=0.02)


def shared_with_the_centre(space: SearchSpace) -> list[tuple[float, float]]:
    """Continuous ones before and after refinement, of starts with the centre's choices."""
    pairs: list[tuple[float, float]] = []
    for seed in range(8):
        path = path_in(space, 1, seed)
        center, box, starts = some_box(space, seed, 0.6)
        same = (starts == center)[:, space.is_categorical].all(axis=1)
        starts = starts[same]
        if len(starts) == 0:
            continue
        ends = refine(path, space, box, starts, np.random.default_rng(seed), center=center)
        kept = (starts == center) & ~space.is_discrete
        pairs += zip(starts[kept].tolist(), ends[kept].tolist(), strict=True)
        assert space.n_dims == 1 or (starts != ends).any()
    return pairs


@pytest.mark.parametrize("name", ["continuous", "mixed"])
def test_continuous_coordinates_that_a_start_shares_with_the_centre_stay_exactly(
    name: str,
) -> None:
    pairs = shared_with_the_centre(SPACES[name])
    assert len(pairs) >= 8
    assert all(before == after for before, after in pairs)


def test_where_a_choice_differs_from_the_centre_the_other_coordinates_follow_it() -> None:
    space = SearchSpace((Categorical(3), *cube(2).dimensions))
    n_moved = 0
    for seed in range(6):
        center, box, _ = some_box(space, seed, 0.6)
        start = center.copy()
        start[0] = (center[0] + 1 / 3) % 1.0
        start = space.snap(start[None])
        path = path_in(space, 0, seed)
        end = refine(path, space, box, start, np.random.default_rng(seed), center=center)[0]
        n_moved += (end[1:] != center[1:]).all()
        stays = refine(path, space, box, center[None], np.random.default_rng(seed), center=center)
        assert (stays[0, 1:] == center[1:]).all()
    assert n_moved >= 4


def test_integers_climb_a_ridge_on_which_single_steps_lead_nowhere() -> None:
    # Maximise u - 10 (u - x)^2 of an integer at u and a float at x, from u = x = 0.1. The ridge
    # u = x rises to (1, 1); a step of the integer alone leaves it, and there are few of them.
    space = SearchSpace((Numeric(0, 99, step=1.0), Numeric(0.0, 1.0)))
    rng = np.random.default_rng(0)
    x = space.snap(rng.random((80, 2)))
    y = x[:, 0] - 10 * (x[:, 0] - x[:, 1]) ** 2
    data = surrogate.make_data(x, y[:, None], space.feature_dims, 2, torch.device("cpu"))
    path = draw_path(surrogate.condition(data, fitting.fit(data)), rng)
    box, start = Box(np.zeros(2), np.ones(2), 0), space.snap(np.full((1, 2), 0.1))
    ends = [refine(path, space, box, start, rng, is_relaxed=r)[0] for r in (False, True)]
    in_steps, relaxed = evaluate(path, space, np.stack(ends)).objective
    assert space.snap(ends[1][None])[0].tolist() == ends[1].tolist()
    assert relaxed > in_steps + 0.5
    assert ends[1].min() > 0.8 and ends[0].max() < 0.3


@pytest.mark.parametrize("name", ["continuous", "one dimension"])
def test_without_integers_there_is_nothing_to_relax(name: str) -> None:
    space = SPACES[name]
    _, box, starts = some_box(space, 0, 0.4)
    path = path_in(space, 1, 0)
    one, other = (
        refine(path, space, box, starts, np.random.default_rng(0), is_relaxed=r)
        for r in (False, True)
    )
    assert one.tolist() == other.tolist()


@pytest.mark.parametrize("n_constraints", [0, 2])
@pytest.mark.parametrize("seed", range(6))
def test_of_each_other_choice_the_best_point_is_found(seed: int, n_constraints: int) -> None:
    space = SearchSpace((*MIXED.dimensions, Categorical(3), Categorical(9)))
    path = path_in(space, n_constraints, seed, n_draws=2)
    x = space.snap(np.random.default_rng(seed).random((60, 7)))
    center = x[seed]
    keys = brute_force_order(evaluate(path, space, x))
    expected = set()
    for j in (4, 5, 6):
        for choice in set(x[:, j]) - {center[j]}:
            expected.add(min(np.flatnonzero(x[:, j] == choice), key=lambda i: keys[i]))
    best = sorted(expected, key=lambda i: keys[i])[:N_OTHER_STARTS]
    assert len(expected) > N_OTHER_STARTS
    assert best_of_other_choices(path, space, x, center).tolist() == x[best].tolist()


def test_without_another_choice_there_is_no_best_point_of_one() -> None:
    path, x = path_in(MIXED, 1, 0), np.random.default_rng(0).random((9, 5))
    x[:, 4] = 0.5
    x = MIXED.snap(x)
    assert best_of_other_choices(path, MIXED, x, x[0]).shape == (0, 5)
    assert best_of_other_choices(path_in(cube(3), 1, 0), cube(3), x[:, :3], x[0, :3]).shape == (
        0,
        3,
    )

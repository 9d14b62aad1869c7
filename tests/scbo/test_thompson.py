import math
import threading
import warnings

import numpy as np
import pytest
import torch

from optuna_snn.scbo import surrogate
from optuna_snn.scbo.candidates import Box, draw_candidates, make_box
from optuna_snn.scbo.paths import Path, draw_path
from optuna_snn.scbo.space import Categorical, Numeric, SearchSpace
from optuna_snn.scbo.surrogate import Hyperparameters
from optuna_snn.scbo.thompson import MARGIN, Draws, evaluate, merit_order, refine, screen
from tests.helpers import MIXED, cube

DISCRETE = SearchSpace((Numeric(0, 9, step=1.0), Categorical(4), Numeric(1, 50, True, 1.0)))
SPACES = {"continuous": cube(3), "mixed": MIXED, "discrete": DISCRETE, "one dimension": cube(1)}


def path_in(space: SearchSpace, n_constraints: int, seed: int, n_draws: int = 1) -> Path:
    """A drawn path after 15 random observations; about half of the points are feasible."""
    rng = np.random.default_rng(seed)
    x = space.snap(rng.random((15, space.n_dims)))
    outputs = rng.standard_normal((15, 1 + n_constraints))
    outputs[:, 1:] -= 0.3
    data = surrogate.make_data(
        space.features(x), outputs, space.feature_dims, space.n_dims, torch.device("cpu")
    )
    packed = np.tile(
        [math.log(0.4)] * space.n_dims + [math.log(1e-2), 0.0], (1 + n_constraints, 1)
    )
    hyper = Hyperparameters.unpack(packed, torch.device("cpu"))
    return draw_path(surrogate.condition(data, hyper), rng, n_draws, n_fourier=64)


def brute_force_order(draws: Draws) -> list[tuple[bool, float, float]]:
    """The sorting key of each candidate, written plainly; smaller is better."""
    keys = []
    for i, objective in enumerate(draws.objective):
        own = draws.constraints[:, :, i]
        if all(c <= 0 for c in own.flat):
            keys.append((False, 0.0, -objective))
        else:
            keys.append((True, sum(max(c, 0.0) for c in own[:, 0]), -objective))
    return keys


@pytest.mark.parametrize("n_draws", [1, 3])
@pytest.mark.parametrize("n_constraints", [0, 1, 3])
def test_candidates_are_ordered_as_by_brute_force(n_constraints: int, n_draws: int) -> None:
    rng = np.random.default_rng(n_constraints)
    for _ in range(30):
        # Quarters, so that sums are exact and ties occur, also at 0.
        shape = (n_constraints, n_draws, 25)
        draws = Draws(rng.integers(-8, 9, 25) / 4, rng.integers(-9, 4, shape) / 4)
        keys = brute_force_order(draws)
        assert [keys[i] for i in merit_order(draws)] == sorted(keys)


def test_the_best_feasible_candidate_comes_first_and_slack_buys_nothing() -> None:
    objective = np.array([9.0, 1.0, 2.0, 5.0])
    constraints = np.array([[0.1, -1.0, 0.0, 0.3], [-50.0, -1.0, -0.1, -50.0]])[:, None, :]
    assert merit_order(Draws(objective, constraints)).tolist() == [2, 1, 0, 3]


def test_undefined_draws_come_last() -> None:
    order = merit_order(
        Draws(np.array([1.0, math.nan, 3.0]), np.array([[[-1.0, -1.0, math.nan]]]))
    )
    assert order.tolist() == [0, 1, 2]


def test_evaluation_is_the_path_at_the_features() -> None:
    path = path_in(MIXED, 2, seed=0, n_draws=3)
    x = MIXED.snap(np.random.default_rng(1).random((5, 5)))
    values = path(torch.as_tensor(MIXED.features(x))).numpy()
    draws = evaluate(path, MIXED, x)
    # Up to rounding: sums may run in another order each time.
    assert draws.objective == pytest.approx(values[0].mean(axis=0), abs=1e-9)
    assert draws.constraints == pytest.approx(values[1:], abs=1e-9)


@pytest.mark.parametrize("n_constraints", [0, 1, 4])
@pytest.mark.parametrize("n_draws", [1, 3])
def test_screening_finds_the_best_candidates_that_a_full_ranking_finds(
    n_constraints: int, n_draws: int
) -> None:
    n_with_feasible = 0
    for seed in range(6):
        path = path_in(cube(3), n_constraints, seed, n_draws)
        x = np.random.default_rng(seed).random((700, 3))
        draws = evaluate(path, cube(3), x)
        is_feasible = (draws.constraints <= 0).all(axis=(0, 1))
        order, active = screen(path, cube(3), x)
        assert sorted(order) == list(range(len(x)))
        n_best = int(is_feasible.sum())
        n_with_feasible += n_best > 0
        expected = merit_order(draws)
        n_compared = n_best if is_feasible[:128].any() else len(x)
        assert order[:n_compared].tolist() == expected[:n_compared].tolist()
        is_violated = (draws.constraints[:, :, :128] > 0).any(axis=(1, 2))
        assert active.tolist() == np.flatnonzero(is_violated).tolist()
    assert n_with_feasible >= 3


def test_where_no_candidate_is_feasible_screening_ranks_by_violation() -> None:
    rng = np.random.default_rng(0)
    x, outputs = rng.random((15, 3)), rng.standard_normal((15, 2))
    outputs[:, 1] = 5.0 + 0.1 * outputs[:, 1]
    data = surrogate.make_data(x, outputs, np.arange(3), 3, torch.device("cpu"))
    path = draw_path(surrogate.condition(data, surrogate.fit(data)), rng, 3)
    candidates = rng.random((400, 3))
    expected = merit_order(evaluate(path, cube(3), candidates))
    assert screen(path, cube(3), candidates).order.tolist() == expected.tolist()


def some_box(space: SearchSpace, seed: int, length: float) -> tuple[np.ndarray, Box, np.ndarray]:
    """A centre, its box, and four starts in it."""
    rng = np.random.default_rng(seed)
    center = space.snap(rng.random((1, space.n_dims)))[0]
    box = make_box(space, center, length, 0.8)
    return center, box, draw_candidates(space, center, box, 4, rng)


@pytest.mark.parametrize("n_constraints", [0, 2])
@pytest.mark.parametrize("length", [2.0**-7, 0.3, 1.6])
@pytest.mark.parametrize("name", SPACES)
def test_refined_points_are_never_worse_than_their_start(
    name: str, length: float, n_constraints: int
) -> None:
    space = SPACES[name]
    for seed in range(3):
        path = path_in(space, n_constraints, seed, n_draws=1 + seed % 3)
        _, box, starts = some_box(space, seed, length)
        ends = refine(path, space, box, starts, np.random.default_rng(seed))
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
    path = draw_path(surrogate.condition(data, surrogate.fit(data)), rng)
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
    path = draw_path(surrogate.condition(data, surrogate.fit(data)), rng)
    end = refine(path, space, Box(np.zeros(2), np.ones(2), 0), np.full((1, 2), 0.1), rng)
    drawn = evaluate(path, space, end)
    assert -0.02 < drawn.constraints[0, 0, 0] <= MARGIN
    assert end[0].sum() == pytest.approx(0.8, abs=0.02)

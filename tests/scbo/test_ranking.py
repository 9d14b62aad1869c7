"""Where the box is searched out, one draw of the whole space is asked for a better place."""

import numpy as np
import pytest

from optuna_snn.scbo import surrogate
from optuna_snn.scbo.models import Moves, fit_models
from optuna_snn.scbo.novelty import MAX_CROWD
from optuna_snn.scbo.observations import Observations
from optuna_snn.scbo.options import DEFAULT, FEW_DIMS, Options
from optuna_snn.scbo.paths import draw_path
from optuna_snn.scbo.ranking import better_elsewhere
from optuna_snn.scbo.slices import slice_of
from optuna_snn.scbo.step import Step
from optuna_snn.scbo.suggest import Search, suggest
from optuna_snn.scbo.thompson import evaluate
from tests.helpers import cube
from tests.scbo.helpers import LENGTH_INIT, START, changed, observations

LOW, HIGH = 0.2, 0.8
NEAR = 0.1


def two_hills(is_high_feasible: bool) -> Observations:
    """Results on a grid, and a crowd on the lower hill, where the centre is."""
    x = np.append(np.linspace(0.0, 1.0, 21), LOW + 1e-5 * np.arange(1, MAX_CROWD + 1))[:, None]
    y = np.exp(-(((x - LOW) / NEAR) ** 2)) + 2.0 * np.exp(-(((x - HIGH) / NEAR) ** 2))
    c = np.where((x > 0.5) & (not is_high_feasible), 1.0, -1.0) * (1.0 + x)
    known = observations(cube(1), n=len(x))
    center = 4
    assert x[center, 0] == LOW
    return changed(
        known, x=x, y=y[:, 0], c=c, tried=x, center=x[center],
        may_center=np.arange(len(x)) == center,
    )  # fmt: skip


def posterior_of(known: Observations) -> surrogate.Posterior:
    return fit_models(cube(1), known, START, DEFAULT)


@pytest.mark.parametrize("is_high_feasible", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_a_better_place_is_one_that_is_better_and_feasible_on_the_draw(
    seed: int, is_high_feasible: bool
) -> None:
    space, known, rng = cube(1), two_hills(is_high_feasible), np.random.default_rng(seed)
    assert known.center is not None
    path = draw_path(posterior_of(known), rng)
    moves = Moves(DEFAULT.n_perturbed)
    step = Step(path, slice_of(space, None), known.center, "value", rng, DEFAULT)
    found = better_elsewhere(step, known, 0.04, moves)
    assert len(found) == int(is_high_feasible)
    for x in found:
        assert abs(x[0] - HIGH) < NEAR
        drawn = evaluate(path, space, np.stack([known.center, x]))
        assert drawn.objective[1] > drawn.objective[0]
        assert drawn.constraints[:, :, 1].max() <= 0.0


@pytest.mark.parametrize("crowd_distance", [0.2, 0.0])
def test_a_box_in_which_results_crowd_is_left_for_a_better_place(crowd_distance: float) -> None:
    known, length = two_hills(is_high_feasible=True), 0.2
    options = Options(crowd_distance=crowd_distance)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        x = suggest(cube(1), known, Search(length, LENGTH_INIT), rng, START, options).x[0]
        is_left = abs(x - LOW) > length / 2
        assert is_left == (crowd_distance > 0.0)
        assert not is_left or abs(x - HIGH) < NEAR


def without_crowd() -> Observations:
    everything = two_hills(is_high_feasible=True)
    grid = everything.x[:21]
    return changed(
        everything, x=grid, y=everything.y[:21], c=everything.c[:21], tried=grid,
        may_center=everything.may_center[:21],
    )  # fmt: skip


def in_more_dimensions(known: Observations, n_dims: int) -> Observations:
    """The same results at points with more coordinates, all 0.5."""
    more = {
        name: np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, n_dims - 1)], constant_values=0.5)
        for name, array in vars(known).items()
        if name in ("x", "tried", "center", "pending", "failed")
    }
    return changed(known, **more)


@pytest.mark.parametrize(("is_failing", "n_dims"), [(True, 1), (False, 1), (True, FEW_DIMS + 1)])
def test_half_of_the_asks_of_a_failing_box_go_elsewhere_in_few_dimensions(
    is_failing: bool, n_dims: int
) -> None:
    known, length = in_more_dimensions(without_crowd(), n_dims), 0.2
    search = Search(length, LENGTH_INIT, is_failing=is_failing)
    n_left = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        space = cube(n_dims)
        x = suggest(space, known, search, rng, START).x[0]
        n_left += abs(x - LOW) > length / 2
    assert n_left in (range(2, 11) if is_failing and n_dims == 1 else range(1))

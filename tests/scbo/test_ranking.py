"""Where the box is searched out, one draw of the whole space is asked for a better place."""

import numpy as np
import pytest

from optuna_snn.scbo import surrogate
from optuna_snn.scbo.models import Moves, fit_models
from optuna_snn.scbo.novelty import MAX_CROWD
from optuna_snn.scbo.observations import Observations
from optuna_snn.scbo.options import DEFAULT, Options
from optuna_snn.scbo.paths import draw_path
from optuna_snn.scbo.ranking import better_elsewhere
from optuna_snn.scbo.suggest import suggest
from optuna_snn.scbo.thompson import evaluate
from tests.helpers import cube
from tests.scbo.helpers import CPU, LENGTH_INIT, changed, observations

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
    return fit_models(cube(1), known, CPU, None, True, DEFAULT)


@pytest.mark.parametrize("is_high_feasible", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_a_better_place_is_one_that_is_better_and_feasible_on_the_draw(
    seed: int, is_high_feasible: bool
) -> None:
    space, known, rng = cube(1), two_hills(is_high_feasible), np.random.default_rng(seed)
    assert known.center is not None
    path = draw_path(posterior_of(known), rng)
    moves = Moves(DEFAULT.n_perturbed)
    found = better_elsewhere(path, space, known, known.center, 0.04, rng, DEFAULT, moves)
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
        x = suggest(cube(1), known, length, LENGTH_INIT, rng, CPU, options=options).x[0]
        is_left = abs(x - LOW) > length / 2
        assert is_left == (crowd_distance > 0.0)
        assert not is_left or abs(x - HIGH) < NEAR


def test_a_box_in_which_nothing_crowds_is_kept_to() -> None:
    everything = two_hills(is_high_feasible=True)
    grid = everything.x[:21]
    known = changed(
        everything, x=grid, y=everything.y[:21], c=everything.c[:21], tried=grid,
        may_center=everything.may_center[:21],
    )  # fmt: skip
    for seed in range(4):
        rng = np.random.default_rng(seed)
        x = suggest(cube(1), known, 0.2, LENGTH_INIT, rng, CPU).x[0]
        assert abs(x - LOW) <= 0.1

import logging
import math

import numpy as np
import pytest
import torch

from optuna_snn.scbo import surrogate
from optuna_snn.scbo.candidates import Box, all_points
from optuna_snn.scbo.models import FitStart
from optuna_snn.scbo.novelty import MAX_CROWD
from optuna_snn.scbo.observations import Observations
from optuna_snn.scbo.options import DEFAULT, Options
from optuna_snn.scbo.paths import Path
from optuna_snn.scbo.space import Categorical, Numeric, SearchSpace
from optuna_snn.scbo.suggest import Search, Suggestion, suggest
from tests.helpers import MIXED, cube
from tests.scbo.helpers import CPU, LENGTH_INIT, START, assert_is_right, changed, observations

pytestmark = pytest.mark.slow

TINY = SearchSpace((Numeric(0, 3, step=1.0), Categorical(3), Numeric(1, 4, True, 1.0)))


def ask(space: SearchSpace, known: Observations, length: float = 0.4, seed: int = 0) -> Suggestion:
    return suggest(space, known, Search(length, LENGTH_INIT), np.random.default_rng(seed), START)


@pytest.mark.parametrize("length", [2.0**-7, 0.4])
@pytest.mark.parametrize("space", [cube(1), cube(4), MIXED], ids=["one", "four", "mixed"])
def test_a_suggestion_is_a_snapped_point_of_the_box(space: SearchSpace, length: float) -> None:
    for seed in range(3):
        known = observations(space, seed=seed)
        assert_is_right(ask(space, known, length, seed), space, known, length)


def test_without_a_centre_the_suggestion_may_lie_anywhere() -> None:
    x = np.stack(
        [ask(cube(2), observations(cube(2), seed=s, center=None), seed=s).x for s in range(8)]
    )
    assert (x.max(axis=0) - x.min(axis=0) > 0.5).all()


def test_the_same_stream_gives_the_same_point_and_nothing_given_is_changed() -> None:
    known = observations(MIXED, n_constraints=2)
    copies = {name: None if a is None else a.copy() for name, a in vars(known).items()}
    one, same, other = (ask(MIXED, known, seed=s) for s in (1, 1, 2))
    assert (one.x == same.x).all() and (one.x != other.x).any()
    for name, a in vars(known).items():
        np.testing.assert_array_equal(a, copies[name])


def test_the_point_climbs_towards_the_constrained_optimum() -> None:
    # Maximise x0 + x1 where the norm is at most 0.8: the optimum is 0.8 sqrt 2 = 1.131.
    space, none, shares = cube(2), np.empty((0, 2)), []
    for seed in range(4):
        x = np.random.default_rng(seed).random((6, 2))
        for step in range(15):
            y, c = x.sum(axis=1), (np.hypot(x[:, 0], x[:, 1]) - 0.8)[:, None]
            best = int(np.lexsort((-y, c[:, 0].clip(min=0)))[0])
            known = Observations(x, y, c, x[best], none, x, none)
            x = np.vstack([x, ask(space, known, seed=100 * seed + step).x])
        feasible = np.hypot(x[:, 0], x[:, 1]) <= 0.8
        assert x[feasible].sum(axis=1).max() > 1.12
        shares.append(feasible[6:].mean())
    # Points on the boundary itself: about half of them lie beyond it.
    assert np.mean(shares) > 0.3


GRID = SearchSpace((Numeric(0, 9, step=1.0), Numeric(0, 9, step=1.0), Categorical(3)))


def test_where_all_that_was_refined_is_taken_the_best_candidate_is_next_and_no_worse_choice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Two integers and a choice: the first choice is far better, and best at (5, 5).
    points = all_points(GRID)
    value = -np.abs(points[:, :2] - points[55 * 3, :2]).sum(axis=1) - 5.0 * (points[:, 2] > 0.4)
    rows = np.random.default_rng(0).permutation(len(points))[:80]
    best = rows[np.argmax(value[rows])]
    known = observations(GRID, n=len(rows), n_constraints=0)
    known = changed(
        known, x=points[rows], y=value[rows], tried=points[rows], center=points[best],
        may_center=np.ones(len(rows), dtype=bool),
    )  # fmt: skip

    unused = np.setdiff1d(np.arange(len(points)), rows)
    of_other_choice = points[unused[points[unused, 2] > 0.4]]

    def refine(
        path: Path, space: SearchSpace, box: Box, starts: np.ndarray, *_: object
    ) -> np.ndarray:
        is_other = (starts[:, 2] != points[best, 2]).any()
        end = of_other_choice[0] if is_other else points[best]
        return np.repeat(end[None], len(starts), axis=0)

    monkeypatch.setattr("optuna_snn.scbo.ranking.refine", refine)
    for seed in range(5):
        options = Options(untried_choice_share=0.0, promising_choice_share=0.0)
        stream = np.random.default_rng(seed)
        x = suggest(GRID, known, Search(0.4, LENGTH_INIT), stream, START, options).x
        assert x[2] == points[best, 2]


EMPTY = {
    "nothing known": {
        "x": np.empty((0, 3)),
        "y": np.empty(0),
        "c": np.empty((0, 2)),
        "center": None,
    },
    "no objective": {"y": np.full(12, math.nan)},
    "no constraint": {"c": np.empty((12, 0))},
    "constraints unknown": {"c": np.full((12, 2), math.nan)},
    "neither": {"y": np.full(12, math.nan), "c": np.full((12, 2), math.nan)},
    "infinite": {"y": np.full(12, math.inf), "c": np.full((12, 2), math.inf)},
    "negatively infinite": {"y": np.full(12, -math.inf), "c": np.full((12, 2), -math.inf)},
    "constant": {"y": np.ones(12), "c": np.zeros((12, 2))},
    "one point": {"x": np.full((12, 3), 0.25)},
    "huge": {"y": np.geomspace(1, 1e308, 12), "c": np.geomspace(1e-308, 1e308, 24).reshape(12, 2)},
}


@pytest.mark.parametrize("name", EMPTY)
def test_degenerate_knowledge_never_raises(name: str) -> None:
    known = changed(observations(cube(3), n_constraints=2), **EMPTY[name])  # type: ignore[arg-type]
    suggestion = ask(cube(3), known)
    assert suggestion.x.shape == (3,)
    assert ((suggestion.x >= 0) & (suggestion.x <= 1)).all()
    if name == "infinite":  # all constraints are violated alike
        assert suggestion.predicted_feasible is None
    else:
        assert suggestion.predicted_feasible is not None
        assert 0 <= suggestion.predicted_feasible <= 1


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """No covariance matrix can be factorised."""

    def refuse(_: torch.Tensor) -> torch.Tensor:
        raise torch.linalg.LinAlgError("not positive definite")  # type: ignore[attr-defined]

    monkeypatch.setattr(surrogate, "factorise", refuse)


@pytest.mark.usefixtures("no_model")
def test_if_no_model_can_be_fitted_a_point_of_the_box_is_drawn_and_this_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    known = observations(cube(3))
    with caplog.at_level(logging.WARNING):
        suggestion = ask(cube(3), known, length=0.2)
    assert known.center is not None
    assert (np.abs(suggestion.x - known.center) <= 0.1 + 1e-12).all()
    assert suggestion.hyper is None and suggestion.predicted_feasible is None
    assert "12 trials" in caplog.text and "Drawing a point of the box" in caplog.text


@pytest.mark.usefixtures("no_model")
def test_without_a_model_and_without_a_known_value_points_come_from_the_whole_cube() -> None:
    known = changed(observations(cube(3)), y=np.full(12, np.nan))
    points = [ask(cube(3), known, length=0.2, seed=seed).x for seed in range(20)]
    assert known.center is not None
    assert np.abs(np.array(points) - known.center).max() > 0.3


@pytest.mark.parametrize("has_value", [True, False])
@pytest.mark.parametrize("c", [[1.0], [1.0, -1.0], [2.0, math.nan]])
def test_while_all_are_infeasible_alike_points_come_from_the_whole_cube(
    c: list[float], has_value: bool
) -> None:
    known = observations(cube(3), n_constraints=len(c))
    flat = changed(known, c=np.tile(c, (12, 1)), y=known.y if has_value else np.full(12, math.nan))
    points = np.array([ask(cube(3), flat, length=0.1, seed=seed).x for seed in range(60)])
    # As uniform as 60 points are: no edge is preferred, and nothing is left out.
    assert (np.abs(points.mean(axis=0) - 0.5) < 0.15).all()
    assert (((points < 0.1) | (points > 0.9)).mean(axis=0) < 0.4).all()
    assert (points.max(axis=0) - points.min(axis=0) > 0.8).all()
    # One that differs, or is feasible, is something to learn from.
    for value in (3.0, -3.0):
        other = flat.c.copy()
        other[4] = value
        assert ask(cube(3), changed(flat, c=other)).predicted_feasible is not None


def test_that_a_space_is_exhausted_is_said_while_all_are_infeasible_alike() -> None:
    space = SearchSpace((Categorical(3),))
    x = (np.arange(3)[:, None] + 0.5) / 3
    known = changed(observations(space, n=3), x=x, tried=x, c=np.ones((3, 1)))
    assert ask(space, known).is_repeat
    some = changed(known, x=x[:2], tried=x[:2], c=np.ones((2, 1)), y=known.y[:2])
    suggestion = ask(space, some)
    assert suggestion.x == x[2] and not suggestion.is_repeat


def test_the_predicted_feasibility_is_certain_without_constraints_and_low_where_all_failed() -> (
    None
):
    assert ask(cube(2), observations(cube(2), n_constraints=0)).predicted_feasible == 1.0
    known = observations(cube(2))
    infeasible = ask(
        cube(2), changed(known, c=np.linspace(3.0, 3.1, 12)[:, None])
    ).predicted_feasible
    feasible = ask(cube(2), changed(known, c=np.full((12, 1), -3.0))).predicted_feasible
    assert infeasible is not None and infeasible < 0.05
    assert feasible is not None and feasible > 0.95


def test_hyperparameters_are_handed_out_where_they_were_fitted_anew() -> None:
    known = observations(cube(3))
    fitted = ask(cube(3), known).hyper
    assert fitted is not None and fitted.shape == (2, 5)
    search, rng = Search(0.4, 0.8), np.random.default_rng(0)
    for is_refit in (False, True):
        start = FitStart(CPU, fitted, is_refit)
        hyper = suggest(cube(3), known, search, rng, start).hyper
        assert (hyper is not None) == is_refit


def test_points_beside_two_failures_are_avoided() -> None:
    space, known = cube(2), observations(cube(2))
    wanted = [ask(space, known, seed=s).x for s in range(4)]
    for failures, is_avoided in [(1, False), (2, True)]:
        for seed, x in enumerate(wanted):
            failed = np.tile(x + 1e-3, (failures, 1))
            again = ask(space, changed(known, failed=failed), seed=seed).x
            assert (np.abs(again - x).max() > 0.01) == is_avoided


def test_a_discrete_point_is_suggested_once_until_the_space_is_exhausted() -> None:
    everything = all_points(TINY)
    assert len(np.unique(everything, axis=0)) == 4 * 3 * 4 == TINY.n_points
    order = np.random.default_rng(0).permutation(everything)
    known = observations(TINY)
    left = order[-3:]
    x, y, c = order[:-3], np.arange(45.0), -np.ones((45, 1))
    known = changed(known, x=x, y=y, c=c, center=order[4], tried=x)
    for _ in range(3):
        next_one = ask(TINY, known)
        assert (left == next_one.x).all(axis=1).any() and not next_one.is_repeat
        known = changed(known, pending=np.vstack([known.pending, next_one.x]))
    repeat = ask(TINY, known)
    assert (everything == repeat.x).all(axis=1).any() and repeat.is_repeat


@pytest.mark.parametrize("length", [0.8, 0.1])
def test_a_bound_at_which_results_crowd_is_left_if_they_lie_close_for_the_box(
    length: float,
) -> None:
    # As found beside a kink: the objective falls towards 0, as far as the model sees.
    x = np.append(np.linspace(0.0, 1e-4, 8), np.linspace(0.1, 1.0, 8))[:, None]
    known = observations(cube(1), n=len(x), n_constraints=0)
    known = changed(
        known, x=x, y=-np.abs(x[:, 0] - 0.012), tried=x, center=x[0],
        may_center=np.ones(len(x), dtype=bool),
    )  # fmt: skip
    search = Search(length, LENGTH_INIT)
    for seed in range(5):
        stream = np.random.default_rng(seed)
        found = suggest(cube(1), known, search, stream, START).x[0]
        assert (np.abs(x[:, 0] - found) < DEFAULT.crowd_distance * length).sum() < MAX_CROWD
        stream = np.random.default_rng(seed)
        allowed = Options(crowd_distance=0.0)
        crowd = suggest(cube(1), known, search, stream, START, allowed).x[0]
        assert crowd < 2e-4

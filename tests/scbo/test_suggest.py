import logging
import math

import numpy as np
import pytest
import torch

from optuna_snn.scbo import suggest as module
from optuna_snn.scbo import surrogate
from optuna_snn.scbo.candidates import all_points, make_box
from optuna_snn.scbo.space import Categorical, Numeric, SearchSpace
from optuna_snn.scbo.suggest import (
    Observations,
    Suggestion,
    draw_unused,
    fit_models,
    suggest,
    unused,
)
from tests.helpers import MIXED, cube

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
TINY = SearchSpace((Numeric(0, 3, step=1.0), Categorical(3), Numeric(1, 4, True, 1.0)))


def observations(
    space: SearchSpace, n: int = 12, n_constraints: int = 1, seed: int = 0, center: int | None = 0
) -> Observations:
    rng = np.random.default_rng(seed)
    x = space.snap(rng.random((n, space.n_dims)))
    none = np.empty((0, space.n_dims))
    return Observations(
        x=x,
        y=rng.standard_normal(n),
        c=rng.standard_normal((n, n_constraints)),
        center=None if center is None else x[center],
        pending=none,
        failed=none,
    )


def ask(space: SearchSpace, known: Observations, length: float = 0.4, seed: int = 0) -> Suggestion:
    return suggest(space, known, length, 0.8, np.random.default_rng(seed), CPU)


def changed(known: Observations, **arrays: np.ndarray) -> Observations:
    return Observations(**{**vars(known), **arrays})


@pytest.mark.parametrize("length", [2.0**-7, 0.4])
@pytest.mark.parametrize("space", [cube(1), cube(4), MIXED], ids=["one", "four", "mixed"])
def test_a_suggestion_is_a_snapped_point_of_the_box(space: SearchSpace, length: float) -> None:
    for seed in range(3):
        known = observations(space, seed=seed)
        x = ask(space, known, length, seed).x
        assert known.center is not None
        box = make_box(space, known.center, length, 0.8)
        assert space.snap(x[None])[0] == pytest.approx(x, abs=1e-12)
        low, high = (space.snap(edge[None])[0] for edge in (box.low, box.high))
        numeric = ~space.is_categorical
        assert (x >= np.minimum(low, box.low) - 1e-12)[numeric].all()
        assert (x <= np.maximum(high, box.high) + 1e-12)[numeric].all()


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
    space, rng = cube(2), np.random.default_rng(0)
    x = rng.random((6, 2))
    for step in range(15):
        y, c = x.sum(axis=1), (np.hypot(x[:, 0], x[:, 1]) - 0.8)[:, None]
        best = int(np.lexsort((-y, c[:, 0].clip(min=0)))[0])
        none = np.empty((0, 2))
        x = np.vstack([x, ask(space, Observations(x, y, c, x[best], none, none), seed=step).x])
    feasible = np.hypot(x[:, 0], x[:, 1]) <= 0.8
    assert feasible[6:].mean() > 0.4
    assert x[feasible].sum(axis=1).max() > 1.12


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
    assert suggestion.predicted_feasible is not None
    assert 0 <= suggestion.predicted_feasible <= 1


def test_if_no_model_can_be_fitted_a_point_of_the_box_is_drawn_and_this_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: torch.Tensor) -> torch.Tensor:
        raise torch.linalg.LinAlgError("not positive definite")  # type: ignore[attr-defined]

    monkeypatch.setattr(surrogate, "factorise", refuse)
    known = observations(cube(3))
    with caplog.at_level(logging.WARNING):
        suggestion = ask(cube(3), known, length=0.2)
    assert known.center is not None
    assert (np.abs(suggestion.x - known.center) <= 0.1 + 1e-12).all()
    assert suggestion.hyper is None and suggestion.predicted_feasible is None
    assert "12 trials" in caplog.text and "Drawing a point of the box" in caplog.text


def test_the_predicted_feasibility_is_certain_without_constraints_and_low_where_all_failed() -> (
    None
):
    assert ask(cube(2), observations(cube(2), n_constraints=0)).predicted_feasible == 1.0
    known = observations(cube(2))
    infeasible = ask(cube(2), changed(known, c=np.full((12, 1), 3.0))).predicted_feasible
    feasible = ask(cube(2), changed(known, c=np.full((12, 1), -3.0))).predicted_feasible
    assert infeasible is not None and infeasible < 0.05
    assert feasible is not None and feasible > 0.95


def test_given_hyperparameters_are_used_as_they_are_unless_a_refit_is_due() -> None:
    known = observations(cube(3))
    fitted = ask(cube(3), known).hyper
    assert fitted is not None and fitted.shape == (2, 5)
    post = fit_models(cube(3), known, CPU, fitted, is_refit=False)
    assert post.hyper.pack() == pytest.approx(fitted, rel=1e-12)
    rng = np.random.default_rng(0)
    assert suggest(cube(3), known, 0.4, 0.8, rng, CPU, fitted, is_refit=False).hyper is None
    assert suggest(cube(3), known, 0.4, 0.8, rng, CPU, fitted, is_refit=True).hyper is not None


def test_models_see_the_nearest_points_only_whatever_the_number_of_trials() -> None:
    known = observations(cube(2), n=900)
    post = fit_models(cube(2), known, CPU, None, is_refit=True)
    seen = post.data.X.numpy()
    assert len(seen) == module.MAX_LOCAL_POINTS
    distance = np.linalg.norm(known.x - known.center, axis=1)
    assert (
        np.linalg.norm(seen - known.center, axis=1).max()
        <= np.sort(distance)[len(seen) - 1] + 1e-12
    )


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
    known = changed(known, x=order[:-3], y=np.arange(45.0), c=-np.ones((45, 1)), center=order[4])
    for _ in range(3):
        x = ask(TINY, known).x
        assert (left == x).all(axis=1).any()
        known = changed(known, pending=np.vstack([known.pending, x]))
    assert len(unused(TINY, known, everything)) == 0
    assert (everything == ask(TINY, known).x).all(axis=1).any()  # then any point of the space
    assert (everything == draw_unused(TINY, known, np.random.default_rng(0))).all(axis=1).any()


def test_in_a_large_discrete_space_an_unused_point_is_drawn() -> None:
    space = SearchSpace((Numeric(0, 99, step=1.0),) * 4)
    known = observations(space)
    x = draw_unused(space, known, np.random.default_rng(0))
    assert len(unused(space, known, x[None])) == 1

"""Held coordinates: a slice of a space is a space, and a suggestion keeps what is held."""

import logging
import math

import numpy as np
import pytest

from optuna_snn.scbo import surrogate
from optuna_snn.scbo.observations import Observations
from optuna_snn.scbo.slices import centred, restrict, slice_of
from optuna_snn.scbo.space import Array, Categorical, Numeric, SearchSpace
from optuna_snn.scbo.suggest import Search, Suggestion, suggest
from tests.helpers import MIXED, cube
from tests.scbo.helpers import DISCRETE, START, changed, observations

NAN = math.nan


def held_at(point: Array, *dims: int) -> Array:
    """The coordinates of a point in these dimensions, NaN elsewhere."""
    held = np.full(len(point), NAN)
    held[list(dims)] = point[list(dims)]
    return held


def ask(space: SearchSpace, known: Observations, held: Array | None, seed: int = 0) -> Suggestion:
    return suggest(space, known, Search(0.4, 0.8), np.random.default_rng(seed), START, held=held)


def test_points_of_a_slice_are_lifted_with_the_held_coordinates_and_projected_back() -> None:
    part = slice_of(cube(3), np.array([NAN, 0.25, NAN]))
    x = np.array([[0.1, 0.9], [0.2, 0.8]])
    assert part.lift(x).tolist() == [[0.1, 0.25, 0.9], [0.2, 0.25, 0.8]]
    assert part.project(part.lift(x)).tolist() == x.tolist()
    assert part.lift(x[0]).tolist() == [0.1, 0.25, 0.9]


@pytest.mark.parametrize("dims", [(0,), (4,), (0, 2), (1, 3, 4)])
def test_a_slice_has_the_features_of_the_whole_space(dims: tuple[int, ...]) -> None:
    whole = MIXED.snap(np.random.default_rng(0).random((5, 5)))
    whole[:, list(dims)] = whole[0, list(dims)]
    part = slice_of(MIXED, held_at(whole[0], *dims))
    x = part.project(whole)
    np.testing.assert_array_equal(part.features(x), MIXED.features(whole))
    for j in np.flatnonzero(~part.is_categorical):
        moved = x[0].copy()
        moved[j] = 1.0 - moved[j] / 2
        differs = part.features(moved[None])[0] != part.features(x[:1])[0]
        assert np.flatnonzero(differs).tolist() == [part.first_features[j]]


def test_a_slice_without_a_free_coordinate_is_refused() -> None:
    with pytest.raises(ValueError, match=r"At least one coordinate must be free .*\[0.5 0.5\]"):
        slice_of(cube(2), np.array([0.5, 0.5]))


def test_only_what_lies_on_the_slice_is_taken_there() -> None:
    x = np.array([[0.1, 0.5], [0.2, 0.6], [0.3, 0.5]])
    known = changed(
        observations(cube(2), n=3), x=x, tried=x, pending=x[1:], failed=x[:1], center=x[1]
    )
    seen = restrict(known, slice_of(cube(2), np.array([NAN, 0.5])))
    assert seen.x.ravel().tolist() == seen.tried.ravel().tolist() == [0.1, 0.3]
    assert seen.y.tolist() == known.y[[0, 2]].tolist()
    assert seen.pending.tolist() == [[0.3]] and seen.failed.tolist() == [[0.1]]
    assert seen.center is not None and seen.center.tolist() == [0.2]


def test_a_centre_has_the_held_choices_and_may_have_other_numbers() -> None:
    space = SearchSpace((Numeric(0, 1), Numeric(0, 1), Categorical(2)))
    x = np.array([[0.1, 0.5, 0.25], [0.2, 0.6, 0.75], [0.3, 0.7, 0.25]])
    known = changed(
        observations(space, n=3), x=x, center=x[1], may_center=np.array([True, True, False])
    )
    seen = centred(known, slice_of(space, np.array([NAN, 0.5, 0.25])))
    assert seen.center is None and seen.may_center.tolist() == [True, False, False]
    seen = centred(known, slice_of(space, np.array([NAN, 0.5, 0.75])))
    assert seen.center is not None and seen.center.tolist() == x[1].tolist()
    assert seen.may_center.tolist() == [False, True, False]


HELD = {
    "a number": (MIXED, (1,)),
    "a choice": (MIXED, (4,)),
    "an integer and a choice": (MIXED, (2, 4)),
    "all but one": (MIXED, (0, 1, 2, 3)),
    "discrete": (DISCRETE, (1,)),
    "discrete, all but one": (DISCRETE, (0, 1)),
}


@pytest.mark.slow
@pytest.mark.parametrize("center", [0, None], ids=["centre", "no centre"])
@pytest.mark.parametrize("key", HELD)
def test_held_coordinates_stay_exactly_and_the_others_move(key: str, center: int | None) -> None:
    space, dims = HELD[key]
    for seed in range(3):
        known = observations(space, n=15, seed=seed, center=center)
        point = space.snap(np.random.default_rng(100 + seed).random((1, space.n_dims)))[0]
        x = ask(space, known, held_at(point, *dims), seed).x
        assert x[list(dims)].tolist() == point[list(dims)].tolist()
        np.testing.assert_allclose(space.snap(x[None])[0], x, atol=1e-12)
        assert center is None or (x != known.x[0]).any()


def test_nothing_held_is_the_whole_space() -> None:
    known = observations(MIXED, n_constraints=2)
    free = ask(MIXED, known, np.full(5, NAN)).x
    assert free.tolist() == ask(MIXED, known, None).x.tolist()


def test_an_exhausted_slice_keeps_what_is_held_and_says_so() -> None:
    space = SearchSpace((Numeric(0, 3, step=1.0), Categorical(3)))
    x = space.snap(np.array([[k / 4 + 0.1, 0.5] for k in range(4)] + [[0.1, 0.1]]))
    known = changed(observations(space, n=5), x=x, tried=x, center=x[0])
    found = ask(space, known, held_at(x[0], 1))
    assert found.is_repeat and found.x[1] == x[0, 1]
    known = changed(known, x=x[1:], y=known.y[1:], c=known.c[1:], tried=x[1:])
    found = ask(space, known, held_at(x[0], 1))
    assert not found.is_repeat and found.x.tolist() == x[0].tolist()


def test_without_a_model_what_is_held_stays(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise surrogate.LinAlgError("Not this time.")

    monkeypatch.setattr("optuna_snn.scbo.suggest.fit_models", fails)
    known = observations(MIXED)
    with caplog.at_level(logging.WARNING):
        x = ask(MIXED, known, held_at(known.x[3], 0, 4)).x
    assert x[[0, 4]].tolist() == known.x[3, [0, 4]].tolist()
    assert "Not this time." in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("choice", [0, 1])
def test_the_free_coordinates_go_where_the_held_choice_has_its_best(choice: int) -> None:
    # Choice 0 has its best at x = 0.2, choice 1 at x = 0.8, and choice 0 is better by far.
    space, rng = SearchSpace((Numeric(0, 1), Categorical(2))), np.random.default_rng(0)
    x = space.snap(rng.random((30, 2)))
    k = (x[:, 1] > 0.5).astype(float)
    y = -((x[:, 0] - 0.2 - 0.6 * k) ** 2) - 0.3 * k
    none = np.empty((0, 2))
    best = np.flatnonzero(k == choice)[np.argmax(y[k == choice])]
    known = Observations(x, y, np.empty((30, 0)), x[best], none, x, none)
    found = ask(space, known, np.array([NAN, 0.25 + 0.5 * choice])).x
    assert found[0] == pytest.approx(0.2 + 0.6 * choice, abs=0.06)

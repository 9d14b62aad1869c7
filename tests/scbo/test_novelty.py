"""Points that may be suggested: new ones, and not beside failures."""

import numpy as np
import pytest

from optuna_snn.scbo.candidates import all_points
from optuna_snn.scbo.novelty import (
    MAX_CROWD,
    NEAR_FAILURE,
    SAME_POINT,
    draw_unused,
    first_allowed,
    is_exhausted,
    untried_choices,
    unused,
)
from optuna_snn.scbo.observations import Observations
from optuna_snn.scbo.space import Categorical, Numeric, SearchSpace
from tests.helpers import MIXED, cube
from tests.scbo.helpers import changed, observations

TINY = SearchSpace((Numeric(0, 3, step=1.0), Categorical(3), Numeric(1, 4, True, 1.0)))
Pair = tuple[int, int]
LARGE = SearchSpace((Numeric(0, 99, step=1.0),) * 4)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def all_but(space: SearchSpace, left: np.ndarray, n_pending: int = 5) -> Observations:
    """All other points of a space are tried, the last few of them pending."""
    taken = {tuple(x) for x in left}
    x = np.array([p for p in all_points(space) if tuple(p) not in taken])
    known = observations(space)
    return changed(
        known, x=x[:-n_pending], tried=x[:-n_pending], pending=x[-n_pending:], y=x[:, 0]
    )


def test_the_first_point_that_is_neither_known_nor_pending_is_taken() -> None:
    known = observations(cube(2))
    new = rng(1).random((3, 2))
    known = changed(known, pending=new[:1])
    ranked = np.concatenate([known.x[3:4], new[:1], known.x[:1], new[1:]])
    assert first_allowed(cube(2), known, ranked, rng()).tolist() == new[1].tolist()
    # The order of the ranking decides, not that of the coordinates.
    assert first_allowed(cube(2), known, new[::-1], rng()).tolist() == new[2].tolist()


def test_a_point_that_is_rounded_to_a_known_one_is_not_taken() -> None:
    space = cube(2)
    known = observations(space)
    rounded = space.rounded(known.x)
    known = changed(known, x=rounded, tried=rounded)
    beside, other = rounded[3] + 0.45e-6, np.full(2, 0.987)
    assert space.rounded(beside).tolist() == rounded[3].tolist() != beside.tolist()
    assert first_allowed(space, known, np.stack([beside, other]), rng()).tolist() == other.tolist()


@pytest.mark.parametrize(("n_near", "is_crowd"), [(MAX_CROWD - 1, False), (MAX_CROWD, True)])
@pytest.mark.parametrize("n_pending", [0, 2])
def test_a_point_does_not_join_a_crowd(n_near: int, is_crowd: bool, n_pending: int) -> None:
    spot, other = np.full(2, 0.3), np.full(2, 0.9)
    near = spot + np.linspace(2e-4, 4e-4, n_near)[:, None]
    known = observations(cube(2))
    known = changed(known, tried=near[n_pending:], pending=near[:n_pending])
    ranked = np.stack([spot, other])
    expected = other if is_crowd else spot
    assert first_allowed(cube(2), known, ranked, rng(), crowd=5e-4).tolist() == expected.tolist()
    assert first_allowed(cube(2), known, ranked, rng(), crowd=2e-4).tolist() == spot.tolist()


@pytest.mark.parametrize(("distance", "is_same"), [(0.5 * SAME_POINT, True), (1e-5, False)])
def test_points_that_differ_by_rounding_count_as_one(distance: float, is_same: bool) -> None:
    known = observations(cube(2))
    beside = known.x[:1] + distance * np.array([1.0, -1.0])
    other = np.full((1, 2), 0.987)
    x = first_allowed(cube(2), known, np.concatenate([beside, other]), rng())
    assert x.tolist() == (other if is_same else beside)[0].tolist()


@pytest.mark.parametrize(
    ("n_failures", "distance", "is_avoided"),
    [
        (1, 0.0, False),
        (2, 0.9 * NEAR_FAILURE, True),
        (2, 1.1 * NEAR_FAILURE, False),
        (3, 0.5 * NEAR_FAILURE, True),
    ],
)
def test_two_failures_beside_a_point_speak_against_it(
    n_failures: int, distance: float, is_avoided: bool
) -> None:
    first, second = np.array([[0.5, 0.5], [0.9, 0.1]])
    failed = np.tile(first + distance, (n_failures, 1))
    known = changed(observations(cube(2)), failed=failed)
    x = first_allowed(cube(2), known, np.stack([first, second]), rng())
    assert x.tolist() == (second if is_avoided else first).tolist()


def test_where_no_ranked_point_is_allowed_an_unused_one_is_drawn() -> None:
    left = all_points(TINY)[[7, 30]]
    known = all_but(TINY, left)
    drawn = {tuple(first_allowed(TINY, known, known.x[:5], rng(seed))) for seed in range(20)}
    assert drawn == {tuple(x) for x in left}
    assert draw_unused(MIXED, observations(MIXED), rng()).shape == (5,)


def test_unused_points_are_those_neither_tried_nor_pending_each_once() -> None:
    left = all_points(TINY)[[3, 11, 40]]
    known = all_but(TINY, left)
    found = unused(TINY, known, np.concatenate([all_points(TINY), all_points(TINY)]))
    assert {tuple(x) for x in found} == {tuple(x) for x in left} and len(found) == 3


def test_where_a_dimension_is_continuous_all_points_are_unused_and_keep_their_order() -> None:
    known = observations(MIXED)
    assert (unused(MIXED, known, known.x) == known.x).all()


def test_a_small_space_is_searched_completely_for_an_unused_point() -> None:
    left = all_points(TINY)[[13]]
    known = all_but(TINY, left)
    for seed in range(10):
        assert draw_unused(TINY, known, rng(seed)).tolist() == left[0].tolist()


def test_once_the_space_is_exhausted_any_of_its_points_is_drawn() -> None:
    known = all_but(TINY, np.empty((0, 3)))
    everything = all_points(TINY)
    assert len(unused(TINY, known, everything)) == 0 and is_exhausted(TINY, known)
    drawn = {tuple(draw_unused(TINY, known, rng(seed))) for seed in range(20)}
    assert len(drawn) > 5 and drawn <= {tuple(x) for x in everything}


def test_a_space_is_not_exhausted_before_its_last_point_nor_where_it_is_too_large() -> None:
    assert not is_exhausted(TINY, all_but(TINY, all_points(TINY)[:1]))
    assert not is_exhausted(LARGE, observations(LARGE))
    assert not is_exhausted(MIXED, observations(MIXED))


def test_in_a_large_discrete_space_an_unused_point_is_drawn() -> None:
    known = observations(LARGE)
    x = draw_unused(LARGE, known, rng())
    assert len(unused(LARGE, known, x[None])) == 1


def test_a_point_that_was_tried_and_taught_nothing_is_not_suggested_again() -> None:
    known = observations(TINY)
    barren = all_points(TINY)[17:18]
    known = changed(known, tried=np.concatenate([known.tried, barren]))
    free = unused(TINY, known, all_points(TINY))
    ranked = np.concatenate([barren, free[:1]])
    assert first_allowed(TINY, known, ranked, rng()).tolist() == free[0].tolist()


def test_untried_choices_are_single_changes_whose_combination_nothing_has() -> None:
    space = SearchSpace((Categorical(3), Numeric(0.0, 1.0), Categorical(2)))
    center = space.encode(np.array([[0, 0.3, 0]]))[0]
    everything = {(1, 0), (2, 0), (0, 1)}

    def found(tried: list[Pair], pending: list[Pair]) -> set[Pair]:
        def points(pairs: list[Pair]) -> np.ndarray:
            rows = np.array([[a, 0.9, b] for a, b in pairs], dtype=float).reshape(-1, 3)
            return space.encode(rows)

        known = changed(
            observations(space),
            tried=np.concatenate([center[None], points(tried)]),
            pending=points(pending),
        )
        x = untried_choices(space, known, center, rng())
        assert (x[:, 1] == center[1]).all()
        return {(int(3 * a), int(2 * b)) for a, _, b in x}

    assert found([], []) == everything
    assert found([(1, 0), (1, 1)], []) == everything - {(1, 0)}
    assert found([(1, 0)], [(0, 1)]) == {(2, 0)}
    assert found(sorted(everything), []) == set()


def test_a_space_without_choices_has_no_untried_ones() -> None:
    known = observations(cube(2))
    assert untried_choices(cube(2), known, known.x[0], rng()).shape == (0, 2)

"""A conditional space is searched by one model: a pattern is chosen, and a point of it."""

import logging
import math
from typing import Any

import numpy as np
import pytest

from optuna_snn.scbo import surrogate
from optuna_snn.scbo.joint import JointSuggestion, suggest_jointly
from optuna_snn.scbo.models import FitStart
from optuna_snn.scbo.observations import Observations
from optuna_snn.scbo.options import DEFAULT, Options
from optuna_snn.scbo.space import Array, Categorical, Numeric, SearchSpace
from optuna_snn.scbo.suggest import Search, suggest
from tests.scbo.helpers import CPU, LENGTH_INIT, SPACES, START, changed, observations

KIND, OWN_A, OWN_B, SHARED = range(4)
SPACE = SearchSpace((Categorical(2), Numeric(0.0, 1.0), Numeric(0.0, 1.0), Numeric(0.0, 1.0)))
A, B = 0.25, 0.75


def two_branches(n: int, seed: int = 0, share_of_b: float = 0.5) -> Array:
    """Random points: of kind A with one coordinate, of kind B with another."""
    rng = np.random.default_rng(seed)
    x = rng.random((n, 4))
    x[:, KIND] = np.where(np.arange(n) < n * share_of_b, B, A)
    x[x[:, KIND] == A, OWN_B] = math.nan
    x[x[:, KIND] == B, OWN_A] = math.nan
    return x


def height(x: Array) -> Array:
    """Kind A is best at 0.3, B at 0.7, and better there."""
    own = np.where(x[:, KIND] == A, np.abs(x[:, OWN_A] - 0.3), np.abs(x[:, OWN_B] - 0.7))
    better: Array = np.where(x[:, KIND] == B, 0.3, 0.0)
    return better - own**2 - 0.5 * (x[:, SHARED] - 0.5) ** 2


def known_of(x: Array, y: Array | None = None, **more: Any) -> Observations:
    y = height(x) if y is None else y
    best = int(np.argmax(y))
    made = changed(
        observations(SPACE, n=len(x)),
        x=x,
        y=y,
        c=np.full((len(x), 1), -1.0),
        tried=x,
        pending=x[:0],
        failed=x[:0],
        center=x[best],
        may_center=np.ones(len(x), dtype=bool),
    )
    return changed(made, **more)


def ask(
    known: Observations,
    seed: int = 0,
    space: SearchSpace = SPACE,
    length: float = 0.4,
    options: Options = DEFAULT,
) -> JointSuggestion:
    search = Search(length, LENGTH_INIT)
    rng = np.random.default_rng(seed)
    return suggest_jointly(space, known, search, rng, START, options)


def assert_is_of_a_branch(suggested: JointSuggestion) -> None:
    x = suggested.suggestion.x
    assert x[KIND] in (A, B)
    is_a = x[KIND] == A
    assert list(suggested.is_active) == [True, is_a, not is_a, True]
    assert x[OWN_B if is_a else OWN_A] == 0.5
    assert ((x >= 0) & (x <= 1)).all()


@pytest.mark.parametrize("name", list(SPACES))
def test_where_no_point_lacks_a_coordinate_it_is_the_step_of_any_space(name: str) -> None:
    space = SPACES[name]
    known = observations(space)
    known = changed(known, may_center=np.zeros(len(known.x), dtype=bool))
    for seed in range(2):
        jointly = ask(known, seed, space)
        alone = suggest(space, known, Search(0.4, LENGTH_INIT), np.random.default_rng(seed), START)
        assert jointly.suggestion.x.tolist() == alone.x.tolist()
        assert all(jointly.is_active) and len(jointly.is_active) == space.n_dims


@pytest.mark.parametrize("seed", range(6))
def test_a_suggestion_has_the_coordinates_of_one_branch(seed: int) -> None:
    assert_is_of_a_branch(ask(known_of(two_branches(14, seed)), seed))


def test_the_better_branch_is_searched_around_its_best_place() -> None:
    asked = [ask(known_of(two_branches(30, seed)), seed) for seed in range(8)]
    of_b = [s.suggestion.x for s in asked if s.suggestion.x[KIND] == B]
    assert len(of_b) >= 6
    assert abs(np.median([x[OWN_B] for x in of_b]) - 0.7) < 0.15


@pytest.mark.parametrize("place", [0.3, 0.7])
def test_what_the_branches_share_is_learnt_from_both(place: float) -> None:
    """A tells where the shared coordinate is best; B is better, with two results alike."""
    x = two_branches(60, share_of_b=2 / 60)
    is_b = x[:, KIND] == B
    x[is_b, SHARED], x[is_b, OWN_B] = [place - 0.25, place + 0.25], 0.5
    y = np.where(is_b, 1.0, 0.0) - 4.0 * (x[:, SHARED] - place) ** 2
    asked = [ask(known_of(x, y), seed, length=1.6) for seed in range(12)]
    of_b = np.array([s.suggestion.x[SHARED] for s in asked if s.suggestion.x[KIND] == B])
    assert len(of_b) >= 9 and np.median(np.abs(of_b - place)) < 0.18  # uniform draws: 0.26


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_branch_that_is_searched_out_is_left_for_the_other(share: float) -> None:
    # A is polished to its best, B has four bad results, though it would be better.
    rng = np.random.default_rng(0)
    x = two_branches(60, share_of_b=4 / 60)
    of_a = np.flatnonzero(x[:, KIND] == A)[:40]
    x[of_a, OWN_A], x[of_a, SHARED] = 0.05 * rng.standard_normal((2, 40)) + [[0.3], [0.5]]
    x[of_a[0], [OWN_A, SHARED]] = 0.3, 0.5
    x[x[:, KIND] == B, OWN_B] = [0.02, 0.05, 0.08, 0.11]
    known = known_of(x, height(x) - np.where(x[:, KIND] == B, 0.25, 0.0))
    kinds = [ask(known, k, options=Options(promising_choice_share=share)) for k in range(10)]
    n_b = sum(s.suggestion.x[KIND] == B for s in kinds)
    assert n_b >= 8 if share else n_b <= 3


def test_the_most_promising_of_several_branches_has_its_own_coordinates() -> None:
    """A is searched out; B has a number of its own, and C, by far the better, none."""
    space = SearchSpace((Categorical(3), *SPACE.dimensions[1:]))
    first, second, third = (k / 6 for k in (1, 3, 5))
    rng = np.random.default_rng(0)
    x = two_branches(50, share_of_b=0.2)
    is_a = x[:, KIND] == A
    x[is_a, OWN_A], x[is_a, SHARED] = 0.05 * rng.standard_normal((2, 40)) + [[0.3], [0.5]]
    x[np.flatnonzero(is_a)[0], [OWN_A, SHARED]] = 0.3, 0.5
    x[:5, OWN_B], x[:5, SHARED] = math.nan, np.linspace(0.0, 0.15, 5)
    x[5:10, OWN_B], x[5:10, SHARED] = np.linspace(0.0, 0.1, 5), 0.5
    y = height(x)
    y[:5], y[5:10] = -1.0 + 3.0 * x[:5, SHARED], -0.5
    x[:, KIND] = np.where(is_a, first, second)
    x[:5, KIND] = third
    options = Options(promising_choice_share=1.0)
    asked = [ask(known_of(x, y), seed, space, 0.2, options) for seed in range(6)]
    kinds = [s.suggestion.x[KIND] for s in asked]
    assert kinds.count(third) >= 3
    for suggested, kind in zip(asked, kinds, strict=True):
        assert list(suggested.is_active) == [True, kind == first, kind == second, True]


def test_a_branch_of_failed_trials_is_not_taken() -> None:
    """Kind C was tried twenty times, and told nothing: A and B are searched."""
    space = SearchSpace((Categorical(3), *SPACE.dimensions[1:]))
    x = two_branches(20)
    first, second, third = (k / 6 for k in (1, 3, 5))
    x[:, KIND] = np.where(x[:, KIND] == A, first, second)
    none = np.array([[third, math.nan, math.nan, v] for v in np.linspace(0.0, 1.0, 20)])
    y = -np.abs(x[:, SHARED] - 0.5)
    free, failing = known_of(x, y), known_of(x, y, failed=none, tried=np.concatenate([x, none]))
    kinds = {k: ask(free, k, space).suggestion.x[KIND] for k in range(12)}
    assert third in kinds.values()
    assert third not in {ask(failing, k, space).suggestion.x[KIND] for k in range(12)}


def test_while_no_value_is_known_feasibility_is_sought_in_all_branches() -> None:
    x = two_branches(24)
    far = np.where(x[:, KIND] == A, 1.0, 0.2 + np.abs(x[:, OWN_B] - 0.7))
    known = known_of(
        x,
        np.full(24, math.nan),
        c=far[:, None],
        center=None,
        may_center=np.zeros(24, dtype=bool),
    )
    asked = [ask(known, seed) for seed in range(6)]
    assert sum(s.suggestion.x[KIND] == B for s in asked) >= 4
    assert all(s.suggestion.side is None for s in asked)


def test_flat_constraints_leave_any_branch(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_model(*_: object) -> None:
        raise AssertionError("there is nothing to learn")

    monkeypatch.setattr("optuna_snn.scbo.suggest.fit_models", no_model)
    x = two_branches(12)
    known = known_of(
        x,
        np.full(12, math.nan),
        c=np.ones((12, 1)),
        center=None,
        may_center=np.zeros(12, dtype=bool),
    )
    asked = [ask(known, seed) for seed in range(12)]
    for suggested in asked:
        assert_is_of_a_branch(suggested)
    assert {s.suggestion.x[KIND] for s in asked} == {A, B}


def test_where_no_model_can_be_fitted_a_point_of_a_branch_is_drawn(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_fit(*_: object) -> None:
        raise surrogate.LinAlgError("not positive definite.")

    monkeypatch.setattr("optuna_snn.scbo.suggest.fit_models", no_fit)
    with caplog.at_level(logging.WARNING):
        assert_is_of_a_branch(ask(known_of(two_branches(12))))
    assert "No model of 12 trials: not positive definite." in caplog.text


def test_a_branch_without_a_new_point_is_left() -> None:
    """Two branches of ten and of five points; the better one was tried at each of its points."""
    space = SearchSpace((Categorical(2), Numeric(0, 9, step=1.0), Numeric(0, 4, step=1.0)))
    x = np.full((13, 3), math.nan)
    x[:10, 0], x[:10, 1] = A, (np.arange(10) + 0.5) / 10
    x[10:, 0], x[10:, 2] = B, [0.1, 0.5, 0.9]
    known = known_of(x, np.where(x[:, 0] == A, 5.0 + np.nan_to_num(x[:, 1]), 0.0))
    for seed in range(4):
        suggested = ask(known, seed, space)
        assert list(suggested.is_active) == [True, False, True]
        assert suggested.suggestion.x[2] in (0.3, 0.7)
    both = np.concatenate([x, [[B, math.nan, 0.3], [B, math.nan, 0.7]]])
    assert ask(known_of(both, np.arange(15.0)), 0, space).suggestion.is_repeat


def test_hyperparameters_are_of_the_whole_space_and_may_be_handed_on() -> None:
    known = known_of(two_branches(16))
    first = ask(known)
    assert first.suggestion.hyper is not None and first.suggestion.hyper.shape == (2, 4 + 2)
    rng = np.random.default_rng(0)
    start = FitStart(CPU, first.suggestion.hyper, is_refit=False)
    warm = suggest_jointly(SPACE, known, Search(0.4, LENGTH_INIT), rng, start)
    assert warm.suggestion.hyper is None
    assert warm.suggestion.x == pytest.approx(first.suggestion.x, abs=1e-6)


def test_a_pattern_that_was_never_feasible_is_searched_around_the_centre_of_the_others() -> None:
    # B would be better, but its three results are infeasible. What it shares with A stays near.
    x = two_branches(30, share_of_b=0.1)
    is_b = x[:, KIND] == B
    x[is_b, OWN_B] = [0.1, 0.25, 0.4]
    c = np.where(is_b, 0.5 - x[:, OWN_B], -0.5)[:, None]
    known = known_of(x, height(x) + is_b, c=c, may_center=~is_b)
    best = int(np.argmax(np.where(is_b, -np.inf, height(x))))
    known = changed(known, center=x[best])
    of_b = [s for s in (ask(known, seed, length=0.2) for seed in range(12)) if s.is_active[OWN_B]]
    # The centre has no such coordinate: the box does not bound it.
    assert len(of_b) >= 3 and max(s.suggestion.x[OWN_B] for s in of_b) > 0.65
    for suggested in of_b:
        assert suggested.suggestion.side == 0.2
        assert abs(suggested.suggestion.x[SHARED] - x[best, SHARED]) <= 0.1 + 1e-9


def test_a_pattern_with_feasible_points_is_searched_around_the_best_of_them() -> None:
    # A is a little better, and B is best far from where a point without it is imputed.
    x = two_branches(40)
    is_b = x[:, KIND] == B
    x[is_b, OWN_B] = np.linspace(0.8, 1.0, int(is_b.sum()))
    y = height(x) - np.where(is_b, 0.29, 0.0)
    known = known_of(x, y)
    options = Options(promising_choice_share=0.0, elsewhere_share=0.0)
    asked = [ask(known, seed, length=0.1, options=options) for seed in range(16)]
    of_b = [s.suggestion for s in asked if s.is_active[OWN_B]]
    assert of_b and all(s.side is not None and s.x[OWN_B] >= 0.7 for s in of_b)


@pytest.mark.slow
def test_of_many_patterns_the_best_ones_are_kept() -> None:
    """Sixty kinds, of which every third has a coordinate more; one is the best by far."""
    n = 60
    space = SearchSpace((Categorical(n), Numeric(0.0, 1.0), Numeric(0.0, 1.0)))
    x = np.random.default_rng(0).random((2 * n, 3))
    index = np.tile(np.arange(n), 2)
    x[:, 0] = (index + 0.5) / n
    x[index % 3 > 0, 1] = math.nan
    for best in (10, 47):
        known = known_of(x, np.where(index == best, 3.0, 0.0) - np.abs(x[:, 2] - 0.5))
        kinds = [ask(known, seed, space).suggestion.x[0] for seed in range(4)]
        assert kinds.count((best + 0.5) / n) >= 3


def three_kinds(n: int, share_of_third: float) -> tuple[SearchSpace, Array, list[float]]:
    """Points of kinds A and B, and of a third one that has the shared coordinate alone."""
    space = SearchSpace((Categorical(3), *SPACE.dimensions[1:]))
    kinds = [k / 6 for k in (1, 3, 5)]
    x = two_branches(n)
    x[:, KIND] = np.where(x[:, KIND] == A, kinds[0], kinds[1])
    n_third = round(share_of_third * n)
    x[:n_third, KIND], x[:n_third, OWN_A : OWN_B + 1] = kinds[2], math.nan
    return space, x, kinds


def test_a_kind_without_anything_to_choose_is_one_point() -> None:
    """The third of four kinds is the best; the fourth was not tried."""
    space = SearchSpace((Categorical(4), Numeric(0.0, 1.0)))
    x = np.full((14, 2), math.nan)
    index = np.arange(14) % 3
    x[:, 0], x[index < 2, 1] = (index + 0.5) / 4, np.linspace(0.0, 1.0, int((index < 2).sum()))
    y = np.where(index == 2, 5.0, np.nan_to_num(x[:, 1]))
    asked = [ask(known_of(x, y), seed, space) for seed in range(12)]
    kinds = [s.suggestion.x[0] for s in asked]
    assert (2.5 / 4) not in kinds  # it was tried, and there is no more of it
    assert kinds.count(3.5 / 4) >= 4  # it is like the best in what it lacks
    assert all(list(s.is_active) == [True, s.suggestion.x[0] < 0.5] for s in asked)


def test_once_all_points_of_all_kinds_were_tried_it_is_said() -> None:
    """Kind A has a choice of two, kind B is one point."""
    space = SearchSpace((Categorical(2), Categorical(2)))
    x = np.array([[A, A], [A, B], [B, math.nan]] * 2)
    for best in range(3):
        known = known_of(x, np.tile(np.arange(3) == best, 2) * 1.0)
        assert all(ask(known, seed, space).suggestion.is_repeat for seed in range(3))


def test_flat_constraints_leave_kinds_that_were_never_tried() -> None:
    space, x, kinds = three_kinds(12, 0.0)
    known = known_of(
        x,
        np.full(12, math.nan),
        c=np.ones((12, 1)),
        center=None,
        may_center=np.zeros(12, dtype=bool),
    )
    asked = [ask(known, seed, space) for seed in range(20)]
    assert {s.suggestion.x[KIND] for s in asked} == set(kinds)


def test_kinds_that_were_never_tried_are_sought_while_no_value_is_known() -> None:
    space, x, kinds = three_kinds(20, 0.0)
    known = known_of(
        x,
        np.full(20, math.nan),
        c=0.5 + 0.1 * np.random.default_rng(0).random((20, 1)),
        center=None,
        may_center=np.zeros(20, dtype=bool),
    )
    asked = [ask(known, seed, space) for seed in range(6)]
    assert kinds[2] in {s.suggestion.x[KIND] for s in asked}


def test_a_kind_whose_failures_have_a_coordinate_of_another_kind_is_not_taken() -> None:
    space, x, kinds = three_kinds(20, 0.0)
    failed = np.array([[kinds[2], v, math.nan, v] for v in np.linspace(0.05, 0.95, 20)])
    tried = np.concatenate([x, failed])
    known = known_of(x, -np.abs(x[:, SHARED] - 0.5), failed=failed, tried=tried)
    taken = [ask(known, seed, space).suggestion.x[KIND] for seed in range(12)]
    assert kinds[2] not in taken


def test_kinds_that_were_never_tried_get_their_share() -> None:
    space, x, kinds = three_kinds(30, 0.0)
    known = known_of(x, height(np.column_stack([np.where(x[:, 0] < 0.3, A, B), x[:, 1:]])))
    for share in (0.0, 1.0):
        options = Options(untried_choice_share=share, promising_choice_share=0.0)
        taken = [ask(known, seed, space, options=options) for seed in range(6)]
        n_third = sum(s.suggestion.x[KIND] == kinds[2] for s in taken)
        assert n_third == 6 if share else n_third < 3


def test_a_coordinate_that_nothing_decides_about_is_left_out() -> None:
    x = two_branches(20)
    hidden = np.where(np.arange(20) % 3 == 0, 0.7, math.nan)
    space = SearchSpace((*SPACE.dimensions, Numeric(0.0, 1.0)))
    known = known_of(x)
    known = changed(
        known,
        x=np.column_stack([x, hidden]),
        tried=np.column_stack([x, hidden]),
        pending=np.empty((0, 5)),
        failed=np.empty((0, 5)),
        center=None if known.center is None else np.append(known.center, math.nan),
    )
    for seed in range(4):
        suggested = ask(known, seed, space)
        is_a = suggested.suggestion.x[KIND] == A
        assert list(suggested.is_active) == [True, is_a, not is_a, True, False]
        assert not suggested.is_all and suggested.suggestion.x[4] == 0.5
        without = ask(known_of(x), seed)
        assert suggested.suggestion.x[:4].tolist() == without.suggestion.x.tolist()
        assert without.is_all


def test_hyperparameters_of_other_coordinates_are_not_used() -> None:
    known = known_of(two_branches(16))
    rng = np.random.default_rng(0)
    theta = np.zeros((2, 3 + 2))
    start = FitStart(CPU, theta, is_refit=False)
    suggested = suggest_jointly(SPACE, known, Search(0.4, LENGTH_INIT), rng, start)
    assert suggested.suggestion.hyper is not None
    assert suggested.suggestion.x.tolist() == ask(known).suggestion.x.tolist()

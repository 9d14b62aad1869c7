"""Each choice of a step, alone, gives a point that could be tried; wrong ones are refused."""

import math
from dataclasses import fields, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest

from optuna_snn.scbo.observations import Observations
from optuna_snn.scbo.options import DEFAULT, FEW_DIMS, Options
from optuna_snn.scbo.paths import Path
from optuna_snn.scbo.space import Categorical, Numeric, SearchSpace
from optuna_snn.scbo.suggest import Search, Suggestion, suggest
from tests.helpers import MIXED, cube
from tests.scbo.helpers import LENGTH_INIT, START, assert_is_right, changed, observations

LENGTH = 0.3
SMALL, LARGE = 1, 30
TYPES = get_type_hints(Options)
NAMED = [name for name, kind in TYPES.items() if get_origin(kind) is Literal]
COUNTS = [name for name, kind in TYPES.items() if kind in (int, int | None)]
SHARES = [
    "untried_choice_share",
    "promising_choice_share",
    "parallel_all_share",
    "single_draw_share",
    "elsewhere_share",
]
CHOICES = [
    *((name, value) for name in NAMED for value in get_args(TYPES[name])),
    *((name, value) for name, kind in TYPES.items() if kind is bool for value in (False, True)),
    *((name, value) for name in COUNTS for value in (SMALL, LARGE)),
    *(("n_noise_sds", value) for value in (0.0, 1e3)),
    *(("crowd_distance", value) for value in (0.0, 0.1)),
    *((name, value) for name in SHARES for value in (0.0, 1.0)),
]
SPACES = {"mixed": MIXED, "floats": cube(3)}


def known_of(space: SearchSpace, is_seeking: bool = False) -> Observations:
    """Eighteen results, of which the centre may be any feasible one; or no objective value."""
    known = observations(space, n=18, n_constraints=2, seed=3)
    may_center = (known.c <= 0).all(axis=1)
    assert 2 <= may_center.sum() < 18 and not may_center[0]
    y = np.full(18, math.nan) if is_seeking else known.y
    return changed(known, y=y, may_center=may_center)


def ask(
    space: SearchSpace, known: Observations, options: Options, seed: int = 0, n_workers: int = 1
) -> Suggestion:
    rng = np.random.default_rng(seed)
    return suggest(space, known, Search(LENGTH, LENGTH_INIT, n_workers), rng, START, options)


@pytest.mark.slow
@pytest.mark.parametrize("is_seeking", [False, True], ids=["", "seeking"])
@pytest.mark.parametrize("where", SPACES)
@pytest.mark.parametrize(("name", "value"), CHOICES)
def test_each_choice_suggests_a_snapped_point_of_its_box(
    name: str, value: object, where: str, is_seeking: bool
) -> None:
    space, options = SPACES[where], replace(DEFAULT, **{name: value})
    known = known_of(space, is_seeking)
    assert_is_right(ask(space, known, options), space, known, LENGTH, options)


def test_all_the_choices_of_the_paper_work_together() -> None:
    paper = Options(
        objective="ranks",
        is_scaled=False,
        is_gap_closed=False,
        is_gap_scaled=False,
        prior="flat",
        box="lengthscales",
        center="observed",
        n_draws=1,
        seeking_box="region",
        refinement="none",
        is_each_choice_refined=False,
        untried_choice_share=0.0,
        promising_choice_share=0.0,
        single_draw_share=1.0,
        elsewhere_share=0.0,
        n_noise_sds=0.0,
        crowd_distance=0.0,
        max_local_points=10**6,
    )
    for space in SPACES.values():
        known = known_of(space)
        suggestion = ask(space, known, paper)
        assert suggestion.center is None
        assert suggestion.side == LENGTH
        assert_is_right(suggestion, space, known, LENGTH, paper)


WITHOUT_EFFECT = {
    "untried_choice_share",
    "promising_choice_share",
    "is_gap_closed",
    "is_gap_scaled",
    "n_noisy_perturbed",
    "n_seeking_perturbed",
    "is_seeking_spread",
    "has_restart_design",
    "parallel_all_share",
    "n_parallel_draws",
    "max_parallel_points",
    "crowd_distance",
    "elsewhere_share",
}
"""On these data no constraint jumps, there is no noise, no crowd, no failing box, one worker
searches, and all choices were tried; the design of a restart is the sampler's."""
SEEKING = {"n_seeking_draws", "seeking_box"}
"""These matter only while no objective value is known."""


def test_a_share_of_the_asks_tries_a_single_new_choice_at_the_centre() -> None:
    space = SearchSpace((Numeric(0.0, 1.0), Categorical(4), Categorical(3)))
    known = observations(space, n=6)
    known = changed(known, may_center=np.ones(6, dtype=bool))
    tried = {tuple(x[1:]) for x in known.x}

    def is_single_new_choice(suggestion: Suggestion) -> bool:
        assert suggestion.center is not None
        center, x = known.x[suggestion.center], suggestion.x
        return x[0] == center[0] and (x != center).sum() == 1 and tuple(x[1:]) not in tried

    for share, expected in ((1.0, range(20, 21)), (0.0, range(1)), (0.5, range(4, 17))):
        options = Options(untried_choice_share=share)
        asked = [ask(space, known, options, seed) for seed in range(20)]
        assert sum(map(is_single_new_choice, asked)) in expected


@pytest.mark.slow
@pytest.mark.parametrize("n_dims", [FEW_DIMS, FEW_DIMS + 1])
@pytest.mark.parametrize("is_seeking", [False, True])
def test_in_few_dimensions_a_share_of_the_asks_goes_by_one_draw_of_the_objective(
    n_dims: int, is_seeking: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_one: list[int] = []
    plain = Path.with_one_draw_of

    def counted(path: Path, output: int) -> Path:
        of_one.append(output)
        return plain(path, output)

    monkeypatch.setattr(Path, "with_one_draw_of", counted)
    known = known_of(cube(n_dims), is_seeking)
    for share, expected in ((1.0, range(20, 21)), (0.0, range(1)), (0.5, range(4, 17))):
        of_one.clear()
        for seed in range(20):
            ask(cube(n_dims), known, Options(single_draw_share=share), seed)
        may = n_dims == FEW_DIMS and not is_seeking
        assert len(of_one) in (expected if may else range(1))
        assert set(of_one) <= {0}


@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize("share", [-0.1, 1.5, math.nan])
def test_a_share_outside_0_and_1_is_refused(name: str, share: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be between 0 and 1, got {share}"):
        Options(**{name: share})  # type: ignore[arg-type]


def test_several_workers_refine_all_coordinates_in_a_share_of_their_asks() -> None:
    # One coordinate of twelve is perturbed in most candidates.
    space = cube(12)
    known = changed(observations(space, n=18, n_constraints=0), may_center=np.eye(18)[4] > 0)

    def n_far(share: float, n_workers: int, refinement: Any = "perturbed") -> int:
        options = Options(n_perturbed=1, parallel_all_share=share, refinement=refinement)
        asked = [ask(space, known, options, seed, n_workers).x for seed in range(12)]
        return sum(int((x != known.x[4]).sum()) > 8 for x in asked)

    assert n_far(1.0, n_workers=1) == n_far(0.0, n_workers=2) == 0
    assert n_far(1.0, n_workers=2) == 12
    assert 2 <= n_far(0.5, n_workers=2) <= 10
    assert n_far(1.0, n_workers=2, refinement="none") == 0


@pytest.mark.parametrize(
    ("refinement", "refined"), [("perturbed", "all"), ("all", "all"), ("none", "none")]
)
def test_several_workers_that_know_no_value_refine_all_coordinates(
    refinement: Any, refined: str
) -> None:
    options = Options(refinement=refinement, parallel_all_share=0.0)
    rng = np.random.default_rng(0)
    assert options.for_workers(2, True, rng).refinement == refined
    assert options.for_workers(2, False, rng).refinement == refinement


@pytest.mark.parametrize(
    ("n_valued", "n_parallel", "n_workers", "n_used"),
    [(400, 100, 1, 400), (400, 100, 2, 100), (50, 100, 2, 50), (50, 100, 1, 50)],
)
def test_the_models_of_several_workers_see_fewer_points_that_have_a_value(
    n_valued: int, n_parallel: int, n_workers: int, n_used: int
) -> None:
    options = Options(max_valued_points=n_valued, max_parallel_points=n_parallel)
    own = options.for_workers(n_workers, False, np.random.default_rng(0))
    assert own.max_valued_points == n_used
    assert own.max_local_points == options.max_local_points


@pytest.mark.parametrize(
    ("n_draws", "n_parallel", "n_workers", "n_used"),
    [(3, 6, 1, 3), (3, 6, 7, 3), (3, 6, 8, 6), (9, 6, 8, 9), (9, 6, 1, 9)],
)
def test_many_workers_draw_more(
    n_draws: int, n_parallel: int, n_workers: int, n_used: int
) -> None:
    options = Options(n_draws=n_draws, n_parallel_draws=n_parallel)
    assert options.for_workers(n_workers, False, np.random.default_rng(0)).n_draws == n_used


def test_one_worker_draws_nothing_for_its_options() -> None:
    # The stream of a search by one worker is that of its seed, whatever several would do.
    rng = np.random.default_rng(0)
    assert DEFAULT.for_workers(1, True, rng) is DEFAULT
    assert rng.random() == np.random.default_rng(0).random()


@pytest.mark.parametrize("n_noisy_perturbed", [1, 6])
def test_under_noise_candidates_move_in_as_many_coordinates_as_that(
    n_noisy_perturbed: int,
) -> None:
    known = observations(cube(6), n=80, n_constraints=0)
    x = np.repeat(known.x[:40], 2, axis=0)  # each point twice, with results that differ
    y = -((x - 0.5) ** 2).sum(axis=1) + 0.2 * np.random.default_rng(0).normal(size=80)
    known = changed(known, x=x, y=y, may_center=np.ones(80, dtype=bool))
    options = Options(n_noisy_perturbed=n_noisy_perturbed, refinement="none")
    n_moved = []
    for seed in range(5):
        suggestion = ask(cube(6), known, options, seed)
        assert suggestion.center is not None
        n_moved.append(int((suggestion.x != known.x[suggestion.center]).sum()))
    if n_noisy_perturbed == 6:
        assert n_moved == [6] * 5
    else:
        assert np.mean(n_moved) < 4


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in TYPES if name not in WITHOUT_EFFECT])
def test_each_choice_makes_a_difference_to_what_is_suggested(name: str) -> None:
    values = [value for own, value in CHOICES if own == name]
    if name in ("max_local_points", "max_valued_points"):
        values = [3, 18]
    elif name == "n_perturbed":
        values = [1, 20]
    known = known_of(MIXED, is_seeking=name in SEEKING)
    if name == "seeking_box":  # nothing near the centre promises to be feasible
        known = changed(known, c=np.abs(known.c) + 1.0)
    if name == "is_error_known":
        known = changed(known, c_sd=np.abs(known.c))

    def has_effect(seed: int) -> bool:
        points = [ask(MIXED, known, replace(DEFAULT, **{name: v}), seed).x for v in values]
        return any((x != points[0]).any() for x in points)

    # Not with every seed: the best of few starts may be the best of many.
    assert any(has_effect(seed) for seed in range(20))


@pytest.mark.parametrize("refinement", ["perturbed", "all", "none"])
def test_only_a_refinement_of_all_coordinates_leaves_none_at_the_centre(refinement: str) -> None:
    # One coordinate of twelve is perturbed in most candidates.
    space = cube(12)
    options = replace(DEFAULT, n_perturbed=1, refinement=refinement)
    known = changed(observations(space, n=18, n_constraints=0), may_center=np.eye(18)[4] > 0)
    for seed in range(3):
        x = ask(space, known, options, seed).x
        n_moved = int((x != known.x[4]).sum())
        assert n_moved > 8 if refinement == "all" else 1 <= n_moved <= 6


BAD_COUNTS = [0, -1, 2.0, math.nan, True, "3", None]


@pytest.mark.parametrize(
    ("name", "value"),
    [(n, v) for n in COUNTS for v in BAD_COUNTS if (n, v) != ("max_valued_points", None)],
)
def test_counts_below_one_or_not_whole_are_refused(name: str, value: object) -> None:
    allowed = " or None" if name == "max_valued_points" else ""
    with pytest.raises(
        ValueError, match=f"{name} must be an integer of at least 1{allowed}, got {value!r}"
    ):
        Options(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMED)
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be .*, got 'nonsense'"):
        Options(**{name: "nonsense"})


@pytest.mark.parametrize("objective", get_args(TYPES["objective"]))
def test_huge_objectives_are_searched_on_whatever_their_transform(objective: str) -> None:
    known = changed(observations(cube(3)), y=np.geomspace(1, 1e308, 12))
    x = ask(cube(3), known, replace(DEFAULT, objective=objective)).x  # type: ignore[arg-type]
    assert ((x >= 0) & (x <= 1)).all()


@pytest.mark.parametrize("name", ["n_noise_sds", "crowd_distance"])
@pytest.mark.parametrize("value", [-0.1, math.inf, math.nan])
def test_a_multiple_below_zero_or_not_finite_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 0, got {value}"):
        Options(**{name: value})  # type: ignore[arg-type]


def test_options_are_compared_by_value_and_cannot_be_changed() -> None:
    assert Options() == DEFAULT != replace(DEFAULT, n_draws=DEFAULT.n_draws + 1)
    assert len(fields(Options)) == len({name for name, _ in CHOICES})
    with pytest.raises(AttributeError):
        DEFAULT.n_draws = 1  # type: ignore[misc]

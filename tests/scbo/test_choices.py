"""Other choices are turned to where the box has little to gain."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from optuna_snn.scbo.choices import (
    MAX_DISTINCT,
    SAME_PLACE,
    distinct_results,
    has_little_to_gain,
    promising_choices,
)
from optuna_snn.scbo.models import fit_models, log_expected_improvement, log_h
from optuna_snn.scbo.observations import Observations
from optuna_snn.scbo.options import DEFAULT, Options
from optuna_snn.scbo.paths import draw_path
from optuna_snn.scbo.slices import slice_of
from optuna_snn.scbo.space import Array, Categorical, Numeric, SearchSpace
from optuna_snn.scbo.step import Step
from optuna_snn.scbo.suggest import Search, suggest
from tests.helpers import cube
from tests.scbo.helpers import CPU, LENGTH_INIT, START, changed, observations

N_CHOICES = 4
SPACE = SearchSpace((Numeric(0.0, 1.0), Categorical(N_CHOICES), Numeric(0.0, 1.0)))
FIRST, *OTHERS = ((k + 0.5) / N_CHOICES for k in range(N_CHOICES))
BEST = np.array([0.3, FIRST, 0.3])


def hill(x: Array) -> Array:
    """The first choice is better than the others everywhere; its best place is (0.3, 0.3)."""
    height: Array = np.where(x[:, 1] == FIRST, 1.0, 0.0)
    return height - ((x[:, [0, 2]] - BEST[[0, 2]]) ** 2).sum(axis=1)


def searched(is_polished: bool, n_each: int = 3) -> Observations:
    """Some results of each choice, then 20 of the first, around its best place or far from it."""
    rng = np.random.default_rng(0)
    spread = SPACE.snap(rng.random((n_each * N_CHOICES, 3)))
    spread[:, 1] = (np.arange(len(spread)) % N_CHOICES + 0.5) / N_CHOICES
    place = 0.3 if is_polished else 0.8
    near = place + 0.01 * rng.standard_normal((20, 3))
    near[:, 1] = FIRST
    near[-1, [0, 2]] = place
    x = np.concatenate([spread[hill(spread) < 0.9], near])
    return changed(
        observations(SPACE, n=len(x)),
        x=x,
        y=hill(x),
        c=-1.0 - x[:, :1],
        tried=x,
        center=x[-1],
        may_center=np.arange(len(x)) == len(x) - 1,
    )


def step_of(
    known: Observations,
    seed: int = 0,
    options: Options = DEFAULT,
    space: SearchSpace = SPACE,
    held: Array | None = None,
) -> Step:
    posterior = fit_models(space, known, START, options)
    part, rng = slice_of(space, held), np.random.default_rng(seed)
    path = draw_path(posterior, rng, options.n_draws)
    return Step(path, part, part.project(center_of(known)), "value", rng, options)


def center_of(known: Observations) -> Array:
    assert known.center is not None
    return known.center


@pytest.mark.parametrize("is_polished", [True, False])
@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6, 1e308])
@pytest.mark.parametrize("objective", ["compressed", "standardised"])
def test_a_box_has_little_to_gain_where_its_best_point_is_no_better_than_the_centre(
    objective: Any, unit: float, is_polished: bool
) -> None:
    options = Options(objective=objective)
    known = searched(is_polished)
    known = changed(known, y=unit * known.y)
    assert has_little_to_gain(step_of(known, options=options), known, BEST) == is_polished


def test_where_all_results_are_alike_there_is_little_to_gain() -> None:
    known = searched(is_polished=True)
    known = changed(known, y=np.full(len(known.y), 0.5))
    assert has_little_to_gain(step_of(known), known, BEST)


@pytest.mark.parametrize("lacking", ["values", "feasible results", "more than four values"])
def test_while_little_is_known_of_what_is_feasible_there_is_much_to_gain(lacking: str) -> None:
    known = searched(is_polished=True)
    step = step_of(known)
    few = np.where(np.arange(len(known.y)) < len(known.y) - 4, np.nan, known.y)
    known = {
        "values": changed(known, y=np.full(len(known.y), np.nan)),
        "feasible results": changed(known, c=np.ones_like(known.c)),
        "more than four values": changed(known, y=few),
    }[lacking]
    assert not has_little_to_gain(step, known, center_of(known))


def test_where_the_best_point_is_not_feasible_feasibility_is_to_be_gained() -> None:
    known = searched(is_polished=True)
    known = changed(known, c=known.x[:, :1] - 0.45)
    step = step_of(known)
    assert has_little_to_gain(step, known, center_of(known))
    assert not has_little_to_gain(step, known, np.array([0.8, FIRST, 0.3]))


def test_better_values_that_are_infeasible_do_not_make_a_gain_little() -> None:
    known = searched(is_polished=False)
    is_last = known.x[:, 1] == OTHERS[-1]
    y, c = np.where(is_last, 1e3, known.y), np.where(is_last[:, None], 1.0, known.c)
    known = changed(known, y=y, c=c)
    assert not has_little_to_gain(step_of(known), known, BEST)


def test_what_is_little_does_not_depend_on_how_many_results_the_models_see() -> None:
    """Nineteen near ones alone differ by little, which is much in the units of their models."""
    known = searched(is_polished=True, n_each=20)
    center = center_of(known)
    known = changed(known, center=center + np.array([0.0, 0.0, 0.03]))
    for n_local in (19, 400):
        step = step_of(known, options=Options(max_local_points=n_local))
        before, after = step.draws_at(np.stack([center_of(known), center])).objective
        assert after > before
        assert has_little_to_gain(step, known, center)


def kinds(known: Observations) -> list[np.ndarray]:
    is_feasible = (known.c <= 0.0).all(axis=1) & ~np.isnan(known.y)
    return [is_feasible, ~is_feasible]


def test_of_results_in_one_place_the_best_is_kept_and_those_without_value_come_last() -> None:
    known = searched(is_polished=True)
    y, c = known.y.copy(), known.c.copy()
    y[:3], c[12:16] = np.nan, 1.0
    known = changed(known, y=y, c=c)
    kept = distinct_results(SPACE, known)
    assert len(kept.x) < len(known.x)
    for before, after in zip(kinds(known), kinds(kept), strict=True):
        features = SPACE.features(kept.x[after])
        distance = np.linalg.norm(features[:, None] - features[None], axis=2)
        np.fill_diagonal(distance, np.inf)
        assert distance.min() > SAME_PLACE * np.sqrt(2)
        assert kept.y[after][0] == np.nanmax(known.y[before])
        n_none = int(np.isnan(kept.y[after]).sum())
        assert n_none == np.isnan(known.y[before]).sum()
        assert not np.isnan(kept.y[after][: after.sum() - n_none]).any()
    rows = [int(np.flatnonzero((known.x == x).all(axis=1))[0]) for x in kept.x]
    assert (kept.c == known.c[rows]).all()
    assert (kept.may_center == known.may_center[rows]).all()


def test_no_more_than_the_best_of_feasible_and_of_infeasible_results_are_kept() -> None:
    known = observations(cube(3), n=6 * MAX_DISTINCT)
    known = changed(known, y=known.y + 5.0 * known.c[:, 0], c_sd=np.zeros_like(known.c))
    kept = distinct_results(cube(3), known)
    assert kept.c_sd is not None
    assert {len(array) for array in (kept.x, kept.y, kept.c, kept.c_sd)} == {2 * MAX_DISTINCT}
    for before, after in zip(kinds(known), kinds(kept), strict=True):
        assert after.sum() == MAX_DISTINCT
        assert kept.y[after].max() == known.y[before].max()


def test_all_distinct_results_are_seen_also_where_several_workers_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = observations(SPACE, n=300)
    known = changed(known, y=np.round(known.y), center=None)
    options = Options(promising_choice_share=1.0, max_local_points=40, max_valued_points=20)
    step = replace(step_of(changed(known, center=known.x[0])), options=options)
    seen: list[int] = []

    def fit(space: SearchSpace, few: Observations, *words: Any) -> Any:
        posterior = fit_models(space, few, *words)
        seen.append(len(posterior.data.X))
        return posterior

    monkeypatch.setattr("optuna_snn.scbo.choices.fit_models", fit)
    monkeypatch.setattr("optuna_snn.scbo.choices.has_little_to_gain", lambda *_: True)
    assert len(promising_choices(step, known, known.x[0], LENGTH_INIT, CPU)) > 0
    assert seen == [len(distinct_results(SPACE, known).x)]


@pytest.mark.parametrize(("n_failed", "is_turned_to"), [(1, True), (2, False)])
def test_a_choice_that_always_failed_is_not_promising(n_failed: int, is_turned_to: bool) -> None:
    known = searched(is_polished=True)
    is_other = known.x[:, 1] == OTHERS[-1]
    failed = known.x[is_other][:n_failed]
    assert len(failed) == n_failed
    tried = np.concatenate([known.x[~is_other], failed])
    few = changed(known, x=known.x[~is_other], y=known.y[~is_other], c=known.c[~is_other])
    few = changed(few, tried=tried, failed=failed, may_center=known.may_center[~is_other])
    assert (OTHERS[-1] in promising(few, SPACE)[:, 1]) == is_turned_to


def test_where_all_other_choices_fail_nothing_is_promising() -> None:
    known = searched(is_polished=True)
    is_first = known.x[:, 1] == FIRST
    few = changed(known, x=known.x[is_first], y=known.y[is_first], c=known.c[is_first])
    few = changed(few, may_center=known.may_center[is_first], failed=known.x[~is_first])
    assert len(promising(few, SPACE)) == 0


@pytest.mark.parametrize(
    ("share", "is_polished", "least", "most"),
    [(0.5, True, 5, 15), (1.0, True, 20, 20), (0.0, True, 0, 0), (1.0, False, 0, 0)],
)
def test_a_share_of_the_asks_turns_to_other_choices_where_the_box_is_polished(
    share: float, is_polished: bool, least: int, most: int
) -> None:
    known = searched(is_polished)
    options = Options(
        promising_choice_share=share,
        untried_choice_share=0.0,
        is_each_choice_refined=False,
        single_draw_share=0.0,
        crowd_distance=0.0,
    )
    n_turned = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = suggest(SPACE, known, Search(0.1, LENGTH_INIT), rng, START, options).x
        n_turned += x[1] != FIRST
    assert least <= n_turned <= most


def promising(known: Observations, space: SearchSpace, held: Array | None = None) -> Array:
    step = step_of(known, options=Options(promising_choice_share=1.0), space=space, held=held)
    assert step.center is not None
    return promising_choices(step, known, step.center, LENGTH_INIT, CPU)


def test_promising_points_are_of_other_choices_the_best_by_expected_improvement_first() -> None:
    known = searched(is_polished=True)
    found = promising(known, SPACE)
    assert set(found[:, 1]) == set(OTHERS)
    posterior = fit_models(SPACE, distinct_results(SPACE, known), START, DEFAULT)
    drawn = SPACE.snap(np.random.default_rng(2).random((500, 3)))
    drawn = drawn[drawn[:, 1] != FIRST]
    both = np.concatenate([found, drawn])
    values = log_expected_improvement(posterior, SPACE, center_of(known), both)
    assert (np.diff(values[: len(found)]) <= 0.0).all()
    assert values[0] >= np.quantile(values[len(found) :], 0.98)


def test_promising_points_of_a_slice_have_its_coordinates_alone() -> None:
    found = promising(searched(is_polished=True), SPACE, np.array([0.3, np.nan, np.nan]))
    assert set(found[:, 0]) == set(OTHERS)
    assert found.shape[1] == 2


def test_a_space_without_choices_has_no_promising_ones() -> None:
    assert promising(observations(cube(3)), cube(3)).shape == (0, 3)


def test_expected_improvement_is_the_integral_over_what_is_better_and_feasible() -> None:
    known = observations(SPACE, n=12, n_constraints=2)
    posterior = fit_models(SPACE, known, START, DEFAULT)
    x = SPACE.snap(np.random.default_rng(1).random((11, 3)))
    found = log_expected_improvement(posterior, SPACE, x[0], x[1:])
    means, sds = posterior.mean_and_sd(torch.as_tensor(SPACE.features(x)))
    mean, sd = means.numpy(), sds.numpy()
    for i, log_value in enumerate(found, start=1):
        objective = norm(mean[0, i], sd[0, i])
        low, high = mean[0, 0], max(mean[0, 0], mean[0, i]) + 12.0 * sd[0, i]
        gain = quad(lambda v, low=low, own=objective: (v - low) * own.pdf(v), low, high)[0]
        feasible = norm.cdf(-mean[1:, i] / sd[1:, i]).prod()
        assert np.exp(log_value) == pytest.approx(gain * feasible, rel=1e-5, abs=1e-12)


@pytest.mark.parametrize("z", [-1e8, -1e5, -1.01e4, -0.99e4, -300.0, -5.0, -1.1, -0.9, -0.1])
def test_points_of_next_to_no_promise_are_still_told_apart(z: float) -> None:
    """By h(z) = phi(z) / z^2 int_0^inf s exp(-s - s^2 / (2 z^2)) ds for z < 0."""
    integral = quad(lambda s: s * np.exp(-s - 0.5 * (s / z) ** 2), 0.0, np.inf)[0]
    expected = norm.logpdf(z) - 2.0 * np.log(-z) + np.log(integral)
    assert log_h(np.array([z]))[0] == pytest.approx(expected, rel=1e-9)
    below, above = log_h(np.array([z * 1.001, z * 0.999]))
    assert below < above

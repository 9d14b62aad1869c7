"""Every kind of search space goes through the sampler."""

from typing import Any

import optuna
import pytest
from optuna.distributions import IntDistribution
from optuna.trial import Trial, TrialState

from optuna_snn import SCBOSampler
from optuna_snn.history import read_tag
from tests.helpers import bowl, finished_trial, n_modelled, optimised, params_of


def test_one_dimension_is_enough() -> None:
    study = optimised(bowl(1), n_trials=11)
    assert study.best_value < 1e-3


def test_a_parameter_that_was_added_later_is_drawn_on_its_own() -> None:
    def objective(trial: Trial) -> float:
        y = bowl(2)(trial)
        return y + (trial.suggest_float("later", 5, 6) if trial.number >= 5 else 0.0)

    study = optimised(objective, n_trials=9)
    assert all(5 <= p["later"] <= 6 for p in params_of(study)[5:])
    assert {t.tag.n_dims for t in map(read_tag, study.trials) if t} == {2}


@pytest.mark.parametrize(
    "bounds", [(0.4, 0.6), (-3.0, 3.0), (2.0, 3.0)], ids=["narrow", "wide", "apart"]
)
def test_a_range_that_changed_is_respected(bounds: tuple[float, float]) -> None:
    def objective(trial: Trial) -> float:
        low, high = (0.0, 1.0) if trial.number < 5 else bounds
        return trial.suggest_float("x", low, high) + trial.suggest_float("y", 0, 1)

    study = optimised(objective, n_trials=10, warn_independent_sampling=False)
    assert all(bounds[0] <= p["x"] <= bounds[1] for p in params_of(study)[5:])
    assert n_modelled(study) > 0


def test_conditional_parameters_leave_the_shared_ones_to_the_model() -> None:
    def objective(trial: Trial) -> float:
        kind = trial.suggest_categorical("kind", ["a", "b"])
        x = trial.suggest_float("x", 0, 1)
        return x + trial.suggest_float(f"only {kind}", 0, 1)

    study = optimised(objective, n_trials=10, warn_independent_sampling=False)
    assert n_modelled(study) == 7
    assert {t.tag.n_dims for t in map(read_tag, study.trials) if t and not t.tag.is_initial} == {2}


def test_thousands_of_choices_are_searched() -> None:
    choices = [f"c{k}" for k in range(4000)]

    def objective(trial: Trial) -> float:
        choice = trial.suggest_categorical("choice", choices)
        return trial.suggest_float("x", 0, 1) + int(choice[1:]) / 4000

    study = optimised(objective)
    assert len({p["choice"] for p in params_of(study)}) >= 4


def test_a_tiny_discrete_space_is_searched_without_repetition_and_then_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def objective(trial: Trial) -> float:
        n = trial.suggest_int("n", 1, 4, log=True)
        choice = trial.suggest_categorical("choice", [None, "b"])
        return n + trial.suggest_float("step", 0.1, 0.3, step=0.1) + (choice is None)

    study = optimised(objective, n_trials=27, n_startup_trials=16)
    points = [tuple(p.values()) for p in params_of(study)]
    assert len(set(points[:24])) == 24 == len(set(points))
    (said,) = [r.getMessage() for r in caplog.records if r.name.startswith("optuna_snn")]
    assert said.startswith("All 24 points of the search space have been tried")


@pytest.mark.parametrize("state", [TrialState.FAIL, TrialState.PRUNED])
def test_points_whose_trials_taught_nothing_are_not_taken_again(state: TrialState) -> None:
    study = optuna.create_study(sampler=SCBOSampler(seed=0, n_startup_trials=2))
    space = {"n": IntDistribution(0, 7)}
    study.add_trials([finished_trial({"n": k}, float(k), distributions=space) for k in range(3)])
    study.add_trials(
        [finished_trial({"n": k}, state=state, distributions=space) for k in range(3, 7)]
    )
    assert study.ask(space).params == {"n": 7}


def test_asks_under_way_at_once_take_different_points_of_a_discrete_space() -> None:
    study = optimised(lambda t: float(t.suggest_int("n", 0, 11)), n_trials=4)
    asked = [study.ask() for _ in range(8)]
    values = [t.suggest_int("n", 0, 11) for t in asked]
    assert len(set(values) | {p["n"] for p in params_of(study)}) == 12


def grid(trial: Trial) -> float:
    return float(trial.suggest_int("n", 0, 9) + trial.suggest_categorical("k", range(5)))


@pytest.mark.parametrize("n_told", [3, 12], ids=["in the design", "with a model"])
@pytest.mark.parametrize("is_ended", [False, True], ids=["and runs it", "and ended it"])
def test_a_point_that_another_takes_while_it_is_chosen_is_given_up(
    n_told: int, is_ended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = optimised(grid, n_trials=n_told, n_startup_trials=6)
    choose, taken = SCBOSampler._choose, []

    def overtaken(*asked: Any) -> Any:
        choice = choose(*asked)
        if len(taken) < 2:
            distributions = asked[-1].distributions
            taken.append(dict(choice.params))
            study.add_trial(
                optuna.create_trial(
                    state=TrialState.COMPLETE if is_ended else TrialState.RUNNING,
                    params=taken[-1], distributions=distributions,
                    values=[1.0] if is_ended else None,
                )
            )  # fmt: skip
        return choice

    monkeypatch.setattr(SCBOSampler, "_choose", overtaken)
    trial = study.ask()
    grid(trial)
    assert len(taken) == 2
    points = [tuple(sorted(p.items())) for p in params_of(study)]
    assert len(set(points)) == len(points) == n_told + 3


def test_of_a_space_whose_last_point_another_takes_points_are_chosen_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def pair(trial: Trial) -> float:
        return float(trial.suggest_int("n", 0, 3))

    study = optimised(pair, n_trials=3, n_startup_trials=2)
    choose, n_choices = SCBOSampler._choose, []

    def overtaken(*asked: Any) -> Any:
        n_choices.append(1)
        if len(n_choices) == 1:
            left = {0, 1, 2, 3} - {p["n"] for p in params_of(study) if p}
            space = {"n": IntDistribution(0, 3)}
            study.add_trial(finished_trial({"n": left.pop()}, 1.0, distributions=space))
        return choose(*asked)

    monkeypatch.setattr(SCBOSampler, "_choose", overtaken)
    assert study.ask().suggest_int("n", 0, 3) in range(4)
    assert len(n_choices) == 1


def test_a_wrapper_that_fixes_parameters_is_followed() -> None:
    sampler = optuna.samplers.PartialFixedSampler(
        {"x0": 0.5}, SCBOSampler(seed=0, n_startup_trials=3)
    )
    study = optuna.create_study(sampler=sampler)
    study.optimize(bowl(3), n_trials=6)
    assert {p["x0"] for p in params_of(study)} == {0.5}
    assert {t.tag.n_dims for t in map(read_tag, study.trials) if t} == {2}

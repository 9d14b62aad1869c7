"""Every kind of trial goes through the sampler."""

import logging
import math
import warnings
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import Trial, TrialState

from optuna_snn import SCBOSampler
from optuna_snn.history import History, observe, read_state, read_tag
from optuna_snn.scbo.trust_region import Settings
from tests.helpers import bowl, finished_trial, n_modelled, optimised, params_of, tag


@pytest.mark.parametrize("value", [math.inf, -math.inf, 1e308, -1e-320, 7.0])
def test_constant_and_infinite_objectives_are_searched_on(value: float) -> None:
    def objective(trial: Trial) -> float:
        trial.suggest_float("x", 0, 1)
        trial.suggest_int("n", 0, 100)
        return value

    study = optimised(objective)
    assert n_modelled(study) == 3
    assert len({tuple(p.values()) for p in params_of(study)}) == 6


def test_nan_objectives_fail_and_teach_nothing() -> None:
    study = optimised(lambda t: math.nan if t.number % 2 else bowl(2)(t), n_trials=10)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE, TrialState.FAIL] * 5
    assert n_modelled(study) > 0


@pytest.mark.parametrize("c", [math.inf, -math.inf, 1e308, -1e308, 5e-324])
def test_infinite_and_extreme_constraints_are_searched_on(c: float) -> None:
    def objective(trial: Trial) -> float:
        y = bowl(2)(trial)
        trial.set_constraint("c", c if trial.number % 2 else -1.0)
        return y

    study = optimised(objective)
    assert n_modelled(study) == 3
    incumbent = read_state(study).incumbent
    assert incumbent is not None and incumbent.is_feasible


def test_a_study_of_pruned_trials_alone_learns_from_their_constraints() -> None:
    def objective(trial: Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        trial.suggest_float("y", 0, 1)
        trial.set_constraint("silent", abs(x - 0.9) - 0.01)
        raise optuna.TrialPruned

    study = optimised(objective, n_trials=18)
    assert n_modelled(study) == 15
    assert min(abs(p["x"] - 0.9) for p in params_of(study)[3:]) < 0.02


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_the_search_leaves_where_one_constraint_holds_and_a_dead_layer_stays_dead(
    seed: int,
) -> None:
    def objective(trial: Trial) -> float:
        x = [trial.suggest_float(f"x{i}", 0, 1) for i in range(4)]
        trial.set_constraint("graded", x[0] + 0.3 * x[2] - 0.5)
        trial.set_constraint("dead", -0.1 if x[1] > 0.9 and x[0] > 0.3 else 0.9)
        if max(trial.constraints.values()) > 0.0:
            raise optuna.TrialPruned
        trial.study.stop()
        return 1.0

    study = optuna.create_study(sampler=SCBOSampler(seed=seed))
    study.optimize(objective, n_trials=40)
    assert study.trials[-1].state == TrialState.COMPLETE


def test_pruned_trials_without_value_or_constraint_teach_nothing_and_stop_nothing() -> None:
    def objective(trial: Trial) -> float:
        bowl(2)(trial)
        raise optuna.TrialPruned

    study = optimised(objective)
    assert len({tuple(p.values()) for p in params_of(study)}) == 6


def test_a_study_of_failures_alone_stays_in_the_initial_design() -> None:
    def objective(trial: Trial) -> float:
        bowl(2)(trial)
        raise RuntimeError

    study = optuna.create_study(sampler=SCBOSampler(seed=0, n_startup_trials=2))
    study.optimize(objective, n_trials=6, catch=RuntimeError)
    assert n_modelled(study) == 0
    assert len({tuple(p.values()) for p in params_of(study)}) == 6


def test_a_missing_constraint_is_said_once_and_never_makes_the_best(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def objective(trial: Trial) -> float:
        y = bowl(2)(trial)
        trial.set_constraint("a", -1.0)
        if trial.number % 3:
            trial.set_constraint("b", -1.0)
        return y if trial.number % 3 else -100.0

    with caplog.at_level(logging.WARNING, "optuna_snn"):
        study = optimised(objective, n_trials=10)
    (message,) = [r.getMessage() for r in caplog.records]
    assert message.startswith("Trial 0 lacks the constraint(s) ['b']")
    incumbent = read_state(study).incumbent
    assert incumbent is not None and incumbent.number % 3 and n_modelled(study) == 7


def test_what_is_observed_of_each_kind_of_trial() -> None:
    study = optuna.create_study()
    unit = dict.fromkeys(["x"], FloatDistribution(0, 1))
    for k, (state, value, constraints) in enumerate(
        [
            (TrialState.COMPLETE, 1.0, {"a": -1.0, "b": -2.0}),
            (TrialState.FAIL, None, {"a": -1.0}),
            (TrialState.PRUNED, None, {"b": 3.0}),
            (TrialState.PRUNED, None, {}),
        ]
    ):
        study.add_trial(
            finished_trial(
                {"x": k / 10}, value, constraints=constraints, state=state, finished_at=k
            )
        )
    running, asking = study.ask(unit), study.ask()
    snapshot = History(Settings()).read(study, asking._cached_frozen_trial, unit)
    names, known, _ = observe(snapshot, unit)
    assert names == ["a", "b"]
    np.testing.assert_equal(known.x, [[0.0], [0.2]])
    np.testing.assert_equal(known.y, [-1.0, math.nan])
    np.testing.assert_equal(known.c, [[-1.0, -2.0], [math.nan, 3.0]])
    np.testing.assert_equal(known.failed, [[0.1]])
    np.testing.assert_equal(known.pending, [[running.params["x"]]])
    np.testing.assert_equal(known.center, [0.0])


def test_trials_at_the_same_point_are_searched_on() -> None:
    study = optuna.create_study()
    study.add_trials(
        [finished_trial({"x0": 0.5, "x1": 0.5}, k % 3, finished_at=k) for k in range(9)]
    )
    optimised(bowl(2, 0, 1), study=study)
    assert n_modelled(study) == 6


def test_an_enqueued_good_point_becomes_the_centre_and_carries_no_tag() -> None:
    third = 1 / 3
    study = optimised(bowl(2, 0, 1), n_trials=5)
    study.enqueue_trial({"x0": third, "x1": third})
    study.optimize(bowl(2, 0, 1), n_trials=2)
    enqueued, following = study.trials[5:]
    assert enqueued.params == {"x0": third, "x1": third} and read_tag(enqueued) is None
    tag = read_tag(following)
    assert tag is not None and tag.center == 5


def study_after_a_restart() -> tuple[optuna.Study, dict[str, Any]]:
    """A study whose first epoch has ended, the best of it without a tag; and its settings."""
    settings = {"length_init": 0.5, "length_min": 0.4, "failure_tolerance": 3}
    study = optuna.create_study()
    for k in range(5):
        params = {"x0": 0.4 + 0.1 * k, "x1": 0.5}
        value = sum((x - 1 / 3) ** 2 for x in params.values())
        own = None if k == 0 else tag(length=0.5)
        study.add_trial(finished_trial(params, value, finished_at=k, tag=own))
    state = read_state(study, Settings(**settings))
    assert state.region.epoch == 1 and state.incumbent is None
    return study, settings


def test_after_a_restart_an_enqueued_good_point_becomes_the_centre_as_before_it() -> None:
    study, settings = study_after_a_restart()
    study.enqueue_trial({"x0": 1 / 3, "x1": 1 / 3})
    optimised(bowl(2, 0, 1), n_trials=5, study=study, **settings)
    enqueued, *following = study.trials[5:]
    assert enqueued.params == {"x0": 1 / 3, "x1": 1 / 3} and read_tag(enqueued) is None
    tags = [t for t in map(read_tag, following) if t is not None and not t.tag.is_initial]
    centers = [t.center for t in tags if t.tag.epoch == 1]
    assert centers and set(centers) == {enqueued.number}


def test_after_a_restart_only_its_own_trials_and_an_untagged_incumbent_may_be_the_centre() -> None:
    study, settings = study_after_a_restart()
    later = [  # value, constraint, tag
        (0.3, {"c": -1.0}, tag(1, 1, 0.5)),
        (0.2, {"c": -1.0}, None),
        (0.1, {"c": -1.0}, tag(0, 0, 0.5)),
        (0.0, {"c": 1.0}, None),
        (0.4, {"c": -1.0}, None),
    ]
    for k, (value, c, own) in enumerate(later):
        params = {"x0": 0.1 * k, "x1": 0.9}
        study.add_trial(finished_trial(params, value, constraints=c, finished_at=9 + k, tag=own))
    asking, space = study.ask()._cached_frozen_trial, study.trials[0].distributions
    snapshot = History(Settings(**settings)).read(study, asking, space)
    _, known, numbers = observe(snapshot, space)
    assert snapshot.state.incumbent is not None and snapshot.state.incumbent.number == 6
    assert [n for n, may in zip(numbers, known.may_center, strict=True) if may] == [5, 6]


def test_a_partly_enqueued_trial_keeps_what_was_given_and_carries_no_tag() -> None:
    study = optimised(bowl(2, 0, 1), n_trials=5)
    study.enqueue_trial({"x0": 0.125})
    study.optimize(bowl(2, 0, 1), n_trials=2)
    assert study.trials[5].params["x0"] == 0.125 and 0 <= study.trials[5].params["x1"] <= 1
    assert read_tag(study.trials[5]) is None and read_tag(study.trials[6]) is not None


def test_an_enqueued_point_outside_the_range_stops_nothing() -> None:
    study = optimised(bowl(2), n_trials=5)
    study.enqueue_trial({"x0": 9.0, "x1": -1 / 3})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Optuna's own, of the fixed value
        study.optimize(lambda t: bowl(2)(t) - 1e3 * (t.number == 5), n_trials=5)
    assert all(-1 <= p["x0"] <= 1 for p in params_of(study)[6:])


def test_foreign_trials_are_data_and_may_be_the_centre() -> None:
    study = optuna.create_study()
    unit = FloatDistribution(-1, 1)
    distributions = {"x0": unit, "x1": unit}
    for k in range(6):
        params = {"x0": -1 / 3 + 0.1 * k, "x1": -1 / 3}
        study.add_trial(
            finished_trial(params, 0.01 * k**2, finished_at=k, distributions=distributions)
        )
    optimised(bowl(2), n_trials=4, study=study, n_startup_trials=6)
    tags = [read_tag(t) for t in study.trials]
    assert tags[:6] == [None] * 6
    assert tags[6] is not None and tags[6].center == 0 and not tags[6].tag.is_initial


def test_results_told_through_the_storage_alone_count_as_any_other() -> None:
    # As the dashboard tells: no after_trial. Nothing may be counted there.
    told, optimised_ = (
        optuna.create_study(sampler=SCBOSampler(seed=0, n_startup_trials=3)) for _ in "ab"
    )
    optimised_.optimize(bowl(2), n_trials=9)
    for _ in range(9):
        trial = told.ask()
        value = bowl(2)(trial)
        told._storage.set_trial_state_values(trial._trial_id, TrialState.COMPLETE, [value])
    assert params_of(told) == params_of(optimised_)
    assert read_state(told) == read_state(optimised_)

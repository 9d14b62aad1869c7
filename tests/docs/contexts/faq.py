"""What the answers say of their studies."""

import logging

import pytest


def check_the_silent(names):
    trials = names["study"].trials
    assert any(trial.state.name == "PRUNED" for trial in trials)
    assert all(set(trial.constraints) == {"silent/output"} for trial in trials)


def check_that_constraints_are_set(names):
    trials = names["study"].trials
    assert any(trial.state.name == "PRUNED" for trial in trials)
    assert all("size" in trial.constraints for trial in trials)


def check_the_killed(names):
    assert names["search_trace"](names["study"])[-1].n_running == 2
    assert names["study"].trials[11].state.name == "RUNNING"


def check_the_startup(names):
    initial = [ask.is_initial for ask in names["search_trace"](names["study"])]
    assert initial == [True] * 4 + [False] * 3  # the first trial of a study has no trace


def check_the_center(names):
    study = names["study"]
    assert 0 in {ask.center for ask in names["search_trace"](study)}


def check_the_added(names):
    study, sphere = names["study"], names["sphere"]
    study.optimize(sphere, n_trials=2)
    assert study.trials[12].value == 1.25
    assert names["search_trace"](study)[-1].n_dims == 2, "both parameters are still shared"


def check_the_mixture(names):
    trace = names["search_trace"](names["study"])
    assert [(ask.number, ask.is_initial) for ask in trace] == [(n, False) for n in range(15, 20)]


def check_that_all_differ(names):
    assert len({tuple(trial.params.values()) for trial in names["study"].trials}) == 16


def check_that_all_were_tried(names):
    study = names["study"]
    assert len({tuple(trial.params.values()) for trial in study.trials}) == 12
    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logger = logging.getLogger("optuna_snn.sampler")
    logger.addHandler(handler)
    study.optimize(
        lambda trial: trial.suggest_int("a", 0, 3) * trial.suggest_categorical("b", [1, 2, 3]),
        n_trials=1,
    )
    logger.removeHandler(handler)
    assert any("All 12 points" in message for message in messages)


def check_the_budget(names):
    assert 15 < names["study"].best_trial.params["rate"] <= 25


def check_several_objectives(names):
    trials = names["study"].trials
    assert {trial.state.name for trial in trials} == {"COMPLETE", "PRUNED"}
    assert all(trial.constraints for trial in trials)
    import optuna

    study = optuna.create_study(directions=["minimize"] * 2, sampler=names["SCBOSampler"]())
    with pytest.raises(ValueError, match="multi-objective"):
        study.optimize(names["two_objectives"], n_trials=1)


def check_the_replay(names):
    found = names["stricter"]
    assert len(found.trials) == 15
    assert found.n_stopped + found.n_kept + found.n_unknown == 15


CHECKS = {
    "for k, v in trial.constraints.items()": check_the_silent,
    'trial.set_constraint("size"': check_that_constraints_are_set,
    "stands for a killed trial": check_the_killed,
    "n_startup_trials=5": check_the_startup,
    "enqueue_trial": check_the_center,
    "create_trial(": check_the_added,
    "TPESampler(seed=0)": check_the_mixture,
    "load_study": check_that_all_differ,
    "# all 12": check_that_all_were_tried,
    'set_constraint("energy"': check_the_budget,
    "two_objectives": check_several_objectives,
    "stricter = replay": check_the_replay,
}

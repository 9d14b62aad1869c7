"""Progress: every trial is of one kind, and the best one keeps every constraint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FrozenTrial, TrialState

from optuna_snn.monitor import SpikeMonitor
from optuna_snn.pruner import SpikeActivityPruner
from optuna_snn.spikes.report import OverLayers
from optuna_snn.spikes.rules import RuleName
from optuna_snn.stored_spikes import SPIKES_KEY
from optuna_snn.workers.display.progress import (
    ProgressReader,
    best_trials,
    constraint_names,
    is_feasible,
    kind_of,
    saturated_layers,
    silent_layers,
    stopped_by,
)


def trial(
    state: TrialState,
    value: float | None = None,
    constraints: Mapping[str, float] | None = None,
    number: int = 0,
    user_attrs: Mapping[str, object] | None = None,
) -> FrozenTrial:
    frozen = optuna.create_trial(
        state=state,
        value=value,
        constraints=dict(constraints or {}),
        user_attrs=dict(user_attrs or {}),
    )
    frozen.number = number
    return frozen


@pytest.mark.parametrize(
    ("state", "constraints", "kind"),
    [
        (TrialState.COMPLETE, {"silent/a": 0.5}, "complete"),
        (TrialState.PRUNED, {"silent/a": 0.5}, "silent"),
        (TrialState.PRUNED, {"silent/a": 0.0}, "pruned"),
        (TrialState.PRUNED, {"silent/a": -0.1, "saturated/a": 0.5}, "saturated"),
        (TrialState.PRUNED, {"silent/a": 0.5, "saturated/a": 0.5}, "silent"),
        (TrialState.PRUNED, {"saturated/a": 0.0}, "pruned"),
        (TrialState.COMPLETE, {"saturated/a": 0.5}, "complete"),
        (TrialState.PRUNED, {"energy": 0.5}, "pruned"),
        (TrialState.PRUNED, {}, "pruned"),
        (TrialState.FAIL, {"silent/a": 0.5}, "failed"),
        (TrialState.RUNNING, {"silent/a": 0.5}, "running"),
        (TrialState.WAITING, {}, "waiting"),
    ],
)
def test_each_trial_is_of_one_kind(
    state: TrialState, constraints: dict[str, float], kind: str
) -> None:
    value = 1.0 if state == TrialState.COMPLETE else None
    assert kind_of(trial(state, value, constraints)) == kind


def monitored(
    rule: RuleName,
    *,
    over_layers: OverLayers = "any",
    counts: Mapping[str, Sequence[int]],
    pruner: optuna.pruners.BasePruner | None = None,
) -> FrozenTrial:
    """A trial that trains for ten looks, unless it is pruned before."""
    study = optuna.create_study(pruner=SpikeActivityPruner(pruner))

    def objective(trial: optuna.Trial) -> float:
        with SpikeMonitor(trial, rule=rule, over_layers=over_layers, warmup=0) as monitor:
            for look in range(10):
                for layer, spikes in counts.items():
                    monitor.update(layer, spikes)
                trial.report(0.0, look)
                if trial.should_prune():
                    raise optuna.TrialPruned
        return 0.0

    study.optimize(objective, n_trials=1)
    return study.trials[0]


SOME_SILENT = [0, 0] + [9] * 14
ALL_PRUNED = optuna.pruners.ThresholdPruner(upper=-1.0, n_warmup_steps=5)


@pytest.mark.parametrize("rule", ["record", "sequential"])
def test_a_trial_of_another_pruner_was_not_stopped_by_its_spikes(rule: RuleName) -> None:
    pruned = monitored(rule, counts={"a": SOME_SILENT}, pruner=ALL_PRUNED)
    assert pruned.state is TrialState.PRUNED
    assert silent_layers(pruned) == ["a"]  # the constraint is violated all the same
    assert kind_of(pruned) == "pruned"
    assert stopped_by(pruned) == {"silent": [], "saturated": []}
    counted = ProgressReader("minimize").read([pruned]).n_by_kind
    assert counted == {"pruned": 1}


def test_who_is_stopped_by_all_layers_together_is_stopped_by_each() -> None:
    dead = [0] * 16
    counts = {"a": dead, "b": dead}
    stopped = monitored("sequential", over_layers="all", counts=counts)
    assert stopped.state is TrialState.PRUNED
    assert silent_layers(stopped) == ["all"]
    assert kind_of(stopped) == "silent"
    assert stopped_by(stopped) == {"silent": ["a", "b"], "saturated": []}


def test_a_layer_that_is_not_silent_itself_has_stopped_nothing() -> None:
    stopped = monitored("sequential", counts={"alive": SOME_SILENT, "dead": [0] * 16})
    assert silent_layers(stopped) == ["alive", "dead"]
    assert stopped_by(stopped) == {"silent": ["dead"], "saturated": []}


def test_a_report_that_cannot_be_read_leaves_it_to_the_constraints() -> None:
    foreign = trial(TrialState.PRUNED, None, {"silent/a": 0.5}, 0, {SPIKES_KEY: {"version": 99}})
    assert kind_of(foreign) == "silent"


def test_silent_layers_are_those_whose_silence_is_too_large() -> None:
    constraints = {"silent/b": 0.1, "silent/a": 0.2, "silent/c": -0.1, "energy": 3.0}
    assert silent_layers(trial(TrialState.PRUNED, None, constraints)) == ["a", "b"]


def test_saturated_layers_are_told_apart_from_silent_ones() -> None:
    constraints = {"saturated/b": 0.1, "silent/a": 0.2, "saturated/c": -0.1}
    stopped = trial(TrialState.PRUNED, None, constraints)
    assert (silent_layers(stopped), saturated_layers(stopped)) == (["a"], ["b"])


def test_a_saturated_trial_counts_against_the_budget() -> None:
    stopped = trial(TrialState.PRUNED, None, {"saturated/a": 0.5})
    assert ProgressReader("minimize").read([stopped]).n_counted == 1


def test_zero_is_feasible_and_a_missing_constraint_is_not() -> None:
    names = frozenset({"a", "b"})
    complete = TrialState.COMPLETE
    assert is_feasible(trial(complete, 1.0, {"a": 0.0, "b": -1.0}), names)
    assert not is_feasible(trial(complete, 1.0, {"a": 1e-12, "b": -1.0}), names)
    assert not is_feasible(trial(complete, 1.0, {"a": -1.0}), names)
    assert is_feasible(trial(complete, 1.0), frozenset())


def test_constraints_of_failed_and_running_trials_bind_nobody() -> None:
    trials = [
        trial(TrialState.FAIL, None, {"typo": 1.0}),
        trial(TrialState.RUNNING, None, {"unfinished": 1.0}),
        trial(TrialState.PRUNED, None, {"silent/a": 1.0}),
        trial(TrialState.COMPLETE, 1.0, {"energy": 0.0}),
    ]
    assert constraint_names(trials) == {"silent/a", "energy"}


outcomes = st.tuples(
    st.sampled_from([TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL]),
    st.floats(-10, 10),
    st.sampled_from([None, -0.5, 0.0, 0.5]),
)


@given(st.lists(outcomes, max_size=10), st.sampled_from(["minimize", "maximize"]))
def test_the_best_trial_is_the_first_best_of_the_feasible_complete_ones(
    drawn: list[tuple[TrialState, float, float | None]], direction: str
) -> None:
    trials = [
        trial(
            state,
            value if state == TrialState.COMPLETE else None,
            {} if c is None else {"c": c},
            number,
        )
        for number, (state, value, c) in enumerate(drawn)
    ]
    knows_c = any(s != TrialState.FAIL and c is not None for s, _, c in drawn)
    feasible = [
        (value, number)
        for number, (state, value, c) in enumerate(drawn)
        if state == TrialState.COMPLETE and (c <= 0 if c is not None else not knows_c)
    ]
    best = best_trials(trials, direction, 1)
    if not feasible:
        assert best == []
    else:
        pick = min if direction == "minimize" else max
        top = pick(value for value, _ in feasible)
        assert best[0].number == min(n for value, n in feasible if value == top)


def silent_study() -> optuna.Study:
    """Two silent trials of 100 planned samples, stopped after 60 and 80; one that ran to the end.

    A FAIL is added which would have saved 90.
    """

    def objective(trial: optuna.Trial) -> float:
        n_seen = trial.suggest_int("n", 1, 100)
        spikes = trial.suggest_int("spikes", 0, 9)
        with SpikeMonitor(trial, warmup=0, planned_samples=100) as monitor:
            monitor.update("out", np.full(n_seen, spikes))
        if trial.number == 3:
            raise ValueError("boom")
        if monitor.is_silent:
            raise optuna.TrialPruned
        return 1.0

    study = optuna.create_study(direction="maximize")
    for n, spikes in ((60, 0), (80, 0), (100, 5), (10, 0)):
        study.enqueue_trial({"n": n, "spikes": spikes})
    study.optimize(objective, n_trials=4, catch=(ValueError,))
    return study


def test_samples_saved_are_those_that_silent_networks_were_spared() -> None:
    study = silent_study()
    study.ask()
    study.enqueue_trial({"n": 5, "spikes": 0})
    progress = ProgressReader("maximize").read(study.get_trials())
    assert (progress.samples_saved, progress.samples_planned) == (40 + 20, 300)
    assert progress.n_by_kind == {
        "silent": 2, "complete": 1, "failed": 1, "running": 1, "waiting": 1
    }  # fmt: skip
    assert progress.n_counted == 3
    assert progress.best is not None
    assert progress.best.number == 2
    assert [t.number for t in progress.running] == [4]
    assert [t.number for t in progress.finished] == [0, 1, 2, 3]


def test_reading_again_gives_what_a_new_reader_reads() -> None:
    study = silent_study()
    trials = study.get_trials()
    reader = ProgressReader("maximize")
    for n in range(len(trials) + 1):
        assert reader.read(trials[:n]) == ProgressReader("maximize").read(trials[:n])


def test_a_foreign_spike_attribute_is_passed_over() -> None:
    odd = trial(TrialState.COMPLETE, 1.0, user_attrs={SPIKES_KEY: "of another version"})
    progress = ProgressReader("minimize").read([odd])
    assert (progress.samples_saved, progress.samples_planned) == (0, 0)


def test_an_empty_study_has_an_empty_progress() -> None:
    progress = ProgressReader("minimize").read([])
    assert progress.n_counted == 0
    assert progress.best is None

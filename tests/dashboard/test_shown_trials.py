"""A stored trial and the copy of it that is shown."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from optuna_snn import SpikeMonitor
from optuna_snn.dashboard.shown_trials import mark_of, shown_trial
from optuna_snn.stored_spikes import readable_report

NAMES = frozenset({"energy", "silent/output"})


def trial_with(
    constraints: dict[str, float], state: TrialState = TrialState.COMPLETE, **kwargs: Any
) -> FrozenTrial:
    value = 1.0 if state == TrialState.COMPLETE else None
    return create_trial(state=state, value=value, constraints=constraints, **kwargs)


def as_shown(trial: FrozenTrial, names: frozenset[str]) -> FrozenTrial:
    return shown_trial(trial, names, readable_report(trial))


@pytest.mark.parametrize(
    ("constraints", "state", "mark"),
    [
        ({"energy": 0.0, "silent/output": 0.0}, TrialState.COMPLETE, "feasible"),
        ({"energy": 1e-9, "silent/output": 0.0}, TrialState.COMPLETE, "infeasible"),
        ({"energy": -1.0, "silent/output": 0.1}, TrialState.COMPLETE, "infeasible"),
        ({"energy": -1.0}, TrialState.COMPLETE, "infeasible"),
        ({"energy": 1.0, "silent/output": 0.1}, TrialState.PRUNED, "silent"),
        ({"energy": 1.0, "saturated/output": 0.1}, TrialState.PRUNED, "saturated"),
        ({"energy": 1.0, "silent/output": -0.1}, TrialState.PRUNED, "infeasible"),
        ({"energy": -1.0}, TrialState.PRUNED, "pruned"),
        ({"energy": 1.0}, TrialState.FAIL, "failed"),
    ],
)
def test_marks_by_state_and_constraints(
    constraints: dict[str, float], state: TrialState, mark: str
) -> None:
    assert mark_of(trial_with(constraints, state), NAMES) == mark


def test_a_study_without_constraints_has_complete_trials() -> None:
    assert mark_of(trial_with({}), frozenset()) == "complete"
    assert as_shown(trial_with({}), frozenset()).user_attrs == {}


def test_the_stored_trial_is_left_as_it_was() -> None:
    trial = trial_with({"energy": 1.0}, user_attrs={"a": 1}, system_attrs={"s": [1]})
    before = copy.deepcopy(trial)
    as_shown(trial, NAMES)
    assert trial.__dict__ == before.__dict__


def test_constraints_are_listed_once_and_by_name() -> None:
    trial = trial_with({"silent/output": -0.1, "energy": 2.0}, system_attrs={"other": "kept"})
    shown = as_shown(trial, NAMES)
    assert shown.system_attrs == {"other": "kept", "constraints": [2.0, -0.1]}
    assert list(shown.constraints.values()) == [2.0, -0.1]


def test_constraints_of_optunas_earlier_form_are_listed_too() -> None:
    trial = create_trial(value=1.0, system_attrs={"constraints": [0.5, -0.5]})
    assert as_shown(trial, frozenset({"0", "1"})).system_attrs["constraints"] == [0.5, -0.5]


def test_constraints_that_could_not_be_computed_count_as_missing() -> None:
    """Optuna stores None where `constraints_func` raised; a page would not survive it."""
    trial = create_trial(value=1.0, system_attrs={"constraints": None})
    (missing,) = as_shown(trial, frozenset({"0"})).system_attrs["constraints"]
    assert missing > 0


def test_infinite_constraints_become_json_that_browsers_read() -> None:
    trial = trial_with({"energy": float("inf"), "silent/output": float("-inf")})
    listed = as_shown(trial, NAMES).system_attrs["constraints"]
    assert "Infinity" not in json.dumps(listed)
    assert listed[0] > 0 > listed[1]


def test_violations_are_summed_and_what_is_kept_does_not_make_up_for_them() -> None:
    shown = as_shown(trial_with({"a": 0.25, "b": 0.5, "c": -9.0}), frozenset("abc"))
    assert shown.user_attrs["violation"] == 0.75


def test_attributes_of_the_users_own_stay() -> None:
    trial = trial_with({"energy": 1.0}, user_attrs={"mark": "mine", "lr": 0.1})
    shown = as_shown(trial, NAMES).user_attrs
    assert (shown["mark"], shown["lr"]) == ("mine", 0.1)
    assert shown["constraint/energy"] == 1.0


def test_spikes_of_each_layer_are_told_in_numbers() -> None:
    study = optuna.create_study()
    trial = study.ask()
    rates = np.array([0.0, 0.0, 0.0, 1.0, 2.0, 9.0, 9.0, 9.0])
    with SpikeMonitor(trial, alpha=1, beta=0.5, max_spikes=5, warmup=0) as monitor:
        monitor.update("hidden", rates)
        monitor.update("output", rates + 1.0)
    study.tell(trial, 1.0)
    (stored,) = study.trials
    shown = as_shown(stored, frozenset(stored.constraints)).user_attrs
    assert shown["spikes/samples"] == 8
    assert shown["spikes/hidden/silent share"] == 3 / 8
    assert shown["spikes/output/silent share"] == 0.0
    assert shown["spikes/hidden/saturated share"] == 3 / 8
    assert "optuna_snn:spikes" not in shown
    assert "spikes/stopped because" not in shown


def test_a_spike_report_of_another_version_stays_as_it_is() -> None:
    trial = trial_with({"energy": 0.0}, user_attrs={"optuna_snn:spikes": {"version": 99}})
    assert as_shown(trial, NAMES).user_attrs["optuna_snn:spikes"] == {"version": 99}

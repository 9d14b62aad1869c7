"""A dead worker's trial is run again, and only its parameters travel."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.trial import TrialState

from optuna_snn.workers.failures import FAIL_REASON, STOPPED
from optuna_snn.workers.retry import STALE, RetryStaleTrial, lost_retries, requeue
from optuna_snn.workers.storage.opening import WorkerStorage, open_storage

UNIFORM = optuna.distributions.FloatDistribution(0.0, 1.0)


def dead_trial(study: optuna.Study, **system_attrs: object) -> optuna.trial.FrozenTrial:
    """A FAIL trial that has measured everything a trial can measure."""
    study.add_trial(
        optuna.create_trial(
            state=TrialState.FAIL,
            params={"x": 0.25},
            distributions={"x": UNIFORM},
            intermediate_values={0: 0.5},
            user_attrs={"note": "mine", "optuna_snn:spikes": {"a": 1}, "fail_reason": "boom"},
            system_attrs={
                "constraints": [0.3],
                "constraints:silent/output": 0.9,
                "optuna_snn:tag": "{}",
                "gp:relative_params:0": "{}",
                "tpe:relative_params:0": "{}",
                "completed_rung_0": 0.5,
                "fixed_params": {"x": 0.25},
                "grid_id": 7,
                **system_attrs,
            },
        )
    )
    return study.get_trials()[-1]


def test_a_retry_keeps_what_was_asked_for_and_drops_what_was_measured() -> None:
    study = optuna.create_study()
    dead = dead_trial(study)
    requeue(study, dead)
    retry = study.get_trials()[-1]
    assert retry.state == TrialState.WAITING
    assert retry.params == {"x": 0.25}
    assert retry.distributions == {"x": UNIFORM}
    assert retry.user_attrs == {"note": "mine"}  # it was queued, by a storage that notes nothing
    assert retry.intermediate_values == {}
    assert retry.constraints == {}
    assert retry.system_attrs == {
        "fixed_params": {"x": 0.25},
        "grid_id": 7,
        "failed_trial": dead.number,
        "retry_history": [dead.number],
        "optuna_snn:n_deaths": 1,
        "optuna_snn:queued_attrs": {"note": "mine"},
    }


def measures_and_dies(trial: optuna.Trial) -> float:
    trial.suggest_float("x", 0.0, 1.0)
    trial.set_user_attr("accuracy/all", 0.9)
    trial.set_user_attr("note", "of the objective")
    raise RuntimeError("boom")


@pytest.mark.parametrize("n_deaths", [1, 2])
@pytest.mark.parametrize("is_queued", [True, False])
def test_a_retry_has_the_user_attributes_it_was_queued_with_and_none_of_the_dead_objective(
    tmp_path: Path, is_queued: bool, n_deaths: int
) -> None:
    study = optuna.create_study(storage=open_storage(str(tmp_path / "study.db")))
    if is_queued:
        study.enqueue_trial({"x": 0.25}, user_attrs={"note": "mine", "of": ["me"]})
    for _ in range(n_deaths):
        study.optimize(measures_and_dies, n_trials=1, catch=(RuntimeError,))
        assert study.get_trials()[-1].user_attrs["accuracy/all"] == 0.9
        requeue(study, study.get_trials()[-1])
    retry = study.get_trials()[-1]
    assert retry.state == TrialState.WAITING
    assert retry.user_attrs == ({"note": "mine", "of": ["me"]} if is_queued else {})


def test_on_a_storage_that_notes_nothing_a_retry_of_a_retry_still_tells_them_apart() -> None:
    study = optuna.create_study()
    for _ in range(2):
        study.optimize(measures_and_dies, n_trials=1, catch=(RuntimeError,))
        requeue(study, study.get_trials()[-1])
    assert study.get_trials()[-1].user_attrs == {}


def test_the_dead_trial_itself_is_left_as_it_was() -> None:
    study = optuna.create_study()
    dead = dead_trial(study, retry_history=[0], failed_trial=0)
    requeue(study, dead)
    assert dead.system_attrs["retry_history"] == [0]


def test_the_history_names_all_forerunners_and_optuna_reads_it() -> None:
    study = optuna.create_study()
    callback = RetryStaleTrial(max_retry=3)
    callback(study, dead_trial(study))
    for _ in range(2):
        study.ask()
        trial = study.get_trials()[-1]
        callback(study, trial)
    newest = study.get_trials()[-1]
    assert RetryHeartbeatStaleTrialCallback.retry_history(newest) == [0, 1, 2]
    assert RetryHeartbeatStaleTrialCallback.retried_trial_number(newest) == 0


@pytest.mark.parametrize("max_retry", [0, 1, 3])
def test_a_configuration_is_tried_again_at_most_max_retry_times(max_retry: int) -> None:
    study = optuna.create_study()
    callback = RetryStaleTrial(max_retry=max_retry)
    dead_trial(study)
    for _ in range(6):
        newest = study.get_trials()[-1]
        callback(study, newest)
    assert len(study.get_trials()) == 1 + max_retry


def test_a_negative_number_of_retries_is_refused() -> None:
    with pytest.raises(ValueError, match="got -1"):
        RetryStaleTrial(max_retry=-1)


def test_a_retry_suggests_the_dead_trials_values_and_samples_what_it_never_had() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    dead = dead_trial(study, fixed_params={})
    requeue(study, dead)
    trial = study.ask()
    assert trial.suggest_float("x", 0.0, 1.0) == 0.25
    assert 0.0 <= trial.suggest_float("new", 0.0, 1.0) <= 1.0


def test_stops_on_request_use_up_no_retries() -> None:
    study = optuna.create_study()
    retry = RetryStaleTrial(max_retry=1)
    study.ask({"x": UNIFORM})
    for _ in range(3):
        trial = study.get_trials()[-1]
        trial.user_attrs[FAIL_REASON] = STOPPED
        requeue(study, trial)
    newest = study.get_trials()[-1]
    assert newest.system_attrs["retry_history"] == [0, 1, 2]
    assert retry.wants(newest)
    retry(study, newest)
    assert not retry.wants(study.get_trials()[-1])


def test_a_retry_that_exists_is_not_lost() -> None:
    study = optuna.create_study()
    trial = optuna.create_trial(state=TrialState.FAIL, system_attrs={STALE: 70.0})
    study.add_trial(trial)
    assert [t.number for t in lost_retries(study.get_trials(), lambda trial: True)] == [0]
    assert lost_retries(study.get_trials(), lambda trial: False) == []
    requeue(study, study.get_trials()[0])
    assert lost_retries(study.get_trials(), lambda trial: True) == []


def has_beaten(storage: str) -> bool:
    """Whether the toy study's first trial has a heartbeat beside the one dated ahead."""
    opened = open_storage(storage)
    assert isinstance(opened, WorkerStorage)
    return opened.heartbeat_ages("toy").get(0, -1.0) >= 0.0


@pytest.mark.slow
def test_the_trial_of_a_worker_killed_by_minus_9_is_run_again_to_the_end(
    tmp_path: Path, toy: Callable[..., Path]
) -> None:
    """The first worker sets its constraint, says so and hangs; it is killed; another goes on.

    Not before its first real heartbeat: until then the others take its trial for one whose sampler
    takes long, and may fill the study without it.
    """
    study_file = toy(
        """
        import pathlib, time
        FLAG = pathlib.Path(__file__).with_name("hangs")
        def objective(trial):
            x = trial.suggest_float("x", 0.0, 1.0)
            if not FLAG.exists():
                trial.set_constraint("silent/output", 0.75)
                trial.set_user_attr("optuna_snn:spikes", {"old": True})
                trial.report(0.1, 0)
                FLAG.touch()
                time.sleep(600)
            trial.set_constraint("silent/output", -0.5)
            return x
        """
    )
    storage = str(tmp_path / "toy.db")
    words = [sys.executable, "-m", "optuna_snn", "worker", str(study_file)]
    words += ["--storage", storage, "--n-trials", "3", "--grace", "3"]
    first = subprocess.Popen(words, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while not ((tmp_path / "hangs").exists() and has_beaten(storage)):
            assert first.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    assert subprocess.run(words, timeout=120, check=False).returncode == 0

    study = optuna.load_study(study_name="toy", storage=open_storage(storage))
    dead, *others = study.get_trials()
    assert dead.state == TrialState.FAIL
    assert dead.constraints == {"silent/output": 0.75}
    assert [trial.state for trial in others] == [TrialState.COMPLETE] * 3
    (retry,) = (t for t in others if RetryHeartbeatStaleTrialCallback.retry_history(t) == [0])
    assert retry.params == dead.params
    assert retry.constraints == {"silent/output": -0.5}
    assert retry.intermediate_values == {}
    assert "optuna_snn:spikes" not in retry.user_attrs

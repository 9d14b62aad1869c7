"""What a supervisor writes into the trials of the dead, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from optuna_snn.workers.failures import FAIL_REASON, fail_reason
from optuna_snn.workers.identity import WORKER_KEY, this_worker, worker_name, worker_of
from optuna_snn.workers.storage.opening import StudyStorage, open_storage
from optuna_snn.workers.supervisor.trial_marks import fail_trial, note_death


@pytest.fixture
def storage(tmp_path: Path) -> StudyStorage:
    return open_storage(str(tmp_path / "toy.db"))


@pytest.fixture
def study(storage: StudyStorage) -> optuna.Study:
    """A finished trial of "n:1", a running one of "n:1", one of "n:2", and one of nobody."""
    study = optuna.create_study(study_name="toy", storage=storage)
    for worker, state in (
        ("n:1", TrialState.COMPLETE),
        ("n:1", TrialState.RUNNING),
        ("n:2", TrialState.RUNNING),
        (None, TrialState.RUNNING),
    ):
        attributes = {} if worker is None else {WORKER_KEY: worker}
        value = 1.0 if state == TrialState.COMPLETE else None
        study.add_trial(optuna.create_trial(state=state, value=value, user_attrs=attributes))
    return study


def test_a_death_is_noted_in_the_running_trial_of_that_worker_alone(
    study: optuna.Study, storage: StudyStorage
) -> None:
    note_death(study, storage, "n:1", "its worker was killed")
    reasons = [trial.user_attrs.get(FAIL_REASON) for trial in study.get_trials()]
    assert reasons == [None, "its worker was killed", None, None]
    # It is left to the sweep to fail it, which queues it again.
    assert study.get_trials()[1].state == TrialState.RUNNING


def test_a_trial_is_failed_with_a_reason_unless_it_has_ended(
    study: optuna.Study, storage: StudyStorage
) -> None:
    for number in (0, 1):
        fail_trial(study, storage, number, "time limit of 3 s")
    done, failed, *_ = study.get_trials()
    assert (done.state, done.value, FAIL_REASON in done.user_attrs) == (
        TrialState.COMPLETE, 1.0, False
    )  # fmt: skip
    assert (failed.state, fail_reason(failed)) == (TrialState.FAIL, "time limit of 3 s")
    assert len(study.get_trials()) == 4  # nothing was queued


def test_a_worker_is_known_by_host_and_process(study: optuna.Study) -> None:
    assert this_worker().count(":") == 1
    assert worker_name(1) != worker_name(2)
    assert [worker_of(trial) for trial in study.get_trials()] == ["n:1", "n:1", "n:2", None]

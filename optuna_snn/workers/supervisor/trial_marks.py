"""What a supervisor writes into the trial of a worker that is dead.

Written straight to the storage: the trial belongs to another process, whose `Trial` object died
with it. While a trial runs it takes attributes; once it has ended it takes none, and then the
worker had been quicker: nothing is changed.
"""

from __future__ import annotations

import contextlib

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from optuna_snn.workers.failures import FAIL_REASON
from optuna_snn.workers.identity import worker_of
from optuna_snn.workers.storage.opening import StudyStorage

__all__ = ["fail_trial", "note_death"]


def note_death(study: optuna.Study, storage: StudyStorage, worker: str, reason: str) -> None:
    """Store why the running trials of `worker` will fail, as soon as they are found stale."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if worker_of(trial) == worker:
            _store_reason(storage, study.study_name, trial.number, reason)


def fail_trial(study: optuna.Study, storage: StudyStorage, number: int, reason: str) -> None:
    """End trial `number` as FAIL, with the reason, for good: it is not queued again."""
    trial_id = _store_reason(storage, study.study_name, number, reason)
    if trial_id is not None:
        with contextlib.suppress(UpdateFinishedTrialError):
            storage.set_trial_state_values(trial_id, TrialState.FAIL)


def _store_reason(storage: StudyStorage, study_name: str, number: int, reason: str) -> int | None:
    """The id of trial `number`, which has the reason now; None if it had ended."""
    study_id = storage.get_study_id_from_name(study_name)
    trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, number)
    try:
        storage.set_trial_user_attr(trial_id, FAIL_REASON, reason)
    except UpdateFinishedTrialError:
        return None
    return trial_id

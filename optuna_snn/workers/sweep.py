"""What dead workers left behind, put right by whoever looks next.

Any process may sweep at any time, several at once: each step is decided in one transaction, and
the storage gives one of them the win.

1. Trials whose heartbeats stopped are failed and queued again.
2. Trials that run, but never beat and hold nothing, get a first heartbeat. If somebody works on
   one after all, it beats or ends; else step 1 fails it later. They come from processes killed
   while they asked. One that holds something and never beats belongs to a process without
   heartbeats (ask and tell in a notebook): it is left alone, for nobody can tell it from a dead
   one. Trials of our own workers have a heartbeat from their first moment.
3. Trials that were failed but not queued again, because the process died between the two, are
   queued again.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, fail_stale_trials
from optuna.trial import FrozenTrial, TrialState

from optuna_snn.workers.retry import RetryStaleTrial, lost_retries, requeue
from optuna_snn.workers.storage.opening import WorkerStorage

__all__ = ["silent_trials", "sweep"]


def sweep(study: optuna.Study, storage: BaseStorage | None = None) -> None:
    """Fail the trials of dead workers and queue them again, as far as the storage can tell.

    Args:
        study: the study to sweep.
        storage: what `open_storage` gave for it. Without one, and on storages that know no
            heartbeats, only what Optuna itself can do is done.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        fail_stale_trials(study)
    if not isinstance(storage, WorkerStorage):
        return
    trials = study.get_trials(deepcopy=False)
    silent = silent_trials(trials, storage.heartbeat_ages(study.study_name))
    storage.expect_beats(study.study_name, silent)
    retry = storage.get_heartbeat_stale_trial_callback()
    if isinstance(retry, RetryStaleTrial):
        for trial in lost_retries(trials, retry.wants):
            requeue(study, trial)


def silent_trials(trials: Sequence[FrozenTrial], heartbeat_ages: Mapping[int, float]) -> list[int]:
    """Numbers of the RUNNING trials that never beat and hold nothing at all."""
    return [
        trial.number
        for trial in trials
        if trial.state == TrialState.RUNNING
        and trial.number not in heartbeat_ages
        and not (
            trial.params or trial.user_attrs or trial.system_attrs or trial.intermediate_values
        )
    ]

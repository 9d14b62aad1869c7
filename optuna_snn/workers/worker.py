"""One worker: asks, trains and tells until the study has its trials.

Everything it knows is in the storage. It can be killed after any line: its trial is found stale by
the others and queued again.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import fail_stale_trials
from optuna.trial import FrozenTrial, Trial, TrialState

from optuna_snn.backends import MissingPackageError
from optuna_snn.workers.budget import check_budget, n_counted, n_on_their_way
from optuna_snn.workers.errors import RunError
from optuna_snn.workers.failures import (
    FAIL_LIMIT,
    FAIL_REASON,
    STOPPED,
    describe_error,
    fail_reason,
    fail_streak,
    unusable_value,
)
from optuna_snn.workers.retry import requeue
from optuna_snn.workers.run_files import default_storage
from optuna_snn.workers.stop import StopRequest, StopRequested
from optuna_snn.workers.storage import DEFAULT_GRACE_S, WorkerStorage, open_storage
from optuna_snn.workers.study_file import StudyFile, load_study_file, open_study

__all__ = ["WorkerEnd", "run_worker", "sweep"]

IDLE_S = 1.0
"""Pause of a worker that has nothing to start while others finish the last trials."""

_logger = logging.getLogger(__name__)


class WorkerEnd(Enum):
    """Why a worker ended; the value is its process's exit code."""

    FINISHED = 0
    """The study has its trials, the time is over, or somebody asked to stop."""

    FAILED_IN_A_ROW = 3
    """The last FAIL_LIMIT trials failed."""


def run_worker(
    study_file: str | Path,
    *,
    n_trials: int,
    storage: str | None = None,
    study_name: str | None = None,
    timeout_s: float | None = None,
    grace_s: int = DEFAULT_GRACE_S,
    since: datetime | None = None,
    parent_pid: int | None = None,
) -> WorkerEnd:
    """Run trials in this process until the study has `n_trials` COMPLETE and PRUNED ones.

    SIGINT, SIGTERM and SIGHUP stop it: the running trial ends as FAIL and its parameters are
    queued again. An exception in the objective ends that trial as FAIL, with the reason as user
    attribute.

    Args:
        study_file: path of the study file.
        n_trials: trials of the whole study, of all workers and earlier runs.
        storage: see `open_storage`; `<study name>.db` in the current folder unless given.
        study_name: overrides the study file's.
        timeout_s: start no trial later than so many seconds after `since`; running ones finish.
        grace_s: see `open_storage`; the same for all workers of a study.
        since: local time at which the run began (now unless given); earlier failures are not held
            against it.
        parent_pid: stop when this is no longer the parent process.

    Raises:
        ValueError: a number out of range.
        RunError: the study file, the storage or the study is not usable, or the objective needs a
            package that is not installed.
    """
    check_budget(n_trials, timeout_s)
    since = since or datetime.now()
    definition = load_study_file(study_file)
    opened = open_storage(
        storage or default_storage(study_name or definition.name), grace_s=grace_s
    )
    worker = _Worker(
        study=open_study(definition, opened, study_name),
        storage=opened,
        definition=definition,
        n_trials=n_trials,
        deadline=None if timeout_s is None else since + timedelta(seconds=timeout_s),
        grace_s=grace_s,
        since=since,
        parent_pid=parent_pid,
    )
    return worker.run()


def sweep(study: optuna.Study) -> None:
    """Fail the trials whose workers are dead, and queue them again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        fail_stale_trials(study)


@dataclass
class _Worker:
    study: optuna.Study
    storage: WorkerStorage
    definition: StudyFile
    n_trials: int
    deadline: datetime | None
    grace_s: int
    since: datetime
    parent_pid: int | None
    stop: StopRequest = field(default_factory=StopRequest)
    trial_number: int = -1
    """The trial that runs, or the last one that ran; -1 while none was asked for."""
    value: object = None
    """What the objective returned for it."""
    missing: MissingPackageError | None = None
    """The package whose absence ended it: no other trial can do better."""

    def run(self) -> WorkerEnd:
        with self.stop.listening():
            while not self._must_end():
                trials = self.study.get_trials(deepcopy=False)
                streak = fail_streak(trials, self.since)
                if len(streak) >= FAIL_LIMIT:
                    _logger.error(
                        "%d trials failed in a row, the last because: %s",
                        len(streak),
                        fail_reason(streak[-1]),
                    )
                    return WorkerEnd.FAILED_IN_A_ROW
                n_done = n_counted(trials)
                if n_done >= self.n_trials:
                    break
                if n_done + self._n_on_their_way(trials) < self.n_trials:
                    self._run_trial()
                else:
                    self.stop.wait(IDLE_S)
                    sweep(self.study)
        return WorkerEnd.FINISHED

    def _must_end(self) -> bool:
        if self.stop.signal is not None:
            _logger.info("stopped by %s", self.stop.signal.name)
            return True
        if self.parent_pid is not None and os.getppid() != self.parent_pid:
            _logger.info("the supervisor %d is gone", self.parent_pid)
            return True
        return self.deadline is not None and datetime.now() >= self.deadline

    def _n_on_their_way(self, trials: Sequence[FrozenTrial]) -> int:
        ages = self.storage.heartbeat_ages(self.study.study_name)
        return n_on_their_way(trials, ages, grace_s=self.grace_s, now=datetime.now())

    def _run_trial(self) -> None:
        self.trial_number, self.value = -1, None
        try:
            self.study.optimize(self._objective, n_trials=1, catch=(Exception,))
        except StopRequested:
            requeue(self.study, self._stored_trial())
            _logger.info("trial %d was stopped and queued again", self.trial_number)
        except Exception as error:  # the outermost loop: see _was_ended_by_others
            if not self._was_ended_by_others():
                raise
            _logger.warning(
                "trial %d was ended by another process (no heartbeat for %d s?); its value %r is "
                "not stored: %s",
                self.trial_number,
                self.grace_s,
                self.value,
                describe_error(error),
            )
        if self.missing is not None:
            raise RunError(str(self.missing)) from self.missing

    def _objective(self, trial: Trial) -> float:
        """The user's objective; a failure leaves its reason in the trial."""
        self.trial_number = trial.number
        try:
            with self.stop.interrupting():
                value = self.definition.objective(trial)
        except optuna.TrialPruned:
            raise
        except StopRequested:
            trial.set_user_attr(FAIL_REASON, STOPPED)
            raise
        except Exception as error:
            self.missing = error if isinstance(error, MissingPackageError) else None
            trial.set_user_attr(FAIL_REASON, describe_error(error))
            raise
        self.value = value
        if reason := unusable_value(value):
            trial.set_user_attr(FAIL_REASON, reason)
        return value

    def _was_ended_by_others(self) -> bool:
        """Whether the last trial was failed while this worker still held it.

        Optuna then raises ValueError, AssertionError or UpdateFinishedTrialError from `optimize`,
        whatever `catch` says.
        """
        if self.trial_number < 0:
            return False
        trial = self._stored_trial()
        return trial.state == TrialState.FAIL and FAIL_REASON not in trial.user_attrs

    def _stored_trial(self) -> FrozenTrial:
        return self.study.get_trials(deepcopy=False)[self.trial_number]

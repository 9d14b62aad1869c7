"""One worker: asks, trains and tells until the study has its trials.

Everything it knows is in the storage. It can be killed after any line: its trial is found stale by
the others and queued again.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import partial
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial

from optuna_snn.workers.budget import n_counted, n_on_their_way
from optuna_snn.workers.failures import FAIL_LIMIT, fail_reason, fail_streak
from optuna_snn.workers.one_trial import run_trial
from optuna_snn.workers.run_files import default_storage, run_files
from optuna_snn.workers.run_settings import check_limits
from optuna_snn.workers.stop import StopRequest
from optuna_snn.workers.storage.opening import (
    DEFAULT_GRACE_S,
    StudyStorage,
    normalise_url,
    open_storage,
)
from optuna_snn.workers.storage.patience import DEFAULT_PATIENCE_S
from optuna_snn.workers.study_file import StudyFile, load_study_file, open_study
from optuna_snn.workers.supervisor.cores import share_interop_threads
from optuna_snn.workers.sweep import sweep

__all__ = ["WorkerEnd", "run_worker"]

IDLE_S = 1.0
"""Pause of a worker that has nothing to start while others finish the last trials."""

_logger = logging.getLogger(__name__)


class WorkerEnd(Enum):
    """Why a worker ended; the value is its process's exit code."""

    FINISHED = 0
    """The study has its trials, the time is over, or the supervisor is gone."""

    FAILED_IN_A_ROW = 3
    """The last FAIL_LIMIT trials failed."""

    STOPPED = 128
    """Somebody asked to stop; the number of the signal is added."""


def run_worker(
    study_file: str | Path,
    *,
    n_trials: int,
    storage: str | None = None,
    study_name: str | None = None,
    timeout_s: float | None = None,
    trial_timeout_s: float | None = None,
    grace_s: int = DEFAULT_GRACE_S,
    patience_s: float = DEFAULT_PATIENCE_S,
    stop: StopRequest | None = None,
    since: datetime | None = None,
    parent_pid: int | None = None,
) -> WorkerEnd:
    """Run trials in this process until the study has `n_trials` COMPLETE and PRUNED ones.

    SIGINT, SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 stop it: the running trial may finish within the
    grace time of `stop`; then, or at a second signal, it ends as FAIL and its parameters are
    queued again. An exception in the objective, or too long a time, ends that trial as FAIL, with
    the reason as user attribute.

    Args:
        study_file: path of the study file.
        n_trials: trials of the whole study, of all workers and earlier runs.
        storage: see `open_storage`; `<study name>.db` in the current folder unless given.
        study_name: overrides the study file's.
        timeout_s: start no trial later than so many seconds after `since`; running ones finish.
        trial_timeout_s: a trial that takes longer is interrupted and fails; it is not retried.
        grace_s: see `open_storage`; the same for all workers of a study.
        patience_s: see `open_storage`; after a request to stop, the grace time of `stop` counts.
        stop: who may ask this worker to stop, and how long its trial may go on then;
            `StopRequest()` unless given.
        since: local time at which the run began (now unless given); earlier failures are not held
            against it.
        parent_pid: stop when this is no longer the parent process.

    Raises:
        ValueError: a number out of range, or a `trial_timeout_s` outside the main thread.
        RunError: the study file, the storage or the study is not usable, or the objective needs a
            package that is not installed.
    """
    check_limits(n_trials, timeout_s, trial_timeout_s)
    since = since or datetime.now()
    definition = load_study_file(study_file)
    if parent_pid is not None:
        share_interop_threads()
    name = study_name or definition.name
    url = normalise_url(storage or default_storage(name))
    opened = open_storage(
        url,
        grace_s=grace_s,
        patience_s=patience_s,
        # The supervisor has opened it: no misspelt name, but a database that went away since.
        opening_patience_s=None if parent_pid is None else patience_s,
        first_beat=True,
    )
    stop = stop or StopRequest()
    # Else a worker that waits for the database is killed before it can keep its result.
    stop.call_when_asked(partial(opened.patience.hurry, stop.grace_s))
    worker = _Worker(
        study=open_study(definition, opened, study_name),
        storage=opened,
        definition=definition,
        n_trials=n_trials,
        deadline=None
        if timeout_s is None
        # From here on by a clock that nobody sets.
        else time.monotonic() + timeout_s - (datetime.now() - since).total_seconds(),
        trial_timeout_s=trial_timeout_s,
        grace_s=grace_s,
        stop=stop,
        since=since,
        parent_pid=parent_pid,
        late_file=run_files(url, name).late_results,
    )
    return worker.run()


@dataclass(frozen=True)
class _Worker:
    study: optuna.Study
    storage: StudyStorage
    definition: StudyFile
    n_trials: int
    deadline: float | None
    """By the monotonic clock."""
    trial_timeout_s: float | None
    grace_s: int
    stop: StopRequest
    since: datetime
    parent_pid: int | None
    late_file: Path

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
                    return WorkerEnd.FINISHED
                if n_done + self._n_on_their_way(trials) < self.n_trials:
                    self._run_trial()
                else:
                    self.stop.wait(IDLE_S)
                    sweep(self.study, self.storage)
        return WorkerEnd.FINISHED if self.stop.signal is None else WorkerEnd.STOPPED

    def _run_trial(self) -> None:
        run_trial(
            self.study,
            self.definition,
            self.stop,
            limit_s=self.trial_timeout_s,
            waited_s=self.storage.patience.waited_s,
            late_file=self.late_file,
        )

    def _must_end(self) -> bool:
        if self.stop.signal is not None:
            _logger.info("stopped by %s", self.stop.signal.name)
            return True
        if self.parent_pid is not None and os.getppid() != self.parent_pid:
            _logger.info("the supervisor %d is gone", self.parent_pid)
            return True
        return self.deadline is not None and time.monotonic() >= self.deadline

    def _n_on_their_way(self, trials: Sequence[FrozenTrial]) -> int:
        ages = self.storage.heartbeat_ages(self.study.study_name)
        return n_on_their_way(trials, ages, grace_s=self.grace_s, now=datetime.now())

"""Runs a study with worker processes of this machine: starts, watches, restarts and stops them.

The supervisor decides nothing about the study. Budget, retries and the search live in the storage,
so workers that somebody else starts on the same study simply join. When the supervisor itself is
killed, its workers end after their running trials.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import optuna

from optuna_snn.workers.budget import check_budget
from optuna_snn.workers.display import Display, Heading, PlainDisplay
from optuna_snn.workers.errors import RunError
from optuna_snn.workers.failures import fail_reason, fail_streak
from optuna_snn.workers.outcome import RunEnd, RunOutcome
from optuna_snn.workers.progress import Progress, ProgressReader
from optuna_snn.workers.run_files import RunFiles, default_storage, move_aside, run_files
from optuna_snn.workers.slot import Slot, SlotState, thread_limits
from optuna_snn.workers.stop import StopRequest
from optuna_snn.workers.storage import (
    DEFAULT_GRACE_S,
    database_file,
    normalise_url,
    open_storage,
    shown_url,
)
from optuna_snn.workers.study_file import StudyFile, load_study_file, open_study
from optuna_snn.workers.worker import sweep

__all__ = ["run_study"]

POLL_S = 0.5

STOP_GRACE_S = 20.0
"""Time for a worker to fail and queue its trial again after SIGTERM; then it is killed."""


def run_study(
    study_file: str | Path,
    *,
    n_trials: int,
    n_workers: int = 1,
    storage: str | None = None,
    study_name: str | None = None,
    timeout_s: float | None = None,
    grace_s: int = DEFAULT_GRACE_S,
    new: bool = False,
    display: Callable[[Heading], Display] = PlainDisplay,
) -> RunOutcome:
    """Run worker processes until the study has `n_trials` COMPLETE and PRUNED trials.

    SIGINT, SIGTERM and SIGHUP stop the run: running trials end as FAIL and their parameters are
    queued again; a worker that does not react in STOP_GRACE_S is killed, and its trial is found
    stale by the next run.

    Args:
        study_file: path of the study file.
        n_trials: trials of the whole study, earlier runs included.
        n_workers: worker processes.
        storage: see `open_storage`; `<study name>.db` in the current folder unless given.
        study_name: overrides the study file's.
        timeout_s: start no trial after so many seconds; running ones finish.
        grace_s: see `open_storage`.
        new: give an existing SQLite database a dated name first, and begin anew.
        display: makes what shows the run; lines on standard output unless given.

    Raises:
        ValueError: a number out of range.
        RunError: the study file, the storage or the study is not usable.
    """
    check_budget(n_trials, timeout_s)
    if n_workers < 1:
        raise ValueError(f"n_workers must be 1 or more, got {n_workers}.")
    definition = load_study_file(study_file)
    name = study_name or definition.name
    url = normalise_url(storage or default_storage(name))
    files = run_files(url, name)
    moved = _begin_anew(url, files, grace_s) if new else []
    opened = open_storage(url, grace_s=grace_s)
    study = open_study(definition, opened, name)
    run = _Run(
        study=study,
        definition=definition,
        url=url,
        files=files,
        n_trials=n_trials,
        n_workers=n_workers,
        timeout_s=timeout_s,
        grace_s=grace_s,
    )
    heading = Heading(
        study_name=name,
        storage=shown_url(url),
        metric_name=definition.metric_name,
        n_trials=n_trials,
        n_workers=n_workers,
        log_folder=files.log_folder,
    )
    with display(heading) as shown:
        for path in moved:
            shown.note(f"kept from before: {path}")
        return run.run(shown)


@dataclass
class _Run:
    study: optuna.Study
    definition: StudyFile
    url: str
    files: RunFiles
    n_trials: int
    n_workers: int
    timeout_s: float | None
    grace_s: int
    since: datetime = field(default_factory=datetime.now)
    stop: StopRequest = field(default_factory=StopRequest)
    started_at: float = field(default_factory=time.monotonic)
    swept_at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.reader = ProgressReader(self.definition.direction)

    def run(self, display: Display) -> RunOutcome:
        progress = self._read()
        n_before = progress.n_counted
        detail, slots = "", list[Slot]()
        with self.stop.listening():
            try:
                if n_before < self.n_trials:
                    slots = self._start_workers()
                display.show(progress, [slot.advance() for slot in slots])
                end = self._watch(slots, display) if slots else RunEnd.BUDGET_MET
                detail = self._detail(end, slots)
            finally:
                _stop_workers(slots, display)
        progress = self._read()
        display.show(progress, [slot.advance() for slot in slots])
        return RunOutcome(
            end=end,
            detail=detail,
            study=self.study,
            progress=progress,
            n_new=progress.n_counted - n_before,
            files=self.files,
            url=self.url,
        )

    def _watch(self, slots: Sequence[Slot], display: Display) -> RunEnd:
        """Show and tend the workers until all of them have ended, and say why."""
        while True:
            states = [_advance(slot, display) for slot in slots]
            progress = self._read()
            display.show(progress, states)
            if SlotState.FAILED_IN_A_ROW in states:
                return RunEnd.FAILED_IN_A_ROW
            if SlotState.REFUSED in states:
                refused = slots[states.index(SlotState.REFUSED)]
                raise RunError(refused.last_error())
            if not {SlotState.RUNNING, SlotState.RESTARTING} & set(states):
                return self._end_without_workers(progress)
            if self.stop.wait(POLL_S):
                return RunEnd.STOPPED
            self._sweep_when_due()

    def _end_without_workers(self, progress: Progress) -> RunEnd:
        if progress.n_counted >= self.n_trials:
            return RunEnd.BUDGET_MET
        elapsed_s = time.monotonic() - self.started_at
        if self.timeout_s is not None and elapsed_s >= self.timeout_s:
            return RunEnd.TIMED_OUT
        return RunEnd.WORKERS_LOST

    def _detail(self, end: RunEnd, slots: Sequence[Slot]) -> str:
        if end is RunEnd.FAILED_IN_A_ROW:
            streak = fail_streak(self.study.get_trials(deepcopy=False), self.since)
            return fail_reason(streak[-1]) if streak else ""
        if end is RunEnd.WORKERS_LOST:
            return f"{slots[0].last_error()} (logs: {self.files.log_folder})"
        return ""

    def _sweep_when_due(self) -> None:
        """Look for dead workers' trials in each grace period, also while all workers train."""
        if time.monotonic() - self.swept_at > self.grace_s / 2:
            sweep(self.study)
            self.swept_at = time.monotonic()

    def _read(self) -> Progress:
        return self.reader.read(self.study.get_trials(deepcopy=False))

    def _start_workers(self) -> list[Slot]:
        self.files.log_folder.mkdir(parents=True, exist_ok=True)
        # The URL goes by the environment: it may hold a password, and command lines are public.
        environment = {
            **os.environ,
            **thread_limits(self.n_workers),
            "OPTUNA_SNN_STORAGE": self.url,
            "PYTHONUNBUFFERED": "1",
        }
        return [
            Slot(self._command(), environment, self.files.worker_log(index))
            for index in range(self.n_workers)
        ]

    def _command(self) -> list[str]:
        options = {
            "--study-name": self.study.study_name,
            "--n-trials": self.n_trials,
            "--grace": self.grace_s,
            "--since": self.since.isoformat(),
            "--parent": os.getpid(),
        }
        if self.timeout_s is not None:
            options["--timeout"] = self.timeout_s
        words = [str(word) for pair in options.items() for word in pair]
        return [sys.executable, "-m", "optuna_snn", "worker", str(self.definition.path), *words]


def _advance(slot: Slot, display: Display) -> SlotState:
    before = slot.state
    after = slot.advance()
    if before is SlotState.RUNNING and after in (SlotState.RESTARTING, SlotState.GIVEN_UP):
        what = "is started again" if after is SlotState.RESTARTING else "died too often"
        display.note(f"a worker ended with code {slot.exit_code} and {what} (log: {slot.log})")
    return after


def _stop_workers(slots: Sequence[Slot], display: Display) -> None:
    if not any(slot.pid for slot in slots):
        return
    display.note(f"stopping the workers (at most {STOP_GRACE_S:g} s) ...")
    for slot in slots:
        slot.terminate()
    deadline = time.monotonic() + STOP_GRACE_S
    for slot in slots:
        if not slot.join(deadline):
            display.note(
                f"a worker did not stop and was killed; its trial will be found stale and queued "
                f"again by the next run (log: {slot.log})"
            )


def _begin_anew(url: str, files: RunFiles, grace_s: int) -> list[Path]:
    database = database_file(url)
    if database is None:
        raise RunError(
            "--new moves a SQLite file aside and cannot do so with a database server; "
            "begin anew there with another --study-name"
        )
    if not database.exists():
        return []
    opened = open_storage(url, grace_s=grace_s)
    for name in optuna.get_all_study_names(opened):
        if any(age <= grace_s for age in opened.heartbeat_ages(name).values()):
            raise RunError(
                f"--new would take {database} from the running workers of study {name!r}; "
                f"stop them first, or wait {grace_s} s if they were killed"
            )
    journal = database.with_name(database.name + "-journal")
    return move_aside([database, journal, files.figure], datetime.now())

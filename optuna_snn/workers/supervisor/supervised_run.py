"""One supervised run, from the start of its workers to its outcome.

crew.py         the workers
engine.py       who starts them, and where
study_watch.py  everything that waits for the database
stop.py         requests to stop
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from signal import Signals

import optuna

from optuna_snn.workers.display.plain import Display
from optuna_snn.workers.display.progress import Progress, ProgressReader
from optuna_snn.workers.errors import RunError
from optuna_snn.workers.failures import fail_reason, fail_streak
from optuna_snn.workers.kept_results import kept_since
from optuna_snn.workers.run_files import RunFiles
from optuna_snn.workers.run_settings import RunSettings
from optuna_snn.workers.stop import KILL_AFTER_S, StopRequest
from optuna_snn.workers.storage.opening import StudyStorage, shown_url
from optuna_snn.workers.study_file import StudyFile
from optuna_snn.workers.supervisor.crew import Crew
from optuna_snn.workers.supervisor.engine import Engine, WorkerCall
from optuna_snn.workers.supervisor.outcome import RunEnd, RunOutcome
from optuna_snn.workers.supervisor.slot import STOPPED_CODES, SlotState
from optuna_snn.workers.supervisor.study_watch import StudyWatch
from optuna_snn.workers.supervisor.trial_marks import fail_trial, note_death

__all__ = ["SupervisedRun"]

POLL_S = 0.5

SLACK_S = 2.0
"""Workers know themselves when their grace time is over; so much later they are told."""


@dataclass(frozen=True)
class SupervisedRun:
    """One run: its workers are started, tended and stopped, until the study has its trials."""

    study: optuna.Study
    storage: StudyStorage
    definition: StudyFile
    settings: RunSettings
    """As its workers are told: with the full URL, the study's name and the grace of `stop`."""
    files: RunFiles
    engine: Engine
    stop: StopRequest
    since: datetime = field(default_factory=datetime.now)
    started_at: float = field(default_factory=time.monotonic)

    def run(self, display: Display) -> RunOutcome:
        """Run to the end, and say how it ended.

        Raises:
            RunError: no worker could work, or the storage is lost; the workers have ended.
        """
        reader = ProgressReader(self.definition.direction)
        sweep_every_s = self.settings.grace_s / 2
        watch = StudyWatch(self.study, self.storage, reader, sweep_every_s=sweep_every_s)
        before = watch.progress
        with watch, self.stop.listening():
            crew = self._start_crew(watch, display)
            try:
                end = self._tend(crew, watch, display)
                self._wind_down(crew, watch, display, has_failed=end is RunEnd.FAILED_IN_A_ROW)
                crew.tell_refusals()
                self._read_to_the_end(watch)
            finally:
                crew.close()
        progress = watch.progress
        end = self._judge(end, crew, progress)
        display.show(progress, crew.views(progress), None)
        return RunOutcome(
            end=end,
            detail=self._detail(end, crew, progress),
            study=self.study,
            progress=progress,
            n_new=progress.n_counted - before.n_counted,
            files=self.files,
            url=self.settings.storage,
            stop_signal=_stop_signal(self.stop, crew) if end is RunEnd.STOPPED else None,
            n_late=len(kept_since(self.study, self.files.late_results, self.since)),
        )

    def _tend(self, crew: Crew, watch: StudyWatch, display: Display) -> RunEnd | None:
        """Show and tend the workers; say why that ended, None if all workers have ended."""
        while True:
            progress = watch.progress
            crew.tend(progress)
            display.show(progress, crew.views(progress), watch.away_since)
            if SlotState.FAILED_IN_A_ROW in crew.states:
                return RunEnd.FAILED_IN_A_ROW
            if (refusal := crew.refusal) is not None:
                raise RunError(refusal)
            if not crew.is_alive:
                return None
            if self.stop.wait(POLL_S):
                return RunEnd.STOPPED

    def _wind_down(
        self, crew: Crew, watch: StudyWatch, display: Display, *, has_failed: bool
    ) -> None:
        """Stop the workers that are left, as urgently as is asked."""
        if not crew.is_alive:
            return
        # A run that ends of its own accord has heard no request yet: the first one hurries it.
        hurry_level = 1 if has_failed else 2
        crew.ask_to_stop()
        display.note(
            f"stopping: running trials may finish within {self.stop.grace_s:g} s, then they are "
            "queued again; Ctrl-C queues them at once"
        )
        now = time.monotonic()
        interrupt_at = now + self.stop.grace_s + SLACK_S
        kill_at = interrupt_at + KILL_AFTER_S
        was_interrupted = False
        while crew.is_alive:
            now, level = time.monotonic(), self.stop.level
            if now >= kill_at or level > hurry_level:
                crew.kill()
            elif not was_interrupted and (now >= interrupt_at or level >= hurry_level):
                crew.interrupt()
                was_interrupted, kill_at = True, now + KILL_AFTER_S
            progress = watch.progress
            crew.tend(progress)
            display.show(progress, crew.views(progress), watch.away_since)
            if crew.is_alive:
                self.stop.wait(POLL_S, level=level + 1)

    def _read_to_the_end(self, watch: StudyWatch) -> None:
        """Wait for the last reading, which may have to wait for the database.

        Raises:
            RunError: somebody is too impatient for that.
        """
        while not watch.finish(POLL_S):
            if self.stop.level == 3:
                raise RunError(
                    f"the storage {shown_url(self.settings.storage)} does not answer; the workers "
                    "have stopped and nothing that they stored is lost: run again to continue"
                )

    def _judge(self, end: RunEnd | None, crew: Crew, progress: Progress) -> RunEnd:
        if end is RunEnd.FAILED_IN_A_ROW:
            return end
        if progress.n_counted >= self.settings.n_trials:
            return RunEnd.BUDGET_MET
        if end is RunEnd.STOPPED or SlotState.STOPPED in crew.states:
            return RunEnd.STOPPED
        elapsed_s = time.monotonic() - self.started_at
        timeout_s = self.settings.timeout_s
        if timeout_s is not None and elapsed_s >= timeout_s:
            return RunEnd.TIMED_OUT
        return RunEnd.WORKERS_LOST

    def _detail(self, end: RunEnd, crew: Crew, progress: Progress) -> str:
        if end is RunEnd.FAILED_IN_A_ROW:
            streak = fail_streak(progress.finished, self.since)
            return fail_reason(streak[-1]) if streak else ""
        if end is RunEnd.WORKERS_LOST:
            return f"{crew.slots[0].log.last_error()} (logs: {self.files.log_folder})"
        return ""

    def _start_crew(self, watch: StudyWatch, display: Display) -> Crew:
        settings = self.settings
        n_missing = max(0, settings.n_trials - watch.progress.n_counted)
        n_workers = min(self.engine.n_workers, n_missing)
        if 0 < n_workers < self.engine.n_workers:
            display.note(f"{n_workers} workers are started, as many as trials are missing")
        options = (*settings.options(), "--since", self.since.isoformat())
        call = WorkerCall(settings.study_file, options, settings.storage, self.files)
        return Crew(
            self.engine.start(n_workers, call, display.note),
            trial_timeout_s=settings.trial_timeout_s,
            note=display.note,
            report_death=lambda worker, reason: watch.run_soon(
                partial(note_death, self.study, self.storage, worker, reason)
            ),
            fail_trial=lambda number, reason: watch.run_soon(
                partial(fail_trial, self.study, self.storage, number, reason)
            ),
            away_s=watch.away_s,
        )


def _stop_signal(stop: StopRequest, crew: Crew) -> Signals | None:
    """The signal that stopped the run; where only workers heard one, the first one of theirs."""
    if stop.signal is not None:
        return stop.signal
    codes = [slot.exit_code for slot in crew.slots if slot.exit_code in STOPPED_CODES]
    return Signals(codes[0] - 128) if codes and codes[0] is not None else None

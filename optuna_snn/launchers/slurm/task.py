"""What a task of the array does: the supervised run, and its clean stop when SLURM wants it.

submitit loads the pickled task, sets its signal handlers and calls the task in the main thread. On
its signal (USR2, before a time-out or at a preemption) its handler calls `checkpoint()`, requeues
the job and exits the process. When `checkpoint()` returns, the workers must have ended and their
trials be queued again. So the run goes on in a thread of its own while the handler waits for it.

SIGTERM, which submitit's own handler only notes, stops the run for good: it is what `scancel`
sends.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from signal import Signals
from typing import TYPE_CHECKING, Any

from optuna_snn.launchers.slurm.preemption import is_preempted
from optuna_snn.workers.devices import assign_devices
from optuna_snn.workers.errors import RunError
from optuna_snn.workers.run_settings import RunSettings
from optuna_snn.workers.stop import StopRequest
from optuna_snn.workers.supervisor.local_engine import LocalEngine
from optuna_snn.workers.supervisor.outcome import RunEnd, RunOutcome, exit_code
from optuna_snn.workers.supervisor.start import supervise

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

__all__ = ["SupervisedTask"]

POLL_S = 0.1

EXIT_EXPECTED_ERROR = 2
"""As of the command line."""

REQUEUE_S = 20.0
"""Left of the notice for the requeue, whatever the run is still busy with: a task that is killed
before that is lost to the study, and a trial that is not queued again yet will be found stale."""


class SupervisedTask:
    """A supervised run as submitit wants it: to be pickled, called, and stopped by `checkpoint`.

    Args:
        settings: the study and its limits.
        devices: see `assign_devices`.
        n_slots: see `assign_devices`.
        notice_s: seconds from SLURM's signal to the end of the task.
    """

    def __init__(
        self, settings: RunSettings, *, devices: Sequence[str], n_slots: int, notice_s: float
    ) -> None:
        self._settings = settings
        self._devices = tuple(devices)
        self._n_slots = n_slots
        self._notice_s = notice_s
        self._running: _RunningStudy | None = None

    def __call__(self) -> str:
        """Run until the study has its trials, or its time is over; say which.

        Raises:
            SystemExit: the run ended otherwise, or could not begin; with the exit code of
                `optuna-snn run`, which SLURM then shows for the task.
        """
        stop = StopRequest(grace_s=self._settings.stop_grace_s, signals=(signal.SIGTERM,))
        self._running = running = _RunningStudy(lambda: self._run(stop), stop)
        try:
            with stop.listening():
                running.start()
                outcome = running.outcome()
        except RunError as error:
            print(f"error: {error}", flush=True)
            raise SystemExit(EXIT_EXPECTED_ERROR) from error
        if outcome.end is RunEnd.STOPPED and is_preempted():
            # As at any other preemption: submitit's handler requeues the job, and does not return.
            signal.raise_signal(_submitit_signal())
        signal_name = "" if outcome.stop_signal is None else f" by {outcome.stop_signal.name}"
        words = f"{outcome.end.value}{signal_name}; {outcome.n_new} new trials"
        print(f"{words}\n{outcome.detail}".rstrip(), flush=True)
        if code := exit_code(outcome):
            raise SystemExit(code)
        return words

    def checkpoint(self) -> DelayedSubmission:
        """Stop the run, wait until it has stopped, and return the task for its next start.

        Called by submitit in its signal handler.
        """
        from submitit.helpers import DelayedSubmission

        if self._running is not None:
            self._running.end(time.monotonic() + max(0.0, self._notice_s - REQUEUE_S))
        return DelayedSubmission(
            SupervisedTask(
                self._settings,
                devices=self._devices,
                n_slots=self._n_slots,
                notice_s=self._notice_s,
            )
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_running": None}

    def _run(self, stop: StopRequest) -> RunOutcome:
        devices = assign_devices(self._devices, n_workers=None, n_slots=self._n_slots)
        return supervise(LocalEngine(devices), self._settings, stop=stop)


class _RunningStudy:
    """A run in a thread of its own.

    The main thread and a signal handler that interrupts it both wait for the thread. They look at
    a plain attribute: a lock that the main thread holds would never be released to its handler.
    """

    def __init__(self, run: Callable[[], RunOutcome], stop: StopRequest) -> None:
        self._run = run
        self._stop = stop
        self._outcome: RunOutcome | None = None
        self._error: BaseException | None = None
        # A daemon, so that the process can exit when the run does not end in time.
        self._thread = threading.Thread(target=self._work, name="supervisor", daemon=True)

    def start(self) -> None:
        """Begin the run."""
        self._thread.start()

    def outcome(self) -> RunOutcome:
        """Wait for the end of the run, and say how it ended, or raise what it raised."""
        while not self._has_ended:
            time.sleep(POLL_S)
        if self._error is not None:
            raise self._error
        assert self._outcome is not None
        return self._outcome

    def end(self, deadline: float) -> None:
        """Ask the run to stop, and wait for its end, at most until `deadline` (monotonic)."""
        if self._stop.level == 0:  # asked again, it would hurry
            self._stop.request(_submitit_signal())
        has_begun = self._thread.ident is not None
        while has_begun and not self._has_ended and time.monotonic() < deadline:
            time.sleep(POLL_S)

    @property
    def _has_ended(self) -> bool:
        return self._outcome is not None or self._error is not None

    def _work(self) -> None:
        try:
            self._outcome = self._run()
        except BaseException as error:  # the main thread raises it
            self._error = error


def _submitit_signal() -> Signals:
    """The signal that submitit's handler listens to; the variable is its own."""
    return Signals["SIG" + os.environ.get("SUBMITIT_PREEMPT_SIGNAL", "USR2")]

"""A slot: one worker process, its device, its log, and its restarts."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum

from optuna_snn.workers.devices import SlotDevice
from optuna_snn.workers.failures import describe_death
from optuna_snn.workers.identity import worker_name
from optuna_snn.workers.stop import HURRY_SIGNAL, STOP_SIGNALS
from optuna_snn.workers.supervisor.worker_log import WorkerLog
from optuna_snn.workers.worker import WorkerEnd

__all__ = ["EXPECTED_ERROR", "MAX_RESTARTS", "STOPPED_CODES", "Slot", "SlotState"]

MAX_RESTARTS = 5
"""A worker that crashes is started again so often, after 1, 2, 4, ... seconds; a trial that it
brings to an end sets the count back."""

EXPECTED_ERROR = 2
"""Exit code of a worker that could not start for a reason that a restart will not cure."""

STOPPED_CODES = frozenset(128 + number for number in STOP_SIGNALS)
"""Exit codes by which a worker says that a signal asked it to stop."""


class SlotState(Enum):
    """What a slot is doing."""

    WAITING = "not started yet"
    """Only where an engine gives the places, and others may use them."""

    RUNNING = "running"
    RESTARTING = "restarting"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED_IN_A_ROW = "failed in a row"
    REFUSED = "refused"
    GIVEN_UP = "given up"


OWN_CODES = {
    WorkerEnd.FINISHED.value: SlotState.FINISHED,
    WorkerEnd.FAILED_IN_A_ROW.value: SlotState.FAILED_IN_A_ROW,
    EXPECTED_ERROR: SlotState.REFUSED,
}
"""Exit codes that mean something if the worker has said before that it ends."""


class Slot:
    """Keeps one worker process alive until it says that it is finished.

    Args:
        command: the worker's command line.
        environment: its environment.
        log: takes its output.
        device: the device that `environment` gives it.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: WorkerLog,
        device: SlotDevice | None = None,
    ) -> None:
        self.log = log
        self.device = device or SlotDevice("")
        self.n_restarts = 0
        """Restarts in all."""
        self.exit_code: int | None = None
        """Of the last process that ended."""
        self.started_at = datetime.now()
        """When the process, or the last one, was started."""
        self._command = list(command)
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._state = SlotState.RESTARTING
        self._start_at = time.monotonic()
        self._n_crashes = 0
        self._is_stopping = False
        self.advance()

    @property
    def state(self) -> SlotState:
        """The state when the process was last looked at."""
        return self._state

    @property
    def pid(self) -> int | None:
        """Process id of the worker, None while there is none."""
        return self._process.pid if self._process is not None else None

    @property
    def worker(self) -> str | None:
        """Name of the worker among all of a study, None while there is none."""
        return None if self.pid is None else worker_name(self.pid)

    @property
    def death(self) -> str:
        """How the last process ended, as a predicate."""
        assert self.exit_code is not None
        return describe_death(self.exit_code)

    def advance(self) -> SlotState:
        """Look at the process, restart it when due, and return the state after that."""
        if self._state is SlotState.RESTARTING and time.monotonic() >= self._start_at:
            self._start()
        elif self._state is SlotState.RUNNING and self._process is not None:
            code = self._process.poll()
            if code is not None:
                self._process, self.exit_code = None, code
                self._state = self._state_after(code)
        return self._state

    def has_done_well(self) -> None:
        """The worker has brought a trial to an end: earlier crashes are not held against it."""
        self._n_crashes = 0

    def ask_to_stop(self) -> None:
        """Ask the worker to stop after its trial, or after its grace time; start no other."""
        self._is_stopping = True
        if self._process is not None:
            self._process.terminate()
        elif self._state is SlotState.RESTARTING:
            self._state = SlotState.STOPPED

    def interrupt(self) -> None:
        """Ask the worker to give up its trial now, which it queues again."""
        if not self._is_stopping:
            # First, since a worker that does not listen yet is ended by SIGTERM alone. Not again:
            # one that has ceased to listen would be cut off in its last words.
            self.ask_to_stop()
        if self._process is not None:
            self._process.send_signal(HURRY_SIGNAL)

    def kill(self) -> None:
        """End the process at once; unless stopping it is started again like any that crashed."""
        if self._process is not None:
            # With all that the objective has started: the worker leads a session of its own.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self.advance()

    def join(self, deadline: float) -> bool:
        """Wait for the worker until `deadline` (monotonic), then kill it; to be asked before.

        Returns whether it ended by itself.
        """
        if self._process is None:
            return True
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        self.advance()
        return True

    def _start(self) -> None:
        self.log.note_start()
        self.started_at = datetime.now()
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self.log.file,
            stderr=subprocess.STDOUT,
            # Its own session: a terminal's Ctrl-C reaches the supervisor alone, which stops the
            # workers in order.
            start_new_session=True,
        )
        self._state = SlotState.RUNNING

    def _state_after(self, code: int) -> SlotState:
        if code in OWN_CODES and self.log.has_end():
            return OWN_CODES[code]
        if self._is_stopping or code in STOPPED_CODES:
            return SlotState.STOPPED
        if self._n_crashes >= MAX_RESTARTS:
            return SlotState.GIVEN_UP
        self._start_at = time.monotonic() + 2.0**self._n_crashes
        self._n_crashes += 1
        self.n_restarts += 1
        return SlotState.RESTARTING

"""A slot: one worker process, its log, and its restarts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from pathlib import Path

from optuna_snn.workers.worker import WorkerEnd

__all__ = ["ERROR_PREFIX", "EXPECTED_ERROR", "Slot", "SlotState", "n_cores", "thread_limits"]

MAX_RESTARTS = 5
"""A worker that crashes is started again so often, after 1, 2, 4, ... seconds."""

EXPECTED_ERROR = 2
"""Exit code of a worker that could not start for a reason that a restart will not cure."""

ERROR_PREFIX = "error: "
"""Starts the one line in which the command line tells an expected error."""

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)

LOG_TAIL_BYTES = 64_000


class SlotState(Enum):
    """What a slot is doing."""

    RUNNING = "running"
    RESTARTING = "restarting"
    FINISHED = "finished"
    FAILED_IN_A_ROW = "failed in a row"
    REFUSED = "refused"
    GIVEN_UP = "given up"


class Slot:
    """Keeps one worker process alive until it says that it is finished.

    Args:
        command: the worker's command line.
        environment: its environment.
        log: file that its output is appended to; the folder must exist.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        self.n_restarts = 0
        self.exit_code: int | None = None
        self._command = list(command)
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._state = SlotState.RESTARTING
        self._start_at = time.monotonic()
        self.advance()

    @property
    def state(self) -> SlotState:
        """The state when the process was last looked at."""
        return self._state

    @property
    def pid(self) -> int | None:
        """Process id of the worker, None while there is none."""
        return self._process.pid if self._process is not None else None

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

    def terminate(self) -> None:
        """Ask the worker to stop, and start no other."""
        if self._process is not None:
            self._process.terminate()
        elif self._state is SlotState.RESTARTING:
            self._state = SlotState.FINISHED

    def join(self, deadline: float) -> bool:
        """Wait for the worker until `deadline` (monotonic), then kill it.

        Returns whether it ended by itself.
        """
        if self._process is None:
            return True
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
            ended_itself = True
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            ended_itself = False
        self._process, self._state = None, SlotState.FINISHED
        return ended_itself

    def last_error(self) -> str:
        """The last error line of the log, or its last line, without the prefix."""
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - LOG_TAIL_BYTES))
            lines = [line for line in file.read().decode(errors="replace").splitlines() if line]
        errors = [line for line in lines if line.startswith(ERROR_PREFIX)] or lines or ["(empty)"]
        return errors[-1].removeprefix(ERROR_PREFIX)

    def _start(self) -> None:
        with self.log.open("ab") as file:
            file.write(f"--- {datetime.now():%Y-%m-%d %H:%M:%S} worker starts\n".encode())
            file.flush()
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                # Its own session: a terminal's Ctrl-C reaches the supervisor alone, which stops
                # the workers in order.
                start_new_session=True,
            )
        self._state = SlotState.RUNNING

    def _state_after(self, code: int) -> SlotState:
        if code == WorkerEnd.FINISHED.value:
            return SlotState.FINISHED
        if code == WorkerEnd.FAILED_IN_A_ROW.value:
            return SlotState.FAILED_IN_A_ROW
        if code == EXPECTED_ERROR:
            return SlotState.REFUSED
        if self.n_restarts >= MAX_RESTARTS:
            return SlotState.GIVEN_UP
        self._start_at = time.monotonic() + 2.0**self.n_restarts
        self.n_restarts += 1
        return SlotState.RESTARTING


def thread_limits(n_workers: int, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Variables that share the cores among the workers; what the user has set stays as it is."""
    n_threads = str(max(1, n_cores() // n_workers))
    return {name: n_threads for name in THREAD_VARIABLES if name not in environment}


def n_cores() -> int:
    """Cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    else:
        return os.cpu_count() or 1

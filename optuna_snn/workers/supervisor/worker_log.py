"""The log of a worker: appended by one run at a time.

Two supervisors may work on one study, from one folder. Each log is claimed by a lock on the open
file, which the kernel drops when the last process that holds the file ends: a claim outlives its
supervisor as long as the worker does, and no longer. A log that is taken is passed over, so the
second supervisor writes to logs with higher numbers.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import BinaryIO

from optuna_snn.workers.errors import RunError
from optuna_snn.workers.run_files import RunFiles

__all__ = ["ERROR_PREFIX", "WorkerLog", "claim_logs", "claimed_logs", "note_end"]

ERROR_PREFIX = "error: "
"""Starts the one line in which the command line tells an expected error."""

STARTS, ENDS = "worker starts", "worker ends"
"""What the marks of a process say behind the time."""

TAIL_BYTES = 64_000

STANDARD_OUTPUT = 1

NO_LOCKS = frozenset({errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK})
"""What a file system without locks answers, such as Lustre mounted without `-o flock`."""


@dataclass(frozen=True)
class WorkerLog:
    """A claimed log."""

    path: Path
    file: BinaryIO
    """Open for appending; the worker's output goes here."""
    begin: int
    """Where this run's part begins, in bytes."""

    def note_start(self) -> None:
        """Write the line that parts one worker process from the next."""
        self.file.write(_mark(STARTS))
        self.file.flush()

    def has_end(self) -> bool:
        """Whether the last process has said that it ends of its own accord (`note_end`)."""
        marks = [line for line in self._tail() if _is_mark(line, STARTS) or _is_mark(line, ENDS)]
        return bool(marks) and _is_mark(marks[-1], ENDS)

    def last_error(self) -> str:
        """The last error line of this run, or its last line, without the prefix."""
        lines = [line for line in self._tail() if line and not _is_mark(line, ENDS)]
        errors = [line for line in lines if line.startswith(ERROR_PREFIX)] or lines or ["(empty)"]
        return errors[-1].removeprefix(ERROR_PREFIX)

    def close(self) -> None:
        """Give up the claim; a worker that still runs keeps it."""
        self.file.close()

    def _tail(self) -> list[str]:
        with self.path.open("rb") as file:
            file.seek(max(self.begin, self.path.stat().st_size - TAIL_BYTES))
            return file.read().decode(errors="replace").splitlines()


def note_end() -> None:
    """Let a supervised worker say in its log, which is its standard output, that it ends.

    Without that its exit code is not its own: a library may call exit() in the midst of a trial.
    """
    with suppress(OSError):  # a full disk
        os.write(STANDARD_OUTPUT, _mark(ENDS))


def _mark(what: str) -> bytes:
    return f"--- {datetime.now():%Y-%m-%d %H:%M:%S} {what}\n".encode()


def _is_mark(line: str, what: str) -> bool:
    return line.startswith("--- ") and line.endswith(f" {what}")


def claim_logs(files: RunFiles, host: str, n: int) -> list[WorkerLog]:
    """The first `n` logs of this machine that nobody else writes to.

    Raises:
        RunError: the folder or a file cannot be written.
    """
    try:
        files.log_folder.mkdir(parents=True, exist_ok=True)
        logs: list[WorkerLog] = []
        for index in count():
            if len(logs) == n:
                return logs
            if (log := _claim(files.worker_log(host, index))) is not None:
                logs.append(log)
    except OSError as error:
        raise RunError(f"the logs cannot be written to {files.log_folder}: {error}") from error
    raise AssertionError("unreachable: count() does not end")


def claimed_logs(files: RunFiles) -> list[Path]:
    """Logs that running workers, or their supervisors, write to."""
    claimed = []
    for path in sorted(files.log_folder.glob("worker-*.log")):
        log = _claim(path)
        if log is None:
            claimed.append(path)
        else:
            log.close()
    return claimed


def _claim(path: Path) -> WorkerLog | None:
    """Open and lock `path`; None if another process holds it.

    On a file system without locks (some that clusters share) it is open to all: lines of two runs
    on one machine may then stand in one log.
    """
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            file.close()
            raise
    return WorkerLog(path, file, path.stat().st_size)

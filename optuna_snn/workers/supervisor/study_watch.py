"""What a supervisor does in the database, in a thread of its own.

While the database is away, a call waits until it is back. The supervisor must go on meanwhile:
show the run, restart workers, and stop in time when asked to. So it never waits for the database:
this thread reads the study's progress, looks for dead workers' trials in each grace period, also
while all workers train, and writes what the supervisor has to say.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from queue import SimpleQueue
from types import TracebackType
from typing import Self

import optuna

from optuna_snn.workers.display.progress import Progress, ProgressReader
from optuna_snn.workers.storage.opening import StudyStorage
from optuna_snn.workers.sweep import sweep

__all__ = ["StudyWatch"]

READ_EVERY_S = 0.5

READ_SHARE = 0.2
"""At most this share of the time is spent on reading: large studies are read less often."""

READ_AT_LEAST_EVERY_S = 5.0

AWAY_AFTER_S = 5.0
"""A call that takes longer is told to the user. A busy SQLite file answers within a second."""

WAITING_AFTER_S = 1.0
"""Nobody is blamed for the time of a call that takes longer."""

MAX_OUTAGES = 1000
"""So many are remembered: of the last hour and more, where every call is slow."""


class StudyWatch:
    """Watches a study while the block lasts; the last progress is always at hand.

    Args:
        study: the study.
        storage: what `open_storage` gave for it.
        reader: reads its trials.
        sweep_every_s: seconds between two looks for dead workers' trials.
    """

    def __init__(
        self,
        study: optuna.Study,
        storage: StudyStorage,
        reader: ProgressReader,
        *,
        sweep_every_s: float,
    ) -> None:
        self._study = study
        self._storage = storage
        self._reader = reader
        self._sweep_every_s = sweep_every_s
        self._progress = self._read()
        self._errands: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._error: BaseException | None = None
        self._has_closed = threading.Event()
        self._busy_since: datetime | None = None
        self._outages: tuple[tuple[datetime, datetime], ...] = ()
        # A daemon: a database that never comes back must not keep the process.
        self._thread = threading.Thread(target=self._run, name="study-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the thread; it may be in a call that waits for the database, so it is not joined."""
        self._has_closed.set()

    @property
    def progress(self) -> Progress:
        """The study when it was last read.

        Raises:
            Exception: what ended the thread, as when the database was away for too long.
        """
        if self._error is not None:
            raise self._error
        return self._progress

    @property
    def away_since(self) -> datetime | None:
        """Local time since which the database has not answered; None if it does."""
        since = self._busy_since
        if since is None or (datetime.now() - since).total_seconds() < AWAY_AFTER_S:
            return None
        return since

    def away_s(self, since: datetime) -> float:
        """Seconds for which the database has not answered, of those since local time `since`."""
        busy_since, outages = self._busy_since, self._outages
        if busy_since is not None:
            outages += ((busy_since, datetime.now()),)
        return sum(
            max(0.0, (end - max(begin, since)).total_seconds())
            for begin, end in outages
            if (end - begin).total_seconds() >= WAITING_AFTER_S
        )

    def run_soon(self, errand: Callable[[], None]) -> None:
        """Let the thread call `errand`, which waits for the database, after those before it."""
        self._errands.put(errand)

    def finish(self, timeout_s: float) -> bool:
        """Let the thread do the errands that are left, read once more, and end.

        Returns whether it has ended within `timeout_s`; then `progress` is up to date.
        """
        self._has_closed.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            swept_at = time.monotonic()
            while not self._has_closed.is_set():
                took_s = self._in_database(self._do_errands_and_read)
                if time.monotonic() - swept_at >= self._sweep_every_s:
                    self._in_database(lambda: sweep(self._study, self._storage))
                    swept_at = time.monotonic()
                pause_s = min(took_s * (1 / READ_SHARE - 1), READ_AT_LEAST_EVERY_S)
                self._has_closed.wait(max(READ_EVERY_S, pause_s))
            self._in_database(self._do_errands_and_read)
        except BaseException as error:  # shown by the supervisor, which asks for the progress
            self._error = error

    def _in_database(self, work: Callable[[], None]) -> float:
        """Do `work`, and return how long it took in seconds."""
        begin = time.monotonic()
        busy_since = self._busy_since = datetime.now()
        work()
        took_s = time.monotonic() - begin
        if took_s >= WAITING_AFTER_S:
            self._outages = (*self._outages[1 - MAX_OUTAGES :], (busy_since, datetime.now()))
        self._busy_since = None
        return took_s

    def _do_errands_and_read(self) -> None:
        while not self._errands.empty():
            self._errands.get()()
        self._progress = self._read()

    def _read(self) -> Progress:
        return self._reader.read(self._study.get_trials(deepcopy=False))

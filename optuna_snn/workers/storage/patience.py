"""Calls that outlive an outage of what they call: tried again, with pauses, for a limited time.

A worker holds hours of training when it comes to store a result, so a database that is restarted
must not end it. `Patience` runs a call until it succeeds, meets an error that will not pass, or
has been tried for long enough. One object serves all threads of a process, for they all see the
same outage:

- Only the outermost call of a thread is repeated; calls made inside it pass through.
- Pauses double and are drawn at random from their upper half, so that workers that lost the
  database at the same moment do not come back at the same moment. They stay short: a heartbeat
  that sleeps on after the database is back would make a healthy trial look dead.
- An outage is said once when it begins and once when it ends, whatever the number of calls.
- After a call gave up, later calls are tried once: the process is about to end, and would
  otherwise wait again in each step of its clean-up. `hurry` does the same for one that was asked
  to end.
"""

from __future__ import annotations

import functools
import logging
import math
import random
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from optuna_snn.workers.storage.database_errors import StorageError, StorageLostError

__all__ = ["DEFAULT_PATIENCE_S", "Patience", "repeat_calls"]

DEFAULT_PATIENCE_S = 300.0
"""Longer than a restart, an upgrade or a failover of a server takes."""

FIRST_PAUSE_S = 0.1

LONGEST_PAUSE_S = 2.0

LONGEST_SIDE_PAUSE_S = 1.0
"""In any thread but the main one: there the heartbeats come from."""

SHORTEST_OUTAGE_S = 0.5
"""A deadlock that the next try resolved is no outage."""

_logger = logging.getLogger("optuna_snn.workers")

T = TypeVar("T")
C = TypeVar("C", bound=type)


class _Thread(threading.local):
    inside = False
    n_failed = 0


class Patience:
    """How long calls to one storage are tried again, and what became of them so far.

    Args:
        seconds: a call is tried again for so long; 0 tries once.
        name: what the messages call the storage, without secrets.
        is_transient: whether an error may pass.
        describe: an error in one line, with the way out if there is one.
        refusal: one line for an error that will not pass but that a user can put right, else None.
        before_repeat: drops what the failed try left behind in this thread.
    """

    def __init__(
        self,
        seconds: float,
        *,
        name: str,
        is_transient: Callable[[BaseException], bool],
        describe: Callable[[BaseException], str],
        refusal: Callable[[BaseException], str | None],
        before_repeat: Callable[[], None],
    ) -> None:
        self.seconds = seconds
        self._name = name
        self._is_transient = is_transient
        self._describe = describe
        self._refusal = refusal
        self._before_repeat = before_repeat
        self._thread = _Thread()
        self._lock = threading.Lock()
        self._began: float | None = None
        self._ended: float | None = None
        self._has_given_up = False
        self._hurried_until = math.inf
        # Of the main thread, which alone sets and reads them.
        self._waited_s = 0.0
        self._call_began: float | None = None

    @property
    def is_repeating(self) -> bool:
        """Whether the call that this thread is in has failed before: it may have been done."""
        return self._thread.n_failed > 0

    def was_away_within(self, seconds: float) -> bool:
        """Whether the storage is away, or was until `seconds` ago, as this process saw it."""
        with self._lock:
            if self._began is not None and self._lasted() >= SHORTEST_OUTAGE_S:
                return True
            return self._ended is not None and time.monotonic() - self._ended < seconds

    def waited_s(self) -> float:
        """Seconds that the main thread has waited for the storage so far, in it and its handlers.

        A call of ordinary length is no waiting.
        """
        if self._call_began is None:
            return self._waited_s
        lasts_s = time.monotonic() - self._call_began
        return self._waited_s + (lasts_s if lasts_s >= SHORTEST_OUTAGE_S else 0.0)

    def hurry(self, seconds: float) -> None:
        """From now on no call waits for longer than `seconds`; safe in a signal handler."""
        self._hurried_until = min(self._hurried_until, time.monotonic() + seconds)

    def call(self, attempt: Callable[[], T], *, seconds: float | None = None) -> T:
        """Result of `attempt()`, which is repeated while its errors are transient.

        Args:
            attempt: what to do; it may be done more than once.
            seconds: for so long; the object's own unless given.

        Raises:
            StorageLostError: the time is over.
            StorageError: an error that will not pass, said in one line.
            Exception: whatever else `attempt` raises, at once.
        """
        if self._thread.inside:
            return attempt()
        is_main = threading.current_thread() is threading.main_thread()
        self._thread.inside, self._thread.n_failed = True, 0
        if is_main:
            self._call_began = time.monotonic()
        try:
            return self._persist(attempt, self.seconds if seconds is None else seconds)
        finally:
            self._thread.inside, self._thread.n_failed = False, 0
            if is_main:
                self._waited_s, self._call_began = self.waited_s(), None

    def _persist(self, attempt: Callable[[], T], seconds: float) -> T:
        began, pause_s = time.monotonic(), FIRST_PAUSE_S
        is_main = threading.current_thread() is threading.main_thread()
        longest_s = LONGEST_PAUSE_S if is_main else LONGEST_SIDE_PAUSE_S
        while True:
            try:
                result = attempt()
            except Exception as error:  # any: what is not the storage's is raised again as it is
                if not self._is_transient(error):
                    self._raise(error)
                self._note_failure(error)
                now = time.monotonic()
                left_s = min(began + seconds, self._hurried_until) - now
                if left_s <= 0 or self._has_given_up:
                    self._has_given_up |= (
                        seconds >= self.seconds
                    )  # not when a heartbeat ends early
                    raise self._lost(error, now - began) from error
            else:
                self._note_answer()
                return result
            self._thread.n_failed += 1
            self._before_repeat()
            time.sleep(min(random.uniform(pause_s / 2, pause_s), left_s))
            pause_s = min(2 * pause_s, longest_s)

    def _raise(self, error: Exception) -> None:
        self._note_answer()
        line = self._refusal(error)
        if line is None:
            raise error
        raise StorageError(line) from error

    def _lost(self, error: Exception, seconds: float) -> StorageLostError:
        return StorageLostError(
            f"{self._name} has not answered for {seconds:.0f} s ({self._describe(error)}); all "
            "that was stored is kept: start again when it is back"
        )

    def _note_failure(self, error: Exception) -> None:
        with self._lock:
            is_new, self._began = self._began is None, self._began or time.monotonic()
        if is_new:
            _logger.warning(
                "%s does not answer (%s); tried again for %.0f s",
                self._name,
                self._describe(error),
                self.seconds,
            )

    def _note_answer(self) -> None:
        with self._lock:
            if self._began is None:
                return
            lasted_s, self._began, self._has_given_up = self._lasted(), None, False
            if lasted_s >= SHORTEST_OUTAGE_S:
                self._ended = time.monotonic()
        _logger.info("%s answers again after %.1f s", self._name, lasted_s)

    def _lasted(self) -> float:
        return 0.0 if self._began is None else time.monotonic() - self._began


def repeat_calls(*names: str) -> Callable[[C], C]:
    """Class decorator: the methods of those names go through `self.patience.call`."""

    def decorate(decorated: C) -> C:
        for name in names:
            setattr(decorated, name, _repeated(getattr(decorated, name)))
        return decorated

    return decorate


def _repeated(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self.patience.call(lambda: method(self, *args, **kwargs))

    return call

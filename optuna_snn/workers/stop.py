"""A request to stop, and the alarm that interrupts an objective: nothing else is interrupted.

An exception raised by a signal handler can strike between any two instructions. In the objective
that is what a user wants; between "trial created" and "heartbeat started" it would leave a trial
that nobody ends. So a worker opens a window around the objective, and outside it the request waits
until the worker looks.

Asking again makes it more urgent:

    level 1  start no further trial; the running one may finish within the grace time
    level 2  interrupt the running trial now
    level 3  do not wait any longer (a supervisor then kills what is left)

Whether the time of a trial is over is watched by the same alarm (SIGALRM and the real-time timer,
both given back afterwards), since a process has only one. Python runs signal handlers between
bytecodes of the main thread: a call into C that does not return is interrupted by nobody but a
supervisor, which kills the worker. The time that a trial waits for a database that is away is not
its own, and does not count.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from signal import Signals
from types import FrameType
from typing import Any

__all__ = [
    "DEFAULT_STOP_GRACE_S",
    "HURRY_SIGNAL",
    "KILL_AFTER_S",
    "STOP_SIGNALS",
    "StopRequest",
    "StopRequested",
    "TrialTimeLimit",
]

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)

HURRY_SIGNAL = signal.SIGINT
"""Tells a supervised worker to interrupt its trial; all other signals let it finish."""

DEFAULT_STOP_GRACE_S = 20.0
"""Time that running trials have to finish. SLURM kills 30 s after SIGTERM unless its KillWait is
set otherwise, Kubernetes likewise: 10 s are left to queue what did not finish."""

KILL_AFTER_S = 20.0
"""Time that an interrupted objective has to clean up; then its worker is killed."""

POLL_S = 0.1

SOON_S = 1e-3


class StopRequested(KeyboardInterrupt):
    """Raised in the objective; Optuna lets a KeyboardInterrupt through after failing the trial."""


class TrialTimeLimit(BaseException):
    """Raised in the objective when its time is over.

    No Exception: an objective that catches those would carry on.
    """


class StopRequest:
    """Whether somebody asked this process to stop, by which signal, and how urgently.

    Example:
        >>> stop = StopRequest(grace_s=0.0)
        >>> stop.request()
        >>> stop.signal.name, stop.level
        ('SIGTERM', 1)

    Args:
        grace_s: seconds that a running trial has to finish after the first request; 0 interrupts
            it at once.
        signals: those that `listening` takes; none for a process whose signals belong to another
            (as under submitit), which calls `request` then.
        is_supervised: only HURRY_SIGNAL goes beyond level 1. A scheduler may signal all processes
            of a job, so that a worker hears of the same request twice, by it and by its
            supervisor; that must not count as impatience.

    Raises:
        ValueError: a negative `grace_s`.
    """

    def __init__(
        self,
        *,
        grace_s: float = DEFAULT_STOP_GRACE_S,
        signals: Sequence[Signals] = STOP_SIGNALS,
        is_supervised: bool = False,
    ) -> None:
        if not grace_s >= 0:
            raise ValueError(
                f"grace_s must be 0 or more seconds, got {grace_s}; 0 interrupts at once."
            )
        self.grace_s = grace_s
        self._signals = tuple(signals)
        self._is_supervised = is_supervised
        # Plain attributes: a lock such as threading.Event's must not be taken in a signal handler.
        self._signal: Signals | None = None
        self._level = 0
        self._interrupt_at = math.inf
        self._limit_at = math.inf
        self._put_off_s: Callable[[], float] = lambda: 0.0
        self._may_interrupt = False
        self._raised: type[BaseException] | None = None
        """What has interrupted the present block."""
        self._callback: Callable[[], None] | None = None
        self._pid = os.getpid()
        self._former: dict[Signals, Any] = {}
        # Held by other threads alone, and by the main thread where it closes the window.
        self._closing = threading.Lock()

    @property
    def signal(self) -> Signals | None:
        """The first signal that arrived, None before."""
        return self._signal

    @property
    def level(self) -> int:
        """0 while nobody asked, else 1 to 3 as in the table at the head of this file."""
        return self._level

    def request(self, number: Signals = Signals.SIGTERM) -> None:
        """Ask to stop, as if the signal had arrived; from any thread, or from a signal handler."""
        now = time.monotonic()
        hurries = self._level > 0 and not self._is_supervised
        if self._is_supervised and number == HURRY_SIGNAL:
            self._level, hurries = max(self._level, 1), True
        if hurries:
            self._level = min(self._level + 1, 3)
            self._interrupt_at = min(self._interrupt_at, now)
        elif self._level == 0:
            self._level, self._interrupt_at = 1, now + self.grace_s
        self._signal = self._signal or Signals(number)
        if self._callback is not None:
            self._callback()
        if threading.current_thread() is threading.main_thread():
            self._interrupt_when_due()
            return
        with self._closing:  # the alarm must not ring after the window has closed
            if self._may_interrupt:
                signal.setitimer(signal.ITIMER_REAL, SOON_S)

    def call_when_asked(self, callback: Callable[[], None]) -> None:
        """Call `callback` at each request, in the signal handler: it may only set a number."""
        self._callback = callback
        if self._signal is not None:
            callback()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals while the block lasts; in a thread, where none arrive, nothing.

        A HUP that is ignored stays so: `nohup` means that the process outlives its terminal.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._pid = os.getpid()
        former: dict[Signals, Any] = {
            number: signal.signal(number, self._on_signal)
            for number in self._signals
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN
        }
        self._former = former
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    @contextmanager
    def interrupting(
        self, limit_s: float | None = None, waited_s: Callable[[], float] | None = None
    ) -> Iterator[None]:
        """Let the block be interrupted: by a request that is due, or when its time is over.

        A request that came before the block raises at once: nothing has been begun. A block that
        catches what interrupts it, and goes on to its end, is interrupted there: what it came to
        is not what it would have come to.

        Args:
            limit_s: seconds after which the block is interrupted, None for no limit.
            waited_s: a growing number of seconds; what it grows by within the block, the limit is
                put off. Called in signal handlers.

        Raises:
            StopRequested: somebody asked to stop, and the grace time is over.
            TrialTimeLimit: the block took longer than `limit_s`.
            ValueError: a `limit_s` outside the main thread, where no alarm can interrupt.
        """
        if self._signal is not None:
            raise StopRequested
        if threading.current_thread() is not threading.main_thread():
            if limit_s is not None:
                raise ValueError(
                    f"a time limit of {limit_s:g} s needs the main thread: start the worker there"
                )
            yield
            return
        begin = time.monotonic()
        handler = signal.signal(signal.SIGALRM, self._on_alarm)
        remaining_s, interval_s = signal.setitimer(signal.ITIMER_REAL, 0.0)
        waited_before_s = 0.0 if waited_s is None else waited_s()
        self._put_off_s = lambda: 0.0 if waited_s is None else waited_s() - waited_before_s
        self._limit_at = math.inf if limit_s is None else begin + limit_s
        self._raised = None
        self._may_interrupt = True
        try:
            try:
                self._interrupt_when_due()
                yield
            finally:
                self._may_interrupt = False
            if self._raised is not None:
                raise self._raised  # the block has caught it, as `except KeyboardInterrupt` does
        finally:
            with self._closing:
                self._may_interrupt = False
                signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, handler)
            if remaining_s:
                left_s = max(SOON_S, remaining_s - (time.monotonic() - begin))
                signal.setitimer(signal.ITIMER_REAL, left_s, interval_s)

    def wait(self, seconds: float, *, level: int = 1) -> bool:
        """Sleep until a request reaches `level`, at most `seconds`; return whether it did."""
        deadline = time.monotonic() + seconds
        while self.level < level and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(POLL_S, left))
        return self.level >= level

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:
            # A process that the objective has forked: it ends as if nobody listened.
            signal.signal(number, self._former[Signals(number)])
            os.kill(os.getpid(), number)
            return
        self.request(Signals(number))

    def _on_alarm(self, number: int, frame: FrameType | None) -> None:
        self._interrupt_when_due()

    def _interrupt_when_due(self) -> None:
        """Raise what is due, once: a second exception must not strike the clean-up.

        Else set the alarm for what will be due next. In the main thread only.
        """
        if not self._may_interrupt:
            return
        now = time.monotonic()
        if now >= self._interrupt_at:
            self._may_interrupt, self._raised = False, StopRequested
            raise StopRequested
        limit_at = self._limit_at + self._put_off_s()
        if now >= limit_at:
            self._may_interrupt, self._raised = False, TrialTimeLimit
            raise TrialTimeLimit
        next_at = min(self._interrupt_at, limit_at)
        if next_at < math.inf:
            # A limit that is put off again and again is not looked at more often than POLL_S.
            soon_s = SOON_S if now < self._limit_at else POLL_S
            signal.setitimer(signal.ITIMER_REAL, max(soon_s, next_at - now))

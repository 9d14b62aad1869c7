"""A request to stop, made by a signal, that interrupts the objective and nothing else.

An exception raised by a signal handler can strike between any two instructions. In the objective
that is what a user wants; between "trial created" and "heartbeat started" it would leave a trial
that nobody ends. So a worker opens a window around the objective, and outside it the request waits
until the worker looks.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["STOP_SIGNALS", "StopRequest", "StopRequested"]

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

POLL_S = 0.1


class StopRequested(KeyboardInterrupt):
    """Raised in the objective; Optuna lets a KeyboardInterrupt through after failing the trial."""


class StopRequest:
    """Whether somebody asked this process to stop, and by which signal."""

    def __init__(self) -> None:
        # A plain attribute: locks such as threading.Event's must not be taken in a signal handler.
        self._signal: signal.Signals | None = None
        self._may_interrupt = False

    @property
    def signal(self) -> signal.Signals | None:
        """The first signal that arrived, None before."""
        return self._signal

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the stop signals while the block lasts; in a thread, where none arrive, nothing."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former: dict[signal.Signals, Any] = {
            number: signal.signal(number, self._on_signal) for number in STOP_SIGNALS
        }
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Let a signal raise StopRequested inside the block, at once if it has arrived already."""
        self._may_interrupt = True
        try:
            if self._signal is not None:
                raise StopRequested
            yield
        finally:
            self._may_interrupt = False

    def wait(self, seconds: float) -> bool:
        """Sleep until somebody asks to stop, at most `seconds`; return whether somebody did."""
        deadline = time.monotonic() + seconds
        while self._signal is None and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(POLL_S, left))
        return self._signal is not None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._signal is None:
            self._signal = signal.Signals(number)
        if self._may_interrupt:
            self._may_interrupt = False  # once: a second signal must not strike the clean-up
            raise StopRequested

"""Why a trial failed, and when failing must end the run.

The reason is a user attribute, written while the trial still runs (a finished trial takes none),
so every worker, the dashboard and the next run can read it. A FAIL without one is a trial whose
worker died.
"""

from __future__ import annotations

import errno
import math
import signal
from collections.abc import Sequence
from datetime import datetime

from optuna.trial import FrozenTrial, TrialState

__all__ = [
    "FAIL_LIMIT",
    "FAIL_REASON",
    "STOPPED",
    "describe_death",
    "describe_error",
    "fail_reason",
    "fail_streak",
    "is_out_of_memory",
    "time_limit_reason",
    "unusable_value",
]

FAIL_REASON = "fail_reason"

STOPPED = "stopped on request; queued again"
"""Reason of a trial that ended because the run was stopped: no fault of the objective's."""

FAIL_LIMIT = 10
"""So many FAILs in a row stop a run: the objective is broken, more trials would not help."""

MAX_REASON_LENGTH = 500


MEMORY_SIGNS = (
    "out of memory",
    "can't allocate memory",  # torch on the CPU, a plain RuntimeError
    "cannot allocate memory",
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
)


def describe_error(error: BaseException) -> str:
    """Type and message in one short line; the traceback is in the worker's log.

    Where memory was short, the line begins with "out of memory".
    """
    message = " ".join(str(error).split())
    text = f"{type(error).__name__}: {message}" if message else type(error).__name__
    if is_out_of_memory(error):
        text = f"out of memory: {text}"
    return text if len(text) <= MAX_REASON_LENGTH else text[: MAX_REASON_LENGTH - 1] + "…"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that the memory of this machine or of a GPU did not suffice.

    torch.OutOfMemoryError is a RuntimeError, and its CPU allocator raises a plain one: the words
    tell.
    """
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in MEMORY_SIGNS)


def describe_death(exit_code: int) -> str:
    """How a process ended that should not have, as a predicate; a negative code is a signal."""
    if exit_code >= 0:
        return f"ended with code {exit_code}"
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:  # a real-time signal has no name
        name = "a signal"
    guess = " (out of memory?)" if -exit_code == signal.SIGKILL else ""
    return f"was killed by {name}, signal {-exit_code}{guess}"


def time_limit_reason(limit_s: float) -> str:
    """Reason of a trial that took longer than `limit_s` seconds; such a trial is not retried."""
    return f"time limit of {limit_s:g} s"


def unusable_value(value: object) -> str | None:
    """Why Optuna will fail a trial whose objective returned `value`, None if it will not."""
    if isinstance(value, list | tuple) and len(value) == 1:
        return unusable_value(value[0])
    try:
        number = float(value)  # type: ignore[arg-type]  # any object: this is the check
    except (TypeError, ValueError):
        return f"the objective returned {value!r:.80}, not a number"
    return "the objective returned NaN" if math.isnan(number) else None


def fail_reason(trial: FrozenTrial) -> str:
    """Why a FAIL trial failed, in one line."""
    return str(trial.user_attrs.get(FAIL_REASON, "its worker died (no reason stored)"))


def fail_streak(trials: Sequence[FrozenTrial], since: datetime) -> list[FrozenTrial]:
    """The FAIL trials that end the study, in order of number: no other trial finished after them.

    Only trials that finished at `since` or later count, so that a run after a mended mistake
    starts from zero. RUNNING and WAITING trials say nothing yet, trials stopped on request say
    nothing at all: both are passed over.
    """
    finished = [
        trial
        for trial in trials
        if trial.state.is_finished()
        and trial.user_attrs.get(FAIL_REASON) != STOPPED
        and trial.datetime_complete is not None
        and trial.datetime_complete >= since
    ]
    streak: list[FrozenTrial] = []
    for trial in sorted(finished, key=lambda trial: trial.number, reverse=True):
        if trial.state != TrialState.FAIL:
            break
        streak.append(trial)
    return streak[::-1]

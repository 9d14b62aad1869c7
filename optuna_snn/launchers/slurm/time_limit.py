"""How long a task may run, and how long before its end SLURM tells it."""

from __future__ import annotations

import math
import re

from optuna_snn.workers.errors import RunError

__all__ = ["check_time", "notice_s", "seconds_of"]

FORMS = (
    re.compile(r"(?P<minutes>\d+)(:(?P<seconds>\d+))?"),
    re.compile(r"(?P<hours>\d+):(?P<minutes>\d+):(?P<seconds>\d+)"),
    re.compile(r"(?P<days>\d+)-(?P<hours>\d+)(:(?P<minutes>\d+)(:(?P<seconds>\d+))?)?"),
)
"""As sbatch reads --time; "90" is minutes."""

SECONDS = {"days": 86_400, "hours": 3600, "minutes": 60, "seconds": 1}

WIND_DOWN_S = 100
"""What a clean stop may take beyond the grace time of the trials: 20 s for interrupted objectives
to clean up, and some more to read the study once again and to ask SLURM for the requeue."""

EARLY_S = 60
"""SLURM may send the signal so much earlier than it was asked to (`man sbatch`, --signal)."""

MAX_NOTICE_S = 65_535
"""The largest that sbatch takes."""


def seconds_of(time: str) -> int:
    """Seconds of a time as sbatch takes it: "90" (minutes), "1:30:00", "2-12".

    Raises:
        RunError: it is none, or nothing.
    """
    match = next(filter(None, (form.fullmatch(time) for form in FORMS)), None)
    seconds = 0
    if match is not None:
        given = {unit: value for unit, value in match.groupdict().items() if value is not None}
        seconds = sum(int(value) * SECONDS[unit] for unit, value in given.items())
    if seconds == 0:
        raise RunError(
            f"--time {time!r} is no time for SLURM; write minutes, hours:minutes:seconds, or "
            "days-hours, such as 90, 1:30:00 or 2-12"
        )
    return seconds


def notice_s(stop_grace_s: float) -> int:
    """Seconds before its end at which a task has to be told, to stop cleanly.

    Raises:
        RunError: more than SLURM takes.
    """
    notice = math.ceil(stop_grace_s) + WIND_DOWN_S
    if notice > MAX_NOTICE_S:
        raise RunError(
            f"--stop-grace {stop_grace_s:g}: SLURM tells a task at most {MAX_NOTICE_S} s before "
            f"its end; at most {MAX_NOTICE_S - WIND_DOWN_S} s are left for trials to finish"
        )
    return notice


def check_time(time: str, stop_grace_s: float) -> None:
    """Check that a task can do anything before it is told to stop.

    Raises:
        RunError: it cannot.
    """
    notice = notice_s(stop_grace_s)
    if seconds_of(time) <= notice + EARLY_S:
        raise RunError(
            f"--time {time} is too short: a task is told {notice} s before its end, or up to "
            f"{EARLY_S} s earlier, so that trials finish or are queued again; ask for more than "
            f"{math.ceil((notice + EARLY_S) / 60)} minutes, or less --stop-grace"
        )

"""Who works on a study, and who may have died over it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from optuna.trial import FrozenTrial, TrialState

from optuna_snn.reports.contents import Column, Table
from optuna_snn.visualization.reading import Reading
from optuna_snn.workers.display.words import clock
from optuna_snn.workers.identity import worker_of

__all__ = ["MOST_WORKERS", "workers_table"]

MOST_WORKERS = 20
"""Rows of the table; runs that were continued often have had many workers."""
UNKNOWN = "(not by optuna-snn)"

COLUMNS = (
    Column("worker"),
    Column("state"),
    Column("results", is_number=True),
    Column("failed", is_number=True),
)


def workers_table(reading: Reading, heartbeat_ages: Mapping[int, float], now: datetime) -> Table:
    """One row for each worker that the trials name: the running ones first, then the latest."""
    trials: dict[str, list[FrozenTrial]] = {}
    for trial in reading.trials:
        if trial.state != TrialState.WAITING:
            trials.setdefault(worker_of(trial) or UNKNOWN, []).append(trial)
    rows = sorted(trials.items(), key=lambda item: _order(item[1]))
    shown = [
        [
            name,
            _state(own, heartbeat_ages, now),
            f"{sum(t.state in (TrialState.COMPLETE, TrialState.PRUNED) for t in own)}",
            f"{sum(t.state == TrialState.FAIL for t in own)}",
        ]
        for name, own in rows[:MOST_WORKERS]
    ]
    n_more = len(rows) - len(shown)
    note = f"and {n_more} that ended earlier" if n_more else ""
    if not shown:
        note = "No trial has begun."
    return Table("Workers", COLUMNS if shown else (), shown, note)


def _order(trials: list[FrozenTrial]) -> tuple[bool, float]:
    is_running = any(trial.state == TrialState.RUNNING for trial in trials)
    ended = _last_end(trials)
    return not is_running, 0.0 if ended is None else -ended.timestamp()


def _state(trials: list[FrozenTrial], ages: Mapping[int, float], now: datetime) -> str:
    running = [trial for trial in trials if trial.state == TrialState.RUNNING]
    if running:
        return "; ".join(_running_words(trial, ages, now) for trial in running)
    ended = _last_end(trials)
    if ended is None:
        return "no trial has ended"
    return f"no trial for {clock(max(0.0, (now - ended).total_seconds()))}"


def _running_words(trial: FrozenTrial, ages: Mapping[int, float], now: datetime) -> str:
    words = f"trial {trial.number}"
    if trial.datetime_start is not None:
        words += f" for {clock(max(0.0, (now - trial.datetime_start).total_seconds()))}"
    age = ages.get(trial.number)
    if age is None:
        return f"{words}, without heartbeats"
    # Negative ages are those of trials that have yet to beat (`WorkerStorage.heartbeat_ages`).
    return f"{words}, " + (
        "before its first heartbeat" if age < 0 else f"heartbeat {clock(age)} ago"
    )


def _last_end(trials: list[FrozenTrial]) -> datetime | None:
    return max(
        (t.datetime_complete for t in trials if t.datetime_complete is not None), default=None
    )

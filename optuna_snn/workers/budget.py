"""How many trials a study has, and whether it needs one more.

The budget counts COMPLETE and PRUNED trials of the whole study, whoever ran them. FAILs cost
nothing (their number in a row is bounded elsewhere). Trials on their way count as if they will
finish, so that workers do not all start a last trial: at most those that ask at the same instant
can overshoot. WAITING trials are not on their way; a worker that asks takes them first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from optuna.trial import FrozenTrial, TrialState

from optuna_snn.workers.storage.worker_storage import ASK_GRACES

__all__ = ["COUNTED_STATES", "n_counted", "n_on_their_way"]

COUNTED_STATES = (TrialState.COMPLETE, TrialState.PRUNED)


def n_counted(trials: Sequence[FrozenTrial]) -> int:
    """Number of trials that count against the budget."""
    return sum(trial.state in COUNTED_STATES for trial in trials)


def n_on_their_way(
    trials: Sequence[FrozenTrial],
    heartbeat_ages: Mapping[int, float],
    *,
    grace_s: float,
    now: datetime,
) -> int:
    """Number of RUNNING trials that somebody is working on.

    A trial that has beaten is: if its worker is dead, the sweep for stale trials fails it soon.
    One that never beat, older than the grace period, may be left over from a worker that died
    before its first beat or belong to a process without heartbeats: nobody waits for it. Ages come
    from the database's clock as far as there are heartbeats; clocks of machines may differ.

    Args:
        trials: all trials of the study.
        heartbeat_ages: seconds since the last heartbeat by trial number; negative for trials that
            have not beaten but may still (see `WorkerStorage.heartbeat_ages`).
        grace_s: the storage's grace period in seconds.
        now: local time, as `FrozenTrial.datetime_start` is; only used for trials that have no
            heartbeat.
    """
    newest_zombie = now - timedelta(seconds=grace_s)

    def is_on_its_way(trial: FrozenTrial) -> bool:
        age_s = heartbeat_ages.get(trial.number)
        if age_s is None:
            return trial.datetime_start is not None and trial.datetime_start > newest_zombie
        # Below 0 it has only its first heartbeat, dated so far ahead when it was created.
        return age_s >= 0.0 or age_s + ASK_GRACES * grace_s < grace_s

    return sum(is_on_its_way(trial) for trial in trials if trial.state == TrialState.RUNNING)

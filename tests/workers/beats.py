"""Heartbeats that are older than they are."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy
from optuna.storages._rdb import models

from optuna_snn.workers.storage.opening import WorkerStorage, open_storage
from optuna_snn.workers.storage.worker_storage import _database_now

GRACE_S = 60


def open_for_test(url: str) -> WorkerStorage:
    """A storage of workers whose server, however young, has missed no beats."""
    storage = open_storage(url, grace_s=GRACE_S, first_beat=True)
    assert isinstance(storage, WorkerStorage)
    storage._missed_beats._server_is_new = lambda: False  # type: ignore[method-assign]
    return storage


def age_beats(storage: WorkerStorage, seconds: float, number: int | None = None) -> None:
    """Date all heartbeats, or those of one trial, `seconds` back."""
    with storage.scoped_session() as session, session.begin():
        then = _database_now(session) - timedelta(seconds=seconds)
        beat, trial = models.TrialHeartbeatModel, models.TrialModel
        update = sqlalchemy.update(beat).values(heartbeat=then)
        if number is not None:
            ids = sqlalchemy.select(trial.trial_id).where(trial.number == number)
            update = update.where(beat.trial_id.in_(ids))
        session.execute(update)

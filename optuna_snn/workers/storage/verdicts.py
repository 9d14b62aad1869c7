"""When missing heartbeats prove nothing: nobody could beat, or nobody was awake to.

A trial is taken for dead when its last heartbeat is older than the grace period. Just after an
interruption that holds for healthy trials as well, and the first worker that is back would fail
all the others'. So no verdict is given until each of them has had the time to beat again:

1. after the database server was started (PostgreSQL tells when);
2. after this process itself could not reach the database (a network partition restarts nothing);
3. after the machine slept, or its clock was set: seen by the wall clock leaving the monotonic one.
"""

from __future__ import annotations

import time

import sqlalchemy
from sqlalchemy.engine import Engine

from optuna_snn.workers.storage.patience import Patience

__all__ = ["MissedBeats"]


class MissedBeats:
    """Whether living workers may have been kept from beating.

    Args:
        engine: the database.
        patience: what this process saw of it.
        grace_s: seconds without a heartbeat after which a trial is taken for dead.
        interval_s: seconds between two heartbeats.
    """

    def __init__(
        self, engine: Engine, patience: Patience, *, grace_s: float, interval_s: float
    ) -> None:
        self._engine = engine
        self._patience = patience
        self._interval_s = interval_s
        self._window_s = grace_s + interval_s
        self._clock_lead_s = _clock_lead_s()
        self._jumped_at: float | None = None

    def are_possible(self) -> bool:
        """Whether an interruption ended so short a time ago that its traces may still be there."""
        return (
            self._patience.was_away_within(self._window_s)
            or self._clock_jumped()
            or self._server_is_new()
        )

    def _clock_jumped(self) -> bool:
        lead_s = _clock_lead_s()
        if abs(lead_s - self._clock_lead_s) > self._interval_s:
            self._clock_lead_s, self._jumped_at = lead_s, time.monotonic()
        return self._jumped_at is not None and time.monotonic() - self._jumped_at < self._window_s

    def _server_is_new(self) -> bool:
        if self._engine.name != "postgresql":
            return False  # a file has no server; of other servers only rule 2 tells
        up_for = sqlalchemy.text("SELECT extract(epoch FROM now() - pg_postmaster_start_time())")
        with self._engine.connect() as connection:
            return float(connection.execute(up_for).scalar_one()) < self._window_s


def _clock_lead_s() -> float:
    return time.time() - time.monotonic()

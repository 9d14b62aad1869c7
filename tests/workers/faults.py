"""Faults of a database, made to order: answers that get lost, commits that never happen."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event

from optuna_snn.workers.storage.worker_storage import WorkerStorage


@dataclass
class Faults:
    """How often it still happens, and how often it happened."""

    left: int
    share: float = 1.0
    seed: int = 0
    happened: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def strike(self) -> bool:
        if self.left <= 0 or self._random.random() >= self.share:
            return False
        self.left, self.happened = self.left - 1, self.happened + 1
        return True


def driver_error(storage: WorkerStorage) -> Exception:
    """What the driver raises when the connection breaks."""
    if storage.engine.name == "sqlite":
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorname = "SQLITE_IOERR"  # type: ignore[misc]  # as the C code sets it
        return error
    import psycopg2

    return psycopg2.OperationalError("server closed the connection unexpectedly")


@contextmanager
def lost_answers(
    storage: WorkerStorage, n: int = 1, *, share: float = 1.0, seed: int = 0
) -> Iterator[Faults]:
    """Of the next commits that share, n at most, is done and not answered."""
    with _faulty_commits(storage, Faults(n, share, seed), is_done=True) as faults:
        yield faults


@contextmanager
def lost_commits(storage: WorkerStorage, n: int = 1) -> Iterator[Faults]:
    """The next n commits are not done."""
    with _faulty_commits(storage, Faults(n), is_done=False) as faults:
        yield faults


@contextmanager
def refused_connections(storage: WorkerStorage, n: int = 1) -> Iterator[Faults]:
    """The next n connections are not made."""
    faults = Faults(n)

    def connect(*arguments: Any) -> None:
        if faults.strike():
            raise driver_error(storage)

    event.listen(storage.engine, "do_connect", connect)
    try:
        yield faults
    finally:
        event.remove(storage.engine, "do_connect", connect)


@contextmanager
def _faulty_commits(storage: WorkerStorage, faults: Faults, *, is_done: bool) -> Iterator[Faults]:
    dialect: Any = storage.engine.dialect
    commit = dialect.do_commit

    def do_commit(connection: Any) -> None:
        is_struck = faults.strike()
        if is_struck and not is_done:
            dialect.do_rollback(connection)
        else:
            commit(connection)
        if is_struck:
            raise driver_error(storage)

    dialect.do_commit = do_commit
    try:
        yield faults
    finally:
        del dialect.do_commit

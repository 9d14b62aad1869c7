"""One database for many workers: where studies are stored, and who is still alive in it.

`open_storage` takes a file name or a database URL and returns what `optuna.create_study` accepts.

Departures from Optuna's `RDBStorage`:

1. SQLite transactions begin with `BEGIN IMMEDIATE`. Python's sqlite3 opens a transaction at the
   first write only, so "read the state, then change it" is not atomic: with four workers, 10 of 60
   queued trials were claimed twice. Immediate transactions take their turn instead.
2. No connection pool. A connection is opened for a transaction and closed after it: none is held
   while a network trains, so a server's limit on connections is no limit on workers.
3. The schema may be created by several processes at once: the losers of that race try again.

Private or version-bound Optuna names used here, and nowhere else in `workers`:
`optuna.storages._rdb.models` (tables of trials, studies and heartbeats).
"""

from __future__ import annotations

import random
import sqlite3
import time
import warnings
from pathlib import Path
from typing import Any

import sqlalchemy
from optuna.exceptions import ExperimentalWarning
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from optuna_snn.workers.errors import RunError
from optuna_snn.workers.retry import DEFAULT_MAX_RETRY, RetryStaleTrial

__all__ = [
    "DEFAULT_GRACE_S",
    "WorkerStorage",
    "database_file",
    "normalise_url",
    "open_storage",
    "shown_url",
]

DEFAULT_GRACE_S = 60
"""Seconds without a heartbeat after which a trial's worker is taken for dead.

Heartbeats come from a thread, so whatever holds the interpreter lock or the disk delays them:
large imports, a data set unpickled, a CUDA context created, a busy SQLite file. Those are stalls
of seconds. A minute is well above them; a dead worker costs at most that minute.
"""

BEATS_PER_GRACE = 6
"""A worker beats this often within the grace period, so that a few late beats mean nothing."""

SQLITE_BUSY_TIMEOUT_S = 60
"""A transaction waits so long for its turn. Four busy workers waited 0.3 s at most."""

SCHEMA_ATTEMPTS = 6
"""Tries to create or read the schema while other processes create it."""


def open_storage(
    url: str, *, grace_s: int = DEFAULT_GRACE_S, max_retry: int = DEFAULT_MAX_RETRY
) -> WorkerStorage:
    """Storage for `optuna.create_study(storage=...)`, with heartbeats and retries of dead trials.

    Args:
        url: a file name such as `study.db` (SQLite), or a database URL. `postgresql://` means the
            psycopg2 driver here.
        grace_s: seconds without a heartbeat after which a running trial is failed and retried.
        max_retry: how often one configuration is tried again after its worker died.

    Raises:
        ValueError: a wrong `grace_s` or `max_retry`.
        RunError: the storage cannot be opened; the message says why and what to do.
    """
    if grace_s < 2:
        raise ValueError(f"grace_s must be at least 2 seconds, got {grace_s}.")
    full_url = normalise_url(url)
    arguments: dict[str, Any] = {
        "heartbeat_interval": max(1, grace_s // BEATS_PER_GRACE),
        "grace_period": grace_s,
        "heartbeat_stale_trial_callback": RetryStaleTrial(max_retry=max_retry),
    }
    for attempt in range(SCHEMA_ATTEMPTS):
        try:
            return WorkerStorage(full_url, **arguments)
        except ImportError as error:
            raise RunError(_missing_driver(full_url)) from error
        except (SQLAlchemyError, RuntimeError) as error:
            if attempt + 1 == SCHEMA_ATTEMPTS or not _may_be_schema_race(error):
                raise RunError(f"{_cannot_open(full_url)}: {_first_line(error)}") from error
            time.sleep(random.uniform(0.05, 0.5))
    raise AssertionError("unreachable: the last attempt returns or raises")


class WorkerStorage(RDBStorage):
    """`RDBStorage` with the three departures above."""

    def __init__(self, url: str, **kwargs: Any) -> None:
        engine_kwargs: dict[str, Any] = {"poolclass": NullPool}
        if _is_sqlite(url):
            # isolation_level=None: sqlite3 begins no transaction of its own accord.
            engine_kwargs["connect_args"] = {
                "timeout": SQLITE_BUSY_TIMEOUT_S,
                "isolation_level": None,
            }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            super().__init__(url, engine_kwargs=engine_kwargs, **kwargs)
        self._begin_immediately()

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        self._begin_immediately()

    def _begin_immediately(self) -> None:
        if _is_sqlite(self.url):
            event.listen(self.engine, "begin", _begin_immediate)

    def heartbeat_ages(self, study_name: str) -> dict[int, float]:
        """Seconds since the last heartbeat of each running trial that ever beat, by number."""
        trial, study, beat = models.TrialModel, models.StudyModel, models.TrialHeartbeatModel
        query = (
            sqlalchemy.select(trial.number, beat.heartbeat)
            .join(study, trial.study_id == study.study_id)
            .join(beat, beat.trial_id == trial.trial_id)
            .where(study.study_name == study_name, trial.state == TrialState.RUNNING)
        )
        with self.engine.connect() as connection:
            # The database's own clock, as in RDBStorage: heartbeats were stamped by it.
            now = connection.execute(sqlalchemy.select(sqlalchemy.func.now())).scalar_one()
            rows = connection.execute(query).all()
        now = now.replace(tzinfo=None)
        return {number: (now - last).total_seconds() for number, last in rows}


def normalise_url(url: str) -> str:
    """A full database URL from a file name or a URL.

    Raises:
        RunError: an empty name, a folder that does not exist, an unknown kind of storage.
    """
    if not url.strip():
        raise RunError("the storage is empty; name a file such as --storage study.db, or a URL")
    if "://" not in url:
        _check_sqlite_path(url)
        return f"sqlite:///{url}"
    try:
        parts = sqlalchemy.engine.make_url(url)
        backend = parts.get_backend_name()
    except ArgumentError as error:
        raise RunError(
            "the storage URL cannot be read; write sqlite:///study.db or "
            "postgresql://user:password@host:port/database"
        ) from error
    if backend == "sqlite":
        _check_sqlite_path(parts.database or "")
    elif backend in ("postgresql", "postgres") and "+" not in parts.drivername:
        # SQLAlchemy 2.1 reads a bare "postgresql" as psycopg 3, and knows no "postgres".
        parts = parts.set(drivername="postgresql+psycopg2")
    elif backend in ("redis", "journal"):
        raise RunError(f"storage {backend!r} cannot hold heartbeats; use SQLite or PostgreSQL")
    return parts.render_as_string(hide_password=False)


def shown_url(url: str) -> str:
    """The URL as it may be printed: without its password."""
    return sqlalchemy.engine.make_url(url).render_as_string(hide_password=True)


def database_file(url: str) -> Path | None:
    """The SQLite file behind a full URL, None for a database server."""
    parts = sqlalchemy.engine.make_url(url)
    return Path(parts.database or "") if parts.get_backend_name() == "sqlite" else None


def _check_sqlite_path(name: str) -> None:
    if name in ("", ":memory:") or name.startswith("file:"):
        raise RunError(
            f"SQLite storage {name or ':memory:'!r} cannot be shared by processes; "
            "name a file such as study.db"
        )
    if bad := sorted(set(name) & set("?{}")):
        # "?" starts the options of a URL, "{" one of Optuna's placeholders.
        raise RunError(f"the database path {name!r} contains {' '.join(bad)}; rename the file")
    path = Path(name)
    if not path.absolute().parent.is_dir():
        raise RunError(
            f"the folder {path.parent} does not exist; create it: mkdir -p {path.parent}"
        )
    if path.is_dir():
        raise RunError(f"{path} is a folder; name a database file in it: {path / 'study.db'}")
    if path.suffix == ".py":
        raise RunError(f"{path} is a Python file; name a database file such as study.db")


def _is_sqlite(url: str) -> bool:
    return url.startswith("sqlite")


def _begin_immediate(connection: sqlalchemy.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _may_be_schema_race(error: BaseException) -> bool:
    """Whether another process may have created tables or rows a moment before us."""
    if isinstance(error, IntegrityError):
        return True
    text = str(error).lower()
    return any(sign in text for sign in ("already exists", "no such table", "does not exist"))


def _cannot_open(url: str) -> str:
    file = database_file(url)
    return f"the storage {shown_url(url) if file is None else file} cannot be opened"


def _first_line(error: BaseException) -> str:
    cause: BaseException = getattr(error, "orig", None) or error
    if isinstance(cause, sqlite3.DatabaseError) and "not a database" in str(cause):
        return "it is a file of another kind; name a new file"
    return str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__


def _missing_driver(url: str) -> str:
    driver = sqlalchemy.engine.make_url(url).drivername
    extra = "; pip install 'optuna-snn[postgres]'" if driver == "postgresql+psycopg2" else ""
    return f"the storage needs the database driver {driver}, which is not installed{extra}"

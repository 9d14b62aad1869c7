"""The door to stored studies: a file name or a URL becomes a storage that many workers share.

database.py        SQLite, PostgreSQL and other databases: all that workers need
other_storages.py  a journal file and a gRPC proxy: without heartbeats
urls.py            how a storage is written
"""

from __future__ import annotations

import logging
import random
import time
from typing import Any

from optuna.exceptions import StorageInternalError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from optuna_snn.workers.errors import RunError
from optuna_snn.workers.retry import DEFAULT_MAX_RETRY, RetryStaleTrial
from optuna_snn.workers.storage.database_errors import (
    StorageLostError,
    first_line,
    hint,
    is_transient,
    may_be_schema_race,
    shown_storage,
)
from optuna_snn.workers.storage.other_storages import (
    WorkerJournal,
    WorkerProxy,
    open_grpc_proxy,
    open_journal,
)
from optuna_snn.workers.storage.patience import DEFAULT_PATIENCE_S, Patience
from optuna_snn.workers.storage.urls import backend_name, database_file, normalise_url, shown_url
from optuna_snn.workers.storage.worker_storage import WorkerStorage

__all__ = [
    "DEFAULT_GRACE_S",
    "DEFAULT_PATIENCE_S",
    "OPENING_PATIENCE_S",
    "StudyStorage",
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

OPENING_PATIENCE_S = 30.0
"""A server is waited for no longer when it is opened: it may restart just now, but as likely its
name is misspelt."""

SCHEMA_RACE_S = 30.0
"""Processes that start on a new database at once try for so long to create its tables or to find
them created."""

_logger = logging.getLogger("optuna_snn.workers")

_said: set[str] = set()


StudyStorage = WorkerStorage | WorkerJournal | WorkerProxy
"""What workers run on: Optuna's storage, and with it `patience` and `heartbeat_ages`."""


def open_storage(
    url: str,
    *,
    grace_s: int = DEFAULT_GRACE_S,
    max_retry: int = DEFAULT_MAX_RETRY,
    patience_s: float = DEFAULT_PATIENCE_S,
    opening_patience_s: float | None = None,
    first_beat: bool = False,
) -> StudyStorage:
    """Storage for `optuna.create_study(storage=...)`, with heartbeats and retries of dead trials.

    Example:
        >>> import optuna
        >>> from optuna_snn.workers import open_storage
        >>> study = optuna.create_study(storage=open_storage("study.db"))

    Args:
        url: a file name such as `study.db` (SQLite), or a URL (see `urls.py`). `postgresql://`
            means the psycopg2 driver here. `journal:///study.log` and `grpc://host:port` have no
            heartbeats; what that means is said once in the log.
        grace_s: seconds without a heartbeat after which a running trial is failed and retried.
        max_retry: how often one configuration is tried again after its worker died.
        patience_s: how long each call is tried again while the storage cannot be reached.
        opening_patience_s: how long opening it is; OPENING_PATIENCE_S unless given, and at most
            `patience_s`.
        first_beat: whether trials have a heartbeat from their creation on, so that a worker which
            dies while it asks is noticed. Only for trials that `Study.optimize` runs.

    Raises:
        ValueError: a wrong `grace_s`, `max_retry` or `patience_s`.
        RunError: the storage cannot be opened; the message says why and what to do. Later calls
            raise StorageError, which is one, for what trying again cannot mend.
    """
    if grace_s < 2:
        raise ValueError(f"grace_s must be at least 2 seconds, got {grace_s}.")
    if not patience_s >= 0:
        raise ValueError(f"patience_s must be 0 or more seconds, got {patience_s}.")
    if opening_patience_s is None:
        opening_patience_s = OPENING_PATIENCE_S
    opening_patience_s = min(opening_patience_s, patience_s)
    retry = RetryStaleTrial(max_retry=max_retry)
    full_url = normalise_url(url)
    opened: StudyStorage
    if backend_name(full_url) == "journal":
        opened = open_journal(full_url)
    elif backend_name(full_url) == "grpc":
        opened = open_grpc_proxy(
            full_url, patience_s=patience_s, opening_patience_s=opening_patience_s
        )
    else:
        opened = _open_database(
            full_url,
            patience_s=patience_s,
            opening_patience_s=opening_patience_s,
            first_beat=first_beat,
            heartbeat_interval=max(1, grace_s // BEATS_PER_GRACE),
            grace_period=grace_s,
            heartbeat_stale_trial_callback=retry,
        )
    _say_limits(opened)
    return opened


def _open_database(
    url: str, *, patience_s: float, opening_patience_s: float, **kwargs: Any
) -> WorkerStorage:
    is_file = database_file(url) is not None
    opening = Patience(
        # SQLite waits for its turn by itself, and nothing else about a file passes so soon.
        0.0 if is_file else opening_patience_s,
        name=f"the storage {shown_storage(url)}",
        is_transient=is_transient,
        describe=lambda error: first_line(error, url) + hint(error),
        refusal=lambda error: None,
        before_repeat=lambda: None,
    )
    try:
        return opening.call(lambda: _create(url, patience_s=patience_s, **kwargs))
    except ImportError as error:
        raise RunError(_missing_driver(url)) from error
    except (SQLAlchemyError, StorageInternalError, RuntimeError) as error:
        cause = error.__cause__ if isinstance(error, StorageLostError) else error
        assert cause is not None
        raise RunError(
            f"the storage {shown_storage(url)} cannot be opened: "
            f"{first_line(cause, url)}{hint(cause)}"
        ) from cause


def _create(url: str, **kwargs: Any) -> WorkerStorage:
    """A storage whose tables exist, whoever created them."""
    deadline = time.monotonic() + SCHEMA_RACE_S
    while True:
        try:
            return WorkerStorage(url, **kwargs)
        except (SQLAlchemyError, StorageInternalError, AssertionError) as error:
            if not may_be_schema_race(error) or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0.05, 0.5))


def _say_limits(opened: StudyStorage) -> None:
    limits = "" if isinstance(opened, WorkerStorage) else opened.limits
    if limits and limits not in _said:
        _said.add(limits)
        _logger.warning("%s", limits)


def _missing_driver(url: str) -> str:
    driver = make_url(url).drivername
    extra = "; pip install 'optuna-snn[postgres]'" if driver == "postgresql+psycopg2" else ""
    return f"the storage needs the database driver {driver}, which is not installed{extra}"

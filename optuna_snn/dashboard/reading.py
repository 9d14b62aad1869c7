"""A storage that only reads: the database itself refuses what would change it.

    SQLite             the file is opened with mode=ro. No transaction holds up a worker
                       (https://www.sqlite.org/uri.html)
    PostgreSQL         transactions are READ ONLY
    other databases    as the user's rights permit; `view.py` refuses writes in any case
    journal, gRPC      likewise

Finished trials are read once. What a later look reads is those that are new, running or waiting
(`optuna.storages.get_storage` puts Optuna's cache before a database).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import optuna
import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from optuna_snn.workers.errors import RunError
from optuna_snn.workers.storage.connections import SQLITE_BUSY_TIMEOUT_S, engine_arguments
from optuna_snn.workers.storage.database_errors import first_line, hint, shown_storage
from optuna_snn.workers.storage.opening import OPENING_PATIENCE_S, open_storage
from optuna_snn.workers.storage.urls import backend_name, database_file

__all__ = ["READING_ERRORS", "describe_reading_error", "open_for_reading"]

READING_ERRORS = (SQLAlchemyError, StorageInternalError, OSError)
"""What a storage raises that cannot be read just now."""

STUDIES_TABLE = "studies"


def open_for_reading(url: str) -> BaseStorage:
    """Return the storage behind a full URL; nothing is created there, and nothing changed.

    Raises:
        RunError: there is none, or it cannot be read. One line, without the URL's password.
    """
    file = database_file(url)
    if file is not None and not file.exists():
        raise RunError(f"there is no database {file}; say where the studies are with --storage")
    if backend_name(url) in ("journal", "grpc"):
        # Who only looks holds nothing that could be lost, and would rather know.
        return open_storage(url, patience_s=OPENING_PATIENCE_S)
    try:
        arguments = _reading_arguments(url, file)
        engine = sqlalchemy.create_engine(url, **arguments)
        has_studies = sqlalchemy.inspect(engine).has_table(STUDIES_TABLE)
        if has_studies:
            return optuna.storages.get_storage(
                RDBStorage(url, engine_kwargs=arguments, skip_table_creation=True)
            )
    except ImportError:
        return open_storage(url)  # which tells the driver, and how it is installed
    except (*READING_ERRORS, RuntimeError) as error:  # RuntimeError: tables of another version
        raise RunError(
            f"the storage {shown_storage(url)} cannot be opened: "
            f"{first_line(error, url)}{hint(error)}"
        ) from error
    raise RunError(f"{shown_storage(url)} has no studies; a run makes the first one")


def describe_reading_error(error: BaseException, url: str) -> str:
    """Say in one line, without the URL's password, why a storage cannot be read just now."""
    if isinstance(error, RunError):
        return str(error)
    return f"the storage {shown_storage(url)}: {first_line(error, url)}{hint(error)}"


def _reading_arguments(url: str, file: Path | None) -> dict[str, Any]:
    """What `sqlalchemy.create_engine` is to be told beside the URL."""
    if file is not None:
        return {"poolclass": NullPool, "creator": _sqlite_reader(file)}
    arguments = engine_arguments(url)
    if backend_name(url) == "postgresql":
        arguments["execution_options"] = {"postgresql_readonly": True}
    return arguments


def _sqlite_reader(file: Path) -> Callable[[], sqlite3.Connection]:
    uri = f"file:{quote(str(file.absolute()))}?mode=ro"
    # Sessions stay with their thread, but a pool may close a connection from another one.
    return lambda: sqlite3.connect(
        uri, uri=True, timeout=SQLITE_BUSY_TIMEOUT_S, check_same_thread=False
    )

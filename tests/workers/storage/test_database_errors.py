"""Which errors of databases pass by themselves."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import DBAPIError, OperationalError

from optuna_snn.workers.storage.database_errors import is_transient, may_be_schema_race


def driver_error(kind: str, code: str | int | None, text: str) -> Exception:
    """An error as SQLAlchemy and Optuna hand it on."""
    original: Any = type("DriverError", (Exception,), {})(text)
    if isinstance(code, int):
        original.args = (code, text)
    elif code is not None and code.startswith("SQLITE"):
        original.sqlite_errorname = code
    elif code is not None:
        original.pgcode = code
    wrapped = getattr(sqlalchemy.exc, kind)("SELECT 1", {}, original)
    outer = StorageInternalError("An exception is raised during the commit.")
    outer.__cause__ = wrapped
    return outer


@pytest.mark.parametrize(
    ("kind", "code", "text", "passes"),
    [
        ("OperationalError", "57P01", "terminating connection", True),
        ("OperationalError", "57P03", "the database system is starting up", True),
        ("OperationalError", "40P01", "deadlock detected", True),
        ("OperationalError", "53100", "could not extend file: No space left", True),
        ("OperationalError", "53300", "sorry, too many clients already", True),
        ("OperationalError", "08006", "connection failure", True),
        ("OperationalError", None, "server closed the connection unexpectedly", True),
        ("OperationalError", None, "FATAL:  the database system is shutting down", True),
        ("OperationalError", None, 'FATAL:  password authentication failed for user "a"', False),
        ("OperationalError", None, 'FATAL:  database "a" does not exist', False),
        ("OperationalError", None, 'FATAL:  role "a" does not exist', False),
        ("OperationalError", None, "FATAL:  no pg_hba.conf entry for host", False),
        ("OperationalError", "54000", "index row size exceeds maximum", False),
        ("InterfaceError", None, "connection already closed", True),
        ("InternalError", "25006", "cannot execute INSERT in a read-only transaction", False),
        ("InternalError", "25P02", "current transaction is aborted", True),
        ("InternalError", "25P03", "terminating connection due to idle-in-transaction", True),
        ("ProgrammingError", "42501", "permission denied for table trials", False),
        ("ProgrammingError", "42P01", 'relation "trials" does not exist', False),
        ("IntegrityError", "23505", "duplicate key value", False),
        ("DataError", "22001", "value too long for type character varying(512)", False),
        ("OperationalError", "SQLITE_BUSY", "database is locked", True),
        ("OperationalError", "SQLITE_IOERR_WRITE", "disk I/O error", True),
        ("OperationalError", "SQLITE_FULL", "database or disk is full", True),
        ("OperationalError", "SQLITE_CANTOPEN", "unable to open database file", True),
        ("OperationalError", "SQLITE_READONLY", "attempt to write a readonly database", False),
        ("OperationalError", "SQLITE_ERROR", "no such table: studies", False),
        ("OperationalError", "SQLITE_ERROR", 'near "FROM": syntax error', False),
        ("DatabaseError", "SQLITE_CORRUPT", "database disk image is malformed", False),
        ("OperationalError", 1213, "Deadlock found when trying to get lock", True),
        ("OperationalError", 2006, "MySQL server has gone away", True),
        ("OperationalError", 1045, "Access denied for user", False),
        ("OperationalError", 1049, "Unknown database", False),
    ],
)
def test_errors_that_pass_are_told_from_those_that_do_not(
    kind: str, code: str | int | None, text: str, passes: bool
) -> None:
    assert is_transient(driver_error(kind, code, text)) is passes


def test_a_connection_that_broke_passes_whatever_its_error_is() -> None:
    error = DBAPIError("SELECT 1", {}, Exception("odd"), connection_invalidated=True)
    assert is_transient(error)
    assert not is_transient(DBAPIError("SELECT 1", {}, Exception("odd")))


@pytest.mark.parametrize("error", [KeyError("x"), ValueError("x"), RuntimeError("deadlock")])
def test_errors_that_are_no_databases_do_not_pass(error: Exception) -> None:
    assert not is_transient(error)


def test_a_missing_database_is_no_race_of_schemas() -> None:
    missing = OperationalError(None, None, Exception('FATAL:  database "a" does not exist'))
    assert not may_be_schema_race(missing)
    assert may_be_schema_race(driver_error("IntegrityError", "23505", "pg_type_typname_nsp_index"))
    assert may_be_schema_race(driver_error("OperationalError", "SQLITE_ERROR", "no such table: x"))
    assert not may_be_schema_race(driver_error("OperationalError", "57P01", "terminating"))

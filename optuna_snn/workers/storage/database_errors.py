"""What a database's error means: whether it passes, and what a user can do about it.

Drivers say it in four ways: PostgreSQL by SQLSTATE (psycopg2's `pgcode`, psycopg's `sqlstate`),
SQLite by the name of its result code, MySQL by a number, and a connection that failed by a message
alone. Optuna wraps all of them in StorageInternalError, so the chain of causes is searched.

SQLSTATE classes: https://www.postgresql.org/docs/current/errcodes-appendix.html
SQLite result codes: https://www.sqlite.org/rescode.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
    PendingRollbackError,
    ResourceClosedError,
    SQLAlchemyError,
    TimeoutError,
)

from optuna_snn.workers.errors import RunError
from optuna_snn.workers.storage.urls import database_file, shown_url, without_password

__all__ = [
    "StorageError",
    "StorageLostError",
    "first_line",
    "hint",
    "is_transient",
    "may_be_schema_race",
    "refusal",
    "shown_storage",
]


class StorageError(RunError, StorageInternalError):
    """The storage refuses what was asked, and trying again will not help.

    One line, as every RunError; a StorageInternalError too, for code that expects Optuna's own.
    """


class StorageLostError(StorageError):
    """The storage did not come back for as long as was waited for it."""


@dataclass(frozen=True)
class _Trouble:
    hint: str
    is_transient: bool = False
    codes: tuple[str, ...] = ()
    """Beginnings of an SQLSTATE or of an SQLite name, or a whole MySQL number."""
    words: tuple[str, ...] = ()
    """Parts of the message in lower case, each of which tells it; "a*b": a, then b."""


TROUBLES = (
    _Trouble(
        "check the user name and the password in the storage URL",
        codes=("28P01", "28000", "1045"),
        words=("authentication failed", "no password supplied", "role *does not exist"),
    ),
    _Trouble(
        "the server lets nobody in from here (see its pg_hba.conf, or db start --allow)",
        words=("no pg_hba.conf",),
    ),
    _Trouble(
        "create that database (createdb), or correct its name in the storage URL",
        codes=("3D000", "1049"),
        words=("fatal*database *does not exist",),
    ),
    _Trouble(
        "its user may not write here; grant the rights, or use another user",
        codes=("42501", "25006", "1044", "1142", "1290"),
        words=("permission denied",),
    ),
    _Trouble(
        "the file or its folder may only be read by you; change its permissions (chmod u+w)",
        codes=("SQLITE_READONLY",),
    ),
    _Trouble("it is a file of another kind; name a new file", codes=("SQLITE_NOTADB",)),
    _Trouble("the file is damaged; restore a copy of it", codes=("SQLITE_CORRUPT",)),
    _Trouble(
        "its tables are gone; was the database deleted or moved away?",
        codes=("42P01", "1146"),
        words=("no such table",),
    ),
    _Trouble(
        "free some space there",
        is_transient=True,
        codes=("53100", "SQLITE_FULL", "1021", "1114"),
        words=("no space left", "disk is full", "could not extend file"),
    ),
    _Trouble(
        "raise the server's max_connections, or start fewer workers",
        is_transient=True,
        codes=("53300", "1040"),
        words=("too many clients", "remaining connection slots"),
    ),
    _Trouble(
        "is the server running, and are host and port right?",
        is_transient=True,
        words=("connection refused", "could not translate host name", "timeout expired"),
    ),
)
"""First match wins. What is not listed says enough by itself."""

PASSING_CODES = (
    *("08", "25P02", "25P03", "40", "53", "55", "57", "58", "XX000"),
    *("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN"),
    *("SQLITE_PROTOCOL", "SQLITE_NOMEM", "SQLITE_INTERRUPT"),
    *("1021", "1040", "1053", "1114", "1205", "1213", "2002", "2003", "2006", "2013"),
)
"""Connection lost or taken back, deadlock or conflict, out of resources, lock not free, shut down,
I/O error."""

PASSING_TYPES = (OperationalError, InterfaceError, InternalError)

PASSING_WITHOUT_CODE = (PendingRollbackError, TimeoutError, ResourceClosedError)
"""SQLAlchemy's own: what follows in a session after its connection broke."""

RACE_CODES = ("23505", "42P07", "42710", "42P01", "3F000")
RACE_WORDS = ("already exists", "no such table", "does not exist", "unique constraint")


def is_transient(error: BaseException) -> bool:
    """Whether the same call may succeed a moment later."""
    found = _database_error(error)
    if not isinstance(found, DBAPIError):
        return isinstance(found, PASSING_WITHOUT_CODE)
    trouble = _trouble(found)
    if trouble is not None:
        return trouble.is_transient
    if found.connection_invalidated:
        return True
    code = _code(found)
    if code is None:
        return isinstance(found, PASSING_TYPES)
    return _begins(code, PASSING_CODES)


def refusal(error: BaseException, url: str) -> str | None:
    """One line for an error that a user can put right; None if it is none of those."""
    found = _database_error(error)
    if found is None or _trouble(found) is None:
        return None
    return f"the storage {shown_storage(url)}: {first_line(error, url)}{hint(error)}"


def hint(error: BaseException) -> str:
    """What to do about it, to stand behind `first_line`; empty where the error says enough."""
    found = _database_error(error)
    trouble = None if found is None else _trouble(found)
    return "" if trouble is None else f"; {trouble.hint}"


def first_line(error: BaseException, url: str) -> str:
    """The driver's own message in one line, without the password of `url`."""
    found = _database_error(error) or error
    cause: BaseException = getattr(found, "orig", None) or found
    lines = str(cause).strip().splitlines() or [type(cause).__name__]
    return without_password(" ".join(lines[0].split()), url)


def may_be_schema_race(error: BaseException) -> bool:
    """Whether another process may have created tables or rows a moment before us."""
    found = _database_error(error)
    if not isinstance(found, DBAPIError):
        return isinstance(error, AssertionError)  # Optuna: the version row is not there yet
    if isinstance(found, OperationalError) and _is_a_failed_connection(found):
        return False
    code, text = _code(found), str(found.orig).lower()
    return (code or "") in RACE_CODES or any(words in text for words in RACE_WORDS)


def shown_storage(url: str) -> str:
    """The storage as messages name it: its file, or its URL without the password."""
    file = database_file(url)
    return shown_url(url) if file is None else str(file)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__


def _database_error(error: BaseException) -> SQLAlchemyError | None:
    """The first error of SQLAlchemy among the causes of `error`, itself included."""
    return next((link for link in _causes(error) if isinstance(link, SQLAlchemyError)), None)


def _code(error: DBAPIError) -> str | None:
    original = error.orig
    for attribute in ("pgcode", "sqlstate", "sqlite_errorname"):
        if code := getattr(original, attribute, None):
            return str(code)
    arguments = getattr(original, "args", ())
    return str(arguments[0]) if arguments and isinstance(arguments[0], int) else None


def _trouble(error: SQLAlchemyError) -> _Trouble | None:
    if not isinstance(error, DBAPIError):
        return None
    code, text = _code(error), str(error.orig).lower()
    for trouble in TROUBLES:
        if code is not None and _begins(code, trouble.codes):
            return trouble
        if any(_contains(text, words) for words in trouble.words):
            return trouble
    return None


def _begins(code: str, beginnings: tuple[str, ...]) -> bool:
    return any(
        code == each if each.isdigit() and len(each) == 4 else code.startswith(each)
        for each in beginnings
    )


def _contains(text: str, pattern: str) -> bool:
    position = 0
    for part in pattern.split("*"):
        position = text.find(part, position)
        if position < 0:
            return False
        position += len(part)
    return True


def _is_a_failed_connection(error: DBAPIError) -> bool:
    """Whether there was no connection yet: "database x does not exist" is no schema race."""
    return error.statement is None

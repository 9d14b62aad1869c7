"""How workers connect to a database.

1. Without a pool: a connection is opened for a transaction and closed after it. None is held while
   a network trains, so a server's limit on connections is no limit on workers. A worker has two
   threads that connect, its main one and the one that beats.
2. SQLite transactions begin with `BEGIN IMMEDIATE`. Python's sqlite3 opens a transaction at the
   first write only, so "read the state, then change it" is not atomic: with four workers, 10 of 60
   queued trials were claimed twice. Immediate transactions take their turn instead.
3. A PostgreSQL server that vanished without a word is noticed within half a minute; the operating
   system by itself would wait for up to two hours.
4. And the server takes back the locks of a worker that vanished in a transaction (its machine lost
   power, or it was frozen): whoever creates a trial holds the study's row, and all others would
   wait for him as long.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import NullPool

__all__ = ["IDLE_IN_TRANSACTION_S", "begin_well", "engine_arguments"]

SQLITE_BUSY_TIMEOUT_S = 60
"""A transaction waits so long for its turn. Four busy workers waited 0.3 s at most."""

SERVER_OPTIONS = {
    "connect_timeout": 5,
    "keepalives_idle": 20,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "application_name": "optuna_snn",
}
"""Of libpq; options in the URL go before these."""

IDLE_IN_TRANSACTION_S = 60
"""A transaction takes milliseconds. One whose client says nothing for so long is ended."""

LIBPQ_DRIVERS = ("psycopg2", "psycopg")


def engine_arguments(url: str) -> dict[str, Any]:
    """What `sqlalchemy.create_engine` is to be told beside the URL."""
    parts = sqlalchemy.engine.make_url(url)
    arguments: dict[str, Any] = {"poolclass": NullPool}
    if parts.get_backend_name() == "sqlite":
        # isolation_level=None: sqlite3 begins no transaction of its own accord.
        arguments["connect_args"] = {"timeout": SQLITE_BUSY_TIMEOUT_S, "isolation_level": None}
    elif parts.get_backend_name() == "postgresql" and parts.get_driver_name() in LIBPQ_DRIVERS:
        arguments["connect_args"] = {
            key: value for key, value in SERVER_OPTIONS.items() if key not in parts.query
        }
    return arguments


def begin_well(engine: Engine) -> None:
    """Make each transaction of `engine` begin as points 2 and 4 say."""
    if engine.name == "sqlite":
        event.listen(engine, "begin", _begin_immediate)
    elif engine.name == "postgresql":
        event.listen(engine, "begin", _begin_with_a_limit)


def _begin_immediate(connection: sqlalchemy.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_with_a_limit(connection: sqlalchemy.Connection) -> None:
    # LOCAL: behind a connection pooler the session belongs to others as well.
    limit_ms = 1000 * IDLE_IN_TRANSACTION_S
    connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = {limit_ms}")

"""Databases on a server: made, dropped, counted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from optuna_snn.workers.errors import RunError
from optuna_snn.workers.storage.opening import normalise_url, shown_url

__all__ = ["DatabaseUsage", "create_database", "database_usage", "drop_database"]

NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
"""Names that need quotes only where they are words of SQL (order, limit); 63 characters is
PostgreSQL's limit."""

CONNECT_TIMEOUT_S = 10


@dataclass(frozen=True)
class DatabaseUsage:
    """A database of a server."""

    name: str
    n_bytes: int
    n_connections: int


def create_database(url: str, name: str) -> str:
    """Create the database `name` on the server of `url`, and return its URL.

    Raises:
        ValueError: `name` is not made of small letters, digits and underscores.
        RunError: the server refuses; the message never holds the password.
    """
    _check_name(name)
    with _connection(url) as connection:
        # template0: nobody is ever connected to it, which would block the copy.
        connection.exec_driver_sql(f'CREATE DATABASE "{name}" TEMPLATE template0')
    return make_url(normalise_url(url)).set(database=name).render_as_string(hide_password=False)


def drop_database(url: str, name: str) -> None:
    """Drop the database `name` on the server of `url`, if it exists, and end its connections.

    Raises:
        ValueError, RunError: as `create_database`.
    """
    _check_name(name)
    with _connection(url) as connection:
        connection.exec_driver_sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def database_usage(url: str) -> list[DatabaseUsage]:
    """The databases of the server of `url`, except templates and PostgreSQL's own, by name.

    The connection that asks is not counted.

    Raises:
        RunError: the server refuses.
    """
    query = (
        "SELECT datname, pg_database_size(datname), (SELECT count(*) FROM pg_stat_activity a "
        "WHERE a.datname = d.datname AND a.pid <> pg_backend_pid()) FROM pg_database d "
        "WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY datname"
    )
    with _connection(url) as connection:
        rows = connection.exec_driver_sql(query).all()
    return [DatabaseUsage(name, n_bytes, n_connections) for name, n_bytes, n_connections in rows]


@contextmanager
def _connection(url: str) -> Iterator[sqlalchemy.Connection]:
    full_url = normalise_url(url)
    options: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT_S}
    try:
        engine = sqlalchemy.create_engine(
            full_url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=options
        )
        with engine.connect() as connection:
            yield connection
    except ModuleNotFoundError as error:
        raise RunError(
            "PostgreSQL needs the driver psycopg2; pip install 'optuna-snn[postgres]'"
        ) from error
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise RunError(f"the server {shown_url(full_url)} refuses: {reason}") from error


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise ValueError(
            f"the database name must be small letters, digits and _, at most 63, got {name!r}."
        )

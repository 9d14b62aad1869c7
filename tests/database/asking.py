"""Short questions to a server."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg2
from sqlalchemy.engine import make_url

from optuna_snn.database import Server

__all__ = ["connect", "query", "read_notes", "wait_for", "write_note"]


def connect(server: Server, **other: Any) -> Any:
    """A psycopg2 connection by TCP; arguments replace those of the server's URL."""
    url = make_url(server.local_url)
    arguments = {
        "host": url.host,
        "port": url.port,
        "user": url.username,
        "password": url.password,
        "dbname": url.database,
        "connect_timeout": 10,
        "passfile": "/dev/null",
    }
    return psycopg2.connect(**(arguments | other))


def query(server: Server, sql: str) -> list[tuple[Any, ...]]:
    """Rows of a query; what it changes is committed."""
    connection = connect(server)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()


def write_note(server: Server, text: str) -> None:
    query(server, "CREATE TABLE IF NOT EXISTS notes (text text)")
    query(server, f"INSERT INTO notes VALUES ('{text}')")


def read_notes(server: Server) -> list[str]:
    return [row[0] for row in query(server, "SELECT text FROM notes")]


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Return when the condition holds; the limit only ends a test that has failed."""
    deadline = time.monotonic() + 60.0
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.05)

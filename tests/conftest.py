"""A PostgreSQL server for the tests that need one: started at the first use, once per session.

The environment variable OPTUNA_SNN_TEST_POSTGRES points the tests to another server: the URL of a
role that may create databases.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest
from sqlalchemy.engine import make_url

# optuna_snn.database is imported inside the fixtures: most tests need no server.


class HiddenPassword(str):
    """A URL whose `repr` hides the password: pytest shows the fixtures of a failing test."""

    def __repr__(self) -> str:
        return repr(make_url(str(self)).render_as_string(hide_password=True))


@pytest.fixture(scope="session")
def postgres_server_url() -> Iterator[str]:
    """URL, with its password, of a server where databases may be created."""
    if url := os.environ.get("OPTUNA_SNN_TEST_POSTGRES"):
        yield HiddenPassword(url)
        return
    from optuna_snn.database import temporary_server

    with temporary_server() as server:
        yield HiddenPassword(server.url)


@pytest.fixture
def postgres_url(postgres_server_url: str) -> Iterator[str]:
    """URL, with its password, of an empty database of the test's own."""
    from optuna_snn.database import create_database, drop_database

    name = f"optuna_snn_test_{secrets.token_hex(8)}"
    yield HiddenPassword(create_database(postgres_server_url, name))
    drop_database(postgres_server_url, name)

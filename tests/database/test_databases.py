"""Databases on a server are made, dropped and counted."""

from __future__ import annotations

import psycopg2
import pytest
from sqlalchemy.engine import make_url

from optuna_snn.database import (
    Server,
    create_database,
    database_usage,
    drop_database,
    stop_server,
)
from optuna_snn.workers.errors import RunError
from tests.database.asking import connect


def test_a_database_is_made_used_and_dropped_with_its_connections(server: Server) -> None:
    url = create_database(server.url, "made")
    try:
        assert make_url(url) == make_url(server.url).set(database="made")
        connection = connect(server, dbname="made")
        usage = {usage.name: usage for usage in database_usage(server.url)}
        assert usage.keys() == {"made", "optuna"}
        assert usage["made"].n_connections == 1
        assert usage["optuna"].n_connections == 0, "the one that asks is not counted"
        assert usage["made"].n_bytes > 1_000_000
    finally:
        drop_database(server.url, "made")
    assert [usage.name for usage in database_usage(server.url)] == ["optuna"]
    with pytest.raises(psycopg2.OperationalError):
        connection.cursor().execute("SELECT 1")
    connection.close()
    drop_database(server.url, "made")  # one that is gone is no error


def test_a_url_without_a_driver_means_psycopg2(server: Server) -> None:
    bare = server.url.replace("postgresql+psycopg2://", "postgresql://")
    assert database_usage(bare) == database_usage(server.url)


@pytest.mark.parametrize("name", ["", "Upper", "a-b", "1a", 'x"; DROP', "a" * 64])
def test_names_of_other_characters_are_refused(name: str) -> None:
    for act in (create_database, drop_database):
        with pytest.raises(ValueError, match="the database name must be"):
            act("postgresql://nowhere/x", name)


def test_a_database_may_be_called_like_a_word_of_sql(server: Server) -> None:
    url = create_database(server.url, "limit")
    assert "limit" in {usage.name for usage in database_usage(url)}
    drop_database(server.url, "limit")
    assert "limit" not in {usage.name for usage in database_usage(server.url)}


def test_a_server_that_does_not_answer_is_one_line(server: Server) -> None:
    stop_server(server.data)
    with pytest.raises(RunError, match="Connection refused") as caught:
        database_usage(server.url)
    assert "\n" not in str(caught.value)


def test_a_database_that_exists_is_one_line(server: Server) -> None:
    with pytest.raises(RunError, match='database "optuna" already exists'):
        create_database(server.url, "optuna")

"""How a storage is written, and what is refused before anything is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from optuna_snn.workers.errors import RunError
from optuna_snn.workers.storage.urls import (
    database_file,
    normalise_url,
    shown_url,
    without_password,
)


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("study.db", "sqlite:///study.db"),
        ("sqlite:///study.db", "sqlite:///study.db"),
        ("postgresql://u:p@host/db", "postgresql+psycopg2://u:p@host/db"),
        ("postgres://u:p@host/db", "postgresql+psycopg2://u:p@host/db"),
        ("postgresql+psycopg://u:p@host/db", "postgresql+psycopg://u:p@host/db"),
        ("mysql+pymysql://u:p@host/db", "mysql+pymysql://u:p@host/db"),
        ("postgresql://u:a%2Fb%40c@host/db", "postgresql+psycopg2://u:a%2Fb%40c@host/db"),
        ("postgresql:///db?host=/run/x", "postgresql+psycopg2:///db?host=%2Frun%2Fx"),
        ("journal:///study.log", "journal:///study.log"),
        ("grpc://host", "grpc://host:13000"),
        ("grpc://host:5", "grpc://host:5"),
    ],
)
def test_a_file_name_or_url_becomes_a_full_url(given: str, full: str) -> None:
    assert normalise_url(given) == full
    assert normalise_url(full) == full


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", "is empty"),
        ("sqlite://", "cannot be shared"),
        ("sqlite:///:memory:", "cannot be shared"),
        ("no/such/folder/study.db", "mkdir -p no/such/folder"),
        ("what?.db", "rename"),
        ("{x}.db", "rename"),
        ("study.py", "Python file"),
        (".", "is a folder"),
        ("redis://host", "is no storage that is known here"),
        ("http//:x://", "cannot be read"),
        ("sqlite:///home/nobody/x.db", "four slashes"),
        ("sqlite:////home/nobody/x.db", "mkdir -p /home/nobody$"),
        ("journal:///", "study.log"),
        ("journal:///no/folder/x.log", "four slashes"),
        ("grpc://", "has no host"),
        ("postgresql://u:p@q@host/db", "%40"),
        ("postgresql://u:p@host:five/db", "cannot be read"),
        ("postgresql://u:p@host:70000/db", "must be 1 to 65535, got 70000; correct it$"),
        ("postgresql://u:p@host:-1/db", "must be 1 to 65535, got -1"),
        ("postgresql://u:p@host:0/db", "must be 1 to 65535, got 0"),
        ("mysql+pymysql://u:p@host:65536/db", "must be 1 to 65535, got 65536"),
        ("grpc://host:70000", "must be 1 to 65535, got 70000"),
    ],
)
def test_a_storage_that_cannot_work_is_refused_with_the_way_out(given: str, words: str) -> None:
    with pytest.raises(RunError, match=words) as caught:
        normalise_url(given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg2://me:secret@host/db",
        "postgresql+psycopg2://host/db?user=me&password=secret",
    ],
)
def test_a_password_is_not_shown(url: str) -> None:
    assert "secret" not in shown_url(url)
    assert "***" in shown_url(url)
    assert "host/db" in shown_url(url)


def test_a_password_is_taken_out_of_a_text_as_it_is_and_as_it_stands_in_a_url() -> None:
    url = "postgresql+psycopg2://me:a%2Fb@host/db"
    assert without_password("a/b, a%2Fb, me", url) == "***, ***, me"
    assert without_password("text", "sqlite:///a.db") == "text"


def test_a_file_is_told_from_a_server(tmp_path: Path) -> None:
    assert database_file(f"sqlite:///{tmp_path}/a.db") == tmp_path / "a.db"
    assert database_file("journal:///a.log") == Path("a.log")
    assert database_file("grpc://host:5") is None
    assert database_file("postgresql+psycopg2://host/db") is None

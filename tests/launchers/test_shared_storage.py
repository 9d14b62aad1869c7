"""Which storages several machines can share, as far as a URL tells."""

from __future__ import annotations

import pytest

from optuna_snn.launchers.shared_storage import check_shared_storage
from optuna_snn.workers.errors import RunError


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg2://user:secret@db.example.org:5432/optuna",
        "postgresql+psycopg2://user:secret@192.0.2.7/optuna",
        "postgresql+psycopg2://user:secret@[2001:db8::7]/optuna",
        "postgresql+psycopg2:///optuna?host=db.example.org",
        "mysql+pymysql://user@localhost.example.org/optuna",
        "grpc://head:13000",
        "journal:////shared/study.log",
    ],
)
def test_a_server_that_others_can_reach_needs_no_word(url: str) -> None:
    assert check_shared_storage(url, 4) == []


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg2://user:secret@localhost:5432/optuna",
        "postgresql+psycopg2://user:secret@127.0.0.1/optuna",
        "postgresql+psycopg2://user:secret@127.8.0.1/optuna",
        "postgresql+psycopg2://user:secret@[::1]/optuna",
        "postgresql+psycopg2:///optuna",
        "postgresql+psycopg2://user:secret@/optuna?host=/run/postgresql",
        "postgresql+psycopg2://user:secret@db.example.org/optuna?host=/run/postgresql",
        "grpc://localhost:13000",
    ],
)
def test_a_server_that_only_this_machine_finds_is_warned_of_without_its_password(url: str) -> None:
    (warning,) = check_shared_storage(url, 1)
    assert "leads each machine to itself" in warning
    assert "optuna-snn db start --listen ADDRESS" in warning
    assert "secret" not in warning


def test_an_sqlite_file_is_for_one_machine() -> None:
    with pytest.raises(RunError, match=r"the SQLite file runs/a\.db cannot be shared .* db start"):
        check_shared_storage("sqlite:///runs/a.db", 2)
    (warning,) = check_shared_storage("sqlite:///runs/a.db", 1)
    assert "one machine at a time" in warning

"""Storages that are only read: what the databases themselves refuse, and how errors are told."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.engine import make_url

from optuna_snn.dashboard import StudyView, open_view
from optuna_snn.dashboard.reading import open_for_reading
from optuna_snn.workers.errors import RunError
from tests.dashboard.conftest import BEST, RUNNING, Filled, tell


def test_the_database_itself_refuses_to_be_written_to(filled: Filled) -> None:
    backend = open_for_reading(filled.url)
    with pytest.raises(StorageInternalError) as caught:
        backend.set_study_user_attr(1, "key", "value")
    reason = str(caught.value.__cause__).lower()
    assert "readonly" in reason or "read-only" in reason


def test_a_worker_writes_while_the_dashboard_reads(own_url: str) -> None:
    """A connection that writes holds SQLite's lock for writers; readers do not wait for it."""
    view = open_view(own_url)
    writer = sqlite3.connect(make_url(own_url).database or "", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    assert len(view.get_all_trials(1)) == RUNNING + 1
    writer.execute("COMMIT")
    writer.close()


def test_a_file_that_may_only_be_read_is_enough(own_url: str) -> None:
    file = Path(make_url(own_url).database or "")
    file.chmod(0o444)
    before = file.read_bytes()
    assert open_view(own_url).get_best_trial(1).number == BEST
    assert file.read_bytes() == before


@pytest.mark.parametrize("name", ["100% #1.db", "a b.db", "ü.db"])
def test_a_file_may_have_any_name_that_other_commands_take(
    own_url: str, tmp_path: Path, name: str
) -> None:
    file = tmp_path / name
    os.replace(make_url(own_url).database or "", file)
    assert open_view(str(file)).get_best_trial(1).number == BEST


def test_a_url_without_a_driver_is_read_as_by_the_other_commands(filled_database: Filled) -> None:
    url = make_url(filled_database.url).set(drivername="postgresql")
    view = open_view(url.render_as_string(hide_password=False))
    assert view.get_best_trial(1).number == BEST


def test_a_journal_is_shown_as_well(tmp_path: Path) -> None:
    file = tmp_path / "study.log"
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(file))), direction="maximize"
    )
    tell(study, 0, 1.0, {"energy": 1.0})
    tell(study, 1, 0.5, {"energy": -1.0})
    before = file.read_bytes()
    view = open_view(f"journal:///{file}")
    assert view.get_best_trial(0).number == 1
    assert view.look(0).marks == ["infeasible", "feasible"]
    assert file.read_bytes() == before


def test_a_database_that_does_not_exist_is_not_created(tmp_path: Path) -> None:
    file = tmp_path / "nowhere.db"
    with pytest.raises(RunError, match=r"there is no database .*nowhere\.db.*--storage"):
        open_view(str(file))
    assert not file.exists()


def test_a_database_without_studies_gets_no_tables(sqlite_url: str) -> None:
    file = Path(make_url(sqlite_url).database or "")
    file.touch()
    with pytest.raises(RunError, match=r"study\.db has no studies; a run makes the first one"):
        open_view(sqlite_url)
    assert file.stat().st_size == 0


def test_an_empty_server_database_gets_no_tables(postgres_url: str) -> None:
    for _ in range(2):
        with pytest.raises(RunError, match="has no studies") as caught:
            open_view(postgres_url)
        assert str(make_url(postgres_url).password) not in str(caught.value)


def test_a_file_of_another_kind_is_told(sqlite_url: str) -> None:
    Path(make_url(sqlite_url).database or "").write_text("no database, " * 100)
    with pytest.raises(RunError, match=r"cannot be opened: .*; it is a file of another kind"):
        open_view(sqlite_url)


def test_tables_of_another_version_are_told(own_url: str) -> None:
    connection = sqlite3.connect(make_url(own_url).database or "")
    connection.execute("UPDATE alembic_version SET version_num = 'v9.9.9.a'")
    connection.commit()
    connection.close()
    with pytest.raises(RunError, match="cannot be opened: The runtime optuna version"):
        open_view(own_url)


def test_a_wrong_password_is_told_and_not_repeated(postgres_url: str) -> None:
    url = make_url(postgres_url).set(password="secret-word")
    with pytest.raises(RunError, match="check the user name and the password") as caught:
        open_view(url.render_as_string(hide_password=False))
    assert "secret-word" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_kind_of_storage_is_told_as_by_the_other_commands() -> None:
    with pytest.raises(RunError, match="'nosql' is no storage that is known here"):
        open_view("nosql://host/name")


def test_what_fails_later_is_told_without_the_password(
    filled_database: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    view: StudyView = open_view(filled_database.url)
    password = str(make_url(filled_database.url).password)

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise OSError(f"cannot reach the host with {password}")

    monkeypatch.setattr(view._backend, "get_all_trials", fail)
    with pytest.raises(RunError, match=r"the storage postgresql.*: cannot reach") as caught:
        view.get_all_trials(1)
    assert password not in str(caught.value)

"""What a user sees when a storage cannot be used: one clear line, no password, nothing lost."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState
from sqlalchemy import event
from sqlalchemy.engine import make_url

from optuna_snn.workers.errors import RunError
from optuna_snn.workers.storage import opening as door
from optuna_snn.workers.storage.database_errors import (
    StorageError,
    StorageLostError,
)
from optuna_snn.workers.storage.opening import WorkerStorage, open_storage
from tests.workers.faults import refused_connections

pytestmark = pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed to be used")


@pytest.fixture(autouse=True)
def _short_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "OPENING_PATIENCE_S", 0.2)


def with_parts(url: str, **parts: Any) -> str:
    return make_url(url).set(**parts).render_as_string(hide_password=False)


def refusal(url: str, **arguments: Any) -> str:
    """The line that `open_storage` refuses with; it holds no password."""
    with pytest.raises(RunError) as caught:
        open_storage(url, **arguments)
    text = str(caught.value)
    assert "\n" not in text
    if "://" in url and (password := make_url(url).password):
        assert str(password) not in text
    return text


def test_a_wrong_password_is_said_at_once(postgres_url: str) -> None:
    text = refusal(with_parts(postgres_url, password="s3cr3t-of-mine"))
    assert "cannot be opened" in text
    assert "password authentication failed" in text
    assert "check the user name and the password" in text


def test_a_database_that_does_not_exist_is_said_at_once(postgres_url: str) -> None:
    text = refusal(with_parts(postgres_url, database="nowhere"))
    assert '"nowhere" does not exist; create that database' in text


def test_a_user_that_does_not_exist_is_said_at_once(postgres_url: str) -> None:
    assert "check the user name" in refusal(with_parts(postgres_url, username="nobody_here"))


def test_a_port_where_nothing_answers_is_said_before_it_is_waited_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    text = refusal("postgresql://me:secret@127.0.0.1:9/db")
    assert text.endswith("is the server running, and are host and port right?")
    (record,) = caplog.records
    assert "does not answer" in record.getMessage()
    assert "secret" not in record.getMessage()


def test_a_host_without_an_address_is_one_line() -> None:
    text = refusal("postgresql://me:secret@no-such-host.invalid/db")
    assert "no-such-host.invalid" in text


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret@127.0.0.1:99999999/db",
        "postgresql://me:sec@ret@127.0.0.1/db",
        "postgresql://me:secret@127.0.0.1:port/db",
        "postgresql://me:secret@127.0.0.1:9/db?sslmode=nonsense",
        "postgresql://127.0.0.1:9/db?user=me&password=secret",
    ],
)
def test_a_password_is_shown_nowhere_however_wrong_the_url_is(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(RunError) as caught:
        open_storage(url)
    for text in (str(caught.value), caplog.text):
        assert "secret" not in text
        assert "ret@" not in text


def test_an_unknown_driver_or_kind_is_named() -> None:
    assert "pg8000" in refusal("postgresql+pg8000://me:secret@host/db")
    assert "'mongodb' is no storage that is known here" in refusal("mongodb://host/db")


@pytest.mark.parametrize(
    ("version", "words"), [("v0.9.0.a", "optuna storage upgrade"), ("later", "pip install -U")]
)
def test_tables_of_another_version_of_optuna_are_refused_with_the_way_out(
    tmp_path: Path, version: str, words: str
) -> None:
    path = tmp_path / "a.db"
    optuna.create_study(storage=open_storage(str(path)), study_name="s")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
    connection.close()
    assert words in refusal(str(path))


def test_a_role_that_may_only_read_reads_and_is_told_so_when_it_writes(postgres_url: str) -> None:
    study = optuna.create_study(storage=open_storage(postgres_url), study_name="s")
    study.enqueue_trial({"x": 1.0})
    engine = sqlalchemy.create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(
            sqlalchemy.text(
                "REVOKE INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public FROM CURRENT_USER"
            )
        )
    engine.dispose()
    study = optuna.load_study(study_name="s", storage=open_storage(postgres_url))
    assert len(study.get_trials()) == 1
    with pytest.raises(StorageError, match="its user may not write here; grant") as caught:
        study.set_user_attr("a", 1)
    assert str(make_url(postgres_url).password) not in str(caught.value)
    assert isinstance(caught.value, RunError)
    assert isinstance(caught.value, StorageInternalError)


def test_a_read_only_server_is_told_from_one_that_is_away(postgres_url: str) -> None:
    storage = open_storage(postgres_url, patience_s=300.0)
    event.listen(
        storage.engine,
        "begin",
        lambda connection: connection.exec_driver_sql("SET TRANSACTION READ ONLY"),
    )
    with pytest.raises(StorageError, match="read-only transaction; its user may not write"):
        optuna.create_study(storage=storage, study_name="s")


def sqlite_storage(path: Path, pragma: str, patience_s: float = 300.0) -> WorkerStorage:
    """A storage whose connections begin with `pragma`."""
    storage = open_storage(str(path), patience_s=patience_s)
    assert isinstance(storage, WorkerStorage)
    event.listen(storage.engine, "connect", lambda connection, record: connection.execute(pragma))
    return storage


def test_a_file_that_may_only_be_read_is_one_line(tmp_path: Path) -> None:
    storage = sqlite_storage(tmp_path / "a.db", "PRAGMA query_only = ON")
    with pytest.raises(StorageError, match=r"a\.db: attempt to write a readonly .*chmod u\+w"):
        optuna.create_study(storage=storage, study_name="s")


def test_a_full_disk_is_said_waited_for_and_loses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The disk is full (SQLite's limit of pages) until somebody cleans up."""
    path = tmp_path / "a.db"
    study = optuna.create_study(storage=open_storage(str(path)), study_name="s")
    study.add_trial(optuna.create_trial(value=1.0))
    limit = {"pages": 0}
    storage = open_storage(str(path), patience_s=60.0)
    event.listen(
        storage.engine,
        "connect",
        lambda connection, record: connection.execute(
            f"PRAGMA max_page_count = {limit['pages'] or 10**6}"
        ),
    )
    study = optuna.load_study(study_name="s", storage=storage)
    limit["pages"] = 1
    patience, seen = storage.patience, list[str]()

    def clean_up() -> None:
        storage.remove_session()
        seen.append(caplog.text)
        limit["pages"] = 0

    patience._before_repeat = clean_up
    study.set_user_attr("large", "x" * 100_000)
    study.set_user_attr("larger", "y" * 100_000)
    assert "database or disk is full; free some space there" in seen[0]
    assert len(seen) == 1
    stored = optuna.load_study(study_name="s", storage=open_storage(str(path)))
    assert set(stored.user_attrs) == {"large", "larger"}
    assert stored.best_value == 1.0


def test_a_disk_that_stays_full_ends_in_one_line_and_keeps_what_was_stored(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.db"
    study = optuna.create_study(storage=open_storage(str(path)), study_name="s")
    study.add_trial(optuna.create_trial(value=1.0))
    storage = sqlite_storage(path, "PRAGMA max_page_count = 1", patience_s=0.3)
    full = optuna.load_study(study_name="s", storage=storage)
    with pytest.raises(StorageLostError, match="free some space there"):
        for i in range(20):
            full.set_user_attr(f"large {i}", "x" * 100_000)
    assert study.best_value == 1.0


def test_a_file_that_was_deleted_is_missed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    study = optuna.create_study(storage=open_storage(str(path)), study_name="s")
    path.unlink()
    with pytest.raises(StorageError, match="was the database deleted or moved away"):
        study.get_trials()


@pytest.mark.parametrize("patience_s", [-1.0, float("nan")])
def test_a_patience_that_is_none_is_refused(tmp_path: Path, patience_s: float) -> None:
    with pytest.raises(ValueError, match="patience_s must be 0 or more"):
        open_storage(str(tmp_path / "a.db"), patience_s=patience_s)


def test_a_trial_that_cannot_be_told_is_not_lost_from_the_study(tmp_path: Path) -> None:
    """The database goes away for good while a trial trains: it stays RUNNING, and is retried."""
    path = tmp_path / "a.db"
    storage = open_storage(str(path), patience_s=0.2)
    assert isinstance(storage, WorkerStorage)
    study = optuna.create_study(storage=storage, study_name="s")

    refused = refused_connections(storage, 10**6)

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0.0, 1.0)
        refused.__enter__()
        return x

    with pytest.raises(Exception, match=r"has not answered|updated_state"):
        study.optimize(objective, n_trials=1)
    with pytest.raises(StorageLostError):  # at once: see `Patience`
        study.get_trials()
    refused.__exit__(None, None, None)
    (trial,) = study.get_trials()
    assert trial.state == TrialState.RUNNING
    assert set(trial.params) == {"x"}

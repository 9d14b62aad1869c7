"""The storage: what it accepts, and that many processes share it without stealing trials."""

from __future__ import annotations

import multiprocessing
import pickle
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy import event

from optuna_snn.workers.errors import RunError
from optuna_snn.workers.storage import (
    database_file,
    normalise_url,
    open_storage,
    shown_url,
)

SPAWN = multiprocessing.get_context("spawn")


def in_processes(n: int, target: Callable[..., None], *arguments: Any) -> list[Any]:
    """Run `target(queue, barrier, *arguments)` in n processes and return what they put."""
    queue, barrier = SPAWN.Queue(), SPAWN.Barrier(n)
    processes = [SPAWN.Process(target=target, args=(queue, barrier, *arguments)) for _ in range(n)]
    for process in processes:
        process.start()
    results = [queue.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    return results


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("study.db", "sqlite:///study.db"),
        ("sqlite:///study.db", "sqlite:///study.db"),
        ("postgresql://u:p@host/db", "postgresql+psycopg2://u:p@host/db"),
        ("postgres://u:p@host/db", "postgresql+psycopg2://u:p@host/db"),
        ("postgresql+psycopg://u:p@host/db", "postgresql+psycopg://u:p@host/db"),
        ("mysql+pymysql://u:p@host/db", "mysql+pymysql://u:p@host/db"),
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
        ("redis://host", "heartbeats"),
        ("http//:x://", "cannot be read"),
    ],
)
def test_a_storage_that_cannot_work_is_refused_with_the_way_out(given: str, words: str) -> None:
    with pytest.raises(RunError, match=words) as caught:
        normalise_url(given)
    assert "\n" not in str(caught.value)


def test_a_password_is_not_shown() -> None:
    assert "secret" not in shown_url("postgresql+psycopg2://me:secret@host/db")


def test_only_sqlite_has_a_database_file(tmp_path: Path) -> None:
    assert database_file(f"sqlite:///{tmp_path}/a.db") == tmp_path / "a.db"
    assert database_file("postgresql+psycopg2://host/db") is None


def test_a_path_with_spaces_percents_and_umlauts_is_opened_as_it_is_written(
    tmp_path: Path,
) -> None:
    path = tmp_path / "my 100% stüdy#1.db"
    optuna.create_study(storage=open_storage(str(path)), study_name="s")
    assert path.exists()
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("not a database, but a text that is long enough to be read as a header" * 20)
    before = path.read_bytes()
    with pytest.raises(
        RunError, match=r"notes\.db cannot be opened: it is a file of another kind"
    ):
        open_storage(str(path))
    assert path.read_bytes() == before


def test_a_server_that_does_not_answer_is_one_line_without_the_password() -> None:
    pytest.importorskip("psycopg2")
    with pytest.raises(RunError, match="cannot be opened") as caught:
        open_storage("postgresql://me:secret@127.0.0.1:9/db")
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("grace_s", [1, 0, -5])
def test_a_grace_period_too_short_for_heartbeats_is_refused(tmp_path: Path, grace_s: int) -> None:
    with pytest.raises(ValueError, match=f"got {grace_s}"):
        open_storage(str(tmp_path / "a.db"), grace_s=grace_s)


def test_heartbeats_come_several_times_in_a_grace_period(tmp_path: Path) -> None:
    for grace_s in (2, 5, 60, 3600):
        interval = open_storage(str(tmp_path / "a.db"), grace_s=grace_s).get_heartbeat_interval()
        assert interval is not None
        assert 1 <= interval <= grace_s / 2


def test_a_pickled_storage_still_takes_its_turn(tmp_path: Path) -> None:
    storage = pickle.loads(pickle.dumps(open_storage(str(tmp_path / "a.db"))))
    statements: list[str] = []
    event.listen(
        storage.engine,
        "before_cursor_execute",
        lambda c, cursor, statement, *rest: statements.append(statement),
    )
    optuna.create_study(storage=storage)
    assert statements[0] == "BEGIN IMMEDIATE"


def _open(queue: Any, barrier: Any, path: str) -> None:
    barrier.wait()
    try:
        study = optuna.create_study(
            storage=open_storage(path), study_name="s", load_if_exists=True
        )
        queue.put(len(study.trials))
    except Exception as error:
        queue.put(repr(error))


@pytest.mark.slow
def test_processes_that_create_the_same_new_database_at_once_all_succeed(tmp_path: Path) -> None:
    assert in_processes(5, _open, str(tmp_path / "new.db")) == [0] * 5


def _claim(queue: Any, barrier: Any, path: str, n_seconds: float) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.load_study(storage=open_storage(path), study_name="s")
    numbers: list[int] = []

    def objective(trial: optuna.Trial) -> float:
        numbers.append(trial.number)
        for step in range(2):
            trial.report(0.0, step)
        return trial.suggest_float("x", 0.0, 1.0)

    barrier.wait()
    end = time.monotonic() + n_seconds
    while time.monotonic() < end:
        study.optimize(objective, n_trials=1)
    queue.put(numbers)


@pytest.mark.slow
def test_no_queued_trial_is_claimed_twice_by_four_processes_on_sqlite(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    study = optuna.create_study(storage=open_storage(path), study_name="s")
    for i in range(60):
        study.enqueue_trial({"x": i / 60})
    claimed = Counter(n for ns in in_processes(4, _claim, path, 6.0) for n in ns)
    assert max(claimed.values()) == 1
    trials = study.get_trials(deepcopy=False)
    assert [trial.number for trial in trials] == list(range(len(trials)))
    done = {trial.number for trial in trials if trial.state == TrialState.COMPLETE}
    assert done == set(claimed)
    assert all(len(trials[number].intermediate_values) == 2 for number in done)


@pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed to be used")
def test_heartbeat_ages_tell_running_trials_that_beat_from_those_that_never_did(
    tmp_path: Path,
) -> None:
    storage = open_storage(str(tmp_path / "a.db"))
    study = optuna.create_study(storage=storage, study_name="s")
    other = optuna.create_study(storage=storage, study_name="other")
    silent, beating, finished = (study.ask() for _ in range(3))
    for trial in (beating, finished, other.ask(), other.ask()):
        storage.record_heartbeat(trial._trial_id)
    study.tell(finished, 1.0)
    ages = storage.heartbeat_ages("s")
    assert set(ages) == {beating.number}
    assert 0.0 <= ages[beating.number] < 5.0
    assert silent.number not in ages

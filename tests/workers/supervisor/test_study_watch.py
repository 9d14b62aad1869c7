"""The supervisor's thread: it reads, sweeps and runs errands, and never holds the run up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial

from optuna_snn.workers.display.progress import ProgressReader
from optuna_snn.workers.storage.opening import StudyStorage, open_storage
from optuna_snn.workers.supervisor import study_watch
from optuna_snn.workers.supervisor.study_watch import StudyWatch


class Database:
    """A study whose database can be taken away."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.storage: StudyStorage = open_storage(str(folder / "toy.db"))
        self.study = optuna.create_study(study_name="toy", storage=self.storage)
        self.is_there = threading.Event()
        self.is_there.set()
        self.n_sweeps = 0
        self.n_reads = 0
        read = self.study.get_trials

        def get_trials(deepcopy: bool = True) -> list[FrozenTrial]:
            assert self.is_there.wait(60)
            trials = read(deepcopy=deepcopy)
            self.n_reads += 1
            return trials

        def sweep(study: optuna.Study, storage: StudyStorage) -> None:
            assert (study, storage) == (self.study, self.storage)
            self.n_sweeps += 1

        monkeypatch.setattr(self.study, "get_trials", get_trials)
        monkeypatch.setattr(study_watch, "sweep", sweep)
        monkeypatch.setattr(study_watch, "READ_EVERY_S", 0.01)

    def watch(self, sweep_every_s: float = 1000.0) -> StudyWatch:
        return StudyWatch(
            self.study, self.storage, ProgressReader("minimize"), sweep_every_s=sweep_every_s
        )


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    return Database(tmp_path, monkeypatch)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_new_trials_are_seen(database: Database) -> None:
    with database.watch() as watch:
        assert watch.progress.n_counted == 0
        database.study.add_trial(optuna.create_trial(value=1.0))
        until(lambda: watch.progress.n_counted == 1)


def test_dead_workers_are_looked_for_while_nothing_else_happens(database: Database) -> None:
    with database.watch(sweep_every_s=0.01):
        until(lambda: database.n_sweeps >= 3)
    with database.watch() as watch:
        n_sweeps = database.n_sweeps
        assert watch.finish(60)
    assert database.n_sweeps == n_sweeps


def test_while_the_database_is_away_the_last_progress_is_at_hand_and_the_outage_is_told(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_watch, "AWAY_AFTER_S", 0.2)
    with database.watch() as watch:
        database.is_there.clear()
        until(lambda: watch.away_since is not None)
        assert watch.progress.n_counted == 0
        done: list[str] = []
        watch.run_soon(lambda: done.append("errand"))
        assert not watch.finish(0.05)
        assert done == []
        database.is_there.set()
        assert watch.finish(60)
        assert done == ["errand"]
        assert watch.away_since is None


def test_the_time_for_which_the_database_was_away_is_known_for_any_beginning(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_watch, "WAITING_AFTER_S", 0.4)
    begin = datetime.now()
    with database.watch() as watch:
        until(lambda: database.n_reads >= 3)
        assert watch.away_s(begin) == 0.0
        database.is_there.clear()
        until(lambda: watch.away_s(begin) >= 0.4)
        middle = datetime.now()
        time.sleep(0.2)
        n_reads = database.n_reads
        database.is_there.set()
        until(lambda: database.n_reads > n_reads + 1)
        end = datetime.now()
        assert 0.6 <= watch.away_s(begin) <= (end - begin).total_seconds()
        assert 0.2 <= watch.away_s(middle) <= (end - middle).total_seconds()
        assert watch.away_s(end) == 0.0


def test_the_last_reading_is_after_the_last_errand(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_watch, "READ_EVERY_S", 1000.0)  # no other reading comes between
    with database.watch() as watch:
        until(lambda: database.n_reads == 2)
        watch.run_soon(lambda: database.study.add_trial(optuna.create_trial(value=1.0)))
        assert watch.finish(60)
        assert watch.progress.n_counted == 1


def test_an_error_of_the_thread_reaches_the_supervisor(database: Database) -> None:
    def fail() -> None:
        raise OSError("disk full")

    with database.watch() as watch:
        watch.run_soon(fail)
        with pytest.raises(OSError, match="disk full"):
            until(lambda: watch.progress is None)
        assert watch.finish(60)

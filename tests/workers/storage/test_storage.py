"""The storage: what it accepts, and that many processes share it without stealing trials."""

from __future__ import annotations

import pickle
import time
from collections import Counter
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState
from sqlalchemy import event

from optuna_snn.workers.errors import RunError
from optuna_snn.workers.storage.opening import WorkerStorage, open_storage
from tests.workers.faults import lost_commits
from tests.workers.processes import in_processes, open_study


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
        RunError, match=r"notes\.db cannot be opened: .*it is a file of another kind"
    ):
        open_storage(str(path))
    assert path.read_bytes() == before


@pytest.mark.parametrize("grace_s", [1, 0, -5])
def test_a_grace_period_too_short_for_heartbeats_is_refused(tmp_path: Path, grace_s: int) -> None:
    with pytest.raises(ValueError, match=f"got {grace_s}"):
        open_storage(str(tmp_path / "a.db"), grace_s=grace_s)


def test_heartbeats_come_several_times_in_a_grace_period(tmp_path: Path) -> None:
    for grace_s in (2, 5, 60, 3600):
        storage = open_storage(str(tmp_path / "a.db"), grace_s=grace_s)
        assert isinstance(storage, WorkerStorage)
        interval = storage.get_heartbeat_interval()
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


@pytest.mark.slow
def test_processes_that_create_the_same_new_database_at_once_all_succeed(tmp_path: Path) -> None:
    assert in_processes(4, open_study, str(tmp_path / "new.db")) == [0] * 4


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


@pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed to be used")
def test_a_beat_in_an_sqlite_file_is_renewed_without_a_transaction(tmp_path: Path) -> None:
    """A thread that is held up between two statements would hold up all other workers."""
    storage = open_storage(str(tmp_path / "a.db"), first_beat=True)
    assert isinstance(storage, WorkerStorage)
    study = optuna.create_study(storage=storage, study_name="s")
    trial_id = study.ask()._trial_id
    assert storage.heartbeat_ages("s")[0] < -1  # dated ahead
    begun: list[object] = []
    note = begun.append
    event.listen(storage.engine, "begin", note)
    storage.record_heartbeat(trial_id)
    assert begun == []
    event.remove(storage.engine, "begin", note)
    assert 0 <= storage.heartbeat_ages("s")[0] < 60


def test_a_heartbeat_that_cannot_be_recorded_does_not_end_its_thread(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path / "a.db"), grace_s=2, patience_s=60.0)
    assert isinstance(storage, WorkerStorage)
    trial_id = storage.create_new_trial(storage.create_new_study([StudyDirection.MINIMIZE], "s"))
    with lost_commits(storage, 10**6) as faults:
        storage.record_heartbeat(trial_id)  # tried for one interval, then left to the next beat
    assert faults.happened > 1
    assert storage.heartbeat_ages("s") == {}
    storage.record_heartbeat(trial_id)
    assert set(storage.heartbeat_ages("s")) == {0}


def test_a_pickled_storage_keeps_its_patience_and_its_first_beats(tmp_path: Path) -> None:
    opened = open_storage(str(tmp_path / "a.db"), patience_s=17.0, first_beat=True)
    storage = pickle.loads(pickle.dumps(opened))
    assert storage.patience.seconds == 17.0
    with lost_commits(storage) as faults:
        study_id = storage.create_new_study([StudyDirection.MINIMIZE], "s")
    assert faults.happened == 1
    storage.create_new_trial(study_id)
    assert set(storage.heartbeat_ages("s")) == {0}

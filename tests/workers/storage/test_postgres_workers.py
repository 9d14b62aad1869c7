"""PostgreSQL and worker processes: the server stops in the middle of a run, nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import optuna
import pytest
import sqlalchemy
from optuna.trial import TrialState

from optuna_snn.database import Server, start_server, stop_server, temporary_server
from optuna_snn.workers.errors import RunError
from optuna_snn.workers.storage import connections, opening
from optuna_snn.workers.storage.database_errors import StorageError, is_transient
from optuna_snn.workers.storage.opening import WorkerStorage, open_storage
from optuna_snn.workers.sweep import sweep
from optuna_snn.workers.worker import WorkerEnd, run_worker
from tests.workers.processes import in_processes, open_study

N_TRIALS = 9
N_REPORTS = 8
GRACE_S = 4

TRAINING = f"""
import time
def objective(trial):
    x = trial.suggest_float("x", 0.0, 1.0)
    for step in range({N_REPORTS}):
        time.sleep(0.25)
        trial.report(x + step, step)
    trial.set_user_attr("twice", 2 * x)
    return x
"""


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that the test may stop."""
    with temporary_server() as server:
        yield server


def start_worker(study_file: Path, url: str, log: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "optuna_snn", "worker", str(study_file)]
    words += ["--n-trials", str(N_TRIALS), "--grace", str(GRACE_S)]
    with log.open("wb") as file:
        return subprocess.Popen(
            words,
            env={**os.environ, "OPTUNA_SNN_STORAGE": url, "OMP_NUM_THREADS": "1"},
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def crash(server: Server) -> None:
    """End the server without a clean shutdown, as a power cut does."""
    os.kill(server.pid, signal.SIGQUIT)
    wait_for(lambda: not _is_alive(server.pid), "the server is still there")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def impatient_sweeper(url: str) -> Iterator[None]:
    """Sweeps all the time: the first to see that the server is back, before anybody can beat."""
    storage = open_storage(url, grace_s=GRACE_S, patience_s=0.0)
    study = optuna.load_study(study_name="toy", storage=storage)
    is_over = threading.Event()

    def sweep_always() -> None:
        while not is_over.wait(0.02):
            with suppress(StorageError):
                sweep(study, storage)

    thread = threading.Thread(target=sweep_always)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("stop", ["clean", "crash"])
def test_a_server_that_is_away_for_a_while_costs_no_trial_and_no_worker(
    server: Server, stop: str, tmp_path: Path, toy: Callable[..., Path]
) -> None:
    study_file = toy(TRAINING)
    storage = open_storage(server.url, grace_s=GRACE_S)
    study = optuna.create_study(study_name="toy", storage=storage, direction="maximize")
    logs = [tmp_path / f"worker-{i}.log" for i in range(3)]
    workers = [start_worker(study_file, server.url, log) for log in logs]
    try:
        wait_for(
            lambda: (
                sum(len(t.intermediate_values) > 1 for t in study.get_trials()) >= 3
                or any(worker.poll() is not None for worker in workers)
            ),
            "three trials in training",
        )
        with impatient_sweeper(server.url):
            if stop == "clean":
                stop_server(server.data)
            else:
                crash(server)
            time.sleep(GRACE_S + 2.0)
            again = start_server(server.data)
            assert again.url == server.url
            codes = [worker.wait(timeout=180) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    text = "\n".join(log.read_text() for log in logs)
    assert codes == [0, 0, 0], text
    assert "answers again after" in text
    trials = study.get_trials()
    # No live trial was failed, none is left over, and each has all its reports.
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}, text
    assert N_TRIALS <= len(trials) <= N_TRIALS + 2
    for trial in trials:
        x = trial.params["x"]
        assert trial.value == x
        assert trial.intermediate_values == {step: x + step for step in range(N_REPORTS)}
        assert trial.user_attrs["twice"] == 2 * x


@pytest.mark.slow
def test_a_server_that_starts_late_is_waited_for(server: Server) -> None:
    stop_server(server.data)
    opened: list[object] = []
    thread = threading.Thread(target=lambda: opened.append(open_storage(server.url)))
    thread.start()
    time.sleep(1.0)
    start_server(server.data)
    thread.join(timeout=60)
    assert isinstance(opened[0], WorkerStorage)


@pytest.mark.slow
def test_a_supervised_worker_that_starts_while_the_server_is_away_waits_as_in_a_call(
    server: Server, toy: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = toy("def objective(trial):\n    return trial.suggest_float('x', 0.0, 1.0)\n")
    monkeypatch.setattr(opening, "OPENING_PATIENCE_S", 0.1)
    stop_server(server.data)
    with pytest.raises(RunError, match="cannot be opened"):
        run_worker(file, storage=server.url, n_trials=1)
    back = threading.Timer(1.5, start_server, [server.data])
    back.start()
    try:
        end = run_worker(file, storage=server.url, n_trials=1, parent_pid=os.getppid())
    finally:
        back.join()  # else it would start a server whose folder the fixture has removed
    assert end is WorkerEnd.FINISHED


def connections_of(engine: sqlalchemy.Engine) -> int:
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'optuna_snn'"
    with engine.connect() as connection:
        return int(connection.execute(sqlalchemy.text(query)).scalar_one())


@pytest.mark.slow
def test_no_connection_is_held_while_a_trial_trains_and_two_at_most_at_any_moment(
    server: Server,
) -> None:
    storage = open_storage(server.url, grace_s=60, first_beat=True)
    assert isinstance(storage, WorkerStorage)
    watcher = sqlalchemy.create_engine(server.url)
    # Counted on this side: a server still lists connections that were closed a moment ago.
    is_open: set[object] = set()
    n_open: list[int] = []

    def opened(connection: object, _: object) -> None:
        is_open.add(connection)
        n_open.append(len(is_open))

    sqlalchemy.event.listen(storage.engine, "connect", opened)
    sqlalchemy.event.listen(storage.engine, "close", lambda each, _: is_open.discard(each))
    study = optuna.create_study(storage=storage)

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0.0, 1.0)
        for step in range(5):
            trial.report(x, step)
        # In training: the heartbeat thread beats every 10 s, the last time before this.
        time.sleep(0.3)
        assert connections_of(watcher) == 0
        return x

    study.optimize(objective, n_trials=6)
    watcher.dispose()
    assert len(n_open) > 50
    assert 1 <= max(n_open) <= 2
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}


@pytest.mark.slow
def test_processes_that_create_the_same_new_tables_on_a_server_at_once_all_succeed(
    postgres_url: str,
) -> None:
    assert in_processes(4, open_study, postgres_url) == [0] * 4


def test_a_worker_that_vanished_in_a_transaction_blocks_nobody_for_long(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One holds the lock that creations of trials take, and says nothing more."""
    monkeypatch.setattr(connections, "IDLE_IN_TRANSACTION_S", 1)
    vanished, other = open_storage(postgres_url), open_storage(postgres_url)
    assert isinstance(vanished, WorkerStorage)
    study = optuna.create_study(storage=other, study_name="s")
    with vanished.engine.connect() as connection:
        lock = sqlalchemy.text("SELECT study_id FROM studies FOR UPDATE")
        connection.execute(lock)
        study.add_trial(optuna.create_trial(value=1.0))
        with pytest.raises(sqlalchemy.exc.DBAPIError) as caught:
            connection.execute(lock)
    assert is_transient(caught.value)
    assert study.best_value == 1.0

"""A journal file and a gRPC proxy are accepted, and what they cannot do is said once."""

from __future__ import annotations

import pickle
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.storages._cached_storage import _CachedStorage
from optuna.trial import TrialState

from optuna_snn.workers.errors import RunError
from optuna_snn.workers.storage import opening as door
from optuna_snn.workers.storage.database_errors import StorageLostError
from optuna_snn.workers.storage.opening import open_storage
from optuna_snn.workers.storage.other_storages import WorkerJournal, WorkerProxy
from optuna_snn.workers.sweep import sweep


@pytest.fixture(autouse=True)
def _nothing_said_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_said", set())
    monkeypatch.setattr(door, "OPENING_PATIENCE_S", 0.3)


class Proxy:
    """A gRPC proxy before an SQLite file, which can be stopped and started again."""

    def __init__(self, path: Path) -> None:
        self._storage = _CachedStorage(RDBStorage(f"sqlite:///{path}"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"grpc://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        from optuna.storages._grpc.server import make_server

        self.server: Any = make_server(self._storage, "127.0.0.1", self.port)
        self.server.start()

    def stop(self) -> None:
        self.server.stop(grace=None).wait()


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    proxy = Proxy(tmp_path / "behind.db")
    yield proxy
    proxy.stop()


def objective(trial: optuna.Trial) -> float:
    x = trial.suggest_float("x", 0.0, 1.0)
    trial.report(x, 0)
    return x


def run_and_check(storage: Any) -> None:
    study = optuna.create_study(storage=storage, study_name="s", load_if_exists=True)
    study.enqueue_trial({"x": 0.5})
    study.optimize(objective, n_trials=3)
    study.ask()
    sweep(study, storage)
    states = [trial.state for trial in study.get_trials()]
    assert states == [TrialState.COMPLETE] * 3 + [TrialState.RUNNING]
    assert study.get_trials()[0].params == {"x": 0.5}
    assert storage.heartbeat_ages("s") == {}


def test_a_study_runs_on_a_journal_file(tmp_path: Path) -> None:
    url = f"journal:///{tmp_path}/study.log"
    storage = open_storage(url)
    assert isinstance(storage, WorkerJournal)
    run_and_check(storage)
    again = optuna.load_study(study_name="s", storage=open_storage(url))
    assert len(again.get_trials()) == 4
    assert len(pickle.loads(pickle.dumps(storage)).get_all_studies()) == 1


def test_a_study_runs_on_a_grpc_proxy(proxy: Proxy) -> None:
    storage = open_storage(proxy.url)
    assert isinstance(storage, WorkerProxy)
    run_and_check(storage)
    assert len(pickle.loads(pickle.dumps(storage)).get_all_studies()) == 1


@pytest.mark.parametrize("kind", ["journal", "grpc"])
def test_what_a_storage_without_heartbeats_cannot_do_is_said_once(
    kind: str, tmp_path: Path, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    url = proxy.url if kind == "grpc" else f"journal:///{tmp_path}/study.log"
    for _ in range(3):
        open_storage(url)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "has no heartbeats: trials of workers that die stay RUNNING" in record.getMessage()


def test_nothing_is_said_about_a_storage_with_heartbeats(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    open_storage(str(tmp_path / "a.db"))
    assert caplog.records == []


def test_a_proxy_that_is_away_for_a_while_is_waited_for(proxy: Proxy) -> None:
    storage = open_storage(proxy.url, patience_s=60.0)
    study = optuna.create_study(storage=storage, study_name="s")
    trial = study.ask()
    proxy.stop()
    timer = threading.Timer(1.5, proxy.start)
    timer.start()
    trial.suggest_float("x", 0.0, 1.0)
    study.tell(trial, 1.0)
    timer.join()
    assert [trial.state for trial in study.get_trials()] == [TrialState.COMPLETE]


def test_a_proxy_that_stays_away_is_given_up_with_one_line(proxy: Proxy) -> None:
    storage = open_storage(proxy.url, patience_s=0.5)
    proxy.stop()
    with pytest.raises(StorageLostError, match=f"the gRPC proxy 127.0.0.1:{proxy.port} has not"):
        storage.get_all_studies()


def test_a_result_told_to_a_proxy_whose_answer_was_lost_is_recognised(proxy: Proxy) -> None:
    import grpc

    class Gone(grpc.RpcError):
        def code(self) -> grpc.StatusCode:
            return grpc.StatusCode.UNAVAILABLE

        def details(self) -> str:
            return "gone"

    storage = open_storage(proxy.url, patience_s=60.0)
    assert isinstance(storage, WorkerProxy)
    study = optuna.create_study(storage=storage, study_name="s")
    trial = study.ask()
    tell = storage._stub.SetTrialStateValues

    def lose_the_answer(request: Any) -> None:
        tell(request)
        raise Gone

    storage._stub.SetTrialStateValues = lose_the_answer
    assert storage.set_trial_state_values(trial._trial_id, TrialState.COMPLETE, [1.0])
    assert study.best_value == 1.0
    with pytest.raises(UpdateFinishedTrialError):
        storage.set_trial_state_values(trial._trial_id, TrialState.COMPLETE, [1.0])


def test_a_port_where_no_proxy_answers_is_one_line() -> None:
    with pytest.raises(RunError, match=r"127\.0\.0\.1:9 cannot be opened: .* is it running") as e:
        open_storage("grpc://127.0.0.1:9")
    assert "\n" not in str(e.value)


def test_a_missing_grpcio_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grpc", None)
    for name in [name for name in sys.modules if name.startswith("optuna.storages._grpc.auto")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(
        "optuna.storages._grpc.client.grpc",
        __import__("optuna")._imports._LazyImport("grpc"),
    )
    with pytest.raises(RunError, match="pip install grpcio protobuf"):
        open_storage("grpc://127.0.0.1:9")


@pytest.mark.parametrize("text", ["no json\nat all\n", '{"op_code": "x"}\n', "[1, 2]\n"])
def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "notes.log"
    path.write_text(text)
    with pytest.raises(RunError, match=r"notes\.log cannot be opened: it is a file of another"):
        open_storage(f"journal:///{path}")
    assert path.read_text() == text


def test_a_journal_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.log").mkdir()
    with pytest.raises(RunError, match="is a folder"):
        open_storage(f"journal:///{tmp_path}/a.log")
    (tmp_path / "loop.log").symlink_to(tmp_path / "loop.log")
    with pytest.raises(RunError, match=r"loop\.log cannot be opened: Too many levels"):
        open_storage(f"journal:///{tmp_path}/loop.log")

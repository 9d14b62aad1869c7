"""One worker, run in this process: budget, failures, stops, and trials that others ended."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from optuna_snn.workers.errors import RunError
from optuna_snn.workers.failures import FAIL_REASON
from optuna_snn.workers.stop import StopRequest
from optuna_snn.workers.storage.opening import open_storage
from optuna_snn.workers.worker import WorkerEnd, run_worker

SQUARE = """
def objective(trial):
    return trial.suggest_float("x", 0.0, 1.0) ** 2
"""


def trials_in(storage: str) -> list[FrozenTrial]:
    return optuna.load_study(study_name="toy", storage=open_storage(storage)).get_trials()


@pytest.fixture
def db(tmp_path: Path) -> str:
    return str(tmp_path / "toy.db")


def test_a_worker_runs_until_the_study_has_its_trials(toy: Callable[..., Path], db: str) -> None:
    file = toy(SQUARE)
    assert run_worker(file, storage=db, n_trials=3) is WorkerEnd.FINISHED
    assert [trial.state for trial in trials_in(db)] == [TrialState.COMPLETE] * 3
    run_worker(file, storage=db, n_trials=3)
    assert len(trials_in(db)) == 3
    run_worker(file, storage=db, n_trials=5)
    assert len(trials_in(db)) == 5


def test_failed_trials_do_not_count_and_tell_why(toy: Callable[..., Path], db: str) -> None:
    file = toy(
        """
        def objective(trial):
            x = trial.suggest_float("x", 0.0, 1.0)
            match trial.number:
                case 0: raise RuntimeError("out of luck")
                case 1: return float("nan")
                case 2: return None
                case 3: raise optuna.TrialPruned
            return x
        """
    )
    run_worker(file, storage=db, n_trials=2)
    trials = trials_in(db)
    assert [trial.state.name for trial in trials] == ["FAIL"] * 3 + ["PRUNED", "COMPLETE"]
    assert [trial.user_attrs.get(FAIL_REASON) for trial in trials] == [
        "RuntimeError: out of luck",
        "the objective returned NaN",
        "the objective returned None, not a number",
        None,
        None,
    ]


def test_ten_failures_in_a_row_end_the_run_and_nine_do_not(
    toy: Callable[..., Path], db: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = toy(
        """
        def objective(trial):
            if trial.number == 9 or trial.number > 25:
                return 1.0
            raise KeyError("layer")
        """
    )
    with caplog.at_level(logging.ERROR):
        assert run_worker(file, storage=db, n_trials=3) is WorkerEnd.FAILED_IN_A_ROW
    assert "KeyError: 'layer'" in caplog.text
    states = [trial.state.name for trial in trials_in(db)]
    assert states == ["FAIL"] * 9 + ["COMPLETE"] + ["FAIL"] * 10
    # A new run begins with a clean slate: it gets past the failures that are left.
    assert run_worker(file, storage=db, n_trials=2) is WorkerEnd.FINISHED


def test_failures_count_from_the_beginning_that_is_given(
    toy: Callable[..., Path], db: str
) -> None:
    file = toy("def objective(trial):\n    raise KeyError\n")
    begin = datetime.now()
    assert run_worker(file, storage=db, n_trials=1, since=begin) is WorkerEnd.FAILED_IN_A_ROW
    assert run_worker(file, storage=db, n_trials=1, since=begin) is WorkerEnd.FAILED_IN_A_ROW
    assert len(trials_in(db)) == 10


@pytest.mark.slow
def test_enqueued_trials_run_first_and_leftovers_of_the_dead_hold_nobody_up_for_ever(
    toy: Callable[..., Path], db: str
) -> None:
    storage = open_storage(db)
    study = optuna.create_study(study_name="toy", storage=storage, direction="maximize")
    study.add_trial(optuna.create_trial(state=TrialState.RUNNING))
    old = optuna.create_trial(state=TrialState.RUNNING)
    old.datetime_start = datetime.now() - timedelta(hours=1)
    study.add_trial(old)
    study.enqueue_trial({"x": 0.5})
    run_worker(toy(SQUARE), storage=db, n_trials=2, grace_s=3)
    trials = trials_in(db)
    assert trials[2].value == 0.25
    assert [trial.state.name for trial in trials[2:]] == ["COMPLETE"] * 2


def test_a_worker_waits_for_a_trial_on_its_way_instead_of_starting_one_too_many(
    toy: Callable[..., Path], db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_storage(db)
    study = optuna.create_study(study_name="toy", storage=storage, direction="maximize")
    has_waited = threading.Event()

    class Stop(StopRequest):
        def wait(self, seconds: float, *, level: int = 1) -> bool:
            has_waited.set()
            return super().wait(seconds, level=level)

    def other_worker(trial: optuna.Trial) -> float:
        thread.start()
        assert has_waited.wait(60)
        return 1.0

    thread = threading.Thread(
        target=run_worker,
        args=(toy(SQUARE),),
        kwargs={"storage": db, "n_trials": 1, "stop": Stop()},
    )
    study.optimize(other_worker, n_trials=1)
    thread.join(60)
    assert not thread.is_alive()
    assert len(trials_in(db)) == 1


def test_no_trial_starts_after_the_time_is_over(toy: Callable[..., Path], db: str) -> None:
    file = toy(SQUARE)
    assert run_worker(file, storage=db, n_trials=3, timeout_s=0.0) is WorkerEnd.FINISHED
    assert trials_in(db) == []
    long_ago = datetime.now() - timedelta(hours=1)
    run_worker(file, storage=db, n_trials=3, timeout_s=600.0, since=long_ago)
    assert trials_in(db) == []


def test_a_worker_whose_supervisor_is_gone_starts_no_trial(
    toy: Callable[..., Path], db: str
) -> None:
    run_worker(toy(SQUARE), storage=db, n_trials=3, parent_pid=os.getppid() + 1)
    assert trials_in(db) == []
    run_worker(toy(SQUARE), storage=db, n_trials=1, parent_pid=os.getppid())
    assert len(trials_in(db)) == 1


def test_a_stopped_worker_ends_and_starts_no_other_trial(
    toy: Callable[..., Path], db: str
) -> None:
    file = toy(
        """
        import os, signal
        def objective(trial):
            if trial.number == 1:
                os.kill(os.getpid(), signal.SIGUSR1)
            return trial.suggest_float("x", 0.0, 1.0)
        """
    )
    stop = StopRequest(grace_s=600.0)
    assert run_worker(file, storage=db, n_trials=5, stop=stop) is WorkerEnd.STOPPED
    assert stop.signal == signal.SIGUSR1
    assert [trial.state for trial in trials_in(db)] == [TrialState.COMPLETE] * 2


def test_a_worker_runs_in_a_thread_if_its_trials_have_no_time_limit(
    toy: Callable[..., Path], db: str
) -> None:
    ends: list[WorkerEnd] = []
    thread = threading.Thread(
        target=lambda: ends.append(run_worker(toy(SQUARE), storage=db, n_trials=1))
    )
    thread.start()
    thread.join()
    assert ends == [WorkerEnd.FINISHED]


@pytest.mark.parametrize("limit_s", [0.0, -1.0, float("nan")])
def test_a_time_limit_that_no_trial_can_keep_is_refused(
    toy: Callable[..., Path], limit_s: float
) -> None:
    with pytest.raises(ValueError, match="trial_timeout_s must be above 0, got"):
        run_worker(toy(SQUARE), n_trials=1, trial_timeout_s=limit_s)


def test_a_missing_backend_ends_the_worker_with_its_own_words(
    toy: Callable[..., Path], db: str
) -> None:
    file = toy(
        """
        from optuna_snn.backends import MissingPackageError
        def objective(trial):
            raise MissingPackageError("Foo is not installed; run: foo")
        """
    )
    with pytest.raises(RunError, match=r"^Foo is not installed; run: foo$"):
        run_worker(file, storage=db, n_trials=5)
    assert [trial.state for trial in trials_in(db)] == [TrialState.FAIL]

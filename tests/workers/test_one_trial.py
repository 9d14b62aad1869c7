"""One trial: how each end of an objective is stored, and what is queued again or kept."""

from __future__ import annotations

import gc
import json
import logging
import signal
import sqlite3
import weakref
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
import torch
from optuna.trial import FrozenTrial, TrialState

from optuna_snn.workers.failures import FAIL_REASON, STOPPED
from optuna_snn.workers.identity import WORKER_KEY, this_worker
from optuna_snn.workers.kept_results import kept_results
from optuna_snn.workers.stop import StopRequest
from optuna_snn.workers.storage.database_errors import StorageLostError
from optuna_snn.workers.storage.opening import open_storage
from optuna_snn.workers.worker import WorkerEnd, run_worker


def study_in(storage: str) -> optuna.Study:
    return optuna.load_study(study_name="toy", storage=open_storage(storage))


def trials_in(storage: str) -> list[FrozenTrial]:
    return study_in(storage).get_trials()


@pytest.fixture
def db(tmp_path: Path) -> str:
    return str(tmp_path / "toy.db")


def test_a_trial_says_which_worker_runs_it(toy: Callable[..., Path], db: str) -> None:
    file = toy(
        f"""
        def objective(trial):
            assert trial.user_attrs[{WORKER_KEY!r}] == {this_worker()!r}
            return 1.0
        """
    )
    run_worker(file, storage=db, n_trials=1)
    assert trials_in(db)[0].user_attrs == {WORKER_KEY: this_worker()}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR2])
def test_a_stopped_trial_fails_and_its_parameters_are_queued_again(
    toy: Callable[..., Path], db: str, number: signal.Signals
) -> None:
    file = toy(
        f"""
        import os, time
        def objective(trial):
            x = trial.suggest_float("x", 0.0, 1.0)
            trial.set_constraint("c", x)
            if trial.number == 1:
                os.kill(os.getpid(), {int(number)})
                time.sleep(60)
            return x
        """
    )
    stop = StopRequest(grace_s=0.2)
    assert run_worker(file, storage=db, n_trials=3, stop=stop) is WorkerEnd.STOPPED
    done, stopped, queued = trials_in(db)
    assert (done.state, stopped.state) == (TrialState.COMPLETE, TrialState.FAIL)
    assert stopped.user_attrs[FAIL_REASON] == STOPPED
    assert queued.state == TrialState.WAITING
    assert queued.params == stopped.params
    assert (queued.constraints, queued.user_attrs) == ({}, {})
    run_worker(file, storage=db, n_trials=3)
    assert trials_in(db)[2].value == stopped.params["x"]


def test_a_trial_that_takes_too_long_fails_and_is_not_queued_again(
    toy: Callable[..., Path], db: str
) -> None:
    file = toy(
        """
        import time
        def objective(trial):
            x = trial.suggest_float("x", 0.0, 1.0)
            if trial.number == 0:
                try:
                    time.sleep(60)
                except Exception:  # an objective that carries on after errors
                    pass
            return x
        """
    )
    run_worker(file, storage=db, n_trials=2, trial_timeout_s=5.0)
    trials = trials_in(db)
    assert [trial.state.name for trial in trials] == ["FAIL", "COMPLETE", "COMPLETE"]
    assert trials[0].user_attrs[FAIL_REASON] == "time limit of 5 s"


def test_when_memory_runs_out_the_trial_fails_and_the_worker_goes_on(
    toy: Callable[..., Path], db: str
) -> None:
    file = toy(
        """
        import torch
        def objective(trial):
            x = trial.suggest_float("x", 0.0, 1.0)
            match trial.number:
                case 0: raise MemoryError
                case 1: raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")
                case 2: torch.empty(2**60)
            return x
        """
    )
    run_worker(file, storage=db, n_trials=1)
    *failed, done = trials_in(db)
    assert done.state == TrialState.COMPLETE
    reasons = [trial.user_attrs[FAIL_REASON] for trial in failed]
    assert [reason[:22] for reason in reasons] == [
        "out of memory: MemoryE",
        "out of memory: OutOfMe",
        "out of memory: Runtime",
    ]


def test_the_network_that_did_not_fit_is_gone_before_the_next_trial(
    toy: Callable[..., Path], db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in a cycle, as networks with hooks are: only the garbage collector frees it."""
    networks: list[weakref.ref[object]] = []

    class Network:
        def __init__(self) -> None:
            self.itself = self
            networks.append(weakref.ref(self))

    monkeypatch.setattr(torch, "Network", Network, raising=False)
    emptied: list[bool] = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(networks[0]() is None))
    file = toy(
        """
        import torch
        def objective(trial):
            if trial.number == 0:
                network = torch.Network()
                raise MemoryError
            return 1.0
        """
    )
    gc.disable()
    try:
        run_worker(file, storage=db, n_trials=1)
    finally:
        gc.enable()
    assert emptied == [True]


def test_an_objective_that_exits_fails_its_trial_and_not_the_worker(
    toy: Callable[..., Path], db: str
) -> None:
    file = toy(
        """
        import sys
        def objective(trial):
            if trial.number == 0:
                sys.exit(0)
            return 1.0
        """
    )
    assert run_worker(file, storage=db, n_trials=1) is WorkerEnd.FINISHED
    exited, done = trials_in(db)
    assert exited.user_attrs[FAIL_REASON] == "the objective called sys.exit(0)"
    assert (exited.state, done.state) == (TrialState.FAIL, TrialState.COMPLETE)


def ended_by_others(db: str, state: str, ending: str) -> str:
    return f"""
        import sqlite3
        def objective(trial):
            trial.suggest_float("x", 0.0, 1.0)
            if trial.number == 0:
                with sqlite3.connect({db!r}) as other_process:
                    other_process.execute(
                        "UPDATE trials SET state='{state}', datetime_complete=datetime_start")
                {ending}
            return 2.0
        """


@pytest.mark.parametrize(
    ("ending", "kept"),
    [
        ("return 1.0", [("complete", 1.0)]),
        ("raise optuna.TrialPruned", [("pruned", None)]),
        ("raise ValueError('late')", []),
        ("return float('nan')", []),
        ("trial.report(0.5, 1)", []),  # a trial that has ended takes no report
    ],
)
def test_a_worker_goes_on_when_others_have_failed_its_trial_and_its_result_is_kept(
    toy: Callable[..., Path],
    db: str,
    tmp_path: Path,
    ending: str,
    kept: list[tuple[str, float | None]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    file = toy(ended_by_others(db, "FAIL", ending))
    assert run_worker(file, storage=db, n_trials=2) is WorkerEnd.FINISHED
    study = study_in(db)
    trials = study.get_trials()
    assert [trial.state.name for trial in trials] == ["FAIL", "COMPLETE", "COMPLETE"]
    assert "trial 0: another process had ended the trial as FAIL" in caplog.text
    in_study = kept_results(study)
    assert [(record["state"], record["value"]) for record in in_study] == kept
    lines = tmp_path / "toy-late-results.jsonl"
    in_file = [json.loads(line) for line in lines.read_text().splitlines()] if kept else []
    assert in_file == in_study
    assert [record["params"] for record in in_file] == [trials[0].params] * len(kept)


def test_a_worker_goes_on_when_somebody_has_told_its_trial_by_hand(
    toy: Callable[..., Path], db: str
) -> None:
    file = toy(ended_by_others(db, "COMPLETE", "return 1.0"))
    assert run_worker(file, storage=db, n_trials=2) is WorkerEnd.FINISHED
    (record,) = kept_results(study_in(db))
    assert (record["trial"], record["value"]) == (0, 1.0)
    assert record["why"] == "another process had ended the trial as COMPLETE"


def test_a_result_that_the_database_cannot_take_is_kept_and_the_worker_ends(
    toy: Callable[..., Path],
    db: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from optuna_snn.workers.storage.opening import WorkerStorage

    def lost(*arguments: object, **options: object) -> None:
        raise StorageLostError("the storage has gone away")

    class Loses:
        """While the objective runs, the database goes away for good."""

        def __init__(self) -> None:
            for call in ("get_trial", "set_trial_state_values", "set_trial_user_attr"):
                monkeypatch.setattr(WorkerStorage, call, lost)

    monkeypatch.setattr(optuna, "Loses", Loses, raising=False)
    file = toy("def objective(trial):\n    optuna.Loses()\n    return 0.75\n")
    with caplog.at_level(logging.WARNING), pytest.raises(StorageLostError, match="gone away"):
        run_worker(file, storage=db, n_trials=2)
    (line,) = (tmp_path / "toy-late-results.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert (record["study"], record["trial"], record["value"]) == ("toy", 0, 0.75)
    assert record["why"] == "it could not be stored: the storage has gone away"
    with sqlite3.connect(db) as database:  # no harm was done to the trial
        states = database.execute("SELECT state FROM trials").fetchall()
    database.close()
    assert states == [("RUNNING",)]


def test_an_error_of_the_sampler_ends_the_trial_and_not_the_worker(
    toy: Callable[..., Path], db: str
) -> None:
    head = """
import optuna
direction = "maximize"
class Broken(optuna.samplers.RandomSampler):
    def sample_independent(self, study, trial, name, distribution):
        if trial.number == 0:
            raise RuntimeError("no model")
        return super().sample_independent(study, trial, name, distribution)
sampler = Broken
def pruner():
    return optuna.pruners.NopPruner()
"""
    square = "def objective(trial):\n    return trial.suggest_float('x', 0.0, 1.0) ** 2\n"
    run_worker(toy(square, head=head), storage=db, n_trials=1)
    assert trials_in(db)[0].user_attrs[FAIL_REASON] == "RuntimeError: no model"
    assert trials_in(db)[1].state == TrialState.COMPLETE

"""Signals to a run: trials finish or are queued again, no process is left, the exit code tells."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from optuna_snn.workers.failures import FAIL_REASON, STOPPED
from optuna_snn.workers.run_files import run_files
from optuna_snn.workers.storage.opening import open_storage
from optuna_snn.workers.supervisor.worker_log import claimed_logs

HANGING = """
import os, pathlib, time
def objective(trial):
    x = trial.suggest_float("x", 0.0, 1.0)
    trial.set_user_attr("hangs", os.getpid())
    while not pathlib.Path(__file__).with_name("go on").exists():
        time.sleep(0.05)
    return x
"""
"""Trials last until a file is there."""


class Run:
    """`optuna-snn` in a process of its own, with trials that hang."""

    def __init__(self, command: str, file: Path, *options: str) -> None:
        self.folder = file.parent
        self.storage = str(self.folder / "toy.db")
        words = [command, str(file), "--storage", self.storage, *options]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "optuna_snn", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_for_trials(self, n: int) -> None:
        until(lambda: sum("hangs" in trial.user_attrs for trial in self.trials()) == n)

    def trials(self) -> list[FrozenTrial]:
        if not Path(self.storage).exists():
            return []
        opened = open_storage(self.storage)
        if "toy" not in optuna.get_all_study_names(opened):
            return []
        return optuna.load_study(study_name="toy", storage=opened).get_trials()

    def let_trials_finish(self) -> None:
        (self.folder / "go on").touch()

    def end(self) -> tuple[int, str]:
        printed, _ = self.process.communicate(timeout=120)
        return self.process.returncode, printed


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def assert_all_are_queued_again(trials: list[FrozenTrial], n: int) -> None:
    assert [trial.state.name for trial in trials] == ["FAIL"] * n + ["WAITING"] * n
    assert {trial.user_attrs.get(FAIL_REASON) for trial in trials[:n]} == {STOPPED}
    params = [trial.params for trial in trials]
    assert sorted(params[n:], key=str) == sorted(params[:n], key=str)
    for trial in trials[:n]:
        with pytest.raises(ProcessLookupError):
            os.kill(trial.user_attrs["hangs"], 0)


@pytest.mark.slow
def test_after_the_grace_time_trials_are_queued_again_and_no_process_is_left(
    toy: Callable[..., Path],
) -> None:
    run = Run("run", toy(HANGING), "--workers", "2", "--stop-grace", "0.5")
    run.wait_for_trials(2)
    run.process.send_signal(signal.SIGUSR2)
    code, printed = run.end()
    assert code == 128 + signal.SIGUSR2
    assert "stopped on request; by SIGUSR2" in printed
    assert "running trials may finish within 0.5 s" in printed
    assert_all_are_queued_again(run.trials(), 2)


@pytest.mark.slow
def test_within_the_grace_time_trials_finish_and_no_other_begins(
    toy: Callable[..., Path],
) -> None:
    run = Run("run", toy(HANGING), "--workers", "2", "--stop-grace", "600")
    run.wait_for_trials(2)
    run.process.send_signal(signal.SIGUSR1)
    # Wait until the request has reached the workers: they could not begin another one any more.
    assert run.process.stdout is not None
    while "stopping: running trials may finish" not in run.process.stdout.readline():
        assert run.process.poll() is None
    run.let_trials_finish()
    code, _ = run.end()
    assert code == 128 + signal.SIGUSR1
    assert [trial.state for trial in run.trials()] == [TrialState.COMPLETE] * 2


@pytest.mark.slow
def test_a_second_signal_queues_the_trials_again_at_once(toy: Callable[..., Path]) -> None:
    run = Run("run", toy(HANGING), "--stop-grace", "600")
    run.wait_for_trials(1)
    run.process.send_signal(signal.SIGINT)
    assert run.process.stdout is not None
    while "stopping: running trials may finish" not in run.process.stdout.readline():
        assert run.process.poll() is None
    run.process.send_signal(signal.SIGINT)
    code, _ = run.end()
    assert code == 130
    assert_all_are_queued_again(run.trials(), 1)


@pytest.mark.slow
def test_a_scheduler_that_signals_all_processes_of_a_job_does_not_hurry_the_workers(
    toy: Callable[..., Path],
) -> None:
    run = Run("run", toy(HANGING), "--workers", "2", "--stop-grace", "600")
    run.wait_for_trials(2)
    for pid in (run.process.pid, *(trial.user_attrs["hangs"] for trial in run.trials())):
        os.kill(pid, signal.SIGTERM)
    assert run.process.stdout is not None
    while "stopping: running trials may finish" not in run.process.stdout.readline():
        assert run.process.poll() is None
    run.let_trials_finish()
    code, _ = run.end()
    assert code == 143
    assert [trial.state for trial in run.trials()] == [TrialState.COMPLETE] * 2


@pytest.mark.slow
def test_a_worker_of_its_own_stops_like_a_run(toy: Callable[..., Path]) -> None:
    run = Run("worker", toy(HANGING), "--stop-grace", "0")
    run.wait_for_trials(1)
    run.process.send_signal(signal.SIGTERM)
    code, printed = run.end()
    assert code == 143
    assert "stopped by SIGTERM" in printed
    assert_all_are_queued_again(run.trials(), 1)


@pytest.mark.slow
def test_workers_end_after_their_trial_when_the_supervisor_is_killed(
    toy: Callable[..., Path], tmp_path: Path
) -> None:
    run = Run("run", toy(HANGING))
    run.wait_for_trials(1)
    run.process.kill()
    run.end()
    files = run_files(f"sqlite:///{run.storage}", "toy")
    (log,) = claimed_logs(files)  # the worker still has it
    run.let_trials_finish()
    until(lambda: f"the supervisor {run.process.pid} is gone" in log.read_text())
    assert [trial.state for trial in run.trials()] == [TrialState.COMPLETE]

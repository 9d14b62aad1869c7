"""A task under submitit, without SLURM: its clean stop in submitit's own signal handler."""

from __future__ import annotations

import os
import pickle
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial
from submitit.helpers import DelayedSubmission

from optuna_snn.launchers.slurm.preemption import is_preempted
from optuna_snn.launchers.slurm.task import SupervisedTask
from optuna_snn.workers import StopRequest, open_storage
from optuna_snn.workers.failures import FAIL_REASON, STOPPED
from optuna_snn.workers.run_settings import RunSettings

REQUEUED = 144
"""submitit's exit code for "queue me again" where there is no SLURM to be asked."""

JOB = "7"

SCONTROL = """#!/bin/sh
test "$3" = "{}" || exit 1
echo "JobId=12 PreemptEligibleTime=2026-01-01T00:00:00 PreemptTime={}"
"""


class Job:
    """One task in a process, started as SLURM starts it."""

    def __init__(self, folder: Path, study_file: Path) -> None:
        self.folder = folder
        self.storage = f"sqlite:///{folder / 'study.db'}"
        settings = RunSettings(study_file, self.storage, n_trials=3, stop_grace_s=0.0)
        task = SupervisedTask(settings, devices=["cpu"], n_slots=2, notice_s=120.0)
        self.pickle = folder / f"{JOB}_submitted.pkl"
        self._delayed = DelayedSubmission(task)
        self._delayed.set_timeout(timeout_min=60, max_num_timeout=3)
        self._delayed.dump(self.pickle)
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "submitit.core._submit", str(self.folder)],
            env={
                **os.environ, "SUBMITIT_EXECUTOR": "local", "SUBMITIT_LOCAL_JOB_ID": JOB,
                **environment,
            },
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def trials(self) -> list[FrozenTrial]:
        if not (self.folder / "study.db").exists():
            return []
        storage = open_storage(self.storage)
        if "study" not in optuna.get_all_study_names(storage):
            return []
        return optuna.load_study(study_name="study", storage=storage).get_trials()

    def wait_for_trials(self, n: int) -> None:
        until(lambda: sum(trial.user_attrs.get("waits", False) for trial in self.trials()) == n)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def assert_all_are_queued_again(trials: list[FrozenTrial], n: int) -> None:
    assert [trial.state.name for trial in trials] == ["FAIL"] * n + ["WAITING"] * n
    assert {trial.user_attrs[FAIL_REASON] for trial in trials[:n]} == {STOPPED}
    for trial in trials[:n]:
        with pytest.raises(ProcessLookupError):
            os.kill(trial.user_attrs["pid"], 0)


@pytest.fixture
def job(tmp_path: Path, study_file: Path) -> Iterator[Job]:
    made = Job(tmp_path, study_file)
    yield made
    (tmp_path / "go on").touch()  # workers of a killed run end with their trials
    for process in made.processes:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_submitits_signal_stops_the_run_cleanly_and_the_next_start_goes_on(job: Job) -> None:
    process = job.start()
    job.wait_for_trials(2)
    process.send_signal(signal.SIGUSR2)
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == REQUEUED, printed
    # All this before the process asked to be queued again: nothing of it can be cut off.
    assert_all_are_queued_again(job.trials(), 2)
    params = sorted(trial.params["x"] for trial in job.trials()[:2])

    (job.folder / "go on").touch()
    second = job.start()
    printed, _ = second.communicate(timeout=120)
    assert second.returncode == 0, printed
    assert "the study has its trials; " in printed
    done = [trial for trial in job.trials() if trial.state.name == "COMPLETE"]
    assert len(done) >= 3
    assert set(params) <= {trial.params["x"] for trial in done}


@pytest.mark.slow
def test_sigterm_stops_the_run_for_good(job: Job) -> None:
    process = job.start()
    job.wait_for_trials(2)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    assert "stopped on request by SIGTERM; 0 new trials" in printed
    assert_all_are_queued_again(job.trials(), 2)


@pytest.mark.slow
def test_sigterm_of_a_preemption_queues_the_task_again(job: Job, tmp_path: Path) -> None:
    path = fake_scontrol(tmp_path, "2026-01-01T00:00:00")
    process = job.start(PATH=path, SLURM_JOB_ID="12")
    job.wait_for_trials(2)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == REQUEUED, printed
    assert_all_are_queued_again(job.trials(), 2)


@pytest.mark.slow
def test_what_is_wrong_ends_the_task_with_one_line(job: Job, study_file: Path) -> None:
    study_file.write_text("objective = 3")
    process = job.start()
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "error: the study file" in printed and "Traceback" not in printed


def test_the_handler_does_not_wait_for_ever(
    study_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that does not end must not keep the task from being queued again."""
    settings = RunSettings(study_file, "study.db", n_trials=1)
    task = SupervisedTask(settings, devices=["cpu"], n_slots=1, notice_s=0.0)
    asked: list[int] = []
    is_over = threading.Event()

    def run_for_ever(*_: object, stop: StopRequest, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGUSR2)
        while not is_over.wait(0.01):
            asked.append(stop.level)

    class Handled(Exception):
        pass

    def on_signal(number: int, frame: object) -> None:
        before = len(asked)
        task.checkpoint()
        until(lambda: len(asked) > before and asked[-1] == 1)  # it was asked, and still runs
        raise Handled

    monkeypatch.setattr("optuna_snn.launchers.slurm.task.supervise", run_for_ever)
    former = signal.signal(signal.SIGUSR2, on_signal)
    try:
        with pytest.raises(Handled):
            task()
    finally:
        is_over.set()
        signal.signal(signal.SIGUSR2, former)


def test_a_task_is_pickled_for_its_next_start_without_what_runs(study_file: Path) -> None:
    settings = RunSettings(study_file, "study.db", n_trials=1)
    task = SupervisedTask(settings, devices=["cpu"], n_slots=2, notice_s=120.0)
    again = task.checkpoint().function
    for other in (again, pickle.loads(pickle.dumps(task))):
        assert vars(other) == vars(task)


@pytest.mark.parametrize(
    ("time", "expected"), [("2026-01-01T00:00:00", True), ("None", False), ("", False)]
)
def test_slurm_tells_whether_a_job_is_preempted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, time: str, expected: bool
) -> None:
    monkeypatch.setenv("PATH", fake_scontrol(tmp_path, time))
    assert is_preempted({"SLURM_JOB_ID": "12"}) is expected
    assert not is_preempted({})


def test_a_task_asks_for_itself_and_not_for_its_whole_array(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One task of an array has the array's job id, by which SLURM shows all of its tasks."""
    array = {"SLURM_JOB_ID": "12", "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "3"}
    path = fake_scontrol(tmp_path, "2026-01-01T00:00:00", job="12_3")
    monkeypatch.setenv("PATH", path)
    assert is_preempted(array)
    assert not is_preempted({"SLURM_JOB_ID": "12"})  # the stand-in knows the task alone


def test_without_an_answer_from_slurm_a_job_is_not_preempted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not is_preempted({"SLURM_JOB_ID": "12"})


def fake_scontrol(folder: Path, preempt_time: str, job: str = "12") -> str:
    """A PATH with a `scontrol` that gives this answer for this job."""
    program = folder / "bin" / "scontrol"
    program.parent.mkdir()
    program.write_text(SCONTROL.format(job, preempt_time))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return f"{program.parent}:{os.environ['PATH']}"

"""Studies on a real SLURM: nodes and workers are killed, jobs are stopped, nothing is lost.

Trials wait for a file, so that what happens to them does not depend on how fast the machine is.
"""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial

from optuna_snn.checkpoints import first_trial_number
from optuna_snn.cli import main
from optuna_snn.workers import open_storage
from optuna_snn.workers.failures import FAIL_REASON, STOPPED
from tests.launchers.slurm.cluster import SlurmCluster, wait_until

pytestmark = pytest.mark.slow

AT_ONCE = ("--stop-grace", "0")
"""Running trials are interrupted as soon as the task is asked to stop."""

FIND_DEAD = ("--grace", "8")
"""Dead workers are found soon. Not sooner, and only where there are any: an overloaded machine can
keep a living one from its heartbeat for some seconds.
"""


class Job:
    """A study that is submitted in the folder of a test."""

    def __init__(self, cluster: SlurmCluster, url: str) -> None:
        self.cluster = cluster
        self.folder = Path.cwd()
        self._url = url
        self.id = ""

    def submit(self, capsys: pytest.CaptureFixture[str], *words: str) -> None:
        capsys.readouterr()
        assert main(["submit", "study.py", *AT_ONCE, *words]) == 0
        match = re.search(r"job (\d+):", capsys.readouterr().out)
        assert match is not None
        self.id = match[1]

    def trials(self) -> list[FrozenTrial]:
        storage = open_storage(self._url)
        if not optuna.get_all_study_names(storage):
            return []
        return optuna.load_study(study_name="study", storage=storage).get_trials()

    def waiting(self) -> list[FrozenTrial]:
        """Trials that wait for `let_go` in their workers."""
        return [
            trial
            for trial in self.trials()
            if trial.state.name == "RUNNING" and "waits" in trial.user_attrs
        ]

    def wait_for_trials(self, n: int) -> list[FrozenTrial]:
        wait_until(lambda: len(self.waiting()) >= n)
        return self.waiting()

    def let_go(self) -> None:
        (self.folder / "go on").touch()

    def shown_text(self, task: str = "") -> str:
        return self.cluster.run("scontrol", "show", "job", self.id + task)

    def shown(self, task: str = "") -> dict[str, str]:
        """What SLURM shows of the job, or of a task of its array ("_0")."""
        text = self.shown_text(task)
        return dict(pair.split("=", 1) for pair in text.split() if "=" in pair)

    def states(self) -> list[str]:
        return re.findall(r"JobState=(\w+)", self.shown_text())

    def pending(self) -> list[str]:
        """Tasks that are queued, as SLURM names them."""
        return self.cluster.run("squeue", "-h", "-t", "PD", "-j", self.id, "-o", "%i").split()

    def wait_for_states(self, *states: str) -> None:
        wait_until(lambda: set(self.states()) <= set(states) != set())

    def log(self) -> str:
        return "".join(path.read_text() for path in self.folder.rglob("*log*") if path.is_file())


@pytest.fixture
def job(
    cluster: SlurmCluster, postgres_url: str, study_file: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Job]:
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OPTUNA_SNN_STORAGE", str(postgres_url))
    made = Job(cluster, str(postgres_url))
    yield made
    print(cluster.run("sinfo"), made.shown_text(), made.log())  # seen where the test fails
    made.let_go()
    cluster.cancel_all()
    cluster.set_grace_time(0)


def assert_nothing_is_lost(trials: list[FrozenTrial], n: int) -> None:
    """Every trial has ended with all its results, or was tried again by one that has."""
    complete = [trial for trial in trials if trial.state.name == "COMPLETE"]
    assert len(complete) >= n
    for trial in complete:
        x = trial.params["x"]
        assert trial.value == x and trial.intermediate_values == {0: x, 1: x, 2: x}
    failed = [trial for trial in trials if trial.state.name == "FAIL"]
    assert len(complete) + len(failed) == len(trials)
    finished = {first_trial_number(trial): trial.params for trial in complete}
    for trial in failed:
        assert finished[first_trial_number(trial)] == trial.params


def test_an_array_shares_the_study_and_each_worker_has_a_device_of_its_own(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    job.submit(capsys, "--n-trials", "12", "--array-size", "3", "--gpus", "2")
    places = [
        (trial.user_attrs["SLURMD_NODENAME"], trial.user_attrs["CUDA_VISIBLE_DEVICES"])
        for trial in job.wait_for_trials(6)
    ]
    assert sorted(places) == [(node, gpu) for node in ("n1", "n2", "n3") for gpu in ("0", "1")]
    assert {trial.user_attrs["OPTUNA_SNN_DEVICE"] for trial in job.waiting()} == {"cuda:0"}
    job.let_go()
    job.wait_for_states("COMPLETED")
    assert_nothing_is_lost(job.trials(), 12)
    assert {trial.state.name for trial in job.trials()} == {"COMPLETE"}


def test_a_killed_worker_is_started_again_within_its_task(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    job.submit(capsys, *FIND_DEAD, "--n-trials", "2", "--gpus", "2")
    victim, other = job.wait_for_trials(2)
    os.kill(victim.user_attrs["pid"], signal.SIGKILL)
    # The second worker is busy: whatever begins now is begun by the one that was started again.
    # It cannot be another trial than the victim's, which counts until it is found stale.
    known = {victim.number, other.number}
    wait_until(lambda: not set(numbers(job.waiting())) <= known)
    (again,) = (trial for trial in job.waiting() if trial.number not in known)
    assert again.user_attrs["pid"] != victim.user_attrs["pid"]
    device = "CUDA_VISIBLE_DEVICES"
    assert again.user_attrs[device] == victim.user_attrs[device]
    assert again.params == victim.params
    job.let_go()
    job.wait_for_states("COMPLETED")
    assert job.shown()["Restarts"] == "0"
    assert_nothing_is_lost(job.trials(), 2)


def test_a_time_out_requeues_the_task_when_its_trials_are_queued_again(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the signal that SLURM sends before the end; it is sent by hand, to save the time."""
    job.submit(capsys, "--n-trials", "4", "--gpus", "2", "--time", "5", "--max-timeouts", "3")
    stopped = job.wait_for_trials(2)
    job.cluster.run("scancel", "--signal=USR2", job.id)
    wait_until(lambda: job.shown().get("Restarts") == "1" and len(job.waiting()) == 2)
    assert {trial.params["x"] for trial in job.waiting()} == {t.params["x"] for t in stopped}
    assert "Requeued job" in job.log() and "2 remaining timeouts" in job.log()
    job.let_go()
    job.wait_for_states("COMPLETED")
    trials = job.trials()
    assert_nothing_is_lost(trials, 4)
    reasons = Counter(trial.user_attrs.get(FAIL_REASON) for trial in trials)
    assert reasons == {STOPPED: 2, None: len(trials) - 2}


def test_a_task_that_is_preempted_with_a_grace_time_is_requeued(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    """It hears SIGTERM, as one that is stopped for good does; it has to tell them apart."""
    job.cluster.set_grace_time(60)
    job.submit(capsys, "--n-trials", "2", "--gpus", "2", "--sbatch", "nodelist=n1")
    stopped = job.wait_for_trials(2)
    job.cluster.run(
        "sbatch", "-p", "urgent", "-w", "n1", "--gres=gpu:2", "-o", "/dev/null", "--wrap", "true"
    )
    wait_until(lambda: job.shown().get("Restarts") == "1" and len(job.waiting()) == 2)
    assert {trial.params["x"] for trial in job.waiting()} == {t.params["x"] for t in stopped}
    job.let_go()
    job.wait_for_states("COMPLETED")
    assert_nothing_is_lost(job.trials(), 2)


def test_scancel_with_sigterm_stops_for_good_and_a_second_submission_goes_on(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    job.submit(capsys, "--n-trials", "4", "--gpus", "1", "--array-size", "2")
    stopped = job.wait_for_trials(2)
    job.cluster.run("scancel", "--signal=TERM", job.id)
    job.wait_for_states("FAILED")
    assert job.shown("_0")["ExitCode"] == f"{128 + signal.SIGTERM}:0"
    assert [trial.state.name for trial in job.trials()] == ["FAIL"] * 2 + ["WAITING"] * 2
    for trial in stopped:
        with pytest.raises(ProcessLookupError):
            os.kill(trial.user_attrs["pid"], 0)
    job.let_go()
    job.submit(capsys, "--n-trials", "4", "--gpus", "1")
    job.wait_for_states("COMPLETED")
    assert_nothing_is_lost(job.trials(), 4)


def test_scancel_alone_leaves_the_time_to_queue_the_trials_again(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    job.submit(capsys, "--n-trials", "2", "--slots", "2")
    job.wait_for_trials(2)
    job.cluster.run("scancel", job.id)
    job.wait_for_states("CANCELLED")
    trials = job.trials()
    assert [trial.state.name for trial in trials] == ["FAIL"] * 2 + ["WAITING"] * 2
    assert {trial.user_attrs[FAIL_REASON] for trial in trials[:2]} == {STOPPED}


def test_a_task_whose_node_is_lost_is_requeued_and_its_trials_are_tried_again(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    job.submit(capsys, *FIND_DEAD, "--n-trials", "6", "--gpus", "2", "--array-size", "2")
    running = job.wait_for_trials(4)
    node = running[0].user_attrs["SLURMD_NODENAME"]
    lost = [trial for trial in running if trial.user_attrs["SLURMD_NODENAME"] == node]
    assert len(lost) == 2
    job.cluster.kill_node(node)
    try:
        wait_until(lambda: len(job.pending()) == 1)
        wait_until(lambda: not set(numbers(lost)) & set(numbers(job.waiting())))
        job.wait_for_trials(4)
        assert node not in {t.user_attrs["SLURMD_NODENAME"] for t in job.waiting()}
        assert sorted(re.findall(r"Restarts=(\d)", job.shown_text())) == ["0", "1"]
        job.let_go()
        job.wait_for_states("COMPLETED")
    finally:
        job.cluster.start_node(node)
        job.cluster.wait_for_nodes()
    trials = job.trials()
    assert_nothing_is_lost(trials, 6)
    assert numbers([trial for trial in trials if trial.state.name == "FAIL"]) == numbers(lost)


def test_the_printed_script_runs_and_stops_cleanly_at_its_signal(
    job: Job, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    odd = """it's "50 %" of $HOME; #1 `x`"""
    words = ["--gpus", "2", "--n-trials", "4", "--sbatch", f"comment={odd}"]
    words += ["--setup", "export FROM_SETUP=yes", "--print-script"]
    capsys.readouterr()
    assert main(["submit", "study.py", *AT_ONCE, *words]) == 0
    script = tmp_path / "job.sh"
    script.write_text(capsys.readouterr().out)
    job.id = job.cluster.run("sbatch", "--parsable", str(script)).strip()
    stopped = job.wait_for_trials(2)
    assert {trial.user_attrs["FROM_SETUP"] for trial in stopped} == {"yes"}
    assert sorted(trial.user_attrs["CUDA_VISIBLE_DEVICES"] for trial in stopped) == ["0", "1"]
    assert f"Comment={odd}" in job.shown_text()
    job.cluster.run("scancel", "--batch", "--signal=USR1", job.id)
    job.wait_for_states("FAILED")
    assert job.shown()["ExitCode"] == f"{128 + signal.SIGUSR1}:0"
    assert [trial.state.name for trial in job.trials()] == ["FAIL"] * 2 + ["WAITING"] * 2
    job.let_go()
    job.id = job.cluster.run("sbatch", "--parsable", str(script)).strip()
    job.wait_for_states("COMPLETED")
    assert_nothing_is_lost(job.trials(), 4)


def numbers(trials: list[FrozenTrial]) -> list[int]:
    return [trial.number for trial in trials]

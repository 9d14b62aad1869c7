"""Runs on a Ray cluster of several nodes: places, deaths of all kinds, a clean stop, no loss."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from optuna.trial import FrozenTrial, TrialState

from optuna_snn.workers.failures import FAIL_REASON, STOPPED
from optuna_snn.workers.identity import worker_of
from tests.launchers.ray.runs import WAIT_S, Run, is_alive

pytestmark = pytest.mark.slow

COMPLETE, FAIL, RUNNING = TrialState.COMPLETE, TrialState.FAIL, TrialState.RUNNING


def pid_of(trial: FrozenTrial) -> int:
    return int((worker_of(trial) or "").rpartition(":")[2])


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def place(trial: FrozenTrial) -> tuple[int, str]:
    return trial.user_attrs["node"], trial.user_attrs["gpu"]


def check_nothing_is_lost(run: Run, dead: list[FrozenTrial], n_complete: int) -> None:
    """Every trial of a dead worker failed and was tried again, and all others are complete."""
    trials = run.trials()
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert {trial.state for trial in trials} <= {COMPLETE, FAIL}
    failed = {trial.number for trial in trials if trial.state is FAIL}
    assert failed == {trial.number for trial in dead}
    complete = {trial.params["x"] for trial in trials if trial.state is COMPLETE}
    assert len(complete) >= n_complete
    assert {trial.params["x"] for trial in dead} <= complete


def test_each_worker_has_a_gpu_of_its_own_and_those_without_room_are_told(ray_run: Run) -> None:
    run = ray_run.start("--workers", "5", "--gpus-per-worker", "1", "--n-trials", "8")
    running = ray_run.wait_for_running(4)
    assert len({place(trial) for trial in running}) == 4
    assert {node for node, _ in map(place, running)} == set(ray_run.cluster.nodes)
    assert {tuple(trial.user_attrs["seen"]) for trial in running} == {("cuda:0", "1")}
    # Asked for in vain, and said so; the others work.
    ray_run.wait_for(lambda: "1 of 5 workers have not started yet" in ray_run.output, "the note")
    assert "0 of 4 GPU are free; the others work" in ray_run.output
    ray_run.gate.touch()
    assert run.wait(timeout=WAIT_S) == 0, ray_run.output
    check_nothing_is_lost(ray_run, [], 8)
    assert len(list((ray_run.folder / "on_ray-logs").glob("worker-*-*.log"))) == 4
    assert "the study has its trials" in ray_run.output


def test_a_killed_worker_and_a_killed_actor_are_started_again(ray_run: Run) -> None:
    run = ray_run.start("--workers", "2", "--gpus-per-worker", "1", "--n-trials", "5")
    first, second = ray_run.wait_for_running(2)
    os.kill(pid_of(first), signal.SIGKILL)
    ray_run.wait_for(lambda: "was killed by SIGKILL" in ray_run.output, "the death is told")
    actor = parent_of(pid_of(second))
    os.kill(actor, signal.SIGKILL)
    # Ray gives the GPU away again: the worker must not outlive its actor.
    ray_run.wait_for(lambda: not is_alive(pid_of(second)), "the worker ends with its actor")
    ray_run.wait_for(lambda: "was lost with its actor" in ray_run.output, "the loss is told")
    ray_run.wait_for(lambda: len(ray_run.trials(FAIL)) == 2, "both trials are found stale")
    again = {pid_of(trial) for trial in ray_run.wait_for_running(2)}
    ray_run.gate.touch()
    assert run.wait(timeout=WAIT_S) == 0, ray_run.output
    assert not again & {pid_of(first), pid_of(second), actor}
    check_nothing_is_lost(ray_run, [first, second], 5)
    by_number = {trial.number: trial for trial in ray_run.trials()}
    reason = by_number[first.number].user_attrs[FAIL_REASON]
    assert reason.startswith("its worker was killed by SIGKILL")
    assert "its actor" in by_number[second.number].user_attrs[FAIL_REASON]


def test_trials_of_a_lost_node_are_retried_on_the_other_whose_gpus_the_workers_share(
    ray_run: Run,
) -> None:
    run = ray_run.start("--workers", "4", "--gpus-per-worker", "0.5", "--n-trials", "6")
    running = ray_run.wait_for_running(4)
    lost = running[0].user_attrs["node"]
    (other,) = set(ray_run.cluster.nodes) - {lost}
    dead = [trial for trial in running if trial.user_attrs["node"] == lost]
    ray_run.cluster.kill(lost)
    ray_run.wait_for(
        lambda: ray_run.output.count("was lost with its actor") == len(dead), "the loss"
    )

    def on_other() -> list[FrozenTrial]:
        running = ray_run.trials(RUNNING)
        return [trial for trial in running if trial.user_attrs.get("node") == other]

    ray_run.wait_for(lambda: len(on_other()) == 4, "four trials on the other node")
    # Four workers on two GPUs, two on each.
    assert Counter(trial.user_attrs["gpu"] for trial in on_other()) == {"0": 2, "1": 2}
    ray_run.wait_for(
        lambda: len(ray_run.trials(FAIL)) == len(dead), "the lost trials are found stale"
    )
    ray_run.gate.touch()
    assert run.wait(timeout=WAIT_S) == 0, ray_run.output
    check_nothing_is_lost(ray_run, dead, 6)
    # Ray prints the last lines of the dead node's logs, unless it is kept from that.
    assert "(raylet)" not in ray_run.output


def test_a_node_on_which_workers_refuse_leaves_the_others_at_work(ray_run: Run) -> None:
    bad, good = ray_run.cluster.nodes
    study = ray_run.folder / "study.py"
    refusal = (
        "def objective(trial):\n"
        "    from optuna_snn.backends import MissingPackageError\n"
        f"    if os.environ['RAY_RAYLET_PID'] == '{bad}':\n"
        "        raise MissingPackageError('Foo is not installed')\n"
    )
    study.write_text(study.read_text().replace("def objective(trial):\n", refusal))
    run = ray_run.start("--workers", "4", "--gpus-per-worker", "1", "--n-trials", "5")
    ray_run.wait_for(lambda: "cannot work and are not started again" in ray_run.output, "the note")
    (line,) = [line for line in ray_run.output.splitlines() if "cannot work" in line]
    assert line.startswith("workers ")
    assert line.count(" GPU ") == 2
    assert line.endswith(": Foo is not installed")
    assert {trial.user_attrs["node"] for trial in ray_run.wait_for_running(2)} == {good}
    ray_run.gate.touch()
    assert run.wait(timeout=WAIT_S) == 0, ray_run.output
    assert {trial.state for trial in ray_run.trials()} == {COMPLETE, FAIL}
    assert len(ray_run.trials(COMPLETE)) >= 5
    assert len(ray_run.trials(FAIL)) == 2


def test_signals_stop_the_workers_whose_trials_are_queued_again(ray_run: Run) -> None:
    run = ray_run.start("--workers", "2", "--n-trials", "5", "--stop-grace", "600")
    running = ray_run.wait_for_running(2)
    assert {tuple(trial.user_attrs["seen"]) for trial in running} == {("cpu", "1")}
    assert {trial.user_attrs["gpu"] for trial in running} == {""}  # none of the cluster's
    run.send_signal(signal.SIGTERM)  # which Ray would take for itself
    ray_run.wait_for(
        lambda: "stopping: running trials may finish" in ray_run.output, "it is heard"
    )
    run.send_signal(signal.SIGINT)
    assert run.wait(timeout=WAIT_S) == 128 + signal.SIGTERM, ray_run.output
    failed = ray_run.trials(FAIL)
    assert {trial.user_attrs[FAIL_REASON] for trial in failed} == {STOPPED}
    waiting = {trial.params["x"] for trial in ray_run.trials(TrialState.WAITING)}
    assert waiting == {trial.params["x"] for trial in running}
    assert not any(is_alive(pid_of(trial)) for trial in running)


def test_workers_end_when_the_command_is_killed_and_the_next_one_retries_their_trials(
    ray_run: Run,
) -> None:
    killed = ray_run.start("--n-trials", "2")
    dead = ray_run.wait_for_running(1)
    killed.kill()
    killed.wait()
    ray_run.wait_for(lambda: not any(is_alive(pid_of(trial)) for trial in dead), "the workers end")
    ray_run.gate.touch()
    run = ray_run.start("--n-trials", "2")
    assert run.wait(timeout=WAIT_S) == 0, ray_run.output
    check_nothing_is_lost(ray_run, dead, 2)


def test_an_sqlite_file_is_refused_by_a_cluster_of_several_nodes(ray_run: Run) -> None:
    ray_run.url = str(ray_run.folder / "study.db")
    assert ray_run.start("--n-trials", "1").wait(timeout=WAIT_S) == 2
    (line,) = [line for line in ray_run.output.splitlines() if line.startswith("error: ")]
    assert "cannot be shared by machines" in line
    assert not (ray_run.folder / "study.db").exists()

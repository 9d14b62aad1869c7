"""The actor's side, without Ray: a worker process of this machine, and how it is tied to it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import optuna
import pytest

from optuna_snn.launchers.ray import node as node_module
from optuna_snn.launchers.ray.node import NodeWorker, find_study_file
from optuna_snn.launchers.ray.report import NodeTask
from optuna_snn.workers.errors import RunError
from optuna_snn.workers.identity import short_host, worker_name
from optuna_snn.workers.run_files import run_files
from optuna_snn.workers.supervisor.engine import WorkerCall
from optuna_snn.workers.supervisor.slot import SlotState

STUDY = """
import os, time
import optuna
from optuna_snn.workers import worker_device
def sampler():
    return optuna.samplers.RandomSampler()
def pruner():
    return optuna.pruners.NopPruner()
def objective(trial):
    names = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "TZ")
    trial.set_user_attr("seen", [worker_device(), *(os.environ.get(name) for name in names)])
    trial.set_user_attr("clock", time.strftime("%z"))
    trial.set_user_attr("folder", os.getcwd())
    return trial.suggest_float("x", 0.0, 1.0)
"""


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NodeTask:
    """One trial of a study in a folder that the node sees."""
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "study.py").write_text(STUDY)
    elsewhere = tmp_path / "actor"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    for name in ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "OPTUNA_SNN_DEVICE"):
        monkeypatch.delenv(name, raising=False)
    url = f"sqlite:///{folder / 'study.db'}"
    offset = datetime.now().astimezone().utcoffset()
    assert offset is not None
    options = ("--n-trials", "1")
    call = WorkerCall(Path("study.py"), options, url, run_files(url, "study"))
    return NodeTask(call, folder, 2, has_gpu=False, utc_offset_s=offset.total_seconds())


def finish(worker: NodeWorker) -> SlotState:
    deadline = time.monotonic() + 60
    while (report := worker.look(False)).state is SlotState.RUNNING:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return report.state


def only_trial(task: NodeTask) -> optuna.trial.FrozenTrial:
    (trial,) = optuna.load_study(study_name="study", storage=task.call.url).trials
    return trial


@pytest.mark.slow
def test_a_worker_with_a_gpu_runs_in_the_commands_folder_on_the_commands_clock(
    task: NodeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    (task.folder / "study-logs").mkdir()
    west = replace(task, has_gpu=True, utc_offset_s=task.utc_offset_s - 9000)
    worker = NodeWorker(west)
    report = worker.look(False)
    assert (report.host, report.gpus) == (short_host(), "3")
    assert report.pid is not None
    assert report.worker == worker_name(report.pid)
    assert Path(report.log).parent == task.folder / "study-logs"
    assert finish(worker) is SlotState.FINISHED
    trial = only_trial(task)
    assert trial.user_attrs["seen"][:3] == ["cuda:0", "3", "2"]
    assert trial.user_attrs["folder"] == str(task.folder)
    hours, minutes = divmod(abs(int(west.utc_offset_s)) // 60, 60)
    sign = "-" if west.utc_offset_s < 0 else "+"
    assert trial.user_attrs["clock"] == f"{sign}{hours:02}{minutes:02}"


@pytest.mark.slow
def test_a_worker_without_a_gpu_sees_none_and_logs_on_its_node_where_nothing_is_shared(
    task: NodeTask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(node_module, "SESSION_LOGS", tmp_path / "none")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")  # as Ray leaves it without GPUs
    worker = NodeWorker(task)
    assert finish(worker) is SlotState.FINISHED
    seen = only_trial(task).user_attrs["seen"]
    assert seen == ["cpu", "", "2", os.environ.get("TZ")]
    logs = tmp_path / f"optuna-snn-{os.getuid()}" / "study-logs"
    assert Path(worker.look(False).log).parent == logs


def test_logs_are_not_written_where_somebody_else_leads_them(
    task: NodeTask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Anybody can make a link in the temporary folder of a node."""
    monkeypatch.setattr(node_module, "SESSION_LOGS", tmp_path / "none")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / f"optuna-snn-{os.getuid()}").symlink_to(task.folder)
    report = NodeWorker(task).look(False)
    assert report.state is SlotState.REFUSED
    assert "is no folder of this user's" in report.last_error
    assert {path.name for path in task.folder.iterdir()} == {"study.py"}


def test_a_study_file_is_found_at_its_path_or_where_ray_has_sent_it(
    task: NodeTask, tmp_path: Path
) -> None:
    at_its_path = task.folder / "study.py"
    assert find_study_file(task, Path.cwd()) == at_its_path
    sent = tmp_path / "actor" / "study.py"
    at_its_path.rename(sent)
    assert find_study_file(task, sent.parent) == sent
    sent.unlink()
    with pytest.raises(RunError, match=r"is not on the node .* ray job submit --working-dir"):
        find_study_file(task, sent.parent)


def test_a_worker_without_its_study_file_refuses_and_starts_nothing(task: NodeTask) -> None:
    (task.folder / "study.py").unlink()
    worker = NodeWorker(task)
    worker.ask_to_stop()
    worker.interrupt()
    report = worker.kill()
    assert (report.state, report.worker, report.pid) == (SlotState.REFUSED, None, None)
    assert f"is not on the node {short_host()}" in report.last_error


def test_a_worker_that_would_miss_its_gpu_refuses(task: NodeTask) -> None:
    report = NodeWorker(replace(task, has_gpu=True)).look(False)
    assert report.state is SlotState.REFUSED
    assert "Ray named no GPU in CUDA_VISIBLE_DEVICES" in report.last_error


PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
print(child.pid, flush=True)
time.sleep(600)
"""
CHILD = """
import os, time
from optuna_snn.launchers.ray.tied import die_with
die_with(os.getppid())
open(os.environ["READY"], "w").close()
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux does this")
def test_a_tied_process_ends_with_its_parent_however_that_ends(
    tmp_path: Path, wait_until_ended: Callable[[int], None]
) -> None:
    ready = tmp_path / "ready"
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD],
        env={**os.environ, "READY": str(ready)},
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        deadline = time.monotonic() + 60
        while not ready.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        parent.kill()
    wait_until_ended(child)


def test_a_tied_process_does_not_begin_when_its_parent_has_ended() -> None:
    code = "from optuna_snn.launchers.ray.tied import die_with; die_with(1 << 30); print('lives')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip() == f"the parent {1 << 30} has ended"


def test_a_tied_process_hears_the_signals_that_ray_blocks() -> None:
    code = (
        "import signal; from optuna_snn.launchers.ray.tied import hear_all_signals\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT]); hear_all_signals()\n"
        "print(signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()"

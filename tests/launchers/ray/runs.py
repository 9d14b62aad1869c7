"""A Ray cluster and runs of the command on it, as tests use them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

from optuna_snn.workers.storage.opening import StudyStorage, open_storage

__all__ = ["WAIT_S", "RayCluster", "Run", "is_alive", "ray_environment", "wait_for"]

WAIT_S = 300.0
"""Far more than anything here takes; who waits for so long waits for ever."""

GRACE_S = "8"
"""Dead workers are found soon. Not sooner, since an overloaded machine can keep a living one from
its heartbeat for some seconds.
"""

STUDY = """
import os, time
from pathlib import Path
import optuna
from optuna_snn.workers import worker_device
GATE = Path({gate!r})
direction = "maximize"
name = "on_ray"
def sampler():
    return optuna.samplers.RandomSampler()
def pruner():
    return optuna.pruners.NopPruner()
def objective(trial):
    x = trial.suggest_float("x", 0.0, 1.0)
    trial.set_user_attr("node", int(os.environ["RAY_RAYLET_PID"]))
    trial.set_user_attr("gpu", os.environ["CUDA_VISIBLE_DEVICES"])
    trial.set_user_attr("seen", [worker_device(), os.environ["OMP_NUM_THREADS"]])
    until = time.monotonic() + 900
    while not GATE.exists() and time.monotonic() < until:
        time.sleep(0.05)
    return x
"""


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.2)


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@dataclass
class RayCluster:
    """A head and two nodes of 4 CPUs and 2 made-up GPUs each."""

    process: subprocess.Popen[str]
    address: str
    nodes: list[int]
    """Process ids of the nodes."""
    folder: Path
    """Ray's temporary files."""

    def kill(self, node: int) -> None:
        """Lose the machine of a node."""
        assert self._ask(f"kill {node}") == ["killed", str(node)]
        self.nodes.remove(node)

    def repair(self) -> None:
        """Have two nodes again."""
        while len(self.nodes) < 2:
            self.nodes.append(int(self._ask("add")[1]))

    def _ask(self, line: str) -> list[str]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(line, file=self.process.stdin, flush=True)
        return self.process.stdout.readline().split()


def ray_environment(folder: Path) -> dict[str, str]:
    """Ray's files go to `folder`, and nothing goes to Ray's makers.

    By default Ray gives actors the priority of idle time, so that they stand still beside a busy
    test, and kills them when the machine's memory is short, whoever uses it.
    """
    foreign = ("RAY_", "CUDA_VISIBLE", "OMP_NUM", "OPTUNA_SNN_STORAGE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {
        **kept,
        "HOME": str(folder),
        "RAY_TMPDIR": str(folder),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
        "RAY_memory_monitor_refresh_ms": "0",
    }


@dataclass
class Run:
    """`optuna-snn run --launcher ray` as a process, and its study."""

    cluster: RayCluster
    url: str
    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    storage: StudyStorage | None = None

    def __post_init__(self) -> None:
        self.gate = self.folder / "gate"
        (self.folder / "study.py").write_text(STUDY.format(gate=str(self.gate)))
        self.log = self.folder / "run.log"

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "optuna_snn", "run", "study.py", "--launcher", "ray"]
        command += ["--ray-address", self.cluster.address, "--grace", GRACE_S, *options]
        environment = {**ray_environment(self.cluster.folder), "OPTUNA_SNN_STORAGE": self.url}
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                command, cwd=self.folder, env=environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self.processes.append(process)
        return process

    @property
    def output(self) -> str:
        return self.log.read_text()

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        if self.storage is None:
            self.storage = open_storage(self.url)
        if "on_ray" not in optuna.get_all_study_names(self.storage):
            return []
        study = optuna.load_study(study_name="on_ray", storage=self.storage)
        return study.get_trials(deepcopy=False, states=states or None)

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        """Fails with all that the run has said."""
        try:
            wait_for(condition, what)
        except AssertionError as error:
            trials = [
                (trial.number, trial.state.name, trial.user_attrs) for trial in self.trials()
            ]
            raise AssertionError(f"{error}\n{self.output}\n{trials}") from None

    def wait_for_running(self, n: int) -> list[FrozenTrial]:
        """`n` trials that have told where they run."""
        found: list[FrozenTrial] = []

        def look() -> bool:
            trials = self.trials(TrialState.RUNNING)
            found[:] = [trial for trial in trials if "seen" in trial.user_attrs]
            return len(found) >= n

        self.wait_for(look, f"{n} trials run")
        return found

    def close(self) -> None:
        self.gate.touch()
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(timeout=WAIT_S)

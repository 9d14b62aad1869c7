"""`optuna-snn run --launcher ray` without a cluster: what is refused, in one line."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from optuna_snn.cli import main
from tests.launchers.ray.runs import ray_environment

STUDY = "def objective(trial):\n    return trial.suggest_float('x', 0.0, 1.0)\n"


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    for name in [*os.environ]:
        if name.startswith(("RAY_", "OPTUNA_SNN_STORAGE")):
            monkeypatch.delenv(name)
    Path("study.py").write_text(STUDY)
    return "study.py"


def error_of(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["run", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--launcher", "ray", "--devices", "all"], "Ray gives the GPUs: --gpus-per-worker 1"),
        (["--launcher", "ray", "--slots", "2"], "share a GPU by --gpus-per-worker 0.5"),
        (["--gpus-per-worker", "1"], "means nothing to --launcher local; give devices"),
        (["--cpus-per-worker", "1"], "means nothing to --launcher local; leave it away"),
        (["--ray-address", "h:1"], "--ray-address means nothing to --launcher local"),
        (["--launcher", "slurm", "--new"], "begin anew with another --study-name"),
        (["--launcher", "slurm", "--devices", "all"], "optuna-snn submit --gpus"),
        (["--launcher", "slurm", "--ray-address", "h:1"], "means nothing to --launcher slurm"),
        (["--launcher", "pbs"], "pbs"),
        (["--launcher", "ray", "--gpus-per-worker", "1.5"], "Ray shares one of the GPUs"),
    ],
)
def test_options_of_another_launcher_are_refused(
    study: str, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in error_of([study, *words], capsys)


def test_a_missing_ray_is_told_with_the_command_that_helps(
    study: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    line = error_of([study, "--launcher", "ray"], capsys)
    assert line.endswith("needs Ray, which is not installed; pip install 'optuna-snn[ray]'")


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("local", "would start a Ray cluster here"),
        ("ray://head:10001", "has to run on a machine of the cluster"),
        ("head", "must be HOST:PORT or auto, got 'head'"),
        (None, "no Ray cluster answers at 127.0.0.1"),
        ("127.0.0.1:70000", "no Ray cluster answers at 127.0.0.1:70000"),
    ],
)
def test_an_address_without_a_cluster_is_refused(
    study: str, address: str | None, message: str, ray_folder: Path
) -> None:
    """In a process of its own, since Ray registers handlers as soon as it is imported."""
    place = address or f"127.0.0.1:{closed_port()}"
    check_refusal([study, "--ray-address", place], ray_folder, message)


class NoCluster(ModuleType):
    """Ray on a machine without a cluster."""

    def __init__(self) -> None:
        super().__init__("ray")
        self.asked: dict[str, object] = {}

    def init(self, **options: object) -> None:
        self.asked = options
        raise ConnectionError("Could not find any running Ray instance.")


def test_no_cluster_is_started_where_none_is_found(
    study: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Made up: the real one looks at all processes of the machine, whoever started them.
    ray = NoCluster()
    monkeypatch.setitem(sys.modules, "ray", ray)
    line = error_of([study, "--launcher", "ray"], capsys)
    assert "no Ray cluster at auto: Could not find any running Ray instance" in line
    assert "ray start --head" in line
    assert "--launcher local" in line
    assert ray.asked["address"] == "auto"  # without an address Ray would start a cluster


def check_refusal(words: list[str], folder: Path, message: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "optuna_snn", "run", *words, "--launcher", "ray"],
        env=ray_environment(folder), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert message in line
    assert not Path("study.db").exists()

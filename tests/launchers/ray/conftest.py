"""A Ray cluster on this machine, and runs of the command on it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.launchers.ray.runs import RayCluster, Run, is_alive, ray_environment, wait_for


@pytest.fixture(scope="module")
def ray_folder() -> Iterator[Path]:
    """A folder with a short name: those of sockets in it must not pass 107 characters."""
    if importlib.util.find_spec("ray") is None:
        if os.environ.get("CI"):
            pytest.fail("ray is not installed; make test installs it")
        pytest.skip("ray is not installed; pip install 'optuna-snn[ray]'")
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def shared_cluster(ray_folder: Path) -> Iterator[RayCluster]:
    """Of a module: what is tested after it is not slowed down by a cluster that nobody uses."""
    script = Path(__file__).with_name("cluster_process.py")
    log = ray_folder / "cluster.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, str(script)], env=ray_environment(ray_folder), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
        )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    words = process.stdout.readline().split()
    assert words[:1] == ["address"], log.read_text()
    yield RayCluster(process, words[1], [int(word) for word in words[2:]], ray_folder)
    process.stdin.close()
    process.wait(timeout=60)
    process.stdout.close()


@pytest.fixture
def ray_cluster(shared_cluster: RayCluster) -> RayCluster:
    shared_cluster.repair()
    return shared_cluster


@pytest.fixture
def ray_run(ray_cluster: RayCluster, postgres_url: str, tmp_path: Path) -> Iterator[Run]:
    run = Run(ray_cluster, postgres_url, tmp_path)
    yield run
    run.close()


@pytest.fixture
def wait_until_ended() -> Callable[[int], None]:
    """Waits for a process that is nobody's child."""
    return lambda pid: wait_for(lambda: not is_alive(pid), f"process {pid} ends")

"""A temporary server ends with its owner, however the owner ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from optuna_snn.database import (
    prune_temporary_servers,
    server_status,
    temporary_server,
)
from optuna_snn.database.postmaster import is_alive
from tests.database.asking import query, wait_for

OWNER = """
import sys
from optuna_snn.database import temporary_server
with temporary_server() as server:
    print(server.pid, server.data, flush=True)
    sys.stdin.read()
"""


class Owner:
    """A process that owns a temporary server, and the server's guard."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        pid, _, data = self.process.stdout.readline().strip().partition(" ")
        self.server, self.data = int(pid), Path(data)
        assert is_alive(self.server)
        (self.guard,) = self.children()

    def children(self) -> list[int]:
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in listed.read_text().split()]

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def test_a_temporary_server_and_its_data_are_gone_after_the_block() -> None:
    with temporary_server() as server:
        assert query(server, "SELECT 1") == [(1,)]
        assert server_status(server.data) is not None
        assert prune_temporary_servers() == [], "its owner lives"
        assert is_alive(server.pid)
    assert not is_alive(server.pid)
    assert not server.data.exists()


@pytest.mark.slow
def test_a_server_ends_when_its_owner_is_killed() -> None:
    owner = Owner()
    owner.kill()
    wait_for(lambda: not is_alive(owner.server), "the guard stops the server")
    wait_for(lambda: not owner.data.exists(), "the guard removes the data")


@pytest.mark.slow
def test_a_server_whose_owner_and_guard_are_killed_is_pruned_by_the_next_stop(data: Path) -> None:
    owner = Owner()
    os.kill(owner.guard, signal.SIGKILL)
    owner.kill()
    assert is_alive(owner.server)
    done = subprocess.run(
        [sys.executable, "-m", "optuna_snn", "db", "stop", "--data", str(data)],
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    assert f"stopped a temporary server whose owner is dead: {owner.data}" in done.stdout
    assert not is_alive(owner.server)
    assert not owner.data.exists()

"""Logs: one run writes to each at a time, and errors of earlier runs are not told again."""

from __future__ import annotations

import errno
import fcntl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from optuna_snn.workers.errors import RunError
from optuna_snn.workers.run_files import RunFiles
from optuna_snn.workers.supervisor.worker_log import claim_logs, claimed_logs


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_a_second_run_writes_to_other_logs_and_a_third_to_those_that_are_free(
    tmp_path: Path,
) -> None:
    files = RunFiles(tmp_path, "toy")
    first = claim_logs(files, "node1", 2)
    second = claim_logs(files, "node1", 1)
    assert names([log.path for log in first]) == ["worker-node1-0.log", "worker-node1-1.log"]
    assert names([log.path for log in second]) == ["worker-node1-2.log"]
    assert len(claimed_logs(files)) == 3
    first[0].close()
    assert names(claimed_logs(files)) == ["worker-node1-1.log", "worker-node1-2.log"]
    third = claim_logs(files, "node1", 2)
    assert names([log.path for log in third]) == ["worker-node1-0.log", "worker-node1-3.log"]
    for log in (*first, *second, *third):
        log.close()
    assert claimed_logs(files) == []


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_on_a_file_system_without_locks_logs_are_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def flock(file: object, operation: int) -> None:
        raise OSError(number, "no locks here")

    monkeypatch.setattr(fcntl, "flock", flock)
    logs = claim_logs(RunFiles(tmp_path, "toy"), "node1", 2)
    assert names([log.path for log in logs]) == ["worker-node1-0.log", "worker-node1-1.log"]
    for log in logs:
        log.note_start()
        log.close()


def test_a_claim_outlives_the_supervisor_as_long_as_its_worker_runs(tmp_path: Path) -> None:
    files = RunFiles(tmp_path, "toy")
    (log,) = claim_logs(files, "node1", 1)
    worker = subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1, stdout=log.file)
    log.close()
    assert claimed_logs(files) == [log.path]
    worker.communicate(b"\n")
    deadline = time.monotonic() + 60
    while claimed_logs(files):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_logs_are_appended(tmp_path: Path) -> None:
    files = RunFiles(tmp_path, "toy")
    for _ in range(2):
        (log,) = claim_logs(files, "node1", 1)
        log.note_start()
        log.close()
    assert log.path.read_text().count("worker starts") == 2


def test_the_last_error_is_the_last_error_line_of_this_run_else_its_last_line(
    tmp_path: Path,
) -> None:
    files = RunFiles(tmp_path, "toy")
    path = files.worker_log("node1", 0)
    path.parent.mkdir()
    path.write_text("error: of yesterday\n")
    (log,) = claim_logs(files, "node1", 1)
    assert log.last_error() == "(empty)"
    with path.open("a") as file:
        file.write("one\ntwo\n\n")
    assert log.last_error() == "two"
    with path.open("a") as file:
        file.write("error: first\nerror: second\nbye\n" + "x" * 20_000 + "\n")
    assert log.last_error() == "second"
    log.close()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "toy-logs").write_text("a file")
    with pytest.raises(RunError, match=r"the logs cannot be written to .*toy-logs: "):
        claim_logs(RunFiles(tmp_path, "toy"), "node1", 1)

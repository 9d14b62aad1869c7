"""The server's main process, PostgreSQL's postmaster: found for certain, ended for certain.

A process id alone proves nothing: after a crash or a restart of the machine the id in the
server's lock file may be another program's. The command line of ours names the data.

This file needs the standard library only, because it is a program as well, the guard of a
temporary server: `python postmaster.py DATA`. The guard reads its standard input, a pipe that the
owner holds open. However the owner ends, the pipe closes; then the guard stops the server and
removes the data.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "LOCK_FILE",
    "Patience",
    "Postmaster",
    "find_postmaster",
    "remove_server",
    "stop_postmaster",
]

LOCK_FILE = "postmaster.pid"
PORT_LINE = 3  # of the lock file, counted from 0
POLL_S = 0.02
KILL_S = 10.0
"""A killed process is gone in an instant, unless the kernel holds it in a disk access."""

PROC = Path("/proc")


@dataclass(frozen=True)
class Patience:
    """Seconds that each way of stopping may take before the next, rougher one."""

    fast_s: float = 30.0  # writes a checkpoint
    immediate_s: float = 10.0  # kills its children after 5 s; the next start recovers


@dataclass(frozen=True)
class Postmaster:
    """A running server."""

    pid: int
    port: int
    is_ready: bool


def find_postmaster(cluster: Path) -> Postmaster | None:
    """The server that runs on the data in `cluster`, None if there is none."""
    try:
        lines = (cluster / LOCK_FILE).read_text().splitlines()
        pid = int(lines[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None
    if not _serves(pid, cluster):
        return None
    port = lines[PORT_LINE] if len(lines) > PORT_LINE else "0"
    return Postmaster(pid, int(port), is_ready=lines[-1].strip() == "ready")


def stop_postmaster(cluster: Path, patience: Patience | None = None) -> bool:
    """Stop the server that runs on the data in `cluster`; its processes are gone after this.

    Returns whether one was running.

    Raises:
        TimeoutError: the process outlived even its being killed.
    """
    patience = patience or Patience()
    server = find_postmaster(cluster)
    if server is None:
        return False
    pid = server.pid
    ways = ((signal.SIGINT, patience.fast_s), (signal.SIGQUIT, patience.immediate_s))
    for number, seconds in ways:
        if not _send(pid, number) or _is_gone_within(pid, seconds):
            return True
    doomed = [pid, *_children(pid)]
    for process in doomed:
        _send(process, signal.SIGKILL)
    if not all(_is_gone_within(process, KILL_S) for process in doomed):
        raise TimeoutError(f"the server (pid {pid}) was killed and does not end")
    return True


def remove_server(data: Path, patience: Patience | None = None) -> None:
    """Stop the server of a temporary data folder and remove the folder."""
    stop_postmaster(data / "cluster", patience)
    shutil.rmtree(data, ignore_errors=True)


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and waits for its parent does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        # Fields after the name, which stands in brackets and may contain anything.
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return not (PROC / "self").exists()  # systems without /proc: the signal said it


def _serves(pid: int, cluster: Path) -> bool:
    """Whether the process is a server that was started on `cluster`."""
    if pid <= 1 or not is_alive(pid):
        return False
    if not (PROC / "self").exists():
        shown = subprocess.run(
            ["ps", "-ww", "-o", "args=", "-p", str(pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        return str(cluster) in shown.stdout
    try:
        words = (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return os.fsencode(cluster) in words


def _children(parent: int) -> list[int]:
    """Processes started by `parent`; without /proc none is seen, and they end by themselves."""
    found = []
    for file in PROC.glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(file.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(file.parent.name))
    return found


def _send(pid: int, number: signal.Signals) -> bool:
    """Send a signal; whether there was a process to take it."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _is_gone_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while is_alive(pid):
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_S)
    return True


def _guard(data: Path) -> None:
    sys.stdin.buffer.read()
    remove_server(data)


if __name__ == "__main__":
    _guard(Path(sys.argv[1]))

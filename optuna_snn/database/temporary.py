"""Servers that live no longer than their owner, for tests and trials.

Two things end such a server when its owner does not: a guard process, whose pipe from the owner
closes even when the owner is killed, and, should the guard be killed as well, the next caller, who
sees by the owner's lock that nobody holds it any more. The kernel lets go of both; no process id
is ever trusted.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optuna_snn.database import postmaster
from optuna_snn.database.account import server_account
from optuna_snn.database.folder import DataFolder
from optuna_snn.database.postmaster import remove_server
from optuna_snn.database.server import Server, start_server

__all__ = ["prune_temporary_servers", "temporary_server"]

PREFIX = "optuna-snn-postgres-"


@contextmanager
def temporary_server() -> Iterator[Server]:
    """A server with fresh data in the system's temporary folder; both are gone after the block.

    They go as well when this process is killed. Children that it forks share its ownership; those
    it starts by `subprocess` do not.

    Raises:
        MissingPackageError, RunError: as `start_server`.
    """
    prune_temporary_servers()
    folder = DataFolder.at(tempfile.mkdtemp(prefix=PREFIX))
    lock = _own(folder)
    guard = subprocess.Popen(
        [sys.executable, "-P", postmaster.__file__, str(folder.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,  # Ctrl-C is the owner's to handle
    )
    try:
        yield start_server(folder.path, is_throwaway=True)
    finally:
        try:
            remove_server(folder.path)
        finally:
            assert guard.stdin is not None
            guard.stdin.close()
            guard.wait()
            os.close(lock)


def prune_temporary_servers() -> list[Path]:
    """Stop the temporary servers of this user whose owner is dead; their folders, now removed."""
    pruned = []
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if _is_ours(path) and _owner_is_dead(DataFolder(path)):
            remove_server(path)
            pruned.append(path)
    return pruned


def _own(folder: DataFolder) -> int:
    """Hold the owner's lock; it appears locked, so that no moment looks like a dead owner."""
    unlocked = folder.path / "owner.new"
    descriptor = os.open(unlocked, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    unlocked.rename(folder.owner_file)
    return descriptor


def _is_ours(path: Path) -> bool:
    """Whether this user made the folder: anybody may put one of that name there."""
    return not path.is_symlink() and path.lstat().st_uid in (os.geteuid(), server_account().uid)


def _owner_is_dead(folder: DataFolder) -> bool:
    try:
        descriptor = os.open(folder.owner_file, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True

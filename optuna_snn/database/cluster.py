"""A cluster is what PostgreSQL calls its data: how ours is made, and how a server starts on it.

1. No way in without a password: initdb refuses everybody, each start rewrites the list of hosts,
   and every entry of it says scram-sha-256. There is no local socket.
2. The superuser has no password, so nobody can be one over the network. Studies use a role that
   may create databases and nothing else.
3. Passwords travel in pipes and files of mode 0600, never on a command line; statements are never
   logged.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

from optuna_snn.database.account import Account, run_as
from optuna_snn.database.address import DATABASE, ROLE, is_free, is_loopback
from optuna_snn.database.folder import DataFolder, LastStart
from optuna_snn.database.postmaster import LOCK_FILE
from optuna_snn.database.programs import Programs
from optuna_snn.workers.errors import RunError

__all__ = [
    "START_S",
    "PortTakenError",
    "StillInUseError",
    "cluster_major",
    "create_cluster",
    "forget_lock",
    "launch",
]

SUPERUSER = "postgres"
START_S = 120  # of a server that recovers from a crash; a fresh one takes a second

SETTINGS = {
    # Two for each of some hundred workers that never hold them while a trial trains.
    "max_connections": "200",
    "password_encryption": "scram-sha-256",
    # Parallel queries need shared memory, of which containers have little, and help no study.
    "max_parallel_workers_per_gather": "0",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
    # A statement that fails may hold a password.
    "log_min_error_statement": "panic",
    # A machine that vanished holds its connections for a minute and a half; without this, for two
    # hours (it cannot close them, and Linux asks no earlier whether it is there).
    "tcp_keepalives_idle": "60",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "90s",
}
"""Written to postgresql.conf once, where users may change them."""

THROWAWAY_SETTINGS = {"fsync": "off", "full_page_writes": "off"}
"""Of temporary servers: what was committed outlives a crash of the server, not of the machine."""


class PortTakenError(RunError):
    """Another program took the port a moment before the server could."""


class StillInUseError(RunError):
    """Processes of a server that was killed have not ended yet."""


def create_cluster(
    folder: DataFolder, account: Account, programs: Programs, *, is_throwaway: bool
) -> None:
    """Make the data of a new server, with a role, its database and its password; nothing runs.

    The cluster appears at once, complete: a start that is killed half-way leaves none.
    """
    password = secrets.token_urlsafe(24)
    folder.write(folder.password_file, password + "\n", account)
    unfinished = folder.path / "cluster.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    settings = SETTINGS | (THROWAWAY_SETTINGS if is_throwaway else {})
    command: list[str | Path] = [programs.path("initdb"), "-D", unfinished, "-U", SUPERUSER]
    command += ["--auth=reject", "--encoding=UTF8", "--locale=C", "--no-instructions"]
    command += [f"--set={name}={value}" for name, value in settings.items()]
    command += ["--no-sync"] if is_throwaway else []
    made = run_as(account, command, capture_output=True)
    if made.returncode:
        raise RunError(f"the database cannot be created: {_reason(made.stderr)}")
    # One user, no network: the password goes through a pipe.
    single: list[str | Path] = [programs.path("postgres"), "--single", "-D", unfinished, SUPERUSER]
    made = run_as(
        account,
        single,
        input=f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{password}'\n"
        f"CREATE DATABASE {DATABASE} OWNER {ROLE}\n",
        capture_output=True,
    )
    if made.returncode or "ERROR:" in made.stderr or "FATAL:" in made.stderr:
        raise RunError(f"the database cannot be set up: {_reason(made.stderr)}")
    unfinished.rename(folder.cluster)


def launch(
    folder: DataFolder,
    account: Account,
    programs: Programs,
    *,
    listen: str,
    port: int,
    allow: Sequence[str] = (),
) -> None:
    """Start the server and return when it takes connections.

    Args:
        folder: its data.
        account: who runs it.
        programs: what is run.
        listen: address to listen on.
        port: TCP port, which is free.
        allow: networks from which others may connect, from everywhere if there are none; only
            heeded where others reach `listen`.

    Raises:
        PortTakenError, StillInUseError: another try may succeed.
        RunError: the server does not start; the message says why.
    """
    folder.write(folder.hba_file, _hosts(listen, allow), account)
    folder.remember(LastStart(socket.gethostname(), listen, port, allow), account)
    # What depends on the start, not on the data. The full path of the cluster comes first: by it
    # the process is recognised.
    options = {
        "listen_addresses": listen,
        "port": str(port),
        "unix_socket_directories": "",
        "hba_file": str(folder.hba_file),
    }
    words = ["-D", str(folder.cluster)]
    for name, value in options.items():
        words += ["-c", f"{name}={value}"]
    log = folder.open(folder.log, os.O_RDWR | os.O_APPEND, account)
    try:
        begin = os.fstat(log).st_size
        # The cluster is named by PGDATA, because pg_ctl quotes a -D of its own for the shell
        # badly; its output and the server's go to the log.
        started = run_as(
            account,
            [programs.path("pg_ctl"), "start", "-w", "-t", str(START_S), "-o", shlex.join(words)],
            environment={"PGDATA": str(folder.cluster)},
            stdout=log,
            stderr=log,
        )
        said = os.pread(log, os.fstat(log).st_size - begin, begin).decode(errors="replace")
    finally:
        os.close(log)
    if started.returncode == 0:
        return
    if not is_free(listen, port) or "could not create any TCP/IP sockets" in said:
        raise PortTakenError(f"port {port} was taken by another program meanwhile; start again")
    if "still in use" in said:
        raise StillInUseError(
            f"processes of a killed server still use {folder.cluster}; start again"
        )
    raise RunError(f"the server does not start: {_reason(said)} (see {folder.log})")


def forget_lock(folder: DataFolder) -> None:
    """Remove the lock file that a killed server left; nobody serves this cluster."""
    (folder.cluster / LOCK_FILE).unlink(missing_ok=True)


def cluster_major(folder: DataFolder) -> int | None:
    """Major version of PostgreSQL that made the data, None if there are none."""
    try:
        return int((folder.cluster / "PG_VERSION").read_text())
    except FileNotFoundError:
        if folder.cluster.exists():
            raise RunError(f"{folder.cluster} holds no PostgreSQL data; remove it") from None
        return None


def _hosts(listen: str, allow: Sequence[str]) -> str:
    places = ["127.0.0.1/32", "::1/128"]
    if not is_loopback(listen):
        # This machine's own workers come from its address too: they use the URL of all others.
        places += ["samehost", *allow] if allow else ["all"]
    lines = [f"host all all {place} scram-sha-256" for place in places]
    return "\n".join(["# Rewritten at each start.", *lines, ""])


def _reason(said: str) -> str:
    """The line of PostgreSQL's output that tells most."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    for sign in ("FATAL:", "PANIC:", "ERROR:", "error:"):
        for before, line in zip(["", *lines], lines, strict=False):
            if sign in line:
                # "configuration file ... contains errors": the line before says which.
                told = before if "contains errors" in line and "LOG:" in before else line
                return told.partition("LOG:" if told is before else sign)[2].strip()
    return lines[-1] if lines else "no reason was given"

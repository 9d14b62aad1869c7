"""Hosts with names, addresses and process ids of their own on one machine, joined by a switch.

Each host is a set of Linux namespaces (network, host name, processes, mounts); the file system is
shared, unless each host is given a folder of its own. The switch is a network namespace with a
bridge, so that neither the addresses nor the firewall of this machine are touched. `cut` takes one
host's cable out of the switch: its packets go nowhere, and nobody is told.

The first process of a host waits for the end of a pipe that this process holds. When the pipe
closes, however this process ended, the kernel kills all that runs on the host, servers in the
background included, and removes its devices.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Host", "Network", "NoNamespacesError", "network_of_hosts"]

NETWORK = "198.51.100"
"""Reserved for documentation (RFC 5737): never the address of a machine that is needed."""

PROGRAMS = ("ip", "unshare", "nsenter")


class NoNamespacesError(Exception):
    """Hosts cannot be created: no permission, or a program is missing; the message says which."""


@dataclass(frozen=True)
class Host:
    """One of the hosts."""

    name: str
    address: str
    keeper: int
    """Process id, as seen from here, of the process whose namespaces these are."""

    def start(
        self,
        command: Sequence[object],
        *,
        folder: Path = Path("/"),
        environment: Mapping[str, str] | None = None,
        **options: Any,
    ) -> subprocess.Popen[str]:
        """Start a program on the host. It ends with the host; signals do not reach it."""
        words = [*_enter(self.keeper), "env", f"--chdir={folder}", *map(str, command)]
        variables = {**os.environ, **(environment or {})}
        return subprocess.Popen(words, env=variables, text=True, **options)

    def output(self, command: Sequence[object], **options: Any) -> str:
        """What a program on the host prints; fails if the program does."""
        process = self.start(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
        printed, _ = process.communicate()
        assert process.returncode == 0, printed
        return printed

    @contextmanager
    def seat(self) -> Iterator[ThreadPoolExecutor]:
        """A thread of this process whose connections come from the host."""
        with ThreadPoolExecutor(1, initializer=_move_thread, initargs=(self.keeper,)) as thread:
            yield thread


@dataclass(frozen=True)
class Network:
    """The hosts by name, and the switch between them."""

    hosts: Mapping[str, Host]
    switch: int

    def cut(self, host: Host) -> None:
        """Take the host off the network."""
        _ip(self.switch, "link", "set", _port(host), "nomaster")

    def join(self, host: Host) -> None:
        """Put the host on the network again."""
        _ip(self.switch, "link", "set", _port(host), "master", "bridge")


@contextmanager
def network_of_hosts(*names: str) -> Iterator[Network]:
    """Hosts with these names and the addresses 198.51.100.1, .2 and so on, gone after the block.

    Raises:
        NoNamespacesError: not root, no permission, or a program is missing.
    """
    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        raise NoNamespacesError(f"needs {' and '.join(missing)} (iproute2 and util-linux)")
    if os.geteuid() != 0:
        raise NoNamespacesError("needs root, to create network namespaces")
    with ExitStack() as stack:
        switch = stack.enter_context(_namespaces("switch"))
        hosts = {}
        try:
            _ip(switch, "link", "add", "bridge", "up", "type", "bridge")
            for number, name in enumerate(names, 1):
                keeper = stack.enter_context(_namespaces(name))
                hosts[name] = Host(name, f"{NETWORK}.{number}", keeper)
                _plug_in(hosts[name], switch)
        except subprocess.CalledProcessError as error:
            raise NoNamespacesError(f"{error.cmd}: {error.stderr.strip()}") from error
        yield Network(hosts, switch)


def _plug_in(host: Host, switch: int) -> None:
    port, inside = _port(host), str(host.keeper)
    _ip(switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", inside)
    _ip(switch, "link", "set", port, "up", "master", "bridge")
    _ip(host.keeper, "address", "add", f"{host.address}/24", "dev", "eth0")
    for device in ("lo", "eth0"):
        _ip(host.keeper, "link", "set", device, "up")


def _port(host: Host) -> str:
    return f"to-{host.name}"


@contextmanager
def _namespaces(name: str) -> Iterator[int]:
    """Process id of a process with namespaces of its own, which end with the block."""
    own = ("--net", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
    first = 'hostname "$0" && echo ready && cat'  # the shell stays, and reaps what is orphaned
    keeper = subprocess.Popen(
        ["unshare", *own, "sh", "-c", first, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert keeper.stdin is not None and keeper.stdout is not None and keeper.stderr is not None
    try:
        if keeper.stdout.readline() != "ready\n":
            raise NoNamespacesError(keeper.stderr.read().strip())
        yield keeper.pid
    finally:
        keeper.stdin.close()
        keeper.wait()
        keeper.stdout.close()
        keeper.stderr.close()


def _enter(keeper: int) -> list[str]:
    """Words before a command that is run in the namespaces of `keeper`."""
    # unshare itself stays outside of its new space of processes; only its children are in it.
    inside = f"--pid=/proc/{keeper}/ns/pid_for_children"
    return ["nsenter", f"--target={keeper}", "--net", "--uts", "--mount", inside]


def _ip(keeper: int, *words: str) -> None:
    """Run `ip` in the network of `keeper`; it takes process ids as they are here."""
    command = ["nsenter", f"--target={keeper}", "--net", "ip", *words]
    subprocess.run(command, check=True, text=True, capture_output=True)


def _move_thread(keeper: int) -> None:
    """Let this thread's sockets belong to the network of `keeper`."""
    libc = ctypes.CDLL(None, use_errno=True)
    space = os.open(f"/proc/{keeper}/ns/net", os.O_RDONLY)
    try:
        if libc.setns(space, 0) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
    finally:
        os.close(space)

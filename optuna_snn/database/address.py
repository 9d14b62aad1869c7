"""Where a server listens: hosts, free ports, and the URL that leads there."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy.engine import URL

from optuna_snn.workers.errors import RunError
from optuna_snn.workers.storage.urls import MAX_PORT

__all__ = [
    "LOOPBACK",
    "check_address",
    "check_networks",
    "choose_port",
    "database_url",
    "is_everywhere",
    "is_free",
    "is_loopback",
]

LOOPBACK = "127.0.0.1"
EVERYWHERE = ("0.0.0.0", "::")
MIN_PORT = 1024  # lower ones are for root, as whom the server does not run

ROLE = "optuna"
DATABASE = "optuna"


def check_address(listen: str, port: int | None) -> None:
    """Check that a server on this machine can listen on `listen`, and the port's range.

    Raises:
        RunError: an unknown host, an address of another machine, a port out of range.
    """
    if port is not None and not MIN_PORT <= port <= MAX_PORT:
        raise RunError(f"the port must be {MIN_PORT} to {MAX_PORT}, got {port}")
    _addresses(listen)


def check_networks(allow: Sequence[str], listen: str) -> tuple[str, ...]:
    """Networks and addresses as PostgreSQL's list of hosts takes them: 192.0.2.0/24, 192.0.2.7/32.

    Raises:
        RunError: one that is none, or a server that listens on loopback, where nobody comes from.
    """
    networks = []
    for name in allow:
        try:
            # A machine's own address with the length of its network is what `ip addr` shows.
            networks.append(str(ipaddress.ip_network(name.strip(), strict=False)))
        except ValueError:
            raise RunError(
                f"{name!r} is no network to allow; name an address such as 192.0.2.7, or a "
                "network such as 192.0.2.0/24"
            ) from None
    if networks and is_loopback(listen):
        raise RunError(
            f"nobody from {networks[0]} can reach a server that listens on {listen}; name the "
            "address of this machine behind --listen as well"
        )
    return tuple(networks)


def choose_port(listen: str, *, wanted: int | None, last: int | None) -> int:
    """The port to listen on: the wanted one, else the last one if it is free, else any free one.

    Raises:
        RunError: the wanted port is taken.
    """
    if wanted is not None:
        if not is_free(listen, wanted):
            raise RunError(
                f"port {wanted} is taken by another program; name another --port, or none for a "
                "free one"
            )
        return wanted
    if last is not None and is_free(listen, last):
        return last
    family, host = _addresses(listen)[0]
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.bind((host, 0))
        return int(trial.getsockname()[1])


def is_free(listen: str, port: int) -> bool:
    """Whether nobody listens on this port now."""
    try:
        for family, host in _addresses(listen):
            with socket.socket(family, socket.SOCK_STREAM) as trial:
                # As PostgreSQL does: connections that linger after a stop do not hold a port.
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                trial.bind((host, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise
    return True


def is_loopback(listen: str) -> bool:
    """Whether only this machine can connect."""
    return all(ipaddress.ip_address(host).is_loopback for _, host in _addresses(listen))


def is_everywhere(listen: str) -> bool:
    """Whether the server listens on all addresses of this machine."""
    return listen in EVERYWHERE


def database_url(listen: str, port: int, password: str, *, is_local: bool = False) -> URL:
    """The URL of the database; `is_local` prefers loopback where the server listens everywhere."""
    host = listen
    if is_everywhere(listen):
        local = LOOPBACK if listen == EVERYWHERE[0] else "::1"
        host = local if is_local else socket.gethostname()
    return URL.create("postgresql+psycopg2", ROLE, password, host, port, DATABASE)


def _addresses(listen: str) -> list[tuple[socket.AddressFamily, str]]:
    """Family and address of each address of this machine that `listen` stands for."""
    found: list[tuple[socket.AddressFamily, str]] = []
    try:
        for family, _, _, _, address in socket.getaddrinfo(listen, 0, type=socket.SOCK_STREAM):
            # "localhost" names an IPv6 address also where IPv6 is switched off.
            with suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as trial:
                trial.bind(address)
                found.append((family, str(address[0])))
        reason = "it is no address of this machine"
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
    if not found:
        raise RunError(
            f"cannot listen on {listen!r}: {reason}; name an address of this machine, or 0.0.0.0 "
            "for all of them"
        )
    return found

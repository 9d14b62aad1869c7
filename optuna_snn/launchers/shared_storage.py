"""Whether workers on other machines can work on a storage, as far as its URL tells."""

from __future__ import annotations

from ipaddress import ip_address

from sqlalchemy.engine import make_url

from optuna_snn.workers.errors import RunError
from optuna_snn.workers.storage.urls import backend_name, shown_url

__all__ = ["check_shared_storage"]

WAY_OUT = (
    "start a server that other machines can reach, optuna-snn db start --listen ADDRESS, and "
    'export OPTUNA_SNN_STORAGE="$(optuna-snn db url)"'
)


def check_shared_storage(url: str, n_machines: int) -> list[str]:
    """What a user should know about a storage that machines share; empty for nothing.

    A host that means "this machine" is no error: all nodes may be virtual ones, or a tunnel may
    lead from there.

    Args:
        url: a full URL (see `normalise_url`).
        n_machines: how many may work on it at once.

    Raises:
        RunError: an SQLite file for several machines.
    """
    backend = backend_name(url)
    if backend == "sqlite":
        if n_machines > 1:
            raise RunError(
                f"the SQLite file {make_url(url).database} cannot be shared by machines: their "
                f"locks do not see each other, and the file may be damaged; {WAY_OUT}"
            )
        return [
            f"{shown_url(url)} is a file, which one machine at a time can work on: do not submit "
            "the study again while this runs"
        ]
    if backend != "journal" and _is_this_machine(url):
        return [
            f"{shown_url(url)} leads each machine to itself, so that other nodes will not find "
            f"the database; {WAY_OUT}"
        ]
    return []


def _is_this_machine(url: str) -> bool:
    parts = make_url(url)
    host = parts.query.get("host") or parts.host
    hosts = [host] if isinstance(host, str) else list(host or [])
    # No host, or a path, is a socket of this machine's file system.
    return not hosts or any(each.startswith("/") or _is_loopback(each) for each in hosts)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"

"""The connection to a Ray cluster that is there already; none is ever started here."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from optuna_snn.backends import MissingPackageError
from optuna_snn.workers.errors import RunError

__all__ = ["ClusterNode", "cluster_nodes", "connected", "free_resources"]

ADDRESS_VARIABLE = "RAY_ADDRESS"

ANSWER_S = 5.0
"""Time for the head node to take a connection. Ray itself would try for minutes, and then end this
process."""

WAY_OUT = (
    "start one with `ray start --head` and name it by --ray-address HOST:6379 or RAY_ADDRESS; "
    "without a cluster use --launcher local"
)


@dataclass(frozen=True)
class ClusterNode:
    """A node that is alive."""

    host: str
    resources: dict[str, float]
    """All that it has, as Ray names it: "CPU", "GPU", ..."""


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connect this process to a cluster while the block lasts.

    Args:
        address: HOST:PORT, or "auto" for the cluster of this machine; None: what RAY_ADDRESS says,
            else "auto".

    Raises:
        MissingPackageError: Ray is not installed.
        RunError: there is no such cluster, or its versions are others.
    """
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "--launcher ray needs Ray, which is not installed; pip install 'optuna-snn[ray]'"
        ) from error
    place = address or os.environ.get(ADDRESS_VARIABLE) or "auto"
    _check(place)
    # Ray takes SIGTERM for itself, and the supervisor gives it back to whom it had it from.
    former = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=place, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        what = " ".join(str(error).split())
        raise RunError(f"no Ray cluster at {place}: {what:.300}; {WAY_OUT}") from error
    finally:
        with contextlib.suppress(ValueError):  # not in the main thread
            signal.signal(signal.SIGTERM, former)
    _be_quiet()
    try:
        yield
    finally:
        ray.shutdown()


def cluster_nodes() -> list[ClusterNode]:
    """The nodes that are alive."""
    import ray

    return [
        ClusterNode(str(node["NodeManagerHostname"]), dict(node["Resources"]))
        for node in ray.nodes()
        if node["Alive"]
    ]


def free_resources() -> dict[str, float]:
    """What nobody uses now, of the whole cluster, as Ray names it."""
    import ray

    return dict(ray.available_resources())


def _check(place: str) -> None:
    """Refuse what would start a cluster, and what does not answer."""
    if place == "auto":
        return
    if place == "local":
        raise RunError(f"the address 'local' would start a Ray cluster here; {WAY_OUT}")
    if "://" in place:
        raise RunError(
            f"--ray-address {place}: this command has to run on a machine of the cluster; start "
            "it there, or by `ray job submit -- optuna-snn run ...`, with the address HOST:6379"
        )
    host, _, port = place.rpartition(":")
    if not host or not port.isdecimal():
        raise RunError(f"--ray-address must be HOST:PORT or auto, got {place!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_S).close()
    except (OSError, OverflowError) as error:
        raise RunError(f"no Ray cluster answers at {place}: {error}; {WAY_OUT}") from error


def _be_quiet() -> None:
    """Keep Ray from printing the logs of dead nodes into the run.

    It has no option for these (`log_to_driver` is about others). What they mean is said by the
    run: which worker was lost, and that it is started again.
    """
    from ray._private import worker

    if hasattr(worker, "_worker_logs_enabled"):
        worker._worker_logs_enabled = False

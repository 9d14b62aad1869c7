"""Actors for the supervisor, and what is said while they have no place."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from optuna_snn.launchers.ray.cluster import ClusterNode, cluster_nodes, free_resources
from optuna_snn.launchers.ray.node import NodeWorker
from optuna_snn.launchers.ray.remote import RayRemote
from optuna_snn.launchers.ray.report import NodeTask
from optuna_snn.launchers.ray.resources import RayResources
from optuna_snn.launchers.ray.slot import RaySlot
from optuna_snn.launchers.shared_storage import check_shared_storage
from optuna_snn.workers.errors import RunError
from optuna_snn.workers.supervisor.engine import WorkerCall
from optuna_snn.workers.supervisor.slot import SlotState

__all__ = ["MAX_ACTOR_RESTARTS", "RayEngine", "shortage"]

MAX_ACTOR_RESTARTS = 20
"""How often Ray makes an actor again whose node, or process, has died. That is no fault of the
study's, and nodes may come and go for weeks; the bound is one against an actor that cannot live.
A worker process that crashes has bounds of its own (`MAX_RESTARTS`)."""

NOTE_AFTER_S = 20.0
"""A cluster that has room, and is not overloaded, has started its workers by then."""


@dataclass
class RayEngine:
    """Starts an actor for each worker, in the cluster that this process is connected to.

    Args:
        resources: how many, and what each takes.
        timeout_s: of the run: no worker is waited for any longer.
    """

    resources: RayResources
    timeout_s: float | None = None
    _slots: list[RaySlot] = field(default_factory=list)
    _started_at: float = field(default_factory=time.monotonic)
    _note: Callable[[str], None] | None = None
    _warnings: list[str] = field(default_factory=list)

    @property
    def n_workers(self) -> int:
        """Workers asked for."""
        return self.resources.n_workers

    def check(self, url: str) -> None:
        """Refuse a storage that the nodes cannot share; see `check_shared_storage`."""
        n_nodes = len(cluster_nodes())
        self._warnings = check_shared_storage(url, n_nodes) if n_nodes > 1 else []

    def start(
        self, n_workers: int, call: WorkerCall, note: Callable[[str], None]
    ) -> list[RaySlot]:
        """Ask Ray for the actors; those without a place yet are waited for while others work.

        Raises:
            RunError: the folder of the logs cannot be made.
        """
        import ray

        for warning in self._warnings:
            note(f"warning: {warning}")
        if not self.resources.gpus_per_worker and _total("GPU", cluster_nodes()):
            note("the cluster has GPUs, and these workers see none: --gpus-per-worker 1")
        try:
            call.files.log_folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(
                f"the logs cannot be written to {call.files.log_folder}: {error}"
            ) from error
        offset = datetime.now().astimezone().utcoffset()
        task = NodeTask(
            call=call,
            folder=Path.cwd(),
            n_threads=self.resources.n_threads,
            has_gpu=self.resources.gpus_per_worker > 0,
            utc_offset_s=0.0 if offset is None else offset.total_seconds(),
        )
        # Calls are not tried again by Ray (max_task_retries): a look that fails tells of a death.
        actor = ray.remote(NodeWorker).options(
            name=None, max_restarts=MAX_ACTOR_RESTARTS, **self.resources.options()
        )
        self._note, self._started_at = note, time.monotonic()
        self._slots = [
            RaySlot(RayRemote(actor.remote(task)), self._is_over) for _ in range(n_workers)
        ]
        return self._slots

    def _is_over(self) -> bool:
        """Whether a worker without a place is not needed any more; asked while it has none."""
        self._say_shortage()
        if self.timeout_s is not None and time.monotonic() - self._started_at >= self.timeout_s:
            return True
        return any(slot.state is SlotState.FINISHED for slot in self._slots)

    def _say_shortage(self) -> None:
        """Once, some seconds after the start."""
        if self._note is None or time.monotonic() - self._started_at < NOTE_AFTER_S:
            return
        note, self._note = self._note, None
        n_waiting = sum(slot.state is SlotState.WAITING for slot in self._slots)
        if n_waiting:
            nodes, free = cluster_nodes(), free_resources()
            note(shortage(self.resources, n_waiting, len(self._slots), nodes, free))


def shortage(
    resources: RayResources,
    n_waiting: int,
    n_workers: int,
    nodes: list[ClusterNode],
    free: dict[str, float],
) -> str:
    """Why workers have not started, and what becomes of the run meanwhile, in one line."""
    kinds = ["CPU", *(["GPU"] if resources.gpus_per_worker else [])]
    there = " and ".join(
        f"{free.get(kind, 0.0):g} of {_total(kind, nodes):g} {kind}" for kind in kinds
    )
    line = f"{n_waiting} of {n_workers} workers have not started yet: each takes {resources}, "
    if not any(resources.fits(node.resources) for node in nodes):
        line += "which no node of the cluster has"
    else:
        line += f"and {there} are free"
    if n_waiting < n_workers:
        return f"{line}; the others work, and these join when there is room"
    return f"{line}; the run waits for room, Ctrl-C gives up"


def _total(kind: str, nodes: list[ClusterNode]) -> float:
    return sum(node.resources.get(kind, 0.0) for node in nodes)

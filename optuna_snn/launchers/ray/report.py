"""What goes from the command to an actor, and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from optuna_snn.workers.supervisor.engine import WorkerCall
from optuna_snn.workers.supervisor.slot import SlotState

__all__ = ["ENDED", "NodeTask", "SlotReport"]

ENDED = (
    SlotState.FINISHED,
    SlotState.STOPPED,
    SlotState.FAILED_IN_A_ROW,
    SlotState.REFUSED,
    SlotState.GIVEN_UP,
)
"""States of a worker that is not started again."""


@dataclass(frozen=True)
class NodeTask:
    """What an actor is told when it is made, and again when Ray makes it anew elsewhere."""

    call: WorkerCall = field(repr=False)
    """Its URL holds a password."""
    folder: Path
    """Current folder of the command; that of the worker too, where the node has it."""
    n_threads: int
    has_gpu: bool
    utc_offset_s: float
    """Of the command's local time, which the times of trials are compared with."""


@dataclass(frozen=True)
class SlotReport:
    """A worker as its actor sees it."""

    actor: str
    """Another one after Ray has made the actor again."""
    state: SlotState
    host: str
    worker: str | None
    """Name among all workers of the study, None while there is no process."""
    pid: int | None
    started_at: float
    """Seconds since 1970."""
    n_restarts: int
    """By this actor; an actor that Ray has made anew begins at 0."""
    exit_code: int | None
    death: str
    """How the last process ended, where it should not have; else empty."""
    gpus: str
    """The CUDA_VISIBLE_DEVICES that Ray gave; empty for none."""
    log: str
    """Path of the worker's log on its host."""
    last_error: str
    """Last error line of the log, once the worker has ended; else empty."""

"""What a run needs of those who start its workers: an engine, and a slot for each worker.

The supervisor tends slots and shows them. It does not know whether a worker is a process of this
machine or of another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from optuna_snn.workers.devices import SlotDevice
from optuna_snn.workers.run_files import RunFiles
from optuna_snn.workers.supervisor.slot import SlotState

__all__ = ["Engine", "SlotLog", "WorkerCall", "WorkerSlot"]


@dataclass(frozen=True)
class WorkerCall:
    """What the workers of a run are started with."""

    study_file: Path
    options: tuple[str, ...]
    """The words behind `optuna-snn worker STUDY.py`, but for those of the engine."""
    url: str = field(repr=False)
    """Full URL of the storage, with its password: not for a command line, nor for a log."""
    files: RunFiles


class SlotLog(Protocol):
    """Where a worker writes to."""

    @property
    def path(self) -> Path | str:
        """Where a user finds it."""

    def last_error(self) -> str:
        """The last error line of this run, without its prefix."""

    def close(self) -> None:
        """Give it up."""


class WorkerSlot(Protocol):
    """Keeps one worker alive until it says that it is finished; `Slot` is the local one."""

    @property
    def log(self) -> SlotLog:
        """Its log."""

    @property
    def device(self) -> SlotDevice:
        """Its device, as it is shown."""

    @property
    def n_restarts(self) -> int:
        """Restarts in all."""

    @property
    def exit_code(self) -> int | None:
        """Of the last process that ended, where there is one."""

    @property
    def death(self) -> str:
        """How the last process ended that should not have, as a predicate."""

    @property
    def started_at(self) -> datetime:
        """Local time at which the process was started."""

    @property
    def state(self) -> SlotState:
        """The state when the slot last advanced."""

    @property
    def pid(self) -> int | None:
        """Process id of the worker on its machine, None while there is none."""

    @property
    def worker(self) -> str | None:
        """Name of the worker among all of a study, None while there is none."""

    def advance(self) -> SlotState:
        """Look at the worker, restart it when due, and return the state after that; no waiting."""

    def has_done_well(self) -> None:
        """The worker has brought a trial to an end: earlier crashes are not held against it."""

    def ask_to_stop(self) -> None:
        """Ask the worker to stop after its trial, or after its grace time; start no other."""

    def interrupt(self) -> None:
        """Ask the worker to give up its trial now, which it queues again."""

    def kill(self) -> None:
        """End the process at once; unless stopping it is started again like any that crashed."""

    def join(self, deadline: float) -> bool:
        """Wait for the worker until `deadline` (monotonic), then kill it; to be asked before.

        Returns whether it ended by itself.
        """


class Engine(Protocol):
    """Starts the workers of a run somewhere."""

    @property
    def n_workers(self) -> int:
        """Workers asked for."""

    def check(self, url: str) -> None:
        """Raise RunError where the workers could not use the storage with this full URL."""

    def start(
        self, n_workers: int, call: WorkerCall, note: Callable[[str], None]
    ) -> Sequence[WorkerSlot]:
        """Start so many workers, at most `n_workers` of the engine; `note` shows a remark."""

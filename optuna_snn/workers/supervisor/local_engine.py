"""The workers of a run as processes of this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from optuna_snn.workers.devices import SlotDevice
from optuna_snn.workers.identity import short_host
from optuna_snn.workers.supervisor.cores import thread_limits
from optuna_snn.workers.supervisor.engine import WorkerCall
from optuna_snn.workers.supervisor.slot import Slot
from optuna_snn.workers.supervisor.worker_log import claim_logs

__all__ = ["LocalEngine"]


@dataclass(frozen=True)
class LocalEngine:
    """Starts a worker process for each device."""

    devices: Sequence[SlotDevice]

    @property
    def n_workers(self) -> int:
        """Workers asked for."""
        return len(self.devices)

    def check(self, url: str) -> None:
        """Every storage that opens here will do."""

    def start(self, n_workers: int, call: WorkerCall, note: Callable[[str], None]) -> list[Slot]:
        """Start the workers of the first devices, which share the cores.

        Raises:
            RunError: the logs cannot be written.
        """
        devices = self.devices[:n_workers]
        # The URL goes by the environment: it may hold a password, and command lines are public.
        environment = {
            **os.environ,
            **thread_limits(max(1, len(devices))),
            "OPTUNA_SNN_STORAGE": call.url,
            "PYTHONUNBUFFERED": "1",
        }
        command = [sys.executable, "-m", "optuna_snn", "worker", str(call.study_file)]
        command += [*call.options, "--parent", str(os.getpid())]
        logs = claim_logs(call.files, short_host(), len(devices))
        return [
            Slot(command, environment | device.environment(), log, device)
            for device, log in zip(devices, logs, strict=True)
        ]

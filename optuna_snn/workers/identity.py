"""Which worker runs a trial: its host and process id, stored with the trial when it begins."""

from __future__ import annotations

import os
import socket

from optuna.trial import FrozenTrial

__all__ = ["WORKER_KEY", "short_host", "this_worker", "worker_name", "worker_of"]

WORKER_KEY = "optuna_snn:worker"
"""User attribute of a trial. Not copied when its parameters are queued again."""


def worker_name(pid: int) -> str:
    """The name of the process `pid` of this machine among all workers of a study."""
    return f"{short_host()}:{pid}"


def this_worker() -> str:
    """The name of this process."""
    return worker_name(os.getpid())


def worker_of(trial: FrozenTrial) -> str | None:
    """The worker that runs or ran `trial`; None if it has not begun, or ran without ours."""
    name = trial.user_attrs.get(WORKER_KEY)
    return None if name is None else str(name)


def short_host() -> str:
    """The name of this machine, without its domain."""
    return socket.gethostname().split(".")[0] or "localhost"

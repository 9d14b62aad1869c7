"""How a run ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import optuna

from optuna_snn.workers.failures import FAIL_LIMIT
from optuna_snn.workers.progress import Progress
from optuna_snn.workers.run_files import RunFiles

__all__ = ["RunEnd", "RunOutcome"]


class RunEnd(Enum):
    """Why a run ended."""

    BUDGET_MET = "the study has its trials"
    TIMED_OUT = "the time is over"
    STOPPED = "stopped on request"
    FAILED_IN_A_ROW = f"{FAIL_LIMIT} trials failed in a row"
    WORKERS_LOST = "the workers died too often"


@dataclass(frozen=True)
class RunOutcome:
    """A finished run."""

    end: RunEnd
    detail: str
    """What a user needs beside `end`: the last error; empty if there is none."""
    study: optuna.Study
    progress: Progress
    n_new: int
    """COMPLETE and PRUNED trials that were added while the run lasted."""
    files: RunFiles
    url: str

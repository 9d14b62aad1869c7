"""How a run ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from signal import Signals

import optuna

from optuna_snn.workers.display.progress import Progress
from optuna_snn.workers.failures import FAIL_LIMIT
from optuna_snn.workers.run_files import RunFiles

__all__ = ["EXIT_CODES", "RunEnd", "RunOutcome", "exit_code"]


class RunEnd(Enum):
    """Why a run ended."""

    BUDGET_MET = "the study has its trials"
    TIMED_OUT = "the time is over"
    STOPPED = "stopped on request"
    FAILED_IN_A_ROW = f"{FAIL_LIMIT} trials failed in a row"
    WORKERS_LOST = "the workers died too often"


EXIT_CODES = {
    RunEnd.BUDGET_MET: 0,
    RunEnd.TIMED_OUT: 0,
    RunEnd.FAILED_IN_A_ROW: 3,
    RunEnd.WORKERS_LOST: 4,
    RunEnd.STOPPED: 128,  # and the number of the signal
}
"""What `optuna-snn run` exits with; 2 is an expected error, 1 an unexpected one."""


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
    stop_signal: Signals | None = None
    """The signal that stopped the run, if one did."""
    n_late: int = 0
    """Results that their trials could not take while the run lasted; see kept_results.py."""


def exit_code(outcome: RunOutcome) -> int:
    """The exit code of a run, as a shell has it: 128 and the signal's number if one stopped it."""
    return EXIT_CODES[outcome.end] + (outcome.stop_signal or 0)

"""The exit code tells how a run ended."""

from __future__ import annotations

import signal
from pathlib import Path

import optuna
import pytest

from optuna_snn.workers.display.progress import ProgressReader
from optuna_snn.workers.run_files import RunFiles
from optuna_snn.workers.supervisor.outcome import RunEnd, RunOutcome, exit_code


@pytest.mark.parametrize(
    ("end", "stop_signal", "code"),
    [
        (RunEnd.BUDGET_MET, None, 0),
        (RunEnd.TIMED_OUT, None, 0),
        (RunEnd.FAILED_IN_A_ROW, None, 3),
        (RunEnd.WORKERS_LOST, None, 4),
        (RunEnd.STOPPED, signal.SIGINT, 130),
        (RunEnd.STOPPED, signal.SIGTERM, 143),
        (RunEnd.STOPPED, signal.SIGUSR1, 128 + signal.SIGUSR1),
    ],
)
def test_each_end_has_its_exit_code(
    end: RunEnd, stop_signal: signal.Signals | None, code: int
) -> None:
    outcome = RunOutcome(
        end=end,
        detail="",
        study=optuna.create_study(),
        progress=ProgressReader("minimize").read([]),
        n_new=0,
        files=RunFiles(Path(), "toy"),
        url="sqlite:///toy.db",
        stop_signal=stop_signal,
    )
    assert exit_code(outcome) == code

"""A study whose trials go on when a test says so, and what a test sees of it.

A trial waits in its middle and at its end for a file of its number, or of its host's name; one
that is tried again waits for nothing. So what happens, and in which order, depends on no clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from optuna_snn.workers import open_storage
from optuna_snn.workers.identity import worker_of
from optuna_snn.workers.kept_results import kept_results

__all__ = ["REPORTS", "GatedStudy", "wait_until"]

REPORTS = {0: 0.0, 1: 1.0, 2: 2.0}

CODE = """
import socket
import time
from pathlib import Path

import optuna
from optuna_snn.checkpoints import first_trial_number

GATES = Path({gates!r})

def sampler():
    return optuna.samplers.RandomSampler()

def wait_for(trial, place):
    names = (f"{{trial.number}}-{{place}}", socket.gethostname())
    is_retry = first_trial_number(trial) != trial.number
    while not is_retry and not any((GATES / name).exists() for name in names):
        time.sleep(0.05)

def objective(trial):
    x = trial.suggest_float("x", 0.0, 1.0)
    trial.report(0.0, 0)
    wait_for(trial, "middle")
    trial.report(1.0, 1)
    trial.report(2.0, 2)
    wait_for(trial, "end")
    return x
"""


class GatedStudy:
    """The study `gated` in a database, its study files, and its gates.

    Args:
        url: the database.
        folder: an empty folder, for the gates.
        seat: a thread from which the database is reached.
    """

    def __init__(self, url: str, folder: Path, seat: ThreadPoolExecutor) -> None:
        self._gates = folder / "gates"
        self._gates.mkdir()
        self._seat = seat
        self._storage = seat.submit(open_storage, url).result()

    def write(self, folder: Path) -> Path:
        """A copy of the study file in a new folder."""
        folder.mkdir()
        file = folder / "gated.py"
        file.write_text(CODE.format(gates=str(self._gates)))
        return file

    def let(self, *names: str) -> None:
        """Open gates: `3-middle`, `3-end`, or all of a host."""
        for name in names:
            (self._gates / name).touch()

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials; none where the study does not exist yet."""
        return self._read(lambda study: study.get_trials(deepcopy=False))

    @property
    def kept(self) -> list[dict[str, Any]]:
        """The results that their trials could not take."""
        return self._read(kept_results)

    def running_on(self, host: str, *, n_reports: int) -> FrozenTrial:
        """The trial that runs on a host, waited for until it has so many reports."""
        found: list[FrozenTrial] = []

        def is_there() -> bool:
            found[:] = [
                trial
                for trial in self.trials
                if trial.state == TrialState.RUNNING
                and (worker_of(trial) or "").startswith(f"{host}:")
                and len(trial.intermediate_values) == n_reports
            ]
            return bool(found)

        wait_until(is_there, f"a trial on {host} with {n_reports} reports")
        (trial,) = found
        return trial

    def ended(self, number: int) -> FrozenTrial:
        """A trial that has ended, waited for until it has."""
        wait_until(
            lambda: len(self.trials) > number and self.trials[number].state.is_finished(),
            f"the end of trial {number}",
        )
        return self.trials[number]

    def _read(self, reader: Callable[[optuna.Study], list[Any]]) -> list[Any]:
        def read() -> list[Any]:
            try:
                study = optuna.load_study(study_name="gated", storage=self._storage)
            except KeyError:
                return []
            return reader(study)

        return self._seat.submit(read).result()


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Return when the condition holds; the limit only ends a test that has failed."""
    deadline = time.monotonic() + 90.0
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.1)

"""A run whose database server is away for a while: it says so, and loses nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from optuna_snn.database import create_database, start_server, stop_server, temporary_server
from optuna_snn.workers.storage.opening import open_storage

SECOND = """
import time
def objective(trial):
    x = trial.suggest_float("x", 0.0, 1.0)
    time.sleep(1.0)
    return x
"""


def read_until(words: str, process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    while words not in process.stdout.readline():
        assert process.poll() is None


@pytest.mark.slow
def test_a_run_goes_on_when_its_database_is_back_and_no_trial_is_lost(
    toy: Callable[..., Path],
) -> None:
    file = toy(SECOND)
    with temporary_server() as server:
        url = create_database(server.url, "outage")
        words = ["run", str(file), "--n-trials", "8", "--workers", "2", "--grace", "10"]
        process = subprocess.Popen(
            [sys.executable, "-m", "optuna_snn", *words],
            env={**os.environ, "OPTUNA_SNN_STORAGE": url},
            cwd=file.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        read_until("trial 1 ", process)
        stop_server(server.data)
        read_until("the database has not answered since", process)
        start_server(server.data, is_throwaway=True)
        read_until("the database answers again", process)
        process.communicate(timeout=120)
        assert process.returncode == 0
        trials = optuna.load_study(study_name="toy", storage=open_storage(url)).get_trials()
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    assert 8 <= len(trials) <= 9

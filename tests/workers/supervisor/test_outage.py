"""A run whose database server is away for a while: it says so, and loses nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from optuna_snn.database import create_database, start_server, stop_server, temporary_server
from optuna_snn.workers import run_study
from optuna_snn.workers.storage.opening import open_storage
from optuna_snn.workers.supervisor import crew, study_watch

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


@pytest.mark.slow
def test_the_time_limit_of_trials_does_not_run_while_the_database_is_away(
    toy: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = toy(
        """
        import time
        def objective(trial):
            x = trial.suggest_float("x", 0.0, 1.0)
            time.sleep(2.0)
            if trial.number % 2:
                trial.report(x, 0)  # waits within the objective, the others when they tell
            return x
        """
    )
    monkeypatch.chdir(file.parent)  # the logs of a study on a server are in the current folder
    limit_s, away_s = 4.0, 12.0
    monkeypatch.setattr(crew, "KILL_AFTER_S", 4.0)
    # Read as soon as the server is back: before the workers have told.
    monkeypatch.setattr(study_watch, "READ_SHARE", 1.0)
    with temporary_server() as server:
        url = create_database(server.url, "limit")
        storage = open_storage(url)

        def both_are_training() -> bool:
            trials = [
                trial
                for study in storage.get_all_studies()
                for trial in storage.get_all_trials(study._study_id)
            ]
            return sum(t.state == TrialState.RUNNING and bool(t.params) for t in trials) == 2

        def stop_and_start() -> None:
            while not both_are_training():
                time.sleep(0.1)
            stop_server(server.data)
            time.sleep(away_s)
            start_server(server.data, is_throwaway=True)

        outage = threading.Thread(target=stop_and_start)
        outage.start()
        try:
            outcome = run_study(
                file, n_trials=4, n_workers=2, storage=url, grace_s=30, trial_timeout_s=limit_s
            )
        finally:
            outage.join()
        trials = outcome.study.get_trials()
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    longest = max(trial.duration for trial in trials if trial.duration is not None)
    assert longest.total_seconds() > away_s  # else no trial met the outage

"""Several workers and several supervisors on one study: one budget, no trial lost or doubled."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from optuna_snn.workers.storage.opening import open_storage

TINY = """
def objective(trial):
    return trial.suggest_float("x", 0.0, 1.0)
"""


def start(command: str, file: Path, *options: str) -> subprocess.Popen[str]:
    storage = str(file.with_suffix(".db"))
    return subprocess.Popen(
        [sys.executable, "-m", "optuna_snn", command, str(file), "--storage", storage, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(*processes: subprocess.Popen[str]) -> list[str]:
    printed = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), printed
    return printed


def trials_of(file: Path) -> list[FrozenTrial]:
    storage = open_storage(str(file.with_suffix(".db")))
    return optuna.load_study(study_name="toy", storage=storage).get_trials()


@pytest.mark.slow
def test_workers_of_anybody_join_and_overshoot_by_less_than_their_number(
    toy: Callable[..., Path],
) -> None:
    """Their trials take no time, so that they race for each ask."""
    file = toy(TINY)
    n_workers, n_trials = 6, 24
    options = ("--n-trials", str(n_trials))
    run = start("run", file, *options, "--workers", "3")
    finish(run, *(start("worker", file, *options) for _ in range(n_workers - 3)))
    trials = trials_of(file)
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert n_trials <= len(trials) <= n_trials + n_workers - 1


@pytest.mark.slow
def test_two_supervisors_share_one_budget_and_write_to_logs_of_their_own(
    toy: Callable[..., Path], tmp_path: Path
) -> None:
    """One trial kills its worker, and is retried once, though both supervisors sweep.

    The last ones wait for that: four workers may ask for more than there is left to do, so that
    the study could be full before.
    """
    file = toy(
        """
        import os, time
        from optuna.trial import TrialState
        def objective(trial):
            x = trial.suggest_float("x", 0.0, 1.0)
            time.sleep(0.5)
            if trial.number == 3:
                os.kill(os.getpid(), 9)
            while trial.number >= 10 and not trial.study.get_trials(states=(TrialState.FAIL,)):
                time.sleep(0.2)
            return x
        """
    )
    # An overloaded machine may keep a living worker from its heartbeat for several seconds.
    options = ("--n-trials", "12", "--workers", "2", "--grace", "20")
    first, second = start("run", file, *options), start("run", file, *options)
    printed = finish(first, second)
    trials = trials_of(file)
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    assert 12 <= len(done) <= 12 + 3
    (dead,) = (trial for trial in trials if trial.state != TrialState.COMPLETE)
    assert (dead.number, dead.state) == (3, TrialState.FAIL)
    retries = [trial for trial in trials if trial.system_attrs.get("retry_history") == [3]]
    assert [trial.params for trial in retries] == [dead.params]
    assert sum("is started again" in text for text in printed) == 1
    # Every worker, the restarted one included, wrote to the log that was its own.
    logs = sorted((tmp_path / "toy-logs").iterdir())
    assert len(logs) == 4
    starts = Counter(log.read_text().count("worker starts") for log in logs)
    assert starts == {1: 3, 2: 1}

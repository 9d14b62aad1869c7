"""What a run leaves on the screen: the best trials, the files, and how to go on."""

from __future__ import annotations

import io
import signal
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console

from optuna_snn.workers.display.dashboard import dashboard_command
from optuna_snn.workers.display.progress import ProgressReader
from optuna_snn.workers.display.summary import print_summary
from optuna_snn.workers.run_files import RunFiles
from optuna_snn.workers.supervisor.outcome import RunEnd, RunOutcome

ALL = (
    optuna.create_trial(value=0.5, constraints={"silent/out": -0.1}),
    optuna.create_trial(value=0.75, constraints={"silent/out": -0.1}),
    optuna.create_trial(value=0.99, constraints={"silent/out": 0.2}),
    optuna.create_trial(state=TrialState.PRUNED, constraints={"silent/out": 0.9}),
    optuna.create_trial(state=TrialState.PRUNED),
)


def study_of(*trials: FrozenTrial) -> optuna.Study:
    study = optuna.create_study(direction="maximize", study_name="toy")
    study.add_trials(trials)
    return study


def console() -> Console:
    return Console(file=io.StringIO(), width=120, force_terminal=False)


def printed(target: Console) -> str:
    assert isinstance(target.file, io.StringIO)
    return target.file.getvalue()


def outcome(
    study: optuna.Study,
    end: RunEnd,
    n_new: int = 5,
    detail: str = "",
    stop_signal: signal.Signals | None = None,
    n_late: int = 0,
) -> RunOutcome:
    return RunOutcome(
        end=end,
        detail=detail,
        study=study,
        progress=ProgressReader("maximize").read(study.get_trials()),
        n_new=n_new,
        files=RunFiles(Path("a folder that is long enough to be wrapped" * 3), "toy"),
        url="sqlite:///runs/toy.db",
        stop_signal=stop_signal,
        n_late=n_late,
    )


def test_the_summary_lists_the_best_feasible_trials_and_the_way_to_the_dashboard() -> None:
    target = console()
    print_summary(target, outcome(study_of(*ALL), RunEnd.BUDGET_MET), figure="x" * 200 + ".png")
    text = printed(target)
    order = [text.index(words) for words in ("0.75", " 0.5", "3 complete, 1 silent, 1 pruned")]
    assert order == sorted(order)
    assert "0.99" not in text
    assert "1 of the complete ones infeasible" in text
    assert "x" * 200 + ".png" in text  # in one piece, to be copied
    assert dashboard_command("sqlite:///runs/toy.db") in text


@pytest.mark.parametrize(
    ("end", "n_new", "words"),
    [
        (RunEnd.BUDGET_MET, 0, "nothing was left to do: --n-trials with a larger number"),
        (RunEnd.STOPPED, 2, "2 new trials; the same command continues it"),
        (RunEnd.FAILED_IN_A_ROW, 0, "error: 10 trials failed in a row; the last error: Boom [x]"),
    ],
)
def test_the_summary_says_how_to_go_on(end: RunEnd, n_new: int, words: str) -> None:
    target = console()
    print_summary(target, outcome(study_of(), end, n_new, "Boom [x]"), figure="none")
    assert words in printed(target)
    assert "No feasible trial yet" in printed(target)


def test_the_summary_offers_no_new_file_where_a_server_keeps_the_study() -> None:
    for url, words in {
        "sqlite:///runs/toy.db": "--new begins anew",
        "postgresql+psycopg2://me:secret@host/db": "another --study-name begins anew",
    }.items():
        target = console()
        ended = replace(outcome(study_of(), RunEnd.BUDGET_MET), url=url)
        print_summary(target, ended, figure="none")
        assert f"continues it, {words}" in printed(target)


def test_the_summary_names_the_signal_that_stopped_the_run() -> None:
    target = console()
    stopped = outcome(study_of(), RunEnd.STOPPED, 2, stop_signal=signal.SIGUSR1)
    print_summary(target, stopped, figure="none")
    assert "stopped on request; by SIGUSR1; 2 new trials; the same command" in printed(target)


def test_the_summary_says_where_results_are_that_came_too_late() -> None:
    target = console()
    print_summary(target, outcome(study_of(), RunEnd.BUDGET_MET), figure="none")
    assert "late results" not in printed(target)
    print_summary(target, outcome(study_of(), RunEnd.BUDGET_MET, n_late=2), figure="none")
    assert "2 could not be stored in their trials; kept as attributes" in printed(target)

"""What a run shows: each finished trial once, counts that are right, words for every end."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console

from optuna_snn.workers.display import Heading, LiveDisplay, PlainDisplay, clock, outcome_words
from optuna_snn.workers.failures import FAIL_REASON
from optuna_snn.workers.outcome import RunEnd, RunOutcome
from optuna_snn.workers.progress import ProgressReader
from optuna_snn.workers.run_files import RunFiles
from optuna_snn.workers.slot import SlotState
from optuna_snn.workers.summary import dashboard_command, print_summary

HEADING = Heading("toy", "sqlite:///toy.db", "accuracy [x]", 10, 2, Path("toy-logs"))
RUNNING = [SlotState.RUNNING] * 2
ALL = (
    optuna.create_trial(value=0.5, constraints={"silent/out": -0.1}),
    optuna.create_trial(value=0.75, constraints={"silent/out": -0.1}),
    optuna.create_trial(value=0.99, constraints={"silent/out": 0.2}),
    optuna.create_trial(state=TrialState.PRUNED, constraints={"silent/out": 0.9}),
    optuna.create_trial(state=TrialState.PRUNED),
    optuna.create_trial(state=TrialState.FAIL, user_attrs={FAIL_REASON: "E: [bold]boom[/x]"}),
    optuna.create_trial(state=TrialState.RUNNING),
    optuna.create_trial(state=TrialState.WAITING),
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


def test_lines_are_printed_once_for_each_trial_that_finishes_while_the_run_lasts() -> None:
    target, reader = console(), ProgressReader("maximize")
    trials = study_of(*ALL).get_trials()
    with PlainDisplay(HEADING, target) as display:
        for n in (1, 2, 2, 4, len(trials), len(trials)):
            display.show(reader.read(trials[:n]), RUNNING)
    lines = printed(target).splitlines()
    numbers = [line.split()[1] for line in lines if line.startswith("trial ")]
    assert numbers == ["1", "2", "3", "4", "5"]  # trial 0 was there before
    assert "1/10 trials, 1 complete" in lines[1]
    assert lines[-1].endswith(
        "5/10 trials, 3 complete, 1 silent, 1 pruned, 1 failed, 1 running, 1 waiting, best 0.75"
    )
    assert "trial 5  failed: E: [bold]boom[/x]" in lines[-1]


def test_the_live_table_shows_counts_best_and_last_trials() -> None:
    target = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    progress = ProgressReader("maximize").read(study_of(*ALL).get_trials())
    with LiveDisplay(HEADING, target) as display:
        display.show(progress, RUNNING)
        shown = printed(target)
        display.note("a [remark]")
    for words in (
        "5/10",
        "3 complete  1 silent  1 pruned  1 failed  1 running  1 waiting",
        "0.75  (trial 1)",
        "2 of 2 workers running",
        "complete, infeasible",
        "failed: E: [bold]boom[/x]",
        "accuracy [x]",
    ):
        assert words in shown
    assert "a [remark]" in printed(target)


def test_a_study_without_trials_can_be_shown() -> None:
    target = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    with LiveDisplay(HEADING, target) as display:
        display.show(ProgressReader("maximize").read([]), RUNNING)
    assert "none yet" in printed(target)
    assert "workers are starting" in printed(target)


@pytest.mark.parametrize(
    ("trial", "words"),
    [
        (ALL[0], "complete"),
        (ALL[2], "complete, infeasible"),
        (ALL[3], "silent"),
        (ALL[4], "pruned"),
        (ALL[5], "failed: E: [bold]boom[/x]"),
        (ALL[6], "running"),
    ],
)
def test_each_end_has_its_words(trial: FrozenTrial, words: str) -> None:
    assert outcome_words(trial) == words


def test_a_saturated_layer_is_told_apart_from_a_silent_one() -> None:
    stopped = optuna.create_trial(
        state=TrialState.PRUNED,
        constraints={"silent/in": 0.5, "silent/out": -0.1, "saturated/out": 0.9},
    )
    target = console()
    with PlainDisplay(HEADING, target) as display:
        for trials in ([], [stopped]):
            display.show(ProgressReader("maximize").read(trials), RUNNING)
    assert "silent (in, out saturated)" in printed(target)


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, ""), (0.4, "0:00"), (61.6, "1:02"), (3723.0, "1:02:03")]
)
def test_the_clock_shows_minutes_and_hours(seconds: float | None, text: str) -> None:
    assert clock(seconds) == text


def outcome(study: optuna.Study, end: RunEnd, n_new: int = 5, detail: str = "") -> RunOutcome:
    return RunOutcome(
        end=end,
        detail=detail,
        study=study,
        progress=ProgressReader("maximize").read(study.get_trials()),
        n_new=n_new,
        files=RunFiles(Path("a folder that is long enough to be wrapped" * 3), "toy"),
        url="sqlite:///runs/toy.db",
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


def test_the_dashboard_command_hides_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    command = dashboard_command("postgresql+psycopg2://me:secret@host/db")
    assert "secret" not in command
    assert command.startswith("optuna-dashboard ")


def test_the_dashboard_of_an_environment_that_is_not_activated_is_named_by_its_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "optuna-dashboard").touch()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.chdir(tmp_path.parent)
    program = f"{tmp_path.name}/optuna-dashboard"
    assert dashboard_command("sqlite:///a.db") == f"{program} sqlite:///a.db"

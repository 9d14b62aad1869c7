"""What a run shows: each finished trial once, counts that are right, words for every end."""

from __future__ import annotations

import errno
import io
from datetime import datetime, timedelta
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console

from optuna_snn.workers.display.live import N_FINISHED_ROWS, LiveDisplay
from optuna_snn.workers.display.plain import Heading, PlainDisplay
from optuna_snn.workers.display.progress import ProgressReader
from optuna_snn.workers.display.steady import SteadyDisplay
from optuna_snn.workers.display.words import clock, outcome_words
from optuna_snn.workers.failures import FAIL_REASON
from optuna_snn.workers.supervisor.crew import WorkerView
from optuna_snn.workers.supervisor.slot import SlotState

HEADING = Heading("toy", "sqlite:///toy.db", "accuracy [x]", "maximize", 10, 2, Path("toy-logs"))
RUNNING = [WorkerView(i, "", 4000 + i, SlotState.RUNNING, 0, None) for i in range(2)]
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


class Gone(io.StringIO):
    """What a closed terminal, or a full disk, says to who writes."""

    def write(self, text: str) -> int:
        raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_display_that_nobody_can_see_any_more_is_no_error(
    is_terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Captured:
        def fileno(self) -> int:
            raise OSError

    monkeypatch.setattr("sys.stdout", Captured())  # pytest's own is not to be closed
    target = Console(file=Gone(), width=120, force_terminal=is_terminal)
    display = (LiveDisplay if is_terminal else PlainDisplay)(HEADING, target)
    progress = ProgressReader("maximize").read(study_of(*ALL).get_trials())
    with SteadyDisplay(display) as shown:
        for _ in range(2):
            shown.show(progress, RUNNING, None)
            shown.note("a remark")


def test_what_is_no_matter_of_the_output_ends_a_steady_display_as_any_other() -> None:
    target = console()
    with pytest.raises(KeyError), SteadyDisplay(PlainDisplay(HEADING, target)) as shown:
        raise KeyError
    shown.note("a remark")
    assert printed(target).endswith("a remark\n")


def test_lines_are_printed_once_for_each_trial_that_finishes_while_the_run_lasts() -> None:
    target, reader = console(), ProgressReader("maximize")
    trials = study_of(*ALL).get_trials()
    with PlainDisplay(HEADING, target) as display:
        for n in (1, 2, 2, 4, len(trials), len(trials)):
            display.show(reader.read(trials[:n]), RUNNING, None)
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
        display.show(progress, RUNNING, None)
        shown = printed(target)
        display.note("a [remark]")
    assert shown.count("accuracy [x]") == 3  # goal, best, table of trials
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


def live(height: int = 50, width: int = 120) -> Console:
    file = io.StringIO()
    return Console(file=file, width=width, height=height, force_terminal=True, color_system=None)


def worker_rows(workers: list[WorkerView], height: int = 50) -> list[list[str]]:
    """The words of each row of the table of workers, its head first."""
    target = live(height)
    with LiveDisplay(HEADING, target) as display:
        display.show(ProgressReader("maximize").read([]), workers, None)
        lines = [line.split() for line in printed(target).splitlines()]
    (begin,) = (i for i, line in enumerate(lines) if line[:1] == ["worker"])
    (end,) = (i for i, line in enumerate(lines) if line[:1] == ["trial"])
    return lines[begin:end]


def test_the_live_table_shows_what_each_worker_does() -> None:
    trial = optuna.create_trial(state=TrialState.RUNNING)
    trial.number = 17
    trial.datetime_start = datetime.now() - timedelta(seconds=3601.5)
    rows = worker_rows(
        [
            WorkerView(0, "cuda:0", 4242, SlotState.RUNNING, 0, trial),
            WorkerView(1, "cuda:1", None, SlotState.RESTARTING, 3, None),
            WorkerView(2, "cpu", None, SlotState.GIVEN_UP, 5, None),
        ]
    )
    assert rows == [
        ["worker", "device", "pid", "state", "trial", "since", "restarts"],
        ["0", "cuda:0", "4242", "running", "17", "1:00:02"],
        ["1", "cuda:1", "restarting", "3"],
        ["2", "cpu", "given", "up", "5"],
    ]


def test_without_devices_there_is_no_column_for_them() -> None:
    assert worker_rows(RUNNING) == [
        ["worker", "pid", "state", "trial", "since", "restarts"],
        ["0", "4000", "running"],
        ["1", "4001", "running"],
    ]


def test_of_many_workers_the_first_are_listed_and_the_others_counted() -> None:
    many = [WorkerView(i, "", i, SlotState.RUNNING, 0, None) for i in range(100)]
    rows = worker_rows(many, height=40)
    n_listed = len(rows) - 2
    assert 25 <= n_listed <= 35
    assert rows[-1] == ["...", str(100 - n_listed), "more"]


LONG = "E: " + "a reason of many words " * 20


@pytest.mark.parametrize("height", [14, 24, 40])
@pytest.mark.parametrize("n_workers", [1, 8, 40])
@pytest.mark.parametrize("n_finished", [0, 3, 30])
@pytest.mark.parametrize("is_running", [False, True])
def test_the_tables_fit_the_terminal(
    height: int, n_workers: int, n_finished: int, is_running: bool
) -> None:
    failed = optuna.create_trial(state=TrialState.FAIL, user_attrs={FAIL_REASON: LONG})
    running = [optuna.create_trial(state=TrialState.RUNNING)] * (n_workers if is_running else 0)
    progress = ProgressReader("maximize").read(
        study_of(*[failed] * n_finished, *running).get_trials()
    )
    workers = [WorkerView(i, "", i, SlotState.RUNNING, 0, None) for i in range(n_workers)]
    target = live(height, width=80)
    with LiveDisplay(HEADING, target) as display:
        display.show(progress, workers, datetime.now())
        lines = printed(target).splitlines()
    assert len(lines) <= height
    words = [line.split() for line in lines]
    assert "the database has not answered since" in " ".join(lines)
    heads = [i for i, line in enumerate(words) if line and line[0] in ("worker", "trial")]
    of_workers, of_trials = words[heads[0] + 1 : heads[1]], words[heads[1] + 1 :]
    n_failed = sum("failed:" in row for row in of_trials)
    assert min(n_finished, 1) <= n_failed <= N_FINISHED_ROWS
    n_unlisted = 0
    for rows, n in ((of_workers, n_workers), (of_trials[n_failed:], len(running))):
        n_more = int(rows[-1][1]) if rows and "more" in rows[-1] else 0
        n_listed = sum("running" in row and "more" not in row for row in rows)
        assert n_listed + n_more == n
        n_unlisted += n_more
    if n_unlisted:
        assert len(lines) == height  # nothing is left out where there is room


def test_a_database_that_is_away_is_told_and_that_it_is_back() -> None:
    progress = ProgressReader("maximize").read([])
    since = datetime.now() - timedelta(seconds=75)
    words = f"the database has not answered since {since:%H:%M:%S} (1:15)"
    target = live()
    with LiveDisplay(HEADING, target) as display:
        display.show(progress, RUNNING, None)
        assert words not in printed(target)
        display.show(progress, RUNNING, since)
        assert words in printed(target)
    target = console()
    with PlainDisplay(HEADING, target) as display:
        for away_since in (None, since, since, None, None):
            display.show(progress, RUNNING, away_since)
    assert printed(target).count("has not answered since") == 1
    assert printed(target).count("the database answers again") == 1
    assert printed(target).splitlines()[-1] == "the database answers again"


def test_a_study_without_trials_can_be_shown() -> None:
    target = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    with LiveDisplay(HEADING, target) as display:
        display.show(ProgressReader("maximize").read([]), RUNNING, None)
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
            display.show(ProgressReader("maximize").read(trials), RUNNING, None)
    assert "silent (in, out saturated)" in printed(target)


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, ""), (0.4, "0:00"), (61.6, "1:02"), (3723.0, "1:02:03")]
)
def test_the_clock_shows_minutes_and_hours(seconds: float | None, text: str) -> None:
    assert clock(seconds) == text

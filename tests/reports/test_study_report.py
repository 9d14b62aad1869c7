"""The words of a report, against the study's trials."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState
from rich.console import Console

from optuna_snn import search_trace
from optuna_snn.reports.contents import Fact, Report, Table
from optuna_snn.reports.study_report import study_report
from optuna_snn.reports.terminal import print_report
from optuna_snn.stored_spikes import spike_report
from optuna_snn.visualization.reading import read_study
from optuna_snn.workers.identity import WORKER_KEY
from tests.helpers import START, finished_trial
from tests.visualization.studies import ALL, ODD, PLANNED, spiking_study, study_of


def report_of(study: optuna.Study, **options: object) -> Report:
    return study_report(read_study(study), **options)  # type: ignore[arg-type]


def table(report: Report, title: str) -> Table:
    (found,) = (each for each in report.tables if each.title == title)
    return found


def fact(facts: list[Fact] | tuple[Fact, ...] | object, name: str) -> str:
    (found,) = (each.words for each in facts if each.name == name)  # type: ignore[attr-defined]
    return str(found)


def printed(report: Report, width: int = 200) -> str:
    target = io.StringIO()
    print_report(Console(file=target, width=width), report)
    return target.getvalue()


def test_the_best_trials_are_the_best_feasible_ones_in_order() -> None:
    study = spiking_study()
    feasible = [
        t
        for t in study.trials
        if t.state == TrialState.COMPLETE and max(t.constraints.values()) <= 0
    ]
    best = sorted(feasible, key=lambda t: -(t.value or 0.0))[:3]
    rows = table(report_of(study, top=3), "Best feasible trials").rows
    assert [row[0] for row in rows] == [str(t.number) for t in best]
    assert [row[1] for row in rows] == [f"{t.value:.4g}" for t in best]
    for row, trial in zip(rows, best, strict=True):
        name, value = max(trial.constraints.items(), key=lambda item: item[1])
        assert row[2] == f"{value:.3g} ({name})"
        assert f"threshold={trial.params['threshold']:.4g}" in row[3]
        assert f"decoder={trial.params['decoder']}" in row[3]
    note = table(report_of(study, top=3), "Best feasible trials").note
    assert note == f"and {len(feasible) - 3} other feasible trials"


def test_what_was_stopped_stands_by_layer_with_its_median_share() -> None:
    study = spiking_study()
    rows = {row[0]: row for row in table(report_of(study), "Stopped, and why").rows}
    for layer in ("hidden", "output"):
        reports = [
            report
            for trial in study.trials
            if trial.state == TrialState.PRUNED
            and (report := spike_report(trial)) is not None
            and report.layers[layer].is_silent
        ]
        judged = [report.layers[layer].activity.judged for report in reports]
        share = np.median([tally.n_silent / tally.n_samples for tally in judged])
        seen = np.median([report.samples_seen for report in reports])
        expected = [
            layer,
            "silent",
            str(len(reports)),
            f"{share:.0%}",
            f"{seen:,.0f} of {PLANNED}",
        ]
        assert rows[layer] == expected


def test_complete_trials_that_are_infeasible_are_counted_by_constraint() -> None:
    study = spiking_study()
    violated = [
        t
        for t in study.trials
        if t.state == TrialState.COMPLETE and max(t.constraints.values()) > 0
    ]
    note = table(report_of(study), "Stopped, and why").note
    assert note.startswith(f"{len(violated)} complete trials infeasible: silent/output ")


def test_trials_pruned_for_other_reasons_are_told_apart() -> None:
    stopped = table(report_of(study_of(*ALL)), "Stopped, and why")
    assert [row[:3] for row in stopped.rows] == [["out", "silent", "1"]]
    assert stopped.note.startswith("1 trial pruned for other reasons.")


def test_saturated_layers_stand_in_rows_of_their_own() -> None:
    both = optuna.create_trial(
        state=TrialState.PRUNED, constraints={"silent/a": 0.3, "saturated/b": 0.2, "silent/c": -1}
    )
    rows = table(report_of(study_of(both, both)), "Stopped, and why").rows
    assert [row[:3] for row in rows] == [["a", "silent", "2"], ["b", "saturated", "2"]]


def test_the_search_is_where_the_last_ask_saw_it() -> None:
    study = spiking_study()
    last = search_trace(study)[-1]
    report = report_of(study)
    words = fact(report.search, "trust region")
    assert words.startswith(f"length {last.length:.3g} of each range at trial {last.number}")
    assert fact(report.search, "its centre") == f"trial {last.center}"
    assert fact(report.search, "restarts") == str(last.epoch)
    best = study.best_trial.number
    counted = (TrialState.COMPLETE, TrialState.PRUNED)
    n_since = sum(t.number > best and t.state in counted for t in study.trials)
    assert fact(report.search, "last improvement").startswith(f"trial {best}")
    assert str(n_since) in fact(report.search, "last improvement")


def test_a_search_in_its_initial_design_has_no_box_yet() -> None:
    from optuna_snn import SCBOSampler

    study = optuna.create_study(sampler=SCBOSampler(seed=0, n_startup_trials=20))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=4)
    words = fact(report_of(study).search, "trust region")
    assert words == "not yet: 3 trials of the initial design"


def test_workers_are_told_with_their_trials_and_heartbeats() -> None:
    ran = [finished_trial({"x": 0.1}, 1.0, finished_at=t) for t in (5.0, 10.0, 20.0)]
    for trial, name in zip(ran, ("node1:7", "node1:7", "node2:9"), strict=True):
        trial.user_attrs = {WORKER_KEY: name}
    ran[0].state, ran[0].values = TrialState.FAIL, None
    running = optuna.create_trial(state=TrialState.RUNNING, user_attrs={WORKER_KEY: "node1:7"})
    running.datetime_start = START + timedelta(seconds=60)
    foreign = optuna.create_trial(state=TrialState.RUNNING)
    foreign.datetime_start = START
    report = report_of(
        study_of(*ran, running, foreign),
        heartbeat_ages={3: 4.0},
        now=START + timedelta(seconds=90),
    )
    rows = {row[0]: list(row[1:]) for row in table(report, "Workers").rows}
    assert rows == {
        "node1:7": ["trial 3 for 0:30, heartbeat 0:04 ago", "1", "1"],
        "(not by optuna-snn)": ["trial 4 for 1:30, without heartbeats", "0", "0"],
        "node2:9": ["no trial for 1:10", "1", "0"],
    }
    assert next(iter(rows)) == "node1:7" and list(rows)[-1] == "node2:9"


def test_the_samples_saved_are_those_that_a_run_reports() -> None:
    from optuna_snn.workers.display.progress import ProgressReader
    from optuna_snn.workers.display.words import saved_words

    study = spiking_study()
    expected = saved_words(ProgressReader("maximize").read(study.trials))
    assert fact(report_of(study).facts, "saved by early stopping") == expected


@pytest.mark.parametrize("make", ODD.values(), ids=ODD)
def test_every_study_is_reported(make: Callable[[], optuna.Study]) -> None:
    words = printed(report_of(make()))
    for title in ("Best feasible trials", "Search", "Stopped, and why", "Workers"):
        assert title in words


@pytest.mark.parametrize(
    ("study", "words"),
    [
        ("empty", "none yet"),
        ("empty", "No trial is complete yet."),
        ("empty", "No trial has begun."),
        ("infeasible", "No feasible trial yet: of 1 complete trial, none keeps all constraints."),
        ("two objectives", "A study of 2 objectives has no single best trial."),
        ("another sampler", "none: no trial was chosen by SCBOSampler"),
        ("damaged report", "Left out: 1 spike report of another version, or damaged."),
    ],
)
def test_what_is_missing_is_said(study: str, words: str) -> None:
    assert words in printed(report_of(ODD[study]()))


@pytest.mark.parametrize("name", [n for n in ODD if n != "failed"])
def test_nothing_is_advised_without_evidence(name: str) -> None:
    report = report_of(ODD[name]())
    assert report.findings == []
    assert "What the data say" not in printed(report)


def test_names_are_no_markup() -> None:
    study = optuna.create_study(study_name="[red]toy[/red]")
    study.add_trial(optuna.create_trial(value=1.0, constraints={"[i]c[/i]": -1.0}))
    study.set_metric_names(["[b]loss[/b]"])
    words = printed(report_of(study))
    assert "[red]toy[/red]" in words
    assert words.count("[b]loss[/b]") == 2  # as objective, and at the head of its column
    assert words.count("[i]c[/i]") == 2  # among the constraints, and in the row of the trial


def test_a_wrong_number_of_best_trials_is_refused() -> None:
    with pytest.raises(ValueError, match="--top must be 1 or more, got 0"):
        report_of(study_of(), top=0)

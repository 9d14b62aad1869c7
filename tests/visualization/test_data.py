"""What figures show of a real study, against the study's trials."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState

from optuna_snn import search_trace
from optuna_snn.spikes.tally import Tally
from optuna_snn.stored_spikes import spike_report
from optuna_snn.visualization import (
    plot_activity,
    plot_feasible_history,
    plot_samples_saved,
    plot_silent_share,
    plot_trust_region,
)
from optuna_snn.visualization.activity import mean_spikes
from optuna_snn.workers.display.progress import ProgressReader
from tests.helpers import finished_trial, repeatable, stored_tag, tag
from tests.visualization.studies import PLANNED, spiking_study, study_of

COUNTED = (TrialState.COMPLETE, TrialState.PRUNED)


def trace(figure: Any, name: str) -> Any:
    """The trace whose name begins so."""
    (found,) = (each for each in figure.data if (each.name or "").startswith(name))
    return found


def is_feasible(trial: optuna.trial.FrozenTrial) -> bool:
    return trial.state == TrialState.COMPLETE and max(trial.constraints.values()) <= 0


def test_the_study_has_trials_of_all_kinds() -> None:
    """Else the tests below would show little."""
    trials = spiking_study().trials
    states = {state: sum(t.state == state for t in trials) for state in TrialState}
    assert states[TrialState.COMPLETE] >= 10 and states[TrialState.PRUNED] >= 3
    assert states[TrialState.FAIL] == 1
    assert any(t.state == TrialState.COMPLETE and not is_feasible(t) for t in trials)


def test_silent_shares_are_those_of_the_stored_reports() -> None:
    figure = plot_silent_share(spiking_study())
    for layer in ("hidden", "output"):
        expected = {}
        for trial in spiking_study().trials:
            report = spike_report(trial)
            if report is not None and report.layers[layer].activity.seen.n_samples:
                activity = report.layers[layer].activity
                tally = activity.judged if activity.judged.n_samples else activity.seen
                expected[trial.number] = tally.n_silent / tally.n_samples
        drawn = trace(figure, layer)
        assert dict(zip(drawn.x, drawn.y, strict=True)) == expected
        assert len(expected) == 39
    assert set(trace(figure, "tolerated").y) == {0.1}


def test_a_violated_constraint_is_drawn_above_the_tolerated_share() -> None:
    figure = plot_silent_share(spiking_study())
    drawn = dict(zip(trace(figure, "output").x, trace(figure, "output").y, strict=True))
    for trial in spiking_study().trials:
        if trial.state in COUNTED:
            assert (drawn[trial.number] > 0.1) == (trial.constraints["silent/output"] > 0)


def test_the_history_rises_with_the_best_feasible_value_over_evaluations_and_time() -> None:
    study = spiking_study()
    over_evaluations, over_time = (
        each for each in plot_feasible_history(study).data if each.name == "best so far"
    )
    ended = sorted(
        (t for t in study.trials if t.state in COUNTED),
        key=lambda t: (t.datetime_complete, t.number),
    )
    start = min(t.datetime_start for t in study.trials if t.datetime_start is not None)
    best, steps, times = -np.inf, [], []
    for i, trial in enumerate(ended, start=1):
        if is_feasible(trial):
            best = max(best, trial.value or 0.0)
            assert trial.datetime_complete is not None
            steps.append((i, best))
            times.append(((trial.datetime_complete - start).total_seconds(), best))
    assert list(zip(over_evaluations.x, over_evaluations.y, strict=True))[:-1] == steps
    assert (over_evaluations.x[-1], over_evaluations.y[-1]) == (len(ended), best)
    np.testing.assert_allclose(
        list(zip(over_time.x, over_time.y, strict=True))[:-1], times, rtol=1e-12
    )
    assert best == study.best_value


@pytest.mark.parametrize(
    ("seconds", "unit", "last"),
    [(100.0, "s", 100.0), (600.0, "min", 10.0), (36_000.0, "h", 10.0), (864_000.0, "d", 10.0)],
)
def test_time_is_told_in_a_unit_that_fits(seconds: float, unit: str, last: float) -> None:
    study = study_of(
        finished_trial({"x": 0.1}, 1.0), finished_trial({"x": 0.2}, 2.0, finished_at=seconds)
    )
    figure = plot_feasible_history(study)
    assert figure.layout.xaxis2.title.text == f"time since the first trial began ({unit})"
    assert figure.data[-1].x[-1] == pytest.approx(last)


def test_trials_count_in_the_order_in_which_they_finished() -> None:
    study = study_of(
        finished_trial({"x": 0.1}, 1.0, finished_at=50.0),
        finished_trial({"x": 0.2}, 2.0, finished_at=10.0),
    )
    best = next(each for each in plot_feasible_history(study).data if each.name == "best so far")
    assert list(zip(best.x, best.y, strict=True)) == [(1, 2.0), (2, 2.0), (2, 2.0)]


def test_the_trust_region_is_that_of_the_search_trace() -> None:
    study = spiking_study()
    asks = [ask for ask in search_trace(study) if not ask.is_initial]
    line = plot_trust_region(study).data[0]
    assert list(zip(line.x, line.y, strict=True)) == [(a.number, a.length) for a in asks]
    assert len({ask.length for ask in asks}) > 1


def test_predictions_are_marked_by_what_came_of_them() -> None:
    study = spiking_study()
    figure = plot_trust_region(study)
    predicted = {
        ask.number: ask.predicted_feasible
        for ask in search_trace(study)
        if ask.predicted_feasible is not None and study.trials[ask.number].state in COUNTED
    }
    drawn = {}
    for name, outcome in (("was feasible", True), ("was infeasible", False)):
        marks = trace(figure, name)
        drawn |= dict(zip(marks.x, marks.y, strict=True))
        assert all(is_feasible(study.trials[number]) == outcome for number in marks.x)
    assert drawn == predicted


def test_restarts_stand_where_the_first_trial_after_them_does() -> None:
    boxes = [(0, 0.8), (0, 0.4), (1, 0.8), (1, 0.8), (2, 0.8)]
    trials = [
        optuna.create_trial(
            value=0.0,
            system_attrs={"optuna_snn:tag": stored_tag(tag(epoch=epoch, length=length))},
        )
        for epoch, length in boxes
    ]
    figure = plot_trust_region(study_of(*trials))
    assert [(shape.x0, shape.x1) for shape in figure.layout.shapes] == [(2, 2), (4, 4)]
    assert {"restart 1", "restart 2"} <= {a.text for a in figure.layout.annotations}
    line = figure.data[0]
    assert list(zip(line.x, line.y, strict=True)) == [
        (0, 0.8), (1, 0.4), (2, None), (2, 0.8), (3, 0.8), (4, None), (4, 0.8)
    ]  # fmt: skip


def test_the_samples_saved_are_those_that_a_run_reports() -> None:
    study = spiking_study()
    progress = ProgressReader("maximize").read(study.trials)
    figure = plot_samples_saved(study)
    planned, spent = trace(figure, "planned"), trace(figure, "with early stopping")
    assert planned.y[-1] == progress.samples_planned == PLANNED * 39
    assert planned.y[-1] - spent.y[-1] == progress.samples_saved > 0
    for k, number in enumerate(spent.x):
        report = spike_report(study.trials[number])
        own = spent.y[k] - (spent.y[k - 1] if k else 0)
        assert report is not None and own == report.samples_seen
    share = progress.samples_saved / progress.samples_planned
    assert f"({share:.0%})" in figure.layout.title.text


def test_activity_stands_at_the_value_of_its_trial() -> None:
    study = spiking_study()
    figure = plot_activity(study, layers=["output"])
    names = [each.name for each in figure.data]
    assert all(name.startswith("output, ") for name in names)
    n_by_group = {name.split(" ")[1]: len(each.x) for name, each in zip(names, figure.data,
                                                                         strict=True)}  # fmt: skip
    complete = [t for t in study.trials if t.state == TrialState.COMPLETE]
    assert n_by_group == {
        "feasible": sum(map(is_feasible, complete)),
        "infeasible": sum(not is_feasible(t) for t in complete),
        "stopped": sum(t.state == TrialState.PRUNED for t in study.trials),
    }
    feasible = trace(figure, "output, feasible")
    assert list(feasible.y) == [t.value for t in complete if is_feasible(t)]
    # The fewer spikes the better, down to where a tenth of the samples has none: exp(-2.3) = 0.1.
    assert feasible.x[int(np.argmax(feasible.y))] == pytest.approx(2.3, rel=0.3)


@repeatable
@given(st.lists(st.integers(0, 5000), min_size=1, max_size=40))
def test_the_mean_of_a_histogram_lies_within_its_bounds(counts: list[int]) -> None:
    tally = Tally().after(np.array(counts, dtype=float), alpha=1)
    found = mean_spikes(tally)
    assert found is not None
    assert found.low <= np.mean(counts) <= found.high
    assert found.low <= found.middle <= found.high
    if max(counts) <= 20:
        assert found.low == found.middle == found.high == pytest.approx(np.mean(counts))


def test_a_histogram_without_samples_has_no_mean() -> None:
    assert mean_spikes(Tally()) is None


def test_failed_and_running_trials_stand_in_no_figure_of_results() -> None:
    numbers = {t.number for t in spiking_study().trials if t.state not in COUNTED}
    plots: list[Callable[..., Any]] = [plot_silent_share, plot_samples_saved]
    for plot in plots:
        for each in plot(spiking_study()).data:
            if (each.name or "") and not each.name.startswith("tolerated"):
                assert not numbers & set(each.x)


def test_an_earlier_start_shifts_no_evaluation() -> None:
    study = study_of(*spiking_study().trials)
    first = study.trials[0]
    first.datetime_start = (first.datetime_start or first.datetime_complete) - timedelta(hours=1)  # type: ignore[operator]
    moved = study_of(first, *study.trials[1:])
    lines = [
        [each for each in plot_feasible_history(s).data if each.name == "best so far"]
        for s in (study, moved)
    ]
    assert lines[0][0].x == lines[1][0].x
    assert lines[1][1].x[0] >= 60.0  # minutes

"""The figures in which every trial has its mark, as the values that plotly.js draws."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from optuna_snn.dashboard.figures import N_BARS, N_SHOWN, marked_figures, marked_timeline

START = datetime(2026, 1, 1, 12)
SPACE = {
    "threshold": FloatDistribution(0.1, 10.0, log=True),
    "n_neurons": IntDistribution(10, 200),
    "decoder": CategoricalDistribution(["votes", None, 3]),
}


def trial_of(
    number: int, state: TrialState = TrialState.COMPLETE, value: float | None = 1.0, **params: Any
) -> FrozenTrial:
    params = {
        "threshold": 1.0 + number / 1000,
        "n_neurons": 10 + number % 100,
        "decoder": "votes",
    } | params
    trial = create_trial(
        state=state,
        values=None if value is None else [value],
        params=params,
        distributions={name: SPACE.get(name, FloatDistribution(0.0, 1e6)) for name in params},
    )
    trial.number = number
    trial.datetime_start = START + timedelta(seconds=number)
    trial.datetime_complete = (
        START + timedelta(seconds=number + 0.5) if state.is_finished() else None
    )
    return trial


def figures(
    trials: Sequence[FrozenTrial], marks: Sequence[str], n_objectives: int = 1
) -> dict[str, Any]:
    found = marked_figures(trials, marks, n_objectives=n_objectives, value_name="accuracy")
    found |= marked_timeline(trials, marks, now=START + timedelta(hours=1))
    return {name: json.loads(text) for name, text in found.items()}


def traces(figure: Any, name: str) -> list[Any]:
    return [trace for trace in figure["data"] if trace["name"] == name]


ONE_OF_EACH = [
    (trial_of(0, value=0.5), "feasible"),
    (trial_of(1, value=0.9), "infeasible"),
    (trial_of(2, TrialState.PRUNED, None), "silent"),
    (trial_of(3, TrialState.PRUNED, 0.2), "pruned"),
    (trial_of(4, TrialState.FAIL, None), "failed"),
    (trial_of(5, TrialState.RUNNING, None), "running"),
    (trial_of(6, TrialState.PRUNED, None), "saturated"),
]
TRIALS = [trial for trial, _ in ONE_OF_EACH]
MARKS = [mark for _, mark in ONE_OF_EACH]


def test_each_figure_shows_every_trial_by_its_mark() -> None:
    found = figures(TRIALS, MARKS)
    assert list(found) == ["marked-history", "marked-slice-1", "marked-contour", "marked-timeline"]
    for figure in found.values():
        per_panel: dict[str, list[str]] = {}
        for trace in figure["data"]:
            per_panel.setdefault(trace["xaxis"], []).extend([trace["name"]] * len(trace["x"]))
        assert all(sorted(names) == sorted(MARKS) for names in per_panel.values())


def test_the_history_has_values_and_at_its_foot_the_trials_without() -> None:
    history = figures(TRIALS, MARKS)["marked-history"]
    (feasible,) = traces(history, "feasible")
    (silent,) = traces(history, "silent")
    assert (feasible["x"], feasible["y"], feasible["yaxis"]) == ([0], [0.5], "y")
    assert (silent["x"], silent["yaxis"]) == ([2], "y2")
    above, foot = history["layout"]["yaxis"]["domain"], history["layout"]["yaxis2"]["domain"]
    assert foot[1] == above[0]
    assert silent["text"] == [2]
    assert silent["hovertemplate"].startswith("trial %{text}: silent, no value")


def test_the_timeline_has_a_bar_from_start_to_end() -> None:
    timeline = figures(TRIALS, MARKS)["marked-timeline"]
    (silent,) = traces(timeline, "silent")
    assert (silent["y"], silent["base"], silent["x"]) == ([2], ["2026-01-01 12:00:02.000"], [500])
    (running,) = traces(timeline, "running")
    assert running["x"] == [1000 * (3600 - 5)]


def test_the_slice_has_each_parameter_on_its_own_scale() -> None:
    layout = figures(TRIALS, MARKS)["marked-slice-1"]["layout"]
    axes = {axis["title"]["text"]: axis for name, axis in layout.items() if "xaxis" in name}
    assert axes.keys() == SPACE.keys()
    assert axes["threshold"]["type"] == "log"
    assert "type" not in axes["n_neurons"]
    assert axes["decoder"]["categoryarray"] == ["votes", "None", "3"]


def test_each_mark_stands_in_the_legend_once() -> None:
    for name, figure in figures(TRIALS, MARKS).items():
        shown = [t["name"] for t in figure["data"] if t.get("showlegend", True)]
        assert sorted(shown) == sorted(MARKS), name


def test_marks_differ_by_colour_or_symbol() -> None:
    history = figures(TRIALS, MARKS)["marked-history"]
    looks = {(t["marker"]["symbol"], t["marker"]["color"]) for t in history["data"]}
    assert len({symbol for symbol, _ in looks}) == len(MARKS)


def test_panels_do_not_overlap() -> None:
    layout = figures(TRIALS, MARKS)["marked-contour"]["layout"]
    spans = sorted({tuple(a["domain"]) for name, a in layout.items() if name.startswith("xaxis")})
    assert len(spans) == 3
    assert spans[0][0] == 0.0 and spans[-1][1] == pytest.approx(1.0)
    assert all(left[1] < right[0] for left, right in pairwise(spans))


def test_many_parameters_make_several_slices_and_the_most_telling_come_first() -> None:
    """Of eight parameters only `p7` tells feasible from silent trials."""
    names = [f"p{i}" for i in range(8)]
    trials, marks = [], []
    for number in range(20):
        is_silent = number % 2 == 1
        params = {name: 7.0 for name in names} | {"p7": 100.0 + number if is_silent else number}
        trial = create_trial(
            values=[1.0],
            params=params,
            distributions=dict.fromkeys(names, FloatDistribution(0, 999)),
        )
        trial.number = number
        trials.append(trial)
        marks.append("silent" if is_silent else "feasible")
    found = figures(trials, marks)
    titles = [
        [axis["title"]["text"] for name, axis in found[f"marked-slice-{part}"]["layout"].items()
         if name.startswith("xaxis")]
        for part in (1, 2)
    ]  # fmt: skip
    assert titles == [["p7", "p0", "p1", "p2", "p3", "p4"], ["p5", "p6"]]
    assert found["marked-contour"]["layout"]["xaxis"]["title"]["text"] == "p7"


def test_long_studies_show_their_latest_trials_and_say_so() -> None:
    trials = [trial_of(number) for number in range(N_SHOWN + 1)]
    found = figures(trials, ["feasible"] * len(trials))
    (history,) = found["marked-history"]["data"]
    assert history["x"] == list(range(1, N_SHOWN + 1))
    assert (
        f"latest {N_SHOWN} of {N_SHOWN + 1}" in found["marked-history"]["layout"]["title"]["text"]
    )
    (timeline,) = found["marked-timeline"]["data"]
    assert len(timeline["y"]) == N_BARS


def test_values_that_are_not_finite_stand_at_the_foot() -> None:
    history = figures([trial_of(0, value=float("inf"))], ["feasible"])["marked-history"]
    assert history["data"][0]["yaxis"] == "y2"


def test_trials_that_lack_a_parameter_are_left_out_of_its_panel_alone() -> None:
    trials = [trial_of(0), trial_of(1, extra=5.0)]
    layout_and_data = figures(trials, ["feasible", "silent"])["marked-slice-1"]
    title_of = {
        name.replace("axis", ""): axis["title"]["text"]
        for name, axis in layout_and_data["layout"].items()
        if name.startswith("xaxis")
    }
    shown: dict[str, int] = {}
    for trace in layout_and_data["data"]:
        title = title_of[trace["xaxis"]]
        shown[title] = shown.get(title, 0) + len(trace["x"])
    assert shown == {"threshold": 2, "n_neurons": 2, "decoder": 2, "extra": 1}


def test_with_several_objectives_there_is_no_axis_for_a_value() -> None:
    found = figures(TRIALS, MARKS, n_objectives=2)
    assert list(found) == ["marked-contour", "marked-timeline"]


def test_without_a_trial_that_has_begun_there_is_no_figure() -> None:
    assert figures([], []) == {}
    assert figures([trial_of(0, TrialState.WAITING, None)], ["waiting"]) == {}

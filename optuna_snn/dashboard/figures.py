"""Figures in which every trial has its mark: history, timeline, slice and contour's pairs.

The dashboard's own figures, once they see constraints, draw infeasible trials in grey. They leave
out trials without a value, which a silent network that was stopped is, and its timeline knows
states alone. These figures have them all: a trial without a value stands in a strip at the foot.

Colours are Okabe and Ito's, which stay apart for colour-blind readers; every mark has a symbol of
its own as well.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from optuna_snn.dashboard.grids import Axis, Panel, figure
from optuna_snn.dashboard.parameters import Marked, axis_of, cell, rounded, telling_names
from optuna_snn.drawing.palette import hex_of

__all__ = ["HISTORY_ID", "marked_figures", "marked_timeline"]

HISTORY_ID = "marked-history"

N_SHOWN = 1000
"""Trials in a figure, the latest: an open page is sent them every few seconds."""
N_BARS = 100
"""Likewise, of the timeline, where each trial has a line; as in the dashboard's own."""
N_PANELS = 6
N_PAIRED = 4
"""Parameters of which all pairs are shown; they make N_PANELS pairs."""

BLUE, ORANGE, GREEN, RED, PURPLE, GREY = (
    hex_of(colour, "light") for colour in ("blue", "orange", "green", "red", "purple", "grey")
)

MARKS: dict[str, tuple[str, str]] = {
    "feasible": ("circle", BLUE),
    "infeasible": ("x", ORANGE),
    "silent": ("line-ns-open", GREY),
    "saturated": ("cross", PURPLE),
    "pruned": ("triangle-down", GREEN),
    "failed": ("x-thin-open", RED),
    "running": ("circle-open", BLUE),
}
"""Mark -> plotly's symbol, colour; in the order of the legend. Trials that wait are not shown."""


def marked_figures(
    trials: Sequence[FrozenTrial],
    marks: Sequence[str],
    *,
    n_objectives: int,
    value_name: str,
) -> dict[str, str]:
    """Return history, slice and pairs by their ids, each as the JSON that plotly.js reads.

    With several objectives there is neither history nor slice. Without a trial to show there is
    no figure.

    Args:
        trials: all trials of the study, by number.
        marks: the mark of each.
        n_objectives: of the study.
        value_name: what the objective value is called.
    """
    marked = [pair for pair in zip(trials, marks, strict=True) if pair[1] in MARKS]
    if not marked:
        return {}
    found: dict[str, str] = {}
    shown = marked[-N_SHOWN:]
    n_of = f"latest {N_SHOWN} of {len(marked)} trials" if len(marked) > N_SHOWN else "all trials"
    names = telling_names(shown)
    if n_objectives == 1:
        found[HISTORY_ID] = _history(shown, value_name, n_of)
        for first in range(0, len(names), N_PANELS):
            panels = [
                _value_panel(shown, name, value_name, has_legend=i == 0)
                for i, name in enumerate(names[first : first + N_PANELS])
            ]
            part = f", parameters {first + 1} to {first + len(panels)}" if first else ""
            found[f"marked-slice-{first // N_PANELS + 1}"] = figure(
                f"<b>Slice</b> ({n_of}{part})", panels
            )
    if len(names) > 1:
        pairs = list(itertools.combinations(names[:N_PAIRED], 2))
        panels = [_pair_panel(shown, x, y, has_legend=i == 0) for i, (x, y) in enumerate(pairs)]
        found["marked-contour"] = figure(f"<b>Pairs of parameters</b> ({n_of})", panels)
    return found


def _history(marked: Marked, value_name: str, n_of: str) -> str:
    x = {trial.number: trial.number for trial, _ in marked}
    panel = _against_value(marked, x, Axis("trial number"), value_name, has_legend=True)
    return figure(f"<b>History</b> ({n_of})", [panel])


def _value_panel(marked: Marked, name: str, value_name: str, *, has_legend: bool) -> Panel:
    x = {trial.number: cell(trial, name) for trial, _ in marked if name in trial.params}
    return _against_value(marked, x, axis_of(marked, name), value_name, has_legend=has_legend)


def _against_value(
    marked: Marked, x: Mapping[int, Any], axis: Axis, value_name: str, *, has_legend: bool
) -> Panel:
    """Values of the trials that have an x, by number; those without a value at the foot."""
    with_x = [(trial, mark) for trial, mark in marked if trial.number in x]
    valued = [(trial, mark) for trial, mark in with_x if _value(trial) is not None]
    others = [(trial, mark) for trial, mark in with_x if _value(trial) is None]
    in_legend = {mark for _, mark in valued}
    traces = [
        _scatter(group, mark, [x[t.number] for t in group], [_value(t) for t in group], has_legend)
        for mark, group in _by_mark(valued)
    ]
    rug = [
        _scatter(
            group,
            mark,
            [x[t.number] for t in group],
            [0] * len(group),
            has_legend and mark not in in_legend,
            is_rug=True,
        )
        for mark, group in _by_mark(others)
    ]
    return Panel(axis, Axis(value_name), traces, rug)


def _pair_panel(marked: Marked, x: str, y: str, *, has_legend: bool) -> Panel:
    both = [(trial, mark) for trial, mark in marked if {x, y} <= trial.params.keys()]
    traces = [
        _scatter(group, mark, [cell(t, x) for t in group], [cell(t, y) for t in group], has_legend)
        for mark, group in _by_mark(both)
    ]
    return Panel(axis_of(marked, x), axis_of(marked, y), traces)


def marked_timeline(
    trials: Sequence[FrozenTrial], marks: Sequence[str], *, now: datetime
) -> dict[str, str]:
    """Return, likewise, a bar of each of the latest trials, in the colour of its mark.

    now: where the bar of a running trial ends
    """
    marked = [pair for pair in zip(trials, marks, strict=True) if pair[1] in MARKS]
    started = [(t, mark) for t, mark in marked if t.datetime_start is not None][-N_BARS:]
    if not started:
        return {}
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": mark,
            "legendgroup": mark,
            "marker": {"color": MARKS[mark][1]},
            "y": [trial.number for trial in group],
            "base": [_moment(trial.datetime_start) for trial in group],
            "x": [_milliseconds(trial, now) for trial in group],
            "hovertemplate": f"trial %{{y}}: {mark}<extra></extra>",
        }
        for mark, group in _by_mark(started)
    ]
    n_of = f"latest {N_BARS} of {len(marked)} trials" if len(marked) > N_BARS else "all trials"
    panel = Panel(Axis("time", {"type": "date"}), Axis("trial number"), traces)
    timeline = figure(f"<b>Timeline</b> ({n_of})", [panel], barmode="overlay", showlegend=True)
    return {"marked-timeline": timeline}


def _by_mark(marked: Marked) -> Iterable[tuple[str, list[FrozenTrial]]]:
    for mark in MARKS:
        group = [trial for trial, found in marked if found == mark]
        if group:
            yield mark, group


def _scatter(
    trials: Sequence[FrozenTrial],
    mark: str,
    x: Sequence[Any],
    y: Sequence[Any],
    has_legend: bool,
    *,
    is_rug: bool = False,
) -> dict[str, Any]:
    symbol, colour = MARKS[mark]
    words = "no value" if is_rug else "%{x}, %{y}"
    line = {"width": 1.5, "color": colour}  # of which open symbols consist
    return {
        "type": "scatter",
        "mode": "markers",
        "name": mark,
        "legendgroup": mark,
        "showlegend": has_legend,
        "marker": {"symbol": symbol, "color": colour, "size": 6, "line": line},
        "x": list(x),
        "y": list(y),
        "text": [trial.number for trial in trials],
        "hovertemplate": f"trial %{{text}}: {mark}, {words}<extra></extra>",
    }


def _value(trial: FrozenTrial) -> float | None:
    """The finite objective value of a finished trial of a study with one; None if it has none."""
    if trial.values is None or len(trial.values) != 1 or not trial.state.is_finished():
        return None
    return rounded(trial.values[0]) if math.isfinite(trial.values[0]) else None


def _moment(moment: datetime | None) -> str:
    assert moment is not None  # asked of trials that have started
    return moment.isoformat(sep=" ", timespec="milliseconds")


def _milliseconds(trial: FrozenTrial, now: datetime) -> float:
    """How long the trial took, at least one millisecond: a bar of no length is not seen."""
    end = now if trial.state == TrialState.RUNNING else trial.datetime_complete
    if end is None or trial.datetime_start is None:
        return 1.0
    return max(1.0, 1000.0 * (end - trial.datetime_start).total_seconds())

"""The best feasible value over evaluations, and over time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from optuna.trial import FrozenTrial

from optuna_snn.drawing.pictures import Axis, Line, Marks, Panel, Picture
from optuna_snn.visualization.reading import Reading
from optuna_snn.visualization.values import best_so_far, value_words

__all__ = ["feasible_history_picture"]

TIME_UNITS = ((3 * 86_400.0, 86_400.0, "d"), (3 * 3_600.0, 3_600.0, "h"), (180.0, 60.0, "min"))
"""From this many seconds on, the unit of the time axis: its seconds and its sign."""


def feasible_history_picture(reading: Reading) -> Picture:
    """Best feasible value after so many evaluations (left) and after so much time (right)."""
    ended = sorted(
        (trial for trial in reading.counted if trial.datetime_complete is not None),
        key=lambda trial: (trial.datetime_complete or datetime.min, trial.number),
    )
    evaluations = {trial.number: float(i) for i, trial in enumerate(ended, start=1)}
    starts = [trial.datetime_start for trial in reading.trials if trial.datetime_start is not None]
    seconds = {
        trial.number: (trial.datetime_complete - min(starts)).total_seconds()
        for trial in ended
        if trial.datetime_complete is not None and starts
    }
    longest = max(seconds.values(), default=0.0)
    unit_s, unit = next(((s, u) for least, s, u in TIME_UNITS if longest >= least), (1.0, "s"))
    times = {number: value / unit_s for number, value in seconds.items()}
    feasible = {trial.number for trial in reading.best_first}
    valued = [trial for trial in ended if trial.number in feasible]
    title = f"best feasible {reading.metric_name}"
    panels = [
        _panel(reading, valued, evaluations, Axis("evaluations (finished trials)", is_whole=True)),
        _panel(reading, valued, times, Axis(f"time since the first trial began ({unit})")),
    ]
    return Picture(
        "feasible-history",
        title[0].upper() + title[1:],
        panels=panels,
        notes=[
            *reading.left_out(),
            "Evaluations: complete and pruned trials, in the order in which they finished.",
        ],
        columns=2,
        shares_y=True,
    )


def _panel(
    reading: Reading, feasible: Sequence[FrozenTrial], places: dict[int, float], x: Axis
) -> Panel:
    """One x for each trial: the step line of the best so far and each feasible trial."""
    found = [
        (trial, value)
        for trial in feasible
        if trial.number in places and (value := reading.value(trial)) is not None
    ]
    y = Axis(reading.metric_name)
    if not found:
        return Panel(x, y, note=_why_none(reading))
    at = [places[trial.number] for trial, _ in found]
    values = [value for _, value in found]
    so_far = best_so_far(values, is_maximized=reading.is_maximized)
    end = max(places.values())
    return Panel(
        x,
        y,
        marks=[
            Marks(
                "feasible trial",
                at,
                values,
                "blue",
                size=5,
                hover=[value_words(reading, trial) for trial, _ in found],
            )
        ],
        lines=[Line("best so far", [*at, end], [*so_far, so_far[-1]], "green", is_step=True)],
    )


def _why_none(reading: Reading) -> str:
    if not reading.has_one_objective:
        return "a study of several objectives"
    return "no feasible trial yet" if reading.counted else "no trial has finished"

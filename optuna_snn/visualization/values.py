"""Objective values over trials: what was feasible, what was not, what was stopped."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState

from optuna_snn.drawing.palette import Colour
from optuna_snn.drawing.pictures import Axis, Line, Marks, Panel, Symbol, room_above_rugs
from optuna_snn.visualization.reading import Reading

__all__ = [
    "RUG_KINDS",
    "TRIAL_AXIS",
    "best_so_far",
    "mark_size",
    "value_words",
    "values_panel",
]

TRIAL_AXIS = Axis("trial number", is_whole=True)

MANY = 400
"""Trials beyond which their marks are small."""

RUG_KINDS: tuple[tuple[str, Symbol, Colour], ...] = (
    ("silent", "bar", "grey"),
    ("failed", "cross", "red"),
    ("saturated", "plus", "purple"),
)
"""Kinds of trials that have no value, and how they are marked at the foot."""


def values_panel(reading: Reading) -> Panel:
    """Every trial at its number, by kind; the best feasible value so far as a line."""
    valued = [(trial, v) for trial in reading.trials if (v := reading.value(trial)) is not None]
    complete = [(t, v) for t, v in valued if t.state == TrialState.COMPLETE]
    feasible = [(t, v) for t, v in complete if reading.is_feasible(t)]
    infeasible = [(t, v) for t, v in complete if not reading.is_feasible(t)]
    pruned = [(t, v) for t, v in valued if reading.kind(t) == "pruned"]
    groups: tuple[tuple[str, Sequence[tuple[FrozenTrial, float]], Symbol, Colour], ...] = (
        ("infeasible", infeasible, "x", "orange"),
        ("pruned", pruned, "triangle", "purple"),
        ("feasible", feasible, "circle", "blue"),
    )
    marks = [
        Marks(
            f"{label} ({len(group)})",
            x=[trial.number for trial, _ in group],
            y=[value for _, value in group],
            colour=colour,
            symbol=symbol,
            hover=[f"{value_words(reading, trial)}\n{label}" for trial, _ in group],
            size=mark_size(len(reading.trials)),
        )
        for label, group, symbol, colour in groups
        if group
    ]
    lines = []
    if best := reading.best_first[:1]:
        last = reading.trials[-1].number
        numbers, values = zip(*((t.number, v) for t, v in feasible), strict=True)
        so_far = best_so_far(values, is_maximized=reading.is_maximized)
        lines.append(
            Line(
                f"best feasible ({so_far[-1]:.4g})",
                x=[*numbers, last],
                y=[*so_far, so_far[-1]],
                colour="green",
                is_step=True,
            )
        )
        marks.append(Marks("", [best[0].number], [so_far[-1]], "green", symbol="ring", size=14))
    drawn = [*marks, *_rugs(reading)]
    return room_above_rugs(
        Panel(
            x=TRIAL_AXIS,
            y=Axis(reading.metric_name),
            marks=drawn,
            lines=lines,
            note="" if drawn else _why_none(reading),
        )
    )


def mark_size(n_trials: int) -> float:
    """Pixels of a mark: smaller ones in a long study, where they would cover each other."""
    return 7.0 if n_trials <= MANY else 4.5


def best_so_far(values: Sequence[float], *, is_maximized: bool) -> list[float]:
    """The best of the values up to each of them."""
    return list(itertools.accumulate(values, max if is_maximized else min))


def value_words(reading: Reading, trial: FrozenTrial) -> str:
    """A trial and its value, for the hand that points at its mark."""
    value = reading.value(trial)
    words = "no value" if value is None else f"{reading.metric_name} {value:.4g}"
    return f"trial {trial.number}: {words}"


def _why_none(reading: Reading) -> str:
    if not reading.counted:
        return "no trial has finished"
    if not reading.has_one_objective:
        return "a study of several objectives: no value is drawn"
    return "no trial has a finite value"


def _rugs(reading: Reading) -> list[Marks]:
    rugs = []
    for row, (kind, symbol, colour) in enumerate(RUG_KINDS):
        numbers = [trial.number for trial in reading.trials if reading.kind(trial) == kind]
        if numbers:
            rugs.append(
                Marks(
                    f"{kind} ({len(numbers)})",
                    x=numbers,
                    y=(),
                    colour=colour,
                    symbol=symbol,
                    hover=[f"trial {number}: {kind}" for number in numbers],
                    rug_row=row,
                )
            )
    return rugs

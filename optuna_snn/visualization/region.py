"""The trust region over trials: how it shrank, grew and began anew."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from optuna_snn.drawing.pictures import Axis, Event, Line, Marks, Panel, Picture
from optuna_snn.search_trace import Ask, trace_of
from optuna_snn.visualization.reading import Reading, n_of
from optuna_snn.visualization.values import TRIAL_AXIS

__all__ = ["length_panel", "trust_region_picture"]

MOST_WORDS = 6
"""Restarts up to which each is told in words."""


def trust_region_picture(reading: Reading) -> Picture:
    """Length of the box at each ask, its restarts, and what the model predicted, if it did."""
    asks = trace_of(reading.trials)
    prediction = _prediction_panel(reading, asks)
    return Picture(
        "trust-region",
        "Trust region",
        panels=[length_panel(asks, height=280), *([prediction] if prediction.has_data else [])],
        notes=_notes(reading, asks),
        shares_x=True,
    )


def length_panel(asks: Sequence[Ask], *, height: int = 110) -> Panel:
    """The length of the box over the trials that were placed in one; a restart breaks the line."""
    in_box = [ask for ask in asks if not ask.is_initial]
    x: list[float] = []
    y: list[float | None] = []
    for before, ask in pairwise([None, *in_box]):
        if before is not None and ask is not None and before.epoch != ask.epoch:
            x.append(ask.number)
            y.append(None)
        if ask is not None:
            x.append(ask.number)
            y.append(ask.length)
    starts = _restarts(asks)
    return Panel(
        x=TRIAL_AXIS,
        y=Axis("length of the\ntrust region", scale="log2", range=_octaves(in_box)),
        lines=[Line("", x, y, "blue", is_step=True)] if in_box else [],
        marks=[_marks(in_box)] if in_box else [],
        events=[
            # Many words would cover each other.
            Event(number, f"restart {epoch}" if len(starts) <= MOST_WORDS else f"{epoch}")
            for epoch, number in starts
        ]
        if in_box
        else [],
        note="" if in_box else _why_none(asks),
        height=height,
    )


def _octaves(asks: Sequence[Ask]) -> tuple[float, float] | None:
    """A range with a power of 2 at either end, and so two ticks at least; a little beyond them."""
    if not asks:
        return None
    lengths = [ask.length for ask in asks]
    low, high = math.floor(math.log2(min(lengths))), math.ceil(math.log2(max(lengths)))
    margin = 0.06 * (max(high, low + 1) - low)
    return 2.0 ** (low - margin), 2.0 ** (max(high, low + 1) + margin)


def _marks(asks: Sequence[Ask]) -> Marks:
    return Marks(
        "",
        x=[ask.number for ask in asks],
        y=[ask.length for ask in asks],
        colour="blue",
        symbol="dot",
        size=4,
        hover=[
            f"trial {ask.number}\nlength {ask.length:.4g}\ncentre: "
            + ("none yet" if ask.center is None else f"trial {ask.center}")
            for ask in asks
        ],
    )


def _prediction_panel(reading: Reading, asks: Sequence[Ask]) -> Panel:
    """The predicted probability of feasibility, marked by what came of it."""
    by_number = {trial.number: trial for trial in reading.counted}
    groups: dict[bool, list[tuple[int, float]]] = {True: [], False: []}
    for ask in asks:
        trial = by_number.get(ask.number)
        if trial is not None and ask.predicted_feasible is not None:
            groups[reading.is_feasible(trial)].append((ask.number, ask.predicted_feasible))
    marks = [
        Marks(
            "was feasible" if is_feasible else "was infeasible",
            x=[number for number, _ in group],
            y=[p for _, p in group],
            colour="blue" if is_feasible else "orange",
            symbol="circle" if is_feasible else "x",
            size=6,
            hover=[f"trial {number}: predicted {p:.0%}" for number, p in group],
        )
        for is_feasible, group in groups.items()
        if group and reading.constraint_names
    ]
    return Panel(
        x=TRIAL_AXIS,
        y=Axis("predicted\nfeasibility", is_share=True, range=(-0.05, 1.05)),
        marks=marks,
        height=150,
    )


def _restarts(asks: Sequence[Ask]) -> list[tuple[int, int]]:
    """(restarts before it, number) of the first trial after each restart."""
    first: dict[int, int] = {}
    for ask in asks:
        first.setdefault(ask.epoch, ask.number)
    return [(epoch, number) for epoch, number in first.items() if epoch > 0]


def _why_none(asks: Sequence[Ask]) -> str:
    if asks:
        return f"all of the {n_of(len(asks), 'trial')} of SCBO belong to its initial design"
    return "no trial was chosen by SCBOSampler"


def _notes(reading: Reading, asks: Sequence[Ask]) -> list[str]:
    notes = ["Length: side of the box around the best trial, as a part of each parameter's range."]
    if any(ask.predicted_feasible is not None for ask in asks) and reading.constraint_names:
        notes.append(
            "Predicted feasibility: probability, by the model at the ask, that the trial "
            "keeps all constraints."
        )
    n_initial = sum(ask.is_initial for ask in asks)
    if n_initial:
        notes.append(f"Not in a box: {n_of(n_initial, 'trial')} of an initial design.")
    n_others = len(reading.trials) - len(asks)
    if n_others and asks:
        notes.append(
            f"{n_of(n_others, 'trial')} chosen otherwise, or before a parameter was known."
        )
    return notes

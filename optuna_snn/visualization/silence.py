"""Silent networks over trials: each layer's share of silent samples, and how many were stopped."""

from __future__ import annotations

import numpy as np

from optuna_snn.drawing.palette import LAYER_COLOURS
from optuna_snn.drawing.pictures import Axis, Line, Marks, Panel, Picture, Symbol
from optuna_snn.visualization.reading import Reading, n_of
from optuna_snn.visualization.values import TRIAL_AXIS, mark_size

__all__ = [
    "LAYER_SYMBOLS",
    "WINDOW",
    "layer_mark_size",
    "layer_names",
    "silent_share_picture",
    "stopped_share_panel",
]

WINDOW = 20
"""Finished trials over which the share of stopped ones is averaged."""

LAYER_SYMBOLS: tuple[Symbol, ...] = ("circle", "square", "triangle", "plus", "cross", "ring")
"""Beside LAYER_COLOURS, so that layers stay apart in black and white."""


def silent_share_picture(reading: Reading) -> Picture:
    """Shares of silent samples, layer by layer, above the share of networks that were stopped."""
    notes = [
        "Stopped networks: trials that were pruned as silent or saturated.",
        *_without_report(reading),
        *reading.unreadable_note(),
    ]
    return Picture(
        "silent-share",
        "Silent samples and stopped networks",
        panels=[_silent_samples_panel(reading), stopped_share_panel(reading)],
        notes=notes,
        shares_x=True,
    )


def stopped_share_panel(reading: Reading) -> Panel:
    """The share of trials that were stopped as silent or saturated, among the last WINDOW."""
    kinds = [reading.kind(trial) for trial in reading.counted]
    is_stopped = np.array([kind in ("silent", "saturated") for kind in kinds], dtype=float)
    total = np.concatenate([[0.0], np.cumsum(is_stopped)])
    end = np.arange(1, is_stopped.size + 1)
    start = np.maximum(0, end - WINDOW)
    share = (total[end] - total[start]) / (end - start)
    numbers = [trial.number for trial in reading.counted]
    return Panel(
        x=TRIAL_AXIS,
        y=Axis(f"stopped networks\n(of last {WINDOW})", is_share=True, range=(0.0, 1.03)),
        lines=[Line("", numbers, share.tolist(), "grey", is_filled=True)] if numbers else [],
        note="" if numbers else "no trial has finished",
        height=110,
    )


def layer_names(reading: Reading) -> list[str]:
    """The layers of all spike reports, in the order in which they appear."""
    names = (name for number in sorted(reading.reports) for name in reading.reports[number].layers)
    return list(dict.fromkeys(names))


def layer_mark_size(reading: Reading, i: int, n_layers: int) -> float:
    """Pixels of the marks of the i-th layer: larger ones first, of which a rim stays visible."""
    largest, smallest = (1.4, 0.8) if n_layers > 1 else (1.0, 1.0)
    share = i / max(1, n_layers - 1)
    return mark_size(len(reading.trials)) * (largest + (smallest - largest) * share)


def _silent_samples_panel(reading: Reading) -> Panel:
    marks = []
    names = layer_names(reading)
    for i, layer in enumerate(names):
        found = [
            (trial, share)
            for trial in reading.trials
            if (share := _silent_share(reading, trial.number, layer)) is not None
        ]
        marks.append(
            Marks(
                layer,
                x=[trial.number for trial, _ in found],
                y=[share for _, share in found],
                colour=LAYER_COLOURS[i % len(LAYER_COLOURS)],
                symbol=LAYER_SYMBOLS[i % len(LAYER_SYMBOLS)],
                hover=[
                    f"trial {trial.number}, {reading.kind(trial)}\n"
                    f"{layer}: {share:.1%} silent samples"
                    for trial, share in found
                ],
                size=layer_mark_size(reading, i, len(names)),
            )
        )
    return Panel(
        x=TRIAL_AXIS,
        y=Axis("silent samples (share)", is_share=True, range=(-0.04, 1.04)),
        marks=[each for each in marks if each.x],
        lines=_tolerated(reading) if any(each.x for each in marks) else [],
        note="" if any(each.x for each in marks) else "no trial has recorded spikes",
    )


def _silent_share(reading: Reading, number: int, layer: str) -> float | None:
    """Of the judged samples, of all seen while none was judged; None without any."""
    report = reading.reports.get(number)
    if report is None or layer not in report.layers:
        return None
    activity = report.layers[layer].activity
    tally = activity.judged if activity.judged.n_samples else activity.seen
    return tally.n_silent / tally.n_samples if tally.n_samples else None


def _tolerated(reading: Reading) -> list[Line]:
    """The tolerated share, where all layers of all trials have one and the same."""
    betas = {layer.beta for report in reading.reports.values() for layer in report.layers.values()}
    if len(betas) != 1:
        return []
    (beta,) = betas
    ends = (-0.5, reading.trials[-1].number + 0.5)
    label = f"tolerated (β = {beta:g})"
    return [Line(label, ends, (beta, beta), "ink", is_dashed=True, width=1.2)]


def _without_report(reading: Reading) -> list[str]:
    n = len(reading.counted) - sum(trial.number in reading.reports for trial in reading.counted)
    n -= len(reading.unreadable)
    if n <= 0 or not reading.reports:
        return []
    return [f"{n_of(n, 'finished trial')} without recorded spikes: in the lower panel only."]

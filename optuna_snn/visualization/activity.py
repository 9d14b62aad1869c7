"""Activity against the objective value: how many spikes a good network needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from optuna_snn.drawing.palette import LAYER_COLOURS
from optuna_snn.drawing.pictures import Axis, Marks, Panel, Picture, room_above_rugs
from optuna_snn.spikes.tally import BIN_STARTS, Tally
from optuna_snn.visualization.reading import Reading, n_of
from optuna_snn.visualization.silence import LAYER_SYMBOLS, layer_mark_size, layer_names
from optuna_snn.visualization.values import mark_size, value_words

__all__ = ["MeanSpikes", "activity_picture", "mean_spikes"]

LEAST_SHOWN = 0.01
"""Spikes per sample at which layers that fire less stand on the logarithmic axis."""


@dataclass(frozen=True)
class MeanSpikes:
    """Mean number of spikes per sample of a layer, which is known within bounds.

    The histogram is exact up to 20 spikes, and above that each sample lies in a bin
    (`spikes.tally`); `middle` takes the geometric middle of each bin.
    """

    low: float
    middle: float
    high: float


def activity_picture(reading: Reading, layers: Sequence[str] | None = None) -> Picture:
    """Spikes per sample of each layer against the value; stopped networks stand at the foot.

    Raises ValueError for a layer that no trial of the study has recorded, if any has some.
    """
    known = layer_names(reading)
    if layers is not None and known and (strange := [n for n in layers if n not in known]):
        raise ValueError(
            f"No trial has recorded a layer {strange[0]!r}; the study's are {', '.join(known)}."
        )
    shown = [name for name in known if layers is None or name in layers]
    marks = [
        each
        for i, layer in enumerate(shown)
        for each in _layer_marks(reading, layer, i, layer_mark_size(reading, i, len(shown)))
    ]
    panel = room_above_rugs(
        Panel(
            x=Axis("mean spikes per sample of the layer", scale="log"),
            y=Axis(reading.metric_name),
            marks=marks,
            note="" if marks else "no trial has recorded spikes",
            height=380,
        )
    )
    return Picture(
        "activity",
        f"Activity and {reading.metric_name}",
        panels=[panel],
        notes=_notes(reading, marks),
    )


def mean_spikes(tally: Tally) -> MeanSpikes | None:
    """The mean spikes per sample that a histogram tells of; None without a sample."""
    n = tally.n_samples
    if not n:
        return None
    # The last bin is open: samples in it are taken to have as many spikes as it begins with.
    ends = [*(start - 1 for start in BIN_STARTS[1:]), BIN_STARTS[-1]]
    low = sum(k * start for k, start in zip(tally.histogram, BIN_STARTS, strict=True)) / n
    high = sum(k * end for k, end in zip(tally.histogram, ends, strict=True)) / n
    middle = (
        sum(
            k * (a if a == b else (a * b) ** 0.5)
            for k, a, b in zip(tally.histogram, BIN_STARTS, ends, strict=True)
        )
        / n
    )
    return MeanSpikes(low, middle, high)


def _layer_marks(reading: Reading, layer: str, i: int, size: float) -> list[Marks]:
    """The marks of one layer: feasible and infeasible trials, and those without a value."""
    colour = LAYER_COLOURS[i % len(LAYER_COLOURS)]
    groups: dict[str, list[tuple[FrozenTrial, MeanSpikes]]] = {
        "feasible": [],
        "infeasible": [],
        "stopped": [],
    }
    for trial in reading.counted:
        report = reading.reports.get(trial.number)
        if report is None or layer not in report.layers:
            continue
        activity = report.layers[layer].activity
        judged = activity.judged if activity.judged.n_samples else activity.seen
        mean = mean_spikes(judged)
        if mean is None:
            continue
        if trial.state == TrialState.PRUNED:
            groups["stopped"].append((trial, mean))
        elif reading.value(trial) is not None:
            groups["feasible" if reading.is_feasible(trial) else "infeasible"].append(
                (trial, mean)
            )
    marks = []
    for group, found in groups.items():
        if not found:
            continue
        is_rug = group == "stopped"
        marks.append(
            Marks(
                f"{layer}, {group} ({len(found)})",
                x=[max(LEAST_SHOWN, mean.middle) for _, mean in found],
                y=() if is_rug else [reading.value(trial) or 0.0 for trial, _ in found],
                colour=colour,
                symbol={"feasible": LAYER_SYMBOLS[i % len(LAYER_SYMBOLS)], "infeasible": "x"}.get(
                    group, "bar"
                ),
                hover=[_words(reading, trial, layer, mean) for trial, mean in found],
                x_range=()
                if is_rug
                else [(max(LEAST_SHOWN, m.low), max(LEAST_SHOWN, m.high)) for _, m in found],
                rug_row=i if is_rug else None,
                size=mark_size(len(reading.trials)) if is_rug else size,
            )
        )
    return marks


def _words(reading: Reading, trial: FrozenTrial, layer: str, mean: MeanSpikes) -> str:
    spikes = f"{mean.middle:.3g}"
    if mean.high > mean.low:
        spikes = f"{mean.low:.3g} to {mean.high:.3g}"
    value, kind = value_words(reading, trial), reading.kind(trial)
    return f"{value}\n{layer}: {spikes} spikes per sample\n{kind}"


def _notes(reading: Reading, marks: Sequence[Marks]) -> list[str]:
    notes = [*reading.left_out(), *reading.unreadable_note()]
    if not marks:
        return notes
    notes.append("Bars at the foot: trials that were pruned, and have no final value.")
    if any(low < high for each in marks for low, high in each.x_range):
        notes.append("Thin lines: the mean lies within, as counts above 20 are stored in bins.")
    n_dead = sum(x <= LEAST_SHOWN for each in marks for x in each.x)
    if n_dead:
        notes.append(
            f"At {LEAST_SHOWN:g}: {n_of(n_dead, 'mark')} of layers that fired less, or never."
        )
    return notes

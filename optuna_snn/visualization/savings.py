"""Training samples that stopping silent and saturated networks has saved."""

from __future__ import annotations

from itertools import accumulate

from optuna.trial import TrialState

from optuna_snn.drawing.pictures import Axis, Band, Line, Panel, Picture
from optuna_snn.visualization.reading import Reading, n_of

__all__ = ["samples_saved_picture"]


def samples_saved_picture(reading: Reading) -> Picture:
    """Samples of all trainings so far, as planned and without those that stopping saved."""
    found: list[tuple[int, int, int]] = []
    for trial in reading.counted:
        report = reading.reports.get(trial.number)
        if report is None or report.planned_samples is None:
            continue
        saved = report.samples_saved or 0
        # A trial that completed was not spared what the rule would have saved.
        found.append(
            (
                trial.number,
                report.planned_samples,
                saved if trial.state == TrialState.PRUNED else 0,
            )
        )
    numbers = [number for number, _, _ in found]
    planned = list(accumulate(plan for _, plan, _ in found))
    total_saved = list(accumulate(less for _, _, less in found))
    spent = [plan - less for plan, less in zip(planned, total_saved, strict=True)]
    n_without = len(reading.counted) - len(found)
    notes = [*reading.unreadable_note()]
    title = "Training samples saved by early stopping"
    if found:
        share = total_saved[-1] / max(1, planned[-1])
        title += f": {total_saved[-1]:,} of {planned[-1]:,} ({share:.0%})"
        if n_without:
            n = n_of(n_without, "finished trial")
            notes.append(f"{n} without spikes or without planned samples: not counted.")
    panel = Panel(
        x=Axis("trial number", is_whole=True),
        y=Axis("training samples, all trials so far", is_whole=True),
        lines=[
            Line("planned", numbers, planned, "grey", is_step=True, is_dashed=True),
            Line("with early stopping", numbers, spent, "blue", is_step=True),
        ]
        if found
        else [],
        bands=[Band("saved", numbers, spent, planned, "green", is_step=True)] if found else [],
        note="" if found else "no finished trial has told its planned samples",
    )
    return Picture("samples-saved", title, panels=[panel], notes=notes)

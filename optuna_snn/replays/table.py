"""Replays of a study, as a table in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from optuna_snn.replays.study import Replay
from optuna_snn.spikes.trace import MAX_SEGMENTS

__all__ = ["print_replays"]

OPTIONS = ("alpha", "beta", "rule", "delta", "warmup", "min_samples", "epoch_size", "over_layers")


def print_replays(console: Console, replays: Sequence[Replay], metric_name: str) -> None:
    """Print one row for each replay; all are of one study."""
    values = {o: [getattr(r.settings, o) for r in replays] for o in OPTIONS}
    shown = [o for o in OPTIONS if len(set(values[o])) > 1]
    fixed = [f"{o} {values[o][0]}" for o in OPTIONS if o not in shown and values[o][0] is not None]
    console.print(f"Asked: {', '.join(fixed) or 'the rule as it was'}; what is not given, as run.")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for option in shown:
        table.add_column(option, justify="right")
    for column in ("stopped", "kept", "unknown", "saved", "good lost"):
        table.add_column(column, justify="right")
    table.add_column(f"best {metric_name} kept", justify="right")
    for each in replays:
        options = (getattr(each.settings, option) for option in shown)
        table.add_row(
            *("as run" if value is None else f"{value}" for value in options),
            str(each.n_stopped),
            str(each.n_kept),
            str(each.n_unknown),
            _saved(each),
            _good_lost(each),
            "-" if each.best_value_kept is None else f"{each.best_value_kept:.4g}",
        )
    console.print(table)
    for note in _notes(replays):
        console.print(note, style="dim")


def _notes(replays: Sequence[Replay]) -> list[str]:
    """What the columns mean, in this study."""
    first = replays[0]
    ranked = first.ranked()
    notes = [f"{len(first.trials)} finished trials with a spike report"]
    if first.n_without_report:
        notes[0] += (
            f"; {first.n_without_report} without one, not finished, or tried again are left out"
        )
    notes.append("saved: part of the samples of full trainings, where spent and planned are known")
    if ranked:
        best, last = ranked[0].value, ranked[first.n_good - 1].value
        part = f"the best {first.n_good} of {len(ranked)} complete trials"
        notes.append(f"good: {part}, {best:.4g} to {last:.4g}")
    notes.append(
        "kept: not stopped at the moments of which the spikes are stored; silence that came and "
        "went between two of them is not seen"
    )
    if n_cut := max(each.n_cut for each in replays):
        notes.append(
            f"unknown: {n_cut} were trained for longer than their stored traces reach, which end "
            f"after {MAX_SEGMENTS} segments, of which each epoch has one or more"
        )
    if any(each.n_unknown > each.n_cut for each in replays):
        notes.append(
            "unknown: stopped too early to tell, or alpha within a bin of the histogram; "
            'rule="record" stops nothing, and bins are exact up to 20 spikes'
        )
    return notes


def _good_lost(replay: Replay) -> str:
    """The good networks that are lost, as a range where that is not known of all."""
    least, n_unknown = replay.n_good_lost, replay.n_good_unknown
    most = f" to {least + n_unknown}" if n_unknown else ""
    return f"{least}{most} of {replay.n_good}"


def _saved(replay: Replay) -> str:
    planned = replay.samples_planned
    return "-" if planned == 0 else f"{replay.samples_saved / planned:.1%}"

"""How a run looks while it lasts: a live table on a terminal, else one line per finished trial."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, Self

from optuna.trial import FrozenTrial
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from optuna_snn.workers.failures import fail_reason
from optuna_snn.workers.progress import Progress, kind_of, saturated_layers, silent_layers
from optuna_snn.workers.slot import SlotState

__all__ = ["Display", "Heading", "LiveDisplay", "PlainDisplay", "clock", "outcome_words"]

N_FINISHED_ROWS = 8

STYLES = {
    "complete": "green",
    "silent": "blue",
    "saturated": "magenta",
    "pruned": "cyan",
    "failed": "red",
    "running": "bold",
    "waiting": "dim",
}


@dataclass(frozen=True)
class Heading:
    """What stays the same while a run lasts."""

    study_name: str
    storage: str
    metric_name: str
    n_trials: int
    n_workers: int
    log_folder: Path


class Display(Protocol):
    """Shows a run; used as a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    def show(self, progress: Progress, slots: Sequence[SlotState]) -> None:
        """Show the present state; called about twice a second."""

    def note(self, text: str) -> None:
        """Show a remark that stays."""


class PlainDisplay:
    """One line per finished trial, for logs and pipes."""

    def __init__(self, heading: Heading, console: Console | None = None) -> None:
        self._heading = heading
        self._console = console or Console()
        self._started_at = time.monotonic()
        self._shown: set[int] | None = None

    def __enter__(self) -> Self:
        head = self._heading
        self.note(f"study {head.study_name} in {head.storage}, {head.n_workers} workers")
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def show(self, progress: Progress, slots: Sequence[SlotState]) -> None:
        """Print a line for each trial that finished since the last call."""
        if self._shown is None:
            # Trials of earlier runs are counted, not listed.
            self._shown = {trial.number for trial in progress.finished}
            self.note(self._counts(progress))
            return
        for trial in progress.finished:
            if trial.number not in self._shown:
                self._shown.add(trial.number)
                self.note(f"{_line(trial, self._heading)}  |  {self._counts(progress)}")

    def note(self, text: str) -> None:
        """Print a line as it is."""
        self._console.print(Text(text), soft_wrap=True)

    def _counts(self, progress: Progress) -> str:
        parts = [f"{progress.n_counted}/{self._heading.n_trials} trials", *_counts(progress)]
        if progress.best is not None:
            parts.append(f"best {_value(progress.best)}")
        return ", ".join(parts)


class LiveDisplay:
    """A table that is drawn anew in place."""

    def __init__(self, heading: Heading, console: Console) -> None:
        self._heading = heading
        self._console = console
        self._started_at = time.monotonic()
        self._has_begun = False
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def show(self, progress: Progress, slots: Sequence[SlotState]) -> None:
        """Draw the table."""
        self._live.update(Group(self._summary(progress, slots), self._trials(progress)))
        self._live.refresh()

    def note(self, text: str) -> None:
        """Print a line above the table."""
        self._console.print(Text(text, style="yellow"))

    def _summary(self, progress: Progress, slots: Sequence[SlotState]) -> RenderableType:
        head = self._heading
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", justify="right")
        grid.add_column()
        grid.add_row("study", escape(f"{head.study_name} in {head.storage}"))
        kinds = "  ".join(
            f"[{STYLES[kind]}]{progress.n_by_kind[kind]} {kind}[/]" for kind in _kinds(progress)
        )
        grid.add_row("trials", f"[bold]{progress.n_counted}/{head.n_trials}[/]  {kinds}")
        best = progress.best
        grid.add_row(
            f"best feasible {escape(head.metric_name)}",
            "none yet" if best is None else f"[bold]{_value(best)}[/]  (trial {best.number})",
        )
        grid.add_row("saved by early stopping", saved_words(progress))
        n_alive = sum(state is SlotState.RUNNING for state in slots)
        elapsed = clock(time.monotonic() - self._started_at)
        grid.add_row("elapsed", f"{elapsed}, {n_alive} of {head.n_workers} workers running")
        return grid

    def _trials(self, progress: Progress) -> RenderableType:
        table = Table(box=None, padding=(0, 2), header_style="dim")
        table.add_column("trial", justify="right")
        table.add_column("state")
        table.add_column(self._heading.metric_name, justify="right")
        table.add_column("silent or saturated")
        table.add_column("time", justify="right")
        for trial in (*progress.finished[-N_FINISHED_ROWS:], *progress.running):
            kind = kind_of(trial)
            table.add_row(
                str(trial.number),
                Text(outcome_words(trial), style=STYLES[kind]),
                _value(trial),
                _layers_words(trial),
                clock(_seconds(trial)),
            )
        self._has_begun = self._has_begun or bool(progress.running)
        if not self._has_begun:
            table.add_row("", Text("workers are starting", style="dim"), "", "", "")
        return table


def outcome_words(trial: FrozenTrial) -> str:
    """How a trial ended, in a few words."""
    kind = kind_of(trial)
    if kind == "failed":
        return f"failed: {fail_reason(trial)}"
    violated = any(value > 0.0 for value in trial.constraints.values())
    return "complete, infeasible" if kind == "complete" and violated else kind


def saved_words(progress: Progress) -> str:
    """The samples that early stopping saved, and their share of those planned."""
    if not progress.samples_planned:
        return "-"
    share = progress.samples_saved / progress.samples_planned
    saved, planned = f"{progress.samples_saved:,}", f"{progress.samples_planned:,}"
    return f"{saved} of {planned} training samples ({share:.0%})"


def clock(seconds: float | None) -> str:
    """Seconds as 1:02 or 1:02:03; empty if unknown."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _kinds(progress: Progress) -> list[str]:
    """Kinds worth showing: the usual ones always, the others when they occur."""
    usual = ("complete", "silent", "failed", "running")
    return [kind for kind in STYLES if kind in usual or progress.n_by_kind[kind]]


def _counts(progress: Progress) -> list[str]:
    return [f"{progress.n_by_kind[kind]} {kind}" for kind in _kinds(progress)]


def _line(trial: FrozenTrial, heading: Heading) -> str:
    words = [f"trial {trial.number}", outcome_words(trial)]
    if layers := _layers_words(trial):
        words[-1] += f" ({layers})"
    if trial.value is not None:
        words.append(f"{heading.metric_name} {_value(trial)}")
    if (seconds := _seconds(trial)) is not None:
        words.append(clock(seconds))
    return "  ".join(words)


def _layers_words(trial: FrozenTrial) -> str:
    """The layers that violate a constraint on their spikes."""
    saturated = (f"{name} saturated" for name in saturated_layers(trial))
    return ", ".join([*silent_layers(trial), *saturated])


def _value(trial: FrozenTrial) -> str:
    return "" if trial.value is None else f"{trial.value:.4g}"


def _seconds(trial: FrozenTrial) -> float | None:
    if trial.datetime_start is None:
        return None
    return ((trial.datetime_complete or datetime.now()) - trial.datetime_start).total_seconds()

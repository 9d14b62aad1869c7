"""A run on a terminal: tables of workers and trials that are drawn anew in place."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from optuna_snn.workers.display.plain import Heading
from optuna_snn.workers.display.progress import Progress, kind_of
from optuna_snn.workers.display.words import (
    KIND_STYLES,
    away_words,
    clock,
    layer_words,
    n_words,
    outcome_words,
    saved_words,
    seconds_of,
    shown_kinds,
    value_words,
)
from optuna_snn.workers.supervisor.crew import WorkerView
from optuna_snn.workers.supervisor.slot import SlotState

__all__ = ["LiveDisplay"]

N_FINISHED_ROWS = 8

N_WORKER_ROWS = 16
"""More workers than that are counted, not listed: a terminal has some forty lines."""

STATE_STYLES = {
    SlotState.WAITING: "yellow",
    SlotState.RUNNING: "green",
    SlotState.RESTARTING: "yellow",
    SlotState.FINISHED: "dim",
    SlotState.STOPPED: "dim",
    SlotState.FAILED_IN_A_ROW: "red",
    SlotState.REFUSED: "red",
    SlotState.GIVEN_UP: "red",
}


class LiveDisplay:
    """Tables of workers and trials that are drawn anew in place."""

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

    def show(
        self, progress: Progress, workers: Sequence[WorkerView], away_since: datetime | None
    ) -> None:
        """Draw the tables."""
        parts = [self._summary(progress, workers), self._workers(workers), self._trials(progress)]
        if away_since is not None:
            parts.append(Text(away_words(away_since), style="bold red"))
        self._live.update(Group(*parts))
        self._live.refresh()

    def note(self, text: str) -> None:
        """Print a line above the tables."""
        self._console.print(Text(text, style="yellow"))

    def _summary(self, progress: Progress, workers: Sequence[WorkerView]) -> RenderableType:
        head = self._heading
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", justify="right")
        grid.add_column()
        goal = f"{head.direction} {head.metric_name}"
        grid.add_row("study", escape(f"{head.study_name} in {head.storage}, {goal}"))
        kinds = "  ".join(
            f"[{KIND_STYLES[kind]}]{progress.n_by_kind[kind]} {kind}[/]"
            for kind in shown_kinds(progress)
        )
        grid.add_row("trials", f"[bold]{progress.n_counted}/{head.n_trials}[/]  {kinds}")
        best = progress.best
        grid.add_row(
            f"best feasible {escape(head.metric_name)}",
            "none yet" if best is None else f"[bold]{value_words(best)}[/]  (trial {best.number})",
        )
        grid.add_row("saved by early stopping", saved_words(progress))
        n_alive = sum(worker.state is SlotState.RUNNING for worker in workers)
        elapsed = clock(time.monotonic() - self._started_at)
        grid.add_row("elapsed", f"{elapsed}, {n_alive} of {n_words(len(workers))} running")
        return grid

    def _workers(self, workers: Sequence[WorkerView]) -> RenderableType:
        """A row for each worker of this run; those of others show by their trials."""
        has_devices = any(worker.device for worker in workers)
        table = Table(box=None, padding=(0, 2), header_style="dim")
        table.add_column("worker", justify="right")
        if has_devices:
            table.add_column("device")
        table.add_column("pid", justify="right")
        table.add_column("state")
        table.add_column("trial", justify="right")
        table.add_column("since", justify="right")
        table.add_column("restarts", justify="right")
        for worker in workers[:N_WORKER_ROWS]:
            trial = worker.trial
            table.add_row(
                str(worker.index),
                *([worker.device] if has_devices else []),
                "" if worker.pid is None else str(worker.pid),
                Text(worker.state.value, style=STATE_STYLES[worker.state]),
                "" if trial is None else str(trial.number),
                "" if trial is None else clock(seconds_of(trial)),
                str(worker.n_restarts or ""),
            )
        if len(workers) > N_WORKER_ROWS:
            table.add_row("...", Text(f"{len(workers) - N_WORKER_ROWS} more", style="dim"))
        return table

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
                Text(outcome_words(trial), style=KIND_STYLES[kind]),
                value_words(trial),
                layer_words(trial),
                clock(seconds_of(trial)),
            )
        self._has_begun = self._has_begun or bool(progress.running)
        if not self._has_begun:
            table.add_row("", Text("workers are starting", style="dim"), "", "", "")
        return table

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
"""Most finished trials, the last ones; fewer where the terminal has no room for them."""
N_LEAST_ROWS = 2
"""Least rows of each table, however low the terminal is."""

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
        above = [self._summary(progress, workers)]
        if away_since is not None:
            above.append(Text(away_words(away_since), style="bold red"))
        n_above = sum(len(self._console.render_lines(part)) for part in above)
        n_heads = 2
        n_trials = min(len(progress.finished), N_FINISHED_ROWS) + max(len(progress.running), 1)
        n_rows = n_rows_of_two(self._console.height - n_above - n_heads, len(workers), n_trials)
        tables = self._workers(workers, n_rows[0]), self._trials(progress, n_rows[1])
        self._live.update(Group(*above, *tables))
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

    def _workers(self, workers: Sequence[WorkerView], n_rows: int) -> RenderableType:
        """A row for each worker of this run; those of others show by their trials.

        If there are more than `n_rows`, the last row says how many.
        """
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
        n_listed = n_fitting(len(workers), n_rows)
        for worker in workers[:n_listed]:
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
        if n_listed < len(workers):
            table.add_row("...", Text(f"{len(workers) - n_listed} more", style="dim"))
        return table

    def _trials(self, progress: Progress, n_rows: int) -> RenderableType:
        """The last finished trials, in at most half of the rows if need be, and running ones."""
        table = Table(box=None, padding=(0, 2), header_style="dim")
        table.add_column("trial", justify="right", no_wrap=True)
        table.add_column("state")  # its texts are cut, no other column's
        table.add_column(Text(self._heading.metric_name), justify="right", no_wrap=True)
        table.add_column("silent or saturated", no_wrap=True)
        table.add_column("time", justify="right", no_wrap=True)
        n_running = len(progress.running)
        n_finished = min(N_FINISHED_ROWS, max(n_rows - n_running, n_rows // 2))
        finished = progress.finished[-n_finished:]
        n_listed = n_fitting(n_running, n_rows - len(finished))
        for trial in (*finished, *progress.running[:n_listed]):
            kind = kind_of(trial)
            table.add_row(
                str(trial.number),
                Text(outcome_words(trial), KIND_STYLES[kind], no_wrap=True, overflow="ellipsis"),
                value_words(trial),
                layer_words(trial),
                clock(seconds_of(trial)),
            )
        if n_listed < n_running:
            table.add_row("...", Text(f"{n_running - n_listed} more running", style="dim"))
        self._has_begun = self._has_begun or bool(progress.running)
        if not self._has_begun:
            table.add_row("", Text("workers are starting", style="dim"), "", "", "")
        return table


def n_rows_of_two(n_free: int, n_first: int, n_second: int) -> tuple[int, int]:
    """Most rows of two tables: half of those that are free, and what the other does not need."""
    first = max(n_free - n_second, n_free // 2, N_LEAST_ROWS)
    return first, max(n_free - min(n_first, first), N_LEAST_ROWS)


def n_fitting(n: int, n_rows: int) -> int:
    """How many of n are listed in so many rows, of which one counts those that are not."""
    return n if n <= n_rows else max(n_rows - 1, 0)

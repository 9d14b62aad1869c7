"""How a run looks while it lasts: what a display is, and the plain one for logs and pipes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, Self

from optuna.trial import FrozenTrial
from rich.console import Console
from rich.text import Text

from optuna_snn.workers.display.progress import Progress
from optuna_snn.workers.display.words import (
    away_words,
    clock,
    count_words,
    layer_words,
    n_words,
    outcome_words,
    seconds_of,
    value_words,
)
from optuna_snn.workers.supervisor.crew import WorkerView

__all__ = ["Display", "Heading", "PlainDisplay"]


@dataclass(frozen=True)
class Heading:
    """What stays the same while a run lasts."""

    study_name: str
    storage: str
    metric_name: str
    direction: str
    n_trials: int
    n_workers: int
    log_folder: Path


class Display(Protocol):
    """Shows a run; used as a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    def show(
        self, progress: Progress, workers: Sequence[WorkerView], away_since: datetime | None
    ) -> None:
        """Show the present state; called about twice a second.

        Args:
            progress: the study when it was last read.
            workers: the workers of this run.
            away_since: local time since which the database has not answered, None if it does.
        """

    def note(self, text: str) -> None:
        """Show a remark that stays."""


class PlainDisplay:
    """One line per finished trial, for logs and pipes."""

    def __init__(self, heading: Heading, console: Console | None = None) -> None:
        self._heading = heading
        self._console = console or Console()
        self._shown: set[int] | None = None
        self._is_away = False

    def __enter__(self) -> Self:
        head = self._heading
        self.note(
            f"study {head.study_name} in {head.storage}, {head.direction} {head.metric_name}, "
            f"{n_words(head.n_workers)}"
        )
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def show(
        self, progress: Progress, workers: Sequence[WorkerView], away_since: datetime | None
    ) -> None:
        """Print a line for each trial that finished since the last call."""
        if self._is_away != (away_since is not None):
            self._is_away = away_since is not None
            self.note(away_words(away_since) if away_since else "the database answers again")
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
        parts = [f"{progress.n_counted}/{self._heading.n_trials} trials", *count_words(progress)]
        if progress.best is not None:
            parts.append(f"best {value_words(progress.best)}")
        return ", ".join(parts)


def _line(trial: FrozenTrial, heading: Heading) -> str:
    words = [f"trial {trial.number}", outcome_words(trial)]
    if layers := layer_words(trial):
        words[-1] += f" ({layers})"
    if trial.value is not None:
        words.append(f"{heading.metric_name} {value_words(trial)}")
    if (seconds := seconds_of(trial)) is not None:
        words.append(clock(seconds))
    return "  ".join(words)

"""A display goes quiet when nobody can see it any more: the run goes on.

A closed terminal, the end of a pipe's reader and a full disk are no reasons to give up trainings.
A closed terminal stops a run by its signal, HUP, with the time that `--stop-grace` gives.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Self

from optuna_snn.workers.display.plain import Display
from optuna_snn.workers.display.progress import Progress
from optuna_snn.workers.supervisor.crew import WorkerView

__all__ = ["SteadyDisplay", "shown_if_possible"]


GONE = (OSError, SystemExit)
"""What is raised where nobody can see the output; the second by Rich, at the end of a pipe."""


@contextmanager
def shown_if_possible() -> Iterator[None]:
    """Leave out what the block cannot show, and all that this process prints from then on."""
    try:
        yield
    except GONE:
        _print_nowhere()


class SteadyDisplay:
    """A display whose errors in writing end it, and nothing else."""

    def __init__(self, display: Display) -> None:
        self._display: Display | None = display

    def __enter__(self) -> Self:
        with self._until_it_fails() as display:
            if display is not None:
                display.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        with self._until_it_fails() as display:
            if display is not None:
                display.__exit__(*exception)

    def show(
        self, progress: Progress, workers: Sequence[WorkerView], away_since: datetime | None
    ) -> None:
        """See `Display`."""
        with self._until_it_fails() as display:
            if display is not None:
                display.show(progress, workers, away_since)

    def note(self, text: str) -> None:
        """See `Display`."""
        with self._until_it_fails() as display:
            if display is not None:
                display.note(text)

    @contextmanager
    def _until_it_fails(self) -> Iterator[Display | None]:
        """The display, None once it has failed."""
        try:
            yield self._display
        except GONE:
            self._display = None
            _print_nowhere()


def _print_nowhere() -> None:
    """Else the interpreter fails when it flushes what is left, and ends with another code."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)

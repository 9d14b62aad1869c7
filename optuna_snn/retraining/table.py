"""Retrained trials as a table in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from optuna_snn.retraining.results import RetrainedTrial

__all__ = ["print_retrained"]


def print_retrained(
    console: Console, trials: Sequence[RetrainedTrial], *, metric_name: str
) -> None:
    """Print a row for each trial: its value in the study, test accuracy, spikes, failures."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("trial", justify="right")
    table.add_column(f"validation {escape(metric_name)}", justify="right")
    table.add_column("test accuracy", justify="right", no_wrap=True)
    table.add_column("repeats", justify="right")
    table.add_column("spikes of a test sample")  # of many layers; the one that may be folded
    for trial in trials:
        table.add_row(
            str(trial.number),
            f"{trial.validation:.4g}",
            _accuracy(trial),
            str(len(trial.test_accuracies)),
            ", ".join(f"{escape(name)} {mean:.4g}" for name, mean in trial.spikes.items()) or "-",
        )
    console.print(table)
    for trial in trials:
        for repeat in trial.repeats:
            if repeat.error is not None:
                console.print(
                    f"trial {trial.number}, repeat {repeat.index} failed: {repeat.error}",
                    style="yellow",
                    markup=False,
                    soft_wrap=True,
                )
    console.print(
        "test accuracy: mean ± standard deviation over repeats, each trained on training and "
        "validation samples; the validation figure is the best of many and too good",
        style="dim",
        soft_wrap=True,
    )


def _accuracy(trial: RetrainedTrial) -> str:
    if trial.mean is None:
        return "-"
    return f"{trial.mean:.4f}" + ("" if trial.spread is None else f" ± {trial.spread:.4f}")

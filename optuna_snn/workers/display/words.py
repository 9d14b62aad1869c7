"""Trials and runs in a few words, as displays and summaries show them."""

from __future__ import annotations

from datetime import datetime

from optuna.trial import FrozenTrial

from optuna_snn.workers.display.progress import Progress, kind_of, saturated_layers, silent_layers
from optuna_snn.workers.failures import fail_reason

__all__ = [
    "KIND_STYLES",
    "away_words",
    "clock",
    "count_words",
    "layer_words",
    "n_words",
    "outcome_words",
    "saved_words",
    "seconds_of",
    "shown_kinds",
    "value_words",
]

KIND_STYLES = {
    "complete": "green",
    "silent": "blue",
    "saturated": "magenta",
    "pruned": "cyan",
    "failed": "red",
    "running": "bold",
    "waiting": "dim",
}


def outcome_words(trial: FrozenTrial) -> str:
    """How a trial ended, in a few words."""
    kind = kind_of(trial)
    if kind == "failed":
        return f"failed: {fail_reason(trial)}"
    violated = any(value > 0.0 for value in trial.constraints.values())
    return "complete, infeasible" if kind == "complete" and violated else kind


def away_words(since: datetime) -> str:
    """That the database has not answered for a while."""
    seconds = (datetime.now() - since).total_seconds()
    return (
        f"the database has not answered since {since:%H:%M:%S} ({clock(seconds)}); workers train "
        "on and wait for it"
    )


def n_words(n_workers: int) -> str:
    """The number of workers in words."""
    return "1 worker" if n_workers == 1 else f"{n_workers} workers"


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


def shown_kinds(progress: Progress) -> list[str]:
    """Kinds worth showing: the usual ones always, the others when they occur."""
    usual = ("complete", "silent", "failed", "running")
    return [kind for kind in KIND_STYLES if kind in usual or progress.n_by_kind[kind]]


def count_words(progress: Progress) -> list[str]:
    """The number of trials of each kind worth showing."""
    return [f"{progress.n_by_kind[kind]} {kind}" for kind in shown_kinds(progress)]


def layer_words(trial: FrozenTrial) -> str:
    """The layers that violate a constraint on their spikes."""
    saturated = (f"{name} saturated" for name in saturated_layers(trial))
    return ", ".join([*silent_layers(trial), *saturated])


def value_words(trial: FrozenTrial) -> str:
    """The objective value, empty if there is none."""
    return "" if trial.value is None else f"{trial.value:.4g}"


def seconds_of(trial: FrozenTrial) -> float | None:
    """How long a trial took, or has taken so far; None if it has not begun."""
    if trial.datetime_start is None:
        return None
    return ((trial.datetime_complete or datetime.now()) - trial.datetime_start).total_seconds()

"""What a run leaves on the screen: how it ended, the best trials, the files, what to do next."""

from __future__ import annotations

import os
from pathlib import Path

import optuna
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from optuna_snn.workers.display.dashboard import dashboard_command
from optuna_snn.workers.display.progress import Progress, best_trials
from optuna_snn.workers.display.words import saved_words
from optuna_snn.workers.storage.opening import database_file
from optuna_snn.workers.supervisor.outcome import RunEnd, RunOutcome

__all__ = ["print_summary"]

N_BEST = 3


def print_summary(console: Console, outcome: RunOutcome, *, figure: str) -> None:
    """Print the end of a run.

    Args:
        console: where to.
        outcome: the run.
        figure: path of the study's figure, or why there is none.
    """
    console.print()
    if outcome.end in (RunEnd.FAILED_IN_A_ROW, RunEnd.WORKERS_LOST):
        console.print(
            Text(f"error: {outcome.end.value}; the last error: {outcome.detail}", style="red"),
            soft_wrap=True,
        )
    console.print(_best_table(outcome.study))
    for label, words in _facts(outcome, figure):
        # Never wrapped: paths and commands are there to be copied.
        console.print(Text.assemble((f"{label:<25}", "dim"), words), soft_wrap=True)


def _facts(outcome: RunOutcome, figure: str) -> list[tuple[str, str]]:
    progress = outcome.progress
    facts = [
        ("run", f"{outcome.end.value}; {_next_step(outcome)}"),
        ("study", _counts(progress)),
        ("saved by early stopping", saved_words(progress)),
        ("figure", figure),
        ("dashboard", dashboard_command(outcome.url)),
    ]
    if outcome.files.log_folder.is_dir():
        facts.append(("worker logs", _short(outcome.files.log_folder)))
    if outcome.n_late:
        facts.append(("late results", _late_words(outcome)))
    return facts


def _late_words(outcome: RunOutcome) -> str:
    """Where the results are; workers of other machines may have written to files of theirs."""
    file = outcome.files.late_results
    place = f"in {_short(file)}" if file.exists() else "as attributes of the study"
    return f"{outcome.n_late} could not be stored in their trials; kept {place}"


def _next_step(outcome: RunOutcome) -> str:
    is_file = database_file(outcome.url) is not None
    anew = "--new" if is_file else "another --study-name"
    more = f"--n-trials with a larger number continues it, {anew} begins anew"
    match outcome.end:
        case RunEnd.BUDGET_MET if outcome.n_new == 0:
            return f"nothing was left to do: {more}"
        case RunEnd.BUDGET_MET:
            return f"{outcome.n_new} new trials; {more}"
        case RunEnd.STOPPED if outcome.stop_signal is not None:
            return (
                f"by {outcome.stop_signal.name}; {outcome.n_new} new trials; the same command "
                "continues it"
            )
        case RunEnd.STOPPED | RunEnd.TIMED_OUT:
            return f"{outcome.n_new} new trials; the same command continues it"
        case _:
            return f"{outcome.n_new} new trials; the same command continues it once that is mended"


def _counts(progress: Progress) -> str:
    kinds = ", ".join(
        f"{progress.n_by_kind[kind]} {kind}"
        for kind in ("complete", "silent", "saturated", "pruned", "failed", "running", "waiting")
        if progress.n_by_kind[kind] or kind in ("complete", "silent", "failed")
    )
    infeasible = f" ({progress.n_infeasible} of the complete ones infeasible)"
    return kinds + (infeasible if progress.n_infeasible else "")


def _best_table(study: optuna.Study) -> Table | Text:
    trials = study.get_trials(deepcopy=False)
    best = best_trials(trials, study.direction.name.lower(), N_BEST)
    if not best:
        return Text("No feasible trial yet.", style="yellow")
    table = Table(
        title="Best feasible trials", title_justify="left", box=None, padding=(0, 2, 0, 0)
    )
    table.add_column("trial", justify="right")
    table.add_column(escape((study.metric_names or ["value"])[0]), justify="right")
    table.add_column("parameters")
    for trial in best:
        params = ", ".join(f"{name}={_param(value)}" for name, value in trial.params.items())
        table.add_row(str(trial.number), f"{trial.value:.4g}", escape(params))
    return table


def _param(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _short(path: Path) -> str:
    """A path as seen from the current folder, if that is shorter."""
    return min(str(path), os.path.relpath(path), key=len)

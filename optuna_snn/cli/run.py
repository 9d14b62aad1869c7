"""`optuna-snn run` and `optuna-snn worker`."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from optuna_snn.cli.options import (
    DEFAULT_GRACE_S,
    DEFAULT_N_TRIALS,
    GraceOption,
    NameOption,
    StorageOption,
    StudyArgument,
    TimeoutOption,
    TrialsOption,
)

if TYPE_CHECKING:
    from optuna_snn.workers.outcome import RunOutcome

__all__ = ["run", "worker"]


def run(
    study: StudyArgument,
    n_trials: TrialsOption = DEFAULT_N_TRIALS,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Worker processes.")] = 1,
    storage: StorageOption = None,
    study_name: NameOption = None,
    timeout: TimeoutOption = None,
    grace: GraceOption = DEFAULT_GRACE_S,
    new: Annotated[
        bool,
        typer.Option("--new", help="Give an existing SQLite file a dated name and begin anew."),
    ] = False,
) -> int:
    """Run a study with worker processes until it has its trials.

    A study that exists is continued. Ctrl-C stops the run; running trials are queued again.
    """
    from rich.console import Console

    console = Console()
    console.print(f"Loading {study} ...", style="dim")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    from optuna_snn.workers.display import LiveDisplay, PlainDisplay
    from optuna_snn.workers.summary import EXIT_CODES, print_summary
    from optuna_snn.workers.supervisor import run_study

    outcome = run_study(
        study,
        n_trials=n_trials,
        n_workers=workers,
        storage=storage,
        study_name=study_name,
        timeout_s=timeout,
        grace_s=grace,
        new=new,
        display=lambda heading: (LiveDisplay if console.is_terminal else PlainDisplay)(
            heading, console
        ),
    )
    print_summary(console, outcome, figure=_figure(outcome))
    return EXIT_CODES[outcome.end]


def worker(
    study: StudyArgument,
    n_trials: TrialsOption = DEFAULT_N_TRIALS,
    storage: StorageOption = None,
    study_name: NameOption = None,
    timeout: TimeoutOption = None,
    grace: GraceOption = DEFAULT_GRACE_S,
    since: Annotated[str | None, typer.Option("--since", hidden=True)] = None,
    parent: Annotated[int | None, typer.Option("--parent", hidden=True)] = None,
) -> int:
    """Run one worker in this process; start as many as you like, wherever the storage is seen."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s"
    )
    from optuna_snn.workers.worker import run_worker

    end = run_worker(
        study,
        storage=storage,
        n_trials=n_trials,
        study_name=study_name,
        timeout_s=timeout,
        grace_s=grace,
        since=None if since is None else datetime.fromisoformat(since),
        parent_pid=parent,
    )
    return end.value


def _figure(outcome: RunOutcome) -> str:
    """The path of the study's figure, drawn now, or why there is none."""
    try:
        from optuna_snn.figures import save_study_figure
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("matplotlib"):
            raise
        return "not drawn; pip install 'optuna-snn[figures]'"
    try:
        return str(save_study_figure(outcome.study, outcome.files.figure))
    except OSError as error:
        return f"not drawn: {error}"

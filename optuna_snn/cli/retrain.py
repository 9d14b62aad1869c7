"""`optuna-snn retrain`: the test accuracy of the best trials."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optuna_snn.cli.options import NameOption, StorageOption, StudyArgument

__all__ = ["retrain_command"]


def retrain_command(
    study: StudyArgument,
    top: Annotated[int, typer.Option("--top", help="Best feasible trials to train again.")] = 3,
    repeats: Annotated[int, typer.Option("--repeats", help="New trainings of each.")] = 5,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Other numbers give other trainings.")
    ] = 0,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="For results and weights; <study>-retrained unless given."),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            help="cpu, cuda:1, ...: what worker_device() of study files says; cpu unless given.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep the trainings that are in the folder already.")
    ] = False,
    storage: StorageOption = None,
    study_name: NameOption = None,
) -> None:
    """Train the best feasible trials again and report their test accuracy.

    A trial's validation accuracy is the best of many, and so too good. Here each is trained with
    fresh seeds on training and validation samples, and tested on samples that no trial has seen.
    The folder gets results.json and the weights of each network.
    """
    import os

    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

    from optuna_snn.retraining.best import retrain_best
    from optuna_snn.retraining.results import RESULTS_FILE, Repeat, RetrainedTrial
    from optuna_snn.retraining.table import print_retrained
    from optuna_snn.workers.devices import DEVICE_VARIABLE
    from optuna_snn.workers.run_files import default_storage, run_files
    from optuna_snn.workers.storage.opening import normalise_url
    from optuna_snn.workers.stored_study import load_stored_study
    from optuna_snn.workers.study_file import load_study_file

    if device is not None:
        os.environ[DEVICE_VARIABLE] = device  # study files ask for it as they are loaded
    console = Console()
    console.print(f"Loading {study} ...", style="dim")
    definition = load_study_file(study)
    name = study_name or definition.name
    stored = load_stored_study(name, storage=storage, study_name=name)
    if folder is None:
        files = run_files(normalise_url(storage or default_storage(name)), name)
        folder = files.folder / f"{files.stem}-retrained"
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("training", total=top * repeats)

        def show(trial: RetrainedTrial, repeat: Repeat) -> None:
            found = repeat.error or f"test accuracy {repeat.test_accuracy:.4f}"
            progress.advance(task)
            progress.print(
                f"trial {trial.number}, repeat {repeat.index}: {found} ({repeat.seconds:.0f} s)",
                style="dim",
                markup=False,
            )

        try:
            trials = retrain_best(
                stored,
                definition.objective,
                top=top,
                repeats=repeats,
                seed=seed,
                folder=folder,
                resume=resume,
                on_repeat=show,
            )
        except KeyboardInterrupt:
            progress.print(f"finished trainings are in {folder}; --resume keeps them", style="dim")
            raise
    if len(trials) < top:
        console.print(f"only {len(trials)} of {top} trials: no others are feasible and COMPLETE")
    print_retrained(console, trials, metric_name=(stored.metric_names or ["value"])[0])
    console.print(f"results and weights: {folder / RESULTS_FILE}", style="dim", soft_wrap=True)

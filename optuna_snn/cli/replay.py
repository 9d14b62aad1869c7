"""`optuna-snn replay`: what other rules would have stopped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from optuna_snn.cli.options import NameOption, StorageOption

__all__ = ["replay_command"]


def replay_command(
    study: Annotated[
        str, typer.Argument(metavar="STUDY", help="Name of the study, or its study file.")
    ],
    alpha: Annotated[
        list[int] | None, typer.Option("--alpha", help="Spikes; repeat it for several.")
    ] = None,
    beta: Annotated[
        list[float] | None, typer.Option("--beta", help="Silent share; repeat it for several.")
    ] = None,
    rule: Annotated[str | None, typer.Option("--rule", help="sequential, paper, record.")] = None,
    delta: Annotated[float | None, typer.Option("--delta", help="Permitted error.")] = None,
    warmup: Annotated[int | None, typer.Option("--warmup", help="Samples not judged.")] = None,
    min_samples: Annotated[
        int | None, typer.Option("--min-samples", help="Samples before a stop.")
    ] = None,
    epoch_size: Annotated[
        int | None, typer.Option("--epoch-size", help="Samples of an epoch, for rule paper.")
    ] = None,
    over_layers: Annotated[
        str | None, typer.Option("--over-layers", help="any or all layers have to be silent.")
    ] = None,
    good: Annotated[
        float,
        typer.Option("--good", help="Part of the complete trials, the best, that count as good."),
    ] = 0.1,
    figure: Annotated[
        Path | None, typer.Option("--figure", help="Draw it into this PNG file.")
    ] = None,
    storage: StorageOption = None,
    study_name: NameOption = None,
) -> None:
    """Ask what other rules would have stopped, saved and lost, from the spikes that are stored.

    What is not given stays as the trials had it. With several values of alpha and beta, each pair
    is asked.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    from rich.console import Console

    from optuna_snn.replays.study import replay
    from optuna_snn.replays.table import print_replays
    from optuna_snn.workers.errors import RunError
    from optuna_snn.workers.stored_study import load_stored_study

    stored = load_stored_study(study, storage=storage, study_name=study_name)
    alphas: Sequence[int | None] = alpha or [None]
    betas: Sequence[float | None] = beta or [None]
    try:
        replays = [
            replay(
                stored,
                alpha=a,
                beta=b,
                rule=rule,  # type: ignore[arg-type]  # checked there
                delta=delta,
                warmup=warmup,
                min_samples=min_samples,
                epoch_size=epoch_size,
                over_layers=over_layers,  # type: ignore[arg-type]  # checked there
                good_share=good,
            )
            for a in alphas
            for b in betas
        ]
    except ValueError as error:
        raise RunError(str(error)) from error
    if not replays[0].trials:
        raise RunError(f"no finished trial of {stored.study_name!r} has a spike report")
    metric_name = (stored.metric_names or ["value"])[0]
    console = Console()
    print_replays(console, replays, metric_name)
    if figure is not None:
        try:
            from optuna_snn.replays.figure import save_replay_figure
        except ImportError as error:
            if "matplotlib" not in str(error):
                raise
            raise RunError(
                "--figure is drawn by matplotlib: pip install 'optuna-snn[figures]'"
            ) from error

        console.print(f"figure: {save_replay_figure(replays, figure)}", style="dim")

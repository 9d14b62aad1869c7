"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_N_TRIALS = 100

# Of workers.storage, workers.patience and workers.stop, which a quick --help cannot import; a test
# compares.
DEFAULT_GRACE_S = 60
DEFAULT_PATIENCE_S = 300.0
DEFAULT_STOP_GRACE_S = 20.0

StudyArgument = Annotated[
    Path, typer.Argument(metavar="STUDY.py", help="Study file: objective(trial) and more.")
]
TrialsOption = Annotated[
    int,
    typer.Option(
        "--n-trials",
        min=1,
        help="COMPLETE and PRUNED trials the study shall have, earlier runs included.",
    ),
]
StorageOption = Annotated[
    str | None,
    typer.Option(
        "--storage",
        envvar="OPTUNA_SNN_STORAGE",
        help="SQLite file or database URL; <study name>.db unless given.",
    ),
]
NameOption = Annotated[
    str | None, typer.Option("--study-name", help="Instead of the study file's name.")
]
TimeoutOption = Annotated[
    float | None,
    typer.Option("--timeout", min=0.0, help="Start no trial after so many seconds."),
]
GraceOption = Annotated[
    int,
    typer.Option(
        "--grace", min=2, help="Seconds without a heartbeat until a worker is taken for dead."
    ),
]
PatienceOption = Annotated[
    float,
    typer.Option("--patience", min=0.0, help="Seconds to wait for a database that has gone away."),
]
StopGraceOption = Annotated[
    float,
    typer.Option(
        "--stop-grace",
        min=0.0,
        help="Seconds that running trials have to finish once a signal asks to stop.",
    ),
]
TrialTimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--trial-timeout",
        min=0.001,
        help="A trial that takes more seconds fails, and is not tried again.",
    ),
]

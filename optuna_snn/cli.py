"""The command `optuna-snn`: words in, one call out.

Expected errors (`RunError`, a missing backend, a mistyped option) end as one line on standard
error and exit code 2; `--debug` shows the traceback. Heavy imports stay inside the commands, so
that `--help` is quick.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.exceptions import TyperException

if TYPE_CHECKING:
    from optuna_snn.workers.outcome import RunOutcome

__all__ = ["app", "main"]

EXIT_EXPECTED_ERROR = 2
EXIT_INTERRUPTED = 130

DEFAULT_N_TRIALS = 100
DEFAULT_GRACE_S = 60  # of workers.storage, which a quick --help cannot import; a test compares

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

app = typer.Typer(
    help="Tune spiking networks with SCBO: many workers, one database.",
    add_completion=False,
    rich_markup_mode="rich",
)
backends_app = typer.Typer(help="Show the simulators that are installed, or install one.")
app.add_typer(backends_app, name="backends")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    is_debug = "--debug" in words
    try:
        # --debug is taken out here, so that it may stand anywhere.
        code = app(
            [word for word in words if word != "--debug"],
            standalone_mode=False,
            prog_name="optuna-snn",
        )
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return EXIT_INTERRUPTED
    except Exception as error:  # the outermost frame: unexpected errors are raised again
        line = _expected(error)
        if line is None:
            raise
        if is_debug:
            traceback.print_exc()
        print(f"error: {line}", file=sys.stderr)
        return EXIT_EXPECTED_ERROR
    return code if isinstance(code, int) else 0


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    show_version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks; may stand anywhere.")
    ] = False,
) -> None:
    if show_version:
        typer.echo(f"optuna-snn {_version()}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
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


@app.command()
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


@app.command("replay")
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
        from optuna_snn.replays.figure import save_replay_figure

        console.print(f"figure: {save_replay_figure(replays, figure)}", style="dim")


@backends_app.callback(invoke_without_command=True)
def backends(context: typer.Context) -> None:
    """Show which simulators can be used, and why the others cannot; `install` installs one."""
    if context.invoked_subcommand is not None:
        return
    from optuna_snn.backends.install import BACKENDS, backend_status

    for status in (backend_status(backend.name) for backend in BACKENDS):
        backend = status.backend
        version_words = status.installed_version or "not installed"
        typer.echo(f"{backend.name:<10} {version_words:<14} {backend.purpose} ({backend.licence})")
        if status.problem is not None:
            typer.echo(f"{'':<10} {status.problem}")


@backends_app.command("install")
def backends_install(
    name: Annotated[str, typer.Argument(metavar="NAME", help="bindsnet or lava-dl.")],
) -> None:
    """Install a simulator into this environment, with the pip commands that work."""
    from optuna_snn.backends.install import BACKENDS, install_backend

    names = [backend.name for backend in BACKENDS]
    if name not in names:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(names)}", param_hint="NAME")
    status = install_backend(name, show=lambda line: typer.echo(f"+ {line}"))
    typer.echo(f"{name} {status.installed_version} is ready")


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


def _expected(error: Exception) -> str | None:
    """The line for an error that a user can put right, None for any other."""
    if isinstance(error, TyperException):
        command = getattr(getattr(error, "ctx", None), "command_path", "optuna-snn")
        return f"{error.format_message()} (see {command} --help)"
    from optuna.exceptions import StorageInternalError

    from optuna_snn.backends import MissingPackageError
    from optuna_snn.backends.install import InstallError
    from optuna_snn.workers.errors import RunError

    if isinstance(error, RunError | MissingPackageError | InstallError):
        return str(error)
    if isinstance(error, StorageInternalError):
        cause = str(error.__cause__ or error).strip().splitlines()[0]
        return f"the storage failed: {cause}; nothing is lost, run again to continue"
    return None


def _version() -> str:
    try:
        return version("optuna-snn")
    except PackageNotFoundError:
        return "(run from its source folder, not installed)"

"""The commands in one application, and how its errors end.

Expected errors (`RunError`, a missing backend, a mistyped option) end as one line on standard
error and exit code 2; `--debug` shows the traceback. Heavy imports stay inside the commands, so
that `--help` is quick.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer
from typer.exceptions import TyperException

from optuna_snn.cli.backends import backends_app
from optuna_snn.cli.dashboard import dashboard_command
from optuna_snn.cli.database import database_app
from optuna_snn.cli.replay import replay_command
from optuna_snn.cli.report import report_command
from optuna_snn.cli.retrain import retrain_command
from optuna_snn.cli.run import run, worker
from optuna_snn.cli.submit import submit_command

__all__ = ["app", "main"]

EXIT_EXPECTED_ERROR = 2
EXIT_INTERRUPTED = 130

app = typer.Typer(
    help="Tune spiking networks with SCBO: many workers, one database.",
    add_completion=False,
    rich_markup_mode="rich",
)
app.command()(run)
app.command()(worker)
app.command("submit")(submit_command)
app.command("replay")(replay_command)
app.command("report")(report_command)
app.command("retrain")(retrain_command)
app.command("dashboard")(dashboard_command)
app.add_typer(backends_app, name="backends")
app.add_typer(database_app, name="db")


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


def _expected(error: Exception) -> str | None:
    """The line for an error that a user can put right, None for any other."""
    if isinstance(error, TyperException):
        command = getattr(getattr(error, "ctx", None), "command_path", "optuna-snn")
        return f"{error.format_message()} (see {command} --help)"
    from optuna.exceptions import StorageInternalError

    from optuna_snn.backends import MissingPackageError
    from optuna_snn.backends.install import InstallError
    from optuna_snn.workers.errors import RunError

    if isinstance(error, RunError | MissingPackageError | InstallError) or _is_dataset_error(
        error
    ):
        return str(error)
    if isinstance(error, StorageInternalError):
        cause = str(error.__cause__ or error).strip().splitlines()[0]
        return f"the storage failed: {cause}; nothing is lost, run again to continue"
    return None


def _is_dataset_error(error: Exception) -> bool:
    """Without an import of the objectives: whoever raised the error has imported it."""
    module = sys.modules.get("optuna_snn.objectives.datasets.errors")
    return module is not None and isinstance(error, module.DatasetError)


def _version() -> str:
    try:
        return version("optuna-snn")
    except PackageNotFoundError:
        return "(run from its source folder, not installed)"

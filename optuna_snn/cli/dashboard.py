"""`optuna-snn dashboard`: the studies of a storage in a browser, only read."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from optuna_snn.cli.options import NameOption

__all__ = ["dashboard_command"]

# Of dashboard.serving, which a quick --help cannot import; a test compares.
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8080


def dashboard_command(
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            envvar="OPTUNA_SNN_STORAGE",
            help="SQLite file or database URL; <study name>.db unless given.",
        ),
    ] = None,
    study_name: NameOption = None,
    host: Annotated[
        str,
        typer.Option("--host", help="Address of this machine to listen on; 0.0.0.0 for all."),
    ] = DEFAULT_HOST,
    port: Annotated[
        int, typer.Option("--port", help="TCP port; 0 for a free one.")
    ] = DEFAULT_PORT,
    artifacts: Annotated[
        Path | None,
        typer.Option(
            "--artifacts",
            metavar="DIR",
            help="Folder of the artifacts to show; artifacts, here, unless given.",
        ),
    ] = None,
) -> None:
    """Show studies in the browser: feasible, infeasible and silent trials; nothing is written."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("optuna_dashboard").setLevel(logging.CRITICAL)  # the page says it
    from optuna_snn.dashboard import serve_dashboard
    from optuna_snn.dashboard.study_figures import has_plotly
    from optuna_snn.workers.errors import RunError
    from optuna_snn.workers.run_files import default_storage
    from optuna_snn.workers.storage.opening import normalise_url, shown_url

    if storage is None and study_name is None:
        raise RunError("say where the studies are with --storage, an SQLite file or a URL")
    place = normalise_url(storage or default_storage(str(study_name)))

    def show(url: str, is_local: bool) -> None:
        if not is_local:
            print(
                "warning: whoever reaches this machine can read all studies of the storage: there "
                "is no password, and the traffic is not encrypted; safer: leave out --host, and "
                f"on the other machine: ssh -L {port}:{DEFAULT_HOST}:{port} <this machine>",
                file=sys.stderr,
            )
        typer.echo(f"studies of {shown_url(place)}: {url}")
        if not has_plotly():
            typer.echo(
                "without figures of spikes and of the search, which plotly draws: "
                "pip install 'optuna-snn[figures]'"
            )
        typer.echo("Ctrl-C stops the dashboard")

    serve_dashboard(
        place, host=host, port=port, artifacts=artifacts, study_name=study_name, on_ready=show
    )

"""`optuna-snn db`: a private PostgreSQL server for studies.

The password is printed by `db url` alone, to be read by `export OPTUNA_SNN_STORAGE="$(...)"`: so
it enters no log, no list of processes and no shell history.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from optuna_snn.database import Server

__all__ = ["EXIT_NOT_RUNNING", "database_app"]

EXIT_NOT_RUNNING = 3
"""Of `db status`: no server runs. The same as of `pg_ctl status`, and of services in general (LSB:
"program is not running")."""

database_app = typer.Typer(
    help="Run a private PostgreSQL server, so that many workers share one study.",
    no_args_is_help=True,
)

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Data folder; unless given, one below your home folder (/var/lib for root).",
    ),
]


@database_app.command()
def start(
    data: DataOption = None,
    port: Annotated[
        int | None, typer.Option("--port", help="TCP port; that of the last start, or a free one.")
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen",
            metavar="HOST",
            help="Address of this machine to listen on; 0.0.0.0 for all; loopback if not given.",
        ),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            "--allow",
            metavar="NETWORK",
            help="From where others may connect, such as 192.0.2.0/24; may be repeated; from "
            "everywhere if not given.",
        ),
    ] = None,
) -> None:
    """Start the server, unless it runs, and print its URL without the password."""
    from optuna_snn.database import start_server

    folder = _folder(data)
    _prune()
    server = start_server(folder, port=port, listen=listen, allow=allow or None)
    if server.is_new:
        typer.echo(f"PostgreSQL {server.major} runs (pid {server.pid})")
    else:
        typer.echo(f"PostgreSQL {server.major} runs already (pid {server.pid})")
    _print_addresses(server, data)
    if not server.is_loopback:
        print(_warning(server), file=sys.stderr)


@database_app.command()
def status(data: DataOption = None) -> int:
    """Say whether the server runs, where, and what it holds.

    Exit codes: 0 it runs, 3 it does not (as of pg_ctl status), 2 it cannot be told
    """
    from optuna_snn.database import database_usage

    server = _status(_folder(data))
    if server is None:
        typer.echo(f"no server runs in {_folder(data)}")
        return EXIT_NOT_RUNNING
    typer.echo(f"PostgreSQL {server.major} runs (pid {server.pid}, port {server.port})")
    _print_addresses(server, data)
    for usage in database_usage(server.local_url):
        size = f"{usage.n_bytes / 1e6:.1f} MB"
        typer.echo(f"database {usage.name}: {size}, {usage.n_connections} connections")
    return 0


@database_app.command()
def stop(data: DataOption = None) -> None:
    """Stop the server; its process is gone when this returns. The data stay."""
    from optuna_snn.database import stop_server

    folder = _folder(data)
    _prune()
    if stop_server(folder):
        typer.echo(f"stopped; the data stay in {folder}")
    else:
        typer.echo(f"no server runs in {folder}")


@database_app.command()
def url(data: DataOption = None) -> None:
    """Print the URL with its password, for: export OPTUNA_SNN_STORAGE="$(optuna-snn db url)"."""
    from optuna_snn.workers.errors import RunError

    server = _status(_folder(data))
    if server is None:
        raise RunError(
            f"no server runs in {_folder(data)}; optuna-snn db start{_data_words(data)}"
        )
    typer.echo(server.url)


def _folder(data: Path | None) -> Path:
    from optuna_snn.database import default_data_folder

    return default_data_folder() if data is None else data


def _status(folder: Path) -> Server | None:
    from optuna_snn.database import server_status

    return server_status(folder)


def _prune() -> None:
    from optuna_snn.database import prune_temporary_servers

    for folder in prune_temporary_servers():
        typer.echo(f"stopped a temporary server whose owner is dead: {folder}")


def _print_addresses(server: Server, data: Path | None) -> None:
    typer.echo(f"data  {server.data}")
    typer.echo(f"url   {server.shown_url}")
    typer.echo("use   export OPTUNA_SNN_STORAGE=" + f'"$(optuna-snn db url{_data_words(data)})"')


def _warning(server: Server) -> str:
    """What it means that others can connect, in one line."""
    who = f"machines of {' and '.join(server.allow)}" if server.allow else "other machines"
    line = (
        f"warning: {who} can connect, and the traffic is not encrypted; the password is never "
        "sent in clear"
    )
    if server.allow:
        return line
    where = ", by every address of this one" if server.is_everywhere else ""
    return f"{line}; they may come from everywhere{where}: --allow NETWORK limits that"


def _data_words(data: Path | None) -> str:
    return "" if data is None else f" --data {shlex.quote(str(data))}"

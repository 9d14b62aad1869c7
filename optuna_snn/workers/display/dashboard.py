"""The command that shows a storage in the dashboard: it can be pasted as it stands.

A password is neither printed nor put where other users of the machine could read it, which is the
command line of every process. Where the storage was named by OPTUNA_SNN_STORAGE the command reads
that too; else the password is asked for, not shown, and put into PGPASSWORD, from which programs
that connect by libpq, PostgreSQL's library, take it.

https://www.postgresql.org/docs/current/libpq-envars.html
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy.engine import URL, make_url

from optuna_snn.workers.errors import RunError
from optuna_snn.workers.storage.connections import LIBPQ_DRIVERS
from optuna_snn.workers.storage.opening import database_file, normalise_url, shown_url

__all__ = ["STORAGE_VARIABLE", "dashboard_command"]

STORAGE_VARIABLE = "OPTUNA_SNN_STORAGE"
"""Environment variable that names the storage, where no option does."""

FROM_KEYBOARD = "printf 'password: '; read -rs PGPASSWORD; export PGPASSWORD;"
"""Of bash, zsh and ksh."""


def dashboard_command(url: str, environment: Mapping[str, str] = os.environ) -> str:
    """The command for a POSIX shell that has this environment.

    url: a full URL. Its password, if it has one, is not repeated. For servers that libpq does not
    connect to, *** stands in its place, which the user has to write.
    """
    command, file = f"{_program()} dashboard", database_file(url)
    if file is not None:
        is_journal = make_url(url).get_backend_name() == "journal"  # known there by its path
        place = _short(file) if is_journal else f"sqlite:///{_short(file)}"
        return f"{command} --storage {shlex.quote(place)}"
    if _is_in_variable(url, environment):
        return command
    parts = make_url(url)
    password = parts.password or parts.query.get("password")
    if not password or parts.get_driver_name() not in LIBPQ_DRIVERS:
        return f"{command} --storage {shlex.quote(shown_url(url))}"
    bare = URL.create(
        parts.drivername, parts.username, None, parts.host, parts.port, parts.database, parts.query
    ).difference_update_query(["password"])
    place = shlex.quote(bare.render_as_string(hide_password=False))
    return f"{FROM_KEYBOARD} {command} --storage {place}"


def _is_in_variable(url: str, environment: Mapping[str, str]) -> bool:
    """Whether the storage's own variable has this URL."""
    given = environment.get(STORAGE_VARIABLE, "")
    try:
        return "://" in given and normalise_url(given) == url
    except RunError:  # another one was named by an option
        return False


def _program() -> str:
    """optuna-snn as this shell finds it, else the one of this environment."""
    beside = Path(sys.executable).with_name("optuna-snn")
    if shutil.which(beside.name) is None and beside.exists():
        return shlex.quote(_short(beside))
    return beside.name


def _short(path: Path) -> str:
    """A path as seen from the current folder, if that is shorter."""
    return min(str(path), os.path.relpath(path), key=len)

"""The command that opens a storage in optuna-dashboard: it can be pasted as it stands.

A password is neither printed nor put where other users of the machine could read it, which is the
command line of every process. Programs that connect by libpq, PostgreSQL's library, take it from
the variable PGPASSWORD; the command fills it

1. from OPTUNA_SNN_STORAGE, where that is how the storage was named: what stands between the last
   colon before the last @ and that @, unless signs in it are written as %XX;
2. else from the keyboard, where it is not shown.

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
"""Environment variable that names the storage of `run` and `worker`, where no option does."""

FROM_VARIABLE = f'url="${{{STORAGE_VARIABLE}%@*}}"; PGPASSWORD="${{url##*:}}"'
"""POSIX: without the shortest end that begins with @, then without the longest beginning that ends
with a colon."""

FROM_KEYBOARD = "printf 'password: '; read -rs PGPASSWORD; export PGPASSWORD;"
"""Of bash, zsh and ksh."""


def dashboard_command(url: str, environment: Mapping[str, str] = os.environ) -> str:
    """The command for a POSIX shell that has this environment.

    url: a full URL. Its password, if it has one, is not repeated. For servers that libpq does not
    connect to, *** stands in its place, which the user has to write.
    """
    program, file = _program(), database_file(url)
    if file is not None:
        is_journal = make_url(url).get_backend_name() == "journal"  # known there by its path
        place = _short(file) if is_journal else f"sqlite:///{_short(file)}"
        return f"{program} {shlex.quote(place)}"
    parts = make_url(url)
    password = parts.password or parts.query.get("password")
    if not password or parts.get_driver_name() not in LIBPQ_DRIVERS:
        return f"{program} {shlex.quote(shown_url(url))}"
    bare = URL.create(
        parts.drivername, parts.username, None, parts.host, parts.port, parts.database, parts.query
    ).difference_update_query(["password"])
    source = FROM_VARIABLE if _is_cut_out(password, url, environment) else FROM_KEYBOARD
    return f"{source} {program} {shlex.quote(bare.render_as_string(hide_password=False))}"


def _is_cut_out(password: object, url: str, environment: Mapping[str, str]) -> bool:
    """Whether the storage's own variable has this URL, and the shell can cut the password out."""
    given = environment.get(STORAGE_VARIABLE, "")
    try:
        is_this = "://" in given and normalise_url(given) == url
    except RunError:  # another one was named by an option
        return False
    return is_this and given.rpartition("@")[0].rpartition(":")[2] == password


def _program() -> str:
    """optuna-dashboard as this shell finds it, else the one of this environment."""
    beside = Path(sys.executable).with_name("optuna-dashboard")
    if shutil.which(beside.name) is None and beside.exists():
        return shlex.quote(_short(beside))
    return beside.name


def _short(path: Path) -> str:
    """A path as seen from the current folder, if that is shorter."""
    return min(str(path), os.path.relpath(path), key=len)

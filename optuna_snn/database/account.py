"""Which user of the system runs the server, and how programs are run as that user.

PostgreSQL refuses to run as root. For root the server runs as the user whom the data folder
belongs to, else as the first of `USERS_FOR_ROOT` that exists; no user is ever created and no
folder is opened to others. For everybody else it runs as themselves.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna_snn.workers.errors import RunError

__all__ = [
    "USERS_FOR_ROOT",
    "Account",
    "account_named",
    "blocking_folder",
    "run_as",
    "server_account",
]

USERS_FOR_ROOT = ("postgres", "nobody")

KEPT_VARIABLES = ("PATH", "TZ")
"""What programs of the server get of our environment: it may hold the password of a storage."""


@dataclass(frozen=True)
class Account:
    """A user of the system."""

    name: str
    uid: int
    gid: int

    @property
    def is_self(self) -> bool:
        """Whether this process runs as that user."""
        return self.uid == os.geteuid()


def server_account(*folders: Path) -> Account:
    """The user who shall run the server of a data folder.

    Args:
        folders: for root, the first of these that exists names its owner, unless that is root.

    Raises:
        RunError: there is no such user.
    """
    uid = os.geteuid()
    if uid != 0:
        return _account(uid)
    for folder in folders:
        if folder.exists() and (owner := folder.stat().st_uid) != 0:
            return _account(owner)
    for name in USERS_FOR_ROOT:
        try:
            return account_named(name)
        except KeyError:
            continue
    raise RunError(
        f"PostgreSQL does not run as root and there is no user {' or '.join(USERS_FOR_ROOT)}; "
        "create an empty data folder that belongs to another user"
    )


def account_named(name: str) -> Account:
    """The user with this name; KeyError if there is none."""
    entry = pwd.getpwnam(name)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def run_as(
    account: Account,
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str] | None = None,
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """Run a program as `account` with a bare environment; see `subprocess.run` for the options.

    Raises:
        PermissionError: the user may not run this program.
    """
    if not account.is_self:
        options |= {"user": account.uid, "group": account.gid, "extra_groups": []}
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return subprocess.run(
        [str(word) for word in command],
        check=False,
        text=True,
        cwd="/",  # our own folder may be closed to that user
        env={**kept, "LC_ALL": "C", **(environment or {})},
        **options,
    )


def blocking_folder(account: Account, folder: Path) -> Path | None:
    """The first folder on the way to `folder`, itself included, that `account` cannot enter."""
    way = [*reversed(folder.parents), folder]
    script = 'for folder; do cd "$folder" 2>/dev/null || { echo "$folder"; exit 1; }; done'
    tried = run_as(account, ["/bin/sh", "-c", script, "sh", *way], capture_output=True)
    return Path(tried.stdout.removesuffix("\n")) if tried.returncode else None


def _account(uid: int) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise RunError(
            f"user id {uid} has no name on this system, which PostgreSQL needs; "
            "add it to /etc/passwd or run as a named user"
        ) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)

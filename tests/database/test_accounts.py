"""Who runs the server: everybody themselves, for root another user; closed folders stay closed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from optuna_snn.database import Server, start_server, stop_server
from optuna_snn.database.account import account_named, server_account
from optuna_snn.database.folder import default_data_folder
from optuna_snn.database.programs import LIBRARIES, PACKAGE, find_programs
from optuna_snn.workers.errors import RunError
from tests.database.asking import read_notes, write_note

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="about what is done for root alone")


def as_ordinary_user(act: Callable[[], None]) -> None:
    """Call `act` as a user who is not root, in a child process if this one is root's."""
    if os.geteuid() != 0:
        act()
        return
    user = account_named("nobody")
    "127.0.0.1".encode("idna")  # loads what the user may be unable to read later
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(user.gid)
            os.setuid(user.uid)
            act()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.fixture
def readable_programs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's programs where everybody can read them, whoever owns this environment."""
    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None and spec.submodule_search_locations
    package = Path(spec.submodule_search_locations[0])
    shutil.copytree(package, folder / PACKAGE, ignore=shutil.ignore_patterns("pginstall", "*.a"))
    if (package.parent / LIBRARIES).exists():
        shutil.copytree(package.parent / LIBRARIES, folder / LIBRARIES)
    monkeypatch.syspath_prepend(folder)


@pytest.mark.slow
@pytest.mark.usefixtures("readable_programs")
def test_an_ordinary_user_runs_the_server_themselves(folder: Path) -> None:
    home = folder / "home"
    home.mkdir()
    if os.geteuid() == 0:
        user = account_named("nobody")
        os.chown(home, user.uid, user.gid)
    home.chmod(0o700)

    def act() -> None:
        server = start_server(home / "new" / "data", is_throwaway=True)
        write_note(server, "mine")
        assert server.data.stat().st_uid == os.geteuid() != 0
        assert stop_server(server.data)
        assert read_notes(start_server(server.data)) == ["mine"]
        assert stop_server(server.data)

    as_ordinary_user(act)
    assert home.stat().st_mode & 0o777 == 0o700


def test_the_folder_of_another_user_is_one_line(server: Server, folder: Path) -> None:
    if os.geteuid() != 0:
        closed = folder / "closed"
        closed.mkdir(mode=0o500)  # as that of another user: nothing can be made in it
        with pytest.raises(RunError, match="cannot be used"):
            start_server(closed / "data")
        return

    def act() -> None:
        for start in (start_server, stop_server):
            with pytest.raises(RunError, match=r"Permission denied|belongs to"):
                start(server.data)

    owner = server.data.stat()
    os.chown(server.data, 0, 0)  # another user than the ordinary one, whoever runs the server
    try:
        as_ordinary_user(act)
    finally:
        os.chown(server.data, owner.st_uid, owner.st_gid)


def test_the_default_data_folder_is_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_DATA_HOME", "/home/ada/data")
    assert default_data_folder() == Path("/home/ada/data/optuna-snn/postgres")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/ada")
    assert default_data_folder() == Path("/home/ada/.local/share/optuna-snn/postgres")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_data_folder() == Path("/var/lib/optuna-snn/postgres")


@only_root
def test_root_leaves_a_closed_folder_closed_and_says_which_one_is_in_the_way(
    folder: Path,
) -> None:
    closed = folder / "home"
    closed.mkdir(mode=0o700)
    with pytest.raises(RunError, match=f"cannot enter {closed}; name a data folder that others"):
        start_server(closed / "data")
    assert closed.stat().st_mode & 0o777 == 0o700
    assert not (closed / "data").exists()


@only_root
def test_root_runs_the_server_as_the_user_whom_the_folder_belongs_to(folder: Path) -> None:
    user = account_named("daemon")
    os.chown(folder, user.uid, user.gid)
    assert server_account(folder / "missing", folder) == user
    assert server_account(folder / "missing").name in ("postgres", "nobody")


@only_root
def test_programs_in_a_closed_folder_are_copied_to_where_the_servers_user_can_run_them(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_server(server.data)
    installed = find_programs().folder.parent
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    for name in (PACKAGE, LIBRARIES):
        (home / name).symlink_to(installed.parent / name)
    monkeypatch.syspath_prepend(home)
    assert find_programs().folder.is_relative_to(home)
    running = start_server(server.data)
    program = Path(f"/proc/{running.pid}/cmdline").read_bytes().split(b"\0")[0]
    copy = Path(os.fsdecode(program))
    assert copy.is_relative_to(server.data / "programs")
    write_note(running, "by the copy")
    assert "by the copy" in read_notes(running)
    stop_server(server.data)
    copied_at = copy.stat().st_ctime_ns
    assert start_server(server.data).is_new
    assert copy.stat().st_ctime_ns == copied_at, "copied once per version"
    stop_server(server.data)
    shutil.rmtree(server.data / "programs")
    assert home.stat().st_mode & 0o777 == 0o700

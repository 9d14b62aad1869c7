"""The command for the dashboard can be pasted, and no password is in it or on a command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from optuna_snn.workers.display.dashboard import dashboard_command

SERVER = "postgresql+psycopg2://me:secret@host:5433/db"
BARE = "postgresql+psycopg2://me@host:5433/db"


@pytest.fixture(autouse=True)
def dashboard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A program of that name, which prints its arguments and the password for libpq."""
    program = tmp_path / "programs" / "optuna-snn"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$*"\necho "${PGPASSWORD-none}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    monkeypatch.delenv("PGPASSWORD", raising=False)


def pasted(command: str, *, shell: str, typed: str = "", **environment: str) -> list[str]:
    """What the dashboard was given: its arguments, and PGPASSWORD."""
    ended = subprocess.run(
        [shell, "-c", command],
        env={**os.environ, **environment},
        input=typed,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return ended.stdout.splitlines()


@pytest.mark.parametrize(
    "given",
    [SERVER, "postgresql://me:secret@host:5433/db", "postgres://me:secret@host:5433/db"],
)
def test_a_storage_that_a_variable_names_is_not_named_again(given: str) -> None:
    command = dashboard_command(SERVER, {"OPTUNA_SNN_STORAGE": given})
    assert pasted(command, shell="sh", OPTUNA_SNN_STORAGE=given) == ["dashboard", "none"]


@pytest.mark.parametrize(
    ("url", "variable", "password"),
    [
        (SERVER, "", "secret"),
        (SERVER, "postgresql://me:other@elsewhere/db", "secret"),
        (SERVER, "postgresql://me:secret@host:70000/db", "secret"),
        (SERVER, "study.db", "secret"),
        (f"{BARE}?password=secret", "", "secret"),
        ("postgresql+psycopg2://me:a%3Ab@host:5433/db", "", "a:b"),
    ],
    ids=[
        "unset",
        "another",
        "broken",
        "a file",
        "in the query",
        "signs",
    ],
)
def test_else_the_password_is_typed_in(url: str, variable: str, password: str) -> None:
    command = dashboard_command(url, {"OPTUNA_SNN_STORAGE": variable})
    assert password not in command
    printed = pasted(command, shell="bash", typed=f"{password}\n", OPTUNA_SNN_STORAGE=variable)
    assert printed == [f"password: dashboard --storage {BARE}", password]


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("sqlite:///a.db", "sqlite:///a.db"),
        ("sqlite:///my runs/a.db", "sqlite:///my runs/a.db"),
        ("journal:///a.log", "a.log"),
        (BARE, BARE),
    ],
)
def test_without_a_password_the_storage_is_all_there_is(url: str, place: str) -> None:
    assert pasted(dashboard_command(url, {}), shell="sh") == [
        f"dashboard --storage {place}",
        "none",
    ]


def test_a_server_of_another_kind_shows_where_its_password_has_to_be_written() -> None:
    command = dashboard_command("mysql+pymysql://me:secret@host/db", {})
    assert pasted(command, shell="sh") == [
        "dashboard --storage mysql+pymysql://me:***@host/db",
        "none",
    ]


def test_the_dashboard_of_an_environment_that_is_not_activated_is_named_by_its_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "optuna-snn").touch()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.chdir(tmp_path.parent)
    program = f"{tmp_path.name}/optuna-snn"
    assert (
        dashboard_command("sqlite:///a.db", {}) == f"{program} dashboard --storage sqlite:///a.db"
    )

"""`optuna-snn db`: what it prints, and one line with exit code 2 when it cannot."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from optuna_snn.cli import main
from optuna_snn.database import Server, server_status, stop_server
from optuna_snn.workers import open_storage


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    assert main(["db", *words]) == code
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_start_status_url_and_stop_say_what_is_there(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ("--data", str(server.data))
    where = [
        f"data  {server.data}",
        f"url   postgresql+psycopg2://optuna:***@127.0.0.1:{server.port}/optuna",
        f'use   export OPTUNA_SNN_STORAGE="$(optuna-snn db url --data {server.data})"',
    ]
    out, _ = said(capsys, "start", *data)
    assert out.splitlines() == [f"PostgreSQL 18 runs already (pid {server.pid})", *where]
    out, _ = said(capsys, "status", *data)
    first, *rest = out.splitlines()
    assert first == f"PostgreSQL 18 runs (pid {server.pid}, port {server.port})"
    assert rest[:3] == where
    assert rest[3].startswith("database optuna: ") and rest[3].endswith(" MB, 0 connections")
    assert said(capsys, "url", *data) == (server.url + "\n", "")
    assert said(capsys, "stop", *data)[0] == f"stopped; the data stay in {server.data}\n"
    out, _ = said(capsys, "start", *data)
    again = server_status(server.data)
    assert again is not None
    assert out.splitlines() == [f"PostgreSQL 18 runs (pid {again.pid})", *where]


def test_a_study_is_stored_by_the_url_that_is_printed(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    url = said(capsys, "url", "--data", str(server.data))[0].strip()
    assert open_storage(url).get_all_studies() == []


def test_without_a_server_each_word_has_its_exit_code(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = folder / "my data"
    for word, code in {"status": 3, "stop": 0}.items():
        no_server = (f"no server runs in {data}\n", "")
        assert said(capsys, word, "--data", str(data), code=code) == no_server
    out, err = said(capsys, "url", "--data", str(data), code=2)
    start = f"optuna-snn db start --data {shlex.quote(str(data))}"
    assert (out, err) == ("", f"error: no server runs in {data}; {start}\n")
    assert not data.exists()


def test_listening_beyond_loopback_warns(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    stop_server(server.data)
    _, err = said(capsys, "start", "--data", str(server.data), "--listen", "0.0.0.0")
    assert err.startswith("warning: other machines can connect, and the traffic is not encrypted")
    assert err.count("\n") == 1


def test_the_warning_says_from_where_others_can_connect(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    everywhere = ("start", "--data", str(server.data), "--listen", "0.0.0.0")
    stop_server(server.data)
    _, err = said(capsys, *everywhere)
    assert "from everywhere, by every address of this one: --allow NETWORK limits that" in err
    stop_server(server.data)
    allow = ("--allow", "192.0.2.7/24", "--allow", "198.51.100.7")
    _, err = said(capsys, *everywhere, *allow)
    assert err.startswith("warning: machines of 192.0.2.0/24 and 198.51.100.7/32 can connect, ")
    assert "everywhere" not in err and err.count("\n") == 1


def test_a_data_folder_that_is_none_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "file").write_text("")
    _, err = said(capsys, "start", "--data", str(folder / "file"), code=2)
    assert err == f"error: the data folder {folder}/file is a file; name a folder\n"

"""The dashboard on a port: by the command, in a process of its own, and by its public call."""

from __future__ import annotations

import inspect
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from optuna_snn.cli import dashboard as cli_module
from optuna_snn.cli import main
from optuna_snn.dashboard import DEFAULT_PORT, LOOPBACK, serve_dashboard, serving
from optuna_snn.workers.errors import RunError
from tests.dashboard.conftest import BEST, Filled


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        yield other.getsockname()[1]


def expect_error(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line with which the command ends."""
    assert main(["dashboard", *words]) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.strip().splitlines()
    return line


@pytest.fixture
def no_serving(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server listens, and ends as by Ctrl-C when it is told to serve."""

    def interrupt(self: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(serving._Server, "serve_forever", interrupt)


def test_the_command_serves_until_it_is_interrupted(own_url: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "optuna_snn", "dashboard", "--storage", own_url, "--port", "0",
         "--study-name", "digits"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=Path(__file__).resolve().parents[2],
        # A shell starts background jobs with interrupts ignored, which children inherit.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        found = re.search(
            r"(http://127\.0\.0\.1:\d+)/dashboard/studies/1$", process.stdout.readline()
        )
        assert found is not None
        with urllib.request.urlopen(f"{found[1]}/api/studies/1") as answer:
            assert json.load(answer)["best_trials"][0]["number"] == BEST
        request = urllib.request.Request(f"{found[1]}/api/studies/1", method="DELETE")
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request)
        assert caught.value.code == 403
        caught.value.close()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, errors) == (0, "")


def test_only_this_machine_can_connect_unless_told_otherwise() -> None:
    default = inspect.signature(serve_dashboard).parameters["host"].default
    assert default == LOOPBACK == cli_module.DEFAULT_HOST
    assert DEFAULT_PORT == cli_module.DEFAULT_PORT


@pytest.mark.usefixtures("no_serving")
def test_on_loopback_there_is_no_warning(own_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dashboard", "--storage", own_url, "--port", "0"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("no_serving")
@pytest.mark.parametrize("has_plotly", [True, False])
def test_a_line_says_that_plotly_is_missing(
    own_url: str,
    has_plotly: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not has_plotly:
        monkeypatch.setitem(sys.modules, "plotly", None)
    assert main(["dashboard", "--storage", own_url, "--port", "0"]) == 0
    lines = [
        line for line in capsys.readouterr().out.splitlines() if "optuna-snn[figures]" in line
    ]
    assert len(lines) == (0 if has_plotly else 1)


@pytest.mark.usefixtures("no_serving")
def test_listening_elsewhere_warns_that_anybody_can_read(
    own_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dashboard", "--storage", own_url, "--port", "0", "--host", "0.0.0.0"]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("warning: whoever reaches this machine can read all studies")
    assert "ssh -L" in captured.err
    assert "http://0.0.0.0:" in captured.out


@pytest.mark.usefixtures("no_serving")
def test_the_password_is_not_printed(
    filled_database: Filled, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = str(filled_database.url)
    monkeypatch.setenv("OPTUNA_SNN_STORAGE", url)
    assert main(["dashboard", "--port", "0"]) == 0
    captured = capsys.readouterr()
    assert "studies of postgresql+psycopg2://optuna:***@" in captured.out
    assert str(make_url(url).password) not in captured.out + captured.err


def test_a_taken_port_is_told(
    own_url: str, taken_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    line = expect_error(capsys, "--storage", own_url, "--port", str(taken_port))
    assert line == (
        f"error: port {taken_port} is taken by another program; name another --port, or 0 for a "
        "free one"
    )


def test_an_address_of_another_machine_is_told(
    own_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = expect_error(capsys, "--storage", own_url, "--host", "192.0.2.1")
    assert line.startswith("error: cannot listen on '192.0.2.1'")


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_a_port_out_of_range_is_told(
    own_url: str, port: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = expect_error(capsys, "--storage", own_url, "--port", port)
    assert line == f"error: the port must be 0 to 65535, got {port}"


def test_a_study_that_does_not_exist_is_told(
    own_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = expect_error(capsys, "--storage", own_url, "--study-name", "letters")
    assert line == "error: the storage has no study 'letters'; its studies: 'digits'"


def test_no_storage_at_all_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert "say where the studies are with --storage" in expect_error(capsys)


def test_the_file_of_a_named_study_is_found_in_this_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    line = expect_error(capsys, "--study-name", "digits")
    assert line.startswith("error: there is no database digits.db;")


def test_requests_are_answered_side_by_side() -> None:
    """Each of two requests ends only when the other one has come."""
    both = threading.Barrier(2, timeout=60)

    def app(environ: object, start_response: object) -> list[bytes]:
        both.wait()
        start_response("200 OK", [("Content-Type", "text/plain")])  # type: ignore[operator]
        return [b"met"]

    found: list[bytes] = []

    def fetch(port: int) -> None:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/") as answer:
            found.append(answer.read())

    with serving.bound_server(app, LOOPBACK, 0) as server:
        serve = threading.Thread(target=server.serve_forever, daemon=True)
        serve.start()
        fetches = [threading.Thread(target=fetch, args=(server.server_port,)) for _ in range(2)]
        for thread in fetches:
            thread.start()
        for thread in fetches:
            thread.join(timeout=120)
        server.shutdown()
    assert found == [b"met", b"met"]


def test_a_port_for_root_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(serving._Server, "server_bind", refuse)
    with pytest.raises(RunError, match="only root may listen on port 80; name one above 1023"):
        serving.bound_server(lambda environ, start_response: [], LOOPBACK, 80)

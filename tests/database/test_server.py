"""Start, find and stop a real server; what a crash, a taken port or a second start does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from optuna_snn.database import Server, server_status, start_server, stop_server
from optuna_snn.database import server as server_module
from optuna_snn.database.address import choose_port
from optuna_snn.database.postmaster import Patience, is_alive
from optuna_snn.workers.errors import RunError
from tests.database.asking import connect, query, read_notes, wait_for, write_note


def listening_socket(port: int = 0) -> socket.socket:
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind(("127.0.0.1", port))
    taken.listen()
    return taken


def test_data_port_and_password_outlive_a_stop_and_the_process_does_not(server: Server) -> None:
    data = server.data
    assert server_status(data) == replace(server, is_new=False)
    write_note(server, "kept")
    assert stop_server(data)
    assert not is_alive(server.pid)
    assert server_status(data) is None
    assert not stop_server(data)
    again = start_server(data)
    assert again.is_new
    assert (again.url, read_notes(again)[-1]) == (server.url, "kept")


def test_a_second_start_finds_the_server_running(server: Server) -> None:
    again = start_server(server.data)
    assert (again.pid, again.url, again.is_new) == (server.pid, server.url, False)
    assert start_server(server.data, port=server.port, listen="127.0.0.1").pid == server.pid


@pytest.mark.parametrize("wish", [{"port": 1024}, {"listen": "0.0.0.0"}])
def test_a_running_server_is_not_moved(server: Server, wish: dict[str, object]) -> None:
    with pytest.raises(RunError, match=r"runs already, on 127\.0\.0\.1 port"):
        start_server(server.data, **wish)  # type: ignore[arg-type]
    assert server_status(server.data) is not None


def test_a_running_server_is_not_opened_to_other_networks(server: Server) -> None:
    stop_server(server.data)
    opened = start_server(server.data, listen="0.0.0.0", allow=["192.0.2.0/24"])
    assert opened.allow == ("192.0.2.0/24",)
    assert start_server(server.data).allow == opened.allow, "whoever names none changes nothing"
    with pytest.raises(RunError, match=r"runs already, for 192\.0\.2\.0/24; stop it first"):
        start_server(server.data, allow=["192.0.2.0/25"], listen="0.0.0.0")


def test_a_server_that_others_may_use_takes_this_machine_its_own_networks_and_no_other(
    server: Server,
) -> None:
    stop_server(server.data)
    opened = start_server(server.data, listen="0.0.0.0", allow=["192.0.2.0/24"])
    lines = (server.data / "pg_hba.conf").read_text().splitlines()[1:]
    rules = [line.split()[3:] for line in lines]
    assert {method for _, method in rules} == {"scram-sha-256"}
    assert [place for place, _ in rules] == [
        "127.0.0.1/32", "::1/128", "samehost", "192.0.2.0/24",
    ]  # fmt: skip
    assert query(opened, "SELECT 1") == [(1,)]


def test_connections_of_a_machine_that_vanished_are_noticed_within_two_minutes(
    server: Server,
) -> None:
    # The operating system's own answer is two hours; SHOW tells what the socket has.
    names = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count")
    idle, interval, count = (int(query(server, f"SHOW {name}")[0][0]) for name in names)
    assert idle + interval * count <= 120
    assert query(server, "SHOW tcp_user_timeout") == [("90000",)]


def test_a_killed_server_starts_again_with_what_was_committed(server: Server) -> None:
    data = server.data
    write_note(server, "committed")
    busy = connect(server)  # a process of the old server that lives a moment longer
    os.kill(server.pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(server.pid), "the kill")
    assert server_status(data) is None
    again = start_server(data)
    busy.close()
    assert again.pid != server.pid
    assert (again.url, read_notes(again)[-1]) == (server.url, "committed")


def test_a_process_id_that_now_belongs_to_another_program_is_left_alone(server: Server) -> None:
    lock = server.data / "cluster" / "postmaster.pid"
    lines = lock.read_text().splitlines()
    os.kill(server.pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(server.pid), "the kill")
    # A program of the server's own user: PostgreSQL itself would take it for a server.
    user = server.data.stat().st_uid if os.geteuid() == 0 else None
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, cwd="/", user=user) as other:
        lock.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
        assert server_status(server.data) is None
        assert not stop_server(server.data)
        assert start_server(server.data).is_new
        assert other.poll() is None


def test_a_port_that_is_taken_meanwhile_gives_way_to_a_free_one(server: Server) -> None:
    stop_server(server.data)
    with listening_socket(server.port):
        again = start_server(server.data)
        assert again.port != server.port
        assert query(again, "SELECT 1") == [(1,)]


def test_a_port_that_was_asked_for_and_is_taken_is_one_line(server: Server) -> None:
    stop_server(server.data)
    with listening_socket() as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RunError, match=f"port {port} is taken by another program; ") as caught:
            start_server(server.data, port=port)
    assert "\n" not in str(caught.value)
    assert start_server(server.data, port=port).port == port


def test_a_port_taken_between_the_choice_and_the_start_gives_way_too(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_server(server.data)
    with listening_socket() as taken:
        choices = iter([taken.getsockname()[1]])

        def choose(listen: str, *, wanted: int | None, last: int | None) -> int:
            return next(choices, None) or choose_port(listen, wanted=wanted, last=last)

        monkeypatch.setattr(server_module, "choose_port", choose)
        assert start_server(server.data).port != taken.getsockname()[1]


def test_a_server_that_heeds_no_request_is_killed_with_its_children(server: Server) -> None:
    connection = connect(server)
    child = connection.info.backend_pid
    os.kill(server.pid, signal.SIGSTOP)
    os.kill(child, signal.SIGSTOP)
    assert stop_server(server.data, patience=Patience(fast_s=0.2, immediate_s=0.2))
    assert not is_alive(server.pid)
    assert not is_alive(child)
    connection.close()


@pytest.mark.slow
def test_of_two_starts_at_once_one_starts_and_the_other_finds_it_running(data: Path) -> None:
    command = [sys.executable, "-m", "optuna_snn", "db", "start", "--data", str(data)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted(process.communicate(timeout=300)[0].splitlines()[0] for process in both)
    running = server_status(data)
    assert running is not None
    begin = f"PostgreSQL {running.major} runs"
    assert said == [f"{begin} (pid {running.pid})", f"{begin} already (pid {running.pid})"]


def test_only_loopback_is_listened_on_unless_told_otherwise(server: Server) -> None:
    # All of 127.0.0.0/8 leads to this machine; the server took one address of it.
    assert server.is_loopback
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", server.port), timeout=10)
    stop_server(server.data)
    wide = start_server(server.data, listen="0.0.0.0")
    assert not wide.is_loopback
    assert f"@{socket.gethostname()}:{wide.port}/" in wide.url
    socket.create_connection(("127.0.0.2", wide.port), timeout=10).close()
    assert query(wide, "SELECT 1") == [(1,)]
    hosts = (server.data / "pg_hba.conf").read_text().splitlines()[1:]
    assert "host all all all scram-sha-256" in hosts
    assert all(line.endswith(" scram-sha-256") for line in hosts)
    stop_server(server.data)
    assert start_server(server.data).is_loopback
    assert "host all all all" not in (server.data / "pg_hba.conf").read_text()

"""Slots: worker processes are started, restarted within bounds, and stopped."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from optuna_snn.workers.supervisor import slot as slot_module
from optuna_snn.workers.supervisor.slot import MAX_RESTARTS, Slot, SlotState
from optuna_snn.workers.supervisor.worker_log import WorkerLog

_open_files: list[BinaryIO] = []


@pytest.fixture(autouse=True)
def _close_the_logs() -> Iterator[None]:
    yield
    while _open_files:
        _open_files.pop().close()


SAY_END = "from optuna_snn.workers.supervisor.worker_log import note_end; note_end()\n"


def make(code: str, path: Path) -> Slot:
    _open_files.append(path.open("ab"))
    log = WorkerLog(path, _open_files[-1], 0)
    return Slot([sys.executable, "-c", code], dict(os.environ), log)


def run_out(slot: Slot, *, within_s: float = 30.0) -> SlotState:
    deadline = time.monotonic() + within_s
    while (state := slot.advance()) in (SlotState.RUNNING, SlotState.RESTARTING):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return state


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (0, SlotState.FINISHED),
        (2, SlotState.REFUSED),
        (3, SlotState.FAILED_IN_A_ROW),
        (143, SlotState.STOPPED),
        (138, SlotState.STOPPED),
    ],
)
def test_the_exit_code_says_how_a_worker_ended(
    tmp_path: Path, code: int, state: SlotState
) -> None:
    slot = make(f"{SAY_END}raise SystemExit({code})", tmp_path / "w.log")
    assert run_out(slot) is state
    assert slot.n_restarts == 0


@pytest.mark.parametrize("code", [0, 2, 3])
def test_an_exit_code_that_is_not_the_workers_own_is_a_crash(tmp_path: Path, code: int) -> None:
    """Libraries call exit() in the midst of a trial; the second process ends in order."""
    second = tmp_path / "second"
    slot = make(
        "import os; from pathlib import Path\n"
        f"if not Path({str(second)!r}).exists(): Path({str(second)!r}).touch(); os._exit({code})\n"
        f"{SAY_END}",
        tmp_path / "w.log",
    )
    while slot.state is SlotState.RUNNING:
        slot.advance()
        time.sleep(0.01)
    assert slot.state is SlotState.RESTARTING
    assert (slot.exit_code, slot.death) == (code, f"ended with code {code}")
    assert run_out(slot) is SlotState.FINISHED
    assert slot.n_restarts == 1


def test_a_worker_that_crashes_is_restarted_after_growing_pauses_and_then_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(slot_module.time, "monotonic", lambda: now[0])
    log = tmp_path / "w.log"
    slot = make("raise SystemExit(70)", log)
    pauses = []
    while slot.state is not SlotState.GIVEN_UP:
        while slot.advance() is SlotState.RUNNING:
            time.sleep(0.01)
        if slot.state is SlotState.RESTARTING:
            begin = now[0]
            while slot.advance() is SlotState.RESTARTING:
                now[0] += 0.5
            pauses.append(now[0] - begin)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0][:MAX_RESTARTS]
    assert log.read_text().count("worker starts") == 1 + MAX_RESTARTS
    assert slot.exit_code == 70


def test_a_worker_that_does_well_may_crash_as_often_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(slot_module.time, "monotonic", lambda: now[0])
    slot = make("raise SystemExit(70)", tmp_path / "w.log")

    def crash(n: int) -> None:
        for _ in range(n):
            while slot.advance() is SlotState.RUNNING:
                time.sleep(0.01)
            now[0] += 100.0
            slot.advance()

    crash(MAX_RESTARTS)
    slot.has_done_well()
    crash(MAX_RESTARTS)
    assert (slot.state, slot.n_restarts) == (SlotState.RUNNING, 2 * MAX_RESTARTS)
    crash(1)
    assert slot.state is SlotState.GIVEN_UP


def test_a_worker_that_ignores_the_request_to_stop_is_killed(tmp_path: Path) -> None:
    code = """
import signal, sys, time
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
print("up", flush=True)
time.sleep(60)
"""
    slot = make(code, tmp_path / "l")
    while "up" not in (tmp_path / "l").read_text():
        time.sleep(0.02)
    pid = slot.pid
    assert pid is not None
    slot.interrupt()
    assert not slot.join(time.monotonic() + 0.3)
    assert slot.state is SlotState.STOPPED
    assert slot.exit_code == -9
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("ask", [Slot.ask_to_stop, Slot.interrupt])
def test_a_worker_that_obeys_ends_by_itself_and_is_not_restarted(
    tmp_path: Path, ask: Callable[[Slot], None]
) -> None:
    slot = make("import time; time.sleep(60)", tmp_path / "w.log")
    ask(slot)
    assert slot.join(time.monotonic() + 60)
    assert slot.advance() is SlotState.STOPPED
    assert slot.pid is None


def test_a_worker_that_is_asked_while_it_waits_for_its_restart_is_not_started(
    tmp_path: Path,
) -> None:
    slot = make("raise SystemExit(70)", tmp_path / "w.log")
    while slot.advance() is SlotState.RUNNING:
        time.sleep(0.01)
    slot.ask_to_stop()
    assert slot.advance() is SlotState.STOPPED


def test_with_a_worker_that_is_killed_end_the_processes_that_it_has_started(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log"
    started = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"
    code = f"import subprocess, sys, time; print({started}.pid, flush=True); time.sleep(600)"
    slot = make(code, path)
    while not (words := path.read_text().splitlines()[1:]):
        time.sleep(0.02)
    slot.ask_to_stop()
    slot.kill()
    stat = Path(f"/proc/{words[0]}/stat")
    deadline = time.monotonic() + 30
    while stat.exists() and ") Z " not in stat.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_worker_that_is_killed_for_hanging_is_started_again(tmp_path: Path) -> None:
    slot = make("import time; time.sleep(60)", tmp_path / "w.log")
    slot.kill()
    assert (slot.state, slot.exit_code, slot.n_restarts) == (SlotState.RESTARTING, -9, 1)

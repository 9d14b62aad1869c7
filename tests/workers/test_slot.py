"""Slots: worker processes are started, restarted within bounds, and stopped."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from optuna_snn.workers import slot as slot_module
from optuna_snn.workers.slot import MAX_RESTARTS, Slot, SlotState, thread_limits


def make(code: str, log: Path) -> Slot:
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
    ],
)
def test_the_exit_code_says_how_a_worker_ended(
    tmp_path: Path, code: int, state: SlotState
) -> None:
    slot = make(f"raise SystemExit({code})", tmp_path / "w.log")
    assert run_out(slot) is state
    assert slot.n_restarts == 0


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


def test_a_worker_that_ignores_the_request_to_stop_is_killed(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up'); time.sleep(60)"
    slot = make("import sys; sys.stdout.reconfigure(line_buffering=True);" + code, tmp_path / "l")
    while "up" not in (tmp_path / "l").read_text():
        time.sleep(0.02)
    pid = slot.pid
    assert pid is not None
    slot.terminate()
    assert not slot.join(time.monotonic() + 0.3)
    assert slot.state is SlotState.FINISHED
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_worker_that_obeys_ends_by_itself_and_is_not_restarted(tmp_path: Path) -> None:
    slot = make("import time; time.sleep(60)", tmp_path / "w.log")
    slot.terminate()
    assert slot.join(time.monotonic() + 20)
    assert slot.advance() is SlotState.FINISHED
    assert slot.pid is None


def test_the_last_error_is_the_last_error_line_else_the_last_line(tmp_path: Path) -> None:
    log = tmp_path / "w.log"
    slot = make("print('error: first'); print('error: second'); print('bye')", log)
    run_out(slot)
    assert slot.last_error() == "second"
    log.write_text("one\ntwo\n\n")
    assert slot.last_error() == "two"
    log.write_text("")
    assert slot.last_error() == "(empty)"


@pytest.mark.parametrize(("n_workers", "expected"), [(1, 8), (2, 4), (3, 2), (8, 1), (20, 1)])
def test_workers_share_the_cores(
    monkeypatch: pytest.MonkeyPatch, n_workers: int, expected: int
) -> None:
    monkeypatch.setattr(slot_module, "n_cores", lambda: 8)
    limits = thread_limits(n_workers, {})
    assert set(limits.values()) == {str(expected)}
    assert "OMP_NUM_THREADS" in limits


def test_thread_numbers_that_the_user_set_are_kept() -> None:
    assert "OMP_NUM_THREADS" not in thread_limits(2, {"OMP_NUM_THREADS": "7"})

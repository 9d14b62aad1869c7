"""The workers of a run: deaths and hangs are told and written down, successes forgive crashes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from optuna_snn.workers.devices import SlotDevice
from optuna_snn.workers.display.progress import Progress, ProgressReader
from optuna_snn.workers.identity import WORKER_KEY, worker_name
from optuna_snn.workers.run_files import RunFiles
from optuna_snn.workers.stop import KILL_AFTER_S
from optuna_snn.workers.supervisor import crew as crew_module
from optuna_snn.workers.supervisor.crew import Crew
from optuna_snn.workers.supervisor.slot import Slot, SlotState
from optuna_snn.workers.supervisor.worker_log import claim_logs, claimed_logs

SLEEP = "import time; time.sleep(600)"
SAY_END = "from optuna_snn.workers.supervisor.worker_log import note_end; note_end()\n"


class Records:
    """A crew whose words are kept."""

    def __init__(self, folder: Path) -> None:
        self.files = RunFiles(folder, "toy")
        self.notes: list[str] = []
        self.deaths: list[tuple[str, str]] = []
        self.failed: list[tuple[int, str]] = []
        self.away_s = 0.0
        self.crew: Crew | None = None

    def start(self, *codes: str, trial_timeout_s: float | None = None) -> Crew:
        slots = [
            Slot([sys.executable, "-c", code], os.environ, log, SlotDevice(f"cuda:{index}", ""))
            for index, (code, log) in enumerate(
                zip(codes, claim_logs(self.files, "node1", len(codes)), strict=True)
            )
        ]
        self.crew = Crew(
            slots,
            trial_timeout_s=trial_timeout_s,
            note=self.notes.append,
            report_death=lambda worker, reason: self.deaths.append((worker, reason)),
            fail_trial=lambda number, reason: self.failed.append((number, reason)),
            away_s=lambda since: min(self.away_s, (datetime.now() - since).total_seconds()),
        )
        return self.crew


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    records = Records(tmp_path)
    yield records
    if records.crew is not None:
        records.crew.close()


def trial(number: int, state: TrialState, pid: int | None, *, age_s: float = 0.0) -> FrozenTrial:
    frozen = optuna.create_trial(
        state=state,
        value=1.0 if state == TrialState.COMPLETE else None,
        user_attrs={WORKER_KEY: worker_name(pid or 0)},
    )
    frozen.number = number
    frozen.datetime_start = datetime.now() - timedelta(seconds=age_s)
    if state.is_finished():
        frozen.datetime_complete = datetime.now() + timedelta(seconds=1)
    return frozen


def progress(*trials: FrozenTrial) -> Progress:
    return ProgressReader("minimize").read(trials)


def tend_until(crew: Crew, condition: Callable[[], bool], *trials: FrozenTrial) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        crew.tend(progress(*trials))
        time.sleep(0.02)


def test_a_worker_that_is_killed_is_told_written_down_and_started_again(records: Records) -> None:
    crew = records.start(SLEEP, SLEEP)
    first, other = (slot.pid for slot in crew.slots)
    assert first is not None
    os.kill(first, 9)
    tend_until(crew, lambda: crew.states[0] is SlotState.RESTARTING)
    death = "was killed by SIGKILL, signal 9 (out of memory?)"
    assert records.deaths == [(worker_name(first), f"its worker {death}")]
    (note,) = records.notes
    assert note.startswith(f"worker 0 {death}; it is started again, and its trial will be found")
    tend_until(crew, lambda: crew.states[0] is SlotState.RUNNING)
    assert crew.slots[0].pid not in (first, None)
    assert (crew.slots[1].pid, crew.slots[1].n_restarts) == (other, 0)


def test_a_worker_that_finishes_or_stops_is_not_told(records: Records) -> None:
    crew = records.start(SAY_END, "raise SystemExit(143)")
    tend_until(crew, lambda: not crew.is_alive)
    assert crew.states == [SlotState.FINISHED, SlotState.STOPPED]
    assert (records.notes, records.deaths) == ([], [])


def refusing(line: str) -> str:
    return f"{SAY_END}raise SystemExit(print('error: {line}') or 2)"


def test_workers_that_refuse_are_told_by_their_reasons_while_the_others_go_on(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew = records.start(refusing("no Foo"), SLEEP, refusing("no Bar"), refusing("no Foo"))
    refused = SlotState.REFUSED
    tend_until(crew, lambda: crew.states == [refused, SlotState.RUNNING, refused, refused])
    # The other may be about to refuse as well: then once is enough.
    assert (records.notes, crew.refusal) == ([], None)
    monkeypatch.setattr(crew_module, "TOLD_AFTER_S", 0.0)
    for _ in range(2):
        crew.tend(progress())
    assert records.notes == [
        "workers 0 (cuda:0), 3 (cuda:3) cannot work and are not started again: no Foo",
        "worker 2 (cuda:2) cannot work and is not started again: no Bar",
    ]
    assert records.deaths == []
    assert crew.is_alive


def test_what_all_workers_refuse_is_no_note(records: Records) -> None:
    crew = records.start(refusing("no Foo"), refusing("no Bar"))
    assert crew.refusal is None
    tend_until(crew, lambda: not crew.is_alive)
    assert (crew.refusal, records.notes) == ("no Foo", [])


def test_a_crew_of_none_refuses_nothing(records: Records) -> None:
    assert records.start().refusal is None


def test_a_worker_that_hangs_beyond_the_time_limit_is_killed_and_its_trial_fails(
    records: Records,
) -> None:
    crew = records.start(SLEEP, trial_timeout_s=30.0)
    pid = crew.slots[0].pid
    within = trial(5, TrialState.RUNNING, pid, age_s=30.0 + KILL_AFTER_S - 15.0)
    crew.tend(progress(within))
    assert (records.failed, crew.slots[0].pid) == ([], pid)
    somebody_elses = trial(6, TrialState.RUNNING, 1, age_s=1000.0)
    crew.tend(progress(within, somebody_elses))
    assert records.failed == []
    beyond = trial(5, TrialState.RUNNING, pid, age_s=30.0 + KILL_AFTER_S + 1.0)
    crew.tend(progress(beyond))
    assert records.failed == [(5, "time limit of 30 s; its worker did not react and was killed")]
    assert crew.states == [SlotState.RESTARTING]
    assert "worker 0 hung in trial 5 beyond the time limit of 30 s: killed" in records.notes[0]
    assert records.deaths == []  # else it would be retried
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_clock_that_is_set_makes_no_trial_hang(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SummerTime(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(hours=1)

    crew = records.start(SLEEP, trial_timeout_s=30.0)
    running = trial(5, TrialState.RUNNING, crew.slots[0].pid, age_s=5.0)
    crew.tend(progress(running))
    monkeypatch.setattr(crew_module, "datetime", SummerTime)
    crew.tend(progress(running))
    assert records.failed == []


def test_a_trial_that_waits_for_the_database_does_not_hang(records: Records) -> None:
    crew = records.start(SLEEP, trial_timeout_s=30.0)
    waiting = trial(5, TrialState.RUNNING, crew.slots[0].pid, age_s=500.0)
    records.away_s = 470.0
    crew.tend(progress(waiting))
    assert records.failed == []
    records.away_s = 440.0
    crew.tend(progress(waiting))
    assert [number for number, _ in records.failed] == [5]


def test_without_a_time_limit_a_trial_may_take_as_long_as_it_likes(records: Records) -> None:
    crew = records.start(SLEEP)
    crew.tend(progress(trial(5, TrialState.RUNNING, crew.slots[0].pid, age_s=1e6)))
    assert records.failed == []


@pytest.mark.parametrize(
    ("state", "is_own", "praised"),
    [
        (TrialState.COMPLETE, True, True),
        (TrialState.PRUNED, True, True),
        (TrialState.FAIL, True, False),
        (TrialState.COMPLETE, False, False),
    ],
)
def test_a_trial_that_came_to_an_end_forgives_the_crashes_of_its_worker(
    records: Records,
    monkeypatch: pytest.MonkeyPatch,
    state: TrialState,
    is_own: bool,
    praised: bool,
) -> None:
    crew = records.start(SLEEP, SLEEP)
    done_well: list[Slot] = []
    monkeypatch.setattr(Slot, "has_done_well", lambda slot: done_well.append(slot))
    crew.tend(progress(trial(0, state, crew.slots[1].pid if is_own else 1)))
    assert done_well == ([crew.slots[1]] if praised else [])


def test_what_is_shown_of_a_worker_is_its_process_and_its_trial(records: Records) -> None:
    crew = records.start(SLEEP, SLEEP)
    running = trial(3, TrialState.RUNNING, crew.slots[1].pid)
    first, second = crew.views(progress(running, trial(4, TrialState.RUNNING, 1)))
    assert (first.index, first.device, first.pid) == (0, "cuda:0", crew.slots[0].pid)
    assert (first.trial, second.trial) == (None, running)
    assert second.state is SlotState.RUNNING


def test_stopping_is_asking_then_interrupting_then_killing(records: Records) -> None:
    """Three workers: one ends when asked, one when interrupted, one never."""
    head = "import signal, sys, time; ignore = lambda *_: None\n"
    # A shell starts background jobs with interrupts ignored, which children inherit.
    head += "signal.signal(2, signal.default_int_handler)\n"
    term = "signal.signal(15, ignore)\n"
    interrupt = "signal.signal(2, ignore)\n"
    rest = "print('up', flush=True)\nwhile True: time.sleep(0.05)\n"
    crew = records.start(head + rest, head + term + rest, head + term + interrupt + rest)
    for slot in crew.slots:
        while "up" not in slot.log.path.read_text():
            time.sleep(0.02)
    crew.ask_to_stop()
    tend_until(crew, lambda: crew.states[0] is SlotState.STOPPED)
    crew.interrupt()
    tend_until(crew, lambda: crew.states[1] is SlotState.STOPPED)
    assert crew.states[2] is SlotState.RUNNING
    crew.kill()
    assert not crew.is_alive
    (note,) = records.notes
    assert note.startswith("worker 2 did not stop and was killed; its trial will be found stale")


def test_closing_leaves_no_process_and_no_claimed_log(records: Records) -> None:
    crew = records.start(SLEEP, SLEEP)
    pids = [slot.pid for slot in crew.slots if slot.pid is not None]
    assert len(claimed_logs(records.files)) == 2
    crew.close()
    assert claimed_logs(records.files) == []
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

"""A worker of the cluster as the supervisor sees it; the actor is made up."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime

import pytest

from optuna_snn.launchers.ray import slot as slot_module
from optuna_snn.launchers.ray.remote import WorkerGoneError, WorkerUnavailableError
from optuna_snn.launchers.ray.report import SlotReport
from optuna_snn.launchers.ray.slot import RaySlot
from optuna_snn.workers.supervisor.slot import SlotState

RUNS = SlotReport(
    actor="a", state=SlotState.RUNNING, host="n1", worker="n1:7", pid=7, started_at=1e9,
    n_restarts=0, exit_code=None, death="", gpus="1", log="/logs/0.log", last_error="",
)  # fmt: skip
CRASHED = replace(
    RUNS, state=SlotState.RESTARTING, worker=None, pid=None, n_restarts=1, exit_code=-9,
    death="was killed by SIGKILL",
)  # fmt: skip


class FakeRemote:
    """Answers what is put in; None is no answer yet."""

    def __init__(self) -> None:
        self.answer: SlotReport | Exception | None = None
        self.looks: list[bool] = []
        self.told: list[str] = []
        self.is_released = False

    def begin_look(self, has_done_well: bool) -> None:
        self.looks.append(has_done_well)

    def report(self, timeout_s: float = 0.0) -> SlotReport | None:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def tell(self, method: str) -> None:
        self.told.append(method)

    def kill_worker(self, timeout_s: float) -> SlotReport:
        self.told.append("kill")
        report = self.report()
        assert report is not None
        return report

    def release(self) -> None:
        self.is_released = True


class Case:
    """A slot and its actor."""

    def __init__(self) -> None:
        self.remote = FakeRemote()
        self.is_over = False
        self.slot = RaySlot(self.remote, lambda: self.is_over)

    def advance(self, answer: SlotReport | Exception | None) -> SlotState:
        self.remote.answer = answer
        return self.slot.advance()


@pytest.fixture
def case() -> Case:
    return Case()


def test_a_worker_without_a_place_waits_and_is_asked_once(case: Case) -> None:
    assert case.advance(None) is SlotState.WAITING
    assert case.advance(None) is SlotState.WAITING
    assert (case.slot.pid, case.slot.worker) == (None, None)
    assert case.remote.looks == [False]


def test_a_running_worker_shows_its_place_its_process_and_its_log(case: Case) -> None:
    assert case.advance(RUNS) is SlotState.RUNNING
    slot = case.slot
    assert (slot.worker, slot.pid, slot.n_restarts) == ("n1:7", 7, 0)
    assert (slot.device.name, slot.log.path) == ("n1 GPU 1", "n1:/logs/0.log")
    assert slot.started_at == datetime.fromtimestamp(1e9)
    assert case.remote.looks == [False, False]  # it is asked anew after each answer


def test_a_trial_that_was_brought_to_an_end_is_told_once(case: Case) -> None:
    case.advance(RUNS)
    case.slot.has_done_well()
    case.advance(RUNS)
    case.advance(RUNS)
    assert case.remote.looks == [False, False, True, False]


def test_a_crash_that_the_actor_mends_is_reported_as_the_actor_says(case: Case) -> None:
    case.advance(RUNS)
    assert case.advance(CRASHED) is SlotState.RESTARTING
    assert (case.slot.death, case.slot.exit_code) == ("was killed by SIGKILL", -9)
    assert case.slot.worker is None
    again = replace(RUNS, worker="n1:8", pid=8, n_restarts=1)
    assert case.advance(again) is SlotState.RUNNING
    assert (case.slot.worker, case.slot.n_restarts) == ("n1:8", 1)


def test_a_new_actor_means_that_the_former_worker_was_lost(case: Case) -> None:
    case.advance(replace(RUNS, n_restarts=2))
    assert case.advance(WorkerUnavailableError()) is SlotState.RUNNING  # it may only be cut off
    elsewhere = replace(RUNS, actor="b", host="n2", worker="n2:9", pid=9)
    # The death comes first: who tends the slot has to see it.
    assert case.advance(elsewhere) is SlotState.RESTARTING
    assert case.slot.death == "was lost with its actor on n1, or with that node"
    assert case.advance(elsewhere) is SlotState.RUNNING
    assert (case.slot.worker, case.slot.device.name) == ("n2:9", "n2 GPU 1")
    assert case.slot.n_restarts == 3  # two of the first actor's, and the actor


def test_an_actor_that_was_cut_off_for_a_moment_has_lost_nothing(case: Case) -> None:
    case.advance(RUNS)
    case.advance(WorkerUnavailableError())
    assert case.advance(RUNS) is SlotState.RUNNING
    assert case.slot.n_restarts == 0


def test_an_actor_that_is_silent_for_long_is_lost_before_another_answers(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.advance(RUNS)
    monkeypatch.setattr(slot_module, "LOST_AFTER_S", 0.0)
    assert case.advance(WorkerUnavailableError()) is SlotState.RESTARTING
    assert case.advance(WorkerUnavailableError()) is SlotState.RESTARTING
    elsewhere = replace(RUNS, actor="b", worker="n2:9", pid=9)
    assert case.advance(elsewhere) is SlotState.RUNNING
    assert case.slot.n_restarts == 1


@pytest.mark.parametrize(
    "state", [SlotState.FINISHED, SlotState.FAILED_IN_A_ROW, SlotState.REFUSED, SlotState.GIVEN_UP]
)
def test_a_worker_that_has_ended_gives_its_place_back_and_is_not_asked_again(
    case: Case, state: SlotState
) -> None:
    case.advance(RUNS)
    ended = replace(RUNS, state=state, worker=None, pid=None, exit_code=0, last_error="because")
    assert case.advance(ended) is state
    assert case.remote.is_released
    assert case.slot.log.last_error() == "because"
    assert case.advance(RUNS) is state
    assert len(case.remote.looks) == 2


def test_a_worker_without_a_place_is_not_waited_for_when_the_study_is_done(case: Case) -> None:
    case.is_over = True
    assert case.advance(None) is SlotState.FINISHED
    assert case.remote.is_released


def test_a_running_worker_is_not_cut_short_when_another_has_finished(case: Case) -> None:
    case.advance(RUNS)
    case.is_over = True
    assert case.advance(RUNS) is SlotState.RUNNING
    assert not case.remote.is_released


def test_a_request_to_stop_reaches_the_worker_or_takes_back_its_wish(case: Case) -> None:
    case.slot.ask_to_stop()
    assert case.slot.state is SlotState.STOPPED
    assert case.remote.is_released

    other = Case()
    other.advance(RUNS)
    other.slot.ask_to_stop()
    other.slot.interrupt()
    assert other.remote.told == ["ask_to_stop", "interrupt"]
    assert other.slot.state is SlotState.RUNNING


def test_an_actor_that_dies_while_it_stops_is_not_started_again(case: Case) -> None:
    case.advance(RUNS)
    case.slot.ask_to_stop()
    assert case.advance(WorkerUnavailableError()) is SlotState.STOPPED
    assert case.remote.is_released


def test_a_killed_worker_that_hung_is_started_again(case: Case) -> None:
    case.advance(RUNS)
    case.remote.answer = CRASHED
    case.slot.kill()
    assert case.remote.told == ["kill"]
    assert case.slot.state is SlotState.RESTARTING


def test_joining_kills_at_the_deadline(case: Case) -> None:
    case.advance(RUNS)
    case.slot.ask_to_stop()
    assert not case.slot.join(time.monotonic())
    assert case.remote.told == ["ask_to_stop", "kill"]


def test_an_actor_that_never_lived_refuses_with_rays_reason(case: Case) -> None:
    state = case.advance(WorkerGoneError("ModuleNotFoundError: No module named 'optuna_snn'"))
    assert state is SlotState.REFUSED
    error = case.slot.log.last_error()
    assert "No module named 'optuna_snn'" in error
    assert "must be the same on every node" in error


def test_an_actor_that_ray_gives_up_is_given_up(case: Case) -> None:
    case.advance(RUNS)
    assert case.advance(WorkerGoneError("too often")) is SlotState.GIVEN_UP
    assert "too often" in case.slot.log.last_error()
    assert "too often" in case.slot.death

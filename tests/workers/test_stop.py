"""Requests to stop: they interrupt the objective in time, and outside it only leave word."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from optuna_snn.workers.stop import (
    HURRY_SIGNAL,
    STOP_SIGNALS,
    StopRequest,
    StopRequested,
    TrialTimeLimit,
)

LONG_S = 60.0
"""Much longer than any test waits."""


@pytest.fixture(autouse=True)
def hup_is_not_ignored() -> Iterator[None]:
    """As it is where the tests themselves are run with `nohup`."""
    former = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, former)


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_outside_the_objective_interrupts_nothing(number: signal.Signals) -> None:
    stop = StopRequest(grace_s=0.0)
    with stop.listening():
        send(number)
        assert stop.wait(LONG_S)
    assert stop.signal == number


def test_a_block_that_catches_its_interruption_is_interrupted_at_its_end() -> None:
    """As a training loop does that is to be stopped early by Ctrl-C, and then evaluated."""
    stop = StopRequest(grace_s=0.0)
    has_evaluated = False
    with stop.listening(), pytest.raises(StopRequested), stop.interrupting():
        try:
            send(signal.SIGINT)
            time.sleep(LONG_S)
        except KeyboardInterrupt:
            pass
        has_evaluated = True
    assert has_evaluated


def test_a_time_limit_that_the_block_catches_holds() -> None:
    stop = StopRequest()
    with pytest.raises(TrialTimeLimit), stop.interrupting(0.05):
        with suppress(BaseException):
            time.sleep(LONG_S)
    with stop.interrupting(LONG_S):  # and is forgotten then
        pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_forked_process_ends_by_a_signal_as_if_nobody_listened(number: signal.Signals) -> None:
    """Else `terminate()` of a process of the objective's would wait for the grace time."""
    stop = StopRequest(grace_s=LONG_S)
    former = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        with stop.listening():
            child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(LONG_S,))
            child.start()
            assert child.pid is not None
            time.sleep(0.2)
            os.kill(child.pid, number)
            child.join(LONG_S / 2)
            assert child.exitcode == -number
    finally:
        signal.signal(signal.SIGINT, former)
    assert stop.signal is None


def test_without_a_grace_time_a_signal_in_the_objective_raises_once() -> None:
    stop = StopRequest(grace_s=0.0)
    reached_clean_up = False
    with stop.listening():
        with pytest.raises(StopRequested), stop.interrupting():
            try:
                send(signal.SIGTERM)
                time.sleep(LONG_S)
            finally:
                send(signal.SIGTERM)  # must not strike the clean-up
                time.sleep(0.01)
                reached_clean_up = True
    assert reached_clean_up


def test_within_the_grace_time_an_objective_may_finish() -> None:
    stop = StopRequest(grace_s=LONG_S)
    with stop.listening():
        with stop.interrupting():
            send(signal.SIGUSR1)
            time.sleep(0.05)
            has_finished = True
        assert has_finished
        assert (stop.level, stop.signal) == (1, signal.SIGUSR1)
        with pytest.raises(StopRequested), stop.interrupting():
            pytest.fail("no other objective must begin")


def test_when_the_grace_time_is_over_the_objective_is_interrupted() -> None:
    stop = StopRequest(grace_s=0.1)
    begin = time.monotonic()
    with stop.listening(), pytest.raises(StopRequested), stop.interrupting():
        send(signal.SIGTERM)
        time.sleep(LONG_S)
    assert time.monotonic() - begin >= 0.1
    assert stop.level == 1


def test_a_second_signal_interrupts_at_once_and_a_third_ends_all_patience() -> None:
    stop = StopRequest(grace_s=LONG_S)
    with stop.listening():
        with pytest.raises(StopRequested), stop.interrupting():
            send(signal.SIGINT)
            assert stop.level == 1
            send(signal.SIGINT)
            time.sleep(LONG_S)
        assert stop.level == 2
        send(signal.SIGTERM)
        assert stop.level == 3
    assert stop.signal == signal.SIGINT


def test_a_supervised_worker_is_hurried_by_its_supervisor_alone() -> None:
    """A scheduler's signal reaches it twice: directly, and by the supervisor."""
    stop = StopRequest(grace_s=LONG_S, is_supervised=True)
    with stop.listening():
        with stop.interrupting():
            for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGUSR2):
                send(number)
            assert stop.level == 1
        stop = StopRequest(grace_s=LONG_S, is_supervised=True)
    with stop.listening(), pytest.raises(StopRequested), stop.interrupting():
        send(HURRY_SIGNAL)
        time.sleep(LONG_S)


def test_a_signal_that_came_before_the_objective_keeps_it_from_beginning() -> None:
    stop = StopRequest()
    with stop.listening():
        send(signal.SIGINT)
        with pytest.raises(StopRequested), stop.interrupting():
            pytest.fail("the objective must not begin")


def test_an_objective_whose_time_is_over_is_interrupted() -> None:
    stop = StopRequest()
    with pytest.raises(TrialTimeLimit), stop.interrupting(0.1):
        time.sleep(LONG_S)
    assert stop.level == 0
    with stop.interrupting(LONG_S):  # the next one begins anew
        pass


def test_the_time_that_an_objective_waits_for_a_database_is_not_its_own() -> None:
    waited_s = 1000.0  # in earlier blocks
    began = time.monotonic()
    with pytest.raises(TrialTimeLimit), StopRequest().interrupting(0.1, lambda: waited_s):
        waited_s += 0.5
        time.sleep(LONG_S)
    assert time.monotonic() - began >= 0.6

    def waits() -> float:
        return time.monotonic() - began  # all the time

    with StopRequest().interrupting(0.1, waits):
        time.sleep(0.5)


def test_an_objective_that_catches_exceptions_does_not_outlive_its_time() -> None:
    with pytest.raises(TrialTimeLimit), StopRequest().interrupting(0.1):
        while True:
            try:
                time.sleep(LONG_S)
            except Exception:
                continue


def test_a_stop_within_a_limited_time_and_a_limit_within_a_grace_time() -> None:
    stop = StopRequest(grace_s=0.1)
    with pytest.raises(StopRequested), stop.interrupting(LONG_S):
        stop.request()
        time.sleep(LONG_S)
    stop = StopRequest(grace_s=LONG_S)
    with pytest.raises(TrialTimeLimit), stop.interrupting(0.1):
        stop.request()
        time.sleep(LONG_S)


def test_a_request_from_another_thread_interrupts_the_objective() -> None:
    stop = StopRequest(grace_s=0.0)
    thread = threading.Thread(target=stop.request)
    with pytest.raises(StopRequested), stop.interrupting():
        thread.start()
        time.sleep(LONG_S)
    thread.join()


def test_the_former_handlers_and_the_former_timer_come_back() -> None:
    numbers = [*STOP_SIGNALS, signal.SIGALRM]
    rung: list[int] = []
    pytests_handler = signal.signal(signal.SIGALRM, lambda number, _: rung.append(number))
    pytests_timer = signal.setitimer(signal.ITIMER_REAL, 1000.0)
    try:
        former = [signal.getsignal(number) for number in numbers]
        with StopRequest().listening():
            assert [signal.getsignal(number) for number in STOP_SIGNALS] != former[:-1]
            with StopRequest().interrupting(LONG_S):
                assert signal.getsignal(signal.SIGALRM) != former[-1]
        assert [signal.getsignal(number) for number in numbers] == former
        remaining_s, _ = signal.getitimer(signal.ITIMER_REAL)
        assert 900.0 < remaining_s <= 1000.0
        # One that would have rung meanwhile rings now.
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        with StopRequest().interrupting(LONG_S):
            time.sleep(0.05)
        while not rung:
            time.sleep(0.01)
    finally:
        signal.signal(signal.SIGALRM, pytests_handler)
        signal.setitimer(signal.ITIMER_REAL, *pytests_timer)


def test_a_process_that_was_started_by_nohup_outlives_its_terminal() -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        stop = StopRequest()
        with stop.listening():
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.signal is None
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.signal == signal.SIGTERM
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, former)


def test_whoever_owns_the_signals_keeps_them_and_asks_by_a_call() -> None:
    stop = StopRequest(grace_s=LONG_S, signals=())
    former = [signal.getsignal(number) for number in STOP_SIGNALS]
    with stop.listening():
        assert [signal.getsignal(number) for number in STOP_SIGNALS] == former
        stop.request(signal.SIGUSR2)
    assert stop.signal == signal.SIGUSR2


def test_each_request_calls_back_also_one_that_came_before() -> None:
    stop, called = StopRequest(), []
    stop.call_when_asked(lambda: called.append("early"))
    assert called == []
    stop.request()
    assert called == ["early"]
    stop.call_when_asked(lambda: called.append("late"))
    assert called == ["early", "late"]


def test_waiting_without_a_signal_lasts_as_long_as_asked() -> None:
    begin = time.monotonic()
    assert not StopRequest().wait(0.25)
    assert time.monotonic() - begin >= 0.25


def test_waiting_can_be_for_more_urgency() -> None:
    stop = StopRequest(grace_s=LONG_S)
    stop.request()
    assert not stop.wait(0.05, level=2)
    stop.request()
    assert stop.wait(LONG_S, level=2)


def test_in_a_thread_nothing_is_listened_to_and_no_time_can_be_limited() -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with StopRequest().listening(), StopRequest().interrupting():
                pass
        except ValueError as error:
            failures.append(error)
        with (
            pytest.raises(ValueError, match="2 s needs the main thread"),
            StopRequest().interrupting(2.0),
        ):
            failures.append(AssertionError("must not begin"))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert failures == []


@pytest.mark.parametrize("grace_s", [-1.0, math.nan])
def test_a_grace_time_that_is_none_is_refused(grace_s: float) -> None:
    with pytest.raises(ValueError, match="grace_s must be 0 or more seconds, got"):
        StopRequest(grace_s=grace_s)

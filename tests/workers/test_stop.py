"""Stop signals: they interrupt the objective, and outside it only leave word."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from optuna_snn.workers.stop import STOP_SIGNALS, StopRequest, StopRequested


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_outside_the_objective_interrupts_nothing(number: signal.Signals) -> None:
    stop = StopRequest()
    with stop.listening():
        os.kill(os.getpid(), number)
        assert stop.wait(5.0)
    assert stop.signal == number


def test_a_signal_in_the_objective_raises_once() -> None:
    stop = StopRequest()
    reached_clean_up = False
    with stop.listening():
        with pytest.raises(StopRequested), stop.interrupting():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(5.0)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)  # must not strike the clean-up
                time.sleep(0.01)
                reached_clean_up = True
    assert reached_clean_up


def test_a_signal_that_came_before_the_objective_interrupts_it_at_once() -> None:
    stop = StopRequest()
    with stop.listening():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(StopRequested), stop.interrupting():
            pytest.fail("the objective must not begin")


def test_the_former_handlers_come_back() -> None:
    former = [signal.getsignal(number) for number in STOP_SIGNALS]
    with StopRequest().listening():
        assert [signal.getsignal(number) for number in STOP_SIGNALS] != former
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == former


def test_waiting_without_a_signal_lasts_as_long_as_asked() -> None:
    begin = time.monotonic()
    assert not StopRequest().wait(0.25)
    assert 0.25 <= time.monotonic() - begin < 2.0


def test_a_worker_in_a_thread_runs_without_handlers() -> None:
    failures: list[BaseException] = []

    def listen() -> None:
        try:
            with StopRequest().listening():
                pass
        except ValueError as error:
            failures.append(error)

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert failures == []
